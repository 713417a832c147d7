/*
 * pilot.h - one tick of the robot without its clock, its board and its segment
 *
 * Purpose
 *   Behaviour, drive and odometry put together, so that the control loop and a simulation in a test
 *   run the very same robot.
 *
 * Calling sequence
 *     struct pilot pilot = pilot_start(seed);
 *     each tick: pilot_step(&pilot, &input);    // then pilot.powers is what the motors shall do
 *                pilot_report(&pilot, &status); // the fields that the robot knows
 *
 * Pure: no clock, no memory but its arguments.
 */
#ifndef ROBOT_PILOT_H
#define ROBOT_PILOT_H

#include <stdbool.h>
#include <stdint.h>

#include "behaviour.h"
#include "drive.h"
#include "status.h"

struct pilot_input {
    uint16_t range_mm[BEHAVIOUR_SENSORS]; /* the newest reading; anything where there is none. 0: no
                                             sensor there, so nothing to shy away from */
    bool ever_read;                       /* whether there is one */
    uint64_t reading_age_ns;              /* its age; where there is none, time since the start */
    uint64_t period_ns;                   /* since the step before; 0 in the first */
    enum motor_hold hold;                 /* but HOLD_NONE: motors to zero, mode waiting */
    bool stop;                            /* true: motors to zero, mode stopped */
};

struct pilot {
    struct behaviour behaviour;
    struct drive_powers powers; /* the command as of this step */
    struct drive_geometry
        geometry; /* DRIVE_GEOMETRY; the caller may set another before the first step */
    struct drive_pose odometry; /* reckoned from the commands, from (0, 0) and heading 0 */
    struct pilot_input input;   /* of this step */
    enum sensor_mode sensor_mode;
};

struct pilot pilot_start(uint64_t seed);

/* One tick. The powers of the step before are taken to have worked for input->period_ns. */
void pilot_step(struct pilot *pilot, const struct pilot_input *input);

/* Fills every field but the loop's own (period, jitter, overruns, publish_cost) and the board's own
 * (driver_..., pwm_jitter). */
void pilot_report(const struct pilot *pilot, struct robot_status *status);

#endif
