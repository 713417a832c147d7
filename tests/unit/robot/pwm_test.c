/* Pulses in numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/pwm.h"

#define PERIOD UINT64_C(10000000)

static void a_pulse_is_as_long_as_the_power_says(void **state) {
    (void)state;
    assert_int_equal(pwm_on_ns(0, PERIOD), 0);
    assert_int_equal(pwm_on_ns(1, PERIOD), 100000);
    assert_int_equal(pwm_on_ns(-37, PERIOD), 3700000);
    assert_int_equal(pwm_on_ns(100, PERIOD), PERIOD);
    assert_int_equal(pwm_on_ns(-128, PERIOD), PERIOD);
    assert_int_equal(pwm_on_ns(50, 50000), 25000); /* 20 kHz */
}

static void lines_go_off_in_the_order_of_their_pulses(void **state) {
    (void)state;
    struct pwm_plan plan = pwm_plan((const int8_t[]){60, -20, 40}, PERIOD);
    assert_int_equal(plan.on_first, 7);
    assert_int_equal(plan.steps, 3);
    assert_int_equal(plan.step[0].at_ns, 2000000);
    assert_int_equal(plan.step[0].off, 2);
    assert_int_equal(plan.step[1].at_ns, 4000000);
    assert_int_equal(plan.step[1].off, 4);
    assert_int_equal(plan.step[2].at_ns, 6000000);
    assert_int_equal(plan.step[2].off, 1);
}

static void nothing_and_all_need_no_step(void **state) {
    (void)state;
    struct pwm_plan plan = pwm_plan((const int8_t[]){0, 100, -100}, PERIOD);
    assert_int_equal(plan.on_first, 6);
    assert_int_equal(plan.steps, 0);
    plan = pwm_plan((const int8_t[]){0, 0, 0}, PERIOD);
    assert_int_equal(plan.on_first, 0);
    assert_int_equal(plan.steps, 0);
}

static void equal_pulses_share_a_step(void **state) {
    (void)state;
    struct pwm_plan plan = pwm_plan((const int8_t[]){-40, 70, 40}, PERIOD);
    assert_int_equal(plan.steps, 2);
    assert_int_equal(plan.step[0].off, 5);
    assert_int_equal(plan.step[1].off, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pulse_is_as_long_as_the_power_says),
        cmocka_unit_test(lines_go_off_in_the_order_of_their_pulses),
        cmocka_unit_test(nothing_and_all_need_no_step),
        cmocka_unit_test(equal_pulses_share_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
