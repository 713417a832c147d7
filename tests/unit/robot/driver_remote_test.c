/* A driver in a real host process, from the loop's side: answers, lateness, death, restart. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "driver_place.h"
#include "robot/clock.h"
#include "robot/driver_remote.h"
#include "tests/unit/skip.h"

#define PERIOD_NS   (10 * CLOCK_NS_A_MILLISECOND)
#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)

struct remote {
    struct place place;
    char driver[PATH_MAX + 64];
    const char *host; /* NULL: of the build folder */
    const volatile sig_atomic_t *stop;
    struct driver_remote *remote;
    uint64_t ticks;
    uint64_t next_ns;
};

static int try_open(struct remote *it, struct omni_problem *problem) {
    const struct cpu *own = NULL;
    struct host_program program;
    (void)snprintf(it->driver, sizeof it->driver, "%s",
                   place_path(&it->place, true, "tests/drivers/recorder.so"));
    struct driver_keeper_settings settings = {
        .driver = it->driver, .config = it->place.folder, .stop = it->stop};
    assert_int_equal(cpu_of_file("/proc/self/exe", &own, NULL), 0);
    int error = host_find(
        &program, own, true,
        it->host != NULL ? it->host : place_path(&it->place, true, "omni-driver-host"), problem);
    if (error < 0)
        fail_msg("%s", problem->text);
    it->ticks = 0;
    it->next_ns = clock_now_ns();
    return driver_remote_open(&it->remote, &settings, PERIOD_NS, &program, problem);
}

static void must_open(struct remote *it) {
    struct omni_problem problem = {""};
    place_open(&it->place);
    if (try_open(it, &problem) < 0)
        fail_msg("%s", problem.text);
}

/* One tick as the loop makes it. Returns what the reading came to. */
static int tick(struct remote *it, struct omni_driver_reading *reading) {
    uint64_t read_ns = 0;
    uint64_t began_ns = clock_now_ns();
    int error = driver_remote_read(it->remote, reading, &read_ns);
    if (error == 0)
        assert_in_range(read_ns, began_ns - CLOCK_NS_A_SECOND, clock_now_ns());
    int8_t power = (int8_t)(++it->ticks % 100);
    assert_int_equal(driver_remote_drive(it->remote, (struct omni_driver_powers){{power, 0, 0}, 0}),
                     0);
    it->next_ns += PERIOD_NS;
    (void)clock_sleep_until(it->next_ns);
    return error;
}

static void tick_until_it_answers(struct remote *it, bool answers) {
    struct omni_driver_reading reading;
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    while ((tick(it, &reading) == 0) != answers)
        if (clock_now_ns() > bound)
            fail_msg("it %s", answers ? "does not answer" : "answers still");
}

/* The process that the newest line of the recorder's log names. */
static pid_t host_of(const struct remote *it) {
    char line[128] = "";
    long id = 0;
    FILE *log = fopen(place_path(&it->place, false, "log"), "re");
    assert_non_null(log);
    while (fgets(line, sizeof line, log) != NULL)
        id = strtol(line, NULL, 10);
    (void)fclose(log);
    assert_true(id > 0 && id != getpid());
    return (pid_t)id;
}

static void finish(struct remote *it) {
    driver_remote_close(it->remote);
    place_close(&it->place); /* nothing is left there but the log */
}

static void calls_reach_the_driver_in_its_process(void **state) {
    (void)state;
    struct remote it = {0};
    static char log[1 << 16];
    unsigned before = 0;
    must_open(&it);
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    for (unsigned answers = 0; answers < 20;) {
        struct omni_driver_reading reading;
        if (clock_now_ns() > bound)
            fail_msg("%u answers in %llu ticks", answers, (unsigned long long)it.ticks);
        if (tick(&it, &reading) < 0)
            continue;
        unsigned n = reading.range_mm[0] - 100u;
        assert_true(answers++ == 0 || n >= before);
        for (unsigned s = 0; s < OMNI_DRIVER_SENSORS; s++)
            assert_int_equal(reading.range_mm[s], n + 100 * (s + 1));
        before = n;
    }
    assert_true(before > 0);
    assert_int_equal(driver_remote_facts(it.remote).restarts, 0);
    driver_remote_close(it.remote);
    it.remote = NULL;
    place_log(&it.place, log, sizeof log);
    assert_int_equal(strncmp(log, "open;motors ", 12), 0);
    const char *end = "motors 0 0 0;close;";
    assert_string_equal(log + strlen(log) - strlen(end), end);
    char last[2][32];
    for (unsigned i = 0; i < 2; i++)
        (void)snprintf(last[i], sizeof last[i], "motors %u 0 0;", (unsigned)((it.ticks - i) % 100));
    if (strstr(log, last[0]) == NULL && strstr(log, last[1]) == NULL)
        fail_msg("the last commands did not arrive: %s", log);
    finish(&it);
}

