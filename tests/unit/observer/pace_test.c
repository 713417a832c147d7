/* How soon something is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observer/clock.h"
#include "observer/pace.h"

static uint64_t now_ns;

static uint64_t setback_s(struct pace *pace) {
    return pace_setback(pace, now_ns) / CLOCK_NS_A_SECOND;
}

static void a_few_are_quick_and_then_ever_slower(void **state) {
    static const uint64_t expected[] = {1, 1, 1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct pace pace = {.setbacks = 0};
    (void)state;
    now_ns = 1000 * CLOCK_NS_A_SECOND;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        uint64_t seconds = setback_s(&pace);
        assert_int_equal(seconds, expected[i]);
        now_ns += seconds * CLOCK_NS_A_SECOND + 5;
    }
}

static void calm_is_rewarded(void **state) {
    struct pace pace = {.setbacks = 0};
    (void)state;
    now_ns = 5;
    for (int i = 0; i < 1000; i++)
        (void)setback_s(&pace);
    assert_int_equal(setback_s(&pace), PACE_MOST_S);
    now_ns += PACE_CALM_S * CLOCK_NS_A_SECOND - 1;
    assert_int_equal(setback_s(&pace), PACE_MOST_S);
    now_ns += PACE_CALM_S * CLOCK_NS_A_SECOND;
    assert_int_equal(setback_s(&pace), 1);
    assert_int_equal(setback_s(&pace), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_are_quick_and_then_ever_slower),
        cmocka_unit_test(calm_is_rewarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
