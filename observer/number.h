/*
 * number.h - numbers as decimal text, exact and fast
 *
 * Purpose
 *   A float is written with the fewest digits that read back as the same float, and of those that
 *   are as short the nearest to it: 0.1f is 0.1, not 0.100000001490116. The text of a 32-bit float
 *   reads back the same whether it is parsed as a float, or (as JavaScript does) as a double and
 *   then rounded. It looks like JavaScript's: plain from 1e-6 up to below 1e21, with an exponent
 *   ("1.5e-7", "1e+21") outside; whole numbers without a point; -0 as "-0". All of it is valid
 *   JSON.
 *
 * Calling sequence
 *     char memory[NUMBER_ROOM];
 *     char *end = number_f64(memory, 0.1); // "0.1", end - memory == 3, no NUL
 *
 * How
 *   The Schubfach way (Raffaele Giulietti, "The Schubfach way to render doubles", 2021): the
 *   interval of reals that round to the float is scaled by a power of ten so that the candidates
 *   are whole numbers; at most one of ten-times-shorter ones lies in it, else one or two of the
 *   full ones. Powers of ten are 128 bits wide, computed before main() (some 50 µs, 10 KB).
 *
 * Limits
 *   Each function may scribble over NUMBER_ROOM bytes at `out`, of which at most NUMBER_BYTES_MAX
 *   are the number. Any thread.
 */
#ifndef OBSERVER_NUMBER_H
#define OBSERVER_NUMBER_H

#include <stdint.h>

#define NUMBER_BYTES_MAX 26u
#define NUMBER_ROOM      64u

/* Each writes at `out` and returns the end of what it wrote. */
char *number_u64(char *out, uint64_t value);
char *number_i64(char *out, int64_t value);
/* NaN and infinities are "null". */
char *number_f64(char *out, double value);
char *number_f32(char *out, float value);

#endif
