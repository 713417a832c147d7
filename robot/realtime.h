/*
 * realtime.h - the scheduler's and the memory's promises for --realtime
 */
#ifndef ROBOT_REALTIME_H
#define ROBOT_REALTIME_H

#include <omni/schema.h>

/* SCHED_FIFO priorities: the loop comes before the thread that only feeds it. */
#define REALTIME_LOOP_PRIORITY   50
#define REALTIME_SENSOR_PRIORITY 40

/* Puts the calling thread under SCHED_FIFO with REALTIME_LOOP_PRIORITY and locks all memory of the
 * process, present and future. Call it before other threads start.
 * Returns 0; -errno (mostly -EPERM or -ENOMEM) with one line in `problem` that says what was
 * refused and what to type; then scheduling is as it was before. */
int realtime_enter(struct omni_problem *problem);

#endif
