/*
 * echo.h - a ranging sensor that answers a trigger with a pulse (HC-SR04 and its like)
 *
 * Purpose
 *   The sensor sends a cry when it is triggered, raises its echo line, and lowers it when the echo
 *   is back: the pulse is as long as the sound was under way. Where nothing answers, it is very
 *   long (38 ms, up to 200 ms with some). A sensor that is broken or unplugged gives no pulse at
 *   all, or a line that stays up: that is silence, and must not look like free way. (Only the first
 *   of its slots cannot be told from a pulse that goes on, where it rose just after the trigger.)
 *
 * Calling sequence
 *     struct echo echo = {0};
 *     if (echo_may_trigger(&echo))
 *         echo_triggered(&echo, now_ns), then a pulse on the trigger line
 *     each edge of the echo line, in order:   echo_edge(&echo, rising, at_ns);
 *     when ECHO_SLOT_NS have passed since the trigger: echo_slot_ends(&echo, now_ns);
 *     then echo.answered_ns (0: never) and echo.range_mm say what is known.
 *
 * Pure. Times are of CLOCK_MONOTONIC, edges with those of the kernel. A pulse that no trigger asked
 * for counts for nothing.
 */
#ifndef ROBOT_ECHO_H
#define ROBOT_ECHO_H

#include <stdbool.h>
#include <stdint.h>

/* A pulse that is as long comes from 4 m away. */
#define ECHO_REACH_NS 23324000u

/* The time for one answer; sensors raise their line up to 2 ms after the trigger. */
#define ECHO_SLOT_NS 26000000u

#define ECHO_RANGE_MIN_MM 20
#define ECHO_RANGE_MAX_MM 4000

struct echo {
    uint64_t triggered_ns;
    uint64_t rose_ns;
    uint64_t answered_ns; /* when the newest answer was known; 0: never */
    uint16_t range_mm;    /* of that answer */
    bool waits;           /* for the pulse of the newest trigger */
    bool is_high;
};

/* How far away what returns a pulse of that length is, in air of 20 °C, within the two limits. */
uint16_t echo_range_mm(uint64_t pulse_ns);

/* False while the line is still up: the sensor would not hear it. */
bool echo_may_trigger(const struct echo *echo);

/* It was triggered; `now_ns` is from before the trigger's pulse. */
void echo_triggered(struct echo *echo, uint64_t now_ns);

/* The echo line rose or fell at that moment. */
void echo_edge(struct echo *echo, bool rising, uint64_t at_ns);

/* The line is so, whatever edges were seen: some may have been lost. */
void echo_level(struct echo *echo, bool is_high);

/* The time for the answer is over. A pulse that still goes on, and is long enough, means: nothing
 * within reach. Before, all edges must have been told, and echo_level(): a pulse whose end nobody
 * has told yet looks like one that goes on. */
void echo_slot_ends(struct echo *echo, uint64_t now_ns);

#endif
