#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <omni/schema.h>

#include "observer/encode.h"

/* ---- a status of every type ------------------------------------------------------------------ */

#define MODES(LABEL) LABEL(IDLE, "idle") LABEL(GO, "say \"go\", now") LABEL(STOP, "stop <&>")
#define EVERYTHING(FIELD)                                                                          \
    FIELD(number, f64, ratio, "", NAN, NAN, "A double")                                            \
    FIELD(number, i64, left, "", NAN, NAN, "Signed, wide")                                         \
    FIELD(number, u64, right, "ns", 0, NAN, "Unsigned, wide")                                      \
    FIELD(numbers, i64, pair, 2, "", NAN, NAN, "Two of them")                                      \
    FIELD(number, f32, angle, "°", 0, 360, "A float")                                              \
    FIELD(numbers, f32, power, 3, "%", -100, 100, "Three floats")                                  \
    FIELD(number, i32, i32, "", NAN, NAN, "")                                                      \
    FIELD(number, u32, u32, "", NAN, NAN, "")                                                      \
    FIELD(number, i16, i16, "", NAN, NAN, "")                                                      \
    FIELD(number, u16, u16, "", NAN, NAN, "")                                                      \
    FIELD(number, i8, i8, "", NAN, NAN, "")                                                        \
    FIELD(number, u8, u8, "", NAN, NAN, "")                                                        \
    FIELD(flag, alarm, "One flag")                                                                 \
    FIELD(flags, lamps, 2, "Two flags")                                                            \
    FIELD(choice, mode, MODES, "What it \"does\"")                                                 \
    FIELD(choices, modes, 2, MODES, "Two of them")                                                 \
    FIELD(text, note, 12, "Words")

OMNI_ENUM(mode, MODES)
OMNI_STATUS(everything, EVERYTHING)

struct fixture {
    struct omni_table table;
    struct encoder *encoder;
    struct text text;
    struct everything status;
};

static const struct everything example = {
    .ratio = 0.1,
    .left = -42,
    .right = 1790000000123456,
    .pair = {1, -2},
    .angle = 12.5f,
    .power = {100, -0.1f, 0},
    .i32 = INT32_MIN,
    .u32 = UINT32_MAX,
    .i16 = INT16_MIN,
    .u16 = UINT16_MAX,
    .i8 = INT8_MIN,
    .u8 = UINT8_MAX,
    .alarm = true,
    .lamps = {false, true},
    .mode = GO,
    .modes = {STOP, IDLE},
    .note = "a,\"b\"",
};

