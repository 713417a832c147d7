/* The control loop on a board made up, read back through an observer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <omni/observe.h>

#include "robot/clock.h"
#include "robot/loop.h"

#define PERIOD_NS (5 * CLOCK_NS_A_MILLISECOND)

/* A board that sees a free room, or nothing; and that does something at its n-th command. */
struct board {
    bool silent;
    unsigned commands;
    unsigned stop_at; /* command at which the stop word is set, as a signal would */
    unsigned fail_at; /* command that fails */
    unsigned hold_at; /* command that is held, as is every later one */
    struct drive_powers newest;
    bool ever_drove;
};

static volatile sig_atomic_t stop;

static int made_up_read(struct board *board, struct board_reading *reading) {
    (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++)
        reading->range_mm[i] = 2000;
    return board->silent ? -ETIMEDOUT : 0;
}

static int made_up_motors(struct board *board, struct drive_powers powers) {
    const struct drive_powers zero = {0};
    board->commands++;
    board->newest = powers;
    board->ever_drove = board->ever_drove || memcmp(&powers, &zero, sizeof zero) != 0;
    if (board->commands == board->stop_at)
        stop = 1;
    return board->commands == board->fail_at ? -EIO : 0;
}

static enum motor_hold made_up_hold(struct board *board, uint64_t now_ns) {
    assert_true(now_ns > 0);
    return board->hold_at > 0 && board->commands + 1 >= board->hold_at ? HOLD_EMERGENCY_STOP
                                                                       : HOLD_NONE;
}

static struct drive_geometry made_up_geometry(const struct board *board) {
    (void)board;
    return (struct drive_geometry){.wheel_circle_mm = 50, .top_speed_mm_s = 123};
}

static const struct board_kind made_up = {.name = "made-up",
                                          .read_sensors = made_up_read,
                                          .hold = made_up_hold,
                                          .geometry = made_up_geometry,
                                          .set_motors = made_up_motors};

struct run {
    struct sensor sensor;
    char directory[64];
    struct omni_publisher *publisher;
    struct omni_observer *observer;
    struct loop loop;
    int result;
};

/* So that what a test sees does not depend on which thread runs first. */
static void wait_for_a_reading(const struct sensor *sensor) {
    struct board_reading reading;
    uint64_t read_ns;
    while (sensor_newest(sensor, &reading, &read_ns) < 0)
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
}

static void run(struct run *run, struct board *board, uint64_t ticks) {
    *run = (struct run){.directory = "/tmp/omni-loop-XXXXXX"};
    assert_non_null(mkdtemp(run->directory));
    struct omni_publisher_options options = {.directory = run->directory, .period_ns = PERIOD_NS};
    struct omni_observer_options look = {.directory = run->directory};
    struct omni_problem problem;
    if (omni_publisher_open(&run->publisher, "loop", robot_status_schema(), &options, &problem) < 0)
        fail_msg("%s", problem.text);
    if (omni_observer_attach(&run->observer, "loop", &look, &problem) < 0)
        fail_msg("%s", problem.text);
    stop = 0;
    assert_int_equal(sensor_start(&run->sensor, &made_up, board, 0), 0);
    if (!board->silent)
        wait_for_a_reading(&run->sensor);
    struct loop_settings settings = {
        .period_ns = PERIOD_NS,
        .ticks = ticks,
        .seed = 1,
        .kind = &made_up,
        .board = board,
        .sensor = &run->sensor,
        .publisher = run->publisher,
        .stop = &stop,
    };
    loop_init(&run->loop, &settings);
    run->result = loop_run(&run->loop);
    sensor_stop(&run->sensor);
}

static void finish(struct run *run) {
    static const char *const files[] = {"omni.loop", "omni-lock.loop", "omni-sleepers.loop"};
    omni_observer_detach(run->observer);
    omni_publisher_close(run->publisher);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", run->directory, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(run->directory), 0);
}

/* The next tick of the run; false where there is none. */
static bool next(struct run *run, struct omni_stamp *stamp, struct robot_status *status) {
    int error = omni_observer_next(run->observer, stamp, status);
    if (error == -EAGAIN)
        return false;
    assert_int_equal(error, 0);
    assert_int_equal(stamp->missed, 0);
    return true;
}

static void exactly_so_many_ticks_the_last_one_stopped(void **state) {
    (void)state;
    struct board board = {0};
    struct run it;
    struct omni_stamp stamp = {0};
    struct robot_status status;
    const struct drive_powers zero = {0};
    run(&it, &board, 60);
    assert_int_equal(it.result, 0);
    uint64_t ticks = 0;
    uint64_t before_ns = 0;
    unsigned wandering = 0;
    unsigned costs = 0;
    while (next(&it, &stamp, &status)) {
        ticks++;
        assert_int_equal(stamp.tick, ticks);
        assert_int_equal(status.bot_mode == BOT_STOPPED, ticks == 60);
        /* The measured period is the distance of the stamps. */
        uint64_t distance_ns = ticks == 1 ? 0 : stamp.time.monotonic_ns - before_ns;
        assert_int_equal(status.period, distance_ns / CLOCK_NS_A_MICROSECOND);
        assert_true(status.overruns <= it.loop.pace.overruns);
        wandering += status.bot_mode == BOT_WANDERING;
        costs += status.publish_cost > 0;
        before_ns = stamp.time.monotonic_ns;
    }
    assert_int_equal(ticks, 60);
    assert_int_equal(it.loop.ticks, 60);
    assert_int_equal(board.commands, 60);
    assert_true(wandering > 0);
    assert_true(costs > 0);
    assert_true(board.ever_drove);
    assert_memory_equal(&board.newest, &zero, sizeof zero);
    assert_memory_equal(status.motor_power, zero.wheel, sizeof zero);
    finish(&it);
}

