/*
 * overrun.h - when a loop that comes too late has to keep its motors off
 *
 * Purpose
 *   A robot whose loop was away drove on blindly with its last command. Where two ticks lie further
 *   apart than a limit, the motors are off from then on, until the ticks have been in time for
 *   OVERRUN_PROBATION_NS: a machine that stutters does not drive in jerks.
 *
 * Calling sequence
 *     struct overrun rule = {.limit_ns = 100 * CLOCK_NS_A_MILLISECOND};
 *     each tick: if (overrun_tick(&rule, now_ns, seen)) ... motors off ...
 *
 * Pure; times are of CLOCK_MONOTONIC. While the loop is away, this cannot be asked: that is what
 * the guard is for (motor_guard.h).
 */
#ifndef ROBOT_OVERRUN_H
#define ROBOT_OVERRUN_H

#include <stdbool.h>
#include <stdint.h>

#define OVERRUN_PROBATION_NS UINT64_C(1000000000)

struct overrun {
    uint64_t limit_ns; /* from one tick to the next */
    uint64_t tick_ns;  /* the newest; 0: none yet */
    uint64_t until_ns; /* the end of the probation; 0: there is none */
};

/* A tick begins; `seen`: somebody else has seen that the one before was too late. Returns whether
 * the motors have to be off in it. */
bool overrun_tick(struct overrun *rule, uint64_t now_ns, bool seen);

#endif
