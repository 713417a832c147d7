/* How long a tick may wait for a driver: not by a clock that a busy machine lengthens, but by one that only waiting moves.
 * In place of the hand-off there is one whose other side answers after a time that a test sets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/driver_remote.h"

#define NEVER UINT64_MAX

/* ---- the world: a clock, and a host that is so slow ---- */

static struct {
    uint64_t now_ns;
    uint64_t slow_ns;      /* of the host, for a call */
    uint64_t answer_at_ns; /* what stands is answered then */
    bool is_noisy;         /* waits are interrupted by signals */
    unsigned waits;
    struct driver_call call;
    struct driver_keeper *keeper;
} world;

uint64_t clock_now_ns(void) {
    return world.now_ns;
}

int clock_sleep_until(uint64_t moment_ns) {
    world.now_ns = moment_ns;
    return 0;
}

int omni_handoff_ask(struct omni_handoff *handoff) {
    (void)handoff;
    world.answer_at_ns = world.slow_ns == NEVER ? NEVER : world.now_ns + world.slow_ns;
    return 0;
}

int omni_handoff_await_answer(struct omni_handoff *handoff, uint64_t timeout_ns) {
    (void)handoff;
    uint64_t end = world.now_ns + timeout_ns;
    if (world.is_noisy && timeout_ns > 1000 && ++world.waits % 3 != 0) {
        end = world.now_ns + timeout_ns / 2;
        world.now_ns = world.answer_at_ns < end ? world.answer_at_ns : end;
        return -EINTR;
    }
    if (world.answer_at_ns > end) {
        world.now_ns = end;
        return -ETIMEDOUT;
    }
    if (world.answer_at_ns > world.now_ns)
        world.now_ns = world.answer_at_ns;
    return 0;
}

int driver_keeper_start(struct driver_keeper *keeper, const struct driver_keeper_settings *settings,
                        const struct host_program *program, struct omni_problem *problem) {
    (void)program;
    (void)problem;
    *keeper = (struct driver_keeper){.settings = *settings, .call = &world.call};
    keeper->borrower = BORROWER_LOOP;
    world.keeper = keeper;
    return 0;
}

bool driver_keeper_lends(const struct driver_keeper *keeper) {
    return keeper->borrower == BORROWER_LOOP;
}

void driver_keeper_take_back(struct driver_keeper *keeper, int reason) {
    keeper->reason = reason;
    keeper->borrower = BORROWER_NONE;
}

void driver_keeper_stop(struct driver_keeper *keeper) {
    (void)keeper;
}

/* ---- ticks ---- */

static struct driver_remote *open_remote(uint64_t period_ns, uint64_t slow_ns) {
    const struct driver_keeper_settings settings = {.driver = "none"};
    struct driver_remote *remote = NULL;
    memset(&world, 0, sizeof world);
    world.now_ns = CLOCK_NS_A_SECOND;
    world.slow_ns = slow_ns;
    assert_int_equal(driver_remote_open(&remote, &settings, period_ns, NULL, NULL), 0);
    return remote;
}

/* One tick with both of its calls, and the rest of its period. Returns how long it waited. */
static uint64_t tick(struct driver_remote *remote, uint64_t period_ns) {
    struct omni_driver_reading reading;
    uint64_t read_ns = 0;
    uint64_t began_ns = world.now_ns;
    (void)driver_remote_read(remote, &reading, &read_ns);
    (void)driver_remote_drive(remote, (struct omni_driver_powers){{1, 2, 3}, 0});
    uint64_t waited_ns = world.now_ns - began_ns;
    if (waited_ns < period_ns)
        world.now_ns = began_ns + period_ns;
    return waited_ns;
}

static const struct {
    uint64_t period_ns;
    uint64_t most_ns;
} rates[] = {
    {1000000000, 5000000}, /* 1 Hz */
    {20000000, 5000000},   /* 50 Hz */
    {10000000, 5000000},   /* 100 Hz */
    {4000000, 2000000},    /* 250 Hz */
    {1000000, 500000},     /* 1000 Hz */
};
enum { RATES = sizeof rates / sizeof rates[0] };

/* ---- tests ---- */

/* The first tick waits for as long as it may, those after it only look. */
static void a_host_that_hangs_costs_one_tick_its_budget(void **state) {
    (void)state;
    for (int i = 0; i < RATES; i++) {
        uint64_t asked_ns = CLOCK_NS_A_SECOND;
        struct driver_remote *remote = open_remote(rates[i].period_ns, NEVER);
        assert_int_equal(tick(remote, rates[i].period_ns), rates[i].most_ns);
        uint32_t ticks = 1;
        for (; driver_keeper_lends(world.keeper); ticks++)
            assert_int_equal(tick(remote, rates[i].period_ns), 0);
        assert_int_equal(world.keeper->reason, -ETIMEDOUT);
        assert_in_range(world.now_ns - asked_ns, 250000000, 250000000 + 2 * rates[i].period_ns);
        assert_int_equal(tick(remote, rates[i].period_ns), 0); /* nobody is there any more */
        assert_int_equal(driver_remote_facts(remote).silent, ticks + 1);
        driver_remote_close(remote);
    }
}

/* Whatever a call takes, be it less than the budget (but not twice) or more: one tick's waits together do not exceed it. */
static void both_calls_of_a_tick_share_its_budget(void **state) {
    (void)state;
    for (int i = 0; i < RATES; i++) {
        for (uint64_t tenths = 1; tenths < 100; tenths++) {
            uint64_t longest_ns = 0;
            struct driver_remote *remote =
                open_remote(rates[i].period_ns, rates[i].most_ns * tenths / 10);
            for (int ticks = 0; ticks < 200 && driver_keeper_lends(world.keeper); ticks++) {
                uint64_t waited_ns = tick(remote, rates[i].period_ns);
                longest_ns = waited_ns > longest_ns ? waited_ns : longest_ns;
            }
            assert_in_range(longest_ns, 1, rates[i].most_ns);
            assert_true(driver_keeper_lends(world.keeper));
            driver_remote_close(remote);
        }
    }
}

/* It keeps its place for as long as it answers within 250 ms, tick for tick. */
static void a_host_that_is_late_is_kept(void **state) {
    (void)state;
    for (int i = 0; i < RATES; i++) {
        struct driver_remote *remote = open_remote(rates[i].period_ns, 250000000);
        for (int ticks = 0; ticks < 1000; ticks++)
            (void)tick(remote, rates[i].period_ns);
        assert_true(driver_keeper_lends(world.keeper));
        driver_remote_close(remote);
    }
}

static void a_signal_does_not_begin_the_wait_anew(void **state) {
    (void)state;
    for (int i = 0; i < RATES; i++) {
        struct driver_remote *remote = open_remote(rates[i].period_ns, NEVER);
        world.is_noisy = true;
        assert_in_range(tick(remote, rates[i].period_ns), 1, rates[i].most_ns);
        assert_true(world.waits > 1);
        driver_remote_close(remote);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_hangs_costs_one_tick_its_budget),
        cmocka_unit_test(both_calls_of_a_tick_share_its_budget),
        cmocka_unit_test(a_host_that_is_late_is_kept),
        cmocka_unit_test(a_signal_does_not_begin_the_wait_anew),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
