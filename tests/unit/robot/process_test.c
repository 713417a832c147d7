/* The real program: start, stop, death, refusals. $OMNI_BUILD says where it was built; without it,
 * it is looked for beside this test. Where this test runs under an emulator, so does the program. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/skip.h"
#include <omni/observe.h>

#include "robot/clock.h"
#include "robot/host_process.h"
#include "robot/status.h"

#define WORDS_MAX     14
#define PATIENCE_NS   (20 * CLOCK_NS_A_SECOND)
#define EXIT_NO_MOUNT 77

static char build[480];
static char program[512];
static char launcher[512]; /* "": the kernel runs the program as it is */
static char directory[] = "/tmp/omni-robot-XXXXXX";

/* What is changed in the child before the program starts; false: it could not be. */
typedef bool prepare_function(void);

struct process {
    pid_t id;
    FILE *said; /* standard output and error */
    char text[4096];
};

/* ---- starting and ending ----------------------------------------------------------------------
 */

static void become_the_program(const char *const *words, prepare_function *prepare, int output) {
    char *argv[WORDS_MAX + 1] = {launcher, build, program};
    char **own = launcher[0] != '\0' ? argv : &argv[2];
    for (int i = 0; words[i] != NULL; i++)
        argv[i + 3] = strdup(words[i]);
    (void)setenv("OMNI_DIRECTORY", directory, 1);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    if (prepare != NULL && !prepare())
        _exit(EXIT_NO_MOUNT);
    execv(own[0], own);
    perror(own[0]);
    _exit(127);
}

static struct process start_prepared(const char *const *words, prepare_function *prepare) {
    struct process process = {.said = tmpfile()};
    assert_non_null(process.said);
    process.id = fork();
    if (process.id == 0)
        become_the_program(words, prepare, fileno(process.said));
    assert_true(process.id > 0);
    return process;
}

static struct process start(const char *const *words) {
    return start_prepared(words, NULL);
}

/* Waits for the end; what it said is in process->text. Returns its exit status, or 128 + the
 * signal that ended it. */