static void a_dead_hosts_place_is_taken_by_another(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    pid_t first = host_of(&it);
    assert_int_equal(kill(first, SIGKILL), 0);
    tick_until_it_answers(&it, false);
    tick_until_it_answers(&it, true);
    assert_true(host_of(&it) != first);
    struct driver_remote_facts facts = driver_remote_facts(it.remote);
    assert_int_equal(facts.restarts, 1);
    assert_true(facts.silent > 0);
    finish(&it);
}

static void a_hung_host_is_ended_and_replaced(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    pid_t first = host_of(&it);
    assert_int_equal(kill(first, SIGSTOP), 0);
    tick_until_it_answers(&it, false);
    assert_int_equal(kill(first, 0), 0); /* it gets some time */
    tick_until_it_answers(&it, true);
    assert_true(host_of(&it) != first);
    assert_int_equal(driver_remote_facts(it.remote).restarts, 1);
    finish(&it);
}

/* Stops the host for some ticks. Returns how long it was without an answer at most. */
static uint64_t pause_host(struct remote *it) {
    uint64_t began_ns = clock_now_ns() - PERIOD_NS; /* what stands may have been asked for then */
    pid_t host = host_of(it);
    assert_int_equal(kill(host, SIGSTOP), 0);
    tick_until_it_answers(it, false);
    (void)kill(host, SIGCONT);
    tick_until_it_answers(it, true);
    return clock_now_ns() - began_ns;
}

/* A short pause is none of the keeper's business; what was asked meanwhile is not mixed up. Where this
 * machine made a longer one of it, that one says nothing, and there is another. */
static void a_late_host_is_kept(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    for (int kept = 0; kept < 3;) {
        uint32_t restarts = driver_remote_facts(it.remote).restarts;
        pid_t host = host_of(&it);
        if (pause_host(&it) < DRIVER_REMOTE_SILENT_NS) {
            assert_int_equal(driver_remote_facts(it.remote).restarts, restarts);
            assert_int_equal(host_of(&it), host);
            kept++;
        }
        if (clock_now_ns() > bound)
            fail_msg("no pause was short enough to say anything");
    }
    finish(&it);
}

static void what_the_driver_refuses_is_told_and_nothing_is_left(void **state) {
    (void)state;
    struct remote it = {0};
    struct omni_problem problem = {""};
    place_open(&it.place);
    place_shall(&it.place, "fail-open");
    assert_int_equal(try_open(&it, &problem), -ENODEV);
    assert_null(it.remote);
    if (strstr(problem.text, "cannot open its hardware: Input/output error") == NULL)
        fail_msg("%s", problem.text);
    place_shall_not(&it.place, "fail-open");
    driver_remote_close(NULL);
    finish(&it);
}

static void a_refused_command_is_told(void **state) {
    (void)state;
    struct remote it = {0};
    struct omni_driver_reading reading;
    uint64_t read_ns;
    must_open(&it);
    tick_until_it_answers(&it, true);
    place_shall(&it.place, "refuse");
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    int error = 0;
    while (error == 0 && clock_now_ns() < bound) {
        (void)driver_remote_read(it.remote, &reading, &read_ns);
        error = driver_remote_drive(it.remote, (struct omni_driver_powers){{1, 1, 1}, 0});
    }
    assert_int_equal(error, -EIO);
    place_shall_not(&it.place, "refuse");
    finish(&it);
}

