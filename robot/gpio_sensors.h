/*
 * gpio_sensors.h - ranging sensors on GPIO lines: echo sensors and obstacle switches, on a thread
 *
 * Purpose
 *   Triggers the echo sensors in two groups in turn (-90, 0, 90; then -45, 45 degrees: neighbours
 *   would hear each other), ECHO_SLOT_NS each; times their pulses by the kernel's own stamps of the
 *   edges; looks after the switches. After each slot, and at once where a switch closes, the newest
 *   reading is put together.
 *
 * Calling sequence
 *     struct gpio_sensors sensors;                     // at a place that stays where it is
 *     int error = gpio_sensors_open(&sensors, chip, &config, priority, &problem);
 *     each tick: gpio_sensors_newest(&sensors, &reading, &read_ns);
 *     gpio_sensors_close(&sensors);
 *
 * How old a reading is
 *   As old as its oldest part. Where one sensor is silent, the whole reading grows old, and after a
 *   quarter of a second the robot stops: it does not drive where it cannot see. Before each echo
 *   sensor has answered once there is none.
 */
#ifndef ROBOT_GPIO_SENSORS_H
#define ROBOT_GPIO_SENSORS_H

#include <pthread.h>
#include <stdint.h>

#include "board.h"
#include "debounce.h"
#include "echo.h"
#include "gpio_config.h"
#include "gpio_lines.h"
#include "mailbox.h"

/* The members are the module's own. */
struct gpio_sensors {
    struct mailbox newest;
    struct gpio_sensor {
        struct gpio_line *trigger; /* NULL: a switch, or nothing */
        struct gpio_line *input;   /* echo or contact; NULL: no sensor at that bearing */
        uint64_t trigger_ns;
        struct echo echo;
        struct debounce contact;
    } sensor[BEHAVIOUR_SENSORS];
    pthread_t thread;
    int stop[2]; /* a pipe: closed at one end, the thread ends */
};

/* Takes the lines and starts the thread. `priority`: of SCHED_FIFO; 0: ordinary scheduling.
 * Returns 0; -errno with a sentence in `problem`, then nothing is held. */
int gpio_sensors_open(struct gpio_sensors *sensors, struct gpio_chip *chip,
                      const struct gpio_config *config, int priority, struct omni_problem *problem);

/* The newest reading, and when its oldest part was made. Never blocks.
 * Returns 0; -EAGAIN where there is none yet, outputs untouched. */
int gpio_sensors_newest(const struct gpio_sensors *sensors, struct board_reading *reading,
                        uint64_t *read_ns);

/* Ends the thread and gives the lines back. */
void gpio_sensors_close(struct gpio_sensors *sensors);

#endif
