/*
 * pwm.h - pulse width modulation in numbers: a power → how long a line is on, and when it goes off
 *
 * Calling sequence
 *     uint64_t on_ns = pwm_on_ns(percent, period_ns);
 *     struct pwm_plan plan = pwm_plan(percent, period_ns);
 *     at the period's start: lines of plan.on_first on, all others off;
 *     then for each i < plan.steps: at start + plan.step[i].at_ns, lines of plan.step[i].off off
 *
 * Pure.
 */
#ifndef ROBOT_PWM_H
#define ROBOT_PWM_H

#include <stdint.h>

#include "drive.h"

/* How long a period's pulse is. The sign does not matter; beyond 100 it is 100. */
uint64_t pwm_on_ns(int percent, uint64_t period_ns);

/* One period of all motors. Lines as bits: 1 << motor. */
struct pwm_plan {
    uint32_t on_first;
    uint32_t steps;
    struct {
        uint64_t at_ns; /* since the period's start, ascending, below the period */
        uint32_t off;
    } step[DRIVE_WHEELS];
};

/* A line at 0 never comes on, one at 100 never goes off. What goes off together shares a step. */
struct pwm_plan pwm_plan(const int8_t percent[DRIVE_WHEELS], uint64_t period_ns);

#endif
