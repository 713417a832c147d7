/*
 * motor_guard.h - a process that switches the motors off when the robot cannot
 *
 * Purpose
 *   A robot that is killed leaves its lines as they were; what the kernel makes of them then is up
 *   to the chip, and its PWM goes on for ever. And a loop that hangs holds them on. So a second
 *   process holds the same lines: the kernel does not give them back while it lives. It switches
 *   them off when the robot is gone, however it ended, and whenever no tick came for a while.
 *
 * Calling sequence
 *     struct motor_guard_files before;
 *     motor_guard_note(&before);            // what is open now is none of the guard's business
 *     ... motors_open() ...
 *     struct motor_guard_settings settings = {.before = &before, .limit_ns = ..., .priority = ...};
 *     int error = motor_guard_start(&guard, &motors, &settings, &problem);
 *     each tick: motor_guard_beat(&guard, now_ns); if (!motor_guard_is_alive(&guard)) ... end ...
 *                if (!motor_guard_looks(&guard, now_ns)) ... motors off until it does again ...
 *     motor_guard_stop(&guard);             // then the motors may be closed
 *
 * Threads
 *   Start it before the board's own: it is a fork() that goes on in this program. (With --region the
 *   vigil's runs already; the guard uses nothing that it may hold.) What it costs
 *   the loop is a copy in memory and a poll() a tick; it wakes once in limit_ns.
 *
 * Limits
 *   It blocks all signals, is in a session of its own, and is called omni-guard, so that neither
 *   Ctrl-C nor a service manager's SIGTERM nor "killall omni-robot" ends it before the robot. Who
 *   kills both with SIGKILL at once is left with what the chip does. With a priority above the
 *   loop's it runs also where a real-time loop never sleeps again and there is one CPU.
 */
#ifndef ROBOT_MOTOR_GUARD_H
#define ROBOT_MOTOR_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <omni/schema.h>

#include "mailbox.h"
#include "motors.h"

#define MOTOR_GUARD_FILES 1024

#define MOTOR_GUARD_PATIENCE_NS UINT64_C(1000000000)

/* It looks once in its limit_ns; so much later it counts as suspended. */
#define MOTOR_GUARD_SILENCE_NS UINT64_C(1000000000)

/* Descriptors that are open at some moment, one bit each. */
struct motor_guard_files {
    uint64_t open[MOTOR_GUARD_FILES / 64];
};

/* In memory that both processes have. */
struct motor_guard_shared {
    struct mailbox beats; /* from the robot: when its newest tick commanded the motors */
    struct mailbox offs;  /* from the guard: how often it switched off because none came */
    struct mailbox looks; /* from the guard: when it looked for a beat last */
};

/* The members are the module's own. */
struct motor_guard {
    struct motor_guard_shared *shared;
    uint64_t offs;        /* how often it had switched off when it was asked last */
    uint64_t looked_ns;   /* when it was known to look last */
    uint64_t patience_ns; /* how old that may be */
    pid_t process;
    int life; /* the end of a pipe: that it closes tells the guard that the robot is gone */
};

/* Notes what is open. The guard closes all of that, so that it keeps alive no lock, no pipe and no
 * terminal of the robot's. */
void motor_guard_note(struct motor_guard_files *files);

struct motor_guard_settings {
    const struct motor_guard_files *before;
    uint64_t limit_ns; /* how long it waits for a beat, after the first one */
    int priority;      /* of SCHED_FIFO; 0: the caller's scheduling */
};

/* Starts the guard of open motors. Returns 0; -errno with a sentence in `problem` (-EPERM where the
 * priority is not permitted), then there is none. */
int motor_guard_start(struct motor_guard *guard, struct motors *motors,
                      const struct motor_guard_settings *settings, struct omni_problem *problem);

/* A tick commanded the motors at `now_ns` (CLOCK_MONOTONIC). */
void motor_guard_beat(struct motor_guard *guard, uint64_t now_ns);

/* Whether it has switched the motors off since it was asked last, because no beat came: then what
 * the robot believes of its lines is not so. */
bool motor_guard_acted(struct motor_guard *guard);

/* Whether it has, or is about to; the answer of motor_guard_acted() stays as it is. Asked after
 * driving it tells a tick that was too late to count, whatever was known when the tick began. */
bool motor_guard_acts(const struct motor_guard *guard);

/* False where somebody has ended it. */
bool motor_guard_is_alive(const struct motor_guard *guard);

/* Whether it has looked for beats lately, at most limit_ns and MOTOR_GUARD_SILENCE_NS ago. One that
 * is suspended lives, and does nothing: were the robot killed then, its motors would stay on. */
bool motor_guard_looks(struct motor_guard *guard, uint64_t now_ns);

/* Ends the guard, which switches the motors off once more, and waits for it. One that is suspended
 * is killed after MOTOR_GUARD_PATIENCE_NS: the caller has switched the motors off before. */
void motor_guard_stop(struct motor_guard *guard);

#endif
