#include "realtime.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "complain.h"

/* Deeper than the loop ever goes: printing floats is the deepest that it does, in the end. */
#define STACK_BYTES ((size_t)256 * 1024)

#define ISOLATED "/sys/devices/system/cpu/isolated"

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
    return complain(problem, -error,
                    "--realtime: %s is refused (%s); type: sudo setcap "
                    "cap_sys_nice,cap_ipc_lock+ep %s",
                    what, strerror(error), path);
}

struct realtime_priorities realtime_priorities(bool realtime) {
    if (!realtime)
        return (struct realtime_priorities){0};
    return (struct realtime_priorities){.guard = REALTIME_GUARD_PRIORITY,
                                        .pwm = REALTIME_PWM_PRIORITY,
                                        .vigil = REALTIME_VIGIL_PRIORITY,
                                        .sensor = REALTIME_SENSOR_PRIORITY};
}

int realtime_schedule(struct omni_problem *problem) {
    struct sched_param highest = {.sched_priority = REALTIME_HIGHEST_PRIORITY};
    struct sched_param loop = {.sched_priority = REALTIME_LOOP_PRIORITY};
    if (sched_setscheduler(0, SCHED_FIFO, &highest) < 0)
        return refuse(problem, errno, "SCHED_FIFO scheduling");
    (void)sched_setscheduler(0, SCHED_FIFO, &loop); /* less is always permitted */
    return 0;
}

/* The compiler must not see that nobody reads it. */
static void touch_stack(void) {
    volatile unsigned char stack[STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i += 1024)
        stack[i] = 1;
}

int realtime_lock(struct omni_problem *problem) {
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        return refuse(problem, errno, "locking memory");
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    (void)mallopt(M_MMAP_MAX, 0);
    touch_stack();
    return 0;
}

int realtime_enter(struct omni_problem *problem) {
    struct sched_param ordinary = {.sched_priority = 0};
    int error = realtime_schedule(problem);
    if (error < 0)
        return error;
    error = realtime_lock(problem);
    if (error < 0)
        (void)sched_setscheduler(0, SCHED_OTHER, &ordinary);
    return error;
}

/* ---- which CPU ---- */

int realtime_last_of(const char *list) {
    int last = -1;
    while (isdigit((unsigned char)*list)) {
        char *end;
        long number = strtol(list, &end, 10);
        if (number >= CPU_SETSIZE)
            return -1;
        last = (int)number > last ? (int)number : last;
        list = *end == '-' || *end == ',' ? end + 1 : end;
    }
    return last;
}

static int last_isolated(void) {
    char list[256] = "";
    FILE *file = fopen(ISOLATED, "re");
    if (file == NULL)
        return -1;
    if (fgets(list, sizeof list, file) == NULL)
        list[0] = '\0';
    (void)fclose(file);
    return realtime_last_of(list);
}

/* Whether this thread could be there: the only way to ask that is to go there, and back. */
static bool is_allowed(int cpu, const cpu_set_t *now) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    bool is = sched_setaffinity(0, sizeof one, &one) == 0;
    (void)sched_setaffinity(0, sizeof *now, now);
    return is;
}

static int choose_by_itself(const cpu_set_t *now) {
    int isolated = last_isolated();
    if (isolated >= 0 && is_allowed(isolated, now))
        return isolated;
    if (CPU_COUNT(now) < 2)
        return REALTIME_ANY_CPU;
    int last = REALTIME_ANY_CPU;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, now))
            last = i;
    return last;
}

static bool read_number(const char *text, int *number) {
    char *end;
    errno = 0;
    long read = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || read >= CPU_SETSIZE)
        return false;
    *number = (int)read;
    return true;
}

int realtime_choose_cpu(int *cpu, const char *text, struct omni_problem *problem) {
    cpu_set_t now;
    int number;
    /* A machine with more CPUs than the set has room for has enough of them without. */
    if (sched_getaffinity(0, sizeof now, &now) < 0)
        CPU_ZERO(&now);
    if (text == NULL || strcmp(text, "auto") == 0)
        number = choose_by_itself(&now);
    else if (strcmp(text, "any") == 0)
        number = REALTIME_ANY_CPU;
    else if (!read_number(text, &number))
        return complain(problem, -EINVAL,
                        "--realtime-cpu %.40s: not a CPU's number (0, 1, ...), auto or any", text);
    else if (!is_allowed(number, &now))
        return complain(problem, -EINVAL,
                        "--realtime-cpu %.40s: no CPU that this process may use; lscpu and taskset "
                        "-p $$ tell which there are",
                        text);
    *cpu = number;
    return 0;
}

int realtime_pin(int cpu, struct omni_problem *problem) {
    cpu_set_t one;
    if (cpu == REALTIME_ANY_CPU)
        return 0;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        return 0;
    int error = errno;
    return complain(problem, -error, "--realtime: the loop cannot be kept on CPU %d: %s", cpu,
                    strerror(error));
}
