/* list, watch and dump as processes of their own, beside real publishers. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni/publish.h>

#include "observer/command.h"

enum { PATIENCE_MS = 20000, OUTPUT_BYTES = 4 * 1024 * 1024 };

/* ---- a folder of segments ---- */

#define MODES(LABEL) LABEL(HEN_IDLE, "idle") LABEL(HEN_RUNS, "runs")
#define HEN(FIELD)                                                                                 \
    FIELD(number, u64, number, "", 0, NAN, "Counts")                                               \
    FIELD(numbers, f32, speed, 2, "mm/s", -100, 100, "Left and right")                             \
    FIELD(choice, mode, MODES, "What it does")                                                     \
    FIELD(text, note, 15, "Says anything")
OMNI_ENUM(hen_mode, MODES)
OMNI_STATUS(hen, HEN)

static char directory[] = "/tmp/omni-command-test.XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_file(const char *name) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return unlink(path);
}

static const char *const left[] = {"omni.hen", "omni-lock.hen", "omni-sleepers.hen", "omni.bad"};

static int empty_directory(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        (void)remove_file(left[i]);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

static struct omni_publisher *open_hen_with(uint32_t slot_count, uint64_t period_ns) {
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {.text = ""};
    struct omni_publisher_options options = {
        .directory = directory, .period_ns = period_ns, .slot_count = slot_count};
    if (omni_publisher_open(&publisher, "hen", hen_schema(), &options, &problem) < 0)
        fail_msg("%s", problem.text);
    return publisher;
}

static struct omni_publisher *open_hen(uint32_t slot_count) {
    return open_hen_with(slot_count, 10000000);
}

static void publish(struct omni_publisher *publisher, unsigned ticks) {
    struct hen hen = {.speed = {0.5F, -2}, .mode = HEN_RUNS, .note = {'\033', ']', '0', 7, 'x'}};
    for (unsigned i = 0; i < ticks; i++) {
        hen.number = omni_publisher_tick(publisher) + 1;
        omni_publish(publisher, &hen);
    }
}

static void live_and_close(unsigned ticks) {
    struct omni_publisher *publisher = open_hen(0);
    publish(publisher, ticks);
    omni_publisher_close(publisher);
}

/* ---- a command as a process ---- */

struct process {
    pid_t id;
    int out; /* -1: closed */
    int errors;
    char *text; /* of out, so far */
    size_t length;
    char complaints[4096];
};

typedef int command_function(const struct options *options);

static void become(command_function *command, const char *const *arguments) {
    char *argv[16] = {(char[]){"omni-observer"}, (char[]){"-d"}, directory};
    int argc = 3;
    struct options options;
    struct omni_problem problem;
    for (; *arguments != NULL; arguments++)
        argv[argc++] = (char *)(uintptr_t)*arguments;
    if (options_parse(&options, argc, argv, (char *[]){NULL}, &problem) < 0) {
        (void)fprintf(stderr, "%s\n", problem.text);
        exit(EXIT_USAGE);
    }
    int code = command(&options);
    options_free(&options);
    exit(code);
}

/* A fork without exec: it holds the locks of publishers that are open now (omni/lock.h). A test
 * that publishes anew starts its process first. */
static struct process start_at(int out_write, int out_read, command_function *command,
                               const char *const *arguments) {
    int errors[2];
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    (void)fflush(NULL);
    struct process process = {.id = fork(), .out = out_read, .errors = errors[0]};
    assert_true(process.id >= 0);
    if (process.id == 0) {
        (void)dup2(out_write, STDOUT_FILENO);
        (void)dup2(errors[1], STDERR_FILENO);
        (void)close(out_read);
        (void)close(out_write);
        become(command, arguments);
    }
    (void)close(out_write);
    (void)close(errors[1]);
    process.text = calloc(1, OUTPUT_BYTES);
    assert_non_null(process.text);
    return process;
}

static struct process start(command_function *command, const char *const *arguments) {
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    return start_at(out[1], out[0], command, arguments);
}

#define START(command, ...) start((command), (const char *[]){__VA_ARGS__, NULL})

/* Reads a piece more. False at the end of its output. */
static bool read_more(struct process *process) {
    struct pollfd file = {.fd = process->out, .events = POLLIN};
    if (poll(&file, 1, PATIENCE_MS) != 1)
        fail_msg("nothing came for %d ms after: %s", PATIENCE_MS, process->text);
    ssize_t count =
        read(process->out, process->text + process->length, OUTPUT_BYTES - 1 - process->length);
    if (count > 0)
        process->length += (size_t)count;
    assert_true(process->length < OUTPUT_BYTES - 1);
    return count > 0;
}

static void read_until(struct process *process, const char *wanted) {
    while (strstr(process->text, wanted) == NULL)
        if (!read_more(process))
            fail_msg("it ended without \"%s\": %s", wanted, process->text);
}

/* Reads to the end; what it wrote is in text and complaints. Returns its exit code. */
static int finish(struct process *process) {
    int status = 0;
    while (process->out >= 0 && read_more(process))
        ;
    size_t used = 0;
    ssize_t count = 0;
    while ((count = read(process->errors, process->complaints + used,
                         sizeof process->complaints - 1 - used)) > 0)
        used += (size_t)count;
    process->complaints[used] = '\0';
    assert_int_equal(waitpid(process->id, &status, 0), process->id);
    if (!WIFEXITED(status))
        fail_msg("it ended by signal %d: %s", WTERMSIG(status), process->complaints);
    return WEXITSTATUS(status);
}

static void forget(struct process *process) {
    if (process->out >= 0)
        (void)close(process->out);
    (void)close(process->errors);
    free(process->text);
}

/* To its end, with that exit code. */
static void expect_end(struct process *process, int code) {
    int ended = finish(process);
    if (ended != code)
        fail_msg("exit code %d, expected %d: %s", ended, code, process->complaints);
}

static void ask(struct process *process, int signal) {
    assert_int_equal(kill(process->id, signal), 0);
}

/* ---- lines ---- */

static unsigned count_lines(const char *text) {
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* Cuts the next line off; NULL at the end. */
static char *next_line(char **rest) {
    char *line = *rest;
    if (*line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    assert_non_null(end);
    *end = '\0';
    *rest = end + 1;
    return line;
}

static cJSON *next_object(char **rest) {
    char *line = next_line(rest);
    if (line == NULL)
        return NULL;
    cJSON *object = cJSON_Parse(line);
    if (!cJSON_IsObject(object))
        fail_msg("no JSON object: %s", line);
    return object;
}

static double number_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item))
        fail_msg("no number \"%s\"", name);
    return item->valuedouble;
}

