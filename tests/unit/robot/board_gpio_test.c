/*
 * The board of a robot with real pins, on lines that are made up here: what a tick does that the
 * guard overtakes, which no real line can be made to wait for. The guard is a real process. All else,
 * on real lines: tests/vm/gpio.test.mjs.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/board.h"
#include "robot/clock.h"
#include "robot/gpio_lines.h"

#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)
#define NOWHERE     UINT32_MAX

/* Motors on the lines 0 to 8: forward, backward, PWM. The limit is long, so that the guard cannot
 * come a second time before the test has looked. */
#define CONFIG                                                                                     \
    "[board]\nchip = made-up\noverrun_limit_ms = 1000\n"                                           \
    "[motor 60]\nforward = 0\nbackward = 1\npwm = 2\n"                                             \
    "[motor 180]\nforward = 3\nbackward = 4\npwm = 5\n"                                            \
    "[motor 300]\nforward = 6\nbackward = 7\npwm = 8\n"                                            \
    "[sensor 0]\nswitch = 12\n"

enum { LINES = 16, MOTOR_LINES = 9, LAST_FORWARD = 6 };

/* ---- made-up lines --------------------------------------------------------------------------- */

struct gpio_chip {
    int unused;
};

struct gpio_line {
    unsigned offset;
    int edges;
};

/* In memory that the guard has, too. */
static struct {
    pid_t robot;
    _Atomic bool active[LINES];
    _Atomic unsigned switched_on; /* how often the robot did that to any direction line */
    _Atomic unsigned guarded;     /* how often the guard wrote a line */
    _Atomic unsigned stall;       /* line at which the robot waits for the guard; NOWHERE */
} * world;

int gpio_chip_open(struct gpio_chip **chip, const char *named, struct omni_problem *problem) {
    static struct gpio_chip only;
    (void)named;
    (void)problem;
    *chip = &only;
    return 0;
}

unsigned gpio_chip_lines(const struct gpio_chip *chip) {
    (void)chip;
    return LINES;
}

void gpio_chip_close(struct gpio_chip *chip) {
    (void)chip;
}

int gpio_line_output(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                     const char *user, struct omni_problem *problem) {
    (void)chip;
    (void)user;
    (void)problem;
    struct gpio_line *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->offset = wish->offset;
    made->edges = eventfd(0, EFD_CLOEXEC); /* of which there never are any */
    *line = made;
    return 0;
}

int gpio_line_input(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                    const char *user, struct omni_problem *problem) {
    return gpio_line_output(line, chip, wish, user, problem);
}

/* Until it has switched all off. */
static void wait_for_guard(void) {
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (world->guarded < MOTOR_LINES && clock_now_ns() < end_ns)
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
}

int gpio_line_set(struct gpio_line *line, bool active) {
    bool is_direction = line->offset % 3 != 2;
    if (getpid() == world->robot && line->offset == world->stall) {
        world->stall = NOWHERE;
        wait_for_guard();
    }
    world->active[line->offset] = active;
    if (getpid() != world->robot)
        world->guarded++;
    else if (active && is_direction)
        world->switched_on++;
    return 0;
}

int gpio_line_get(struct gpio_line *line) {
    (void)line;
    return 0;
}

int gpio_line_descriptor(const struct gpio_line *line) {
    return line->edges;
}

int gpio_line_edges(struct gpio_line *line, struct gpio_edge *edges, int most) {
    (void)line;
    (void)edges;
    (void)most;
    return 0;
}

void gpio_line_release(struct gpio_line *line) {
    if (line != NULL)
        (void)close(line->edges);
    free(line);
}

/* ---- what the tests say ---------------------------------------------------------------------- */

static const struct drive_powers powers = {.wheel = {50, 50, 50}};

static int open_board(void **state) {
    char path[] = "/tmp/omni-board-XXXXXX";
    const struct board_setup setup = {.period_ns = 10 * CLOCK_NS_A_MILLISECOND,
                                      .board_config = path};
    struct omni_problem problem = {""};
    struct board *board = NULL;
    memset(world, 0, sizeof *world);
    world->robot = getpid();
    world->stall = NOWHERE;
    int file = mkstemp(path);
    if (file < 0 || write(file, CONFIG, strlen(CONFIG)) < 0)
        return -1;
    int error = board_gpio.open(&board, &setup, &problem);
    (void)close(file);
    (void)unlink(path);
    if (error < 0)
        print_error("%s\n", problem.text);
    *state = board;
    return error;
}

static int close_board(void **state) {
    board_gpio.close(*state);
    return 0;
}

static enum motor_hold begin_tick(struct board *board) {
    return board_gpio.hold(board, clock_now_ns());
}

static void one_tick(struct board *board) {
    assert_int_equal(begin_tick(board), HOLD_NONE);
    assert_int_equal(board_gpio.set_motors(board, powers), 0);
}

static void assert_directions_off(void) {
    for (int i = 0; i < MOTOR_LINES; i++)
        if (i % 3 != 2 && world->active[i])
            fail_msg("line %d is on", i);
}

static void wait_for_pulses_to_end(void) {
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (world->active[2] || world->active[5] || world->active[8])
        assert_true(clock_now_ns() < end_ns);
}

static void a_tick_that_the_guard_overtakes_does_not_drive(void **state) {
    one_tick(*state);
    assert_true(world->active[LAST_FORWARD]);
    assert_int_equal(begin_tick(*state), HOLD_NONE);
    wait_for_guard();
    unsigned before = world->switched_on;
    assert_int_equal(board_gpio.set_motors(*state, powers), 0);
    assert_int_equal(world->switched_on, before);
    assert_directions_off();
    assert_int_equal(begin_tick(*state), HOLD_OVERRUN); /* and now it is known */
}

/* The guard has done its work; then the loop goes on with the last motor. */
static void a_tick_that_the_guard_interrupts_is_off_at_its_end(void **state) {
    one_tick(*state);
    assert_int_equal(begin_tick(*state), HOLD_NONE);
    world->stall = LAST_FORWARD;
    assert_int_equal(board_gpio.set_motors(*state, powers), 0);
    assert_int_equal(world->stall, NOWHERE);
    assert_directions_off();
    wait_for_pulses_to_end();
    assert_int_equal(begin_tick(*state), HOLD_OVERRUN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tick_that_the_guard_overtakes_does_not_drive, open_board,
                                        close_board),
        cmocka_unit_test_setup_teardown(a_tick_that_the_guard_interrupts_is_off_at_its_end,
                                        open_board, close_board),
    };
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return world == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
