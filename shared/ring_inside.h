/*
 * ring_inside.h - the writer's half of the slot protocol, inline (not installed)
 *
 * Why inline: a control loop publishes once per tick with caches that everything else has emptied
 * meanwhile. What costs then is not the copying but the lines and pages that are touched, code
 * included; one short function in one place is measurably cheaper than three (bench/publish).
 */
#ifndef OMNI_RING_INSIDE_H
#define OMNI_RING_INSIDE_H

#include <omni/ring.h>

#include "atomics.h"

static inline uint32_t ring_version_after(uint32_t version) {
    /* Skips 0 without a branch. */
    return version + 1 + (version == UINT32_MAX);
}

static inline struct omni_slot *ring_slot(const struct omni_ring *ring, uint32_t version) {
    size_t index = version & (ring->slot_count - 1);
    return (void *)(ring->slots + index * ring->slot_bytes);
}

static inline void ring_write(const struct omni_ring *ring, uint32_t version, uint64_t tick,
                              struct omni_time time, const void *payload) {
    struct omni_slot *slot = ring_slot(ring, version);
    omni_store_relaxed(&slot->sequence, 0);
    omni_fence_before_payload_stores();
    omni_store_long_relaxed(&slot->tick, tick);
    omni_store_long_relaxed(&slot->monotonic_ns, time.monotonic_ns);
    omni_store_long_relaxed(&slot->wall_ns, time.wall_ns);
    omni_copy_in(slot + 1, payload, ring->payload_bytes);
    omni_store_release(&slot->sequence, version);
    omni_store_release(ring->version, version);
}

/* The same moves with the fences of memory that machines share. A function of its own: the one
 * above pays nothing for it. */
static inline void ring_write_between_machines(const struct omni_ring *ring, uint32_t version,
                                               uint64_t tick, struct omni_time time,
                                               const void *payload) {
    struct omni_slot *slot = ring_slot(ring, version);
    omni_store_relaxed(&slot->sequence, 0);
    omni_fence_machines();
    omni_store_long_relaxed(&slot->tick, tick);
    omni_store_long_relaxed(&slot->monotonic_ns, time.monotonic_ns);
    omni_store_long_relaxed(&slot->wall_ns, time.wall_ns);
    omni_copy_in(slot + 1, payload, ring->payload_bytes);
    omni_fence_machines();
    omni_store_release(&slot->sequence, version);
    omni_fence_machines();
    omni_store_release(ring->version, version);
}

#endif
