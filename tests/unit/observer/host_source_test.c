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
#include <omni/publish.h>

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
    static const char *const left[] = {
        "omni.host", "omni-lock.host", "omni-sleepers.host", "proc/loadavg",
        "proc",      "omni.clock",     "omni-lock.clock",    "omni-sleepers.clock"};
    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        (void)remove(path_of(left[i]));
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

static int open_named(struct host_source **source, const char *name) {
    const struct host_source_options options = {
        .name = name, .directory = directory, .root = directory};
    return host_source_open(source, &options, &problem);
}

static int open_source(struct host_source **source) {
    return open_named(source, "host");
}

static struct omni_observer *attach_to(const char *name) {
    struct omni_observer *reader = NULL;
    const struct omni_observer_options options = {.directory = directory};
    if (omni_observer_attach(&reader, name, &options, &problem) < 0)
        fail_msg("%s", problem.text);
    return reader;
}

static struct omni_observer *attach(void) {
    return attach_to("host");
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

/* ---- a robot of that name ---- */

#define ROVER(FIELD)                                                                               \
    FIELD(number, f32, temperature, "°C", -40, 100, "Of its motors")                               \
    FIELD(number, f32, speed, "m/s", 0, 1, "How fast it drives")
OMNI_STATUS(rover, ROVER)

/* Like ours, but of another version. */
#define OLD_HOST(FIELD)                                                                            \
    FIELD(number, f64, busy, "%", 0, 100, "As it was once")                                        \
    FIELD(number, f64, temperature, "°C", -40, 100, "As it was once")                              \
    FIELD(number, f64, load, "", 0, NAN, "As it was once")
OMNI_STATUS(old_host, OLD_HOST)

static struct omni_publisher *start_publishing(const struct omni_schema *schema) {
    const struct omni_publisher_options how = {.directory = directory};
    struct omni_publisher *publisher = NULL;
    static const char zeros[64];
    assert_int_equal(omni_publisher_open(&publisher, "host", schema, &how, &problem), 0);
    assert_true(schema->payload_bytes <= sizeof zeros);
    omni_publish(publisher, zeros);
    return publisher;
}

/* So long that a source which waits for its turn has looked three times. */
static void wait_for_three_looks(void) {
    struct host_source *clock = NULL;
    struct host_status status;
    assert_int_equal(open_named(&clock, "clock"), 0);
    struct omni_observer *reader = attach_to("clock");
    while (next_tick(reader, &status).tick < 4) {
    }
    omni_observer_detach(reader);
    assert_true(host_source_close(clock));
}

static bool is_rovers(void) {
    struct omni_observer *reader = attach();
    bool is_it = omni_observer_expect(reader, rover_schema(), NULL) == 0;
    omni_observer_detach(reader);
    return is_it;
}

static void wait_until_ours(void) {
    uint64_t end_ns = clock_now_ns() + PATIENCE_S * CLOCK_NS_A_SECOND;
    const struct omni_observer_options options = {.directory = directory};
    for (bool is_ours = false; !is_ours; breathe()) {
        struct omni_observer *reader = NULL;
        is_ours = omni_observer_attach(&reader, "host", &options, NULL) == 0 &&
                  omni_observer_table(reader)->hash == host_source_hash();
        omni_observer_detach(reader);
        assert_true(clock_now_ns() < end_ns);
    }
}

static void a_robots_place_is_not_taken(void **state) {
    struct host_source *source = NULL;
    (void)state;
    struct omni_publisher *robot = start_publishing(rover_schema());
    assert_true(host_source_is_taken("host", directory));
    assert_int_equal(open_source(&source), -EBUSY);
    assert_non_null(strstr(problem.text, "but a robot's"));
    omni_publisher_close(robot);
    wait_for_three_looks();
    assert_true(is_rovers());
    omni_publisher_close(start_publishing(rover_schema()));
    assert_int_equal(unlink(path_of("omni.host")), 0);
    wait_until_ours();
    assert_true(host_source_close(source));
}

static void nor_is_that_of_one_that_ended_before(void **state) {
    struct host_source *source = NULL;
    (void)state;
    omni_publisher_close(start_publishing(rover_schema()));
    assert_int_equal(open_source(&source), -EBUSY);
    wait_for_three_looks();
    assert_true(is_rovers());
    assert_true(host_source_close(source));
}

static void another_versions_place_is_taken(void **state) {
    struct host_source *source = NULL;
    (void)state;
    assert_false(host_source_is_taken("host", directory));
    omni_publisher_close(start_publishing(old_host_schema()));
    assert_false(host_source_is_taken("host", directory));
    assert_int_equal(open_source(&source), 0);
    wait_until_ours();
    assert_true(host_source_close(source));
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
        TEST(a_robots_place_is_not_taken),
        TEST(nor_is_that_of_one_that_ended_before),
        TEST(another_versions_place_is_taken),
        TEST(a_place_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