static void a_stop_between_two_ticks_makes_the_next_one_the_last(void **state) {
    (void)state;
    struct board board = {.stop_at = 20};
    struct run it;
    struct omni_stamp stamp;
    struct robot_status status;
    const struct drive_powers zero = {0};
    run(&it, &board, 0);
    assert_int_equal(it.result, 0);
    assert_int_equal(it.loop.ticks, 21);
    assert_int_equal(omni_observer_newest(it.observer, &stamp, &status), 0);
    assert_int_equal(stamp.tick, 21);
    assert_int_equal(status.bot_mode, BOT_STOPPED);
    assert_memory_equal(&board.newest, &zero, sizeof zero);
    finish(&it);
}

static void a_board_that_refuses_ends_the_loop(void **state) {
    (void)state;
    struct board board = {.fail_at = 30};
    struct run it;
    const struct drive_powers zero = {0};
    run(&it, &board, 0);
    assert_int_equal(it.result, -EIO);
    assert_int_equal(it.loop.ticks, 29);
    assert_int_equal(board.commands, 31);
    assert_memory_equal(&board.newest, &zero, sizeof zero);
    finish(&it);
}

static void silent_sensors_keep_the_robot_where_it_is(void **state) {
    (void)state;
    struct board board = {.silent = true};
    struct run it;
    struct omni_stamp stamp = {0};
    struct robot_status status = {0};
    struct robot_status before = {0};
    run(&it, &board, 64);
    while (next(&it, &stamp, &status) && status.bot_mode != BOT_STOPPED)
        before = status;
    assert_false(board.ever_drove);
    assert_int_equal(before.sensor_mode, SENSOR_SILENT);
    assert_int_equal(before.bot_mode, BOT_WAITING);
    assert_int_equal(before.sensors[2], 0);
    finish(&it);
}

/* A sensor thread so fast that every try to read its mailbox is overtaken: as the reader sees it,
 * no slot holds what it should. What was read before is still known, and grows old. */
static void an_overtaken_reading_is_not_forgotten(void **state) {
    (void)state;
    struct board board = {0};
    struct run it;
    run(&it, &board, 3);
    const struct pilot_input *input = &it.loop.pilot.input;
    uint64_t read_ns = it.loop.read_ns;
    assert_true(input->ever_read);
    memset(it.sensor.mailbox.slots, 0, sizeof it.sensor.mailbox.slots);
    struct board_reading reading;
    assert_int_equal(mailbox_newest(&it.sensor.mailbox, &reading, &(struct omni_time){0}), -EAGAIN);
    it.loop.settings.ticks = 6;
    assert_int_equal(loop_run(&it.loop), 0);
    assert_int_equal(it.loop.ticks, 6);
    assert_true(input->ever_read);
    assert_int_equal(input->range_mm[2], 2000);
    assert_int_equal(it.loop.read_ns, read_ns);
    assert_true(input->reading_age_ns >= 2 * PERIOD_NS);
    finish(&it);
}

/* A loop that begins long after its first deadline must not make up for what it missed. */
static void missed_deadlines_are_counted_not_made_up_for(void **state) {
    (void)state;
    struct board board = {0};
    struct run it;
    run(&it, &board, 1);
    struct loop late;
    struct loop_settings settings = it.loop.settings;
    settings.ticks = 10;
    loop_init(&late, &settings);
    late.pace = pace_start(PERIOD_NS, clock_now_ns() - 50 * PERIOD_NS);
    uint64_t began = clock_now_ns();
    assert_int_equal(loop_run(&late), 0);
    assert_true(late.pace.overruns >= 50);
    assert_int_equal(late.ticks, 10);
    /* Nine whole periods lie between ten ticks, but for the part of the first that was over. */
    assert_true(clock_now_ns() - began >= 8 * PERIOD_NS);
    finish(&it);
}

static void what_the_board_holds_stands_still_in_the_same_tick(void **state) {
    (void)state;
    struct board board = {.hold_at = 4};
    struct run run_;
    run(&run_, &board, 8);
    assert_int_equal(run_.result, 0);
    assert_true(run_.loop.pilot.geometry.top_speed_mm_s == 123);
    struct omni_stamp stamp;
    struct robot_status status;
    const int8_t zero[DRIVE_WHEELS] = {0};
    while (next(&run_, &stamp, &status)) {
        assert_int_equal(status.motor_hold, stamp.tick >= 4 ? HOLD_EMERGENCY_STOP : HOLD_NONE);
        if (stamp.tick == 3)
            assert_memory_not_equal(status.motor_power, zero, sizeof zero);
        if (stamp.tick >= 4)
            assert_memory_equal(status.motor_power, zero, sizeof zero);
    }
    assert_int_equal(stamp.tick, 8);
    finish(&run_);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_so_many_ticks_the_last_one_stopped),
        cmocka_unit_test(a_stop_between_two_ticks_makes_the_next_one_the_last),
        cmocka_unit_test(a_board_that_refuses_ends_the_loop),
        cmocka_unit_test(silent_sensors_keep_the_robot_where_it_is),
        cmocka_unit_test(an_overtaken_reading_is_not_forgotten),
        cmocka_unit_test(missed_deadlines_are_counted_not_made_up_for),
        cmocka_unit_test(what_the_board_holds_stands_still_in_the_same_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
