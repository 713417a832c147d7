/* The sensor thread, with boards made up and with the simulated one. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/sensor.h"

/* A board that answers every millisecond, counting, and can be told to fail. */
struct board {
    unsigned readings;
    _Atomic int error; /* to answer with; 0: a reading */
    _Atomic unsigned asked;
};

static int counting_read(struct board *board, struct board_reading *reading) {
    (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    board->asked++;
    if (board->error != 0)
        return board->error;
    board->readings++;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++)
        reading->range_mm[i] = (uint16_t)board->readings;
    return 0;
}

static const struct board_kind counting = {.name = "counting", .read_sensors = counting_read};

/* Waits until the newest reading is at least the n-th. */
static struct board_reading wait_for(const struct sensor *sensor, unsigned n, uint64_t *read_ns) {
    struct board_reading reading = {0};
    uint64_t bound = clock_now_ns() + 20 * CLOCK_NS_A_SECOND;
    while (sensor_newest(sensor, &reading, read_ns) < 0 || reading.range_mm[0] < n) {
        if (clock_now_ns() > bound)
            fail_msg("no reading %u: the newest is %u", n, reading.range_mm[0]);
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    }
    return reading;
}

static void readings_arrive_with_their_time(void **state) {
    (void)state;
    struct board board = {0};
    struct sensor sensor;
    uint64_t before = clock_now_ns();
    uint64_t read_ns = 0;
    assert_int_equal(sensor_start(&sensor, &counting, &board, 0), 0);
    struct board_reading reading = wait_for(&sensor, 5, &read_ns);
    for (int i = 1; i < BEHAVIOUR_SENSORS; i++)
        assert_int_equal(reading.range_mm[i], reading.range_mm[0]);
    assert_in_range(read_ns, before, clock_now_ns());
    sensor_stop(&sensor);
    /* Nothing moves any more. */
    assert_int_equal(sensor_newest(&sensor, &reading, &read_ns), 0);
    assert_int_equal(reading.range_mm[0], board.readings);
}

static void silence_leaves_the_newest_reading_alone(void **state) {
    (void)state;
    const int errors[] = {-ETIMEDOUT, -EIO};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct board board = {0};
        struct sensor sensor;
        uint64_t read_ns = 0;
        assert_int_equal(sensor_start(&sensor, &counting, &board, 0), 0);
        (void)wait_for(&sensor, 2, &read_ns);
        board.error = errors[i];
        unsigned asked = board.asked;
        while (board.asked < asked + 3)
            (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
        struct board_reading reading;
        uint64_t again_ns = 0;
        assert_int_equal(sensor_newest(&sensor, &reading, &read_ns), 0);
        asked = board.asked;
        while (board.asked < asked + 3)
            (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
        assert_int_equal(sensor_newest(&sensor, &reading, &again_ns), 0);
        assert_int_equal(again_ns, read_ns);
        /* It comes back. */
        board.error = 0;
        (void)wait_for(&sensor, reading.range_mm[0] + 2u, &read_ns);
        sensor_stop(&sensor);
    }
}

static void nothing_read_is_said(void **state) {
    (void)state;
    struct board board = {.error = -ETIMEDOUT};
    struct sensor sensor;
    struct board_reading reading;
    uint64_t read_ns = 77;
    assert_int_equal(sensor_start(&sensor, &counting, &board, 0), 0);
    assert_int_equal(sensor_newest(&sensor, &reading, &read_ns), -EAGAIN);
    assert_int_equal(read_ns, 77);
    sensor_stop(&sensor);
}

/* With the signal blocked here, only the sensor thread could take it; and it would die of it. */
static void signals_are_not_for_the_sensor_thread(void **state) {
    (void)state;
    sigset_t one;
    sigset_t pending;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    struct board board = {0};
    struct sensor sensor;
    uint64_t read_ns;
    assert_int_equal(sensor_start(&sensor, &counting, &board, 0), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    struct board_reading reading = wait_for(&sensor, 1, &read_ns);
    (void)wait_for(&sensor, reading.range_mm[0] + 3u, &read_ns);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGUSR1), 1);
    int taken;
    assert_int_equal(sigwait(&one, &taken), 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &one, NULL), 0);
    sensor_stop(&sensor);
}

static void boards_are_found_by_name(void **state) {
    (void)state;
    const char *argument = "untouched";
    assert_ptr_equal(board_find("sim", &argument), &board_sim);
    assert_null(argument);
    assert_ptr_equal(board_find("gpio", &argument), &board_gpio);
    assert_null(argument);
    assert_ptr_equal(board_find("driver:/a:b.so", &argument), &board_driver);
    assert_string_equal(argument, "/a:b.so");
    assert_ptr_equal(board_find("driver:", &argument), &board_driver);
    assert_string_equal(argument, "");
    assert_ptr_equal(board_find("driver", &argument), &board_driver);
    assert_null(argument);
    static const char *const none[] = {"toaster", "",     ":",     "si",
                                       "simm",    "sim:", "sim:x", "drive:x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(board_find(none[i], &argument));
    assert_string_equal(BOARD_NAMES, "sim, gpio, driver:PATH.so");
}

/* Farthest change of the reading straight ahead within so many readings of the simulated board. */
static unsigned change_within(struct board *board, int readings) {
    unsigned least = UINT16_MAX;
    unsigned most = 0;
    for (int i = 0; i < readings; i++) {
        struct board_reading reading;
        assert_int_equal(board_sim.read_sensors(board, &reading), 0);
        for (int s = 0; s < BEHAVIOUR_SENSORS; s++)
            assert_in_range(reading.range_mm[s], 20, 4000);
        least = reading.range_mm[2] < least ? reading.range_mm[2] : least;
        most = reading.range_mm[2] > most ? reading.range_mm[2] : most;
    }
    return most - least;
}

static void the_simulated_board_turns_when_told(void **state) {
    (void)state;
    struct board *board;
    assert_int_equal(board_sim.open(&board, &(struct board_setup){.seed = 3}, NULL), 0);
    assert_in_range(change_within(board, 10), 0, 25); /* noise */
    struct drive_powers spin = {{40, 40, 40}};
    assert_int_equal(board_sim.set_motors(board, spin), 0);
    assert_true(change_within(board, 50) > 100);
    board_sim.close(board);
    board_sim.close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_arrive_with_their_time),
        cmocka_unit_test(silence_leaves_the_newest_reading_alone),
        cmocka_unit_test(nothing_read_is_said),
        cmocka_unit_test(signals_are_not_for_the_sensor_thread),
        cmocka_unit_test(boards_are_found_by_name),
        cmocka_unit_test(the_simulated_board_turns_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
