/*
 * clock.h - monotonic time and sleeping until a moment of it
 */
#ifndef ROBOT_CLOCK_H
#define ROBOT_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_A_SECOND      UINT64_C(1000000000)
#define CLOCK_NS_A_MILLISECOND UINT64_C(1000000)
#define CLOCK_NS_A_MICROSECOND UINT64_C(1000)

/* CLOCK_MONOTONIC, now, in nanoseconds. No system call. */
uint64_t clock_now_ns(void);

/* Sleeps until CLOCK_MONOTONIC reaches `moment_ns`; at once where it is past.
 * Returns 0; -EINTR where a signal handler ran. */
int clock_sleep_until(uint64_t moment_ns);

#endif
