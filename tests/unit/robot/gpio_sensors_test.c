/*
 * The thread that reads echo sensors and switches, on lines that are made up here: what libgpiod
 * would do stands in this file, so that the answers can come when no real sensor would give them.
 * On real lines: tests/vm/gpio.test.mjs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/gpio_sensors.h"

#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)
#define US          CLOCK_NS_A_MICROSECOND
#define MS          CLOCK_NS_A_MILLISECOND

enum { LINES = 16 };

/* ---- made-up lines --------------------------------------------------------------------------- */

/* An output with an `echo` answers when it falls. All of it happens in the thread of the sensors,
 * but the edges of switches, which come through the pipe as well. */
struct gpio_line {
    unsigned offset;
    bool active;
    int edges[2];   /* a pipe of struct gpio_edge */
    unsigned cries; /* how often it was triggered */
};

static struct {
    struct gpio_line *line[LINES];
    _Atomic uint64_t pulse_ns; /* of the answer; 0: none */
    _Atomic uint64_t high_ns;  /* how long a trigger's line stays up at least: a slow thread */
    _Atomic uint64_t look_ns;  /* how long looking at a level takes: likewise */
    _Atomic bool level[LINES];
} world;

struct gpio_chip {
    int unused;
};

static int make(struct gpio_line **line, const struct gpio_wish *wish) {
    struct gpio_line *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->offset = wish->offset;
    assert_int_equal(pipe2(made->edges, O_CLOEXEC), 0);
    world.line[wish->offset] = made;
    *line = made;
    return 0;
}

int gpio_line_output(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                     const char *user, struct omni_problem *problem) {
    (void)chip;
    (void)user;
    (void)problem;
    return make(line, wish);
}

int gpio_line_input(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                    const char *user, struct omni_problem *problem) {
    return gpio_line_output(line, chip, wish, user, problem);
}

static void edge(struct gpio_line *line, bool active, uint64_t at_ns) {
    struct gpio_edge told = {.at_ns = at_ns, .active = active};
    world.level[line->offset] = active;
    (void)!write(line->edges[1], &told, sizeof told);
}

/* Its answer is already over when it begins to wait for it: times are the kernel's. */
static void cry(const struct gpio_line *trigger) {
    struct gpio_line *echo = world.line[trigger->offset + 1];
    uint64_t now_ns = clock_now_ns();
    if (world.pulse_ns == 0)
        return;
    edge(echo, true, now_ns);
    edge(echo, false, now_ns + world.pulse_ns);
}

int gpio_line_set(struct gpio_line *line, bool active) {
    if (active)
        (void)clock_sleep_until(clock_now_ns() + world.high_ns);
    if (line->active && !active)
        cry(line);
    line->active = active;
    return 0;
}

int gpio_line_get(struct gpio_line *line) {
    (void)clock_sleep_until(clock_now_ns() + world.look_ns);
    return world.level[line->offset];
}

int gpio_line_descriptor(const struct gpio_line *line) {
    return line->edges[0];
}

int gpio_line_edges(struct gpio_line *line, struct gpio_edge *edges, int most) {
    ssize_t bytes = read(line->edges[0], edges, (size_t)most * sizeof edges[0]);
    return bytes < 0 ? -errno : (int)((size_t)bytes / sizeof edges[0]);
}

void gpio_line_release(struct gpio_line *line) {
    if (line == NULL)
        return;
    world.line[line->offset] = NULL;
    (void)close(line->edges[0]);
    (void)close(line->edges[1]);
    free(line);
}

/* ---- what the tests say ---------------------------------------------------------------------- */

static struct gpio_sensors sensors;

static struct gpio_config_line given(unsigned offset) {
    return (struct gpio_config_line){.wish.offset = offset, .is_given = true};
}

static void add_echo(struct gpio_config *config, int place, unsigned trigger) {
    config->sensors[place].trigger = given(trigger);
    config->sensors[place].echo = given(trigger + 1);
    config->sensors[place].trigger_us = 12;
}

static void open_with(const struct gpio_config *config) {
    struct omni_problem problem = {""};
    if (gpio_sensors_open(&sensors, NULL, config, 0, &problem) < 0)
        fail_msg("%s", problem.text);
}

static int clear_world(void **state) {
    (void)state;
    world.pulse_ns = 0;
    world.high_ns = 0;
    world.look_ns = 0;
    for (int i = 0; i < LINES; i++)
        world.level[i] = false;
    return 0;
}

/* The next reading that is newer than the last one was. */
static struct board_reading next_reading(uint64_t *read_ns) {
    struct board_reading reading;
    uint64_t before_ns = *read_ns;
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (gpio_sensors_newest(&sensors, &reading, read_ns) < 0 || *read_ns == before_ns) {
        assert_true(clock_now_ns() < end_ns);
        (void)clock_sleep_until(clock_now_ns() + MS);
    }
    return reading;
}

