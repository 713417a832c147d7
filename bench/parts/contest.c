#include "contest.h"

#include <string.h>

#include <omni/publish.h>

enum { TIGHT_SENDS = 1000 };

/* ---- contenders ---- */

void contest_nothing(void *context, const void *status, struct omni_time time) {
    (void)context;
    (void)status;
    (void)time;
}

/* The copy's target is read by nobody: without this the compiler might leave the copy out. */
static void keep(const void *target) {
    __asm__ volatile("" : : "r"(target) : "memory");
}

void contest_copy_64(void *context, const void *status, struct omni_time time) {
    (void)time;
    memcpy(context, status, 64);
    keep(context);
}

void contest_copy_256(void *context, const void *status, struct omni_time time) {
    (void)time;
    memcpy(context, status, 256);
    keep(context);
}

void contest_publish(void *context, const void *status, struct omni_time time) {
    omni_publish_at(context, status, time);
}

/* ---- loops ---- */

static void change(uint64_t *status, size_t bytes, uint64_t monotonic_ns) {
    for (size_t i = 0; i < bytes / sizeof status[0]; i++)
        status[i] = monotonic_ns + i;
    keep(status);
}

static void iterate(const struct contender *contenders, size_t count, size_t first,
                    const uint64_t *status, struct omni_time time) {
    const struct contender *timed = &contenders[first];
    uint64_t before = measure_now();
    timed->send(timed->context, status, time);
    uint64_t after = measure_now();
    samples_add(timed->costs, after - before);
    for (size_t i = 1; i < count; i++) {
        const struct contender *other = &contenders[(first + i) % count];
        other->send(other->context, status, time);
    }
}

void contest_paced(const struct contender *contenders, size_t count, size_t status_bytes,
                   struct pace pace, size_t iterations) {
    uint64_t status[CONTEST_STATUS_BYTES / sizeof(uint64_t)];
    for (size_t i = 0; i < iterations; i++) {
        pace_wait(&pace);
        struct omni_time time = omni_time_now();
        change(status, status_bytes, time.monotonic_ns);
        iterate(contenders, count, i % count, status, time);
    }
}

/* As many words as make a power of two: a division would cost more than what is measured. */
static uint64_t send_many(const struct contender *contender, uint64_t *status, size_t words) {
    struct omni_time time = omni_time_now();
    uint64_t before = measure_now();
    for (unsigned i = 0; i < TIGHT_SENDS; i++) {
        status[i & (words - 1)]++;
        keep(status);
        contender->send(contender->context, status, time);
    }
    return measure_now() - before;
}

void contest_tight(const struct contender *contenders, size_t count, size_t status_bytes,
                   size_t turns) {
    uint64_t status[CONTEST_STATUS_BYTES / sizeof(uint64_t)] = {0};
    for (size_t i = 0; i < turns * count; i++) {
        const struct contender *contender = &contenders[i % count];
        uint64_t cost_ns = send_many(contender, status, status_bytes / sizeof status[0]);
        samples_add(contender->costs, cost_ns * (1000 / TIGHT_SENDS));
    }
}
