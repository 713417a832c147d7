/*
 * gpio_config.h - the file that says what is wired to which GPIO line (--board-config)
 *
 * Purpose
 *   Reads the whole file and judges it as a whole: nothing of the hardware is looked at, let alone
 *   touched, before all of it makes sense. docs/man/omni-gpio.5 is its manual.
 *
 * Calling sequence
 *     struct gpio_config config;
 *     int error = gpio_config_load(&config, "robot.ini", &problem);
 *     ... gpio_config_lines(&config, ...) to compare with a chip ...
 *
 * Adding a key
 *   One line in GPIO_CONFIG_KEYS, and its text in the manual (a test asks for it).
 *
 * Failure
 *   -errno, with one sentence that names file, line and key; *config is untouched.
 */
#ifndef ROBOT_GPIO_CONFIG_H
#define ROBOT_GPIO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <omni/schema.h>

#include "behaviour.h"
#include "drive.h"
#include "gpio_lines.h"

#define GPIO_CONFIG_TEXT_BYTES 160

/* The same in a file of any width: no line may be longer. */
#define GPIO_CONFIG_LINE_BYTES 196

/* And no file: whoever names another one by mistake is told so. */
#define GPIO_CONFIG_BYTES 65536

/* A line, where there is one. */
struct gpio_config_line {
    struct gpio_wish wish;
    bool is_given;
};

/* Where a motor's speed comes out: a line that a thread switches, or the kernel's PWM. */
struct gpio_config_pwm {
    struct gpio_config_line line;
    char chip[GPIO_CONFIG_TEXT_BYTES]; /* the folder of a PWM chip in sysfs; "": there is a line */
    unsigned channel;
};

struct gpio_config_motor {
    struct gpio_config_line forward; /* active: it drives the robot counter-clockwise */
    struct gpio_config_line backward;
    struct gpio_config_pwm pwm;
};

/* Trigger and echo, or a switch, or (at that bearing) nothing. */
struct gpio_config_sensor {
    struct gpio_config_line trigger;
    struct gpio_config_line echo;
    uint64_t trigger_us; /* how long the trigger's pulse is, at least */
    struct gpio_config_line contact;
    uint64_t debounce_ms;
};

struct gpio_config_board {
    char chip[GPIO_CONFIG_TEXT_BYTES];
    struct gpio_config_line emergency_stop;
    struct gpio_config_line heartbeat;
    uint64_t overrun_limit_ms;
    uint64_t software_pwm_hz;
    uint64_t pwm_hz;
    uint64_t wheel_circle_mm;
    uint64_t top_speed_mm_s;
};

struct gpio_config {
    struct gpio_config_board board;
    struct gpio_config_motor motors[DRIVE_WHEELS];        /* at 60, 180 and 300 degrees */
    struct gpio_config_sensor sensors[BEHAVIOUR_SENSORS]; /* at -90, -45, 0, 45 and 90 */
};

/* X(section, key, kind, member, default, low, high)
 *   section   board, motor, sensor: of struct gpio_config_<section>
 *   kind      text, number, output, input, pwm; a default of NULL: must be given; "": need not
 *   be */
/* clang-format off */
#define GPIO_CONFIG_KEYS(X)                                                                        \
    X(board,  chip,             text,   chip,             NULL,  0, 0)                             \
    X(board,  emergency_stop,   input,  emergency_stop,   "",    0, 0)                             \
    X(board,  heartbeat,        output, heartbeat,        "",    0, 0)                             \
    X(board,  overrun_limit_ms, number, overrun_limit_ms, "100", 5, 2000)                          \
    X(board,  software_pwm_hz,  number, software_pwm_hz,  "100", 20, 500)                          \
    X(board,  pwm_hz,           number, pwm_hz,           "20000", 50, 100000)                     \
    X(board,  wheel_circle_mm,  number, wheel_circle_mm,  "100", 10, 1000)                         \
    X(board,  top_speed_mm_s,   number, top_speed_mm_s,   "400", 10, 5000)                         \
    X(motor,  forward,          output, forward,          NULL,  0, 0)                             \
    X(motor,  backward,         output, backward,         NULL,  0, 0)                             \
    X(motor,  pwm,              pwm,    pwm,              NULL,  0, 0)                             \
    X(sensor, trigger,          output, trigger,          "",    0, 0)                             \
    X(sensor, echo,             input,  echo,             "",    0, 0)                             \
    X(sensor, trigger_us,       number, trigger_us,       "12",  10, 1000)                         \
    X(sensor, switch,           input,  contact,          "",    0, 0)                             \
    X(sensor, debounce_ms,      number, debounce_ms,      "20",  0, 500)
/* clang-format on */

/* Reads and judges a file. */
int gpio_config_load(struct gpio_config *config, const char *path, struct omni_problem *problem);

/* The same from an open file; `name` is what complaints call it. */
int gpio_config_read(struct gpio_config *config, FILE *file, const char *name,
                     struct omni_problem *problem);

/* Whether there is a sensor at that place of `sensors`. */
bool gpio_config_has_sensor(const struct gpio_config_sensor *sensor);

/* What a line is for, and which. */
struct gpio_config_use {
    char what[48]; /* "[motor 60] forward" */
    const struct gpio_wish *wish;
};

/* 2 of the board, 3 of each motor, 3 of each sensor. */
#define GPIO_CONFIG_LINES_MOST (2 + 3 * DRIVE_WHEELS + 3 * BEHAVIOUR_SENSORS)

/* All lines that are given. Returns how many. */
size_t gpio_config_lines(const struct gpio_config *config,
                         struct gpio_config_use uses[GPIO_CONFIG_LINES_MOST]);

#endif