static int end(struct process *process) {
    int status;
    pid_t ended = 0;
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    while ((ended = waitpid(process->id, &status, WNOHANG)) == 0 && clock_now_ns() < bound)
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    if (ended == 0) {
        (void)kill(process->id, SIGKILL);
        (void)waitpid(process->id, &status, 0);
        fail_msg("process %d did not end by itself", process->id);
    }
    rewind(process->said);
    size_t length = fread(process->text, 1, sizeof process->text - 1, process->said);
    process->text[length] = '\0';
    (void)fclose(process->said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void assert_says(const struct process *process, const char *wanted) {
    if (strstr(process->text, wanted) == NULL)
        fail_msg("\"%s\" does not contain \"%s\"", process->text, wanted);
}

static void assert_one_line(const struct process *process) {
    const char *newline = strchr(process->text, '\n');
    if (newline == NULL || newline[1] != '\0')
        fail_msg("not one line: \"%s\"", process->text);
}

/* ---- looking at its segment -------------------------------------------------------------------
 */

static struct omni_observer *attach(const char *name) {
    struct omni_observer_options options = {.directory = directory};
    struct omni_observer *observer;
    struct omni_problem problem;
    if (omni_observer_attach(&observer, name, &options, &problem) < 0)
        fail_msg("%s", problem.text);
    return observer;
}

/* Attaches to what this very process publishes, once it has published `tick`. */
static struct omni_observer *attach_running(const struct process *process, const char *name,
                                            uint64_t tick) {
    struct omni_observer_options options = {.directory = directory};
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    while (clock_now_ns() < bound) {
        struct omni_observer *observer;
        struct omni_stamp stamp;
        struct robot_status status;
        if (omni_observer_attach(&observer, name, &options, NULL) == 0) {
            if (omni_observer_facts(observer)->process_id == (uint32_t)process->id &&
                omni_observer_newest(observer, &stamp, &status) == 0 && stamp.tick >= tick)
                return observer;
            omni_observer_detach(observer);
        }
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    }
    (void)kill(process->id, SIGKILL);
    fail_msg("process %d does not publish", process->id);
    return NULL;
}

static struct robot_status newest(struct omni_observer *observer, struct omni_stamp *stamp) {
    struct robot_status status;
    assert_int_equal(omni_observer_payload_bytes(observer), sizeof status);
    assert_int_equal(omni_observer_newest(observer, stamp, &status), 0);
    return status;
}

static void assert_ended_in_order(struct omni_observer *observer) {
    struct omni_stamp stamp;
    struct robot_status last = newest(observer, &stamp);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_CLOSED);
    assert_int_equal(last.bot_mode, BOT_STOPPED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(last.motor_power[i], 0);
}

/* ---- the tests --------------------------------------------------------------------------------
 */

static void so_many_ticks_and_no_more(void **state) {
    (void)state;
    const char *const words[] = {"--name", "count", "--ticks", "30", "--tick-hz", "200", NULL};
    struct process robot = start(words);
    assert_int_equal(end(&robot), 0);
    assert_says(&robot, "Robot \"count\" runs: 200 ticks a second, board sim, process ");
    assert_says(&robot, "Robot \"count\" stopped: 30 ticks, ");
    struct omni_observer *observer = attach("count");
    struct omni_stamp stamp;
    (void)newest(observer, &stamp);
    assert_int_equal(stamp.tick, 30);
    assert_int_equal(omni_observer_facts(observer)->period_ns, 5000000);
    struct omni_problem problem = {""};
    if (omni_observer_expect(observer, robot_status_schema(), &problem) < 0)
        fail_msg("%s", problem.text);
    assert_ended_in_order(observer);
    omni_observer_detach(observer);
}

static void signals_stop_it_in_order(void **state) {
    (void)state;
    const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    const char *const words[] = {"--name", "signal", NULL};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct process robot = start(words);
        struct omni_observer *observer = attach_running(&robot, "signal", 10);
        assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
        assert_int_equal(kill(robot.id, signals[i]), 0);
        assert_int_equal(end(&robot), 0);
        assert_says(&robot, "stopped: ");
        assert_ended_in_order(observer);
        omni_observer_detach(observer);
    }
}

static void it_drives(void **state) {
    (void)state;
    const char *const words[] = {"--name", "drive", NULL};
    struct process robot = start(words);
    struct omni_observer *observer = attach_running(&robot, "drive", 150);
    struct omni_stamp stamp;
    struct robot_status status;
    unsigned driving = 0;
    unsigned seeing = 0;
    while (omni_observer_next(observer, &stamp, &status) == 0) {
    }
    omni_observer_detach(observer);
    observer = attach("drive");
    while (omni_observer_next(observer, &stamp, &status) == 0) {
        driving += status.motor_power[0] != 0 || status.motor_power[2] != 0;
        seeing += status.sensors[0] >= 20 && status.sensors[0] <= 4000;
        assert_in_range(status.bot_mode, 0, BOT_STOPPED);
    }
    assert_true(driving > 0);
    assert_true(seeing > 0);
    assert_true(status.position[0] != 0 || status.position[1] != 0 || status.heading != 0);
    assert_int_equal(kill(robot.id, SIGTERM), 0);
    assert_int_equal(end(&robot), 0);
    omni_observer_detach(observer);
}

static void a_second_one_of_the_name_is_refused(void **state) {
    (void)state;
    const char *const words[] = {"--name", "two", NULL};
    struct process first = start(words);
    struct omni_observer *observer = attach_running(&first, "two", 1);
    struct process second = start(words);
    char id[16];
    (void)snprintf(id, sizeof id, "process %d", first.id);
    assert_int_equal(end(&second), 2);
    assert_says(&second, id);
    assert_one_line(&second);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    assert_false(omni_observer_is_replaced(observer));
    assert_int_equal(kill(first.id, SIGTERM), 0);
    assert_int_equal(end(&first), 0);
    omni_observer_detach(observer);
}

static void a_killed_ones_place_is_free_at_once(void **state) {
    (void)state;
    const char *const words[] = {"--name", "killed", NULL};
    struct process first = start(words);
    struct omni_observer *observer = attach_running(&first, "killed", 5);
    assert_int_equal(kill(first.id, SIGKILL), 0);
    assert_int_equal(end(&first), 128 + SIGKILL);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_DIED);
    /* What it last knew can still be read. */
    struct omni_stamp stamp;
    struct robot_status last = newest(observer, &stamp);
    assert_int_not_equal(last.bot_mode, BOT_STOPPED);
    struct process second = start(words);
    struct omni_observer *again = attach_running(&second, "killed", 5);
    assert_true(omni_observer_is_replaced(observer));
    assert_true(omni_observer_facts(again)->instance != omni_observer_facts(observer)->instance);
    assert_int_equal(kill(second.id, SIGTERM), 0);
    assert_int_equal(end(&second), 0);
    omni_observer_detach(observer);
    omni_observer_detach(again);
}

