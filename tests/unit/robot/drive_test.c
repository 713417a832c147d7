/* Three omni wheels, against cases worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/drive.h"

#define ROOT_OF_3 1.7320508075688772

struct hand_case {
    const char *what;
    struct drive_motion motion; /* direction, speed, turn */
    double power[DRIVE_WHEELS]; /* wheels at 60, 180 and 300 degrees */
};

/* power = speed x sin(direction - wheel) + turn, by hand:
 * sin 60 = sqrt(3)/2, sin 30 = 1/2, sin 90 = 1. */
static const struct hand_case hand_cases[] = {
    {"stand", {0, 0, 0}, {0, 0, 0}},
    {"straight ahead: the rear wheel rolls", {0, 40, 0}, {-20 * ROOT_OF_3, 0, 20 * ROOT_OF_3}},
    {"straight back", {180, 40, 0}, {20 * ROOT_OF_3, 0, -20 * ROOT_OF_3}},
    {"to the left: the rear wheel alone pushes right round", {90, 40, 0}, {20, -40, 20}},
    {"to the right", {270, 40, 0}, {-20, 40, -20}},
    {"at 30 degrees", {30, 60, 0}, {-30, -30, 60}},
    {"at 60 degrees: the wheel there rolls", {60, 60, 0}, {0, -30 * ROOT_OF_3, 30 * ROOT_OF_3}},
    {"at 240 degrees: the same, the other way", {240, 60, 0}, {0, 30 * ROOT_OF_3, -30 * ROOT_OF_3}},
    {"turn counter-clockwise on the spot", {0, 0, 25}, {25, 25, 25}},
    {"turn clockwise on the spot", {0, 0, -25}, {-25, -25, -25}},
    {"left with a turn", {90, 40, 10}, {30, -30, 30}},
    {"a full turn more is the same", {450, 40, 10}, {30, -30, 30}},
    {"too fast to the left: 60, -120, 60 scaled by 5/6", {90, 120, 0}, {50, -100, 50}},
    {"too much turn and speed: 150, -90, 150 scaled by 2/3", {90, 160, 70}, {100, -60, 100}},
    {"only turn, too much", {0, 0, -300}, {-100, -100, -100}},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void close_to(double value, double expected, const char *what) {
    if (fabs(value - expected) > 1e-9)
        fail_msg("%s: %.12f is not %.12f", what, value, expected);
}

static void powers_are_those_worked_out_by_hand(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(hand_cases); i++) {
        double power[DRIVE_WHEELS];
        drive_wheels(hand_cases[i].motion, power);
        for (int wheel = 0; wheel < DRIVE_WHEELS; wheel++)
            close_to(power[wheel], hand_cases[i].power[wheel], hand_cases[i].what);
    }
}

static void commands_are_whole_percent_to_the_nearest(void **state) {
    (void)state;
    struct drive_powers ahead = drive_powers((struct drive_motion){0, 40, 0});
    assert_int_equal(ahead.wheel[0], -35); /* 34.64 */
    assert_int_equal(ahead.wheel[1], 0);
    assert_int_equal(ahead.wheel[2], 35);
    struct drive_powers full = drive_powers((struct drive_motion){90, 5000, 0});
    assert_int_equal(full.wheel[0], 50);
    assert_int_equal(full.wheel[1], -100);
    assert_int_equal(full.wheel[2], 50);
}

static void no_wheel_ever_needs_more_than_it_has(void **state) {
    (void)state;
    for (int direction = 0; direction < 360; direction += 7) {
        for (int turn = -200; turn <= 200; turn += 25) {
            struct drive_motion wanted = {direction, 150, turn};
            double power[DRIVE_WHEELS];
            drive_wheels(wanted, power);
            for (int wheel = 0; wheel < DRIVE_WHEELS; wheel++)
                assert_true(fabs(power[wheel]) <= 100 + 1e-9);
            /* Scaled down or not, it goes the same way and curves the same. */
            struct drive_motion made = drive_motion(power);
            close_to(made.direction, direction, "direction");
            close_to(made.turn * 150, turn * made.speed, "turn by speed");
        }
    }
}

static void the_inverse_finds_the_motion_again(void **state) {
    (void)state;
    for (int direction = 0; direction < 360; direction += 5) {
        for (int turn = -30; turn <= 30; turn += 6) {
            double power[DRIVE_WHEELS];
            drive_wheels((struct drive_motion){direction, 60, turn}, power);
            struct drive_motion found = drive_motion(power);
            close_to(found.direction, direction, "direction");
            close_to(found.speed, 60, "speed");
            close_to(found.turn, turn, "turn");
        }
    }
}

