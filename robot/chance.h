/*
 * chance.h - seeded pseudo-random numbers: the same seed, the same robot, on every machine
 *
 * Not for secrets. A generator is a value: copy it and both copies go the same way.
 */
#ifndef ROBOT_CHANCE_H
#define ROBOT_CHANCE_H

#include <stdint.h>

struct chance {
    uint64_t state;
};

/* Any seed will do, 0 too; neighbouring seeds give unrelated numbers. */
struct chance chance_from(uint64_t seed);

/* 64 random bits. */
uint64_t chance_bits(struct chance *chance);

/* Evenly distributed: low <= result < high. */
double chance_between(struct chance *chance, double low, double high);

#endif
