#include "driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "complain.h"

#define RANGE_MIN_MM 20u
#define RANGE_MAX_MM 4000u

int driver_error(int32_t result) {
    if (result >= 0)
        return 0;
    return result > -4096 ? result : -EIO;
}

static int check(const struct omni_driver *functions, const char *path,
                 struct omni_problem *problem) {
    if (functions == NULL)
        return complain(problem, -ELIBBAD,
                        "%s is no driver: it has no symbol " OMNI_DRIVER_SYMBOL
                        ": define it as omni/driver.h says",
                        path);
    if (functions->version != OMNI_DRIVER_VERSION)
        return complain(problem, -EPROTO,
                        "%s is a driver of version %u, this robot takes version %u: build it with "
                        "this robot's omni/driver.h",
                        path, functions->version, OMNI_DRIVER_VERSION);
    if (functions->open == NULL || functions->read_sensors == NULL ||
        functions->set_motors == NULL || functions->close == NULL)
        return complain(problem, -ELIBBAD,
                        "%s is no complete driver: a function is missing: define all four of "
                        "omni/driver.h",
                        path);
    return 0;
}

/* Of what is missing; the driver's own path need not be said twice. */
static const char *loaders_words(const char *path) {
    const char *words = dlerror();
    size_t length = strlen(path);
    bool is_said = strncmp(words, path, length) == 0 && strncmp(words + length, ": ", 2) == 0;
    return is_said ? words + length + 2 : words;
}

static int load(struct driver *driver, const char *path, struct omni_problem *problem) {
    driver->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (driver->library == NULL)
        return complain(problem, -ELIBBAD,
                        "cannot load the driver %s: %s: ldd shows what it needs, LD_LIBRARY_PATH "
                        "names the folders of that",
                        path, loaders_words(path));
    driver->functions = dlsym(driver->library, OMNI_DRIVER_SYMBOL);
    int error = check(driver->functions, path, problem);
    if (error < 0)
        (void)dlclose(driver->library);
    return error;
}

int driver_open(struct driver *driver, const char *path, const char *config,
                struct omni_problem *problem) {
    struct driver made = {0};
    int error = load(&made, path, problem);
    if (error != 0)
        return error;
    error = driver_error(made.functions->open(&made.state, config));
    if (error < 0) {
        (void)dlclose(made.library);
        return complain(problem, error, "the driver %s cannot open its hardware: %s", path,
                        strerror(-error));
    }
    *driver = made;
    return 0;
}

void driver_clip(struct omni_driver_reading *reading) {
    for (int i = 0; i < OMNI_DRIVER_SENSORS; i++) {
        if (reading->range_mm[i] < RANGE_MIN_MM)
            reading->range_mm[i] = RANGE_MIN_MM;
        if (reading->range_mm[i] > RANGE_MAX_MM)
            reading->range_mm[i] = RANGE_MAX_MM;
    }
}

int driver_read(struct driver *driver, struct omni_driver_reading *reading) {
    struct omni_driver_reading got = {{0}, {0}};
    int error = driver_error(driver->functions->read_sensors(driver->state, &got));
    if (error < 0)
        return error;
    driver_clip(&got);
    *reading = got;
    return 0;
}

int driver_drive(struct driver *driver, struct omni_driver_powers powers) {
    return driver_error(driver->functions->set_motors(driver->state, &powers));
}

void driver_close(struct driver *driver) {
    (void)driver_drive(driver, (struct omni_driver_powers){{0}, 0});
    driver->functions->close(driver->state);
    (void)dlclose(driver->library);
}
