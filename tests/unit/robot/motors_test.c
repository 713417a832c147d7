/*
 * Motors on H-bridges, on lines that are made up here and write down what is done to them. On real
 * lines: tests/vm/gpio.test.mjs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/motors.h"

#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)
#define STALE_NS    (100 * CLOCK_NS_A_MILLISECOND)
#define PERIOD_NS   (10 * CLOCK_NS_A_MILLISECOND)
/* No command grows old before the test gives up: what goes off was switched off. */
#define NEVER_NS (3600 * CLOCK_NS_A_SECOND)

/* forward, backward, PWM of each motor */
enum { FORWARD, BACKWARD, PWM, LINES = 9 };

/* ---- made-up lines --------------------------------------------------------------------------- */

struct gpio_line {
    unsigned offset;
};

struct gpio_chip {
    int unused;
};

static struct {
    _Atomic bool active[LINES];
    _Atomic unsigned switched[LINES]; /* how often it came on */
    bool held[LINES];
    _Atomic bool both; /* forward and backward were active at once */
    int broken;        /* line that cannot be set any more; -1: none */
    int taken;         /* line that somebody else has; -1: none */
    unsigned busy;     /* how often that is said */
} world;

int gpio_line_output(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                     const char *user, struct omni_problem *problem) {
    (void)chip;
    (void)user;
    (void)problem;
    if ((int)wish->offset == world.taken && world.busy > 0) {
        world.busy--;
        return -EBUSY;
    }
    struct gpio_line *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->offset = wish->offset;
    world.active[wish->offset] = false;
    world.held[wish->offset] = true;
    *line = made;
    return 0;
}

int gpio_line_set(struct gpio_line *line, bool active) {
    if ((int)line->offset == world.broken)
        return -EIO;
    if (active && !world.active[line->offset])
        world.switched[line->offset]++;
    world.active[line->offset] = active;
    for (unsigned i = 0; i < LINES; i += 3)
        if (world.active[i + FORWARD] && world.active[i + BACKWARD])
            world.both = true;
    return 0;
}

/* As a chip that keeps what a line was. */
void gpio_line_release(struct gpio_line *line) {
    if (line != NULL)
        world.held[line->offset] = false;
    free(line);
}

/* ---- what the tests say ---------------------------------------------------------------------- */

static struct motors motors;

static int clear_world(void **state) {
    (void)state;
    memset(&world, 0, sizeof world);
    world.broken = -1;
    world.taken = -1;
    return 0;
}

static int open_motors(void) {
    struct gpio_config config = {.board.software_pwm_hz = CLOCK_NS_A_SECOND / PERIOD_NS};
    struct omni_problem problem = {""};
    for (unsigned i = 0; i < DRIVE_WHEELS; i++) {
        struct gpio_config_line *lines[] = {&config.motors[i].forward, &config.motors[i].backward,
                                            &config.motors[i].pwm.line};
        for (unsigned k = 0; k < 3; k++)
            *lines[k] = (struct gpio_config_line){.wish.offset = 3 * i + k, .is_given = true};
    }
    return motors_open(&motors, NULL, &config, &problem);
}

static void drive(int8_t first, int8_t second, int8_t third) {
    struct drive_powers powers = {.wheel = {first, second, third}};
    assert_int_equal(motors_drive(&motors, powers, clock_now_ns()), 0);
}

static void assert_directions(const char *wanted) {
    char found[2 * DRIVE_WHEELS + 1] = "";
    for (size_t i = 0; i < DRIVE_WHEELS; i++) {
        found[2 * i] = world.active[3 * i + FORWARD] ? '1' : '0';
        found[2 * i + 1] = world.active[3 * i + BACKWARD] ? '1' : '0';
    }
    assert_string_equal(found, wanted);
}

static bool pwm_is(bool active) {
    return world.active[PWM] == active && world.active[3 + PWM] == active &&
           world.active[6 + PWM] == active;
}

/* Again and again: a command grows old while a busy machine lets the thread wait. */
static void drive_until_on(void) {
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (!pwm_is(true)) {
        drive(100, -100, 100);
        assert_true(clock_now_ns() < end_ns);
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    }
}

static void wait_for_off(void) {
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (!pwm_is(false)) {
        assert_true(clock_now_ns() < end_ns);
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    }
}

