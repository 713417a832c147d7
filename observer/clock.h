/*
 * clock.h - what time it is, and its units
 */
#ifndef OBSERVER_CLOCK_H
#define OBSERVER_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_A_SECOND      UINT64_C(1000000000)
#define CLOCK_NS_A_MILLISECOND UINT64_C(1000000)
#define CLOCK_NS_A_MICROSECOND UINT64_C(1000)

/* CLOCK_MONOTONIC, now, in nanoseconds: the clock of uv_hrtime() too. */
uint64_t clock_now_ns(void);

/* CLOCK_REALTIME, now, in nanoseconds since 1970. It may step. */
uint64_t clock_wall_ns(void);

/* Processor time that the calling thread has used, in nanoseconds. */
uint64_t clock_worked_ns(void);

#endif
