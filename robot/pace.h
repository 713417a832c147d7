/*
 * pace.h - the rhythm of a loop with absolute deadlines, and what it says of itself
 *
 * Purpose
 *   Deadlines stand on a grid: start, start + period, start + 2 periods, ... A late tick does not
 *   move the next one. A loop that comes a whole period late or more leaves out the ticks that are
 *   past (they count as overruns) and never runs several in a row to catch up.
 *
 * Calling sequence
 *     struct pace pace = pace_start(period_ns, now_ns);
 *     for (;;) {
 *         sleep until pace.deadline_ns
 *         pace_woke(&pace, now_ns);   // then pace.measured_ns and pace_jitter_ns() are of this
 * tick
 *         ... the tick ...
 *     }
 *
 * Pure: the caller reads the clock. All times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef ROBOT_PACE_H
#define ROBOT_PACE_H

#include <stdint.h>

/* The last second is kept as this many pieces: "the last second" is 1.0 to 1.1 s. */
#define PACE_PIECES   11
#define PACE_PIECE_NS 100000000u

struct pace {
    uint64_t period_ns;
    uint64_t deadline_ns; /* of the next tick */
    uint64_t woke_ns;     /* when the newest tick began; 0 before the first */
    uint64_t measured_ns; /* from the tick before to the newest; 0 in the first */
    uint64_t overruns;    /* deadlines left out since the start */
    uint64_t lateness_ns; /* of the newest tick; 0 where it came early (a signal) */
    uint64_t worst_ns;    /* worst lateness since the start */
    uint64_t piece;       /* index of the newest piece, counted from the clock's zero */
    uint64_t worst_of_piece_ns[PACE_PIECES];
};

/* The first deadline is now. period_ns > 0. */
struct pace pace_start(uint64_t period_ns, uint64_t now_ns);

/* A tick begins. Sets the next deadline: the first of the grid that lies after now (where the loop
 * came early, that is the one that it did not wait for). */
void pace_woke(struct pace *pace, uint64_t now_ns);

/* Worst lateness within the last second, as of the newest tick. */
uint64_t pace_jitter_ns(const struct pace *pace);

#endif