/* That it is off for now may be between two pulses: for some periods no line may come on. */
static void stays_off(void) {
    const unsigned before = world.switched[PWM] + world.switched[3 + PWM] + world.switched[6 + PWM];
    (void)clock_sleep_until(clock_now_ns() + 5 * PERIOD_NS);
    assert_int_equal(world.switched[PWM] + world.switched[3 + PWM] + world.switched[6 + PWM],
                     before);
    assert_true(pwm_is(false));
}

static void signs_are_directions(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    assert_directions("000000");
    drive(50, -50, 0);
    assert_directions("100100");
    drive(-1, 100, 7);
    assert_directions("011010");
    drive(0, 0, 0);
    assert_directions("000000");
    assert_false(world.both);
    motors_close(&motors);
}

/* Whatever else happened to the lines: a guard may have switched them off. */
static void each_command_is_written_anew(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    drive(50, 50, 50);
    world.active[3 + FORWARD] = false;
    drive(50, 50, 50);
    assert_directions("101010");
    motors_close(&motors);
}

static void when_closed_all_is_off(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    assert_int_equal(motors_start(&motors, 0, NEVER_NS), 0);
    drive_until_on();
    motors_close(&motors);
    for (int i = 0; i < LINES; i++) {
        assert_false(world.active[i]);
        assert_false(world.held[i]);
    }
}

static void one_that_fails_stops_all(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    assert_int_equal(motors_start(&motors, 0, NEVER_NS), 0);
    drive_until_on();
    world.broken = 3 + FORWARD;
    struct drive_powers powers = {.wheel = {60, 60, 60}};
    assert_int_equal(motors_drive(&motors, powers, clock_now_ns()), -EIO);
    assert_directions("000000");
    wait_for_off();
    stays_off();
    motors_close(&motors);
}

/* The pulses end with a command of the same thread that drives. */
static void switched_off_the_thread_makes_no_pulse(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    assert_int_equal(motors_start(&motors, 0, NEVER_NS), 0);
    drive_until_on();
    motors_off(&motors);
    assert_directions("000000");
    wait_for_off();
    stays_off();
    motors_close(&motors);
}

/* As the guard's process is, which has the lines and no thread. */
static void switched_off_without_a_thread_lines_are_off(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    for (int i = 0; i < LINES; i++)
        world.active[i] = true;
    motors_off(&motors);
    for (int i = 0; i < LINES; i++)
        assert_false(world.active[i]);
    motors_close(&motors);
}

/* 100 never goes off, 0 never comes on, what is between does both. */
static void power_is_a_pulse(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    assert_int_equal(motors_start(&motors, 0, STALE_NS), 0);
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (world.switched[PWM] < 5) {
        drive(30, 100, 0);
        assert_true(clock_now_ns() < end_ns);
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    }
    assert_int_equal(world.switched[6 + PWM], 0);
    assert_true(world.switched[3 + PWM] >= 1);
    assert_true(motors_jitter_ns(&motors) > 0);
    motors_close(&motors);
}

static void old_commands_count_no_more(void **state) {
    (void)state;
    assert_int_equal(open_motors(), 0);
    assert_int_equal(motors_start(&motors, 0, STALE_NS), 0);
    drive_until_on();
    wait_for_off(); /* which nobody commanded */
    motors_close(&motors);
}

static void lines_that_are_about_to_be_free_are_waited_for(void **state) {
    (void)state;
    world.taken = 6 + FORWARD;
    world.busy = 3;
    assert_int_equal(open_motors(), 0);
    motors_close(&motors);
}

static void lines_that_are_anothers_are_refused(void **state) {
    (void)state;
    world.taken = 6 + FORWARD;
    world.busy = UINT32_MAX;
    assert_int_equal(open_motors(), -EBUSY);
    for (int i = 0; i < LINES; i++)
        assert_false(world.held[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(signs_are_directions, clear_world),
        cmocka_unit_test_setup(each_command_is_written_anew, clear_world),
        cmocka_unit_test_setup(when_closed_all_is_off, clear_world),
        cmocka_unit_test_setup(one_that_fails_stops_all, clear_world),
        cmocka_unit_test_setup(switched_off_the_thread_makes_no_pulse, clear_world),
        cmocka_unit_test_setup(switched_off_without_a_thread_lines_are_off, clear_world),
        cmocka_unit_test_setup(power_is_a_pulse, clear_world),
        cmocka_unit_test_setup(old_commands_count_no_more, clear_world),
        cmocka_unit_test_setup(lines_that_are_about_to_be_free_are_waited_for, clear_world),
        cmocka_unit_test_setup(lines_that_are_anothers_are_refused, clear_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