static int open_fixture(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct omni_problem problem = {""};
    int error = omni_schema_pack(&fixture->table, everything_schema(), &problem);
    if (error == 0)
        error = omni_table_check(&fixture->table, &problem);
    if (error < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(encoder_open(&fixture->encoder, &fixture->table), 0);
    text_open(&fixture->text, 0);
    fixture->status = example;
    *state = fixture;
    return 0;
}

static int close_fixture(void **state) {
    struct fixture *fixture = *state;
    text_close(&fixture->text);
    encoder_close(fixture->encoder);
    omni_table_free(&fixture->table);
    free(fixture);
    return 0;
}

/* What is in the text, as a string; the text is empty then. */
static const char *take(struct text *text) {
    assert_false(text->failed);
    text_append(text, "", 1);
    text_clear(text);
    return text_bytes(text);
}

static const char *values_of(struct fixture *fixture) {
    encode_values(&fixture->text, fixture->encoder, &fixture->status);
    return take(&fixture->text);
}

static const char *row_of(struct fixture *fixture) {
    encode_row(&fixture->text, fixture->encoder, &fixture->status);
    return take(&fixture->text);
}

static const char *csv_of(struct fixture *fixture) {
    encode_csv_row(&fixture->text, fixture->encoder, &fixture->status);
    return take(&fixture->text);
}

/* ---- the three forms ------------------------------------------------------------------------- */

static void values_have_names_and_labels(void **state) {
    assert_string_equal(
        values_of(*state),
        "{\"ratio\":0.1,\"left\":-42,\"right\":1790000000123456,\"pair\":[1,-2],\"angle\":12.5,"
        "\"power\":[100,-0.1,0],\"i32\":-2147483648,\"u32\":4294967295,\"i16\":-32768,"
        "\"u16\":65535,\"i8\":-128,\"u8\":255,\"alarm\":true,\"lamps\":[false,true],"
        "\"mode\":\"say \\\"go\\\", now\",\"modes\":[\"stop \\u003c\\u0026\\u003e\",\"idle\"],"
        "\"note\":\"a,\\\"b\\\"\"}");
}

static void rows_are_in_the_order_of_the_columns(void **state) {
    struct fixture *fixture = *state;
    encode_columns(&fixture->text, fixture->encoder);
    assert_string_equal(take(&fixture->text),
                        "\"ratio\",\"left\",\"right\",\"pair[0]\",\"pair[1]\",\"angle\","
                        "\"power[0]\",\"power[1]\",\"power[2]\",\"i32\",\"u32\",\"i16\",\"u16\","
                        "\"i8\",\"u8\",\"alarm\",\"lamps[0]\",\"lamps[1]\",\"mode\",\"modes[0]\","
                        "\"modes[1]\",\"note\"");
    assert_string_equal(row_of(fixture),
                        "0.1,-42,1790000000123456,1,-2,12.5,100,-0.1,0,-2147483648,4294967295,"
                        "-32768,65535,-128,255,1,0,1,1,2,0,\"a,\\\"b\\\"\"");
}

static void csv_has_labels_and_quotes(void **state) {
    struct fixture *fixture = *state;
    encode_csv_columns(&fixture->text, fixture->encoder);
    assert_string_equal(take(&fixture->text),
                        "ratio,left,right,pair[0],pair[1],angle,power[0],power[1],power[2],i32,u32,"
                        "i16,u16,i8,u8,alarm,lamps[0],lamps[1],mode,modes[0],modes[1],note");
    assert_string_equal(csv_of(fixture),
                        "0.1,-42,1790000000123456,1,-2,12.5,100,-0.1,0,-2147483648,4294967295,"
                        "-32768,65535,-128,255,1,0,1,\"say \"\"go\"\", now\",\"stop <&>\","
                        "\"idle\",\"a,\"\"b\"\"\"");
}

static void statuses_follow_each_other_in_one_text(void **state) {
    struct fixture *fixture = *state;
    text_string(&fixture->text, "[");
    for (unsigned i = 0; i < 1000; i++) {
        text_string(&fixture->text, i == 0 ? "" : ",");
        fixture->status.left = i;
        encode_values(&fixture->text, fixture->encoder, &fixture->status);
    }
    text_string(&fixture->text, "]");
    cJSON *list = cJSON_ParseWithLength(text_bytes(&fixture->text), fixture->text.length);
    assert_int_equal(cJSON_GetArraySize(list), 1000);
    int expected = 0;
    const cJSON *status;
    cJSON_ArrayForEach(status, list) {
        assert_int_equal(cJSON_GetObjectItem(status, "left")->valueint, expected++);
        assert_int_equal(cJSON_GetObjectItem(status, "u8")->valueint, 255);
    }
    cJSON_Delete(list);
}

static void payloads_need_no_alignment(void **state) {
    struct fixture *fixture = *state;
    unsigned char bytes[sizeof(struct everything) + 8];
    char *expected = strdup(values_of(fixture));
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(bytes + shift, &fixture->status, sizeof fixture->status);
        encode_values(&fixture->text, fixture->encoder, bytes + shift);
        assert_string_equal(take(&fixture->text), expected);
    }
    free(expected);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void not_numbers_are_null_or_empty(void **state) {
    struct fixture *fixture = *state;
    fixture->status = (struct everything){
        .ratio = (double)NAN, .angle = INFINITY, .power = {-INFINITY, -NAN, -0.0f}};
    assert_non_null(strstr(values_of(fixture), "{\"ratio\":null,"));
    assert_non_null(strstr(values_of(fixture), "\"angle\":null,\"power\":[null,null,-0],"));
    assert_string_equal(row_of(fixture),
                        "null,0,0,0,0,null,null,null,-0,0,0,0,0,0,0,0,0,0,0,0,0,\"\"");
    assert_string_equal(csv_of(fixture), ",0,0,0,0,,,,-0,0,0,0,0,0,0,0,0,0,\"idle\",\"idle\","
                                         "\"idle\",\"\"");
}

struct wide_case {
    int64_t left;
    uint64_t right;
    const char *json;
    const char *csv;
};

static void wide_integers_are_exact(void **state) {
    struct fixture *fixture = *state;
    static const struct wide_case cases[] = {
        {9007199254740991, 9007199254740991, ",9007199254740991,9007199254740991,",
         ",9007199254740991,9007199254740991,"},
        {9007199254740992, 9007199254740992, ",\"9007199254740992\",\"9007199254740992\",",
         ",9007199254740992,9007199254740992,"},
        {-9007199254740991, 0, ",-9007199254740991,0,", ",-9007199254740991,0,"},
        {-9007199254740992, 9007199254740993, ",\"-9007199254740992\",\"9007199254740993\",",
         ",-9007199254740992,9007199254740993,"},
        {INT64_MIN, UINT64_MAX, ",\"-9223372036854775808\",\"18446744073709551615\",",
         ",-9223372036854775808,18446744073709551615,"},
        {INT64_MAX, 1790000000123456789, ",\"9223372036854775807\",\"1790000000123456789\",",
         ",9223372036854775807,1790000000123456789,"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture->status.left = cases[i].left;
        fixture->status.right = cases[i].right;
        const char *row = strchr(row_of(fixture), ',');
        assert_memory_equal(row, cases[i].json, strlen(cases[i].json));
        const char *cells = strchr(csv_of(fixture), ',');
        assert_memory_equal(cells, cases[i].csv, strlen(cases[i].csv));
    }
}

static void single_numbers_follow_the_same_rules(void **state) {
    struct fixture *fixture = *state;
    struct text *text = &fixture->text;
    encode_f64(text, 0.1);
    text_string(text, " ");
    encode_f32(text, 0.1f);
    text_string(text, " ");
    encode_f64(text, (double)NAN);
    text_string(text, " ");
    encode_i64(text, -9007199254740992);
    text_string(text, " ");
    encode_u64(text, UINT64_MAX);
    text_string(text, " ");
    encode_u64(text, 7);
    text_string(text, " ");
    encode_microseconds(text, 1790000000123456999);
    text_string(text, " ");
    encode_microseconds(text, UINT64_MAX);
    assert_string_equal(take(text), "0.1 0.1 null \"-9007199254740992\" \"18446744073709551615\" 7 "
                                    "1790000000123456 \"18446744073709551\"");
}

/* ---- hostile payloads ------------------------------------------------------------------------ */

static void strange_bytes_have_a_meaning(void **state) {
    struct fixture *fixture = *state;
    unsigned char flags[3] = {2, 0x80, 0};
    memcpy(&fixture->status.alarm, &flags[0], 1);
    memcpy(fixture->status.lamps, &flags[1], 2);
    fixture->status.mode = 3;
    fixture->status.modes[0] = 255;
    memcpy(fixture->status.note, "\xFF\x1b[2J\n\xE2\x82\xACxyz", 12);
    assert_non_null(strstr(values_of(fixture),
                           "\"alarm\":true,\"lamps\":[true,false],\"mode\":3,\"modes\":[255,\""
                           "idle\"],\"note\":\"\xEF\xBF\xBD\\u001b[2J\\n\xE2\x82\xACxyz\"}"));
    assert_non_null(strstr(row_of(fixture), ",1,1,0,3,255,0,\"\xEF\xBF\xBD\\u001b[2J\\n"));
    assert_non_null(strstr(csv_of(fixture), ",1,1,0,3,255,\"idle\",\"\xEF\xBF\xBD\xEF\xBF\xBD"
                                            "[2J\n\xE2\x82\xACxyz\""));
}

static void text_ends_at_its_first_nul_or_its_size(void **state) {
    struct fixture *fixture = *state;
    memcpy(fixture->status.note, "ab\0cdefghijk", 12);
    assert_non_null(strstr(values_of(fixture), "\"note\":\"ab\"}"));
    memcpy(fixture->status.note, "abcdefghijkl", 12);
    assert_non_null(strstr(values_of(fixture), "\"note\":\"abcdefghijkl\"}"));
    /* a character that is cut in two by the size */
    memcpy(fixture->status.note, "abcdefghij\xE2\x82", 12);
    assert_non_null(strstr(values_of(fixture), "\"note\":\"abcdefghij\xEF\xBF\xBD\"}"));
}

static void count_cells(const cJSON *value, size_t *cells) {
    *cells += cJSON_IsArray(value) ? (size_t)cJSON_GetArraySize(value) : 1;
}

/* Any bytes at all: valid JSON and UTF-8, the same members, as many cells as columns. */
static void random_payloads_give_valid_json(void **state) {
    struct fixture *fixture = *state;
    unsigned char *bytes = (unsigned char *)&fixture->status;
    uint32_t seed = 4711;
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof fixture->status; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (unsigned char)(seed >> 24);
        }
        size_t cells = 0;
        const char *json = values_of(fixture);
        assert_true(omni_text_is_clean(json, strlen(json)));
        cJSON *object = cJSON_Parse(json);
        const cJSON *value;
        cJSON_ArrayForEach(value, object) count_cells(value, &cells);
        assert_int_equal(cells, 22);
        cJSON_Delete(object);

        text_string(&fixture->text, "[");
        encode_row(&fixture->text, fixture->encoder, &fixture->status);
        text_string(&fixture->text, "]");
        cJSON *row = cJSON_Parse(take(&fixture->text));
        assert_int_equal(cJSON_GetArraySize(row), 22);
        cJSON_Delete(row);
        csv_of(fixture);
    }
}

