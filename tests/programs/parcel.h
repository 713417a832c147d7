/*
 * parcel.h - a status that tells whether it is whole
 *
 * Every word of it follows from its serial number, and a checksum stands behind them: a payload
 * that is mixed from two publications, or half old, is found by any reader, in any language:
 *     checksum = serial (its low 32 bits) + 1 * words[0] + 2 * words[1] + ... modulo 2^32
 */
#ifndef PARCEL_H
#define PARCEL_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/schema.h>

enum { PARCEL_WORDS = 12 };

#define PARCEL(FIELD)                                                                              \
    FIELD(number, u64, serial, "", 1, NAN, "Counts the publications, like the tick")               \
    FIELD(numbers, u32, words, PARCEL_WORDS, "", 0, NAN, "Each follows from the serial number")    \
    FIELD(number, u32, checksum, "", 0, NAN, "Serial number and weighted words, modulo 2^32")

#include <math.h>
OMNI_STATUS(parcel, PARCEL)

static inline uint32_t parcel_word(uint64_t serial, uint32_t index) {
    return (uint32_t)serial * 2654435761u + index * 40503u;
}

static inline uint32_t parcel_sum(const struct parcel *parcel) {
    uint32_t sum = (uint32_t)parcel->serial;
    for (uint32_t i = 0; i < PARCEL_WORDS; i++)
        sum += (i + 1) * parcel->words[i];
    return sum;
}

static inline void parcel_fill(struct parcel *parcel, uint64_t serial) {
    parcel->serial = serial;
    for (uint32_t i = 0; i < PARCEL_WORDS; i++)
        parcel->words[i] = parcel_word(serial, i);
    parcel->checksum = parcel_sum(parcel);
}

/* True where every word belongs to publication `serial`. */
static inline bool parcel_is_whole(const struct parcel *parcel, uint64_t serial) {
    bool whole = parcel->serial == serial && parcel->checksum == parcel_sum(parcel);
    for (uint32_t i = 0; i < PARCEL_WORDS; i++)
        whole = whole && parcel->words[i] == parcel_word(serial, i);
    return whole;
}

#endif
