/*
 * history.h - the last minutes of a source, bounded in bytes
 *
 * Purpose
 *   Every tick that was read goes in; the oldest fall out. A late joiner sees the past; a batch for
 *   the WebSocket clients is cut from it. Records are numbered by `ordinal`, 0, 1, 2, … in the
 *   order in which they were read: whoever remembers an ordinal can tell how many fell out
 *   meanwhile.
 *
 * Calling sequence
 *     history_open(&history, 32 << 20, payload_bytes);
 *     history_push(history, instance, &stamp, payload); // every tick
 *     uint64_t at = history_since(history, now_ns - 60 * 1000000000ull);
 *     for (; history_get(history, at, &record) == 0; at++) ...
 *     history_close(history);
 *
 * Memory
 *   Address space for the whole bound is reserved at once; memory is used as records come. A record
 *   takes the payload's bytes and 48 more.
 *
 * A publisher's restart with the same schema continues the history: `instance` tells runs apart,
 * and ticks start again at 1.
 */
#ifndef OBSERVER_HISTORY_H
#define OBSERVER_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include <omni/observe.h>

struct history; /* opaque */

#define HISTORY_RECORDS_MIN 64u

struct history_record {
    uint64_t ordinal;
    uint64_t instance;
    struct omni_stamp stamp;
    const void *payload; /* in the history, aligned to 8 bytes: valid until the next push */
};

/* `bytes`: bound of the memory for records (at least HISTORY_RECORDS_MIN records are kept whatever
 * it says). Returns 0 or -ENOMEM. */
int history_open(struct history **history, size_t bytes, uint32_t payload_bytes);
/* Gives the memory back. NULL is fine. */
void history_close(struct history *history);
/* Adds a record, dropping the oldest when full. Never fails, never allocates. */
void history_push(struct history *history, uint64_t instance, const struct omni_stamp *stamp,
                  const void *payload);
/* The ordinal that the next push will get, and the oldest that is still there (equal when empty).
 */
uint64_t history_end(const struct history *history);
uint64_t history_begin(const struct history *history);
/* Record number `ordinal`. Returns 0, or -ENOENT where it is not there (yet, or any more); then
 * *record is untouched. */
int history_get(const struct history *history, uint64_t ordinal, struct history_record *record);
/* The ordinal of the first record of which the stamp's monotonic time is at or after
 * `monotonic_ns`; history_end() if none. Records are in time order (where a publisher's stamps lie
 * about that, the answer is some ordinal between begin and end). */
uint64_t history_since(const struct history *history, uint64_t monotonic_ns);

#endif
