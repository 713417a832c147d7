/* A terminal in the place of the machine's watchdog: a device that tells what is written into it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/watchdog.h"

#define MS    CLOCK_NS_A_MILLISECOND
#define START (1000 * CLOCK_NS_A_SECOND)

static void without_one_nothing_happens(void **state) {
    (void)state;
    struct watchdog watchdog;
    const struct watchdog_options none = {.system = "/sys"};
    assert_int_equal(watchdog_open(&watchdog, &none, NULL), 0);
    watchdog_feed(&watchdog, START);
    watchdog_close(&watchdog);
}

/* Returns the side that hears what is written at `path`, byte by byte. */
static int open_terminal(char path[64]) {
    struct termios raw;
    int other = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(other >= 0);
    assert_int_equal(grantpt(other), 0);
    assert_int_equal(unlockpt(other), 0);
    assert_int_equal(ptsname_r(other, path, 64), 0);
    assert_int_equal(tcgetattr(other, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(other, TCSANOW, &raw), 0);
    return other;
}

/* A terminal says nothing of its patience: it is fed once a second. */
static void the_machines_is_fed_and_told_to_let_go(void **state) {
    (void)state;
    char path[64];
    char got[16] = "x";
    struct watchdog watchdog;
    int heard = open_terminal(path);
    const struct watchdog_options how = {.device = path, .system = "/sys", .period_ns = MS};
    assert_int_equal(watchdog_open(&watchdog, &how, NULL), 0);
    assert_int_equal(watchdog.timeout_s, WATCHDOG_PATIENCE_S);
    assert_false(watchdog.stays);
    watchdog_feed(&watchdog, START);
    watchdog_feed(&watchdog, START + 999 * MS);
    assert_int_equal(read(heard, got, sizeof got), 1);
    watchdog_feed(&watchdog, START + 1000 * MS);
    assert_int_equal(read(heard, got, sizeof got), 1);
    assert_int_equal(got[0], '\0');
    watchdog_close(&watchdog);
    assert_int_equal(read(heard, got, sizeof got), 1);
    assert_int_equal(got[0], 'V');
    (void)close(heard);
}

/* Feeding would write over it. */
static void a_file_is_no_watchdog_and_stays_as_it_is(void **state) {
    (void)state;
    char path[] = "/tmp/omni-watchdog-XXXXXX";
    char got[16] = "";
    struct watchdog watchdog = {.device = -2};
    struct omni_problem problem = {""};
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "precious", 8), 8);
    const struct watchdog_options how = {.device = path, .system = "/sys", .period_ns = MS};
    assert_int_equal(watchdog_open(&watchdog, &how, &problem), -ENODEV);
    assert_int_equal(watchdog.device, -2); /* untouched */
    assert_non_null(strstr(problem.text, "that is no watchdog"));
    assert_int_equal(pread(file, got, sizeof got, 0), 8);
    assert_string_equal(got, "precious");
    (void)close(file);
    (void)unlink(path);
}

/* Without a reader, and with one: nobody is waited for. */
static void a_pipe_keeps_nobody_waiting(void **state) {
    (void)state;
    char folder[] = "/tmp/omni-watchdog-XXXXXX";
    char path[64];
    struct watchdog watchdog;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    const struct watchdog_options how = {.device = path, .system = "/sys", .period_ns = MS};
    (void)alarm(60);
    assert_int_equal(watchdog_open(&watchdog, &how, NULL), -ENODEV);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(watchdog_open(&watchdog, &how, NULL), -ENODEV);
    (void)alarm(0);
    (void)close(reader);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void one_that_is_not_there_is_named(void **state) {
    (void)state;
    struct watchdog watchdog;
    struct omni_problem problem = {""};
    const struct watchdog_options how = {.device = "/dev/no-watchdog", .system = "/sys"};
    assert_int_equal(watchdog_open(&watchdog, &how, &problem), -ENOENT);
    assert_non_null(strstr(problem.text, "--watchdog /dev/no-watchdog"));
}

/* A directory tree in the place of sysfs, where the driver of /dev/null tells about itself. */
static void write_fact(const char *folder, const char *name, const char *text) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/dev/char/1:3/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void one_that_bites_within_two_ticks_is_refused(void **state) {
    (void)state;
    char folder[] = "/tmp/omni-watchdog-XXXXXX";
    char command[256];
    struct watchdog watchdog = {.device = -2};
    struct omni_problem problem = {""};
    struct watchdog_options how = {.device = "/dev/null", .system = folder, .period_ns = 1000 * MS};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(command, sizeof command, "mkdir -p %s/dev/char/1:3", folder);
    assert_int_equal(system(command), 0);
    write_fact(folder, "timeout", "1\n");
    write_fact(folder, "nowayout", "1\n");
    assert_int_equal(watchdog_open(&watchdog, &how, &problem), -ERANGE);
    assert_int_equal(watchdog.device, -2); /* untouched */
    assert_non_null(strstr(problem.text, "its 1 s are less than two ticks"));
    assert_non_null(strstr(problem.text, "wdctl --settimeout"));
    how.period_ns = 500 * MS;
    assert_int_equal(watchdog_open(&watchdog, &how, &problem), 0);
    assert_int_equal(watchdog.timeout_s, 1);
    assert_true(watchdog.stays);
    watchdog_close(&watchdog);
    write_fact(folder, "nowayout", "0\n");
    assert_int_equal(watchdog_open(&watchdog, &how, &problem), 0);
    assert_false(watchdog.stays);
    watchdog_close(&watchdog);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_one_nothing_happens),
        cmocka_unit_test(the_machines_is_fed_and_told_to_let_go),
        cmocka_unit_test(a_file_is_no_watchdog_and_stays_as_it_is),
        cmocka_unit_test(a_pipe_keeps_nobody_waiting),
        cmocka_unit_test(one_that_is_not_there_is_named),
        cmocka_unit_test(one_that_bites_within_two_ticks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
