/* Another machine's stamps, told in this one's time: pure arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observer/foreign_clock.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define PERIOD (10 * MS)
#define WALL   (1700000000 * SECOND)

/* Two machines: this one was started `START` ago, that one when `there` was 0. */
#define START (5000 * SECOND)

struct pair {
    struct foreign_clock clock;
    uint64_t there_ns; /* what that clock shows when this one shows START */
    uint64_t tick;
};

static struct pair pair(uint64_t there_ns) {
    struct pair made = {.there_ns = there_ns};
    foreign_clock_start(&made.clock, true, START);
    return made;
}

/* A tick that was stamped `at_ns` after START and is seen `delay_ns` later. Returns its time here. */
static uint64_t see(struct pair *pair, uint64_t at_ns, uint64_t delay_ns) {
    struct omni_stamp stamp = {.tick = ++pair->tick,
                               .time = {pair->there_ns + at_ns, WALL + at_ns}};
    uint64_t now_ns = START + at_ns + delay_ns;
    foreign_clock_see(&pair->clock, &stamp, PERIOD,
                      (struct omni_time){now_ns, WALL + at_ns + delay_ns});
    return foreign_clock_translate(&pair->clock, stamp.time.monotonic_ns, 0, now_ns);
}

/* A look at `at_ns` after START that finds the tick of the last one. */
static void see_nothing(struct pair *pair, uint64_t at_ns) {
    struct omni_stamp stamp = {.tick = pair->tick};
    foreign_clock_see(&pair->clock, &stamp, PERIOD,
                      (struct omni_time){START + at_ns, WALL + at_ns});
}

static void this_machines_stamps_stay_as_they_are(void **state) {
    (void)state;
    struct foreign_clock clock;
    struct omni_stamp stamp = {.tick = 1, .time = {7, WALL}};
    foreign_clock_start(&clock, false, START);
    foreign_clock_see(&clock, &stamp, PERIOD, (struct omni_time){START, WALL + SECOND});
    assert_int_equal(foreign_clock_translate(&clock, 7, 9, START), 7);
    assert_int_equal(foreign_clock_translate(&clock, START + 1, 0, START), START + 1);
    assert_true(foreign_clock_vouches(&clock, PERIOD, START));
    assert_int_equal(foreign_clock_newest(&clock, &stamp, START), 7);
    static const struct foreign_clock zero;
    assert_int_equal(foreign_clock_translate(&zero, 7, 9, START), 7);
    assert_true(foreign_clock_vouches(&zero, PERIOD, START));
}

/* That machine may have run for longer or shorter, or its counter may be anywhere. */
static const uint64_t theres[] = {SECOND, START, 900000 * SECOND, UINT64_MAX - 20 * SECOND};

static void a_tick_that_comes_tells_the_distance(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof theres / sizeof theres[0]; i++) {
        struct pair one = pair(theres[i]);
        see(&one, 0, MS);
        assert_false(one.clock.met);
        for (uint64_t at = PERIOD; at < 30 * SECOND; at += PERIOD) {
            uint64_t delay = at / PERIOD % 7 == 0 ? MS / 10 : 2 * MS;
            uint64_t here = see(&one, at, delay);
            assert_true(one.clock.met);
            assert_true(here <= START + at + delay);
            if (at > SECOND)
                assert_in_range(here, START + at, START + at + MS / 10);
        }
    }
}

static void before_one_came_the_wall_clocks_tell(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof theres / sizeof theres[0]; i++) {
        struct pair one = pair(theres[i]);
        assert_int_equal(see(&one, 0, 100 * SECOND), START);
        /* The same one again: still nothing is known. */
        one.tick--;
        see(&one, 0, 101 * SECOND);
        assert_false(one.clock.met);
        assert_false(foreign_clock_vouches(&one.clock, PERIOD, START + 200 * SECOND));
        struct omni_stamp stamp = {.version = 1, .tick = 1, .time.monotonic_ns = START};
        assert_int_equal(foreign_clock_newest(&one.clock, &stamp, START + 100 * SECOND), START);
    }
}

/* A wall clock that was never set, or is ahead: neither the future nor less than nothing. */
static void wrong_wall_clocks_stay_within_bounds(void **state) {
    (void)state;
    static const uint64_t walls[] = {0, WALL / 2, WALL + 3600 * SECOND, UINT64_MAX};
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        struct foreign_clock clock;
        struct omni_stamp stamp = {.tick = 1, .time = {SECOND, walls[i]}};
        foreign_clock_start(&clock, true, START);
        foreign_clock_see(&clock, &stamp, PERIOD, (struct omni_time){START, WALL});
        uint64_t here = foreign_clock_translate(&clock, SECOND, 0, START);
        assert_int_equal(here, walls[i] > WALL ? START : 0);
    }
}

static void once_it_ticks_age_counts_from_hearing(void **state) {
    (void)state;
    struct pair one = pair(SECOND);
    see(&one, 0, MS);
    see(&one, PERIOD, MS);
    struct omni_stamp stamp = {.version = 1, .tick = 2, .time.monotonic_ns = 3};
    assert_int_equal(foreign_clock_newest(&one.clock, &stamp, START + SECOND), START + SECOND);
    assert_true(foreign_clock_vouches(&one.clock, PERIOD, START));
}

/* Who ticks once in an hour cannot be waited for: his heartbeat has been watched long enough. */
static void without_a_period_watching_is_enough(void **state) {
    (void)state;
    struct pair one = pair(SECOND);
    see(&one, 0, MS);
    assert_false(foreign_clock_vouches(&one.clock, 0, START + SECOND));
    assert_true(foreign_clock_vouches(&one.clock, 0, START + 2 * SECOND));
    assert_false(foreign_clock_vouches(&one.clock, PERIOD, START + 2 * SECOND));
}

