/*
 * board_gpio.c - the board of a robot with real pins: GPIO lines of this machine (docs/gpio.md)
 *
 * What moves, and what keeps it from moving, comes first: the motors' lines are taken switched off,
 * then the guard starts, and only then all else.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "clock.h"
#include "complain.h"
#include "gpio_config.h"
#include "gpio_lines.h"
#include "gpio_sensors.h"
#include "motor_guard.h"
#include "motors.h"
#include "overrun.h"
#include "service/say.h"

/* A disturbance on a wire is shorter, a finger's press is longer. */
#define PRESS_NS      CLOCK_NS_A_MILLISECOND
#define EDGES_AT_ONCE 16

struct board {
    struct motors motors; /* first: these two have cache lines of their own */
    struct gpio_sensors sensors;
    struct motor_guard guard;
    struct gpio_chip *chip;
    struct gpio_line *emergency_stop; /* NULL: there is none */
    struct gpio_line *heartbeat;      /* NULL: there is none */
    struct overrun overrun;
    struct drive_geometry geometry;
    uint64_t pressed_ns; /* when the emergency stop was pressed; 0: it was let go */
    bool stopped;        /* by the emergency stop, for good */
    bool beat;           /* what the heartbeat's line shows */
    bool guarded;        /* the guard looked for ticks lately */
    bool mourned;        /* it was told that the guard is gone */
};

/* ---- opening --------------------------------------------------------------------------------- */

static int check_limit(const struct gpio_config *config, uint64_t period_ns,
                       struct omni_problem *problem) {
    uint64_t limit_ns = config->board.overrun_limit_ms * CLOCK_NS_A_MILLISECOND;
    if (limit_ns >= 2 * period_ns)
        return 0;
    return complain(problem, -EINVAL,
                    "overrun_limit_ms = %llu is less than two ticks: at least %llu is possible, or "
                    "a higher --tick-hz",
                    (unsigned long long)config->board.overrun_limit_ms,
                    (unsigned long long)((2 * period_ns + CLOCK_NS_A_MILLISECOND - 1) /
                                         CLOCK_NS_A_MILLISECOND));
}

static int check_offsets(const struct gpio_config *config, const struct gpio_chip *chip,
                         struct omni_problem *problem) {
    struct gpio_config_use uses[GPIO_CONFIG_LINES_MOST];
    size_t count = gpio_config_lines(config, uses);
    unsigned lines = gpio_chip_lines(chip);
    for (size_t i = 0; i < count; i++) {
        if (uses[i].wish->offset >= lines)
            return complain(problem, -EINVAL, "%s = %u: %.60s has the lines 0 to %u", uses[i].what,
                            uses[i].wish->offset, config->board.chip, lines - 1);
    }
    return 0;
}

static int open_motors(struct board *board, const struct gpio_config *config, int guard_priority,
                       const struct motor_guard_files *before, struct omni_problem *problem) {
    int error = motors_open(&board->motors, board->chip, config, problem);
    if (error < 0)
        return error;
    struct motor_guard_settings settings = {
        .before = before, .limit_ns = board->overrun.limit_ns, .priority = guard_priority};
    error = motor_guard_start(&board->guard, &board->motors, &settings, problem);
    if (error < 0)
        motors_close(&board->motors);
    return error;
}

static int open_wires(struct board *board, const struct gpio_config *config,
                      struct omni_problem *problem) {
    const struct gpio_config_board *wanted = &config->board;
    int error = 0;
    if (wanted->emergency_stop.is_given)
        error = gpio_line_input(&board->emergency_stop, board->chip, &wanted->emergency_stop.wish,
                                "omni-robot emergency stop", problem);
    if (error == 0 && wanted->heartbeat.is_given)
        error = gpio_line_output(&board->heartbeat, board->chip, &wanted->heartbeat.wish,
                                 "omni-robot heartbeat", problem);
    return error;
}

static int start_threads(struct board *board, const struct gpio_config *config,
                         const struct realtime_priorities *priority, struct omni_problem *problem) {
    int error = gpio_sensors_open(&board->sensors, board->chip, config, priority->sensor, problem);
    if (error < 0)
        return error;
    error = motors_start(&board->motors, priority->pwm, board->overrun.limit_ns);
    if (error == 0)
        return 0;
    gpio_sensors_close(&board->sensors);
    return complain(problem, error, "the thread for software PWM cannot be started: %s",
                    strerror(-error));
}

static int open_hardware(struct board *board, const struct gpio_config *config,
                         const struct realtime_priorities *priority, struct omni_problem *problem) {
    struct motor_guard_files before;
    motor_guard_note(&before);
    int error = gpio_chip_open(&board->chip, config->board.chip, problem);
    if (error < 0)
        return error;
    error = check_offsets(config, board->chip, problem);
    if (error < 0)
        goto close_chip;
    error = open_motors(board, config, priority->guard, &before, problem);
    if (error < 0)
        goto close_chip;
    error = open_wires(board, config, problem);
    if (error == 0)
        error = start_threads(board, config, priority, problem);
    if (error == 0)
        return 0;
    gpio_line_release(board->heartbeat);
    gpio_line_release(board->emergency_stop);
    motors_close(&board->motors);
    motor_guard_stop(&board->guard);
close_chip:
    gpio_chip_close(board->chip);
    return error;
}

static int load_config(struct gpio_config *config, const struct board_setup *setup,
                       struct omni_problem *problem) {
    if (setup->board_config == NULL)
        return complain(problem, -EINVAL,
                        "--board gpio needs to know what is wired where: --board-config FILE (man "
                        "omni-gpio)");
    int error = gpio_config_load(config, setup->board_config, problem);
    return error < 0 ? error : check_limit(config, setup->period_ns, problem);
}

