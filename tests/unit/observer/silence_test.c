/* When a source counts as silent: pure arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observer/silence.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define HOUR   (3600 * SECOND)

static void the_future_counts_from_when_it_was_read(void **state) {
    struct omni_stamp stamp = {.time.monotonic_ns = 7 * SECOND};
    (void)state;
    assert_int_equal(silence_newest(&stamp, 8 * SECOND), 7 * SECOND);
    assert_int_equal(silence_newest(&stamp, 7 * SECOND), 7 * SECOND);
    assert_int_equal(silence_newest(&stamp, 6 * SECOND), 6 * SECOND);
    stamp.time.monotonic_ns = UINT64_MAX;
    assert_int_equal(silence_newest(&stamp, 6 * SECOND), 6 * SECOND);
}

static void five_periods_and_half_a_second(void **state) {
    static const struct {
        uint64_t period_ns;
        uint64_t silence_ns;
        bool silent;
        bool steady;
    } cases[] = {
        {10 * MS, 0, false, false},
        {10 * MS, 500 * MS - 1, false, false},
        {10 * MS, 500 * MS, true, false},
        {100 * MS, 500 * MS, true, false},
        {200 * MS, 1000 * MS - 1, false, false},
        {200 * MS, 1000 * MS, true, false},
        {HOUR, 5 * HOUR - 1, false, false},
        {HOUR, 5 * HOUR, true, false},
        {1, 500 * MS, true, false},
        {UINT64_MAX, UINT64_MAX / 2, false, false}, /* five of them are beyond all numbers */
        {UINT64_MAX / 5, UINT64_MAX / 2, false, false},
        {0, UINT64_MAX / 2, false, false}, /* no period: nothing to miss */
        {0, 500 * MS - 1, false, true},    /* unless it says that there is */
        {0, 500 * MS, true, true},
        {200 * MS, 1000 * MS - 1, false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct omni_source_facts facts = {.period_ns = cases[i].period_ns,
                                                .steady = cases[i].steady};
        bool silent = silence_has_come(&facts, SECOND, SECOND + cases[i].silence_ns);
        if (silent != cases[i].silent)
            fail_msg("case %zu: %d, expected %d", i, silent, cases[i].silent);
    }
}

static void a_tick_after_now_is_not_silence(void **state) {
    (void)state;
    const struct omni_source_facts facts = {.period_ns = MS};
    assert_false(silence_has_come(&facts, 2 * HOUR, HOUR));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_future_counts_from_when_it_was_read),
        cmocka_unit_test(five_periods_and_half_a_second),
        cmocka_unit_test(a_tick_after_now_is_not_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
