#include <errno.h>

#include <omni/ring.h>

#include "ring_inside.h"

/* A reader that the writer laps this often in a row is told so instead of trying for ever. */
enum { NEWEST_TRIES = 16 };

static uint32_t version_before(uint32_t version) {
    return version > 1 ? version - 1 : UINT32_MAX;
}

uint32_t omni_version_after(uint32_t version) {
    return ring_version_after(version);
}

uint32_t omni_version_distance(uint32_t from, uint32_t to) {
    /* Going down means that the counter wrapped, and it skipped 0 on the way. */
    return to >= from ? to - from : to - from - 1;
}

uint32_t omni_slot_bytes(uint32_t payload_bytes) {
    uint32_t bytes = (uint32_t)sizeof(struct omni_slot) + payload_bytes;
    return (bytes + OMNI_CACHE_LINE_BYTES - 1) / OMNI_CACHE_LINE_BYTES * OMNI_CACHE_LINE_BYTES;
}

void omni_ring_write(const struct omni_ring *ring, uint32_t version, uint64_t tick,
                     struct omni_time time, const void *payload) {
    if (ring->machines)
        ring_write_between_machines(ring, version, tick, time, payload);
    else
        ring_write(ring, version, tick, time, payload);
}

/* An acquire is not enough for every mapping of memory that machines share. */
static void order_loads(const struct omni_ring *ring) {
    if (ring->machines)
        omni_fence_machines();
}

static uint32_t load_first(const struct omni_ring *ring, const uint32_t *word) {
    uint32_t value = omni_load_acquire(word);
    order_loads(ring);
    return value;
}

uint32_t omni_ring_version(const struct omni_ring *ring) {
    return load_first(ring, ring->version);
}

bool omni_ring_holds(const struct omni_ring *ring, uint32_t version) {
    return version != 0 && load_first(ring, &ring_slot(ring, version)->sequence) == version;
}

int omni_ring_read(const struct omni_ring *ring, uint32_t version, struct omni_stamp *stamp,
                   void *payload) {
    const struct omni_slot *slot = ring_slot(ring, version);
    uint64_t head[3];
    if (!omni_ring_holds(ring, version))
        return -EAGAIN;
    omni_copy_out(head, &slot->tick, sizeof head);
    omni_copy_out(payload, slot + 1, ring->payload_bytes);
    order_loads(ring);
    omni_fence_after_payload_loads();
    if (omni_load_relaxed(&slot->sequence) != version)
        return -EAGAIN;
    stamp->version = version;
    stamp->tick = head[0];
    stamp->time = (struct omni_time){head[1], head[2]};
    return 0;
}

int omni_ring_newest(const struct omni_ring *ring, struct omni_stamp *stamp, void *payload) {
    uint32_t version = 0;
    for (int tries = 0; tries < NEWEST_TRIES; tries++) {
        version = omni_ring_version(ring);
        if (version == 0)
            return -EAGAIN;
        if (omni_ring_read(ring, version, stamp, payload) == 0)
            return 0;
    }
    return omni_ring_read(ring, version_before(version), stamp, payload);
}