static void the_inverse_by_hand(void **state) {
    (void)state;
    struct drive_motion left = drive_motion((const double[]){20, -40, 20});
    close_to(left.direction, 90, "direction");
    close_to(left.speed, 40, "speed");
    close_to(left.turn, 0, "turn");
    struct drive_motion spin = drive_motion((const double[]){25, 25, 25});
    close_to(spin.direction, 0, "direction where nothing moves");
    close_to(spin.speed, 0, "speed");
    close_to(spin.turn, 25, "turn");
}

static void straight_ahead_for_a_second(void **state) {
    (void)state;
    /* 50 % of 400 mm/s for 2 s, facing along y. */
    double power[DRIVE_WHEELS];
    drive_wheels((struct drive_motion){0, 50, 0}, power);
    struct drive_pose end =
        drive_advance((struct drive_pose){100, 200, 90}, DRIVE_GEOMETRY, power, 2);
    close_to(end.x, 100, "x");
    close_to(end.y, 200 + 400, "y");
    close_to(end.heading, 90, "heading");
    /* To the robot's left is then against x. */
    drive_wheels((struct drive_motion){90, 50, 0}, power);
    end = drive_advance((struct drive_pose){100, 200, 90}, DRIVE_GEOMETRY, power, 2);
    close_to(end.x, 100 - 400, "x");
    close_to(end.y, 200, "y");
}

static void a_turn_on_the_spot(void **state) {
    (void)state;
    /* 50 % of 400 mm/s along a circle of 100 mm is 2 radians a second: pi/2 in pi/4 s. */
    struct drive_pose end = drive_advance((struct drive_pose){1, 2, 300}, DRIVE_GEOMETRY,
                                          (const double[]){50, 50, 50}, acos(-1) / 4);
    close_to(end.x, 1, "x");
    close_to(end.y, 2, "y");
    close_to(end.heading, 30, "heading: 300 + 90 - 360");
}

/* Driving ahead while turning is a circle: after a whole one the robot is where it was. */
static void a_circle_closes(void **state) {
    (void)state;
    double power[DRIVE_WHEELS];
    drive_wheels((struct drive_motion){0, 50, 25}, power);
    struct drive_pose pose = {0, 0, 0};
    double farthest = 0;
    for (int i = 0; i < 1000; i++) {
        pose =
            drive_advance(pose, DRIVE_GEOMETRY, power, 2 * acos(-1) / 1000); /* 1 radian a second */
        farthest = fmax(farthest, hypot(pose.x, pose.y));
    }
    assert_true(hypot(pose.x, pose.y) < 1e-6);
    /* Its radius: 200 mm/s at 1 radian/s. */
    assert_true(fabs(farthest - 400) < 0.01);
}

static void degrees_lie_between_0_and_360(void **state) {
    (void)state;
    close_to(drive_degrees(0), 0, "0");
    close_to(drive_degrees(360), 0, "360");
    close_to(drive_degrees(-90), 270, "-90");
    close_to(drive_degrees(-720.5), 359.5, "-720.5");
    close_to(drive_degrees(725), 5, "725");
    assert_true(drive_degrees(-1e-20) < 360);
}

/* Twice as fast and four times as large: twice as far, half as far round. */
static void the_way_depends_on_the_robots_size(void **state) {
    (void)state;
    const double power[] = {50, 50, 50};
    struct drive_geometry large = {.wheel_circle_mm = 400, .top_speed_mm_s = 800};
    struct drive_pose small_end = drive_advance((struct drive_pose){0}, DRIVE_GEOMETRY, power, 0.1);
    struct drive_pose large_end = drive_advance((struct drive_pose){0}, large, power, 0.1);
    assert_true(small_end.heading > 1);
    close_to(large_end.heading, small_end.heading / 2, "heading");
    const double ahead[] = {-50, 0, 50};
    small_end = drive_advance((struct drive_pose){0}, DRIVE_GEOMETRY, ahead, 0.1);
    large_end = drive_advance((struct drive_pose){0}, large, ahead, 0.1);
    assert_true(small_end.x > 1);
    close_to(large_end.x, small_end.x * 2, "x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_are_those_worked_out_by_hand),
        cmocka_unit_test(commands_are_whole_percent_to_the_nearest),
        cmocka_unit_test(no_wheel_ever_needs_more_than_it_has),
        cmocka_unit_test(the_inverse_finds_the_motion_again),
        cmocka_unit_test(the_inverse_by_hand),
        cmocka_unit_test(straight_ahead_for_a_second),
        cmocka_unit_test(a_turn_on_the_spot),
        cmocka_unit_test(a_circle_closes),
        cmocka_unit_test(degrees_lie_between_0_and_360),
        cmocka_unit_test(the_way_depends_on_the_robots_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
