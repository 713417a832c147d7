/*
 * driver_call.h - what a robot and a driver's host program say to each other
 *
 * Purpose
 *   The memory of their hand-off (omni/handoff.h): the robot fills in what it wants and asks, the
 *   host calls the driver, fills in what came of it and answers. The same bytes on every
 *   little-endian CPU.
 *
 * The conversation
 *   CALL_OPEN first, answered with 0, or with an error and a sentence, after which the host waits to be
 *   ended. Then CALL_READ and CALL_DRIVE, one at a time. CALL_CLOSE last: the host answers and ends.
 *   Where the robot is gone, the host commands the motors to zero, closes the driver and ends.
 *
 * Trust
 *   Driver and host are of the robot's own user, but may be broken: the robot checks what it reads.
 *   The memory has no name, and its size is sealed: only the host that a robot starts gets it, as a
 *   descriptor, and it cannot be cut short under the robot.
 */
#ifndef ROBOT_DRIVER_CALL_H
#define ROBOT_DRIVER_CALL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <omni/driver.h>
#include <omni/schema.h>

/* Of this conversation; a host of another release is refused. */
#define DRIVER_CALL_VERSION 3u

/* The descriptor that a host has the hand-off at (omni_handoff_join()). */
#define DRIVER_CALL_FILE 3

enum driver_call_wish { CALL_OPEN, CALL_READ, CALL_DRIVE, CALL_CLOSE, CALL_WISHES };

struct driver_call {
    uint32_t version; /* of the robot, DRIVER_CALL_VERSION */
    uint32_t wish;    /* enum driver_call_wish */
    int32_t result;   /* 0 or -errno */
    struct omni_driver_powers powers;
    struct omni_driver_reading reading;
    struct omni_problem problem; /* CALL_OPEN: why not */
    uint32_t has_arrived;        /* of the host: its program runs, and has joined */
};

static_assert(sizeof(struct driver_call) == 292 && offsetof(struct driver_call, powers) == 12 &&
                  offsetof(struct driver_call, reading) == 16 &&
                  offsetof(struct driver_call, problem) == 32 &&
                  offsetof(struct driver_call, has_arrived) == 288,
              "a call is the same on every CPU: change DRIVER_CALL_VERSION with it");

#endif