static const char *string_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(item))
        fail_msg("no string \"%s\"", name);
    return item->valuestring;
}

static void expect_tick(const cJSON *object, double tick) {
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(object, "values");
    assert_true(number_of(object, "tick") == tick);
    assert_true(number_of(object, "time") > 1e15);
    assert_true(number_of(object, "monotonic") > 0);
    assert_true(number_of(values, "number") == tick);
    const cJSON *speed = cJSON_GetObjectItemCaseSensitive(values, "speed");
    assert_int_equal(cJSON_GetArraySize(speed), 2);
    assert_true(cJSON_GetArrayItem(speed, 0)->valuedouble == 0.5);
    assert_true(cJSON_GetArrayItem(speed, 1)->valuedouble == -2);
    assert_string_equal(string_of(values, "mode"), "runs");
    assert_string_equal(string_of(values, "note"), "\033]0\007x");
}

/* ---- list ---- */

static void list_of_nothing(void **state) {
    struct process process = START(command_list, "list");
    (void)state;
    expect_end(&process, EXIT_DONE);
    assert_string_equal(process.text, "");
    assert_non_null(strstr(process.complaints, "no sources in "));
    assert_non_null(strstr(process.complaints, directory));
    forget(&process);
    process = START(command_list, "list", "--quiet");
    expect_end(&process, EXIT_DONE);
    assert_string_equal(process.complaints, "");
    forget(&process);
    process = START(command_list, "list", "-d", "/does/not/exist");
    expect_end(&process, EXIT_USAGE);
    assert_int_equal(count_lines(process.complaints), 1);
    assert_non_null(strstr(process.complaints, "/does/not/exist"));
    forget(&process);
}

