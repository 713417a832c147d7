/* A driver that lacks functions. */
#include <stddef.h>

#include <omni/driver.h>

static void half_close(void *state) {
    (void)state;
}

const struct omni_driver omni_driver = {.version = OMNI_DRIVER_VERSION, .close = half_close};
