/* What the robot decides, one situation at a time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "robot/behaviour.h"

#define TICK_SECONDS 0.01

/* right, right ahead, ahead, left ahead, left */
static const double free_all_around[BEHAVIOUR_SENSORS] = {2000, 2000, 2000, 2000, 2000};

static struct behaviour_input seeing(const double range_mm[BEHAVIOUR_SENSORS]) {
    struct behaviour_input input = {.seconds = TICK_SECONDS, .sensor_mode = SENSOR_FRESH};
    memcpy(input.range_mm, range_mm, sizeof input.range_mm);
    return input;
}

/* Steps through `seconds`; the readings come and go by 60 mm so that the robot seems to move. */
static struct behaviour live(struct behaviour state, struct behaviour_input input, double seconds) {
    int steps = (int)lround(seconds / TICK_SECONDS);
    for (int i = 0; i < steps; i++) {
        struct behaviour_input now = input;
        now.range_mm[SENSOR_LEFT] += i % 2 == 0 ? 0 : 60;
        state = behaviour_step(state, &now);
    }
    return state;
}

static struct behaviour wandering(void) {
    struct behaviour_input input = seeing(free_all_around);
    struct behaviour state = behaviour_start(1);
    return live(state, input, 0.02);
}

static struct behaviour avoiding(const double range_mm[BEHAVIOUR_SENSORS]) {
    struct behaviour_input input = seeing(range_mm);
    struct behaviour state = behaviour_step(wandering(), &input);
    assert_int_equal(state.decision.bot_mode, BOT_AVOIDING);
    return state;
}

static void assert_still(const struct behaviour *state) {
    assert_true(state->decision.motion.speed == 0);
    assert_true(state->decision.motion.turn == 0);
}

static void it_waits_for_the_first_reading(void **state) {
    (void)state;
    struct behaviour_input input = {.seconds = TICK_SECONDS, .sensor_mode = SENSOR_STARTING};
    struct behaviour robot = live(behaviour_start(1), input, 0.1);
    assert_int_equal(robot.decision.bot_mode, BOT_STARTING);
    assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_UNKNOWN);
    assert_still(&robot);
    input = seeing(free_all_around);
    robot = behaviour_step(robot, &input);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
}

static void it_wanders_where_the_way_is_free(void **state) {
    (void)state;
    struct behaviour robot = wandering();
    double least = 180;
    double most = -180;
    for (int i = 0; i < 60; i++) {
        robot = live(robot, seeing(free_all_around), 0.5);
        assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
        assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_CLEAR);
        assert_false(robot.decision.obstacle);
        assert_true(robot.decision.motion.speed > 50);
        double direction = robot.decision.motion.direction;
        direction = direction > 180 ? direction - 360 : direction;
        least = fmin(least, direction);
        most = fmax(most, direction);
    }
    /* To either side, and never so far that the sensors do not look there. */
    assert_true(least < -10 && least > -45);
    assert_true(most > 10 && most < 45);
}

static void it_slows_down_before_an_obstacle(void **state) {
    (void)state;
    const double distances[] = {590, 500, 400, 300, 270};
    double before = live(wandering(), seeing(free_all_around), 0.1).decision.motion.speed;
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        const double range[] = {2000, 2000, distances[i], 2000, 2000};
        struct behaviour robot = live(wandering(), seeing(range), 0.1);
        assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
        assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_SLOWING);
        assert_true(robot.decision.obstacle);
        assert_true(robot.decision.motion.speed < before);
        assert_true(robot.decision.motion.speed > 0);
        before = robot.decision.motion.speed;
    }
}

static void what_stands_beside_the_way_counts_less(void **state) {
    (void)state;
    const double passing[] = {100, 450, 2000, 450, 100};
    struct behaviour robot = live(wandering(), seeing(passing), 0.1);
    assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_CLEAR);
    const double touching[] = {2000, 150, 2000, 2000, 2000};
    robot = avoiding(touching);
    assert_true(robot.decision.go_left);
}

static void it_turns_to_the_clearer_side(void **state) {
    (void)state;
    const double clear_left[] = {300, 300, 200, 500, 900};
    struct behaviour robot = avoiding(clear_left);
    assert_true(robot.decision.go_left);
    assert_false(robot.decision.go_right);
    assert_true(robot.decision.motion.turn > 0);
    const double clear_right[] = {900, 500, 200, 300, 300};
    robot = avoiding(clear_right);
    assert_false(robot.decision.go_left);
    assert_true(robot.decision.go_right);
    assert_true(robot.decision.motion.turn < 0);
}