static void write_garbage(void) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/omni.bad", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs("garbage!", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void list_tells_live_from_stopped_and_refused(void **state) {
    /* So slow that no busy machine makes it look silent. */
    struct omni_publisher *publisher = open_hen_with(256, 3600000000000);
    (void)state;
    write_garbage();
    publish(publisher, 3);
    struct process process = START(command_list, "list");
    expect_end(&process, EXIT_DONE);
    char *rest = process.text;
    assert_string_equal(next_line(&rest),
                        "NAME\tSTATE\tRATE\tAGE\tTICK\tOWNER\tPROCESS\tSLOTS\tREGION\tREASON");
    const char *bad = next_line(&rest);
    assert_non_null(bad);
    assert_int_equal(strncmp(bad, "bad\trefused\t-\t-\t-\t-\t-\t-\t-\tit is no status segment", 42),
                     0);
    char name[10];
    char status[10];
    char middle[80];
    assert_int_equal(sscanf(next_line(&rest), "%9[^\t]\t%9[^\t]\t%79[^\n]", name, status, middle),
                     3);
    assert_string_equal(name, "hen");
    assert_string_equal(status, "live");
    assert_non_null(strstr(middle, " Hz\t"));
    assert_non_null(strstr(middle, "\t3\t"));
    assert_non_null(strstr(middle, "\t256\t"));
    assert_string_equal(rest, "");
    forget(&process);
    omni_publisher_close(publisher);
}

static void list_as_json(void **state) {
    struct omni_publisher *publisher = open_hen(0);
    (void)state;
    write_garbage();
    publish(publisher, 3);
    omni_publisher_close(publisher);
    struct process process = START(command_list, "list", "--json");
    expect_end(&process, EXIT_DONE);
    char *rest = process.text;
    cJSON *bad = next_object(&rest);
    assert_string_equal(string_of(bad, "name"), "bad");
    assert_string_equal(string_of(bad, "state"), "refused");
    assert_non_null(strstr(string_of(bad, "reason"), "magic"));
    cJSON *hen = next_object(&rest);
    assert_string_equal(string_of(hen, "name"), "hen");
    assert_string_equal(string_of(hen, "state"), "stopped");
    assert_string_equal(string_of(hen, "reason"), "closed");
    assert_true(number_of(hen, "tick") == 3);
    assert_true(number_of(hen, "period") == 10000);
    assert_true(number_of(hen, "process") == getpid());
    assert_true(number_of(hen, "owner") == getuid());
    assert_true(number_of(hen, "fields") == 4);
    assert_int_equal(strlen(string_of(hen, "instance")), 16);
    assert_string_equal(rest, "");
    cJSON_Delete(bad);
    cJSON_Delete(hen);
    forget(&process);
}

static void publish_ahead(struct omni_publisher *publisher, unsigned ticks) {
    for (unsigned i = 0; i < ticks; i++) {
        struct omni_time time = omni_time_now();
        time.monotonic_ns += UINT64_C(3600000000000);
        omni_publish_at(publisher, &(struct hen){.number = 1}, time);
    }
}

/* A clock that runs ahead: what stands still is silent, whatever its last stamp says. */
static void list_does_not_believe_the_future(void **state) {
    struct omni_publisher *publisher = open_hen(0);
    (void)state;
    publish_ahead(publisher, 3);
    struct process process = START(command_list, "list", "--json");
    expect_end(&process, EXIT_DONE);
    char *rest = process.text;
    cJSON *hen = next_object(&rest);
    assert_string_equal(string_of(hen, "state"), "stopped");
    assert_string_equal(string_of(hen, "reason"), "silent");
    assert_true(number_of(hen, "age") >= 500000);
    cJSON_Delete(hen);
    forget(&process);
    omni_publisher_close(publisher);
}

static void publish_ahead_for_ever(struct omni_publisher *publisher) {
    for (;;) {
        publish_ahead(publisher, 1);
        (void)usleep(10000);
    }
}

