/*
 * observer_internal.h - what an observer holds (not installed)
 */
#ifndef OMNI_OBSERVER_INTERNAL_H
#define OMNI_OBSERVER_INTERNAL_H

#include <omni/observe.h>
#include <omni/region.h>

struct omni_observer {
    struct omni_ring ring; /* pointers into the read-only mapping, numbers from the checked copy */
    uint32_t version;      /* the last one taken, 0: none */
    uint64_t tick;         /* of that one */
    bool started;          /* something was taken: from now on missed ticks count */
    void *read;            /* a payload, between the ring and the caller */
    const struct omni_header *header;
    const struct omni_end *end;
    struct omni_table table;
    struct omni_source_facts facts;
    struct omni_region region;
    int guard;
    struct omni_region sleepers; /* opened at the first futex wait */
    char sleepers_path[OMNI_PATH_BYTES];
    /* Between machines. */
    uint32_t epoch;     /* of the segment that was attached to */
    uint32_t heartbeat; /* as last seen, */
    uint64_t silent_ns; /* how long it was watched and did not change, */
    uint64_t looked_ns; /* and when it was looked at, by the clock of this machine */
    struct omni_region bell;
    int bell_guard;
};

#endif
