/* A driver of a version that no robot knows; it has no functions that could be called. */
#include <omni/driver.h>

const struct omni_driver omni_driver = {.version = OMNI_DRIVER_VERSION + 6};