/* What ticks is live, whatever its stamps say. */
static void list_sees_the_future_tick(void **state) {
    struct omni_publisher *publisher = open_hen_with(256, 1000000000);
    (void)state;
    publish_ahead(publisher, 3);
    pid_t robot = fork();
    assert_true(robot >= 0);
    if (robot == 0)
        publish_ahead_for_ever(publisher);
    struct process process = START(command_list, "list", "--json");
    expect_end(&process, EXIT_DONE);
    assert_int_equal(kill(robot, SIGKILL), 0);
    assert_int_equal(waitpid(robot, NULL, 0), robot);
    char *rest = process.text;
    cJSON *hen = next_object(&rest);
    assert_string_equal(string_of(hen, "state"), "live");
    assert_true(number_of(hen, "tick") > 3);
    cJSON_Delete(hen);
    forget(&process);
    omni_publisher_close(publisher);
}

/* ---- dump ---- */

static void dump_writes_every_tick(void **state) {
    (void)state;
    live_and_close(5);
    struct process process = START(command_dump, "dump", "hen");
    expect_end(&process, EXIT_DONE);
    char *rest = process.text;
    for (int tick = 1; tick <= 5; tick++) {
        cJSON *object = next_object(&rest);
        assert_non_null(object);
        expect_tick(object, tick);
        cJSON_Delete(object);
    }
    assert_string_equal(rest, "");
    assert_string_equal(process.complaints, "");
    forget(&process);
}

static void dump_as_csv(void **state) {
    (void)state;
    live_and_close(2);
    struct process process = START(command_dump, "dump", "hen", "--format", "csv");
    expect_end(&process, EXIT_DONE);
    char *rest = process.text;
    assert_string_equal(next_line(&rest), "tick,time,monotonic,number,speed[0],speed[1],mode,note");
    for (unsigned tick = 1; tick <= 2; tick++) {
        unsigned long long number = 0;
        unsigned stamped = 0;
        const char *line = next_line(&rest);
        assert_non_null(line);
        assert_int_equal(sscanf(line, "%u,%*u,%*u,%llu,0.5,-2,", &stamped, &number), 2);
        assert_int_equal(stamped, tick);
        assert_true(number == tick);
        assert_non_null(strstr(line, "runs"));
    }
    assert_string_equal(rest, "");
    forget(&process);
}

static void dump_stops_after_a_count(void **state) {
    struct omni_publisher *publisher = open_hen(0);
    (void)state;
    publish(publisher, 5);
    struct process process = START(command_dump, "dump", "hen", "-n", "3");
    expect_end(&process, EXIT_DONE);
    assert_int_equal(count_lines(process.text), 3);
    forget(&process);
    omni_publisher_close(publisher);
}

static void dump_reports_gaps(void **state) {
    enum { TICKS = 20000 };
    struct omni_publisher *publisher = open_hen(64);
    double next = 1;
    unsigned gaps = 0;
    (void)state;
    publish(publisher, 1);
    struct process process = START(command_dump, "dump", "hen");
    read_until(&process, "\n");
    /* Nobody reads meanwhile: a pipe and the command's own buffer hold far fewer. */
    publish(publisher, TICKS - 1);
    omni_publisher_close(publisher);
    expect_end(&process, EXIT_DONE);
    char *rest = process.text;
    for (cJSON *object = next_object(&rest); object != NULL; object = next_object(&rest)) {
        if (cJSON_HasObjectItem(object, "gap")) {
            assert_true(number_of(object, "from") == next);
            assert_true(number_of(object, "to") == next + number_of(object, "gap") - 1);
            next += number_of(object, "gap");
            gaps++;
        } else {
            expect_tick(object, next);
            next++;
        }
        cJSON_Delete(object);
    }
    assert_true(gaps > 0);
    assert_int_equal((int)next, TICKS + 1);
    forget(&process);
}

/* It does not sleep through a long period when it ends, or when it ticks too early. */
static void dump_of_a_slow_publisher(void **state) {
    struct omni_publisher *publisher = open_hen_with(256, 3600000000000);
    (void)state;
    publish(publisher, 1);
    struct process process = START(command_dump, "dump", "hen");
    read_until(&process, "\"tick\":1,");
    publish(publisher, 1);
    read_until(&process, "\"tick\":2,");
    omni_publisher_close(publisher);
    expect_end(&process, EXIT_DONE);
    forget(&process);
}

