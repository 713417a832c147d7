#include "sensor.h"

#include <errno.h>
#include <stddef.h>

#include <omni/publish.h>

#include "clock.h"
#include "thread.h"

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

int sensor_start(struct sensor *sensor, const struct board_kind *kind, struct board *board,
                 int priority) {
    mailbox_init(&sensor->mailbox, sizeof(struct board_reading));
    sensor->kind = kind;
    sensor->board = board;
    sensor->stop = false;
    return thread_start(&sensor->thread, read_for_ever, sensor, priority);
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