static void mistakes_end_with_one_line_and_2(void **state) {
    (void)state;
    static const struct {
        const char *words[7];
        const char *said;
    } mistakes[] = {
        {{"--frobnicate"}, "--frobnicate"},
        {{"--tick-hz", "0"}, "from 1 to 1000"},
        {{"--board", "toaster"}, "there are: sim"},
        {{"--name", "a/b"}, "a/b"},
        {{"--directory", "/nonexistent"}, "/nonexistent"},
        {{"--name", "two", "--board", "gpio"}, "--board-config FILE"},
        {{"--name", "two", "--board", "gpio", "--board-config", "/nonexistent"},
         "--board-config /nonexistent: No"},
        {{"--name", "two", "--board", "gpio", "--board-config", "LICENSE"},
         "LICENSE:1: neither [section] nor key"},
        {{"--name", "two", "--watchdog", "/nonexistent"}, "--watchdog /nonexistent: No"},
        {{"--name", "two", "--watchdog", "/nonexistent", "--lockstep"},
         "--lockstep and --watchdog exclude each other"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct process robot = start(mistakes[i].words);
        assert_int_equal(end(&robot), 2);
        assert_says(&robot, mistakes[i].said);
        assert_one_line(&robot);
    }
}

static void help_and_version(void **state) {
    (void)state;
    struct process help = start((const char *const[]){"--help", NULL});
    assert_int_equal(end(&help), 0);
    assert_says(&help, "Usage: omni-robot");
    struct process version = start((const char *const[]){"--version", NULL});
    assert_int_equal(end(&version), 0);
    assert_says(&version, "omni-robot " OMNI_VERSION "\n");
}

/* As for an ordinary user, also where the tests run as root. */
static bool forbid_realtime(void) {
    const struct rlimit none = {0, 0};
    (void)prctl(PR_CAPBSET_DROP, CAP_SYS_NICE, 0, 0, 0);
    return setrlimit(RLIMIT_RTPRIO, &none) == 0;
}

static void realtime_is_refused_where_it_is_not_permitted(void **state) {
    (void)state;
    const char *const words[] = {"--name", "hurry", "--realtime", "--ticks", "5", NULL};
    struct process robot = start_prepared(words, forbid_realtime);
    assert_int_equal(end(&robot), 2);
    assert_says(&robot, "--realtime");
    assert_says(&robot, "setcap cap_sys_nice,cap_ipc_lock+ep");
    assert_one_line(&robot);
    struct omni_observer_options options = {.directory = directory};
    struct omni_observer *observer;
    assert_int_equal(omni_observer_attach(&observer, "hurry", &options, NULL), -ENOENT);
}

static bool write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        (void)close(file);
    return written;
}

/* File systems of this process only; one that is not root becomes the root of a world of its own
 * for it. */
static bool leave_for_own_mounts(void) {
    char user[32];
    char group[32];
    (void)snprintf(user, sizeof user, "0 %u 1", geteuid());
    (void)snprintf(group, sizeof group, "0 %u 1", getegid());
    if (geteuid() != 0 &&
        (unshare(CLONE_NEWUSER) < 0 || !write_text("/proc/self/setgroups", "deny") ||
         !write_text("/proc/self/uid_map", user) || !write_text("/proc/self/gid_map", group)))
        return false;
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Four pages over the directory, two of them taken: enough for the small files, not for the
 * segment. */
static bool fill_directory(void) {
    char path[128];
    char options[64];
    long page = sysconf(_SC_PAGESIZE);
    (void)snprintf(options, sizeof options, "size=%ld", 4 * page);
    (void)snprintf(path, sizeof path, "%s/filling", directory);
    if (!leave_for_own_mounts() || mount("none", directory, "tmpfs", 0, options) < 0)
        return false;
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    return posix_fallocate(file, 0, 2 * page) == 0;
}

static void no_room_is_said(void **state) {
    (void)state;
    const char *const words[] = {"--name", "crowd", "--ticks", "5", NULL};
    struct process robot = start_prepared(words, fill_directory);
    int status = end(&robot);
    if (status == EXIT_NO_MOUNT)
        SKIP_BECAUSE("this user may not mount a small file system to fill");
    assert_int_equal(status, 2);
    assert_says(&robot, "no room for ");
    assert_one_line(&robot);
}

/* ---- around them ------------------------------------------------------------------------------
 */

/* The build folder that this test stands in. */
static bool find_own_build(void) {
    ssize_t length = readlink("/proc/self/exe", build, sizeof build - 1);
    char *tests = length > 0 ? strstr(build, "/tests/unit/robot/") : NULL;
    if (tests != NULL)
        *tests = '\0';
    return tests != NULL;
}

static int find_program(void **state) {
    (void)state;
    const char *named = getenv("OMNI_BUILD");
    if (named != NULL)
        (void)snprintf(build, sizeof build, "%s", named);
    else if (!find_own_build())
        return -1;
    (void)snprintf(program, sizeof program, "%s/omni-robot", build);
    if (host_failure_is_hidden())
        (void)snprintf(launcher, sizeof launcher, "%s/../../scripts/launch", build);
    if (access(program, X_OK) < 0 || (launcher[0] != '\0' && access(launcher, X_OK) < 0)) {
        print_error("%s %s is not there: type make first\n", program, launcher);
        return -1;
    }
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    static const char *const names[] = {"count",  "signal", "drive", "two",
                                        "killed", "hurry",  "crowd"};
    static const char *const files[] = {"omni", "omni-lock", "omni-sleepers", "omni-new"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
            char path[128];
            (void)snprintf(path, sizeof path, "%s/%s.%s", directory, files[f], names[i]);
            (void)unlink(path);
        }
    }
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_ticks_and_no_more),
        cmocka_unit_test(signals_stop_it_in_order),
        cmocka_unit_test(it_drives),
        cmocka_unit_test(a_second_one_of_the_name_is_refused),
        cmocka_unit_test(a_killed_ones_place_is_free_at_once),
        cmocka_unit_test(mistakes_end_with_one_line_and_2),
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(realtime_is_refused_where_it_is_not_permitted),
        cmocka_unit_test(no_room_is_said),
    };
    return cmocka_run_group_tests(tests, find_program, remove_directory);
}
