/*
 * chicken.h - the synthesiser: a seed becomes the voice of a hen
 *
 * Purpose
 *   Three calls, told apart at once, and no two of a kind alike:
 *     cluck   one or two short, low "bok"s: content
 *     squawk  one rough, rising and falling "gaaawk": surprised
 *     alarm   "buk-buk-buk-gaaawk", twice: upset
 *   A call is a phrase of syllables. Each has a source (a buzz whose pitch sweeps up and down, and
 *   a burst of breath) and a throat (three formants that open and close), every measure of which is
 *   drawn anew.
 *
 * Calling sequence
 *     float *samples = malloc(CHICKEN_FRAMES_MAX * sizeof *samples);
 *     size_t frames = chicken_render(samples, CHICKEN_SQUAWK, seed);
 *
 * Pure: the same kind and seed give the same samples. About 10 ms of computing for a second of
 * sound on a small board.
 */
#ifndef OBSERVER_CHICKEN_H
#define OBSERVER_CHICKEN_H

#include <stddef.h>
#include <stdint.h>

/* X(NAME, word, prose) */
#define CHICKEN_KINDS(X)                                                                           \
    X(CLUCK, "cluck", "now and then while a robot wanders")                                        \
    X(SQUAWK, "squawk", "an obstacle appears")                                                     \
    X(ALARM, "alarm", "a robot stops or goes silent")

#define CHICKEN_ID_(name, word, prose) CHICKEN_##name,
enum chicken { CHICKEN_KINDS(CHICKEN_ID_) CHICKEN_COUNT };
#undef CHICKEN_ID_

#define CHICKEN_RATE_HZ    48000u
#define CHICKEN_FRAMES_MAX ((size_t)4 * CHICKEN_RATE_HZ)
#define CHICKEN_PEAK       0.85 /* of full scale: the loudest sample of every call */

/* Writes a call, mono, -1 to 1, beginning and ending in silence. `samples` has room for
 * CHICKEN_FRAMES_MAX. Returns how many it wrote. */
size_t chicken_render(float *samples, enum chicken kind, uint64_t seed);

/* "cluck"; and when it is heard: "now and then while a robot wanders". */
const char *chicken_word(enum chicken kind);
const char *chicken_prose(enum chicken kind);

#endif
