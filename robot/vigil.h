/*
 * vigil.h - signs of life while the robot's own thread is in somebody else's hands
 *
 * Purpose
 *   A driver's open() and close() take as long as they like, and all calls of a driver come from one
 *   thread. Between machines a publisher without a sign of life counts as dead after two seconds: then
 *   a second robot may begin in its place, while the first one's motors still run. So another thread
 *   shows life meanwhile.
 *
 * Calling sequence
 *     struct vigil vigil;
 *     vigil_begin(&vigil, publisher, priority);
 *     kind->close(board); // no call with the publisher here
 *     vigil_end(&vigil);
 */
#ifndef ROBOT_VIGIL_H
#define ROBOT_VIGIL_H

#include <pthread.h>
#include <stdbool.h>

#include <omni/publish.h>

/* The members are the module's own. */
struct vigil {
    struct omni_publisher *publisher;
    pthread_t thread;
    bool runs;
    _Atomic bool over;
};

/* Starts the thread, which has the publisher to itself until vigil_end(). Where `publisher` is NULL
 * nobody shows life; nor where there can be no thread, which is told on stderr. `priority`: 0 for
 * ordinary scheduling, else that of SCHED_FIFO: above the caller's own, or a driver that never sleeps
 * keeps the thread from running, where there is one CPU. */
void vigil_begin(struct vigil *vigil, struct omni_publisher *publisher, int priority);

/* Ends the thread, within some 10 ms. */
void vigil_end(struct vigil *vigil);

#endif