static void dump_tells_of_a_death(void **state) {
    (void)state;
    (void)fflush(NULL);
    pid_t dying = fork();
    if (dying == 0) {
        publish(open_hen(0), 3);
        (void)raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(dying, &status, 0), dying);
    assert_true(WIFSIGNALED(status));
    struct process process = START(command_dump, "dump", "hen");
    expect_end(&process, EXIT_ENDED);
    assert_int_equal(count_lines(process.text), 3);
    assert_non_null(strstr(process.complaints, "hen: its publisher died"));
    forget(&process);
    process = START(command_list, "list", "--json");
    expect_end(&process, EXIT_DONE);
    assert_non_null(strstr(process.text, "\"reason\":\"died\""));
    forget(&process);
}

static void a_source_that_is_not_there(void **state) {
    (void)state;
    struct process process = START(command_dump, "dump", "hen");
    expect_end(&process, EXIT_NO_SOURCE);
    assert_non_null(strstr(process.complaints, "no source \"hen\""));
    assert_non_null(strstr(process.complaints, "--wait"));
    assert_int_equal(count_lines(process.complaints), 1);
    forget(&process);
    live_and_close(1);
    process = START(command_watch, "watch", "hon");
    expect_end(&process, EXIT_NO_SOURCE);
    assert_non_null(strstr(process.complaints, "no source \"hon\""));
    assert_non_null(strstr(process.complaints, "there are: hen\n"));
    forget(&process);
    write_garbage();
    process = START(command_dump, "dump", "bad", "--wait");
    expect_end(&process, EXIT_RUNTIME);
    assert_non_null(strstr(process.complaints, "magic"));
    forget(&process);
}

static void dump_waits_and_follows(void **state) {
    struct process process = START(command_dump, "dump", "hen", "--wait", "--follow");
    (void)state;
    live_and_close(2);
    read_until(&process, "\"tick\":2");
    live_and_close(1);
    read_until(&process, "instance");
    read_until(&process, "}}\n{\"instance");
    while (strstr(strstr(process.text, "instance"), "\"tick\":1,") == NULL)
        assert_true(read_more(&process));
    ask(&process, SIGINT);
    expect_end(&process, EXIT_DONE);
    assert_int_equal(count_lines(process.text), 4);
    forget(&process);
}

static void dump_ends_when_nobody_reads(void **state) {
    struct omni_publisher *publisher = open_hen(0);
    (void)state;
    publish(publisher, 1);
    struct process process = START(command_dump, "dump", "hen");
    read_until(&process, "\n");
    (void)close(process.out);
    process.out = -1;
    /* The robot is silent: only the closed pipe can tell. */
    expect_end(&process, EXIT_DONE);
    assert_string_equal(process.complaints, "");
    forget(&process);
    omni_publisher_close(publisher);
}

static void dump_can_be_stopped_while_its_reader_sleeps(void **state) {
    struct omni_publisher *publisher = open_hen(4096);
    (void)state;
    publish(publisher, 4000);
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    /* Far less than what it has to write. */
    assert_true(fcntl(out[1], F_SETPIPE_SZ, 4096) > 0);
    struct process process =
        start_at(out[1], out[0], command_dump, (const char *[]){"dump", "hen", NULL});
    read_until(&process, "\n");
    ask(&process, SIGTERM);
    int status = 0;
    assert_int_equal(waitpid(process.id, &status, 0), process.id);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_DONE);
    forget(&process);
    omni_publisher_close(publisher);
}

static void dump_cannot_write(void **state) {
    (void)state;
    live_and_close(1);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(full >= 0 && nothing >= 0);
    struct process process =
        start_at(full, nothing, command_dump, (const char *[]){"dump", "hen", NULL});
    expect_end(&process, EXIT_RUNTIME);
    assert_non_null(strstr(process.complaints, "No space left"));
    assert_int_equal(count_lines(process.complaints), 1);
    forget(&process);
}

/* ---- watch ---- */

