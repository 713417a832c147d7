#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "observer/text.h"

static void assert_text(const struct text *text, const char *expected) {
    assert_false(text->failed);
    assert_int_equal(text->length, strlen(expected));
    if (text->length > 0)
        assert_memory_equal(text_bytes(text), expected, text->length);
}

static void an_empty_text_owns_nothing(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 16);
    assert_null(text.memory);
    assert_int_equal(text.length, 0);
    text_close(&text);
    text_close(&text);
    text_close(NULL);
}

static void appends_in_order(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 0);
    text_append(&text, "abcdef", 3);
    text_string(&text, "-");
    text_format(&text, "%d %s", 42, "x");
    text_append(&text, NULL, 0);
    assert_text(&text, "abc-42 x");
    text_close(&text);
}

static void grows_and_keeps_what_was_there(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 7);
    for (unsigned i = 0; i < 100000; i++)
        text_append(&text, &"0123456789"[i % 10], 1);
    assert_false(text.failed);
    assert_int_equal(text.length, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(text_bytes(&text)[i], '0' + i % 10);
    text_close(&text);
}

static void a_long_format_fits(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 0);
    text_format(&text, "%5000d|", 7);
    assert_int_equal(text.length, 5001);
    assert_int_equal(text_bytes(&text)[4999], '7');
    assert_int_equal(text_bytes(&text)[5000], '|');
    text_close(&text);
}

static void clearing_keeps_the_memory(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 0);
    text_format(&text, "%5000d", 7);
    const char *memory = text_bytes(&text);
    size_t capacity = text.capacity;
    text_clear(&text);
    assert_int_equal(text.length, 0);
    text_format(&text, "%5000d", 8);
    assert_ptr_equal(text_bytes(&text), memory);
    assert_int_equal(text.capacity, capacity);
    text_close(&text);
}

static void headroom_lies_before_the_text(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 16);
    text_string(&text, "hello");
    memset(text_bytes(&text) - 16, 'h', 16);
    text_format(&text, "%4000d", 1);
    assert_memory_equal(text_bytes(&text) - 16, "hhhhhhhhhhhhhhhhhello", 21);
    assert_int_equal(text.length, 4005);
    text_close(&text);
}

static void reserve_gives_room_and_does_not_append(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 0);
    text_string(&text, "a");
    char *out = text_reserve(&text, 1000);
    assert_non_null(out);
    memset(out, 'b', 1000);
    assert_text(&text, "a");
    text.length += 2;
    assert_text(&text, "abb");
    text_close(&text);
}

static void too_much_fails_and_drops_only_that(void **state) {
    (void)state;
    const size_t too_many[] = {TEXT_BYTES_MAX, SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 3};
    for (size_t i = 0; i < sizeof too_many / sizeof too_many[0]; i++) {
        struct text text;
        text_open(&text, 16);
        text_string(&text, "kept");
        assert_null(text_reserve(&text, too_many[i]));
        assert_true(text.failed);
        text_string(&text, "later");
        text_format(&text, "%s", "later");
        text_json_string(&text, "later", 5);
        assert_int_equal(text.length, 4);
        assert_memory_equal(text_bytes(&text), "kept", 4);
        text_clear(&text);
        text_string(&text, "new");
        assert_text(&text, "new");
        text_close(&text);
    }
}

static void a_huge_json_string_fails(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 0);
    text_json_string(&text, "", SIZE_MAX / 6 + 1);
    assert_true(text.failed);
    assert_int_equal(text.length, 0);
    text_close(&text);
}

struct string_case {
    const char *bytes;
    size_t length;
    const char *json;
};
#define CASE(bytes, json)                                                                          \
    { bytes, sizeof(bytes) - 1, "\"" json "\"" }
#define BAD "\xEF\xBF\xBD"

