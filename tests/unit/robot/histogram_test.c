/* Durations, counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/histogram.h"

#define US UINT64_C(1000)

static void empty_says_nothing(void **state) {
    (void)state;
    const struct histogram empty = {0};
    assert_int_equal(histogram_within(&empty, 0.5), 0);
    assert_int_equal(histogram_within(&empty, 1), 0);
    assert_int_equal(histogram_below(&empty, 1024), 0);
}

static void shares_are_told_to_an_eighth(void **state) {
    (void)state;
    struct histogram histogram = {0};
    for (uint64_t us = 1; us <= 1000; us++)
        histogram_add(&histogram, us * US);
    assert_int_equal(histogram.count, 1000);
    assert_int_equal(histogram.worst_ns, 1000 * US);
    const struct {
        double share;
        uint64_t us;
    } cases[] = {{0.01, 10}, {0.1, 100}, {0.5, 500}, {0.99, 990}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t within = histogram_within(&histogram, cases[i].share);
        if (within < cases[i].us * US || within > cases[i].us * US * 9 / 8 + US)
            fail_msg("%g: %llu ns", cases[i].share, (unsigned long long)within);
    }
    assert_int_equal(histogram_within(&histogram, 1), 1000 * US);
}

static void powers_of_two_are_exact_bounds(void **state) {
    (void)state;
    struct histogram histogram = {0};
    for (uint64_t us = 1; us <= 1 << 20; us *= 2) {
        histogram_add(&histogram, us * US - 1);
        histogram_add(&histogram, us * US);
    }
    uint64_t expected = 1;
    for (uint64_t us = 1; us <= 1 << 20; us *= 2, expected += 2)
        assert_int_equal(histogram_below(&histogram, us), expected);
}

/* Every bucket follows the one before: what is longer is never told as shorter. */
static void longer_is_never_told_as_shorter(void **state) {
    (void)state;
    uint64_t before = 0;
    for (uint64_t ns = 1; ns < UINT64_MAX / 4; ns += ns / 17 + 1) {
        struct histogram histogram = {0};
        histogram_add(&histogram, ns);
        histogram_add(&histogram, UINT64_MAX);
        uint64_t within = histogram_within(&histogram, 0.5);
        if (within < before)
            fail_msg("%llu ns: %llu after %llu", (unsigned long long)ns, (unsigned long long)within,
                     (unsigned long long)before);
        before = within;
    }
}

static void nothing_is_too_long(void **state) {
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, 0);
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(histogram_within(&histogram, 0.5), HISTOGRAM_UNIT_NS);
    assert_int_equal(histogram.worst_ns, UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_says_nothing),
        cmocka_unit_test(shares_are_told_to_an_eighth),
        cmocka_unit_test(powers_of_two_are_exact_bounds),
        cmocka_unit_test(longer_is_never_told_as_shorter),
        cmocka_unit_test(nothing_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
