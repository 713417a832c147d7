/*
 * pace.h - how soon to try again: at once, but not again and again
 *
 * Purpose
 *   What went wrong once is tried again soon. Who makes it go wrong time after time, on purpose or
 *   not, gets an attempt a minute: a setback counts until PACE_CALM_S have gone by without another.
 *
 *     struct pace pace = {.setbacks = 0};
 *     uint64_t again_ns = now_ns + pace_setback(&pace, now_ns);
 *
 * Pure: the caller has the clock.
 */
#ifndef OBSERVER_PACE_H
#define OBSERVER_PACE_H

#include <stdint.h>

#define PACE_FREE   3u   /* setbacks in a row that cost a second each; then 2, 4, 8, ... */
#define PACE_MOST_S 60u  /* between two attempts */
#define PACE_CALM_S 120u /* after which setbacks are forgotten */

/* All zero: there was none. */
struct pace {
    unsigned setbacks; /* in a row */
    uint64_t last_ns;
};

/* Takes note of a setback, at `now_ns` (of a clock that never goes back, 0 only at the first).
 * Returns how long to wait from then on, in nanoseconds: 1 to PACE_MOST_S seconds. */
uint64_t pace_setback(struct pace *pace, uint64_t now_ns);

#endif