static void it_does_not_change_sides_while_turning(void **state) {
    (void)state;
    const double clear_left[] = {300, 300, 200, 310, 310};
    const double clear_right[] = {500, 500, 200, 300, 300};
    struct behaviour robot = live(avoiding(clear_left), seeing(clear_right), 1);
    assert_int_equal(robot.decision.bot_mode, BOT_AVOIDING);
    assert_true(robot.decision.go_left);
}

static void it_goes_on_when_the_way_is_free_again(void **state) {
    (void)state;
    const double blocked[] = {2000, 2000, 200, 2000, 2000};
    const double hardly[] = {2000, 2000, 400, 2000, 2000};
    struct behaviour robot = avoiding(blocked);
    robot = live(robot, seeing(hardly), 0.5);
    assert_int_equal(robot.decision.bot_mode, BOT_AVOIDING);
    assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_TURNING);
    /* One free reading may be an error. */
    robot = live(robot, seeing(free_all_around), 0.05);
    assert_int_equal(robot.decision.bot_mode, BOT_AVOIDING);
    robot = live(robot, seeing(free_all_around), 0.5);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
    assert_false(robot.decision.go_left || robot.decision.go_right);
}

/* Nothing around the robot moves, but for noise, until it notices; at most `seconds`. */
static struct behaviour held(struct behaviour state, double seconds) {
    struct behaviour_input input = seeing(free_all_around);
    int steps = (int)lround(seconds / TICK_SECONDS);
    for (int i = 0; i < steps; i++) {
        input.range_mm[SENSOR_RIGHT] = 2000 + i % 5 * 3; /* noise of 12 mm */
        state = behaviour_step(state, &input);
        if (state.decision.bot_mode == BOT_ESCAPING)
            break;
    }
    return state;
}

static void it_notices_that_it_is_stuck_and_backs_off(void **state) {
    (void)state;
    struct behaviour robot = held(wandering(), 1);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
    double direction = robot.decision.motion.direction;
    robot = held(robot, 3);
    assert_int_equal(robot.decision.bot_mode, BOT_ESCAPING);
    assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_BLOCKED);
    assert_true(robot.decision.motion.speed > 0);
    double away = (robot.decision.motion.direction - direction) * DRIVE_RADIANS_A_DEGREE;
    assert_true(cos(away) < -0.5);
    /* Then a turn, then on. */
    robot = live(robot, seeing(free_all_around), 0.9);
    assert_int_equal(robot.decision.bot_mode, BOT_ESCAPING);
    assert_true(robot.decision.go_left || robot.decision.go_right);
    assert_true(robot.decision.motion.speed == 0);
    robot = live(robot, seeing(free_all_around), 1);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
}

/* Where it backs off to. */
static double back_off_direction(const struct behaviour *robot) {
    assert_int_equal(robot->decision.bot_mode, BOT_ESCAPING);
    assert_true(robot->decision.motion.speed > 0);
    return robot->decision.motion.direction;
}

/* Through the escape with readings that stay as they are. */
static struct behaviour escape_in_vain(struct behaviour robot) {
    struct behaviour_input input = seeing(free_all_around);
    for (int i = 0; i < 500 && robot.decision.bot_mode == BOT_ESCAPING; i++)
        robot = behaviour_step(robot, &input);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
    return robot;
}

static void backing_off_in_vain_is_tried_elsewhere(void **state) {
    (void)state;
    struct behaviour robot = held(wandering(), 3);
    double first = back_off_direction(&robot);
    robot = held(escape_in_vain(robot), 3);
    double second = back_off_direction(&robot);
    /* Wandering leads it a little to either side; 120 degrees apart at heart. */
    assert_true(cos((second - first) * DRIVE_RADIANS_A_DEGREE) < 0.5);
}

static void moving_is_not_stuck(void **state) {
    (void)state;
    struct behaviour robot = live(wandering(), seeing(free_all_around), 20);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
}

static void seeing_nothing_is_not_stuck(void **state) {
    (void)state;
    const double nothing[] = {4000, 4000, 4000, 4000, 4000};
    struct behaviour_input input = seeing(nothing);
    struct behaviour robot = wandering();
    for (int i = 0; i < 1000; i++)
        robot = behaviour_step(robot, &input);
    assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
}

static void turning_for_ever_ends_in_an_escape(void **state) {
    (void)state;
    const double caught[] = {200, 200, 200, 200, 200};
    struct behaviour robot = live(avoiding(caught), seeing(caught), 5.2);
    assert_int_equal(robot.decision.bot_mode, BOT_ESCAPING);
}

