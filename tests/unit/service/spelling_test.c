/* Which word somebody may have meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/spelling.h"

static void slips_are_counted(void **state) {
    static const struct {
        const char *typed;
        const char *meant;
        size_t distance;
    } cases[] = {
        {"tick-hz", "tick-hz", 0}, {"tik-hz", "tick-hz", 1}, {"tikc-hz", "tick-hz", 2},
        {"ticks", "tick-hz", 3},   {"", "seed", 4},          {"sed", "", 3},
        {"boa", "board", 1},       {"bo", "board", 3},       {"boardx", "board", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s, %s\n", cases[i].typed, cases[i].meant);
        assert_int_equal(spelling_distance(cases[i].typed, cases[i].meant), cases[i].distance);
    }
}

static void what_is_far_is_not_asked_for(void **state) {
    (void)state;
    assert_true(spelling_is_near(spelling_distance("tik-hz", "tick-hz"), "tik-hz"));
    assert_false(spelling_is_near(spelling_distance("frobnicate", "board"), "frobnicate"));
    assert_false(spelling_is_near(spelling_distance("x", "seed"), "x"));
}

static void words_that_are_too_long_are_like_none(void **state) {
    char longest[SPELLING_LETTERS_MAX + 2];
    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[SPELLING_LETTERS_MAX + 1] = '\0';
    assert_true(spelling_distance(longest, "board") == SIZE_MAX);
    assert_true(spelling_distance("board", longest) == SIZE_MAX);
    assert_false(spelling_is_near(SIZE_MAX, longest));
    longest[SPELLING_LETTERS_MAX] = '\0';
    assert_int_equal(spelling_distance(longest, longest), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_counted),
        cmocka_unit_test(what_is_far_is_not_asked_for),
        cmocka_unit_test(words_that_are_too_long_are_like_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
