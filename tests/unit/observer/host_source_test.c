/* The machine's own conditions as a segment: its thread, its end, and a file that blocks it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni/observe.h>

#include "observer/clock.h"
#include "observer/host_source.h"
#include "observer/host_status.h"

enum { PATIENCE_S = 30 };

static char directory[] = "/tmp/omni-host-source.XXXXXX";
static struct omni_problem problem;

static const char *path_of(const char *name) {
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int empty_directory(void **state) {
    static const char *const left[] = {"omni.host", "omni-lock.host", "omni-sleepers.host",
                                       "proc/loadavg", "proc"};
    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        (void)remove(path_of(left[i]));
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

static int open_source(struct host_source **source) {
    const struct host_source_options options = {
        .name = "host", .directory = directory, .root = directory};
    return host_source_open(source, &options, &problem);
}

static struct omni_observer *attach(void) {
    struct omni_observer *reader = NULL;
    const struct omni_observer_options options = {.directory = directory};
    if (omni_observer_attach(&reader, "host", &options, &problem) < 0)
        fail_msg("%s", problem.text);
    return reader;
}

static void breathe(void) {
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The next tick's stamp and status; fails where none comes. */
static struct omni_stamp next_tick(struct omni_observer *reader, struct host_status *status) {
    struct omni_stamp stamp;
    uint64_t end_ns = clock_now_ns() + PATIENCE_S * CLOCK_NS_A_SECOND;
    while (omni_observer_next(reader, &stamp, status) != 0) {
        assert_true(clock_now_ns() < end_ns);
        breathe();
    }
    return stamp;
}

static void it_ticks_and_says_goodbye(void **state) {
    struct host_source *source = NULL;
    struct host_status status;
    (void)state;
    assert_int_equal(open_source(&source), 0);
    struct omni_observer *reader = attach();
    assert_int_equal(omni_observer_expect(reader, host_status_schema(), &problem), 0);
    assert_true(omni_observer_table(reader)->hash == host_source_hash());
    assert_true(omni_observer_facts(reader)->period_ns == HOST_SOURCE_PERIOD_NS);
    assert_true(next_tick(reader, &status).tick == 1);
    assert_true(next_tick(reader, &status).tick == 2);
    assert_true(isnan(status.temperature));
    assert_true(host_source_close(source));
    assert_int_equal(omni_observer_life(reader), OMNI_LIFE_CLOSED);
    omni_observer_detach(reader);
}

static void a_second_one_is_told_who_is_first(void **state) {
    struct host_source *first = NULL;
    struct host_source *second = NULL;
    char process[32];
    (void)state;
    assert_int_equal(open_source(&first), 0);
    assert_int_equal(open_source(&second), -EBUSY);
    assert_non_null(second);
    (void)snprintf(process, sizeof process, "process %ld", (long)getpid());
    assert_non_null(strstr(problem.text, process));
    assert_non_null(strstr(problem.text, "--host-source=NAME"));
    assert_true(host_source_close(second));
    struct omni_observer *reader = attach();
    assert_int_equal(omni_observer_life(reader), OMNI_LIFE_OPEN);
    omni_observer_detach(reader);
    assert_true(host_source_close(first));
    assert_true(host_source_close(NULL));
}

/* A FIFO that nobody writes is the file of a driver that hangs. */
static void a_thread_that_is_stuck_is_left_behind(void **state) {
    struct host_source *source = NULL;
    (void)state;
    assert_int_equal(mkdir(path_of("proc"), 0700), 0);
    assert_int_equal(mkfifo(path_of("proc/loadavg"), 0600), 0);
    assert_int_equal(open_source(&source), 0);
    struct omni_observer *reader = attach();
    assert_false(host_source_close(source));
    assert_int_equal(omni_observer_life(reader), OMNI_LIFE_OPEN);
    /* The driver comes back: then the thread ends as it was told. */
    int file = open(path_of("proc/loadavg"), O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, "1 2 3\n", 6), 6);
    assert_int_equal(close(file), 0);
    uint64_t end_ns = clock_now_ns() + PATIENCE_S * CLOCK_NS_A_SECOND;
    while (omni_observer_life(reader) != OMNI_LIFE_CLOSED) {
        assert_true(clock_now_ns() < end_ns);
        breathe();
    }
    omni_observer_detach(reader);
}

static void a_place_that_is_not_there(void **state) {
    struct host_source *source = NULL;
    const struct host_source_options options = {
        .name = "host", .directory = "/nowhere/at/all", .root = "/"};
    (void)state;
    assert_int_equal(host_source_open(&source, &options, &problem), -ENOENT);
    assert_null(source);
    assert_non_null(strstr(problem.text, "/nowhere/at/all"));
}

#define TEST(name) cmocka_unit_test_teardown(name, empty_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_ticks_and_says_goodbye),
        TEST(a_second_one_is_told_who_is_first),
        TEST(a_thread_that_is_stuck_is_left_behind),
        TEST(a_place_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
