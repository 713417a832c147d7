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
    assert_int_equal(watchdog_open(&watchdog, NULL, NULL), 0);
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
    assert_int_equal(watchdog_open(&watchdog, path, NULL), 0);
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
    assert_int_equal(watchdog_open(&watchdog, "/dev/no-watchdog", &problem), -ENOENT);
    assert_non_null(strstr(problem.text, "--watchdog /dev/no-watchdog"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_one_nothing_happens),
        cmocka_unit_test(the_machines_is_fed_and_told_to_let_go),
        cmocka_unit_test(one_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