static void watch_in_lines(void **state) {
    struct process process = START(command_watch, "watch", "hen", "--wait", "--rate", "100");
    (void)state;
    read_until(&process, " hen stopped (missing)\n");
    struct omni_publisher *publisher = open_hen(0);
    publish(publisher, 1);
    read_until(&process, " tick 1: ");
    publish(publisher, 1);
    read_until(&process, " tick 2: number 2, speed 0.5 -2 mm/s, mode runs, note ");
    omni_publisher_close(publisher);
    read_until(&process, " hen stopped (closed) tick 2: ");
    live_and_close(7);
    read_until(&process, " tick 7: ");
    assert_int_equal(remove_file("omni.hen"), 0);
    ask(&process, SIGTERM);
    expect_end(&process, EXIT_DONE);
    assert_null(strchr(process.text, '\033'));
    assert_null(strchr(process.text, '\007'));
    forget(&process);
}

static void watch_does_not_believe_the_future(void **state) {
    struct omni_publisher *publisher = open_hen(0);
    (void)state;
    publish_ahead(publisher, 3);
    struct process process = START(command_watch, "watch", "hen", "--rate", "100");
    read_until(&process, " hen live tick 3: ");
    read_until(&process, " hen stopped (silent) tick 3: ");
    publish_ahead(publisher, 1);
    read_until(&process, " hen live tick 4: ");
    ask(&process, SIGTERM);
    expect_end(&process, EXIT_DONE);
    forget(&process);
    omni_publisher_close(publisher);
}

static void watch_in_a_terminal(void **state) {
    struct omni_publisher *publisher = open_hen(0);
    struct winsize size = {.ws_row = 24, .ws_col = 60};
    int master = -1;
    int slave = -1;
    (void)state;
    publish(publisher, 41);
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    struct process process =
        start_at(slave, master, command_watch, (const char *[]){"watch", "hen", NULL});
    read_until(&process, "tick 41  age");
    read_until(&process, "Left and right");
    /* Three lines hold the first field and how many more there are. */
    size.ws_row = 3;
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    ask(&process, SIGWINCH);
    read_until(&process, "3 more: enlarge");
    publish(publisher, 1);
    read_until(&process, "tick 42  age");
    ask(&process, SIGINT);
    expect_end(&process, EXIT_DONE);
    assert_int_equal(strncmp(process.text, "\033[?1049h", 8), 0);
    assert_string_equal(process.text + process.length - 8, "\033[?1049l");
    /* What the robot says cannot reach the terminal. */
    assert_null(strstr(process.text, "\033]"));
    assert_null(strchr(process.text, '\007'));
    assert_non_null(strstr(process.text, "\xEF\xBF\xBD]0\xEF\xBF\xBDx"));
    forget(&process);
    omni_publisher_close(publisher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(list_of_nothing, empty_directory),
        cmocka_unit_test_teardown(list_tells_live_from_stopped_and_refused, empty_directory),
        cmocka_unit_test_teardown(list_as_json, empty_directory),
        cmocka_unit_test_teardown(list_does_not_believe_the_future, empty_directory),
        cmocka_unit_test_teardown(list_sees_the_future_tick, empty_directory),
        cmocka_unit_test_teardown(dump_writes_every_tick, empty_directory),
        cmocka_unit_test_teardown(dump_as_csv, empty_directory),
        cmocka_unit_test_teardown(dump_stops_after_a_count, empty_directory),
        cmocka_unit_test_teardown(dump_reports_gaps, empty_directory),
        cmocka_unit_test_teardown(dump_of_a_slow_publisher, empty_directory),
        cmocka_unit_test_teardown(dump_tells_of_a_death, empty_directory),
        cmocka_unit_test_teardown(a_source_that_is_not_there, empty_directory),
        cmocka_unit_test_teardown(dump_waits_and_follows, empty_directory),
        cmocka_unit_test_teardown(dump_ends_when_nobody_reads, empty_directory),
        cmocka_unit_test_teardown(dump_can_be_stopped_while_its_reader_sleeps, empty_directory),
        cmocka_unit_test_teardown(dump_cannot_write, empty_directory),
        cmocka_unit_test_teardown(watch_in_lines, empty_directory),
        cmocka_unit_test_teardown(watch_does_not_believe_the_future, empty_directory),
        cmocka_unit_test_teardown(watch_in_a_terminal, empty_directory),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
