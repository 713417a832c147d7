/*
 * A robot in a process of its own whose motors are files (the kernel's PWM in a folder of the same
 * shape), its guard, and what becomes of the motors when the robot ends, hangs, or goes on. On real
 * lines: tests/vm/gpio.test.mjs.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/motor_guard.h"
#include "robot/realtime.h"

#include "../skip.h"

#define LIMIT_NS    (200 * CLOCK_NS_A_MILLISECOND)
#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)
#define SPIN_NS     (5 * CLOCK_NS_A_SECOND)

struct scene {
    char duty[64]; /* path of the file that tells how long the motor's pulse is */
    bool realtime; /* robot and guard, on one CPU that they share */
    pid_t robot;
    pid_t guard;
    int orders;  /* one byte each to the robot */
    int answers; /* from it: the guard's process id, then a byte for each order */
    int held;    /* readable when nobody holds the other end any more, which the robot lets go of */
};

/* ---- the robot's process --------------------------------------------------------------------- */

static void open_files(struct motors *motors, const char *duty) {
    memset(motors, 0, sizeof *motors);
    motors->bridge[1].has_pwm = true;
    motors->bridge[1].pwm.period_ns = 1000;
    motors->bridge[1].pwm.duty = open(duty, O_WRONLY | O_CLOEXEC);
    motors->bridge[1].pwm.enable = open("/dev/null", O_WRONLY | O_CLOEXEC);
}

/* Never sleeps, and makes no system call, until the motor is off. Returns whether it ever was. */
static bool spin_until_off(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    const volatile char *duty = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
    uint64_t end_ns = clock_now_ns() + SPIN_NS;
    if (duty == MAP_FAILED)
        return false;
    while (*duty != '0' && clock_now_ns() < end_ns) {
    }
    return *duty == '0';
}

/* Orders: 'd' drive and beat, 'a' is the guard alive, 'l' does it look, 'o' did it switch off, 's'
 * stop in order; 'h'
 * hang until it is off. */
static void obey(const struct scene *scene, struct motor_guard *guard, struct motors *motors,
                 char order, int answers) {
    char answer = order;
    if (order == 'd') {
        (void)pwm_sysfs_set(&motors->bridge[1].pwm, 50);
        motor_guard_beat(guard, clock_now_ns());
    } else if (order == 'a') {
        answer = motor_guard_is_alive(guard) ? 'y' : 'n';
    } else if (order == 'l') {
        answer = motor_guard_looks(guard, clock_now_ns()) ? 'y' : 'n';
    } else if (order == 'o') {
        answer = motor_guard_acted(guard) ? 'y' : 'n';
    } else if (order == 'h') {
        answer = spin_until_off(scene->duty) ? 'y' : 'n';
    } else {
        motor_guard_stop(guard);
    }
    (void)!write(answers, &answer, 1);
}

/* The one CPU is that where it is; the guard will inherit that. */
static int enter_realtime(void) {
    struct omni_problem problem;
    int error = realtime_pin(sched_getcpu(), &problem);
    return error < 0 ? error : realtime_schedule(&problem);
}

static _Noreturn void be_a_robot(const struct scene *scene, int orders, int answers, int held) {
    struct motor_guard_files before;
    static struct motors motors;
    struct motor_guard guard;
    motor_guard_note(&before);
    open_files(&motors, scene->duty);
    struct motor_guard_settings settings = {
        .before = &before,
        .limit_ns = LIMIT_NS,
        .priority = realtime_priorities(scene->realtime).guard,
    };
    if (scene->realtime && enter_realtime() < 0)
        _exit(1);
    if (motor_guard_start(&guard, &motors, &settings, NULL) < 0)
        _exit(1);
    (void)close(held);
    (void)!write(answers, &guard.process, sizeof guard.process);
    for (char order; read(orders, &order, 1) == 1;)
        obey(scene, &guard, &motors, order, answers);
    _exit(0);
}

/* ---- the test's ------------------------------------------------------------------------------ */

static int raise_a_scene(void **state, bool realtime) {
    static struct scene scene;
    scene.realtime = realtime;
    int orders[2];
    int answers[2];
    int held[2];
    (void)snprintf(scene.duty, sizeof scene.duty, "/tmp/omni-guard-XXXXXX");
    int file = mkstemp(scene.duty);
    if (file < 0 || pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0 ||
        pipe2(held, O_CLOEXEC) < 0)
        return -1;
    (void)close(file);
    scene.robot = fork();
    if (scene.robot == 0) {
        (void)close(orders[1]);
        (void)close(answers[0]);
        (void)close(held[0]);
        be_a_robot(&scene, orders[0], answers[1], held[1]);
    }
    (void)close(orders[0]);
    (void)close(answers[1]);
    (void)close(held[1]);
    scene.orders = orders[1];
    scene.answers = answers[0];
    scene.held = held[0];
    *state = &scene;
    return read(scene.answers, &scene.guard, sizeof scene.guard) == sizeof scene.guard ? 0 : -1;
}

