/* Sentences in lines, as --help shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/prose.h"

#define TEN "123456789 "

static const struct {
    int indent;
    const char *prose;
    const char *lines;
} cases[] = {
    {4, "", "\n"},
    {4, "one two", "one two\n"},
    /* 79 columns are full with 4 + 75 letters. */
    {4, TEN TEN TEN TEN TEN TEN TEN "12345 next", TEN TEN TEN TEN TEN TEN TEN "12345\n    next\n"},
    {4, TEN TEN TEN TEN TEN TEN TEN "123456 next",
     "123456789 123456789 123456789 123456789 123456789 123456789 123456789\n    123456 next\n"},
    /* A word that fits into no line has one of its own. */
    {70, "a 12345678901234567890 b",
     "a\n"
     "                                                                      12345678901234567890\n"
     "                                                                      b\n"},
};

static void lines_end_before_the_margin(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512] = "";
        FILE *file = fmemopen(text, sizeof text, "w");
        assert_non_null(file);
        prose_print(file, cases[i].indent, cases[i].prose);
        assert_int_equal(fclose(file), 0);
        assert_string_equal(text, cases[i].lines);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_end_before_the_margin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
