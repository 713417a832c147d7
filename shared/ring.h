/*
 * omni/ring.h - one writer, any number of readers, no lock: the slot protocol on bare memory
 *
 * Purpose
 *   A ring of slots and a version counter. The writer never waits and never asks anyone; a reader
 *   takes the newest slot, or one after the other, and knows what it got: a whole slot of a known
 *   tick, or nothing. omni_publish() and the observers stand on it; a program can use it between
 *   its own threads too, on plain memory ("newest value wins").
 *
 * Calling sequence
 *   Writer: omni_ring_write() with versions that go up by omni_version_after().
 *   Reader: version = omni_ring_version(); omni_ring_read(ring, version, ...).
 *
 * Limits
 *   One writer at a time. slot_count is a power of two of at least 2, slot_bytes a multiple of 8
 *   that holds the head and the payload, payload_bytes a multiple of 8. The slots are aligned to 8
 *   bytes.
 *
 * Failure
 *   A writer that dies inside a write leaves its slot marked unstable; the version counter still
 *   names the slot before, which is whole. Nobody spins for ever.
 */
#ifndef OMNI_RING_H
#define OMNI_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a ring lies. Pointers into memory of this process; nothing here is shared. */
struct omni_ring {
    unsigned char *slots;
    uint32_t *version; /* the counter: newest complete version, 0 before the first */
    uint32_t slot_count;
    uint32_t slot_bytes;
    uint32_t payload_bytes;
    bool machines; /* machines share this memory: orders are made with the strongest fences */
};

/* Two readings of the same moment. */
struct omni_time {
    uint64_t monotonic_ns; /* CLOCK_MONOTONIC */
    uint64_t wall_ns;      /* CLOCK_REALTIME */
};

/* What a slot says beside its payload. */
struct omni_stamp {
    uint32_t version;
    uint64_t tick;   /* 1, 2, 3, ... since the publisher's start */
    uint64_t missed; /* ticks between the one read before and this one that this reader never saw */
    struct omni_time time;
};

/* The version after this one: counts up, wraps, and skips 0. */
uint32_t omni_version_after(uint32_t version);

/* How many times omni_version_after() leads from `from` to `to`. From 0 ("none yet") too. */
uint32_t omni_version_distance(uint32_t from, uint32_t to);

/* Bytes from one slot to the next for a payload of that size: whole cache lines. */
uint32_t omni_slot_bytes(uint32_t payload_bytes);

/* Writes slot `version` and then makes it the newest. Wait-free, no system call. */
void omni_ring_write(const struct omni_ring *ring, uint32_t version, uint64_t tick,
                     struct omni_time time, const void *payload);

/* The newest complete version; 0: none yet. */
uint32_t omni_ring_version(const struct omni_ring *ring);

/* Whether slot `version` still holds that version at this moment. */
bool omni_ring_holds(const struct omni_ring *ring, uint32_t version);

/* Copies slot `version`, if it still holds that version. `payload` has payload_bytes bytes.
 * Returns 0, or -EAGAIN where the writer has taken the slot meanwhile: then what was copied is
 * worth nothing, `stamp` is untouched, and a newer version is there or about to be.
 * stamp->missed is left to the caller. */
int omni_ring_read(const struct omni_ring *ring, uint32_t version, struct omni_stamp *stamp,
                   void *payload);

/* Copies the newest slot: tries a bounded number of times while the writer laps it, then the slot
 * before. Returns 0; -EAGAIN where nothing was ever written (or the writer laps every try). */
int omni_ring_newest(const struct omni_ring *ring, struct omni_stamp *stamp, void *payload);

#ifdef __cplusplus
}
#endif

#endif
