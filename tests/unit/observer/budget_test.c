/* How much of the loop the sources may take: pure arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observer/budget.h"

#define MS UINT64_C(1000000)

static void a_scan_rests_ten_times_as_long_as_it_took(void **state) {
    (void)state;
    assert_int_equal(budget_rest_ms(0), 0);
    assert_int_equal(budget_rest_ms(MS / 20), 0);
    assert_int_equal(budget_rest_ms(MS / 10), 1);
    assert_int_equal(budget_rest_ms(7 * MS), 70);
    assert_int_equal(budget_rest_ms(600 * MS), 6000);
}

static void scans_come_every_second_or_after_the_rest(void **state) {
    (void)state;
    assert_int_equal(budget_scan_ms(0), 1000);
    assert_int_equal(budget_scan_ms(1000), 1000);
    assert_int_equal(budget_scan_ms(6000), 6000);
}

static void a_scan_that_is_asked_for_waits_for_the_end_of_the_rest(void **state) {
    static const struct {
        uint64_t now_ms, again_ms, wait_ms;
    } cases[] = {
        {5000, 0, 20},    {5000, 4999, 20}, {5000, 5000, 20},
        {5000, 5020, 20}, {5000, 5021, 21}, {5000, 11000, 6000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(budget_soon_ms(cases[i].now_ms, cases[i].again_ms), cases[i].wait_ms);
}

static void a_drain_ends_after_many_ticks_or_a_while(void **state) {
    static const struct {
        uint64_t spent_ns;
        unsigned ticks;
        bool goes_on;
    } cases[] = {
        {0, 0, true},         {1000 * MS, 0, true}, /* the first is always read */
        {0, 1, true},         {10 * MS - 1, 1, true}, {10 * MS, 1, false},
        {9 * MS, 4095, true}, {0, 4096, false},       {0, UINT32_MAX, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (budget_drains(cases[i].ticks, cases[i].spent_ns) != cases[i].goes_on)
            fail_msg("case %zu: not %d", i, cases[i].goes_on);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_rests_ten_times_as_long_as_it_took),
        cmocka_unit_test(scans_come_every_second_or_after_the_rest),
        cmocka_unit_test(a_scan_that_is_asked_for_waits_for_the_end_of_the_rest),
        cmocka_unit_test(a_drain_ends_after_many_ticks_or_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
