/*
 * motors.h - three motors on H-bridges: two direction lines and a PWM each
 *
 * Purpose
 *   Powers in, lines out. Where a motor's power is 0 both its direction lines are inactive and its
 *   PWM is off: the bridge lets go. A line that goes off always does so before another goes on.
 *
 * Calling sequence
 *     struct motors motors;                                   // at a place that stays where it is
 *     int error = motors_open(&motors, chip, &config, &problem);     // all off from here on
 *     ... fork() whoever shall be able to switch them off ...
 *     error = motors_start(&motors, priority, stale_ns);      // the thread for software PWM
 *     each tick: motors_drive(&motors, powers, now_ns);
 *     motors_close(&motors);                                  // all off
 *
 * motors_off() may be called by another process that was forked between open and start, beside one
 * that drives.
 */
#ifndef ROBOT_MOTORS_H
#define ROBOT_MOTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "drive.h"
#include "gpio_config.h"
#include "gpio_lines.h"
#include "pwm_sysfs.h"
#include "pwm_thread.h"

/* The members are the module's own. */
struct motors {
    struct pwm_thread thread; /* first: it has cache lines of its own */
    struct bridge {
        struct gpio_line *forward;
        struct gpio_line *backward;
        struct gpio_line *pwm_line; /* NULL: the kernel's PWM */
        struct pwm_sysfs pwm;
        bool has_pwm; /* the kernel's, open */
    } bridge[DRIVE_WHEELS];
    uint64_t pwm_period_ns; /* of the thread */
    bool has_thread;
};

/* Takes all lines, inactive, and all PWM channels, off. Where a line is still another's, waits up
 * to a second for it: a robot that was just killed is about to let go.
 * Returns 0; -errno with a sentence in `problem`, then nothing is held. */
int motors_open(struct motors *motors, struct gpio_chip *chip, const struct gpio_config *config,
                struct omni_problem *problem);

/* Starts the thread where there is a line for it. Commands that are older than `stale_ns` count as
 * zero for it. Returns 0 or -errno. */
int motors_start(struct motors *motors, int priority, uint64_t stale_ns);

/* Writes direction and PWM of every motor anew each time, so that it holds whatever else happened
 * to them. Returns 0; else -errno, all off as far as that goes. */
int motors_drive(struct motors *motors, struct drive_powers powers, uint64_t now_ns);

/* Everything off, as far as it goes: directions at once, software PWM within a period. */
void motors_off(struct motors *motors);

/* The worst lateness of an edge of the software PWM; 0 without one. */
uint64_t motors_jitter_ns(const struct motors *motors);

/* Off, and given back. */
void motors_close(struct motors *motors);

#endif
