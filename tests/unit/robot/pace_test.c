/* The rhythm of the loop, with times made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/pace.h"

#define MS UINT64_C(1000000)

/* Somewhere in the life of the clock. */
#define START (123456789ull * MS)

static void deadlines_stand_on_a_grid(void **state) {
    (void)state;
    struct pace pace = pace_start(10 * MS, START);
    assert_int_equal(pace.deadline_ns, START);
    pace_woke(&pace, START + 1);
    assert_int_equal(pace.measured_ns, 0);
    assert_int_equal(pace.deadline_ns, START + 10 * MS);
    /* 3 ms late: the next one is not moved by it. */
    pace_woke(&pace, START + 13 * MS);
    assert_int_equal(pace.deadline_ns, START + 20 * MS);
    assert_int_equal(pace.measured_ns, 13 * MS - 1);
    assert_int_equal(pace.lateness_ns, 3 * MS);
    assert_int_equal(pace.overruns, 0);
}

static void deadlines_that_are_past_are_left_out_and_counted(void **state) {
    (void)state;
    struct pace pace = pace_start(10 * MS, START);
    pace_woke(&pace, START);
    /* Due at 10, woke at 47: 20, 30 and 40 are past. */
    pace_woke(&pace, START + 47 * MS);
    assert_int_equal(pace.overruns, 3);
    assert_int_equal(pace.deadline_ns, START + 50 * MS);
    assert_int_equal(pace.lateness_ns, 37 * MS);
    pace_woke(&pace, START + 50 * MS);
    assert_int_equal(pace.overruns, 3);
    assert_int_equal(pace.deadline_ns, START + 60 * MS);
}

static void a_whole_period_late_is_an_overrun(void **state) {
    (void)state;
    struct pace pace = pace_start(10 * MS, START);
    pace_woke(&pace, START + 10 * MS - 1);
    assert_int_equal(pace.overruns, 0);
    assert_int_equal(pace.deadline_ns, START + 10 * MS);
    pace_woke(&pace, START + 20 * MS);
    assert_int_equal(pace.overruns, 1);
    assert_int_equal(pace.deadline_ns, START + 30 * MS);
}

static void a_tick_that_comes_early_is_not_late(void **state) {
    (void)state;
    struct pace pace = pace_start(10 * MS, START);
    pace_woke(&pace, START);
    pace_woke(&pace, START + 4 * MS);
    assert_int_equal(pace.measured_ns, 4 * MS);
    assert_int_equal(pace.lateness_ns, 0);
    assert_int_equal(pace.overruns, 0);
    assert_int_equal(pace.deadline_ns, START + 10 * MS);
}

static void jitter_is_the_worst_of_the_last_second(void **state) {
    (void)state;
    struct pace pace = pace_start(10 * MS, START);
    for (uint64_t tick = 0; tick < 500; tick++) {
        uint64_t lateness = tick == 100 ? 7 * MS : tick == 150 ? 2 * MS : 1000;
        pace_woke(&pace, START + tick * 10 * MS + lateness);
        /* 7 ms at 1.0 s, 2 ms at 1.5 s; both gone after 1.0 to 1.1 s. */
        uint64_t jitter = pace_jitter_ns(&pace);
        if (tick < 100 || tick > 261)
            assert_int_equal(jitter, 1000);
        else if (tick <= 200)
            assert_int_equal(jitter, 7 * MS);
        else if (tick > 211 && tick <= 250)
            assert_int_equal(jitter, 2 * MS);
    }
    assert_int_equal(pace.worst_ns, 7 * MS);
}

static void a_long_pause_empties_the_last_second(void **state) {
    (void)state;
    struct pace pace = pace_start(2000ull * MS, START);
    pace_woke(&pace, START + 30 * MS);
    assert_int_equal(pace_jitter_ns(&pace), 30 * MS);
    pace_woke(&pace, START + 2000ull * MS + 5);
    assert_int_equal(pace_jitter_ns(&pace), 5);
    assert_int_equal(pace.worst_ns, 30 * MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_stand_on_a_grid),
        cmocka_unit_test(deadlines_that_are_past_are_left_out_and_counted),
        cmocka_unit_test(a_whole_period_late_is_an_overrun),
        cmocka_unit_test(a_tick_that_comes_early_is_not_late),
        cmocka_unit_test(jitter_is_the_worst_of_the_last_second),
        cmocka_unit_test(a_long_pause_empties_the_last_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
