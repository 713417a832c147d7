/*
 * recorder.c - a driver for tests: gives readings that are known in advance, writes down what it
 * is told, and misbehaves on demand
 *
 * Its configuration is the path of a folder. There it appends to the file `log`, one line a call:
 *   PROCESS open, PROCESS motors P P P, PROCESS close, PROCESS hang, PROCESS nap, PROCESS helper
 * and while a file of that name exists there,
 *   crash-open, fail-open     open() crashes, fails with EIO
 *   hang-open, helper         open() never returns, starts a process that never ends
 *   crash, hang, slow, quiet  read_sensors() crashes, never returns, takes 8 ms, has nothing new
 *   spin                      read_sensors() never returns nor sleeps
 *   nap                       read_sensors() does not return before a signal comes, then with EINTR
 *   deaf                      open() takes SIGTERM, SIGALRM, SIGHUP and SIGINT for itself, which then do nothing
 *                             but end a system call
 *   shut                      open() closes all descriptors but its log and the three that everybody has
 *   cut                       tries to cut short each file that it finds open, but its log, and to take their
 *                             memory away: PROCESS cut N of M, where N could be cut
 *   punch                     takes the bytes out of them, which leaves their size: PROCESS punched N of M
 *   hold-close                close() does not return while the file is there
 *   wild                      readings are 0, 19, 20, 4000 and 65535
 *   refuse                    set_motors() fails with EIO
 *
 * The n-th reading of a process (from 0) is n % 3000 + 100 (i + 1) at sensor i.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <omni/driver.h>

#define FOLDER_BYTES 400
#define PATH_BYTES   (FOLDER_BYTES + 32)
#define READINGS     3000
#define FILES        64

static struct recorder {
    char folder[FOLDER_BYTES];
    int log;
    unsigned readings;
} recorder;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...) {
    char text[64];
    char line[96];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int length = snprintf(line, sizeof line, "%ld %s\n", (long)getpid(), text);
    if (write(recorder.log, line, (size_t)length) != length)
        abort();
}

static bool shall(const char *what) {
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", recorder.folder, what);
    return access(path, F_OK) == 0;
}

static void hang(void) {
    note("hang");
    for (;;)
        (void)pause();
}

static void spin(void) {
    note("spin");
    for (volatile unsigned rounds = 0;; rounds++) {
    }
}

static void start_helper(void) {
    if (fork() != 0)
        return;
    note("helper");
    for (;;)
        (void)pause();
}

/* Of the hand-off with the robot, too. */
static bool cut(int file) {
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return ftruncate(file, 0) == 0 || truncate(path, 0) == 0 || ftruncate(file, 1) == 0;
}

static bool punch(int file) {
    return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 65536) == 0;
}

static void harm(bool (*act)(int file), const char *what) {
    int found = 0;
    int done = 0;
    for (int file = STDERR_FILENO + 1; file < FILES; file++) {
        struct stat facts;
        if (file == recorder.log || fstat(file, &facts) < 0 || !S_ISREG(facts.st_mode) ||
            (fcntl(file, F_GETFL) & O_ACCMODE) == O_RDONLY)
            continue;
        found++;
        done += act(file);
    }
    note("%s %d of %d", what, done, found);
}

static void hear_nothing(int signal) {
    (void)signal;
}

static void go_deaf(void) {
    static const int signals[] = {SIGTERM, SIGALRM, SIGHUP, SIGINT};
    struct sigaction action = {.sa_handler = hear_nothing};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], &action, NULL);
}

static void shut(void) {
    for (int file = STDERR_FILENO + 1; file < FILES; file++)
        if (file != recorder.log)
            (void)close(file);
}

static int32_t recorder_open(void **state, const char *config) {
    char path[PATH_BYTES];
    *state = &recorder;
    (void)snprintf(recorder.folder, sizeof recorder.folder, "%s", config);
    (void)snprintf(path, sizeof path, "%s/log", config);
    if (shall("crash-open"))
        abort();
    if (shall("fail-open"))
        return -EIO;
    recorder.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (recorder.log < 0)
        return -errno;
    if (shall("deaf"))
        go_deaf();
    if (shall("shut"))
        shut();
    if (shall("hang-open"))
        hang();
    if (shall("helper"))
        start_helper();
    note("open");
    return 0;
}

static int32_t recorder_read_sensors(void *state, struct omni_driver_reading *reading) {
    struct recorder *mine = state;
    if (shall("crash"))
        abort();
    if (shall("hang"))
        hang();
    if (shall("spin"))
        spin();
    if (shall("nap")) {
        note("nap");
        (void)pause();
        return -EINTR;
    }
    if (shall("cut"))
        harm(cut, "cut");
    if (shall("punch"))
        harm(punch, "punched");
    if (shall("quiet"))
        return -EAGAIN;
    if (shall("slow"))
        (void)nanosleep(&(struct timespec){.tv_nsec = 8000000}, NULL);
    if (shall("wild")) {
        *reading = (struct omni_driver_reading){.range_mm = {0, 19, 20, 4000, 65535}};
        return 0;
    }
    for (unsigned i = 0; i < OMNI_DRIVER_SENSORS; i++)
        reading->range_mm[i] = (uint16_t)(mine->readings % READINGS + 100 * (i + 1));
    mine->readings++;
    return 0;
}

static int32_t recorder_set_motors(void *state, const struct omni_driver_powers *powers) {
    (void)state;
    if (shall("refuse"))
        return -EIO;
    note("motors %d %d %d", powers->percent[0], powers->percent[1], powers->percent[2]);
    return 0;
}

static void recorder_close(void *state) {
    (void)state;
    note("close");
    while (shall("hold-close"))
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    (void)close(recorder.log);
}

const struct omni_driver omni_driver = {
    .version = OMNI_DRIVER_VERSION,
    .open = recorder_open,
    .read_sensors = recorder_read_sensors,
    .set_motors = recorder_set_motors,
    .close = recorder_close,
};