/* ---- hostile and odd tables -------------------------------------------------------------------
 */

/* The longest that each type can become must fit in what the encoder reserves: the address
 * sanitizer watches. */
#define LONG_MODES(LABEL)                                                                          \
    LABEL(LONG_MODE, "<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<")
#define LONGEST(FIELD)                                                                             \
    FIELD(numbers, f64, doubles, 1000, "", NAN, NAN, "")                                           \
    FIELD(numbers, i64, wide, 1000, "", NAN, NAN, "")                                              \
    FIELD(numbers, f32, floats, 1000, "", NAN, NAN, "")                                            \
    FIELD(choices, modes, 1000, LONG_MODES, "")                                                    \
    FIELD(flags, flags, 1000, "")                                                                  \
    FIELD(text, text, 1000, "")
OMNI_ENUM(long_mode, LONG_MODES)
OMNI_STATUS(longest, LONGEST)

static void the_longest_status_fits(void **state) {
    (void)state;
    struct omni_table table;
    struct encoder *encoder;
    struct text text;
    struct longest status = {.flags = {0}};
    for (size_t i = 0; i < 1000; i++) {
        status.doubles[i] = -1.2345678901234567e-6;
        status.wide[i] = INT64_MIN;
        status.floats[i] = -1.17549435e-38f;
        status.text[i] = '<';
    }
    assert_int_equal(omni_schema_pack(&table, longest_schema(), NULL), 0);
    assert_int_equal(encoder_open(&encoder, &table), 0);
    text_open(&text, 0);
    encode_values(&text, encoder, &status);
    cJSON *object = cJSON_ParseWithLength(text_bytes(&text), text.length);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(object, "wide")), 1000);
    assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(object, "text"))), 1000);
    cJSON_Delete(object);
    encode_row(&text, encoder, &status);
    encode_csv_row(&text, encoder, &status);
    assert_false(text.failed);
    text_close(&text);
    encoder_close(encoder);
    omni_table_free(&table);
}

