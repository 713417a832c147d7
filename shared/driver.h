/*
 * omni/driver.h - what a hardware driver in a shared object looks like
 *
 * Purpose
 *   omni-robot --board driver:PATH.so drives hardware that it knows nothing of: somebody's sensors
 *   and motors behind four functions. Plain C and fixed widths, so that a library of ten years ago,
 *   for another CPU, can still be spoken to. docs/drivers.md has a complete driver.
 *
 * Calling sequence
 *   A driver defines one symbol:
 *
 *     const struct omni_driver omni_driver = {
 *         .version = OMNI_DRIVER_VERSION,
 *         .open = my_open,
 *         .read_sensors = my_read_sensors,
 *         .set_motors = my_set_motors,
 *         .close = my_close,
 *     };
 *
 *   and is built with: cc -shared -fPIC -o my_driver.so my_driver.c
 *   It is called so, never by two threads at a time:
 *
 *     open(&state, config)
 *     each tick: read_sensors(state, &reading), then set_motors(state, &powers)
 *     close(state)
 *
 * Time
 *   Both calls of a tick happen within it: together they should take a small part of its period.
 *   Loaded into the robot itself, a call that hangs hangs the robot. In a host process (another
 *   CPU's driver, or --isolate-driver) the loop waits for half a period and 5 ms at most; after
 *   250 ms the host is ended (SIGTERM; where its call returns then, motors are commanded to zero and
 *   close() is called; SIGKILL after 150 ms) and another one started.
 *
 * Death
 *   close() is not called when the process is killed or crashes. The robot commands zero then, which
 *   nobody hears: hardware that could do harm has to stop by itself when no command comes (a
 *   watchdog), and open() finds it in any state.
 *
 * Failure
 *   Functions return 0 or a negative errno. Nothing may be thrown through them.
 */
#ifndef OMNI_DRIVER_H
#define OMNI_DRIVER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this interface. A robot takes only drivers that say the same. */
#define OMNI_DRIVER_VERSION 1u

#define OMNI_DRIVER_SYMBOL  "omni_driver"
#define OMNI_DRIVER_SENSORS 5
#define OMNI_DRIVER_MOTORS  3

/* What the sensors see: free way in mm from the robot's edge, at the bearings -90 (right), -45, 0
 * (ahead), 45 and 90 (left) degrees. 20: that or less; 4000: that or more. What lies outside is
 * taken for the nearer of the two. */
struct omni_driver_reading {
    uint16_t range_mm[OMNI_DRIVER_SENSORS];
    uint16_t reserved[3]; /* 0 */
};

/* Percent, -100 to 100, of the wheels at 60 (front left), 180 (rear) and 300 degrees (front
 * right). Positive drives the robot counter-clockwise seen from above. */
struct omni_driver_powers {
    int8_t percent[OMNI_DRIVER_MOTORS];
    int8_t reserved; /* 0 */
};

struct omni_driver {
    uint32_t version; /* OMNI_DRIVER_VERSION; stays the first member in all versions */
    uint32_t reserved;

    /* Finds the hardware and makes it ready, motors at zero. `config` is what the user gave with
     * --driver-config, "" where nothing; it is gone after the call. *state is handed to the other
     * functions; it may stay NULL. Called again in a new process after a host's end. */
    int32_t (*open)(void **state, const char *config);

    /* Gets the newest reading. Returns 0; -EAGAIN where there is none since the last call;
     * -ETIMEDOUT where the sensors do not answer; another -errno. After anything but 0 the robot goes
     * on with the reading before, drives slower after 60 ms and stands still after 250. */
    int32_t (*read_sensors)(void *state, struct omni_driver_reading *reading);

    /* Commands the motors. Where it returns a negative errno, the robot ends. */
    int32_t (*set_motors)(void *state, const struct omni_driver_powers *powers);

    /* Motors at zero, everything released. Only after an open() that succeeded. */
    void (*close)(void *state);
};

/* The one symbol. */
extern __attribute__((visibility("default"))) const struct omni_driver omni_driver;

#ifdef __cplusplus
#define OMNI_DRIVER_ASSERT_ static_assert
#else
#define OMNI_DRIVER_ASSERT_ _Static_assert
#endif
OMNI_DRIVER_ASSERT_(sizeof(struct omni_driver_reading) == 16 &&
                        offsetof(struct omni_driver_reading, reserved) == 10,
                    "a reading is the same on every CPU");
OMNI_DRIVER_ASSERT_(sizeof(struct omni_driver_powers) == 4, "powers are the same on every CPU");
OMNI_DRIVER_ASSERT_(offsetof(struct omni_driver, version) == 0 &&
                        offsetof(struct omni_driver, open) == 8,
                    "the version can be read before anything else is trusted");

#ifdef __cplusplus
}
#endif

#endif