/* ---- what a host leaves behind ---- */

static bool is_alive(pid_t id) {
    char path[64];
    char state = 'Z';
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)id);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    (void)fclose(file);
    return state != 'Z';
}

static void await_death(pid_t id) {
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    while (is_alive(id))
        if (clock_now_ns() > bound)
            fail_msg("process %ld lives", (long)id);
        else
            (void)poll(NULL, 0, 1);
}

static void await_log(struct remote *it, const char *wanted) {
    char log[16384];
    struct omni_driver_reading reading;
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    do {
        (void)tick(it, &reading);
        place_log(&it->place, log, sizeof log);
        if (clock_now_ns() > bound)
            fail_msg("there is no \"%s\" in \"%s\"", wanted, log);
    } while (strstr(log, wanted) == NULL);
}

/* It is asked to end before it is killed. */
static void a_host_that_hangs_in_a_call_stops_its_motors_where_it_can(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    place_shall(&it.place, "nap");
    await_log(&it, "nap;motors 0 0 0;close;");
    place_shall_not(&it.place, "nap");
    tick_until_it_answers(&it, true);
    finish(&it);
}

/* That it was asked is told by the hand-off's end then. */
static void a_driver_that_takes_the_signals_for_itself_stops_its_motors_too(void **state) {
    (void)state;
    struct remote it = {0};
    struct omni_problem problem = {""};
    place_open(&it.place);
    place_shall(&it.place, "deaf");
    if (try_open(&it, &problem) < 0)
        fail_msg("%s", problem.text);
    tick_until_it_answers(&it, true);
    place_shall(&it.place, "nap");
    await_log(&it, "nap;motors 0 0 0;close;");
    place_shall_not(&it.place, "nap");
    place_shall_not(&it.place, "deaf");
    tick_until_it_answers(&it, true);
    finish(&it);
}

/* The process that wrote the first line of the recorder's log which says `what`. */
static pid_t who_said(const struct remote *it, const char *what) {
    char line[128];
    long id = 0;
    FILE *log = fopen(place_path(&it->place, false, "log"), "re");
    while (log != NULL && id == 0 && fgets(line, sizeof line, log) != NULL)
        if (strstr(line, what) != NULL)
            id = strtol(line, NULL, 10);
    if (log != NULL)
        (void)fclose(log);
    return (pid_t)id;
}

static void what_a_driver_started_ends_with_its_host(void **state) {
    (void)state;
    struct remote it = {0};
    struct omni_problem problem = {""};
    pid_t helper = 0;
    place_open(&it.place);
    place_shall(&it.place, "helper");
    assert_int_equal(try_open(&it, &problem), 0);
    place_shall_not(&it.place, "helper");
    await_log(&it, "helper;");
    helper = who_said(&it, "helper");
    pid_t host = who_said(&it, "open");
    assert_true(helper > 0 && helper != host && is_alive(helper));
    assert_int_equal(kill(host, SIGKILL), 0);
    tick_until_it_answers(&it, false);
    tick_until_it_answers(&it, true);
    await_death(helper);
    finish(&it);
}

static void who_is_told_to_stop_does_not_wait_for_a_driver_that_hangs_at_the_start(void **state) {
    (void)state;
    static volatile sig_atomic_t stop = 1;
    struct remote it = {.stop = &stop};
    struct omni_problem problem = {""};
    place_open(&it.place);
    place_shall(&it.place, "hang-open");
    assert_int_equal(try_open(&it, &problem), -ECANCELED);
    assert_null(it.remote);
    pid_t host = who_said(&it, "hang");
    if (host != 0)
        assert_false(is_alive(host));
    place_shall_not(&it.place, "hang-open");
    finish(&it);
}

/* ---- other hosts ---- */

static void what_a_host_says_is_ended_and_has_no_control_characters(void **state) {
    (void)state;
    char liar[PATH_MAX + 64];
    struct remote it = {.host = liar};
    struct omni_problem problem = {""};
    place_open(&it.place);
    (void)snprintf(liar, sizeof liar, "%s",
                   place_path(&it.place, true, "tests/programs/lying_host"));
    assert_int_equal(try_open(&it, &problem), -ENODEV);
    assert_int_equal(strlen(problem.text), sizeof problem.text - 1);
    assert_memory_equal(problem.text, "red: ?[31m ??, f\xc3\xbcrx", 20);
    finish(&it);
}

