/* A file in the place of the machine's watchdog. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* A file says nothing of its patience: it is fed once a second. */
static void the_machines_is_fed_and_told_to_let_go(void **state) {
    (void)state;
    char path[] = "/tmp/omni-watchdog-XXXXXX";
    char got[16] = "";
    struct watchdog watchdog;
    int file = mkstemp(path);
    assert_true(file >= 0);
    const struct watchdog_options how = {.device = path, .system = "/sys", .period_ns = MS};
    assert_int_equal(watchdog_open(&watchdog, &how, NULL), 0);
    assert_int_equal(watchdog.timeout_s, WATCHDOG_PATIENCE_S);
    assert_false(watchdog.stays);
    watchdog_feed(&watchdog, START);
    watchdog_feed(&watchdog, START + 999 * MS);
    assert_int_equal(read(file, got, sizeof got), 1);
    watchdog_feed(&watchdog, START + 1000 * MS);
    assert_int_equal(read(file, got, sizeof got), 1);
    assert_int_equal(got[0], '\0');
    watchdog_close(&watchdog);
    assert_int_equal(read(file, got, sizeof got), 1);
    assert_int_equal(got[0], 'V');
    (void)close(file);
    (void)unlink(path);
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
        cmocka_unit_test(one_that_is_not_there_is_named),
        cmocka_unit_test(one_that_bites_within_two_ticks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
