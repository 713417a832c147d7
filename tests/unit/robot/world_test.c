/* The simulated world: rays, walls, faults. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "robot/world.h"

/* A robot at a given place, far from the next fault. */
static struct world world_at(double x, double y, double heading) {
    struct world world;
    world_start(&world, 1);
    world.pose = (struct drive_pose){x, y, heading};
    world.silence_starts = world.silence_ends = world.slip_starts = 1e9;
    return world;
}

static void near_to(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.3f is not %.3f (+-%.3f)", value, expected, tolerance);
}

static void rays_measure_from_the_robots_edge(void **state) {
    (void)state;
    /* In the lower left: 300 mm from the left wall, 250 from the lower one. */
    struct world world = world_at(300, 250, 180);
    near_to(world_ray(&world, 0), 300 - WORLD_ROBOT_RADIUS_MM, 1e-6);
    near_to(world_ray(&world, 90), 250 - WORLD_ROBOT_RADIUS_MM, 1e-6);
    /* At 45 degrees the lower wall comes first: 250 x sqrt(2). */
    near_to(world_ray(&world, 45), 250 * sqrt(2) - WORLD_ROBOT_RADIUS_MM, 1e-6);
    world.pose.heading = 270;
    near_to(world_ray(&world, 0), 250 - WORLD_ROBOT_RADIUS_MM, 1e-6);
    near_to(world_ray(&world, -90), 300 - WORLD_ROBOT_RADIUS_MM, 1e-6);
}

static void rays_meet_pillars_and_boxes(void **state) {
    (void)state;
    /* The pillar at (1500, 1250) with radius 140, from the left. */
    struct world world = world_at(1100, 1250, 0);
    near_to(world_ray(&world, 0), 400 - 140 - WORLD_ROBOT_RADIUS_MM, 1e-6);
    /* Past it by more than its radius: on to the wall at 3000. */
    world.pose.y = 1400;
    near_to(world_ray(&world, 0), 1900 - WORLD_ROBOT_RADIUS_MM, 1e-6);
    /* The box's left side at x = 1900. */
    world = world_at(1500, 500, 0);
    near_to(world_ray(&world, 0), 400 - WORLD_ROBOT_RADIUS_MM, 1e-6);
}

static void readings_are_the_rays_with_little_noise(void **state) {
    (void)state;
    static const double bearings[] = {-90, -45, 0, 45, 90};
    struct world world = world_at(1200, 700, 33);
    unsigned different = 0;
    uint16_t before[WORLD_SENSORS] = {0};
    for (int i = 0; i < 200; i++) {
        uint16_t range[WORLD_SENSORS];
        assert_true(world_sense(&world, range));
        for (int s = 0; s < WORLD_SENSORS; s++) {
            double truth = world_ray(&world, bearings[s]);
            near_to(range[s], truth, 4 + 0.003 * truth);
            different += range[s] != before[s];
        }
        memcpy(before, range, sizeof before);
    }
    assert_true(different > 500);
}

static void a_reading_is_never_below_its_least(void **state) {
    (void)state;
    struct world world = world_at(WORLD_ROBOT_RADIUS_MM + 2, 1000, 180);
    uint16_t range[WORLD_SENSORS];
    assert_true(world_sense(&world, range));
    assert_int_equal(range[2], WORLD_RANGE_MIN_MM);
}

static void motors_move_the_robot_after_a_lag(void **state) {
    (void)state;
    struct world world = world_at(1100, 1000, 90);
    struct drive_powers ahead = drive_powers((struct drive_motion){0, 50, 0});
    world_step(&world, ahead, 0.02);
    assert_true(world.pose.y > 1000 && world.pose.y < 1002);
    world_step(&world, ahead, 0.98);
    /* 200 mm/s for a second, less what the lag of 80 ms takes: 16 mm. */
    near_to(world.pose.y, 1000 + 200 - 16, 4);
    near_to(world.pose.x, 1100, 1);
    world_step(&world, (struct drive_powers){0}, 1);
    double stopped = world.pose.y;
    world_step(&world, (struct drive_powers){0}, 1);
    near_to(world.pose.y, stopped, 0.1);
}

