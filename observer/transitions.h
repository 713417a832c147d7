/*
 * transitions.h - which enum or flag changed at which tick
 *
 * Purpose
 *   Every tick that was read is compared with the one before; each change of a bool or enum (each
 *   element of an array) becomes one event, exactly once, in order of ticks and then of the table.
 *   The first tick gives none, nor does the first of another instance: a robot that starts again
 *   starts from its own state. The last events are kept, numbered by `sequence` (1, 2, 3, … per
 *   source), for clients that come back.
 *
 * Calling sequence
 *     transitions_open(&transitions, table, 1024);
 *     transitions_feed(transitions, instance, &stamp, payload, tell_clients, hub); // every tick
 *     for (uint64_t at = known + 1; at <= transitions_newest(transitions); at++)
 *         if ((event = transitions_get(transitions, at)) != NULL) ... // what a client missed
 *     transitions_close(transitions);
 *
 * Hostile payloads
 *   Bools are compared as zero and non-zero; enum values without a label are values like others.
 */
#ifndef OBSERVER_TRANSITIONS_H
#define OBSERVER_TRANSITIONS_H

#include <stddef.h>
#include <stdint.h>

#include <omni/observe.h>

#include "text.h"

struct transitions; /* opaque */

struct event {
    uint64_t sequence;
    uint64_t instance;
    struct omni_stamp stamp; /* of the tick at which the new value was first seen; stamp.missed > 0:
                                it may have changed up to that many ticks earlier */
    uint32_t field;          /* index in the table */
    uint32_t element;        /* 0 for scalars */
    uint8_t from;            /* of a bool: 0 or 1 */
    uint8_t to;
};

typedef void transitions_sink(void *context, const struct event *event);

/* Keeps the last `kept` events (a power of two). `table` (checked) must outlive it. Returns 0;
 * -ENOMEM; -EINVAL where `kept` is no power of two. */
int transitions_open(struct transitions **transitions, const struct omni_table *table, size_t kept);
/* Frees it. NULL is fine. */
void transitions_close(struct transitions *transitions);
/* Compares; calls `sink` (may be NULL) for each change, after it was stored. */
void transitions_feed(struct transitions *transitions, uint64_t instance,
                      const struct omni_stamp *stamp, const void *payload, transitions_sink *sink,
                      void *context);
/* Sequence number of the newest event, 0: none; of the oldest kept, 0: none. */
uint64_t transitions_newest(const struct transitions *transitions);
uint64_t transitions_oldest(const struct transitions *transitions);
/* The event of that number, or NULL where it is not kept (any more). Valid until the next feed. */
const struct event *transitions_get(const struct transitions *transitions, uint64_t sequence);
/* One event message as docs/websocket.md has it. */
void transitions_encode(struct text *text, const char *source, const struct omni_table *table,
                        const struct event *event);

#endif
