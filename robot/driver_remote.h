/*
 * driver_remote.h - a driver in a host process, as the control loop sees it
 *
 * Purpose
 *   Reading sensors and commanding motors within the tick, through a hand-off with another process
 *   (driver_keeper.h keeps that alive). Whatever happens to it, a tick never waits longer than
 *   its budget: half of the loop's period, at most 5 ms.
 *
 * Calling sequence
 *     struct driver_remote *remote;
 *     error = driver_remote_open(&remote, &settings, period_ns, &program, &problem);
 *     each tick: driver_remote_read(remote, &ranges, &read_ns); then driver_remote_drive(remote, powers)
 *     driver_remote_close(remote);
 *
 * A host that is late
 *   Its request stands; the ticks after that only look whether the answer has come. A late reading
 *   is kept for the next tick and counts from the moment when it was asked for. A command that could not be given is given first
 *   when the host answers again, in its newest form.
 * A host that is silent for 250 ms, or dead
 *   Goes back to the keeper. Until there is another one, there are no readings, and commands are
 *   dropped.
 *
 * In the loop: no allocation, no lock, no process is started; system calls of the hand-off, and one
 * post of a semaphore for a host that is given up.
 */
#ifndef ROBOT_DRIVER_REMOTE_H
#define ROBOT_DRIVER_REMOTE_H

#include <stdint.h>

#include <omni/driver.h>

#include "driver_keeper.h"

#define DRIVER_REMOTE_BUDGET_MOST_NS 5000000u
#define DRIVER_REMOTE_SILENT_NS      250000000u

struct driver_remote;

/* What a robot tells of it. */
struct driver_remote_facts {
    uint32_t restarts; /* hosts started after the first */
    uint32_t silent;   /* ticks without both answers in time */
};

/* Starts the host; see driver_keeper_start() for what it returns. -ENOMEM. */
int driver_remote_open(struct driver_remote **remote, const struct driver_keeper_settings *settings,
                       uint64_t period_ns, const struct host_program *program,
                       struct omni_problem *problem);

/* Begins the tick's budget. Returns 0 with a reading (ranges within 20 to 4000, whatever the host
 * wrote) and the moment at which it was asked for (CLOCK_MONOTONIC); the driver's -errno, or -ETIMEDOUT: no new one, outputs untouched. */
int driver_remote_read(struct driver_remote *remote, struct omni_driver_reading *reading,
                       uint64_t *read_ns);

/* Within what is left of the budget. Returns 0, also where nobody is there to obey; -errno of the
 * driver's set_motors(), of this command or of one before that was answered late. */
int driver_remote_drive(struct driver_remote *remote, struct omni_driver_powers powers);

struct driver_remote_facts driver_remote_facts(const struct driver_remote *remote);

/* Closes the driver and ends the host. NULL is fine. */
void driver_remote_close(struct driver_remote *remote);

#endif
