/*
 * board.h - the seam between the robot and its hardware
 *
 * Purpose
 *   Everything above this line is the same on every robot; everything below it is one file a board
 *   (board_sim.c: a simulated world). BOARDS lists them.
 *
 * Calling sequence
 *     const struct board_kind *kind = board_find("sim");
 *     struct board *board;
 *     int error = kind->open(&board, seed);
 *     sensor thread: error = kind->read_sensors(board, &reading); ...
 *     control loop:  error = kind->set_motors(board, powers); ...
 *     kind->close(board);
 *   In lockstep the control loop calls step() instead, and there is no sensor thread.
 *
 * Threads
 *   read_sensors() belongs to one thread and may block; set_motors() belongs to another and must
 *   not: it takes no lock that read_sensors() holds, and does not wait for it. open() and close()
 *   happen while neither runs.
 */
#ifndef ROBOT_BOARD_H
#define ROBOT_BOARD_H

#include <stdint.h>

#include "behaviour.h"
#include "drive.h"

struct board; /* each board's own */

struct board_reading {
    uint16_t range_mm[BEHAVIOUR_SENSORS]; /* 20 to 4000, at bearings -90, -45, 0, 45, 90 degrees */
};

struct board_kind {
    const char *name;

    /* Makes the board ready, motors at zero. `seed` is for what a board makes up; a real one
     * ignores it. May allocate. Returns 0 or -errno, *board untouched. */
    int (*open)(struct board **board, uint64_t seed);

    /* Waits for the next reading, at most 100 ms. Returns 0; -ETIMEDOUT where the sensors did not
     * answer; another -errno where the board is broken. */
    int (*read_sensors)(struct board *board, struct board_reading *reading);

    /* Lets `ns` nanoseconds pass in a world that the board makes up, and reads the sensors in the end:
     * for lockstep, where nothing happens in real time. In the loop's thread, instead of
     * read_sensors(), at once. NULL: the board's world is the real one.
     * Returns 0; -EAGAIN where no new reading is due yet; -ETIMEDOUT where the sensors did not
     * answer. */
    int (*step)(struct board *board, uint64_t ns, struct board_reading *reading);

    /* Commands the motors. Never blocks. Returns 0 or -errno. */
    int (*set_motors)(struct board *board, struct drive_powers powers);

    /* Releases everything; the motors stand still afterwards. NULL is fine. */
    void (*close)(struct board *board);
};

/* X(name): struct board_kind board_<name>, in board_<name>.c. The first one is the default. */
#define BOARDS(X) X(sim)

#define BOARDS_DECLARE_(name) extern const struct board_kind board_##name;
BOARDS(BOARDS_DECLARE_)
#undef BOARDS_DECLARE_

/* The board of that name, or NULL. */
const struct board_kind *board_find(const char *name);

/* The names of all boards, with ", " between them. */
#define BOARDS_NAME_(name) ", " #name
#define BOARD_NAMES        (&(BOARDS(BOARDS_NAME_))[2])

#endif
