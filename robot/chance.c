#include "chance.h"

/* SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixing function, full period. */
#define STRIDE 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t word) {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

struct chance chance_from(uint64_t seed) {
    /* Mixed, so that seeds n and n + STRIDE are not the same sequence one step apart. */
    return (struct chance){mix(seed + STRIDE)};
}

uint64_t chance_bits(struct chance *chance) {
    chance->state += STRIDE;
    return mix(chance->state);
}

double chance_between(struct chance *chance, double low, double high) {
    double unit = (double)(chance_bits(chance) >> 11) * 0x1.0p-53;
    return low + unit * (high - low);
}
