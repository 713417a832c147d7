/* bell_test.c - rely on a bell that rings, and only on that; never look more than was wanted */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observer/bell.h"

#define MS       UINT64_C(1000000)
#define START_NS (UINT64_C(1000) * MS)

static struct bell proven(uint64_t interval_ns) {
    struct bell bell;
    bell_start(&bell, interval_ns, START_NS);
    bell_asked(&bell, false, START_NS);
    bell_looked(&bell, BELL_RANG, true, START_NS);
    return bell;
}

static void polls_until_it_has_rung(void **state) {
    (void)state;
    struct bell bell;
    bell_start(&bell, 0, START_NS);
    assert_true(bell_should_ask(&bell, START_NS));
    bell_asked(&bell, false, START_NS);
    assert_false(bell_should_ask(&bell, START_NS + MS));
    assert_int_equal(bell_next(&bell, START_NS + 7 * MS, START_NS), START_NS + 7 * MS);
    bell_looked(&bell, BELL_TIME, false, START_NS + 7 * MS);
    assert_int_equal(bell_next(&bell, START_NS + 8 * MS, START_NS + 7 * MS), START_NS + 8 * MS);
    bell_looked(&bell, BELL_RANG, true, START_NS + 9 * MS);
    uint64_t later = START_NS + 10 * MS;
    assert_true(bell_should_ask(&bell, later));
    bell_asked(&bell, false, later);
    assert_int_equal(bell_next(&bell, later + MS, later), later + BELL_CHECK_NS);
}

static void asks_only_when_the_next_tick_is_wanted(void **state) {
    (void)state;
    struct bell bell = proven(50 * MS);
    assert_false(bell_should_ask(&bell, START_NS + 49 * MS));
    assert_int_equal(bell_next(&bell, START_NS + MS, START_NS), START_NS + 50 * MS);
    assert_true(bell_should_ask(&bell, START_NS + 50 * MS));
}

static void never_asks_faster_than_it_may(void **state) {
    (void)state;
    struct bell bell = proven(0);
    assert_false(bell_should_ask(&bell, START_NS + BELL_LEAST_NS - 1));
    assert_true(bell_should_ask(&bell, START_NS + BELL_LEAST_NS));
    /* Rings for nothing change nothing in that, nor does news that came before it was asked. */
    bell_asked(&bell, false, START_NS + BELL_LEAST_NS);
    bell_looked(&bell, BELL_RANG, false, START_NS + BELL_LEAST_NS + 1);
    assert_false(bell_should_ask(&bell, START_NS + 2 * BELL_LEAST_NS - 1));
    assert_true(bell_should_ask(&bell, START_NS + 2 * BELL_LEAST_NS));
    bell_asked(&bell, true, START_NS + 2 * BELL_LEAST_NS);
    bell_looked(&bell, BELL_TIME, true, START_NS + 2 * BELL_LEAST_NS);
    assert_true(bell.is_proven);
    assert_false(bell_should_ask(&bell, START_NS + 3 * BELL_LEAST_NS - 1));
    assert_int_equal(bell_next(&bell, UINT64_MAX, START_NS + 2 * BELL_LEAST_NS),
                     START_NS + 3 * BELL_LEAST_NS);
}

static void keeps_the_rate_that_is_wanted(void **state) {
    (void)state;
    const uint64_t interval = 16666667; /* 60 Hz of a source at 100 Hz, for ten seconds */
    struct bell bell = proven(interval);
    unsigned looks = 0;
    for (uint64_t tick = 1; tick <= 1000; tick++) {
        uint64_t now = START_NS + tick * 10 * MS;
        /* Due at some time since the last tick: then it was asked. */
        if (bell_should_ask(&bell, now)) {
            bell_asked(&bell, false, now);
            bell_looked(&bell, BELL_RANG, true, now);
            looks++;
        }
    }
    assert_in_range(looks, 598, 602);
}

static void does_not_rely_on_a_bell_that_kept_quiet(void **state) {
    (void)state;
    struct bell bell = proven(0);
    bell_asked(&bell, false, START_NS);
    uint64_t later = START_NS + BELL_CHECK_NS;
    bell_looked(&bell, BELL_TIME, true, later);
    assert_int_equal(bell_next(&bell, later + MS, later), later + MS);
    /* It is asked all the same, and may win its trust back. */
    assert_true(bell_should_ask(&bell, later));
    bell_asked(&bell, true, later);
    assert_true(bell.is_asked);
    bell_looked(&bell, BELL_RANG, true, later + MS);
    bell_asked(&bell, false, later + MS);
    assert_int_equal(bell_next(&bell, later + 2 * MS, later + MS), later + MS + BELL_CHECK_NS);
}

/* Any machine at the socket can ring: that says nothing about the publisher. */
static void does_not_rely_on_rings_for_nothing(void **state) {
    (void)state;
    struct bell bell;
    bell_start(&bell, 0, START_NS);
    for (uint64_t now = START_NS; now < START_NS + 100 * MS; now += MS) {
        if (bell_should_ask(&bell, now))
            bell_asked(&bell, false, now);
        bell_looked(&bell, BELL_RANG, false, now);
        assert_false(bell.is_proven);
        assert_int_equal(bell_next(&bell, now + 7 * MS, now), now + 7 * MS);
    }
    bell_asked(&bell, false, START_NS + 100 * MS);
    bell_looked(&bell, BELL_RANG, true, START_NS + 101 * MS);
    assert_true(bell.is_proven);
}

static void silence_is_no_reason_for_distrust(void **state) {
    (void)state;
    struct bell bell = proven(0);
    bell_asked(&bell, false, START_NS);
    uint64_t later = START_NS + BELL_CHECK_NS;
    bell_looked(&bell, BELL_TIME, false, later);
    assert_int_equal(bell_next(&bell, later + MS, later), later + BELL_CHECK_NS);
    /* Nor is somebody who looked before the ring came. */
    bell_looked(&bell, BELL_OTHER, true, later + MS);
    assert_false(bell_should_ask(&bell, later + 2 * MS));
    assert_int_equal(bell_next(&bell, later + 2 * MS, later + MS), later + MS + BELL_CHECK_NS);
}

static void hurries_when_more_is_wanted(void **state) {
    (void)state;
    struct bell bell = proven(250 * MS);
    bell_want(&bell, 0, START_NS + 10 * MS);
    assert_true(bell_should_ask(&bell, START_NS + 10 * MS));
    bell_want(&bell, 250 * MS, START_NS + 11 * MS);
    assert_true(bell_should_ask(&bell, START_NS + 11 * MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls_until_it_has_rung),
        cmocka_unit_test(asks_only_when_the_next_tick_is_wanted),
        cmocka_unit_test(never_asks_faster_than_it_may),
        cmocka_unit_test(keeps_the_rate_that_is_wanted),
        cmocka_unit_test(does_not_rely_on_a_bell_that_kept_quiet),
        cmocka_unit_test(does_not_rely_on_rings_for_nothing),
        cmocka_unit_test(silence_is_no_reason_for_distrust),
        cmocka_unit_test(hurries_when_more_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
