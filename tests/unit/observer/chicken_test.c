#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ear.h"
#include "observer/chicken.h"

enum { SEEDS = 200 };

struct fixture {
    float *samples;
    float *others;
};

static int make_room(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->samples = calloc(CHICKEN_FRAMES_MAX, sizeof(float));
    fixture->others = calloc(CHICKEN_FRAMES_MAX, sizeof(float));
    *state = fixture;
    return fixture->samples == NULL || fixture->others == NULL;
}

static int free_room(void **state) {
    struct fixture *fixture = *state;
    free(fixture->samples);
    free(fixture->others);
    free(fixture);
    return 0;
}

static void check_call(float *samples, enum chicken call, uint64_t seed) {
    size_t frames = chicken_render(samples, call, seed);
    assert_in_range(frames, CHICKEN_RATE_HZ / 10, CHICKEN_FRAMES_MAX);
    struct heard heard = hear(samples, frames, CHICKEN_RATE_HZ);
    if (!is_fit(&heard, CHICKEN_PEAK * 1.0001) || heard.peak < CHICKEN_PEAK * 0.9999)
        fail_msg("%s %u: peak %g, mean %g, power %g", chicken_word(call), (unsigned)seed,
                 heard.peak, heard.mean, heard.power);
    if (recognise(&heard) != call)
        fail_msg("%s %u: taken for a %s (%g s, %g Hz)", chicken_word(call), (unsigned)seed,
                 chicken_word(recognise(&heard)), heard.seconds, heard.colour);
    assert_float_equal(samples[0], 0, 1e-3);
    assert_float_equal(samples[frames - 1], 0, 1e-3);
}

static void test_every_call_is_fit_for_a_loudspeaker_and_known_by_ear(void **state) {
    struct fixture *fixture = *state;
    for (unsigned call = 0; call < CHICKEN_COUNT; call++)
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            check_call(fixture->samples, (enum chicken)call, seed);
}

static void test_the_same_seed_gives_the_same_samples(void **state) {
    struct fixture *fixture = *state;
    for (unsigned call = 0; call < CHICKEN_COUNT; call++) {
        size_t frames = chicken_render(fixture->samples, (enum chicken)call, 7);
        assert_int_equal(chicken_render(fixture->others, (enum chicken)call, 7), frames);
        assert_memory_equal(fixture->samples, fixture->others, frames * sizeof(float));
    }
}

/* How far the nearer of two calls is from being the other one: 1 is nothing in common. */
static double difference(const float *one, const float *other, size_t frames) {
    double apart = 0;
    double squares = 0;
    for (size_t i = 0; i < frames; i++) {
        apart += (double)(one[i] - other[i]) * (double)(one[i] - other[i]);
        squares += (double)one[i] * (double)one[i] + (double)other[i] * (double)other[i];
    }
    return apart / squares;
}

static void test_no_two_are_alike(void **state) {
    struct fixture *fixture = *state;
    for (unsigned call = 0; call < CHICKEN_COUNT; call++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            size_t frames = chicken_render(fixture->samples, (enum chicken)call, seed);
            size_t others = chicken_render(fixture->others, (enum chicken)call, seed + 1);
            size_t both = frames < others ? frames : others;
            if (difference(fixture->samples, fixture->others, both) < 0.1)
                fail_msg("%s %u and the next one", chicken_word((enum chicken)call),
                         (unsigned)seed);
        }
}

static void test_extreme_seeds_are_seeds(void **state) {
    struct fixture *fixture = *state;
    const uint64_t seeds[] = {UINT64_MAX, UINT64_MAX / 3, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
        check_call(fixture->samples, CHICKEN_SQUAWK, seeds[i]);
}

static void test_calls_have_words(void **state) {
    (void)state;
    assert_string_equal(chicken_word(CHICKEN_CLUCK), "cluck");
    assert_string_equal(chicken_word(CHICKEN_SQUAWK), "squawk");
    assert_string_equal(chicken_word(CHICKEN_ALARM), "alarm");
    assert_string_equal(chicken_prose(CHICKEN_SQUAWK), "an obstacle appears");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_is_fit_for_a_loudspeaker_and_known_by_ear),
        cmocka_unit_test(test_the_same_seed_gives_the_same_samples),
        cmocka_unit_test(test_no_two_are_alike),
        cmocka_unit_test(test_extreme_seeds_are_seeds),
        cmocka_unit_test(test_calls_have_words),
    };
    return cmocka_run_group_tests(tests, make_room, free_room);
}