static int gpio_check(const struct board_setup *setup, struct omni_problem *problem) {
    struct gpio_config config;
    return load_config(&config, setup, problem);
}

static int gpio_open(struct board **board, const struct board_setup *setup,
                     struct omni_problem *problem) {
    struct gpio_config config;
    int error = load_config(&config, setup, problem);
    if (error < 0)
        return error;
    struct board *made = aligned_alloc(_Alignof(struct board), sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory for a board");
    *made = (struct board){
        .guarded = true,
        .overrun.limit_ns = config.board.overrun_limit_ms * CLOCK_NS_A_MILLISECOND,
        .geometry.wheel_circle_mm = (double)config.board.wheel_circle_mm,
        .geometry.top_speed_mm_s = (double)config.board.top_speed_mm_s,
    };
    error = open_hardware(made, &config, &setup->priority, problem);
    if (error < 0) {
        free(made);
        return error;
    }
    *board = made;
    return 0;
}

/* ---- in the tick ----------------------------------------------------------------------------- */

static int gpio_sense(struct board *board, struct board_reading *reading, uint64_t *read_ns) {
    return gpio_sensors_newest(&board->sensors, reading, read_ns);
}

/* Whether it was pressed and let go again since it was asked last: the kernel has kept the edges. */
static bool was_pressed(struct board *board) {
    struct pollfd edge = {.fd = gpio_line_descriptor(board->emergency_stop), .events = POLLIN};
    struct gpio_edge edges[EDGES_AT_ONCE];
    bool pressed = false;
    if (poll(&edge, 1, 0) <= 0)
        return false;
    int count = gpio_line_edges(board->emergency_stop, edges, EDGES_AT_ONCE);
    for (int i = 0; i < count; i++) {
        pressed = pressed || (!edges[i].active && board->pressed_ns != 0 &&
                              edges[i].at_ns - board->pressed_ns >= PRESS_NS);
        board->pressed_ns = edges[i].active ? edges[i].at_ns : 0;
    }
    return pressed || count < 0;
}

static bool is_pressed(struct board *board) {
    return gpio_line_get(board->emergency_stop) != 0 || was_pressed(board);
}

/* Ticks in time are half of it: somebody has to be there who would see that there are none. */
static bool is_guarded(struct board *board, uint64_t now_ns) {
    bool looks = motor_guard_looks(&board->guard, now_ns);
    if (!looks && board->guarded) {
        motors_off(&board->motors); /* first: to say something may take its time */
        say(SAY_WARNING, "The process that guards the motors (omni-guard) does not look any more; "
                         "is it suspended? They are off until it does.");
    }
    board->guarded = looks;
    return looks;
}

/* That somebody lets go of the button must not start the motors: it holds until the next start. A
 * line that cannot be read any more is as good as pressed. */
static enum motor_hold gpio_hold(struct board *board, uint64_t now_ns) {
    bool seen = motor_guard_acted(&board->guard);
    bool late = overrun_tick(&board->overrun, now_ns, !is_guarded(board, now_ns) || seen);
    if (!board->stopped && board->emergency_stop != NULL && is_pressed(board))
        board->stopped = true;
    if (board->stopped)
        return HOLD_EMERGENCY_STOP;
    return late ? HOLD_OVERRUN : HOLD_NONE;
}

/* What a tick decided that stood still for too long is not carried out: not where the guard has
 * switched off since it began, nor where it does so in the midst of it. */
static int drive(struct board *board, struct drive_powers powers, uint64_t now_ns) {
    const struct drive_powers none = {.wheel = {0}};
    bool late = motor_guard_acts(&board->guard);
    int error = motors_drive(&board->motors, late ? none : powers, now_ns);
    if (motor_guard_acts(&board->guard))
        motors_off(&board->motors);
    return error;
}

static int gpio_set_motors(struct board *board, struct drive_powers powers) {
    uint64_t now_ns = clock_now_ns();
    if (!motor_guard_is_alive(&board->guard)) {
        motors_off(&board->motors);
        if (!board->mourned)
            say(SAY_ERROR,
                "The process that guards the motors (omni-guard) is gone; without it nothing "
                "is driven.");
        board->mourned = true;
        return -ECHILD;
    }
    int error = drive(board, powers, now_ns);
    motor_guard_beat(&board->guard, now_ns);
    board->beat = !board->beat;
    if (error == 0 && board->heartbeat != NULL)
        error = gpio_line_set(board->heartbeat, board->beat);
    return error;
}

static struct drive_geometry gpio_geometry(const struct board *board) {
    return board->geometry;
}

static void gpio_report(const struct board *board, struct robot_status *status) {
    uint64_t jitter_us = motors_jitter_ns(&board->motors) / CLOCK_NS_A_MICROSECOND;
    status->pwm_jitter = jitter_us < UINT32_MAX ? (uint32_t)jitter_us : UINT32_MAX;
}

/* The guard holds the motors' lines as long as we do: when both are gone, another may take them. */
static void gpio_close(struct board *board) {
    if (board == NULL)
        return;
    motors_off(&board->motors);
    gpio_sensors_close(&board->sensors);
    motors_close(&board->motors);
    motor_guard_stop(&board->guard);
    gpio_line_release(board->heartbeat);
    gpio_line_release(board->emergency_stop);
    gpio_chip_close(board->chip);
    free(board);
}

const struct board_kind board_gpio = {
    .name = "gpio",
    .check = gpio_check,
    .open = gpio_open,
    .sense = gpio_sense,
    .hold = gpio_hold,
    .set_motors = gpio_set_motors,
    .geometry = gpio_geometry,
    .report = gpio_report,
    .close = gpio_close,
};
