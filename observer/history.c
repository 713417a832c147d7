#include "history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct stored {
    uint64_t instance;
    struct omni_stamp stamp;
};

struct history {
    unsigned char *memory;
    size_t memory_bytes;
    size_t record_bytes; /* a multiple of 8: payloads lie aligned */
    size_t payload_bytes;
    uint64_t capacity; /* in records */
    uint64_t end;
};

static unsigned char *place_of(const struct history *history, uint64_t ordinal) {
    return history->memory + (size_t)(ordinal % history->capacity) * history->record_bytes;
}

int history_open(struct history **history, size_t bytes, uint32_t payload_bytes) {
    struct history *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->payload_bytes = payload_bytes;
    made->record_bytes = sizeof(struct stored) + ((size_t)payload_bytes + 7) / 8 * 8;
    made->capacity = bytes / made->record_bytes;
    if (made->capacity < HISTORY_RECORDS_MIN)
        made->capacity = HISTORY_RECORDS_MIN;
    made->memory_bytes = (size_t)made->capacity * made->record_bytes;
    void *memory = mmap(NULL, made->memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(made);
        return -ENOMEM;
    }
    made->memory = memory;
    *history = made;
    return 0;
}

void history_close(struct history *history) {
    if (history == NULL)
        return;
    munmap(history->memory, history->memory_bytes);
    free(history);
}

void history_push(struct history *history, uint64_t instance, const struct omni_stamp *stamp,
                  const void *payload) {
    unsigned char *place = place_of(history, history->end);
    struct stored stored = {instance, *stamp};
    memcpy(place, &stored, sizeof stored);
    memcpy(place + sizeof stored, payload, history->payload_bytes);
    history->end++;
}

uint64_t history_end(const struct history *history) {
    return history->end;
}

uint64_t history_begin(const struct history *history) {
    return history->end > history->capacity ? history->end - history->capacity : 0;
}

int history_get(const struct history *history, uint64_t ordinal, struct history_record *record) {
    if (ordinal < history_begin(history) || ordinal >= history->end)
        return -ENOENT;
    const unsigned char *place = place_of(history, ordinal);
    struct stored stored;
    memcpy(&stored, place, sizeof stored);
    *record =
        (struct history_record){ordinal, stored.instance, stored.stamp, place + sizeof stored};
    return 0;
}

static uint64_t monotonic_of(const struct history *history, uint64_t ordinal) {
    struct stored stored;
    memcpy(&stored, place_of(history, ordinal), sizeof stored);
    return stored.stamp.time.monotonic_ns;
}

uint64_t history_since(const struct history *history, uint64_t monotonic_ns) {
    uint64_t low = history_begin(history);
    uint64_t high = history->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (monotonic_of(history, middle) < monotonic_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
