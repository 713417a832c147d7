/*
 * wide.h - the product of two 64-bit numbers, all 128 bits of it
 *
 * Purpose
 *   number.c needs it, and 32-bit CPUs have no type for it. wide_multiply() is the compiler's own
 *   where there is one, else wide_multiply_portably(); both give the same.
 */
#ifndef OBSERVER_WIDE_H
#define OBSERVER_WIDE_H

#include <stdint.h>

struct wide {
    uint64_t high;
    uint64_t low;
};

static inline struct wide wide_multiply_portably(uint64_t a, uint64_t b) {
    uint64_t a_low = (uint32_t)a, a_high = a >> 32;
    uint64_t b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t low = a_low * b_low;
    /* Neither sum can wrap: (2^32 - 1)^2 + 2 (2^32 - 1) is 2^64 - 1. */
    uint64_t middle = a_high * b_low + (low >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;
    return (struct wide){a_high * b_high + (middle >> 32) + (other >> 32),
                         other << 32 | (uint32_t)low};
}

#ifdef __SIZEOF_INT128__
static inline struct wide wide_multiply(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 uint128;
    uint128 product = (uint128)a * b;
    return (struct wide){(uint64_t)(product >> 64), (uint64_t)product};
}
#else
static inline struct wide wide_multiply(uint64_t a, uint64_t b) {
    return wide_multiply_portably(a, b);
}
#endif

#endif