/* A part in a thousand faster or slower, far more than real clocks. */
static void drift_is_followed(void **state) {
    (void)state;
    for (int faster = 0; faster <= 1; faster++) {
        struct pair one = pair(SECOND);
        see(&one, 0, 0);
        uint64_t last = 0;
        for (uint64_t at = PERIOD; at < 300 * SECOND; at += PERIOD) {
            uint64_t wrong = at / 1000;
            one.there_ns = faster == 1 ? SECOND + wrong : SECOND + SECOND - wrong;
            if (faster == 0 && at == PERIOD)
                see(&one, 0, 0); /* the step of a second that this loop begins with */
            uint64_t here = see(&one, at, 0);
            assert_true(here >= last);
            last = here;
            if (at > SECOND) {
                assert_true(here <= START + at);
                assert_true(here + 30 * MS >= START + at);
            }
        }
    }
}

/* That machine stood still for an hour and goes on: at once its stamps are right again. */
static void a_pause_is_no_drift(void **state) {
    (void)state;
    struct pair one = pair(SECOND);
    see(&one, 0, 0);
    see(&one, PERIOD, 0);
    one.there_ns -= 3600 * SECOND;
    for (uint64_t at = SECOND; at <= 3600 * SECOND; at += SECOND)
        see_nothing(&one, at);
    assert_true(one.clock.met);
    assert_int_equal(see(&one, 3600 * SECOND, 0), START + 3600 * SECOND);
    /* And the other way: it was set forward, or this machine was the one that slept. */
    one.there_ns += 7200 * SECOND;
    assert_int_equal(see(&one, 3601 * SECOND, 0), START + 3601 * SECOND);
}

/* What is found after a pause of one's own may be as old as that pause: its publisher may be dead. */
static void after_a_pause_of_ones_own_nothing_is_new(void **state) {
    (void)state;
    const uint64_t pause = 60 * SECOND;
    struct pair one = pair(900000 * SECOND);
    see(&one, 0, 0);
    see(&one, PERIOD, 0);
    /* The one after was stamped at once, and is found a minute later. */
    assert_int_equal(see(&one, 2 * PERIOD, pause), START + 2 * PERIOD);
    assert_false(one.clock.met);
    assert_false(foreign_clock_vouches(&one.clock, PERIOD, START + pause + SECOND));
    assert_false(foreign_clock_vouches(&one.clock, 0, START + pause + 2 * PERIOD + SECOND));
    struct omni_stamp stamp = {.version = 1, .time.monotonic_ns = START + 2 * PERIOD};
    assert_int_equal(foreign_clock_newest(&one.clock, &stamp, START + pause), START + 2 * PERIOD);
    /* It lives after all. */
    assert_int_equal(see(&one, pause + 3 * PERIOD, 0), START + pause + 3 * PERIOD);
    assert_true(foreign_clock_vouches(&one.clock, PERIOD, START + pause + 3 * PERIOD));
    /* Looks that are a period apart are no pause. */
    assert_true(one.clock.met);
    see(&one, pause + 4 * PERIOD, SECOND);
    assert_true(one.clock.met);
    /* Nor does one that finds nothing count as having seen the next. */
    see_nothing(&one, 3 * pause);
    assert_false(one.clock.met);
    see(&one, 3 * pause + PERIOD, 0);
    assert_true(one.clock.met);
}

/* Wall clocks may be wrong by years; a tick that was not there at the last look came after it. */
static void after_a_pause_wrong_wall_clocks_are_bounded(void **state) {
    (void)state;
    static const uint64_t walls[] = {0, WALL / 2, UINT64_MAX};
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        struct pair one = pair(SECOND);
        see(&one, 0, 0);
        see(&one, PERIOD, 0);
        struct omni_stamp stamp = {.tick = 3, .time = {one.there_ns + 2 * PERIOD, walls[i]}};
        uint64_t now = START + 60 * SECOND;
        foreign_clock_see(&one.clock, &stamp, PERIOD, (struct omni_time){now, WALL + 60 * SECOND});
        uint64_t here = foreign_clock_translate(&one.clock, stamp.time.monotonic_ns, 0, now);
        assert_int_equal(here, walls[i] > WALL ? now : START + PERIOD);
    }
}

/* A better guess of the distance moves later ticks back: not before those that were told already. */
static void times_never_go_back(void **state) {
    (void)state;
    struct pair one = pair(SECOND);
    see(&one, 0, 0);
    uint64_t first = see(&one, PERIOD, 15 * MS);
    assert_int_equal(first, START + 25 * MS);
    /* Two more: the publisher was late with the first one, and at once with the second. */
    one.tick++;
    see(&one, 3 * PERIOD, MS);
    uint64_t second_there = one.there_ns + 2 * PERIOD, now = START + 3 * PERIOD + MS;
    assert_int_equal(foreign_clock_translate(&one.clock, second_there, 0, now), START + 21 * MS);
    assert_int_equal(foreign_clock_translate(&one.clock, second_there, first, now), first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machines_stamps_stay_as_they_are),
        cmocka_unit_test(a_tick_that_comes_tells_the_distance),
        cmocka_unit_test(before_one_came_the_wall_clocks_tell),
        cmocka_unit_test(wrong_wall_clocks_stay_within_bounds),
        cmocka_unit_test(once_it_ticks_age_counts_from_hearing),
        cmocka_unit_test(without_a_period_watching_is_enough),
        cmocka_unit_test(drift_is_followed),
        cmocka_unit_test(a_pause_is_no_drift),
        cmocka_unit_test(after_a_pause_of_ones_own_nothing_is_new),
        cmocka_unit_test(after_a_pause_wrong_wall_clocks_are_bounded),
        cmocka_unit_test(times_never_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
