/*
 * driver.h - loading a driver's shared object (omni/driver.h) into this very process
 *
 * Purpose
 *   The same for the robot and for the host program (host/main.c): find the symbol, check the
 *   version before anything is called, call, release.
 *
 * Calling sequence
 *     struct driver driver;
 *     int error = driver_open(&driver, path, config, &problem);
 *     error = driver_read(&driver, &reading);
 *     error = driver_drive(&driver, powers);
 *     driver_close(&driver);
 *
 * One thread at a time. What a driver does wrong (crash, hang, damage of memory) happens here.
 */
#ifndef ROBOT_DRIVER_H
#define ROBOT_DRIVER_H

#include <omni/driver.h>
#include <omni/schema.h>

/* The members are the module's own. */
struct driver {
    void *library;
    const struct omni_driver *functions;
    void *state;
};

/* Loads the object at `path` (with a slash in it, else the system's folders are searched) and opens
 * the driver. Returns 0; or, with a sentence in `problem` (may be NULL), *driver untouched,
 *   -ELIBBAD  it cannot be loaded, or is no driver
 *   -EPROTO   it has another version
 *   what its open() returned. */
int driver_open(struct driver *driver, const char *path, const char *config,
                struct omni_problem *problem);

/* What a driver said as an error number: 0, or negative and small enough for strerror(). */
int driver_error(int32_t result);

/* Brings each range into 20 to 4000. */
void driver_clip(struct omni_driver_reading *reading);

/* What read_sensors() returned; on 0 the ranges lie within 20 to 4000. */
int driver_read(struct driver *driver, struct omni_driver_reading *reading);

/* What set_motors() returned. */
int driver_drive(struct driver *driver, struct omni_driver_powers powers);

/* Commands the motors to zero, closes the driver and unloads the object. */
void driver_close(struct driver *driver);

#endif
