/* Pulses of an echo sensor, with times made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/echo.h"

#define US UINT64_C(1000)
#define MS (1000 * US)

static void pulses_are_millimetres(void **state) {
    (void)state;
    /* 343 m/s, there and back. */
    assert_int_equal(echo_range_mm(5831 * US), 1000);
    assert_int_equal(echo_range_mm(2915 * US), 500);
    assert_int_equal(echo_range_mm(583 * US), 100);
    assert_int_equal(echo_range_mm(0), ECHO_RANGE_MIN_MM);
    assert_int_equal(echo_range_mm(100 * US), ECHO_RANGE_MIN_MM);
    assert_int_equal(echo_range_mm(23300 * US), 3996);
    assert_int_equal(echo_range_mm(38 * MS), ECHO_RANGE_MAX_MM);
    assert_int_equal(echo_range_mm(UINT64_MAX), ECHO_RANGE_MAX_MM);
}

static void a_pulse_after_the_trigger_is_an_answer(void **state) {
    (void)state;
    struct echo echo = {0};
    assert_true(echo_may_trigger(&echo));
    echo_triggered(&echo, 100 * MS);
    echo_edge(&echo, true, 100 * MS + 500 * US);
    assert_false(echo_may_trigger(&echo));
    assert_int_equal(echo.answered_ns, 0);
    echo_edge(&echo, false, 100 * MS + 500 * US + 5831 * US);
    assert_int_equal(echo.range_mm, 1000);
    assert_int_equal(echo.answered_ns, 100 * MS + 6331 * US);
    echo_slot_ends(&echo, 125 * MS);
    assert_int_equal(echo.answered_ns, 100 * MS + 6331 * US);
    assert_true(echo_may_trigger(&echo));
}

static void no_pulse_is_no_answer(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_triggered(&echo, 100 * MS);
    echo_slot_ends(&echo, 125 * MS);
    assert_int_equal(echo.answered_ns, 0);
}

static void a_pulse_that_goes_on_means_nothing_within_reach(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_triggered(&echo, 100 * MS);
    echo_edge(&echo, true, 101 * MS);
    echo_slot_ends(&echo, 125 * MS);
    assert_int_equal(echo.range_mm, ECHO_RANGE_MAX_MM);
    assert_int_equal(echo.answered_ns, 125 * MS);
    /* Still up at the next turn: it would not hear, so it is not asked; no answer is made up. */
    assert_false(echo_may_trigger(&echo));
    echo_slot_ends(&echo, 175 * MS);
    assert_int_equal(echo.answered_ns, 125 * MS);
    echo_edge(&echo, false, 180 * MS);
    assert_int_equal(echo.answered_ns, 125 * MS);
    assert_true(echo_may_trigger(&echo));
}

/* The trigger came late, or the sensor is slow: too early to tell. */
static void a_pulse_that_has_only_begun_means_nothing(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_triggered(&echo, 100 * MS);
    echo_edge(&echo, true, 110 * MS);
    echo_slot_ends(&echo, 126 * MS);
    assert_int_equal(echo.answered_ns, 0);
}

/* Its end was lost: the level tells. */
static void a_pulse_that_has_ended_does_not_go_on(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_triggered(&echo, 100 * MS);
    echo_edge(&echo, true, 101 * MS);
    echo_level(&echo, false);
    echo_slot_ends(&echo, 126 * MS);
    assert_int_equal(echo.answered_ns, 0);
}

static void a_line_that_stays_up_is_silence(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_level(&echo, true);
    assert_false(echo_may_trigger(&echo));
    echo_slot_ends(&echo, 125 * MS);
    assert_int_equal(echo.answered_ns, 0);
}

static void what_nobody_asked_for_is_not_believed(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_edge(&echo, true, 90 * MS); /* before any trigger */
    echo_edge(&echo, false, 91 * MS);
    assert_int_equal(echo.answered_ns, 0);
    echo_edge(&echo, true, 99 * MS);
    echo_triggered(&echo, 100 * MS);
    echo_edge(&echo, false, 102 * MS); /* the end of one that began before */
    assert_int_equal(echo.answered_ns, 0);
    echo_edge(&echo, true, 103 * MS);
    echo_edge(&echo, false, 104 * MS);
    assert_int_equal(echo.range_mm, 172);
    echo_edge(&echo, true, 110 * MS); /* and another one after the answer */
    echo_edge(&echo, false, 120 * MS);
    assert_int_equal(echo.range_mm, 172);
}

/* An edge with a stamp from before the trigger was on its way when it was given. */
static void edges_from_before_the_trigger_do_not_count(void **state) {
    (void)state;
    struct echo echo = {0};
    echo_triggered(&echo, 100 * MS);
    echo_edge(&echo, true, 99 * MS);
    echo_edge(&echo, false, 105 * MS);
    echo_slot_ends(&echo, 125 * MS);
    assert_int_equal(echo.answered_ns, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pulses_are_millimetres),
        cmocka_unit_test(a_pulse_after_the_trigger_is_an_answer),
        cmocka_unit_test(no_pulse_is_no_answer),
        cmocka_unit_test(a_pulse_that_goes_on_means_nothing_within_reach),
        cmocka_unit_test(a_pulse_that_has_only_begun_means_nothing),
        cmocka_unit_test(a_pulse_that_has_ended_does_not_go_on),
        cmocka_unit_test(a_line_that_stays_up_is_silence),
        cmocka_unit_test(what_nobody_asked_for_is_not_believed),
        cmocka_unit_test(edges_from_before_the_trigger_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
