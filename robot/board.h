/*
 * board.h - the seam between the robot and its hardware
 *
 * Purpose
 *   Everything above this line is the same on every robot; everything below it is one file a board
 *   (board_sim.c: a simulated world; board_gpio.c: this machine's pins; board_driver.c: a shared
 *   object of somebody else's). BOARDS
 *   lists them.
 *
 * Calling sequence
 *     struct board_setup setup = {...};
 *     const struct board_kind *kind = board_find("sim", &setup.argument);
 *     struct board *board;
 *     int error = kind->check != NULL ? kind->check(&setup, &problem) : 0;
 *     error = kind->open(&board, &setup, &problem);
 *     sensor thread: error = kind->read_sensors(board, &reading); ...
 *     control loop:  error = kind->set_motors(board, powers); ...
 *     kind->close(board);
 *   Where a board has sense(), the control loop calls that instead of read_sensors(), in lockstep
 *   step(); then there is no sensor thread.
 *
 * Threads
 *   read_sensors() belongs to one thread and may block; set_motors() belongs to another and must
 *   not: it takes no lock that read_sensors() holds, and does not wait for it. open() and close()
 *   happen while neither runs.
 */
#ifndef ROBOT_BOARD_H
#define ROBOT_BOARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <omni/schema.h>

#include "behaviour.h"
#include "drive.h"
#include "realtime.h"
#include "status.h"

struct board; /* each board's own */

struct board_reading {
    /* 20 to 4000, at bearings -90, -45, 0, 45, 90 degrees; 0: there is no sensor at that one. */
    uint16_t range_mm[BEHAVIOUR_SENSORS];
};

/* What a board may need to know. */
struct board_setup {
    uint64_t seed;                       /* for what a board makes up */
    uint64_t period_ns;                  /* of the control loop */
    struct realtime_priorities priority; /* of what the board itself starts */
    const char *argument;      /* what follows the colon of --board KIND:ARGUMENT, or NULL */
    const char *board_config;  /* path of a file about the board, or NULL */
    const char *driver_config; /* board_driver.c only, as these below: text for the driver */
    const char *driver_host;   /* the host program, or NULL: look for it */
    bool isolate_driver;       /* in a process of its own in any case */
    /* Or NULL; set by a signal handler: an open() that has to wait long gives up, -ECANCELED. */
    const volatile sig_atomic_t *stop;
};

struct board_kind {
    const char *name;
    bool takes_argument;

    /* Judges what `setup` names (the file about the board, the driver's file), and touches nothing
     * else: no hardware, no process. For before the robot's name is taken, which ends what its last
     * run has left to be read. NULL: there is nothing to judge.
     * Returns 0; -errno with a sentence in `problem` (may be NULL). open() judges again. */
    int (*check)(const struct board_setup *setup, struct omni_problem *problem);

    /* Makes the board ready, motors at zero. May allocate and start threads. What `setup` points to
     * has to live as long as the board.
     * Returns 0; -errno with a sentence in `problem` (may be NULL), *board untouched; so -ECANCELED
     * where setup->stop was set. */
    int (*open)(struct board **board, const struct board_setup *setup,
                struct omni_problem *problem);

    /* Waits for the next reading, at most 100 ms. Returns 0; -ETIMEDOUT where the sensors did not
     * answer; another -errno where the board is broken. */
    int (*read_sensors)(struct board *board, struct board_reading *reading);

    /* Reads the sensors in the loop's thread, within the tick, instead of read_sensors(). Takes a
     * bounded part of the period. NULL: read_sensors() it is.
     * Returns 0, with the moment of the reading (CLOCK_MONOTONIC); -errno where there is no new one,
     * outputs untouched. */
    int (*sense)(struct board *board, struct board_reading *reading, uint64_t *read_ns);

    /* Lets `ns` nanoseconds pass in a world that the board makes up, and reads the sensors in the end:
     * for lockstep, where nothing happens in real time. In the loop's thread, instead of
     * read_sensors(), at once. NULL: the board's world is the real one.
     * Returns 0; -EAGAIN where no new reading is due yet; -ETIMEDOUT where the sensors did not
     * answer. */
    int (*step)(struct board *board, uint64_t ns, struct board_reading *reading);

    /* Why the motors have to stand still, whatever the behaviour wants. Asked once a tick, in the
     * loop's thread, before set_motors(); `now_ns` is when the tick began. Never blocks. NULL: for
     * no reason, ever. */
    enum motor_hold (*hold)(struct board *board, uint64_t now_ns);

    /* Commands the motors. Never blocks; beside sense(), it may take the rest of what that may.
     * Returns 0 or -errno. */
    int (*set_motors)(struct board *board, struct drive_powers powers);

    /* The robot's size and speed. NULL: DRIVE_GEOMETRY. */
    struct drive_geometry (*geometry)(const struct board *board);

    /* Fills in the fields of the status that only the board knows, in the loop's thread. NULL: there
     * are none; they are 0. */
    void (*report)(const struct board *board, struct robot_status *status);

    /* Releases everything; the motors stand still afterwards. NULL is fine. */
    void (*close)(struct board *board);
};

/* X(name, argument): struct board_kind board_<name>, in board_<name>.c; how its argument is written.
 * The first one is the default. */
#define BOARDS(X) X(sim, "") X(gpio, "") X(driver, ":PATH.so")

#define BOARDS_DECLARE_(name, argument) extern const struct board_kind board_##name;
BOARDS(BOARDS_DECLARE_)
#undef BOARDS_DECLARE_

/* The board of a text "KIND" or "KIND:ARGUMENT", and where in that text the argument begins (NULL:
 * there is none). NULL where there is no such board, or it takes no argument. */
const struct board_kind *board_find(const char *text, const char **argument);

/* How all boards are written, with ", " between them. */
#define BOARDS_NAME_(name, argument) ", " #name argument
#define BOARD_NAMES                  (&(BOARDS(BOARDS_NAME_))[2])

#endif
