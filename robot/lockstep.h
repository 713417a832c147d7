/*
 * lockstep.h - the robot's side of lockstep: after each tick, wait until the consumer has taken it
 *
 * Purpose
 *   A simulated run that loses nothing and does not run ahead of who writes it down: omni-observer
 *   dump --lockstep. The hand-off is that of omni/lockstep.h; this adds what a person is told, once
 *   each: that the robot waits for a consumer, and that one has gone.
 *
 * Calling sequence
 *     struct lockstep lockstep;
 *     int error = lockstep_open(&lockstep, directory, name, &problem);   // before the publisher
 *     each tick, published: error = lockstep_hand_over(&lockstep, publisher, &stop);
 *     lockstep_close(&lockstep);                                         // after the publisher
 */
#ifndef ROBOT_LOCKSTEP_H
#define ROBOT_LOCKSTEP_H

#include <signal.h>
#include <stdbool.h>

#include <omni/lockstep.h>
#include <omni/publish.h>

/* The members are the module's own. */
struct lockstep {
    struct omni_handoff *turns;
    const char *directory; /* NULL: /dev/shm */
    const char *name;
    bool told; /* that there is no consumer, since the last one was there */
};

/* Returns what omni_lockstep_open() returns. The strings must outlive it. */
int lockstep_open(struct lockstep *lockstep, const char *directory, const char *name,
                  struct omni_problem *problem);

/* Hands the publisher's newest tick over and sleeps until it is taken, for as long as that may take:
 * without a consumer, until there is one. A signal handler that sets *stop ends the wait, at once or,
 * where it ran just before the sleep, within 400 ms. Returns 0 (also where it was stopped), or -errno
 * after telling the user. */
int lockstep_hand_over(struct lockstep *lockstep, const struct omni_publisher *publisher,
                       const volatile sig_atomic_t *stop);

/* A lockstep that is all zero is fine. */
void lockstep_close(struct lockstep *lockstep);

#endif