static void walls_hold(void **state) {
    (void)state;
    struct world world = world_at(300, 1000, 180);
    world_step(&world, drive_powers((struct drive_motion){0, 100, 0}), 10);
    near_to(world.pose.x, WORLD_ROBOT_RADIUS_MM, 1);
    /* The pillar at (1500, 1250), met a little off its middle: it slides round, never through. */
    world = world_at(1150, 1245, 0);
    for (int i = 0; i < 500; i++) {
        world_step(&world, drive_powers((struct drive_motion){0, 100, 0}), 0.01);
        double distance = hypot(world.pose.x - 1500, world.pose.y - 1250);
        assert_true(distance >= 140 + WORLD_ROBOT_RADIUS_MM - 1e-6);
    }
}

static void sensors_fall_silent_and_come_back(void **state) {
    (void)state;
    struct world world = world_at(1200, 700, 0);
    world.silence_starts = 1;
    world.silence_ends = 2;
    uint16_t range[WORLD_SENSORS] = {1, 2, 3, 4, 5};
    const uint16_t untouched[WORLD_SENSORS] = {1, 2, 3, 4, 5};
    world_step(&world, (struct drive_powers){0}, 1.5);
    assert_false(world_sense(&world, range));
    assert_memory_equal(range, untouched, sizeof range);
    world_step(&world, (struct drive_powers){0}, 1);
    assert_true(world_sense(&world, range));
    /* And again, some time later. */
    assert_true(world.silence_starts > world.seconds + 5);
    assert_true(world.silence_ends > world.silence_starts);
}

static void a_threshold_holds_until_the_robot_backs_off(void **state) {
    (void)state;
    struct world world = world_at(1100, 700, 0);
    struct drive_powers ahead = drive_powers((struct drive_motion){0, 50, 0});
    struct drive_powers back = drive_powers((struct drive_motion){180, 50, 0});
    struct drive_powers spin = drive_powers((struct drive_motion){0, 0, 50});
    world_step(&world, ahead, 0.5);
    world.slip_starts = world.seconds;
    world_step(&world, ahead, 0.1);
    struct drive_pose held = world.pose;
    world_step(&world, ahead, 3);
    world_step(&world, spin, 3);
    assert_memory_equal(&world.pose, &held, sizeof held);
    world_step(&world, back, 1);
    assert_true(world.pose.x < held.x - 50);
    assert_true(world.slip_starts > world.seconds + 5);
}

static void a_standing_robot_meets_no_threshold(void **state) {
    (void)state;
    struct world world = world_at(1100, 700, 0);
    world.slip_starts = 0;
    world_step(&world, (struct drive_powers){0}, 5);
    assert_false(world.slipping);
}

static void the_seed_decides(void **state) {
    (void)state;
    struct world worlds[3];
    const uint64_t seeds[] = {5, 5, 6};
    for (int i = 0; i < 3; i++) {
        world_start(&worlds[i], seeds[i]);
        for (int step = 0; step < 1000; step++)
            world_step(&worlds[i], drive_powers((struct drive_motion){20, 60, 5}), 0.02);
    }
    assert_memory_equal(&worlds[0].pose, &worlds[1].pose, sizeof worlds[0].pose);
    assert_memory_not_equal(&worlds[0].pose, &worlds[2].pose, sizeof worlds[0].pose);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rays_measure_from_the_robots_edge),
        cmocka_unit_test(rays_meet_pillars_and_boxes),
        cmocka_unit_test(readings_are_the_rays_with_little_noise),
        cmocka_unit_test(a_reading_is_never_below_its_least),
        cmocka_unit_test(motors_move_the_robot_after_a_lag),
        cmocka_unit_test(walls_hold),
        cmocka_unit_test(sensors_fall_silent_and_come_back),
        cmocka_unit_test(a_threshold_holds_until_the_robot_backs_off),
        cmocka_unit_test(a_standing_robot_meets_no_threshold),
        cmocka_unit_test(the_seed_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
