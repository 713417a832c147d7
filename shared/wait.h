/*
 * omni/wait.h - when to look next
 *
 * Two ways to wait for a tick:
 *
 * 1. Phase-locked polling (omni_pacer): free for the publisher, works everywhere. Ticks carry their
 *    time and their period; the pacer learns phase and drift from them and says when the next look
 *    is worth it: just after the tick that is needed. It backs off while a source is silent. Pure
 *    arithmetic: the caller reads the clock and sleeps (a timerfd is precise; poll() time-outs are
 *    not).
 *
 *        omni_pacer_start(&pacer, facts->period_ns, now);
 *        for (;;) {
 *            sleep until omni_pacer_next(&pacer)
 *            got = drain the ring
 *            omni_pacer_looked(&pacer, now, got ? &newest_stamp : NULL)
 *        }
 *
 * 2. Futex (omni_wait_version): the publisher pays one system call (about 7 µs) for each tick that
 *    a reader sleeps for. For hand-offs and for publishers of events, which have no period. One
 *    kernel, same user.
 *
 * Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef OMNI_WAIT_H
#define OMNI_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/observe.h>

#ifdef __cplusplus
extern "C" {
#endif

/* State of a phase-locked loop. Its members are the pacer's own. */
struct omni_pacer {
    uint64_t period_ns;     /* nominal; 0: none */
    uint64_t wanted_ns;     /* the longest interval between looks that the caller wants */
    double learned_ns;      /* the period as measured */
    double expected_ns;     /* when the newest tick should have been stamped, noise taken out */
    uint64_t expected_tick; /* that tick */
    uint64_t aimed_tick;    /* the one that the next look should find */
    uint64_t margin_ns;     /* how long after the expected stamp a tick is usually visible */
    uint64_t next_ns;       /* the next look */
    uint64_t heard_ns;      /* when something new was last found, or the start */
    uint64_t due_ns;        /* the caller's own grid: no look before */
    uint32_t misses;        /* looks in a row that found nothing */
};

/* Begins. `wanted_ns`: see omni_pacer_want(). The first look is at once. */
void omni_pacer_start(struct omni_pacer *pacer, uint64_t period_ns, uint64_t wanted_ns,
                      uint64_t now_ns);

/* Changes how often the caller wants to look: at most one look per `wanted_ns`, aimed just after a
 * tick. 0 or less than a period: after every tick. Takes effect at once. */
void omni_pacer_want(struct omni_pacer *pacer, uint64_t wanted_ns, uint64_t now_ns);

/* Tells what a look at `now_ns` found: the stamp of the newest tick if there was a new one, else
 * NULL. */
void omni_pacer_looked(struct omni_pacer *pacer, uint64_t now_ns, const struct omni_stamp *newest);

/* When to look next (absolute). */
uint64_t omni_pacer_next(const struct omni_pacer *pacer);

/* Sleeps until the version differs from `seen` or `timeout_ns` have passed.
 * A publisher that closes at the very moment in which the reader falls asleep is noticed a quarter of
 * a second later; one that is killed is not noticed here (omni_observer_life()).
 * Returns 0 where it differs; -EPIPE where the publisher has closed; -ETIMEDOUT; -EINTR; -EPERM
 * where this user may not ask to be woken (use a pacer); -EOPNOTSUPP for memory shared between
 * machines. */
int omni_wait_version(struct omni_observer *observer, uint32_t seen, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif

#endif
