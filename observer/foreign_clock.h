/*
 * foreign_clock.h - stamps of another machine's clock, told in the time of this one (pure)
 *
 * Purpose
 *   A publisher of another machine stamps its ticks with that machine's CLOCK_MONOTONIC, which
 *   counts from another start, runs a little faster or slower, and stands still while the machine
 *   is paused. Histories, plots and pacers need one time for all sources.
 *
 * How
 *   When the newest tick of a ring is new, it was published within the last period: the difference
 *   to now is the distance of the clocks and a small delay. The least difference of the last ten to
 *   twenty seconds counts, so that the delay goes and drift is followed. A step (the other machine
 *   was paused) counts at once.
 *   Before a tick was seen to come, nothing but the wall clocks of both machines can tell how old
 *   the newest one is. They may be wrong: until then a source is not called live. The same holds
 *   where this process did not look for more than a second beyond the period (it was stopped, or its
 *   machine slept): the newest tick may be as old as that, and its publisher dead.
 *
 * Calling sequence, for each look at a source
 *     foreign_clock_start(&clock, facts->scope == OMNI_SCOPE_MACHINES, now);     // once
 *     foreign_clock_see(&clock, &newest, period, time);     // before the ring is drained
 *     told = foreign_clock_translate(&clock, stamp.time.monotonic_ns, told, now);
 *   For a source of this machine's clock all of it changes nothing.
 */
#ifndef OBSERVER_FOREIGN_CLOCK_H
#define OBSERVER_FOREIGN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/observe.h>

/* All zero: of this machine. */
struct foreign_clock {
    bool foreign;
    bool met;           /* a tick was seen to come */
    uint64_t tick;      /* the newest one seen; 0: none */
    uint64_t looked_ns; /* when it was last looked at, once there was a tick */
    uint64_t offset_ns; /* this clock less that one, modulo 2^64 */
    uint64_t least_ns;  /* the least difference of this window, and of the one before */
    uint64_t before_ns;
    uint64_t window_ns;  /* when this window began */
    uint64_t started_ns; /* of looking without such a gap */
};

void foreign_clock_start(struct foreign_clock *clock, bool foreign, uint64_t now_ns);

/* The stamp of the newest tick, as its publisher wrote it, and both clocks now. The same tick again
 * tells only that it was looked at. */
void foreign_clock_see(struct foreign_clock *clock, const struct omni_stamp *newest,
                       uint64_t period_ns, struct omni_time now);

/* That clock's time in this one's; never before `earliest_ns` (what the tick before was told as: the
 * distance is found better with time, and a history must be in order; 0: none), never after now. */
uint64_t foreign_clock_translate(const struct foreign_clock *clock, uint64_t monotonic_ns,
                                 uint64_t earliest_ns, uint64_t now_ns);

/* When the newest tick was there, to count its age from: for another machine's that was seen to come,
 * when it was heard; else silence_newest(). The stamp is one that was translated. */
uint64_t foreign_clock_newest(const struct foreign_clock *clock, const struct omni_stamp *newest,
                              uint64_t heard_ns);

/* Whether it is known by looking that the source lives, given that it has not closed or died
 * (omni_observer_life): always on this machine; on another one since a tick came, or, where ticks
 * have no period (0), since it was watched for as long as a death takes to be told. */
bool foreign_clock_vouches(const struct foreign_clock *clock, uint64_t period_ns, uint64_t now_ns);

#endif
