#include "clock.h"

#include <time.h>

uint64_t clock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_A_SECOND + (uint64_t)now.tv_nsec;
}

int clock_sleep_until(uint64_t moment_ns) {
    struct timespec moment = {
        .tv_sec = (time_t)(moment_ns / CLOCK_NS_A_SECOND),
        .tv_nsec = (long)(moment_ns % CLOCK_NS_A_SECOND),
    };
    return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL);
}
