#include "realtime.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What to type names this very file, where that fits into a problem's text. */
static void own_path(char *path, size_t size) {
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0 || length == (ssize_t)size - 1)
        (void)snprintf(path, size, "omni-robot");
    else
        path[length] = '\0';
}

static int refuse(struct omni_problem *problem, int error, const char *what) {
    char path[80];
    own_path(path, sizeof path);
    (void)snprintf(problem->text, sizeof problem->text,
                   "--realtime: %s is refused (%s); type: sudo setcap "
                   "cap_sys_nice,cap_ipc_lock+ep %s",
                   what, strerror(error), path);
    return -error;
}

int realtime_enter(struct omni_problem *problem) {
    struct sched_param ordinary = {.sched_priority = 0};
    struct sched_param fifo = {.sched_priority = REALTIME_LOOP_PRIORITY};
    if (sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
        return refuse(problem, errno, "SCHED_FIFO scheduling");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        int error = errno;
        (void)sched_setscheduler(0, SCHED_OTHER, &ordinary);
        return refuse(problem, error, "locking memory");
    }
    return 0;
}