static void an_empty_table_gives_empty_forms(void **state) {
    (void)state;
    struct omni_table table = {.text_bytes = 0};
    struct encoder *encoder;
    struct text text;
    assert_int_equal(encoder_open(&encoder, &table), 0);
    text_open(&text, 0);
    encode_values(&text, encoder, "");
    encode_row(&text, encoder, "");
    encode_csv_row(&text, encoder, "");
    encode_columns(&text, encoder);
    encode_csv_columns(&text, encoder);
    assert_string_equal(take(&text), "{}");
    encode_schema(&text, &table);
    assert_string_equal(take(&text), "{\"hash\":\"0000000000000000\",\"fields\":[]}");
    text_close(&text);
    encoder_close(encoder);
    encoder_close(NULL);
}

/* Ten thousand enum elements, each of which could become a label of 2,000 bytes. */
static void an_absurdly_long_status_is_refused(void **state) {
    (void)state;
    char pool[2002] = "";
    memset(pool + 1, 'x', 2000);
    struct omni_field field = {.name = "modes",
                               .type = OMNI_TYPE_enum,
                               .count = 10000,
                               .bytes = 10000,
                               .labels = 1,
                               .label_count = 1};
    struct omni_table table = {&field, pool, 1, sizeof pool, 10000, 0};
    struct encoder *encoder = NULL;
    assert_int_equal(encoder_open(&encoder, &table), -EMSGSIZE);
    assert_null(encoder);
    field.count = field.bytes = 1000;
    assert_int_equal(encoder_open(&encoder, &table), 0);
    encoder_close(encoder);
}

