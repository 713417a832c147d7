/* When motors stay off because ticks came too late, with times made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/overrun.h"

#define MS UINT64_C(1000000)

static void ticks_in_time_hold_nothing(void **state) {
    (void)state;
    struct overrun rule = {.limit_ns = 100 * MS};
    for (uint64_t i = 1; i < 500; i++)
        assert_false(overrun_tick(&rule, i * 10 * MS, false));
    /* As late as is allowed. */
    assert_false(overrun_tick(&rule, 4990 * MS + 100 * MS, false));
}

static void a_late_tick_holds_until_they_were_in_time_for_long_enough(void **state) {
    (void)state;
    struct overrun rule = {.limit_ns = 100 * MS};
    assert_false(overrun_tick(&rule, 1000 * MS, false));
    assert_true(overrun_tick(&rule, 1100 * MS + 1, false));
    uint64_t end = 1100 * MS + 1 + OVERRUN_PROBATION_NS;
    for (uint64_t now = 1110 * MS; now < end; now += 10 * MS)
        assert_true(overrun_tick(&rule, now, false));
    assert_false(overrun_tick(&rule, end + 10 * MS, false));
    assert_false(overrun_tick(&rule, end + 20 * MS, false));
}

static void another_late_tick_begins_anew(void **state) {
    (void)state;
    struct overrun rule = {.limit_ns = 100 * MS};
    assert_false(overrun_tick(&rule, 1000 * MS, false));
    assert_true(overrun_tick(&rule, 1200 * MS, false));
    uint64_t now = 1200 * MS;
    while (now < 2150 * MS)
        assert_true(overrun_tick(&rule, now += 10 * MS, false));
    /* The first probation would be over; this is late again. */
    assert_true(overrun_tick(&rule, 2300 * MS, false));
    assert_true(overrun_tick(&rule, 2400 * MS, false));
}

static void what_another_has_seen_counts_as_well(void **state) {
    (void)state;
    struct overrun rule = {.limit_ns = 100 * MS};
    assert_false(overrun_tick(&rule, 1000 * MS, false));
    assert_true(overrun_tick(&rule, 1010 * MS, true));
    assert_true(overrun_tick(&rule, 1020 * MS, false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_in_time_hold_nothing),
        cmocka_unit_test(a_late_tick_holds_until_they_were_in_time_for_long_enough),
        cmocka_unit_test(another_late_tick_begins_anew),
        cmocka_unit_test(what_another_has_seen_counts_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
