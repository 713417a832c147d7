#include "number.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "wide.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits are put together in a word");

/* ---- powers of ten -------------------------------------------------------------------------- */

/* Those that the exponents of doubles need. */
#define POWER_MIN (-292)
#define POWER_MAX 324

/* 10^n, shifted so that the highest of the 128 bits is set; exact where it fits (0 <= n <= 55),
 * else rounded up. State of the file's, against the rule: it is a constant, 10 kB of which nobody
 * could proofread in the source, so it is computed before main() and never written again. */
static struct wide powers_of_ten[POWER_MAX - POWER_MIN + 1];

/* Room for 5^324 (753 bits) and for 128 bits of 2^831 / 5^292. */
#define LIMBS 26
struct big {
    uint32_t limbs[LIMBS]; /* lowest first */
};

static void big_multiply(struct big *big, uint32_t factor) {
    uint64_t carry = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (uint64_t)big->limbs[i] * factor;
        big->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* Rounds down. Dividing step by step and at once give the same: floors of floors. */
static void big_divide(struct big *big, uint32_t divisor) {
    uint64_t rest = 0;
    for (size_t i = LIMBS; i-- > 0;) {
        rest = rest << 32 | big->limbs[i];
        big->limbs[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
}

/* The 64 bits that end `skip` bits below the highest bit that is set; zeros below the lowest. */
static uint64_t big_bits(const struct big *big, size_t skip) {
    size_t top = LIMBS - 1;
    while (big->limbs[top] == 0)
        top--;
    size_t shift = (size_t)__builtin_clz(big->limbs[top]);
    uint32_t window[3] = {0};
    for (size_t i = 0; i < 3; i++)
        if (top >= i + skip / 32)
            window[i] = big->limbs[top - i - skip / 32];
    uint64_t bits = (uint64_t)window[0] << 32 | window[1];
    return shift == 0 ? bits : bits << shift | window[2] >> (32 - shift);
}

/* The highest 128 bits, and one more in the last place where the number is more than that. */
static struct wide big_round_up(const struct big *big, bool inexact) {
    struct wide power = {big_bits(big, 0), big_bits(big, 64)};
    power.low += inexact;
    power.high += inexact && power.low == 0;
    return power;
}

/* 10^n and 5^n differ by a power of two only, which the shift takes away. */
__attribute__((constructor)) static void powers_of_ten_compute(void) {
    const int exact_max = 55;
    struct big big = {.limbs = {1}};
    for (int n = 0; n <= POWER_MAX; n++) {
        powers_of_ten[n - POWER_MIN] = big_round_up(&big, n > exact_max);
        big_multiply(&big, 5);
    }
    memset(&big, 0, sizeof big);
    big.limbs[LIMBS - 1] = 1u << 31;
    for (int n = -1; n >= POWER_MIN; n--) {
        big_divide(&big, 5);
        powers_of_ten[n - POWER_MIN] = big_round_up(&big, true);
    }
}

/* ---- the shortest decimal ------------------------------------------------------------------- */

struct decimal {
    uint64_t digits;
    int exponent; /* of ten */
};

/* Fixed-point logarithms, rounded down: right for all |n| <= 1100 (compared with exact ones). */
static int log10_of_power_of_2(int n) {
    return (n * 1262611) >> 22;
}

static int log10_of_three_quarters_of_power_of_2(int n) {
    return (n * 1262611 - 524031) >> 22;
}

static int log2_of_power_of_10(int n) {
    return (n * 1741647) >> 19;
}

/* power * factor / 2^128, rounded to odd: the lowest bit is set too where something was cut off,
 * so that comparing the result with even numbers compares the exact value.
 *
 * The power is too large by less than 2^-128 of itself, factor is below 2^60. Of all doubles (and
 * the ends of their intervals) none comes so near below a whole number that this leads past it,
 * and the two that come within 2^-64 above one have an odd number there: found with continued
 * fractions for every exponent. */
static inline uint64_t scale(struct wide power, uint64_t factor) {
    struct wide upper = wide_multiply(power.high, factor);
    struct wide lower = wide_multiply(power.low, factor);
    uint64_t fraction = upper.low + lower.high;
    uint64_t whole = upper.high + (fraction < upper.low);
    return whole | (fraction != 0);
}

/* The shortest decimal that rounds to mantissa * 2^exponent. `uneven`: the neighbour below is half
 * as far away as the one above (the mantissa is the smallest of its binade). */
static struct decimal shortest(uint64_t mantissa, int exponent, bool uneven) {
    int ten =
        uneven ? log10_of_three_quarters_of_power_of_2(exponent) : log10_of_power_of_2(exponent);
    struct wide power = powers_of_ten[-ten - POWER_MIN];
    int shift = exponent + log2_of_power_of_10(-ten) + 1; /* 1 to 4 */

    /* All in quarters. Only an even mantissa owns the ends of its interval (ties go to even). */
    uint64_t odd = mantissa & 1;
    uint64_t low = scale(power, (4 * mantissa - 2 + uneven) << shift) + odd;
    uint64_t middle = scale(power, (4 * mantissa) << shift);
    uint64_t high = scale(power, (4 * mantissa + 2) << shift) - odd;

    uint64_t units = middle / 4;
    uint64_t tens = units / 10;
    bool below = low <= 40 * tens;
    bool above = 40 * tens + 40 <= high;
    if (below != above)
        return (struct decimal){tens + above, ten + 1};

    below = low <= 4 * units;
    above = 4 * units + 4 <= high;
    if (below == above) {
        uint64_t half = 4 * units + 2;
        above = middle > half || (middle == half && units % 2 == 1);
    }
    return (struct decimal){units + above, ten};
}

/* ---- writing -------------------------------------------------------------------------------- */

#define TEN_TO_8 100000000u

/* The eight digits of a number below 10^8 as eight bytes 0 to 9, the first digit in the lowest:
 * halves, then quarters, then digits, side by side in one word. */
static inline uint64_t spread(uint32_t value) {
    uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007F0000007Fu;
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (twos * 103 >> 10) & 0x000F000F000F000Fu;
    return tens | (twos - tens * 10) << 8;
}

#define ASCII_ZEROS 0x3030303030303030u

static char *put_eight(char *out, uint32_t value) {
    uint64_t bytes = spread(value) | ASCII_ZEROS;
    memcpy(out, &bytes, sizeof bytes);
    return out + 8;
}

/* Without leading zeros; what comes after the end up to eight bytes is zeros. */
static char *put_first(char *out, uint32_t value) {
    uint64_t bytes = spread(value);
    /* The extra bit leaves one digit of zero. */
    unsigned leading = (unsigned)__builtin_ctzll(bytes | (uint64_t)1 << 56) / 8;
    bytes = bytes >> 8 * leading | ASCII_ZEROS;
    memcpy(out, &bytes, sizeof bytes);
    return out + 8 - leading;
}

char *number_u64(char *out, uint64_t value) {
    if (value < TEN_TO_8)
        return put_first(out, (uint32_t)value);
    uint64_t upper = value / TEN_TO_8;
    if (upper < TEN_TO_8) {
        out = put_first(out, (uint32_t)upper);
    } else {
        out = put_first(out, (uint32_t)(upper / TEN_TO_8));
        out = put_eight(out, (uint32_t)(upper % TEN_TO_8));
    }
    return put_eight(out, (uint32_t)(value % TEN_TO_8));
}

char *number_i64(char *out, int64_t value) {
    *out = '-';
    return value < 0 ? number_u64(out + 1, -(uint64_t)value) : number_u64(out, (uint64_t)value);
}

/* The digits of a decimal, made 17 by zeros behind them. In words rather than in memory: reading
 * back what was just written byte-wise would stall the CPU. */
struct digits {
    char first;
    uint64_t middle; /* eight as ASCII, the first in the lowest byte */
    uint64_t last;   /* eight more */
    int count;       /* without the zeros behind */
    int point;       /* how many stand before the point; may be negative or above 17 */
};

#define DIGITS_MAX 17

static const uint64_t whole_powers_of_ten[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
};

static int count_digits(uint64_t value) {
    int bits = 64 - __builtin_clzll(value);
    int digits = bits * 1233 >> 12; /* log10(2) is a bit more than 1233 / 4096 */
    return digits + (value >= whole_powers_of_ten[digits]);
}

/* How many of eight digits are left without the zeros behind. */
static int count_significant(uint64_t spread_digits) {
    return spread_digits == 0 ? 0 : 8 - __builtin_clzll(spread_digits) / 8;
}

static inline struct digits split(struct decimal decimal) {
    int count = count_digits(decimal.digits);
    uint64_t all = decimal.digits * whole_powers_of_ten[DIGITS_MAX - count];
    uint64_t upper = all / TEN_TO_8;
    uint32_t lower = (uint32_t)(all % TEN_TO_8);
    uint64_t middle = spread((uint32_t)(upper % TEN_TO_8));
    uint64_t last = lower == 0 ? 0 : spread(lower);
    return (struct digits){
        .first = (char)('0' + upper / TEN_TO_8),
        .middle = middle | ASCII_ZEROS,
        .last = last | ASCII_ZEROS,
        .count = last == 0 ? 1 + count_significant(middle) : 9 + count_significant(last),
        .point = count + decimal.exponent,
    };
}

static void put_digits(char *out, const struct digits *digits) {
    out[0] = digits->first;
    memcpy(out + 1, &digits->middle, 8);
    memcpy(out + 9, &digits->last, 8);
}

/* d.ddde±n */
static char *put_with_exponent(char *out, const struct digits *digits) {
    int exponent = digits->point - 1;
    put_digits(out + 1, digits);
    out[0] = digits->first;
    out[1] = '.';
    out += digits->count > 1 ? digits->count + 1 : 1;
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    return number_u64(out, (uint64_t)(exponent < 0 ? -exponent : exponent));
}

/* 0.00ddd */
static char *put_fraction(char *out, const struct digits *digits) {
    stpcpy(out, "0.000000");
    out += 2 - digits->point;
    put_digits(out, digits);
    return out + digits->count;
}

/* ddd000 */
static char *put_whole(char *out, const struct digits *digits) {
    const uint64_t zeros = ASCII_ZEROS;
    put_digits(out, digits);
    memcpy(out + DIGITS_MAX, &zeros, sizeof zeros);
    return out + digits->point;
}

/* dd.ddd: all digits one place to the right, then those before the point and the point itself. */
static char *put_mixed(char *out, const struct digits *digits) {
    put_digits(out + 1, digits);
    out[0] = digits->first;
    unsigned before = 8 * (unsigned)(digits->point - 1); /* bits of `middle` before the point */
    if (before < 64) {
        uint64_t low = ((uint64_t)1 << before) - 1;
        uint64_t middle =
            (digits->middle & low) | (uint64_t)'.' << before | (digits->middle & ~low) << 8;
        memcpy(out + 1, &middle, sizeof middle);
    } else {
        memmove(out, out + 1, (size_t)digits->point);
        out[digits->point] = '.';
    }
    return out + digits->count + 1;
}

static char *put_decimal(char *out, struct decimal decimal) {
    const struct digits digits = split(decimal);
    if (digits.point > 21 || digits.point <= -6)
        return put_with_exponent(out, &digits);
    if (digits.point <= 0)
        return put_fraction(out, &digits);
    if (digits.count <= digits.point)
        return put_whole(out, &digits);
    return put_mixed(out, &digits);
}

/* A whole number below the point where floats leave some out is its own shortest form: a shorter
 * one would be a whole number too, and another float. */
static bool is_small_whole(double magnitude, double limit) {
    return magnitude < limit && (double)(int64_t)magnitude == magnitude;
}

char *number_f64(char *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7FF);
    if (exponent == 0x7FF)
        return stpcpy(out, "null");
    *out = '-';
    out += bits >> 63;
    if (is_small_whole(fabs(value), 0x1p53))
        return number_u64(out, (uint64_t)fabs(value));
    if (exponent == 0)
        return put_decimal(out, shortest(fraction, -1074, false));
    return put_decimal(out, shortest(fraction | (uint64_t)1 << 52, exponent - 1075,
                                     fraction == 0 && exponent > 1));
}

/* Of all floats this is the only one whose shortest decimal, 7.038531e-26, becomes its neighbour
 * when it is read as a double first and rounded then (every float was tried): it gets a digit
 * more. */
#define TWICE_ROUNDED_BITS 0x15AE43FDu
static const struct decimal twice_rounded_decimal = {70385307, -33};

char *number_f32(char *out, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t fraction = bits & ((1u << 23) - 1);
    int exponent = (int)(bits >> 23 & 0xFF);
    if (exponent == 0xFF)
        return stpcpy(out, "null");
    *out = '-';
    out += bits >> 31;
    if (is_small_whole((double)fabsf(value), 0x1p24))
        return number_u64(out, (uint64_t)fabsf(value));
    if (exponent == 0)
        return put_decimal(out, shortest(fraction, -149, false));
    if ((bits & INT32_MAX) == TWICE_ROUNDED_BITS)
        return put_decimal(out, twice_rounded_decimal);
    return put_decimal(
        out, shortest(fraction | 1u << 23, exponent - 150, fraction == 0 && exponent > 1));
}
