#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/decimal.h"

static int complain(struct omni_problem *problem, int error, const char *variable,
                    const char *value, const char *why) {
    (void)snprintf(problem->text, sizeof problem->text,
                   "%s=%.40s: %s; start it from a .socket unit, or without these variables",
                   variable, value, why);
    return error;
}

static int count_of(struct omni_problem *problem) {
    const char *number = getenv("LISTEN_FDS");
    const char *process = getenv("LISTEN_PID");
    uint64_t count;
    uint64_t owner;
    if (number == NULL || process == NULL)
        return 0;
    if (!decimal_read(process, INT32_MAX, &owner))
        return complain(problem, -EINVAL, "LISTEN_PID", process, "not a process");
    if (owner != (uint64_t)getpid())
        return 0;
    if (!decimal_read(number, INHERITED_MAX, &count))
        return complain(problem, -EINVAL, "LISTEN_FDS", number, "not a number of sockets");
    return (int)count;
}

static int keep_from_children(int count, struct omni_problem *problem) {
    for (int i = INHERITED_FIRST; i < INHERITED_FIRST + count; i++) {
        if (fcntl(i, F_SETFD, FD_CLOEXEC) < 0)
            return complain(problem, -errno, "LISTEN_FDS", getenv("LISTEN_FDS"),
                            "so many descriptors are not open");
    }
    return count;
}

int inherited_take(struct omni_problem *problem) {
    static const char *const names[] = {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"};
    int count = count_of(problem);
    if (count > 0)
        count = keep_from_children(count, problem);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
    return count;
}
