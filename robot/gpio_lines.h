/*
 * gpio_lines.h - the kernel's GPIO lines, over both generations of libgpiod (1.6, and 2.x)
 *
 * Purpose
 *   The one file that knows libgpiod. A chip, and lines of it: each an output, or an input whose
 *   edges are reported with the kernel's own times. Values are logical: true is "active", whatever
 *   voltage that is (gpio_wish.active_low).
 *
 * Calling sequence
 *     struct gpio_chip *chip;
 *     struct gpio_line *line;
 *     int error = gpio_chip_open(&chip, "gpiochip0", &problem);
 *     error = gpio_line_output(&line, chip, &wish, "motor", &problem);   // inactive from here on
 *     gpio_line_set(line, true);
 *     gpio_line_release(line);        // before the chip is closed
 *     gpio_chip_close(chip);
 *
 * Limits
 *   A line belongs to one thread at a time. After a fork() both processes may set it: the kernel
 *   gives it back when both are gone.
 *
 * Failure
 *   -errno; where there is a `problem`, it has a sentence. What a line does when it is given back
 *   is the chip's own affair: some keep the value, most make it an input.
 */
#ifndef ROBOT_GPIO_LINES_H
#define ROBOT_GPIO_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/schema.h>

struct gpio_chip;
struct gpio_line;

enum gpio_bias { GPIO_BIAS_AS_IS, GPIO_BIAS_PULL_UP, GPIO_BIAS_PULL_DOWN };

/* Which line, and how. */
struct gpio_wish {
    unsigned offset; /* on its chip */
    enum gpio_bias bias;
    bool active_low;
};

/* A change of an input. */
struct gpio_edge {
    uint64_t at_ns; /* CLOCK_MONOTONIC, taken by the kernel when it happened */
    bool active;    /* what it became */
};

/* Opens a chip by the path of its device, its name (gpiochip0) or its label (pinctrl-bcm2711).
 * Touches no line. */
int gpio_chip_open(struct gpio_chip **chip, const char *named, struct omni_problem *problem);

/* How many lines it has. */
unsigned gpio_chip_lines(const struct gpio_chip *chip);

/* NULL is fine. */
void gpio_chip_close(struct gpio_chip *chip);

/* Makes a line an output, inactive. `user` is what tools such as gpioinfo show.
 * Returns 0; -EBUSY where somebody has it; another -errno. */
int gpio_line_output(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                     const char *user, struct omni_problem *problem);

/* Makes a line an input whose edges are kept (16 at least) until they are read. */
int gpio_line_input(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                    const char *user, struct omni_problem *problem);

/* One system call each. get: 1 active, 0 not. */
int gpio_line_set(struct gpio_line *line, bool active);
int gpio_line_get(struct gpio_line *line);

/* Of an input: becomes readable (poll) when there are edges. */
int gpio_line_descriptor(const struct gpio_line *line);

/* Takes up to `most` (1 to 16) edges, oldest first; waits where there are none.
 * Returns how many, or -errno. */
int gpio_line_edges(struct gpio_line *line, struct gpio_edge *edges, int most);

/* Gives the line back. NULL is fine. */
void gpio_line_release(struct gpio_line *line);

#endif
