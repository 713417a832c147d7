/*
 * support.h - what the tests of shared/ have in common
 *
 * Each test gets a directory of its own in memory (struct scratch, made and removed by
 * scratch_make() and scratch_remove() as cmocka set-up and tear-down), so that tests run beside
 * each other and beside a real robot. What happens in child processes is told by their exit
 * status: cmocka's assertions work in the process that runs the tests only.
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/skip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <omni/observe.h>
#include <omni/publish.h>

#include "tests/programs/parcel.h"

#if defined __SANITIZE_ADDRESS__
#define SANITIZER "address"
#elif defined __SANITIZE_THREAD__
#define SANITIZER "thread"
#else
#define SANITIZER ""
#endif

/* True under a sanitizer, where everything takes many times as long. */
static const bool checked_build = sizeof SANITIZER > 1;

/* A status with each kind of field. */
#define PROBE_MODES(LABEL) LABEL(PROBE_OFF, "off") LABEL(PROBE_ON, "on") LABEL(PROBE_ODD, "odd")
#define PROBE(FIELD)                                                                               \
    FIELD(number, f64, level, "l", 0, 100, "Water in the tank")                                    \
    FIELD(number, i64, balance, "", NAN, NAN, "May be negative")                                   \
    FIELD(number, u64, total, "", 0, NAN, "Never goes down")                                       \
    FIELD(numbers, f32, temperature, 2, "°C", 0, 60, "At bottom and top")                          \
    FIELD(number, i32, turns, "", -100, 100, "Left is negative")                                   \
    FIELD(number, u32, steps, "", 0, NAN, "Of the motor")                                          \
    FIELD(numbers, u16, sensors, 5, "mm", 0, 4000, "Distances, left to right")                     \
    FIELD(number, i16, tilt, "°", -90, 90, "Forward is positive")                                  \
    FIELD(numbers, i8, power, 3, "%", -100, 100, "Of each wheel")                                  \
    FIELD(number, u8, gear, "", 0, 5, "Which gear")                                                \
    FIELD(choice, mode, PROBE_MODES, "What it does")                                               \
    FIELD(choices, plan, 2, PROBE_MODES, "What it does next")                                      \
    FIELD(flag, leaking, "Water under the tank")                                                   \
    FIELD(flags, doors, 3, "Which doors are open")                                                 \
    FIELD(gap, unused, 1)                                                                          \
    FIELD(text, note, 11, "A word from the maker")
OMNI_ENUM(probe_mode, PROBE_MODES)
OMNI_STATUS(probe, PROBE)

/* ---- a directory for one test ---- */

struct scratch {
    char directory[64];
};

static inline int scratch_make(void **state) {
    struct scratch *scratch = calloc(1, sizeof *scratch);
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    if (scratch == NULL)
        return -1;
    snprintf(scratch->directory, sizeof scratch->directory, "%s/omni-test-XXXXXX", base);
    if (mkdtemp(scratch->directory) == NULL)
        return -1;
    *state = scratch;
    return 0;
}

static inline void scratch_path(const struct scratch *scratch, const char *file, char *path,
                                size_t bytes) {
    snprintf(path, bytes, "%s/%s", scratch->directory, file);
}

/* How many files there have a name that begins with `prefix`. */
static inline int scratch_count(const struct scratch *scratch, const char *prefix) {
    DIR *directory = opendir(scratch->directory);
    int count = 0;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (directory != NULL)
        closedir(directory);
    return count;
}

static inline int scratch_remove(void **state) {
    struct scratch *scratch = *state;
    char path[PATH_MAX];
    DIR *directory = opendir(scratch->directory);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        scratch_path(scratch, entry->d_name, path, sizeof path);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(path) < 0)
            rmdir(path);
    }
    if (directory != NULL)
        closedir(directory);
    int error = rmdir(scratch->directory);
    free(scratch);
    return error;
}

/* ---- publishers and observers in it ---- */

static inline struct omni_publisher *must_open(const struct scratch *scratch, const char *name,
                                               const struct omni_schema *schema,
                                               struct omni_publisher_options options) {
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    options.directory = scratch->directory;
    if (omni_publisher_open(&publisher, name, schema, &options, &problem) < 0)
        fail_msg("cannot open publisher %s: %s", name, problem.text);
    return publisher;
}

static inline int try_attach(const struct scratch *scratch, const char *name,
                             struct omni_observer **observer, struct omni_problem *problem) {
    struct omni_observer_options options = {.directory = scratch->directory};
    return omni_observer_attach(observer, name, &options, problem);
}

static inline struct omni_observer *must_attach(const struct scratch *scratch, const char *name) {
    struct omni_observer *observer = NULL;
    struct omni_problem problem = {""};
    if (try_attach(scratch, name, &observer, &problem) < 0)
        fail_msg("cannot attach to %s: %s", name, problem.text);
    return observer;
}

static inline void publish_parcel(struct omni_publisher *publisher) {
    struct parcel parcel = {0};
    parcel_fill(&parcel, omni_publisher_tick(publisher) + 1);
    omni_publish(publisher, &parcel);
}

static inline void publish_parcels(struct omni_publisher *publisher, unsigned count) {
    while (count-- > 0)
        publish_parcel(publisher);
}

/* ---- files ---- */

struct bytes {
    unsigned char *at;
    size_t count;
};

/* The whole file, on the heap. */
static inline struct bytes read_file(const char *path) {
    struct bytes bytes = {NULL, 0};
    struct stat facts = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &facts) < 0)
        fail_msg("cannot read %s: %s", path, strerror(errno));
    bytes.at = malloc((size_t)facts.st_size + 1);
    assert_non_null(bytes.at);
    bytes.count = (size_t)read(file, bytes.at, (size_t)facts.st_size);
    assert_int_equal(bytes.count, facts.st_size);
    close(file);
    return bytes;
}

/* A new file of exactly these bytes. */
static inline void write_file(const char *path, const void *bytes, size_t count) {
    unlink(path);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count)
        fail_msg("cannot write %s: %s", path, strerror(errno));
    close(file);
}

static inline int open_files(void) {
    int count = 0;
    for (int file = 0; file < 256; file++)
        count += fcntl(file, F_GETFD) >= 0;
    return count;
}

/* ---- processes, time, chance ---- */

/* A test that waits for ever is ended by alarm(), and its children with it. */
enum { PATIENCE_SECONDS = 900 };

static inline void die_with_parent(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1)
        _exit(3);
}

/* cmocka catches what ends a process; a child is to be ended by it. */
static inline void die_of_faults(void) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        signal(faults[i], SIG_DFL);
}

/* Runs `work` in a child process and returns its wait status. */
static inline int in_child(int (*work)(void *context), void *context) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        die_of_faults();
        _exit(work(context));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static inline void assert_exit(int status, int expected) {
    if (!WIFEXITED(status))
        fail_msg("the child was ended by signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

static inline uint64_t now_ns(void) {
    return omni_time_now().monotonic_ns;
}

static inline void sleep_us(long microseconds) {
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

/* Repeatable chance (xorshift64*). */
static inline uint64_t chance(uint64_t *seed) {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545F4914F6CDD1Du;
}

/* ---- leaving a test out, by name and with the reason ---- */

#define SKIP_UNLESS_ROOT()                                                                         \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            SKIP_BECAUSE("needs root, to act as two users");                                       \
    } while (0)

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

#endif