/* A table cannot be longer as JSON than its text pool allows, by using the same text often. */
static void shared_text_is_refused(void **state) {
    (void)state;
    static char pool[100000];
    memset(pool, 'x', sizeof pool - 1);
    struct omni_field fields[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    for (uint32_t i = 0; i < 3; i++) {
        fields[i].type = OMNI_TYPE_u8;
        fields[i].count = fields[i].bytes = 1;
        fields[i].offset = i;
    }
    struct omni_table table = {fields, pool, 3, sizeof pool, 8, 0};
    struct encoder *encoder = NULL;
    assert_int_equal(encoder_open(&encoder, &table), -EMSGSIZE);
    assert_null(encoder);
    table.field_count = 2;
    assert_int_equal(encoder_open(&encoder, &table), 0);
    encoder_close(encoder);
}

static void without_memory_nothing_is_appended(void **state) {
    struct fixture *fixture = *state;
    fixture->text.failed = true;
    encode_values(&fixture->text, fixture->encoder, &fixture->status);
    encode_row(&fixture->text, fixture->encoder, &fixture->status);
    encode_csv_row(&fixture->text, fixture->encoder, &fixture->status);
    encode_f64(&fixture->text, 1);
    assert_int_equal(fixture->text.length, 0);
    assert_true(fixture->text.failed);
}

/* ---- the schema -------------------------------------------------------------------------------
 */

static const cJSON *field_of(const cJSON *schema, const char *name) {
    const cJSON *field;
    cJSON_ArrayForEach(field, cJSON_GetObjectItem(schema, "fields")) {
        if (strcmp(cJSON_GetObjectItem(field, "name")->valuestring, name) == 0)
            return field;
    }
    fail_msg("no field %s", name);
    return NULL;
}

static void assert_member(const cJSON *field, const char *name, const char *json) {
    char *printed = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(field, name));
    assert_non_null(printed);
    assert_string_equal(printed, json);
    cJSON_free(printed);
}

static void the_schema_says_everything(void **state) {
    struct fixture *fixture = *state;
    encode_schema(&fixture->text, &fixture->table);
    const char *json = take(&fixture->text);
    char start[64];
    snprintf(start, sizeof start, "{\"hash\":\"%016llx\",\"fields\":[{\"name\":\"ratio\",",
             (unsigned long long)fixture->table.hash);
    assert_memory_equal(json, start, strlen(start));

    cJSON *schema = cJSON_Parse(json);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(schema, "fields")), 17);
    const cJSON *angle = field_of(schema, "angle");
    assert_int_equal(cJSON_GetArraySize(angle), 7);
    assert_member(angle, "type", "\"f32\"");
    assert_member(angle, "count", "1");
    assert_member(angle, "unit", "\"°\"");
    assert_member(angle, "minimum", "0");
    assert_member(angle, "maximum", "360");
    assert_member(angle, "description", "\"A float\"");
    const cJSON *modes = field_of(schema, "modes");
    assert_int_equal(cJSON_GetArraySize(modes), 8);
    assert_member(modes, "type", "\"enum\"");
    assert_member(modes, "count", "2");
    assert_member(modes, "maximum", "2");
    assert_member(modes, "labels", "[\"idle\",\"say \\\"go\\\", now\",\"stop <&>\"]");
    assert_member(field_of(schema, "mode"), "description", "\"What it \\\"does\\\"\"");
    assert_member(field_of(schema, "right"), "maximum", "null");
    assert_member(field_of(schema, "power"), "count", "3");
    assert_member(field_of(schema, "note"), "count", "12");
    assert_member(field_of(schema, "alarm"), "type", "\"bool\"");
    cJSON_Delete(schema);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(values_have_names_and_labels),
        WITH(rows_are_in_the_order_of_the_columns),
        WITH(csv_has_labels_and_quotes),
        WITH(statuses_follow_each_other_in_one_text),
        WITH(payloads_need_no_alignment),
        WITH(not_numbers_are_null_or_empty),
        WITH(wide_integers_are_exact),
        WITH(single_numbers_follow_the_same_rules),
        WITH(strange_bytes_have_a_meaning),
        WITH(text_ends_at_its_first_nul_or_its_size),
        WITH(random_payloads_give_valid_json),
        cmocka_unit_test(the_longest_status_fits),
        cmocka_unit_test(an_empty_table_gives_empty_forms),
        cmocka_unit_test(an_absurdly_long_status_is_refused),
        cmocka_unit_test(shared_text_is_refused),
        WITH(without_memory_nothing_is_appended),
        WITH(the_schema_says_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
