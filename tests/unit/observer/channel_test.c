#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observer/channel.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

static unsigned turns_in(struct channel *channel, uint64_t from, uint64_t until, uint64_t tick) {
    unsigned turns = 0;
    for (uint64_t now = from; now < until; now += tick)
        turns += channel_take_turn(channel, now);
    return turns;
}

static void test_same_mode_and_rate_share(void **state) {
    (void)state;
    struct channels channels = {0};
    struct channel_member a = {0}, b = {0}, c = {0}, d = {0};
    assert_int_equal(channels_join(&channels, &a, CHANNEL_LATEST, 60), 0);
    assert_int_equal(channels_join(&channels, &b, CHANNEL_LATEST, 60), 0);
    assert_int_equal(channels_join(&channels, &c, CHANNEL_LATEST, 30), 0);
    assert_int_equal(channels_join(&channels, &d, CHANNEL_EVERY, 60), 0);
    assert_ptr_equal(a.channel, b.channel);
    assert_ptr_not_equal(a.channel, c.channel);
    assert_ptr_not_equal(a.channel, d.channel);
    assert_int_equal(a.channel->count, 2);
    struct channel_member *all[] = {&a, &b, &c, &d};
    for (size_t i = 0; i < 4; i++)
        channels_leave(&channels, all[i]);
    assert_null(channels.first);
    assert_null(a.channel);
}

static void assert_places(const struct channel *channel) {
    for (size_t i = 0; i < channel->count; i++)
        assert_int_equal(channel->members[i]->place, i);
}

static void test_members_may_leave_in_any_order(void **state) {
    (void)state;
    struct channels channels = {0};
    struct channel_member members[100] = {0};
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(channels_join(&channels, &members[i], CHANNEL_EVERY, 5), 0);
    for (size_t i = 0; i < 100; i++) {
        size_t which = i * 37 % 100;
        assert_int_equal(channels.first->count, 100 - i);
        assert_places(channels.first);
        channels_leave(&channels, &members[which]);
        channels_leave(&channels, &members[which]);
    }
    assert_null(channels.first);
}

/* A robot's ticks come every 10 ms; 60 a second do not divide them. */
static void test_rate_is_kept_over_time(void **state) {
    (void)state;
    static const struct {
        uint64_t tick;
        unsigned rate;
        unsigned per_ten_seconds;
    } cases[] = {{10 * MS, 60, 600},    {10 * MS, 50, 500}, {10 * MS, 100, 1000},
                 {10 * MS, 1000, 1000}, {MS, 60, 600},      {10 * MS, 90, 900},
                 {10 * MS, 1, 10},      {MS, 7, 70},        {MS, 1000, 10000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channels channels = {0};
        struct channel_member member = {0};
        assert_int_equal(channels_join(&channels, &member, CHANNEL_LATEST, cases[i].rate), 0);
        unsigned turns = turns_in(channels.first, 5 * SECOND, 15 * SECOND, cases[i].tick);
        assert_in_range(turns, cases[i].per_ten_seconds - 1, cases[i].per_ten_seconds + 1);
        channels_leave(&channels, &member);
    }
}

/* 60 of 100 a second: never two missed ticks in a row. */
static void test_turns_are_spread_evenly(void **state) {
    (void)state;
    struct channels channels = {0};
    struct channel_member member = {0};
    assert_int_equal(channels_join(&channels, &member, CHANNEL_LATEST, 60), 0);
    unsigned skipped = 0, most = 0;
    for (uint64_t now = SECOND; now < 11 * SECOND; now += 10 * MS) {
        skipped = channel_take_turn(channels.first, now) ? 0 : skipped + 1;
        most = skipped > most ? skipped : most;
    }
    assert_int_equal(most, 1);
    channels_leave(&channels, &member);
}

/* A tick that comes a little before the point of the grid counts. */
static void test_jitter_costs_no_tick(void **state) {
    (void)state;
    struct channels channels = {0};
    struct channel_member member = {0};
    assert_int_equal(channels_join(&channels, &member, CHANNEL_LATEST, 50), 0);
    unsigned turns = 0;
    for (uint64_t tick = 0; tick < 500; tick++) {
        uint64_t jitter = tick * 7919 % 1000 * 1000; /* up to 1 ms */
        turns += channel_take_turn(channels.first, SECOND + tick * 20 * MS - jitter);
    }
    assert_int_equal(turns, 500);
    channels_leave(&channels, &member);
}

static void test_no_hurry_after_a_pause(void **state) {
    (void)state;
    struct channels channels = {0};
    struct channel_member member = {0};
    assert_int_equal(channels_join(&channels, &member, CHANNEL_LATEST, 10), 0);
    assert_true(channel_take_turn(channels.first, SECOND));
    assert_in_range(turns_in(channels.first, 61 * SECOND, 62 * SECOND, 10 * MS), 10, 11);
    channels_leave(&channels, &member);
}

static void test_interval_serves_the_fastest(void **state) {
    (void)state;
    struct channels channels = {0};
    struct channel_member slow = {0}, fast = {0};
    assert_true(channels_interval(&channels, 10 * MS) == UINT64_MAX);
    assert_int_equal(channels_join(&channels, &slow, CHANNEL_LATEST, 4), 0);
    assert_int_equal(channels_interval(&channels, 10 * MS), 250 * MS);
    assert_int_equal(channels_interval(&channels, 100 * MS), 200 * MS);
    assert_int_equal(channels_interval(&channels, 0), 250 * MS);
    assert_int_equal(channels_interval(&channels, SECOND), 0);
    assert_int_equal(channels_join(&channels, &fast, CHANNEL_EVERY, 60), 0);
    assert_int_equal(channels_interval(&channels, 10 * MS), 0);
    assert_int_equal(channels_interval(&channels, MS), 16 * MS);
    channels_leave(&channels, &fast);
    assert_int_equal(channels_interval(&channels, 10 * MS), 250 * MS);
    channels_leave(&channels, &slow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_mode_and_rate_share),
        cmocka_unit_test(test_members_may_leave_in_any_order),
        cmocka_unit_test(test_rate_is_kept_over_time),
        cmocka_unit_test(test_turns_are_spread_evenly),
        cmocka_unit_test(test_jitter_costs_no_tick),
        cmocka_unit_test(test_no_hurry_after_a_pause),
        cmocka_unit_test(test_interval_serves_the_fastest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
