/*
 * pwm_thread.h - PWM by software: a thread that switches GPIO lines
 *
 * Purpose
 *   For pins without the kernel's PWM. Every edge has an absolute deadline on a grid, so that
 *   lateness does not add up; how late the worst one was is measured and told. 100 Hz is a pulse of
 *   10 ms; a lateness of 0.1 ms then is 1 % of power.
 *
 * Calling sequence
 *     struct pwm_thread pwm;                               // at a place that stays where it is
 *     int error = pwm_thread_start(&pwm, &settings);
 *     pwm_thread_set(&pwm, percent, now_ns);               // each tick, always the same thread
 *     pwm_thread_stop(&pwm);                               // lines off
 *
 * Safety
 *   A command that is older than `stale_ns` counts as zero: where the loop is away, lines go off.
 *   Signals stay with the thread that calls pwm_thread_start().
 */
#ifndef ROBOT_PWM_THREAD_H
#define ROBOT_PWM_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "drive.h"
#include "gpio_lines.h"
#include "mailbox.h"

struct pwm_thread_settings {
    struct gpio_line *line[DRIVE_WHEELS]; /* NULL: that motor is not the thread's */
    uint64_t period_ns;
    uint64_t stale_ns;
    int priority; /* of SCHED_FIFO; 0: ordinary scheduling */
};

/* The members are the module's own. */
struct pwm_thread {
    struct mailbox commands;
    struct mailbox jitter; /* the worst lateness of an edge, from the thread */
    struct pwm_thread_settings settings;
    pthread_t thread;
};

/* Returns 0 or -errno (-EPERM where the priority is not permitted). */
int pwm_thread_start(struct pwm_thread *pwm, const struct pwm_thread_settings *settings);

/* From the next period on; `now_ns` is when that was decided. Never blocks. */
void pwm_thread_set(struct pwm_thread *pwm, const int8_t percent[DRIVE_WHEELS], uint64_t now_ns);

/* The worst lateness of an edge since the start. */
uint64_t pwm_thread_jitter_ns(const struct pwm_thread *pwm);

/* Lines off, thread ended; takes up to two periods. Call it from the thread that sets. */
void pwm_thread_stop(struct pwm_thread *pwm);

#endif
