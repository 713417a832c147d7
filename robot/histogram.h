/*
 * histogram.h - how often something took how long
 *
 * Purpose
 *   Counts durations in buckets that are an eighth of an octave wide: what is told of them is at
 *   most 12.5 % too high, from 1 µs to minutes. Below 1 µs buckets are 125 ns wide. Adding is a few
 *   instructions and one store: a control loop may do it in every tick.
 *
 * Pure; all-zero is an empty histogram.
 */
#ifndef ROBOT_HISTOGRAM_H
#define ROBOT_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_UNIT_NS UINT64_C(125)
#define HISTOGRAM_OCTAVES 32u /* from 1 µs on; the last bucket takes what is longer, too */
#define HISTOGRAM_BUCKETS (8u * HISTOGRAM_OCTAVES)

struct histogram {
    uint64_t count;
    uint64_t worst_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* So long at most took that share (0 to 1) of all, in nanoseconds: the upper end of a bucket, or the
 * worst where that is less. 0 where there are none. */
uint64_t histogram_within(const struct histogram *histogram, double share);

/* How many took less than `microseconds`, a power of two. */
uint64_t histogram_below(const struct histogram *histogram, uint64_t microseconds);

#endif
