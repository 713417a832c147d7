#include "dice.h"

/* SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixing function, full period. */
#define STRIDE 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t word) {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

struct dice dice_from(uint64_t seed) {
    return (struct dice){mix(seed + STRIDE)};
}

uint64_t dice_bits(struct dice *dice) {
    dice->state += STRIDE;
    return mix(dice->state);
}

double dice_between(struct dice *dice, double low, double high) {
    double unit = (double)(dice_bits(dice) >> 11) * 0x1.0p-53;
    return low + unit * (high - low);
}