static void echoes_are_ranges_at_their_bearings(void **state) {
    (void)state;
    struct gpio_config config = {.board.chip = ""};
    add_echo(&config, SENSOR_AHEAD, 0);
    add_echo(&config, SENSOR_LEFT_AHEAD, 2);
    world.pulse_ns = 5831 * US;
    open_with(&config);
    uint64_t read_ns = 0;
    for (int i = 0; i < 5; i++) {
        struct board_reading reading = next_reading(&read_ns);
        const uint16_t wanted[] = {0, 0, 1000, 1000, 0};
        assert_memory_equal(reading.range_mm, wanted, sizeof wanted);
    }
    gpio_sensors_close(&sensors);
}

/* However late the thread is, what it says was measured: a robot that hears its echo too late must
 * not take the way for free. */
static void a_late_thread_makes_nothing_up(void **state) {
    (void)state;
    struct gpio_config config = {.board.chip = ""};
    add_echo(&config, SENSOR_AHEAD, 0);
    add_echo(&config, SENSOR_RIGHT, 2);
    world.pulse_ns = 1749 * US; /* 300 mm */
    world.high_ns = 40 * MS;
    world.look_ns = 15 * MS;
    open_with(&config);
    uint64_t read_ns = 0;
    for (int i = 0; i < 8; i++) {
        struct board_reading reading = next_reading(&read_ns);
        assert_int_equal(reading.range_mm[SENSOR_AHEAD], 300);
        assert_int_equal(reading.range_mm[SENSOR_RIGHT], 300);
    }
    gpio_sensors_close(&sensors);
}

/* One of two falls silent: the reading grows old, though the other one answers. */
static void the_reading_is_as_old_as_its_oldest_part(void **state) {
    (void)state;
    struct gpio_config config = {.board.chip = ""};
    add_echo(&config, SENSOR_AHEAD, 0);
    config.sensors[SENSOR_LEFT].contact = given(4);
    world.pulse_ns = 1749 * US;
    open_with(&config);
    uint64_t read_ns = 0;
    (void)next_reading(&read_ns);
    world.pulse_ns = 0;
    struct board_reading reading;
    uint64_t then_ns;
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    do {
        assert_true(clock_now_ns() < end_ns);
        then_ns = read_ns;
        (void)clock_sleep_until(clock_now_ns() + 200 * MS);
        assert_int_equal(gpio_sensors_newest(&sensors, &reading, &read_ns), 0);
    } while (read_ns != then_ns);
    gpio_sensors_close(&sensors);
}

static void before_all_have_answered_there_is_none(void **state) {
    (void)state;
    struct gpio_config config = {.board.chip = ""};
    add_echo(&config, SENSOR_AHEAD, 0);
    config.sensors[SENSOR_LEFT].contact = given(4);
    open_with(&config);
    struct board_reading reading;
    uint64_t read_ns = 0;
    (void)clock_sleep_until(clock_now_ns() + 200 * MS);
    assert_int_equal(gpio_sensors_newest(&sensors, &reading, &read_ns), -EAGAIN);
    gpio_sensors_close(&sensors);
}

/* It was pressed and let go between two slots: only the edges tell. */
static void a_short_touch_is_not_missed(void **state) {
    (void)state;
    struct gpio_config config = {.board.chip = ""};
    config.sensors[SENSOR_AHEAD].contact = given(4);
    config.sensors[SENSOR_AHEAD].debounce_ms = 200;
    open_with(&config);
    uint64_t read_ns = 0;
    assert_int_equal(next_reading(&read_ns).range_mm[SENSOR_AHEAD], ECHO_RANGE_MAX_MM);
    uint64_t now_ns = clock_now_ns();
    edge(world.line[4], true, now_ns);
    edge(world.line[4], false, now_ns + MS);
    uint64_t end_ns = now_ns + PATIENCE_NS;
    while (next_reading(&read_ns).range_mm[SENSOR_AHEAD] != ECHO_RANGE_MIN_MM)
        assert_true(clock_now_ns() < end_ns);
    while (next_reading(&read_ns).range_mm[SENSOR_AHEAD] != ECHO_RANGE_MAX_MM)
        assert_true(clock_now_ns() < end_ns);
    assert_true(clock_now_ns() - now_ns >= 200 * MS);
    gpio_sensors_close(&sensors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(echoes_are_ranges_at_their_bearings, clear_world),
        cmocka_unit_test_setup(a_late_thread_makes_nothing_up, clear_world),
        cmocka_unit_test_setup(the_reading_is_as_old_as_its_oldest_part, clear_world),
        cmocka_unit_test_setup(before_all_have_answered_there_is_none, clear_world),
        cmocka_unit_test_setup(a_short_touch_is_not_missed, clear_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
