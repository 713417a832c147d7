/* A complete driver without hardware: the nearer the obstacle, the harder the motors were driven.
 *
 *     cc -shared -fPIC -o loopback.so examples/driver_loopback.c
 *     omni-robot --board driver:loopback.so --driver-config 900
 */
#include <errno.h>
#include <omni/driver.h>
#include <stdlib.h>

struct loopback {
    long free_mm; /* what the sensors see while the motors stand still */
    int hardest;  /* percent */
};

static int32_t loopback_open(void **state, const char *config) {
    struct loopback *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->free_mm = config[0] != '\0' ? strtol(config, NULL, 10) : 2000;
    if (made->free_mm < 100 || made->free_mm > 4000) {
        free(made);
        return -EINVAL; /* "the driver ... cannot open its hardware: Invalid argument" */
    }
    *state = made;
    return 0;
}

static int32_t loopback_read_sensors(void *state, struct omni_driver_reading *reading) {
    const struct loopback *loopback = state;
    for (int i = 0; i < OMNI_DRIVER_SENSORS; i++)
        reading->range_mm[i] = (uint16_t)(loopback->free_mm - loopback->hardest);
    return 0;
}

static int32_t loopback_set_motors(void *state, const struct omni_driver_powers *powers) {
    struct loopback *loopback = state;
    loopback->hardest = 0;
    for (int i = 0; i < OMNI_DRIVER_MOTORS; i++) {
        if (abs(powers->percent[i]) > loopback->hardest)
            loopback->hardest = abs(powers->percent[i]);
    }
    return 0;
}

static void loopback_close(void *state) {
    free(state);
}

const struct omni_driver omni_driver = {
    .version = OMNI_DRIVER_VERSION,
    .open = loopback_open,
    .read_sensors = loopback_read_sensors,
    .set_motors = loopback_set_motors,
    .close = loopback_close,
};