static int raise_scene(void **state) {
    return raise_a_scene(state, false);
}

static bool realtime_is_permitted(void) {
    const struct sched_param highest = {.sched_priority = REALTIME_HIGHEST_PRIORITY};
    pid_t child = fork();
    int status = 1;
    if (child == 0)
        _exit(sched_setscheduler(0, SCHED_FIFO, &highest) < 0);
    return waitpid(child, &status, 0) == child && status == 0;
}

static int raise_realtime_scene(void **state) {
    *state = NULL;
    return realtime_is_permitted() ? raise_a_scene(state, true) : 0;
}

static int strike_scene(void **state) {
    struct scene *scene = *state;
    if (scene == NULL)
        return 0;
    if (scene->robot > 0) {
        (void)kill(scene->robot, SIGKILL);
        (void)waitpid(scene->robot, NULL, 0);
    }
    (void)close(scene->orders);
    (void)close(scene->answers);
    (void)close(scene->held);
    return unlink(scene->duty);
}

static char order(const struct scene *scene, char what) {
    char answer = 0;
    assert_int_equal(write(scene->orders, &what, 1), 1);
    assert_int_equal(read(scene->answers, &answer, 1), 1);
    return answer;
}

static long duty(const struct scene *scene) {
    char text[32] = "";
    FILE *file = fopen(scene->duty, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    return strtol(text, NULL, 10);
}

static void wait_for_off(const struct scene *scene) {
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (duty(scene) != 0) {
        assert_true(clock_now_ns() < end_ns);
        (void)clock_sleep_until(clock_now_ns() + CLOCK_NS_A_MILLISECOND);
    }
}

/* A process that is not there any more has every state. */
static void wait_for_state(pid_t process, char wanted) {
    char path[64];
    char state = '?';
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    while (state != wanted) {
        FILE *file = fopen(path, "r");
        if (file == NULL)
            return;
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            state = wanted;
        (void)fclose(file);
        assert_true(clock_now_ns() < end_ns);
    }
}

/* Whoever inherits it may be slow to collect it: that it has ended counts. */
static void wait_until_gone(pid_t process) {
    wait_for_state(process, 'Z');
}

static void stop(pid_t process) {
    assert_int_equal(kill(process, SIGSTOP), 0);
    wait_for_state(process, 'T');
}

static void a_killed_robot_is_off(void **state) {
    struct scene *scene = *state;
    assert_int_equal(order(scene, 'd'), 'd');
    assert_int_equal(kill(scene->robot, SIGKILL), 0);
    wait_for_off(scene);
    wait_until_gone(scene->guard);
}

/* While it is stopped nothing happens: so it is the guard, and nobody else. */
static void it_is_the_guard_that_switches_off(void **state) {
    struct scene *scene = *state;
    stop(scene->guard);
    assert_int_equal(order(scene, 'd'), 'd');
    assert_int_equal(kill(scene->robot, SIGKILL), 0);
    assert_int_equal(waitpid(scene->robot, NULL, 0), scene->robot);
    scene->robot = 0;
    assert_int_equal(duty(scene), 500);
    assert_int_equal(kill(scene->guard, SIGCONT), 0);
    wait_for_off(scene);
}

static void a_robot_that_hangs_is_off_and_may_go_on(void **state) {
    struct scene *scene = *state;
    assert_int_equal(order(scene, 'o'), 'n');
    assert_int_equal(order(scene, 'd'), 'd');
    wait_for_off(scene);
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (order(scene, 'o') != 'y')
        assert_true(clock_now_ns() < end_ns);
    assert_int_equal(order(scene, 'a'), 'y');
    /* The same power again is a pulse again; looked at while the guard cannot be too quick. */
    stop(scene->guard);
    assert_int_equal(order(scene, 'd'), 'd');
    assert_int_equal(duty(scene), 500);
    assert_int_equal(kill(scene->guard, SIGCONT), 0);
    wait_for_off(scene);
}

/* Nobody but what is above it gets the CPU from it. */
static void a_realtime_robot_that_spins_is_off_on_one_cpu(void **state) {
    struct scene *scene = *state;
    if (scene == NULL)
        SKIP_BECAUSE("SCHED_FIFO is not permitted here");
    assert_int_equal(order(scene, 'd'), 'd');
    assert_int_equal(order(scene, 'h'), 'y');
    assert_int_equal(sched_getscheduler(scene->robot), SCHED_FIFO);
}

static void a_dead_guard_is_noticed(void **state) {
    struct scene *scene = *state;
    assert_int_equal(order(scene, 'a'), 'y');
    assert_int_equal(kill(scene->guard, SIGKILL), 0);
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (order(scene, 'a') != 'n')
        assert_true(clock_now_ns() < end_ns);
}

/* The name by which killall and the like know a process. */
static void it_has_a_name_of_its_own(void **state) {
    struct scene *scene = *state;
    char path[64];
    char name[32] = "";
    assert_int_equal(order(scene, 'd'), 'd');
    wait_for_off(scene); /* so it has run by now */
    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)scene->guard);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(name, sizeof name, file));
    (void)fclose(file);
    assert_string_equal(name, "omni-guard\n");
}

