/* The robot in its simulated world for a minute, without real time: the very code of the control
 * loop (pilot.c) and of the board (world.c). Every mode and both values of every flag must occur.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "robot/pilot.h"
#include "robot/world.h"

#define TICK_NS    10000000u
#define READING_NS 20000000u
#define TICKS      6000u

#define COUNT_LABEL(id, text) +1
#define LABELS(LIST)          (0 LIST(COUNT_LABEL))
#define LABEL_TEXT(id, text)  text,

struct seen {
    unsigned bot_mode[LABELS(BOT_MODES)];
    unsigned obstacle_mode[LABELS(OBSTACLE_MODES)];
    unsigned sensor_mode[LABELS(SENSOR_MODES)];
    unsigned obstacle[2];
    unsigned go_left[2];
    unsigned go_right[2];
};

static void count(struct seen *seen, const struct robot_status *status) {
    assert_in_range(status->bot_mode, 0, LABELS(BOT_MODES) - 1);
    assert_in_range(status->obstacle_mode, 0, LABELS(OBSTACLE_MODES) - 1);
    assert_in_range(status->sensor_mode, 0, LABELS(SENSOR_MODES) - 1);
    seen->bot_mode[status->bot_mode]++;
    seen->obstacle_mode[status->obstacle_mode]++;
    seen->sensor_mode[status->sensor_mode]++;
    seen->obstacle[status->obstacle]++;
    seen->go_left[status->go_left]++;
    seen->go_right[status->go_right]++;
}

/* What every published status must obey, whatever happens. */
static void check(const struct robot_status *status) {
    assert_false(status->go_left && status->go_right);
    assert_true(status->direction >= 0 && status->direction <= 360);
    assert_true(status->heading >= 0 && status->heading <= 360);
    for (int i = 0; i < DRIVE_WHEELS; i++)
        assert_in_range(status->motor_power[i] + 100, 0, 200);
    for (int i = 0; i < WORLD_SENSORS; i++) {
        bool answers = status->sensor_mode == SENSOR_FRESH || status->sensor_mode == SENSOR_LATE;
        assert_in_range(status->sensors[i], answers ? WORLD_RANGE_MIN_MM : 0,
                        answers ? WORLD_RANGE_MAX_MM : 0);
    }
    if (status->bot_mode == BOT_WAITING || status->bot_mode == BOT_STOPPED ||
        status->bot_mode == BOT_STARTING) {
        const int8_t still[DRIVE_WHEELS] = {0};
        assert_memory_equal(status->motor_power, still, sizeof still);
    }
}

struct simulation {
    struct world world;
    struct pilot pilot;
    struct pilot_input input;
    uint64_t now_ns;
    uint64_t read_ns;
};

static void start(struct simulation *simulation, uint64_t seed) {
    memset(simulation, 0, sizeof *simulation);
    world_start(&simulation->world, seed);
    simulation->pilot = pilot_start(seed);
}

static void tick(struct simulation *simulation, struct robot_status *status) {
    if (simulation->now_ns > 0) {
        world_step(&simulation->world, simulation->pilot.powers, TICK_NS / 1e9);
        simulation->input.period_ns = TICK_NS;
        if (simulation->now_ns % READING_NS == 0 &&
            world_sense(&simulation->world, simulation->input.range_mm)) {
            simulation->input.ever_read = true;
            simulation->read_ns = simulation->now_ns;
        }
    }
    simulation->input.reading_age_ns = simulation->now_ns - simulation->read_ns;
    pilot_step(&simulation->pilot, &simulation->input);
    memset(status, 0, sizeof *status);
    pilot_report(&simulation->pilot, status);
    simulation->now_ns += TICK_NS;
}

static struct seen run_a_minute(uint64_t seed) {
    struct simulation simulation;
    struct robot_status status;
    struct seen seen = {0};
    start(&simulation, seed);
    for (unsigned i = 1; i < TICKS; i++) {
        tick(&simulation, &status);
        check(&status);
        count(&seen, &status);
    }
    simulation.input.stop = true;
    tick(&simulation, &status);
    check(&status);
    count(&seen, &status);
    return seen;
}

static unsigned missing(uint64_t seed, const char *field, const char *const *labels,
                        const unsigned *counts, size_t length) {
    unsigned lacking = 0;
    for (size_t i = 0; i < length; i++) {
        if (counts[i] == 0) {
            print_error("seed %llu: %s was never %s\n", (unsigned long long)seed, field, labels[i]);
            lacking++;
        }
    }
    return lacking;
}

static unsigned all_missing(uint64_t seed, const struct seen *seen) {
    static const char *const bot_modes[] = {BOT_MODES(LABEL_TEXT)};
    static const char *const obstacle_modes[] = {OBSTACLE_MODES(LABEL_TEXT)};
    static const char *const sensor_modes[] = {SENSOR_MODES(LABEL_TEXT)};
    static const char *const flags[] = {"false", "true"};
    return missing(seed, "bot_mode", bot_modes, seen->bot_mode, LABELS(BOT_MODES)) +
           missing(seed, "obstacle_mode", obstacle_modes, seen->obstacle_mode,
                   LABELS(OBSTACLE_MODES)) +
           missing(seed, "sensor_mode", sensor_modes, seen->sensor_mode, LABELS(SENSOR_MODES)) +
           missing(seed, "obstacle", flags, seen->obstacle, 2) +
           missing(seed, "go_left", flags, seen->go_left, 2) +
           missing(seed, "go_right", flags, seen->go_right, 2);
}

static void every_mode_and_flag_occurs_within_a_minute(void **state) {
    (void)state;
    unsigned lacking = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct seen seen = run_a_minute(seed);
        lacking += all_missing(seed, &seen);
    }
    assert_int_equal(lacking, 0);
}

static void the_same_seed_gives_the_same_minute(void **state) {
    (void)state;
    struct seen first = run_a_minute(7);
    struct seen second = run_a_minute(7);
    struct seen other = run_a_minute(8);
    assert_memory_equal(&first, &second, sizeof first);
    assert_memory_not_equal(&first, &other, sizeof first);
}

/* No drive into nowhere: after an hour the robot is still in the room and still gets about. */
static void an_hour_later_it_is_still_on_its_way(void **state) {
    (void)state;
    struct simulation simulation;
    struct robot_status status;
    start(&simulation, 1);
    double left = WORLD_WIDTH_MM;
    double right = 0;
    for (unsigned i = 0; i < 60 * TICKS; i++) {
        tick(&simulation, &status);
        assert_true(simulation.world.pose.x >= WORLD_ROBOT_RADIUS_MM - 1);
        assert_true(simulation.world.pose.x <= WORLD_WIDTH_MM - WORLD_ROBOT_RADIUS_MM + 1);
        assert_true(simulation.world.pose.y >= WORLD_ROBOT_RADIUS_MM - 1);
        assert_true(simulation.world.pose.y <= WORLD_HEIGHT_MM - WORLD_ROBOT_RADIUS_MM + 1);
        if (i >= 58 * TICKS) {
            left = simulation.world.pose.x < left ? simulation.world.pose.x : left;
            right = simulation.world.pose.x > right ? simulation.world.pose.x : right;
        }
    }
    print_message("in the last two minutes it was between x = %.0f and %.0f mm\n", left, right);
    assert_true(right - left > 800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_and_flag_occurs_within_a_minute),
        cmocka_unit_test(the_same_seed_gives_the_same_minute),
        cmocka_unit_test(an_hour_later_it_is_still_on_its_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
