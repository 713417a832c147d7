#include "histogram.h"

enum { SUBBITS = 3, SUBBUCKETS = 1 << SUBBITS };

static unsigned bucket_of(uint64_t ns) {
    uint64_t units = ns / HISTOGRAM_UNIT_NS;
    if (units < SUBBUCKETS)
        return (unsigned)units;
    unsigned octave = 63u - (unsigned)__builtin_clzll(units);
    unsigned bucket = SUBBUCKETS * (octave - SUBBITS + 1) +
                      (unsigned)((units >> (octave - SUBBITS)) & (SUBBUCKETS - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The first duration that is too long for it. */
static uint64_t end_of(unsigned bucket) {
    if (bucket < SUBBUCKETS)
        return (bucket + 1) * HISTOGRAM_UNIT_NS;
    unsigned shift = bucket / SUBBUCKETS - 1;
    return ((uint64_t)(SUBBUCKETS + bucket % SUBBUCKETS + 1) << shift) * HISTOGRAM_UNIT_NS;
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
    if (ns > histogram->worst_ns)
        histogram->worst_ns = ns;
}

uint64_t histogram_within(const struct histogram *histogram, double share) {
    double wanted = share * (double)histogram->count;
    uint64_t passed = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && histogram->count > 0; i++) {
        passed += histogram->buckets[i];
        if ((double)passed >= wanted && passed > 0)
            return end_of(i) < histogram->worst_ns ? end_of(i) : histogram->worst_ns;
    }
    return histogram->worst_ns;
}

uint64_t histogram_below(const struct histogram *histogram, uint64_t microseconds) {
    uint64_t passed = 0;
    for (unsigned i = 0; i < bucket_of(microseconds * 1000); i++)
        passed += histogram->buckets[i];
    return passed;
}
