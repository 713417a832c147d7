#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observer/number.h"
#include "observer/wide.h"

/* ---- helpers -------------------------------------------------------------------------------- */

/* xorshift64*: the same numbers in every run. */
static uint64_t random_bits(uint64_t *seed) {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545F4914F6CDD1Du;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A whole number without leading zeros; returns where it ends, NULL where there is none. */
static const char *skip_whole(const char *at) {
    size_t digits = strspn(at, "0123456789");
    return digits == 0 || (digits > 1 && *at == '0') ? NULL : at + digits;
}

/* The number of JSON's grammar (RFC 8259), the whole string. */
static bool is_json_number(const char *text) {
    const char *at = skip_whole(text + (*text == '-'));
    if (at != NULL && *at == '.') {
        size_t digits = strspn(at + 1, "0123456789");
        at = digits > 0 ? at + 1 + digits : NULL;
    }
    if (at != NULL && *at == 'e')
        at = skip_whole(at + 1 + (at[1] == '-' || at[1] == '+'));
    return at != NULL && *at == '\0';
}

/* Digits without point, sign, exponent, leading and trailing zeros. */
static void significant_digits(const char *number, char *digits) {
    size_t count = 0;
    for (; *number != '\0' && *number != 'e'; number++)
        if (*number >= '0' && *number <= '9' && (count > 0 || *number != '0'))
            digits[count++] = *number;
    while (count > 0 && digits[count - 1] == '0')
        count--;
    digits[count] = '\0';
}

static void terminate(char *start, char *end) {
    ptrdiff_t length = end - start;
    if (length <= 0 || length > (ptrdiff_t)NUMBER_BYTES_MAX)
        fail_msg("%td bytes written", length);
    *end = '\0';
}

static void check_form(const char *text, double value) {
    double magnitude = fabs(value);
    bool plain = magnitude < 1e21 && (magnitude >= 1e-6 || magnitude == 0);
    if (!is_json_number(text) || (strchr(text, 'e') == NULL) != plain)
        fail_msg("%a is written as %s", value, text);
}

static void check_f64(double value) {
    char text[NUMBER_ROOM];
    terminate(text, number_f64(text, value));
    if (bits_of(strtod(text, NULL)) != bits_of(value))
        fail_msg("%a is written as %s, which reads back as %a", value, text, strtod(text, NULL));
    check_form(text, value);
}

static void check_f32(float value) {
    char text[NUMBER_ROOM];
    terminate(text, number_f32(text, value));
    float as_javascript_reads = (float)strtod(text, NULL);
    if (bits_of_float(as_javascript_reads) != bits_of_float(value) ||
        bits_of_float(strtof(text, NULL)) != bits_of_float(value))
        fail_msg("%a is written as %s, which reads back as %a and %a", (double)value, text,
                 (double)as_javascript_reads, (double)strtof(text, NULL));
    check_form(text, (double)value);
}

/* The C library as the referee: no %.{n}g with fewer digits reads back, and where the one with as
 * many does, it has the same digits (it is the nearest with so many). */
static void check_shortest_f64(double value) {
    char text[NUMBER_ROOM], mine[NUMBER_ROOM], other[NUMBER_ROOM], theirs[NUMBER_ROOM];
    terminate(text, number_f64(text, value));
    significant_digits(text, mine);
    int count = (int)strlen(mine);
    snprintf(other, sizeof other, "%.*e", count > 1 ? count - 2 : 0, value);
    if (count > 1 && strtod(other, NULL) == value)
        fail_msg("%s is shorter than %s", other, text);
    snprintf(other, sizeof other, "%.*e", count - 1, value);
    significant_digits(other, theirs);
    if (strtod(other, NULL) == value && strcmp(mine, theirs) != 0)
        fail_msg("%s is nearer than %s", other, text);
}

static void check_shortest_f32(float value) {
    char text[NUMBER_ROOM], mine[NUMBER_ROOM], other[NUMBER_ROOM], theirs[NUMBER_ROOM];
    terminate(text, number_f32(text, value));
    significant_digits(text, mine);
    int count = (int)strlen(mine);
    snprintf(other, sizeof other, "%.*e", count > 1 ? count - 2 : 0, (double)value);
    if (count > 1 && strtof(other, NULL) == value)
        fail_msg("%s is shorter than %s", other, text);
    snprintf(other, sizeof other, "%.*e", count - 1, (double)value);
    significant_digits(other, theirs);
    if (strtof(other, NULL) == value && strcmp(mine, theirs) != 0)
        fail_msg("%s is nearer than %s", other, text);
}

/* ---- known cases ---------------------------------------------------------------------------- */

struct f64_case {
    double value;
    const char *text;
};
static const struct f64_case f64_cases[] = {
    {0.0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {-1, "-1"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {12.5, "12.5"},
    {-99.99, "-99.99"},
    {100, "100"},
    {3.141592653589793, "3.141592653589793"},
    {1.0 / 3, "0.3333333333333333"},
    {0.00001, "0.00001"},
    {0.000001, "0.000001"},
    {0.0000012345, "0.0000012345"},
    {-1.2345678901234567e-6, "-0.0000012345678901234567"},
    {9.999999999999997e-7, "9.999999999999997e-7"},
    {1e-7, "1e-7"},
    {1.5e-7, "1.5e-7"},
    {99999999, "99999999"},
    {100000000, "100000000"},
    {1e15 + 0.5, "1000000000000000.5"},
    {9007199254740991, "9007199254740991"},
    {9007199254740992, "9007199254740992"},
    {9007199254740993.0, "9007199254740992"},
    {9007199254740994, "9007199254740994"},
    {1152921504606846976, "1152921504606847000"},
    {123456789012345680000.0, "123456789012345680000"},
    {999999999999999868928.0, "999999999999999900000"},
    {1e20, "100000000000000000000"},
    {1e21, "1e+21"},
    {1.5e21, "1.5e+21"},
    {1e22, "1e+22"},
    {1e23, "1e+23"},
    {5e-324, "5e-324"},
    {0x1p-1074, "5e-324"},
    {1e-323, "1e-323"},
    {1.5e-323, "1.5e-323"},
    {2.2250738585072011e-308, "2.225073858507201e-308"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {-1.7976931348623157e308, "-1.7976931348623157e+308"},
    {0x1p-44, "5.684341886080802e-14"},
    {9.5367431640625e-7, "9.5367431640625e-7"},
    {2e-44, "2e-44"},
    {4.35, "4.35"},
    {8.41e21, "8.41e+21"},
    {9.0608011534336e15, "9060801153433600"},
    {4.708356024711512e18, "4708356024711512000"},
    {2.0919495182368195e19, "20919495182368195000"},
};

static void known_doubles(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof f64_cases / sizeof f64_cases[0]; i++) {
        char text[NUMBER_ROOM];
        terminate(text, number_f64(text, f64_cases[i].value));
        assert_string_equal(text, f64_cases[i].text);
    }
}

struct f32_case {
    float value;
    const char *text;
};
static const struct f32_case f32_cases[] = {
    {0.0f, "0"},
    {-0.0f, "-0"},
    {0.1f, "0.1"},
    {-0.3f, "-0.3"},
    {12.5f, "12.5"},
    {359.99f, "359.99"},
    {16777215.0f, "16777215"},
    {16777216.0f, "16777216"},
    {16777218.0f, "16777218"},
    {33554432.0f, "33554432"},
    {33554436.0f, "33554436"},
    {1e9f, "1000000000"},
    {1.234568e20f, "123456800000000000000"},
    {1e21f, "1e+21"},
    {FLT_MAX, "3.4028235e+38"},
    {-FLT_MAX, "-3.4028235e+38"},
    {FLT_MIN, "1.1754944e-38"},
    {1.1754942e-38f, "1.1754942e-38"},
    {0x1p-149f, "1e-45"},
    {3e-45f, "3e-45"},
    {1.0f / 3, "0.33333334"},
    {0.000001f, "0.000001"},
    {1e-7f, "1e-7"},
    {8388608.5f, "8388608"},
    {8388607.5f, "8388607.5"},
    {5.0e-20f, "5e-20"},
    {1.17549435e-38f, "1.1754944e-38"},
    {9.8e10f, "98000000000"},
    {7.038531e-26f, "7.0385307e-26"},
};

static void known_floats(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof f32_cases / sizeof f32_cases[0]; i++) {
        char text[NUMBER_ROOM];
        terminate(text, number_f32(text, f32_cases[i].value));
        assert_string_equal(text, f32_cases[i].text);
    }
}

static void not_numbers_are_null(void **state) {
    (void)state;
    const double values[] = {(double)NAN, -(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[NUMBER_ROOM];
        terminate(text, number_f64(text, values[i]));
        assert_string_equal(text, "null");
        terminate(text, number_f32(text, (float)values[i]));
        assert_string_equal(text, "null");
    }
}

/* ---- many cases ----------------------------------------------------------------------------- */

static void random_doubles_read_back(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 3000000; i++) {
        double value = double_of(random_bits(&seed));
        if (isfinite(value))
            check_f64(value);
    }
}

static void random_floats_read_back(void **state) {
    (void)state;
    uint64_t seed = 2;
    for (unsigned i = 0; i < 3000000; i++) {
        float value = float_of((uint32_t)(random_bits(&seed) >> 32));
        if (isfinite(value))
            check_f32(value);
    }
}

static void random_doubles_are_shortest(void **state) {
    (void)state;
    uint64_t seed = 3;
    for (unsigned i = 0; i < 200000; i++) {
        double value = double_of(random_bits(&seed));
        if (isfinite(value) && value != 0)
            check_shortest_f64(value);
    }
}

static void random_floats_are_shortest(void **state) {
    (void)state;
    uint64_t seed = 4;
    for (unsigned i = 0; i < 400000; i++) {
        float value = float_of((uint32_t)(random_bits(&seed) >> 32));
        if (isfinite(value) && value != 0)
            check_shortest_f32(value);
    }
}

/* What sensors give: few digits. */
static void measured_values_stay_short(void **state) {
    (void)state;
    for (int thousandths = -400000; thousandths <= 400000; thousandths += 3) {
        char text[NUMBER_ROOM], expected[NUMBER_ROOM];
        snprintf(expected, sizeof expected, "%.7g", thousandths / 1000.0);
        terminate(text, number_f64(text, thousandths / 1000.0));
        if (strchr(expected, 'e') == NULL)
            assert_string_equal(text, expected);
        terminate(text, number_f32(text, (float)thousandths / 1000.0f));
        if (strchr(expected, 'e') == NULL)
            assert_string_equal(text, expected);
    }
}

/* Every binade's first value, where the interval is uneven, and its neighbours. */
static void powers_of_two_and_their_neighbours(void **state) {
    (void)state;
    for (uint64_t exponent = 0; exponent < 0x7FF; exponent++)
        for (uint64_t step = 0; step < 5; step++) {
            uint64_t bits = (exponent << 52) + step - 2;
            double value = double_of(bits & INT64_MAX);
            if (isfinite(value) && value != 0) {
                check_f64(value);
                check_shortest_f64(value);
            }
        }
    for (uint32_t exponent = 0; exponent < 0xFF; exponent++)
        for (uint32_t step = 0; step < 5; step++) {
            uint32_t bits = (exponent << 23) + step - 2;
            float value = float_of(bits & INT32_MAX);
            if (isfinite(value) && value != 0) {
                check_f32(value);
                check_shortest_f32(value);
            }
        }
}

static void powers_of_ten_and_their_neighbours(void **state) {
    (void)state;
    for (int exponent = -323; exponent <= 308; exponent++) {
        char text[NUMBER_ROOM];
        snprintf(text, sizeof text, "1e%d", exponent);
        double value = strtod(text, NULL);
        for (uint64_t step = 0; step < 5; step++) {
            double near = double_of(bits_of(value) + step - 2);
            if (isfinite(near) && near > 0) {
                check_f64(near);
                check_shortest_f64(near);
            }
        }
    }
}

static void whole_numbers_are_exact(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (unsigned i = 0; i < 300000; i++) {
        int64_t whole = (int64_t)(random_bits(&seed) >> 11 >> i % 53);
        char text[NUMBER_ROOM], expected[NUMBER_ROOM];
        snprintf(expected, sizeof expected, "-%lld", (long long)whole);
        terminate(text, number_f64(text, -(double)whole));
        assert_string_equal(text, expected);
    }
}

/* ---- integers ------------------------------------------------------------------------------- */

static void check_integers(uint64_t value) {
    char text[NUMBER_ROOM], expected[NUMBER_ROOM];
    terminate(text, number_u64(text, value));
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
    assert_string_equal(text, expected);
    terminate(text, number_i64(text, (int64_t)value));
    snprintf(expected, sizeof expected, "%lld", (long long)(int64_t)value);
    assert_string_equal(text, expected);
}

static void integers_are_exact(void **state) {
    (void)state;
    uint64_t seed = 6;
    for (unsigned i = 0; i < 500000; i++)
        check_integers(random_bits(&seed) >> i % 64);
    for (uint64_t i = 0; i < 100000; i++)
        check_integers(i);
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10)
        for (uint64_t step = 0; step < 3; step++) {
            check_integers(10 * power + step - 1);
            check_integers(-(10 * power + step - 1));
        }
    check_integers(UINT64_MAX);
    check_integers((uint64_t)INT64_MAX);
    check_integers((uint64_t)INT64_MIN);
}

/* ---- wide products -------------------------------------------------------------------------- */

static void check_product(uint64_t a, uint64_t b) {
    struct wide product = wide_multiply(a, b);
    struct wide portable = wide_multiply_portably(a, b);
    assert_true(product.high == portable.high);
    assert_true(product.low == portable.low);
    assert_true(product.low == a * b);
}

static void wide_products_are_the_same_on_every_cpu(void **state) {
    (void)state;
    const struct wide largest = wide_multiply_portably(UINT64_MAX, UINT64_MAX);
    assert_true(largest.high == UINT64_MAX - 1 && largest.low == 1);
    const struct wide square = wide_multiply_portably(UINT64_C(1) << 32, UINT64_C(1) << 32);
    assert_true(square.high == 1 && square.low == 0);
    uint64_t seed = 7;
    for (unsigned i = 0; i < 1000000; i++) {
        uint64_t a = random_bits(&seed) >> i % 64;
        check_product(a, random_bits(&seed) >> i / 64 % 64);
        check_product(a | 0xFFFFFFFF00000000u, ~a);
        check_product(a | 0x00000000FFFFFFFFu, UINT64_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_doubles),
        cmocka_unit_test(known_floats),
        cmocka_unit_test(not_numbers_are_null),
        cmocka_unit_test(random_doubles_read_back),
        cmocka_unit_test(random_floats_read_back),
        cmocka_unit_test(random_doubles_are_shortest),
        cmocka_unit_test(random_floats_are_shortest),
        cmocka_unit_test(measured_values_stay_short),
        cmocka_unit_test(powers_of_two_and_their_neighbours),
        cmocka_unit_test(powers_of_ten_and_their_neighbours),
        cmocka_unit_test(whole_numbers_are_exact),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(wide_products_are_the_same_on_every_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
