/*
 * driver_keeper.h - keeps a driver's host process alive, on a thread of its own
 *
 * Purpose
 *   Starting a process takes milliseconds, and a driver may crash or hang at any time: none of that
 *   may happen in the control loop. The keeper starts the host, opens the driver in it and lends the
 *   hand-off to the loop. The loop gives it back when the host died or does not answer; then
 *   the keeper ends it for good and starts the next one.
 *
 * Calling sequence
 *     struct driver_keeper keeper;             // at a place that stays where it is
 *     error = driver_keeper_start(&keeper, &settings, &program, &problem);
 *     each tick, in one thread:
 *         if (driver_keeper_lends(&keeper))    // then keeper.handoff and keeper.call are the loop's
 *             ... and when the host fails: driver_keeper_take_back(&keeper, reason)
 *     driver_keeper_stop(&keeper);             // closes the driver, ends the host
 *
 * Waiting between two starts
 *   None before the second host, so that hardware is without a command for a short time only; then
 *   0.1 s, and twice as long each time up to 5 s. None again after a host that served for 5 s.
 *   What happens is told on stderr, one line each.
 *
 * In the loop
 *   driver_keeper_lends() is one load; driver_keeper_take_back() never blocks. */
#ifndef ROBOT_DRIVER_KEEPER_H
#define ROBOT_DRIVER_KEEPER_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <omni/handoff.h>

#include "driver_call.h"
#include "host_process.h"

/* How long a host may take from its start until its driver is open. */
#define DRIVER_KEEPER_START_SECONDS 10

struct driver_keeper_settings {
    const char *driver; /* path of the shared object */
    const char *config; /* for its open() */
    int priority;       /* of the thread, SCHED_FIFO; the host gets one less once its driver is
                            open. 0: ordinary */
    /* Or NULL; set by a signal handler: driver_keeper_start() waits no longer. */
    const volatile sig_atomic_t *stop;
};

enum driver_keeper_borrower { BORROWER_NONE, BORROWER_LOOP };

/* handoff and call are the borrower's, the rest is the module's own. */
struct driver_keeper {
    struct omni_handoff *handoff;
    struct driver_call *call;

    struct driver_keeper_settings settings; /* the texts live as long as the keeper */
    struct host_program program;
    struct host_process process;
    pthread_t thread;
    sem_t wanted;              /* by the loop or by driver_keeper_stop() */
    sem_t tried;               /* the first start has succeeded or failed */
    _Atomic int borrower;      /* orders all that the two threads leave to each other */
    _Atomic bool stop;         /* set once, by driver_keeper_stop() */
    _Atomic uint32_t restarts; /* hosts started after the first */
    int reason;                /* why it was given back: -ETIMEDOUT or another -errno */
    int refusal;               /* of the first start; 0: none */
    struct omni_problem problem;
    uint64_t pause_ns;
    bool ever_started;
};

/* Starts the thread and waits for the first host. `program` as found by host_find(); the texts in
 * `settings` have to live as long as the keeper.
 * Returns 0 where the driver is open, and also where its host died or hung meanwhile (that may mend;
 * stderr says so, and the keeper goes on trying). -errno with a sentence in `problem` where host or
 * driver said why it cannot be, -ECANCELED where the stop word was set; then nothing is left. */
int driver_keeper_start(struct driver_keeper *keeper, const struct driver_keeper_settings *settings,
                        const struct host_program *program, struct omni_problem *problem);

/* Whether the hand-off is the loop's to use, with no request standing at the beginning. */
bool driver_keeper_lends(const struct driver_keeper *keeper);

/* The loop's last word about a host: dead (-EPIPE, -ENOTCONN) or silent (-ETIMEDOUT). */
void driver_keeper_take_back(struct driver_keeper *keeper, int reason);

/* Closes the driver, where it still answers within a second, and ends the host and the thread. The
 * loop must have ended. */
void driver_keeper_stop(struct driver_keeper *keeper);

#endif
