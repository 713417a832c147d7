#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"

/* So that one late tick does no harm. */
#define FEEDINGS_IN_TIME 4

enum { WATCHDOG_MINOR = 130 };

/* ---- what sysfs tells of it, without waking it ---- */

static bool read_number(const char *folder, const char *name, unsigned *number) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fscanf(file, "%9u", number) == 1;
    if (file != NULL)
        (void)fclose(file);
    return is_read;
}

/* /dev/watchdog has a number of its own, and is the first one. */
static bool find_folder(char folder[PATH_MAX], const struct watchdog_options *options) {
    struct stat facts;
    if (stat(options->device, &facts) < 0 || !S_ISCHR(facts.st_mode))
        return false;
    unsigned major_number = major(facts.st_rdev);
    unsigned minor_number = minor(facts.st_rdev);
    int length = major_number == MISC_MAJOR && minor_number == WATCHDOG_MINOR
                     ? snprintf(folder, PATH_MAX, "%s/class/watchdog/watchdog0", options->system)
                     : snprintf(folder, PATH_MAX, "%s/dev/char/%u:%u", options->system,
                                major_number, minor_number);
    return length > 0 && length < PATH_MAX;
}

static void look(struct watchdog *watchdog, const struct watchdog_options *options) {
    char folder[PATH_MAX];
    unsigned stays = 0;
    if (!find_folder(folder, options))
        return;
    (void)read_number(folder, "timeout", &watchdog->timeout_s);
    watchdog->stays = read_number(folder, "nowayout", &stays) && stays != 0;
}

/* ---- the device ---- */

static int check_timeout(const struct watchdog *watchdog, const struct watchdog_options *options,
                         struct omni_problem *problem) {
    if (watchdog->timeout_s == 0 ||
        watchdog->timeout_s * CLOCK_NS_A_SECOND >= 2 * options->period_ns)
        return 0;
    return complain(problem, -ERANGE,
                    "--watchdog %.80s: its %u s are less than two ticks, so that one that is late "
                    "would reset the machine: a higher --tick-hz, or wdctl --settimeout 10 %.80s",
                    options->device, watchdog->timeout_s, options->device);
}

/* What is fed is written over: a file or a disk that was named by mistake must not be. And a pipe
 * would keep the loop waiting. */
static int open_character_device(const char *path) {
    struct stat facts;
    int device = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (device < 0)
        return -errno;
    if (fstat(device, &facts) == 0 && S_ISCHR(facts.st_mode))
        return device;
    (void)close(device);
    return -ENODEV;
}

static int open_device(struct watchdog *watchdog, const struct watchdog_options *options,
                       struct omni_problem *problem) {
    int seconds = 0;
    int device = open_character_device(options->device);
    if (device == -ENODEV || device == -ENXIO)
        return complain(problem, -ENODEV,
                        "--watchdog %.80s: that is no watchdog; wdctl shows which there are",
                        options->device);
    if (device < 0)
        return complain(problem, device, "--watchdog %.80s: %s", options->device,
                        strerror(-device));
    watchdog->device = device;
    if (ioctl(watchdog->device, WDIOC_GETTIMEOUT, &seconds) == 0 && seconds > 0)
        watchdog->timeout_s = (unsigned)seconds;
    int error = check_timeout(watchdog, options, problem);
    if (error < 0)
        watchdog_close(watchdog);
    return error;
}

int watchdog_open(struct watchdog *watchdog, const struct watchdog_options *options,
                  struct omni_problem *problem) {
    struct watchdog made = {.device = -1};
    if (options->device != NULL) {
        look(&made, options);
        int error = check_timeout(&made, options, problem);
        if (error == 0)
            error = open_device(&made, options, problem);
        if (error < 0)
            return error;
        if (made.timeout_s == 0)
            made.timeout_s = WATCHDOG_PATIENCE_S;
        made.interval_ns = made.timeout_s * CLOCK_NS_A_SECOND / FEEDINGS_IN_TIME;
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
