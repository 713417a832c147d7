#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"

/* So that one late tick does no harm. */
#define FEEDINGS_IN_TIME 4

static uint64_t patience_ns(int device) {
    int seconds = 0;
    if (ioctl(device, WDIOC_GETTIMEOUT, &seconds) < 0 || seconds <= 0)
        seconds = WATCHDOG_PATIENCE_S;
    return (uint64_t)seconds * CLOCK_NS_A_SECOND;
}

int watchdog_open(struct watchdog *watchdog, const char *device, struct omni_problem *problem) {
    struct watchdog made = {.device = -1};
    if (device != NULL) {
        made.device = open(device, O_WRONLY | O_CLOEXEC);
        if (made.device < 0)
            return complain(problem, -errno, "--watchdog %.80s: %s", device, strerror(errno));
        made.interval_ns = patience_ns(made.device) / FEEDINGS_IN_TIME;
    }
    *watchdog = made;
    return 0;
}

void watchdog_feed(struct watchdog *watchdog, uint64_t now_ns) {
    if (watchdog->device < 0 || now_ns - watchdog->fed_ns < watchdog->interval_ns)
        return;
    watchdog->fed_ns = now_ns;
    (void)!write(watchdog->device, "", 1);
}

void watchdog_close(struct watchdog *watchdog) {
    if (watchdog->device < 0)
        return;
    /* The letter that it wants to see before it lets go. */
    (void)!write(watchdog->device, "V", 1);
    (void)close(watchdog->device);
}
