/*
 * realtime.h - the scheduler's and the memory's promises for --realtime
 *
 * Calling sequence
 *     int cpu;
 *     error = realtime_choose_cpu(&cpu, text, &problem);   // --realtime-cpu
 *     error = realtime_enter(&problem);                    // before other threads start
 *     ... other threads, other processes ...
 *     error = realtime_pin(cpu, &problem);                 // then the loop's own thread
 *
 * Affinity is the loop's alone, and comes last: what a thread starts inherits it, and a driver's host
 * that shares the one CPU of a loop which waits for it could not answer.
 */
#ifndef ROBOT_REALTIME_H
#define ROBOT_REALTIME_H

#include <stdbool.h>

#include <omni/schema.h>

/* All SCHED_FIFO priorities that there are. On one CPU, who never sleeps lets nobody run but those
 * above him: so what keeps motors from running on, and what shows life, comes before the loop; and
 * the loop before the thread that only feeds it. A driver's host is one below that. */
#define REALTIME_GUARD_PRIORITY  50
#define REALTIME_PWM_PRIORITY    49
#define REALTIME_VIGIL_PRIORITY  49
#define REALTIME_LOOP_PRIORITY   48
#define REALTIME_SENSOR_PRIORITY 40

/* What has to be permitted: LimitRTPRIO= in the unit, ulimit -r (a test compares them). */
#define REALTIME_HIGHEST_PRIORITY REALTIME_GUARD_PRIORITY

/* Those of what runs beside the loop. All 0: ordinary scheduling. */
struct realtime_priorities {
    int guard;
    int pwm;
    int vigil;
    int sensor;
};

/* No CPU in particular. */
#define REALTIME_ANY_CPU (-1)

/* With --realtime, or without. */
struct realtime_priorities realtime_priorities(bool realtime);

/* Puts the calling thread under SCHED_FIFO with REALTIME_LOOP_PRIORITY, where the highest one is
 * permitted, too: what needs it is started later, and must not be without it then.
 * Returns 0; -errno (mostly -EPERM) with one line in `problem` that says what to type. */
int realtime_schedule(struct omni_problem *problem);

/* Locks all memory of the process, present and future; touches the stack that the calling thread may
 * come to need, and lets the allocator give nothing back: no page is missing later.
 * Returns 0; -errno (mostly -EPERM or -ENOMEM) with one line in `problem`. */
int realtime_lock(struct omni_problem *problem);

/* Both. Returns 0; -errno, then scheduling is as it was before. */
int realtime_enter(struct omni_problem *problem);

/* What `text` means: a CPU's number; "any"; NULL or "auto": the last one of those that the kernel
 * keeps free of others (isolcpus=), else the last one that this process may use, for the first one
 * serves most interrupts; where there is only one, any.
 * Returns 0; -EINVAL with one line in `problem` where it is no CPU that may be used. */
int realtime_choose_cpu(int *cpu, const char *text, struct omni_problem *problem);

/* Keeps the calling thread on that CPU; REALTIME_ANY_CPU: nothing to do.
 * Returns 0; -errno with one line in `problem`. */
int realtime_pin(int cpu, struct omni_problem *problem);

/* The highest number in a list of CPUs as the kernel writes it ("1,4-7\n"); -1 where there is
 * none. */
int realtime_last_of(const char *list);

#endif
