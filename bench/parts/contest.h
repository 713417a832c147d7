/*
 * contest.h - what does sending cost the sender: several ways, in turns, in one loop
 *
 * Purpose
 *   Contenders do the same work in the same paced loop. Every iteration runs all of them, so that
 *   each of them sends at the loop's full rate, but times only the first one after the sleep;
 *   who is first goes round. What disturbs the machine for a while then disturbs all alike, and
 *   each is timed with caches as cold as a control loop's.
 *
 * Calling sequence
 *     struct contender contenders[] = {{copy, &target}, {publish, publisher}};
 *     contenders[0].costs = samples_open(...); ...
 *     contest_paced(contenders, 2, 64, (struct pace){.period_ns = MILLISECOND_NS}, 4000);
 */
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H

#include <stddef.h>
#include <stdint.h>

#include <omni/ring.h>

#include "measure.h"

#define CONTEST_STATUS_BYTES 256u

struct contender {
    /* Sends the status, of which the clocks were read at `time`. */
    void (*send)(void *context, const void *status, struct omni_time time);
    void *context;
    struct samples *costs;
};

/* `iterations` of the loop at that pace. The status starts with the monotonic time, the rest
 * changes each time. Costs are nanoseconds, one reading of the clock included: contest_nothing as a
 * contender tells how much that is. */
void contest_paced(const struct contender *contenders, size_t count, size_t status_bytes,
                   struct pace pace, size_t iterations);

/* The same in turns of 1,000 sends without a pause; costs are picoseconds a send. */
void contest_tight(const struct contender *contenders, size_t count, size_t status_bytes,
                   size_t turns);

void contest_nothing(void *context, const void *status, struct omni_time time);
/* Copies the status (64 or 256 bytes, known when compiled) to `context`. */
void contest_copy_64(void *context, const void *status, struct omni_time time);
void contest_copy_256(void *context, const void *status, struct omni_time time);
/* `context` is a struct omni_publisher. */
void contest_publish(void *context, const void *status, struct omni_time time);

#endif
