/*
 * dice.h - seeded pseudo-random numbers for what is only for the ear
 *
 * Not for secrets. A generator is a value; the same seed gives the same numbers on every machine.
 */
#ifndef OBSERVER_DICE_H
#define OBSERVER_DICE_H

#include <stdint.h>

struct dice {
    uint64_t state;
};

/* Any seed will do, 0 too; neighbouring seeds give unrelated numbers. */
struct dice dice_from(uint64_t seed);
/* 64 random bits. */
uint64_t dice_bits(struct dice *dice);
/* Evenly distributed: low <= result < high. */
double dice_between(struct dice *dice, double low, double high);

#endif
