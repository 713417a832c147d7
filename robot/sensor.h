/*
 * sensor.h - reading the board's sensors on a thread of its own
 *
 * Purpose
 *   Sensors answer when they like, or not at all; the control loop cannot wait for them. A thread
 *   reads them all the time and leaves the newest reading in a mailbox.
 *
 * Calling sequence
 *     struct sensor sensor;                          // at a place that stays where it is
 *     int error = sensor_start(&sensor, kind, board, priority);
 *     each tick: sensor_newest(&sensor, &reading, &read_ns)
 *     sensor_stop(&sensor);                          // then the board may be closed
 *
 * Signals stay with the thread that calls sensor_start(): the sensor thread blocks them all.
 */
#ifndef ROBOT_SENSOR_H
#define ROBOT_SENSOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "mailbox.h"

/* The members are the module's own. */
struct sensor {
    struct mailbox mailbox;
    const struct board_kind *kind;
    struct board *board;
    pthread_t thread;
    _Atomic bool stop;
};

/* Starts the thread. `priority`: 0 for ordinary scheduling, else that of SCHED_FIFO.
 * Returns 0 or -errno (-EPERM where the priority is not permitted). */
int sensor_start(struct sensor *sensor, const struct board_kind *kind, struct board *board,
                 int priority);

/* The newest reading and when it was made (CLOCK_MONOTONIC). Never blocks.
 * Returns 0; -EAGAIN where there is none yet, the outputs untouched. */
int sensor_newest(const struct sensor *sensor, struct board_reading *reading, uint64_t *read_ns);

/* Ends the thread; takes as long as one read_sensors(). */
void sensor_stop(struct sensor *sensor);

#endif
