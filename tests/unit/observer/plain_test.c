/* What a segment says, made fit for a terminal. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "observer/plain.h"

static struct text text;

static int open_text(void **state) {
    (void)state;
    text_open(&text, 0);
    return 0;
}

static int close_text(void **state) {
    (void)state;
    text_close(&text);
    return 0;
}

static const char *take(void) {
    text_append(&text, "", 1);
    assert_false(text.failed);
    const char *taken = text_bytes(&text);
    text_clear(&text);
    return taken;
}

#define BAD "\xEF\xBF\xBD"

static void what_a_terminal_obeys_is_replaced(void **state) {
    static const struct {
        const char *given;
        const char *printed;
    } cases[] = {
        {"hen", "hen"},
        {"Größe 5 µm, 鸡 🐔", "Größe 5 µm, 鸡 🐔"},
        {"\033[31mred", BAD "[31mred"},
        {"a\nb\tc\rd\be", "a" BAD "b" BAD "c" BAD "d" BAD "e"},
        {"\x7F", BAD},
        {"\xC2\x9B"
         "31m",
         BAD "31m"},              /* CSI in one character */
        {"\xC2\xA0", "\xC2\xA0"}, /* the first that is no control */
        {"\xE2\x80\xAE"
         "x\xE2\x81\xA6",
         BAD "x" BAD},                         /* turns the direction of writing */
        {"\xE2\x80\xA8\xE2\x80\xA9", BAD BAD}, /* line and paragraph separator */
        {"\xE2\x80\xA6", "\xE2\x80\xA6"},
        {"\xFF\x80", BAD BAD},
        {"a\xC3", "a" BAD}, /* cut in the middle */
        {"\xEF\xBF\xBD", BAD},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plain_append(&text, cases[i].given, strlen(cases[i].given));
        assert_string_equal(take(), cases[i].printed);
    }
    plain_append(&text, "a\0b", 3);
    assert_string_equal(take(), "a" BAD "b");
}

static void cells(void **state) {
    static const struct {
        const char *given;
        size_t columns;
        const char *printed;
    } cases[] = {
        {"abc", 5, "abc  "},           {"abc", 3, "abc"},
        {"abcd", 3, "ab\xE2\x80\xA6"}, {"äöü", 3, "äöü"},
        {"äöüß", 3, "äö\xE2\x80\xA6"}, {"", 2, "  "},
        {"abc", 1, "\xE2\x80\xA6"},    {"abc", 0, ""},
        {"\033", 2, BAD " "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plain_cell(&text, cases[i].given, strlen(cases[i].given), cases[i].columns);
        assert_string_equal(take(), cases[i].printed);
    }
    assert_int_equal(plain_length("äöü€🐔\xFF", 14), 6);
}

#define MODES(LABEL) LABEL(MODE_IDLE, "idle") LABEL(MODE_RUN, "on the run")
#define STATUS(FIELD)                                                                              \
    FIELD(number, u64, big, "", 0, NAN, "")                                                        \
    FIELD(number, i64, least, "", NAN, 0, "")                                                      \
    FIELD(number, f64, wide, "", NAN, NAN, "")                                                     \
    FIELD(numbers, f32, some, 3, "", NAN, NAN, "")                                                 \
    FIELD(number, i32, word, "", NAN, NAN, "")                                                     \
    FIELD(number, i16, half, "", NAN, NAN, "")                                                     \
    FIELD(number, i8, byte, "", NAN, NAN, "")                                                      \
    FIELD(choices, modes, 3, MODES, "")                                                            \
    FIELD(flags, set, 2, "")                                                                       \
    FIELD(text, note, 8, "")
OMNI_ENUM(status_mode, MODES)
OMNI_STATUS(status, STATUS)

static void values(void **state) {
    static const struct status status = {.big = UINT64_MAX,
                                         .least = INT64_MIN,
                                         .wide = 0.1,
                                         .some = {1.5F, -1234.567F, NAN},
                                         .word = -70000,
                                         .half = -300,
                                         .byte = -128,
                                         .modes = {MODE_RUN, MODE_IDLE, 7},
                                         .set = {true, false},
                                         .note = {'h', 'i', '\033', '!', 0, 'x'}};
    static const struct {
        const char *field;
        const char *printed;
    } cases[] = {{"big", "18446744073709551615"},
                 {"least", "-9223372036854775808"},
                 {"wide", "0.1"},
                 {"some", "1.5 -1234.57 -"},
                 {"word", "-70000"},
                 {"half", "-300"},
                 {"byte", "-128"},
                 {"modes", "on the run idle 7"},
                 {"set", "true false"},
                 {"note", "hi" BAD "!"}};
    struct omni_table table;
    (void)state;
    assert_int_equal(omni_schema_pack(&table, status_schema(), NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plain_value(&text, &table, omni_table_find(&table, cases[i].field), &status);
        assert_string_equal(take(), cases[i].printed);
    }
    omni_table_free(&table);
}

static void durations(void **state) {
    static const struct {
        uint64_t nanoseconds;
        const char *printed;
    } cases[] = {{0, "0 µs"},
                 {999999, "999 µs"},
                 {1000000, "1 ms"},
                 {999999999, "999 ms"},
                 {1000000000, "1.0 s"},
                 {59940000000, "59.9 s"},
                 {120000000000, "2 min"},
                 {7199999999999, "119 min"},
                 {7200000000000, "2 h"},
                 {172800000000000, "2 d"},
                 {UINT64_MAX, "213503 d"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plain_duration(&text, cases[i].nanoseconds);
        assert_string_equal(take(), cases[i].printed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_terminal_obeys_is_replaced),
        cmocka_unit_test(cells),
        cmocka_unit_test(values),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, open_text, close_text);
}
