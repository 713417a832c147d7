/*
 * loop.h - the control loop: read the board, decide, drive, publish once, sleep until the deadline
 *
 * Calling sequence
 *     struct loop loop;
 *     loop_init(&loop, &settings);
 *     int error = loop_run(&loop);   // until settings.stop, or settings.ticks are published
 *     ... loop.pace and loop.ticks say how it went ...
 *
 * Within a tick nothing is allocated, locked, read or written but the board.
 *
 * Lockstep
 *   There are no deadlines: tick k happens at k periods of simulated time, whenever that is, and the
 *   loop waits after each until the consumer has taken it. The board's world goes on by one period a
 *   tick. Nothing that the machine does reaches the status but publish_cost and the stamp, which
 *   tells the real time.
 *
 * The service manager
 *   hears "ready" when the first tick is published; then the ticks feed its watchdog
 *   (service/notify.h).
 *   A loop that hangs feeds nothing. That is a system call in at most two ticks per watchdog interval,
 *   after the publication; in none where there is no watchdog.
 *
 * The end
 *   The last tick commands the motors to zero and publishes the mode "stopped"; it counts among
 *   settings.ticks. A signal that sets the stop word ends the sleep, and the last tick follows at
 *   once.
 */
#ifndef ROBOT_LOOP_H
#define ROBOT_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <omni/publish.h>

#include "board.h"
#include "histogram.h"
#include "lockstep.h"
#include "pace.h"
#include "pilot.h"
#include "sensor.h"
#include "service/notify.h"
#include "watchdog.h"

struct loop_settings {
    uint64_t period_ns;
    uint64_t ticks; /* publish that many; 0: no end */
    uint64_t seed;
    const struct board_kind *kind;
    struct board *board;
    const struct sensor *sensor; /* in lockstep, or where the board has sense(): NULL */
    struct lockstep *lockstep;   /* NULL: real time */
    struct watchdog *watchdog;   /* fed in every tick; NULL: there is none */
    struct omni_publisher *publisher;
    struct notify *notify; /* told of the first tick, fed by those that follow; NULL: nobody */
    const volatile sig_atomic_t *stop; /* set by a signal handler of this thread */
};

/* Why loop_run() returned. */
enum loop_end { LOOP_END_TOLD, LOOP_END_TAKEN_OVER, LOOP_END_BOARD, LOOP_END_TURN };

struct loop {
    struct loop_settings settings;
    struct pace pace;
    struct histogram lateness; /* of all ticks */
    struct pilot pilot;
    struct robot_status status;
    struct board_reading reading; /* the newest that was got */
    uint64_t now_ns;              /* when the newest tick began; simulated in lockstep */
    uint64_t read_ns;             /* when it was read; where there is none yet: the start */
    uint64_t ticks;               /* published */
    uint64_t publish_cost_ns;     /* of the tick before */
    uint64_t clock_cost_ns;       /* of reading the clock once */
    bool ever_read;
    enum loop_end end;
};

/* Takes the settings and measures the clock's price. The first deadline is now. */
void loop_init(struct loop *loop, const struct loop_settings *settings);

/* Runs until told to stop. Returns 0; -ESTALE where another publisher has taken over the memory that
 * it publishes in; or the -errno with which the board refused the motors' powers, or with
 * which the turn could not be handed over (lockstep.h; told to the user). loop->end tells these
 * apart. After each of them the motors were told to stop, and no last status was published. */
int loop_run(struct loop *loop);

#endif
