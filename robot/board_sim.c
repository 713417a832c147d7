/*
 * board_sim.c - the board of a robot that exists only as a world in memory (world.h)
 *
 * The sensor thread owns the world: each reading first lets the world go on until now. The motors'
 * command reaches it through a mailbox, so that the control loop never waits for a ray to be cast.
 */
#include <errno.h>
#include <stdlib.h>

#include <omni/publish.h>

#include "board.h"
#include "clock.h"
#include "complain.h"
#include "mailbox.h"
#include "world.h"

#define READING_PERIOD_NS (20 * CLOCK_NS_A_MILLISECOND)

/* After a suspended machine or a stopped process the world does not catch up in one go. */
#define CATCH_UP_MOST_NS (200 * CLOCK_NS_A_MILLISECOND)

struct board {
    struct mailbox motors; /* from the control loop */
    struct world world;    /* the rest is the sensor thread's */
    uint64_t stepped_ns;   /* the moment that the world has reached */
    uint64_t next_ns;      /* the next reading */
    uint64_t simulated_ns; /* step() only: time in the world, and its next reading */
    uint64_t due_ns;
};

static int sim_open(struct board **board, const struct board_setup *setup,
                    struct omni_problem *problem) {
    struct board *made = aligned_alloc(_Alignof(struct board), sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory for a simulated world");
    mailbox_init(&made->motors, sizeof(struct drive_powers));
    world_start(&made->world, setup->seed);
    made->simulated_ns = 0;
    made->due_ns = READING_PERIOD_NS;
    made->stepped_ns = clock_now_ns();
    made->next_ns = made->stepped_ns + READING_PERIOD_NS;
    *board = made;
    return 0;
}

static struct drive_powers commanded(const struct board *board) {
    struct drive_powers powers = {0};
    struct omni_time time;
    (void)mailbox_newest(&board->motors, &powers, &time); /* none yet: they stand still */
    return powers;
}

static void let_time_pass(struct board *board, uint64_t now_ns) {
    uint64_t passed = now_ns - board->stepped_ns;
    board->stepped_ns = now_ns;
    if (passed > CATCH_UP_MOST_NS)
        passed = CATCH_UP_MOST_NS;
    world_step(&board->world, commanded(board), (double)passed / CLOCK_NS_A_SECOND);
}

static int sim_read_sensors(struct board *board, struct board_reading *reading) {
    while (clock_sleep_until(board->next_ns) == -EINTR) {
    }
    uint64_t now = clock_now_ns();
    let_time_pass(board, now);
    board->next_ns += READING_PERIOD_NS;
    if (board->next_ns < now)
        board->next_ns = now + READING_PERIOD_NS;
    return world_sense(&board->world, reading->range_mm) ? 0 : -ETIMEDOUT;
}

/* Nothing of the machine comes in: the same seed and the same steps give the same readings. */
static int sim_step(struct board *board, uint64_t ns, struct board_reading *reading) {
    world_step(&board->world, commanded(board), (double)ns / CLOCK_NS_A_SECOND);
    board->simulated_ns += ns;
    if (board->simulated_ns < board->due_ns)
        return -EAGAIN;
    board->due_ns += READING_PERIOD_NS;
    if (board->due_ns < board->simulated_ns)
        board->due_ns = board->simulated_ns + READING_PERIOD_NS;
    return world_sense(&board->world, reading->range_mm) ? 0 : -ETIMEDOUT;
}

static int sim_set_motors(struct board *board, struct drive_powers powers) {
    mailbox_put(&board->motors, &powers, (struct omni_time){0});
    return 0;
}

static void sim_close(struct board *board) {
    free(board);
}

const struct board_kind board_sim = {
    .name = "sim",
    .open = sim_open,
    .read_sensors = sim_read_sensors,
    .step = sim_step,
    .set_motors = sim_set_motors,
    .close = sim_close,
};