static void it_stands_still_while_the_sensors_are_silent(void **state) {
    (void)state;
    struct behaviour_input input = seeing(free_all_around);
    input.sensor_mode = SENSOR_SILENT;
    const double blocked[] = {300, 300, 200, 500, 900};
    const struct behaviour from[] = {wandering(), avoiding(blocked), held(wandering(), 3)};
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        struct behaviour robot = behaviour_step(from[i], &input);
        assert_int_equal(robot.decision.bot_mode, BOT_WAITING);
        assert_int_equal(robot.decision.obstacle_mode, OBSTACLE_UNKNOWN);
        assert_false(robot.decision.go_left || robot.decision.go_right);
        assert_still(&robot);
        /* A late reading is not yet a reason to drive. */
        struct behaviour_input late = seeing(free_all_around);
        late.sensor_mode = SENSOR_LATE;
        robot = behaviour_step(robot, &late);
        assert_int_equal(robot.decision.bot_mode, BOT_WAITING);
        robot = live(robot, seeing(free_all_around), 0.02);
        assert_int_equal(robot.decision.bot_mode, BOT_WANDERING);
    }
}

static void late_readings_halve_the_speed(void **state) {
    (void)state;
    struct behaviour_input input = seeing(free_all_around);
    struct behaviour fresh = behaviour_step(wandering(), &input);
    input.sensor_mode = SENSOR_LATE;
    struct behaviour late = behaviour_step(wandering(), &input);
    assert_int_equal(late.decision.bot_mode, BOT_WANDERING);
    assert_true(late.decision.motion.speed * 2 == fresh.decision.motion.speed);
}

static void it_stops_when_told_and_stays_stopped(void **state) {
    (void)state;
    struct behaviour_input input = seeing(free_all_around);
    input.stop = true;
    struct behaviour robot = behaviour_step(wandering(), &input);
    assert_int_equal(robot.decision.bot_mode, BOT_STOPPED);
    assert_still(&robot);
    robot = live(robot, seeing(free_all_around), 0.1);
    assert_int_equal(robot.decision.bot_mode, BOT_STOPPED);
    assert_still(&robot);
}

static void the_age_of_a_reading_is_judged(void **state) {
    (void)state;
    assert_int_equal(behaviour_sensor_mode(false, 0), SENSOR_STARTING);
    assert_int_equal(behaviour_sensor_mode(false, BEHAVIOUR_SILENT_NS), SENSOR_STARTING);
    assert_int_equal(behaviour_sensor_mode(false, BEHAVIOUR_SILENT_NS + 1), SENSOR_SILENT);
    assert_int_equal(behaviour_sensor_mode(true, 0), SENSOR_FRESH);
    assert_int_equal(behaviour_sensor_mode(true, BEHAVIOUR_FRESH_NS), SENSOR_FRESH);
    assert_int_equal(behaviour_sensor_mode(true, BEHAVIOUR_FRESH_NS + 1), SENSOR_LATE);
    assert_int_equal(behaviour_sensor_mode(true, BEHAVIOUR_SILENT_NS), SENSOR_LATE);
    assert_int_equal(behaviour_sensor_mode(true, BEHAVIOUR_SILENT_NS + 1), SENSOR_SILENT);
    assert_int_equal(behaviour_sensor_mode(true, UINT64_MAX), SENSOR_SILENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_for_the_first_reading),
        cmocka_unit_test(it_wanders_where_the_way_is_free),
        cmocka_unit_test(it_slows_down_before_an_obstacle),
        cmocka_unit_test(what_stands_beside_the_way_counts_less),
        cmocka_unit_test(it_turns_to_the_clearer_side),
        cmocka_unit_test(it_does_not_change_sides_while_turning),
        cmocka_unit_test(it_goes_on_when_the_way_is_free_again),
        cmocka_unit_test(it_notices_that_it_is_stuck_and_backs_off),
        cmocka_unit_test(backing_off_in_vain_is_tried_elsewhere),
        cmocka_unit_test(moving_is_not_stuck),
        cmocka_unit_test(seeing_nothing_is_not_stuck),
        cmocka_unit_test(turning_for_ever_ends_in_an_escape),
        cmocka_unit_test(it_stands_still_while_the_sensors_are_silent),
        cmocka_unit_test(late_readings_halve_the_speed),
        cmocka_unit_test(it_stops_when_told_and_stays_stopped),
        cmocka_unit_test(the_age_of_a_reading_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