static const struct string_case string_cases[] = {
    CASE("", ""),
    CASE("plain text ~", "plain text ~"),
    CASE("say \"hi\" \\ /", "say \\\"hi\\\" \\\\ /"),
    CASE("\b\f\n\r\t", "\\b\\f\\n\\r\\t"),
    CASE("\0\x01\x1f\x7f", "\\u0000\\u0001\\u001f\\u007f"),
    CASE("</script>&", "\\u003c/script\\u003e\\u0026"),
    CASE("\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xA7\xE2\x80\xAA",
         "\\u2028\\u2029\xE2\x80\xA7\xE2\x80\xAA"),
    CASE("\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "\\u0080\\u009b\\u009f\xC2\xA0"),
    /* the ends of each length */
    CASE("\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF", "\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"),
    CASE("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
    CASE("\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"),
    CASE(BAD, BAD),
    /* not UTF-8: alone, overlong, surrogates, too high, cut off */
    CASE("\x80", BAD),
    CASE("\xFF\xFE", BAD BAD),
    CASE("\xC0\xAF\xC1\xBF", BAD BAD BAD BAD),
    CASE("\xE0\x9F\xBF", BAD BAD BAD),
    CASE("\xF0\x8F\xBF\xBF", BAD BAD BAD BAD),
    CASE("\xED\xA0\x80", BAD BAD BAD),
    CASE("\xF4\x90\x80\x80", BAD BAD BAD BAD),
    CASE("\xF5\x80\x80\x80", BAD BAD BAD BAD),
    CASE("\xC3", BAD),
    CASE("\xE2\x82", BAD),
    CASE("\xF0\x9F\x90", BAD),
    CASE("\xF0\x9F\x90x\xE2\x82\xE2\x82\xACz", BAD "x" BAD "\xE2\x82\xACz"),
    CASE("\xE2\"\xE2<", BAD "\\\"" BAD "\\u003c"),
    /* the example of the Unicode standard, table 3-8 */
    CASE("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
         "\x61" BAD BAD BAD "\x62" BAD "\x63" BAD BAD "\x64"),
};

static void json_strings_are_escaped_and_repaired(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof string_cases / sizeof string_cases[0]; i++) {
        struct text text;
        text_open(&text, 0);
        text_json_string(&text, string_cases[i].bytes, string_cases[i].length);
        text_append(&text, "", 1);
        assert_string_equal(text_bytes(&text), string_cases[i].json);
        text_close(&text);
    }
}

/* What a decoder written the other way round (from the character to its bytes) says. */
static size_t encode_character(unsigned character, char *bytes) {
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; character >>= 6)
        bytes[i] = (char)(0x80 | (character & 0x3F));
    bytes[0] = (char)(leads[size] | character);
    return size;
}

static void every_character_decodes_to_itself(void **state) {
    (void)state;
    for (unsigned character = 0; character <= 0x10FFFF; character++) {
        char bytes[4];
        size_t size, expected = encode_character(character, bytes);
        bool surrogate = character >= 0xD800 && character <= 0xDFFF;
        unsigned decoded = text_decode(bytes, expected, &size);
        if (decoded != (surrogate ? 0xFFFD : character) || size != (surrogate ? 1 : expected))
            fail_msg("U+%04X (%zu bytes) decodes as U+%04X (%zu bytes)", character, expected,
                     decoded, size);
    }
}

/* Random bytes, more of them that look like UTF-8 than chance gives: the result is valid UTF-8
 * without control characters, and fits in the room that is promised. */
static void random_bytes_become_clean(void **state) {
    (void)state;
    static const unsigned char likely[] = {0xC2, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0x80,
                                           0x8F, 0x90, 0x9F, 0xA0, 0xBF, 'a',  '"',  '\n'};
    uint32_t seed = 12345;
    for (unsigned round = 0; round < 200000; round++) {
        char bytes[16];
        char out[TEXT_JSON_BYTES(sizeof bytes)];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(seed >> 31 ? likely[seed >> 20 & 15] : seed >> 20 & 255);
        }
        size_t length = (size_t)(text_put_json_string(out, bytes, sizeof bytes) - out);
        assert_true(length <= sizeof out);
        for (size_t at = 0, size; at < length; at += size) {
            unsigned character = text_decode(out + at, length - at, &size);
            assert_true(character >= 0x20 && character != 0x7F);
            assert_true(character != 0xFFFD || size == 3);
        }
    }
}

static void tells_what_is_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool good;
    } cases[] = {{"", true},
                 {"a\n\t\x7f", true},
                 {"gr\xc3\xbc\xc3\x9f", true},
                 {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", true},
                 {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},
                 {"\xef\xbf\xbd", true}, /* the replacement itself, */
                 {"\xef\xbf", false},    /* a piece of it, */
                 {"\xef\xbf\xbd\xef\xbf", false},
                 {"\x80", false},
                 {"\xc0\x80", false},
                 {"\xc1\xbf", false},
                 {"\xc3", false},
                 {"\xc3\x28", false},
                 {"\xe0\x9f\xbf", false},
                 {"\xe2\x82", false},
                 {"\xe2\x28\xac", false},
                 {"\xe2\x82\xc0", false},
                 {"\xed\xa0\x80", false},
                 {"\xf0\x8f\xbf\xbf", false},
                 {"\xf0\x9f\x98", false},
                 {"\xf4\x90\x80\x80", false},
                 {"\xf5\x80\x80\x80", false},
                 {"\xff", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (text_is_utf8(cases[i].bytes, strlen(cases[i].bytes)) != cases[i].good)
            fail_msg("case %zu is not %d", i, cases[i].good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_owns_nothing),
        cmocka_unit_test(appends_in_order),
        cmocka_unit_test(grows_and_keeps_what_was_there),
        cmocka_unit_test(a_long_format_fits),
        cmocka_unit_test(clearing_keeps_the_memory),
        cmocka_unit_test(headroom_lies_before_the_text),
        cmocka_unit_test(reserve_gives_room_and_does_not_append),
        cmocka_unit_test(too_much_fails_and_drops_only_that),
        cmocka_unit_test(a_huge_json_string_fails),
        cmocka_unit_test(json_strings_are_escaped_and_repaired),
        cmocka_unit_test(every_character_decodes_to_itself),
        cmocka_unit_test(random_bytes_become_clean),
        cmocka_unit_test(tells_what_is_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