/* Who sends such a signal to all processes of a service means the robot. */
static void signals_do_not_end_it(void **state) {
    struct scene *scene = *state;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        assert_int_equal(kill(scene->guard, signals[i]), 0);
    assert_int_equal(order(scene, 'd'), 'd');
    wait_for_off(scene); /* so it has run since */
    assert_int_equal(order(scene, 'a'), 'y');
    assert_int_equal(getsid(scene->guard), scene->guard);
    assert_int_equal(order(scene, 's'), 's');
    wait_until_gone(scene->guard);
}

/* It lives, but would not switch off. With beats and without, it looks. */
static void a_suspended_guard_is_noticed(void **state) {
    struct scene *scene = *state;
    assert_int_equal(order(scene, 'l'), 'y');
    assert_int_equal(kill(scene->guard, SIGSTOP), 0);
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (order(scene, 'l') != 'n')
        assert_true(clock_now_ns() < end_ns);
    assert_int_equal(order(scene, 'a'), 'y');
    assert_int_equal(kill(scene->guard, SIGCONT), 0);
    while (order(scene, 'l') != 'y')
        assert_true(clock_now_ns() < end_ns);
    assert_int_equal(order(scene, 'd'), 'd');
    wait_for_off(scene);
    assert_int_equal(order(scene, 'l'), 'y');
}

/* The robot must be able to end all the same. */
static void a_suspended_guard_is_not_waited_for(void **state) {
    struct scene *scene = *state;
    struct pollfd answer = {.fd = scene->answers, .events = POLLIN};
    char stop = 's';
    assert_int_equal(kill(scene->guard, SIGSTOP), 0);
    assert_int_equal(write(scene->orders, &stop, 1), 1);
    assert_int_equal(poll(&answer, 1, (int)(PATIENCE_NS / CLOCK_NS_A_MILLISECOND)), 1);
    wait_until_gone(scene->guard);
}

/* Somebody who waits for the robot's pipe to close must not wait for the guard. */
static void it_holds_nothing_of_the_robots(void **state) {
    struct scene *scene = *state;
    struct pollfd end = {.fd = scene->held, .events = POLLIN};
    assert_int_equal(poll(&end, 1, (int)(PATIENCE_NS / CLOCK_NS_A_MILLISECOND)), 1);
    assert_true((end.revents & POLLHUP) != 0);
    assert_int_equal(order(scene, 'a'), 'y');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_robot_is_off, raise_scene, strike_scene),
        cmocka_unit_test_setup_teardown(it_is_the_guard_that_switches_off, raise_scene,
                                        strike_scene),
        cmocka_unit_test_setup_teardown(a_robot_that_hangs_is_off_and_may_go_on, raise_scene,
                                        strike_scene),
        cmocka_unit_test_setup_teardown(a_realtime_robot_that_spins_is_off_on_one_cpu,
                                        raise_realtime_scene, strike_scene),
        cmocka_unit_test_setup_teardown(a_dead_guard_is_noticed, raise_scene, strike_scene),
        cmocka_unit_test_setup_teardown(it_has_a_name_of_its_own, raise_scene, strike_scene),
        cmocka_unit_test_setup_teardown(signals_do_not_end_it, raise_scene, strike_scene),
        cmocka_unit_test_setup_teardown(a_suspended_guard_is_noticed, raise_scene, strike_scene),
        cmocka_unit_test_setup_teardown(a_suspended_guard_is_not_waited_for, raise_scene,
                                        strike_scene),
        cmocka_unit_test_setup_teardown(it_holds_nothing_of_the_robots, raise_scene, strike_scene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