/* ---- emulators ---- */

/* A copy of the host program whose interpreter does not exist: what the kernel says of a program
 * for another CPU that it could run, where that CPU's libraries are not installed. */
static void make_host_without_libraries(const struct remote *it, const char *copy) {
    static char bytes[1 << 20];
    FILE *from = fopen(place_path(&it->place, true, "omni-driver-host"), "re");
    FILE *to = fopen(copy, "we");
    assert_non_null(from);
    assert_non_null(to);
    size_t count = fread(bytes, 1, sizeof bytes, from);
    char *interpreter = memmem(bytes, count, "/lib", 4);
    assert_non_null(interpreter);
    interpreter[1] = 'X';
    do
        assert_int_equal(fwrite(bytes, 1, count, to), count);
    while ((count = fread(bytes, 1, sizeof bytes, from)) > 0);
    (void)fclose(from);
    assert_int_equal(fchmod(fileno(to), 0700), 0);
    (void)fclose(to);
}

static void make_emulator(const struct remote *it, const char *file) {
    FILE *script = fopen(file, "we");
    assert_non_null(script);
    (void)fprintf(script, "#!/bin/sh\nshift\nexec %s \"$@\"\n",
                  place_path(&it->place, true, "omni-driver-host"));
    assert_int_equal(fchmod(fileno(script), 0700), 0);
    (void)fclose(script);
}

static void an_emulator_with_libraries_is_tried_where_the_kernel_finds_none(void **state) {
    (void)state;
    char host[128];
    char emulator[128];
    const struct cpu *own = NULL;
    struct remote it = {.host = host};
    struct omni_problem problem = {""};
    if (host_failure_is_hidden())
        SKIP_BECAUSE("under an emulator, the end of a child is all that tells of its start");
    place_open(&it.place);
    assert_int_equal(cpu_of_file("/proc/self/exe", &own, NULL), 0);
    (void)snprintf(host, sizeof host, "%s/host", it.place.folder);
    (void)snprintf(emulator, sizeof emulator, "%s/%s", it.place.folder, own->emulator);
    make_host_without_libraries(&it, host);
    assert_int_equal(setenv("PATH", it.place.folder, 1), 0);
    assert_int_equal(setenv("QEMU_LD_PREFIX", it.place.folder, 1), 0);
    assert_int_equal(try_open(&it, &problem), -ENODEV);
    if (strstr(problem.text, "the libraries of") == NULL)
        fail_msg("%s", problem.text);
    make_emulator(&it, emulator);
    if (try_open(&it, &problem) < 0)
        fail_msg("%s", problem.text);
    tick_until_it_answers(&it, true);
    assert_int_equal(unlink(host), 0);
    assert_int_equal(unlink(emulator), 0);
    finish(&it);
}

int main(void) {
    alarm(300); /* what is broken may wait for ever */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_reach_the_driver_in_its_process),
        cmocka_unit_test(a_dead_hosts_place_is_taken_by_another),
        cmocka_unit_test(a_hung_host_is_ended_and_replaced),
        cmocka_unit_test(a_late_host_is_kept),
        cmocka_unit_test(what_the_driver_refuses_is_told_and_nothing_is_left),
        cmocka_unit_test(a_refused_command_is_told),
        cmocka_unit_test(a_host_that_hangs_in_a_call_stops_its_motors_where_it_can),
        cmocka_unit_test(a_driver_that_takes_the_signals_for_itself_stops_its_motors_too),
        cmocka_unit_test(what_a_driver_started_ends_with_its_host),
        cmocka_unit_test(who_is_told_to_stop_does_not_wait_for_a_driver_that_hangs_at_the_start),
        cmocka_unit_test(what_a_host_says_is_ended_and_has_no_control_characters),
        cmocka_unit_test(an_emulator_with_libraries_is_tried_where_the_kernel_finds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
