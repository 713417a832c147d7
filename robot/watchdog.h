/*
 * watchdog.h - the machine's watchdog, which sees whether the control loop ticks
 *
 * Purpose
 *   A watchdog that a thread of its own feeds proves that this thread runs. This one is fed by the
 *   loop itself, within the tick, a few times in its time-out: where ticks stop, it resets the
 *   computer (--watchdog /dev/watchdog). The service manager's is service/notify.h's.
 *
 * Calling sequence
 *     struct watchdog watchdog;
 *     struct watchdog_options how = {.device = "/dev/watchdog", .system = "/sys", .period_ns = ...};
 *     int error = watchdog_open(&watchdog, &how, &problem);
 *     each tick: watchdog_feed(&watchdog, now_ns);
 *     watchdog_close(&watchdog);                  // it is told to let go
 *
 * Failure
 *   Feeding never fails: a watchdog that gets no food does what it is there for. It keeps running
 *   when the program ends without watchdog_close().
 */
#ifndef ROBOT_WATCHDOG_H
#define ROBOT_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/schema.h>

/* Where it does not say how patient it is. */
#define WATCHDOG_PATIENCE_S 4

/* The members are the module's own. */
struct watchdog {
    int device;           /* -1: none */
    uint64_t interval_ns; /* between two feedings */
    uint64_t fed_ns;
    unsigned timeout_s; /* after which it resets the machine */
    bool stays;         /* cannot be told to let go (its driver's nowayout) */
};

struct watchdog_options {
    const char *device; /* NULL: none, and the other calls do nothing */
    const char *system; /* where sysfs is, in which most drivers tell about themselves */
    uint64_t period_ns; /* of the ticks */
};

/* Opens the watchdog, which bites from now on. One whose time-out is shorter than two ticks is not
 * opened where sysfs tells that before; else it is told to let go again.
 * Returns 0; -ERANGE for such a one, -ENODEV for what is no character device (nothing is written
 * into it), or another -errno, with a sentence in `problem`. */
int watchdog_open(struct watchdog *watchdog, const struct watchdog_options *options,
                  struct omni_problem *problem);

/* A tick took place at `now_ns` (CLOCK_MONOTONIC). One system call when it is time, else none;
 * never blocks. */
void watchdog_feed(struct watchdog *watchdog, uint64_t now_ns);

/* Tells it to let go, which one that stays does not do. */
void watchdog_close(struct watchdog *watchdog);

#endif
