#include "sensor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

#include <omni/publish.h>

#include "clock.h"

/* Locked memory is precious (--realtime), and reading sensors is shallow work. */
#define STACK_BYTES ((size_t)256 * 1024)

/* A broken board must not make the thread spin. */
#define PAUSE_AFTER_FAILURE_NS (50 * CLOCK_NS_A_MILLISECOND)

static void *read_for_ever(void *argument) {
    struct sensor *sensor = argument;
    while (!sensor->stop) {
        struct board_reading reading;
        int error = sensor->kind->read_sensors(sensor->board, &reading);
        /* Silence is told by the age of the newest reading: nothing to do about it here. */
        if (error == 0)
            mailbox_put(&sensor->mailbox, &reading, omni_time_now());
        else if (error != -ETIMEDOUT)
            (void)clock_sleep_until(clock_now_ns() + PAUSE_AFTER_FAILURE_NS);
    }
    return NULL;
}

static int describe_thread(pthread_attr_t *attributes, int priority) {
    int error = pthread_attr_setstacksize(attributes, STACK_BYTES);
    if (error == 0)
        error = pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
    if (error == 0)
        error = pthread_attr_setschedpolicy(attributes, priority > 0 ? SCHED_FIFO : SCHED_OTHER);
    struct sched_param parameter = {.sched_priority = priority};
    if (error == 0)
        error = pthread_attr_setschedparam(attributes, &parameter);
    return error;
}

static int create_without_signals(struct sensor *sensor, const pthread_attr_t *attributes) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0)
        return error;
    error = pthread_create(&sensor->thread, attributes, read_for_ever, sensor);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int sensor_start(struct sensor *sensor, const struct board_kind *kind, struct board *board,
                 int priority) {
    mailbox_init(&sensor->mailbox, sizeof(struct board_reading));
    sensor->kind = kind;
    sensor->board = board;
    sensor->stop = false;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    error = describe_thread(&attributes, priority);
    if (error == 0)
        error = create_without_signals(sensor, &attributes);
    (void)pthread_attr_destroy(&attributes);
    return -error;
}

int sensor_newest(const struct sensor *sensor, struct board_reading *reading, uint64_t *read_ns) {
    struct omni_time time;
    int error = mailbox_newest(&sensor->mailbox, reading, &time);
    if (error == 0)
        *read_ns = time.monotonic_ns;
    return error;
}

void sensor_stop(struct sensor *sensor) {
    sensor->stop = true;
    (void)pthread_join(sensor->thread, NULL);
}
