/* One list gives the struct and the table; what a list can get wrong is said; what an enemy can
 * write into a table is refused. */
#include "support.h"

/* ---- from the list to the table ---- */

static struct omni_table packed(const struct omni_schema *schema) {
    struct omni_table table = {0};
    struct omni_problem problem = {""};
    if (omni_schema_pack(&table, schema, &problem) < 0)
        fail_msg("cannot pack: %s", problem.text);
    return table;
}

static void list_gives_struct_and_table(void **state) {
    static const struct {
        const char *name, *unit;
        uint32_t type, count, offset, bytes;
        double minimum, maximum;
        uint32_t labels;
    } expected[] = {
        {"level", "l", 11, 1, 0, 8, 0, 100, 0},      {"balance", "", 8, 1, 8, 8, NAN, NAN, 0},
        {"total", "", 9, 1, 16, 8, 0, NAN, 0},       {"temperature", "°C", 10, 2, 24, 8, 0, 60, 0},
        {"turns", "", 6, 1, 32, 4, -100, 100, 0},    {"steps", "", 7, 1, 36, 4, 0, NAN, 0},
        {"sensors", "mm", 5, 5, 40, 10, 0, 4000, 0}, {"tilt", "°", 4, 1, 50, 2, -90, 90, 0},
        {"power", "%", 2, 3, 52, 3, -100, 100, 0},   {"gear", "", 3, 1, 55, 1, 0, 5, 0},
        {"mode", "", 12, 1, 56, 1, 0, 2, 3},         {"plan", "", 12, 2, 57, 2, 0, 2, 3},
        {"leaking", "", 1, 1, 59, 1, 0, 1, 0},       {"doors", "", 1, 3, 60, 3, 0, 1, 0},
        {"note", "", 13, 11, 64, 11, NAN, NAN, 0},
    };
    (void)state;
    struct omni_table table = packed(probe_schema());
    assert_int_equal(sizeof(struct probe), 80);
    assert_int_equal(table.payload_bytes, 80);
    assert_int_equal(table.field_count, sizeof expected / sizeof expected[0]);
    for (uint32_t i = 0; i < table.field_count; i++) {
        const struct omni_field *field = &table.fields[i];
        assert_string_equal(field->name, expected[i].name);
        assert_string_equal(field->unit, expected[i].unit);
        assert_int_equal(field->type, expected[i].type);
        assert_int_equal(field->count, expected[i].count);
        assert_int_equal(field->offset, expected[i].offset);
        assert_int_equal(field->bytes, expected[i].bytes);
        assert_int_equal(isnan(field->minimum), isnan(expected[i].minimum));
        assert_int_equal(isnan(field->maximum), isnan(expected[i].maximum));
        assert_true(isnan(field->minimum) || fabs(field->minimum - expected[i].minimum) < 1e-12);
        assert_true(isnan(field->maximum) || fabs(field->maximum - expected[i].maximum) < 1e-12);
        assert_int_equal(field->label_count, expected[i].labels);
    }
    assert_string_equal(table.text + table.fields[0].description, "Water in the tank");
    assert_string_equal(table.text + table.fields[14].description, "A word from the maker");
    omni_table_free(&table);
}

static void labels_and_fields_are_found(void **state) {
    (void)state;
    struct omni_table table = packed(probe_schema());
    const struct omni_field *mode = omni_table_find(&table, "mode");
    assert_non_null(mode);
    assert_string_equal(omni_table_label(&table, mode, PROBE_OFF), "off");
    assert_string_equal(omni_table_label(&table, mode, PROBE_ON), "on");
    assert_string_equal(omni_table_label(&table, mode, PROBE_ODD), "odd");
    assert_null(omni_table_label(&table, mode, 3));
    assert_null(omni_table_label(&table, mode, UINT32_MAX));
    assert_null(omni_table_label(&table, omni_table_find(&table, "gear"), 0));
    assert_null(omni_table_find(&table, "unused"));
    assert_null(omni_table_find(&table, ""));
    omni_table_free(&table);
    omni_table_free(&table);
    omni_table_free(NULL);
}

static void copy_is_independent(void **state) {
    (void)state;
    struct omni_table table = packed(probe_schema()), copy = {0};
    assert_int_equal(omni_table_copy(&copy, &table), 0);
    uint64_t hash = table.hash;
    memset(table.fields, 0xFF, table.field_count * sizeof *table.fields);
    memset(table.text, 0xFF, table.text_bytes);
    omni_table_free(&table);
    assert_int_equal(omni_table_hash(&copy), hash);
    assert_int_equal(omni_table_check(&copy, NULL), 0);
    omni_table_free(&copy);
}

/* ---- text ---- */

static void text_is_checked_as_utf8(void **state) {
    static const struct {
        const char *text;
        size_t bytes;
        bool clean;
    } cases[] = {
        {"", 0, true},
        {"plain", 5, true},
        {"\xC2\xB0"
         "C",
         3, true},
        {"\xE2\x82\xAC", 3, true},
        {"\xF0\x9F\x90\x94", 4, true},
        {"\xF4\x8F\xBF\xBF", 4, true},
        {"a\0b", 3, false},
        {"\n", 1, false},
        {"\x7F", 1, false},
        {"\x1F", 1, false},
        {"\xC2\x80", 2, false}, /* a control character of the second kind */
        {"\xC2\x9F", 2, false},
        {"\xC2\xA0", 2, true},
        {"\x80", 1, false}, /* begins in the middle */
        {"\xC2", 1, false}, /* ends too early */
        {"\xE2\x82", 2, false},
        {"\xF0\x9F\x90", 3, false},
        {"\xE2\x28\xA1", 3, false},
        {"\xC0\xAF", 2, false}, /* overlong */
        {"\xC1\xBF", 2, false},
        {"\xE0\x80\xAF", 3, false},
        {"\xF0\x80\x80\xAF", 4, false},
        {"\xED\xA0\x80", 3, false}, /* surrogates */
        {"\xED\xBF\xBF", 3, false},
        {"\xED\x9F\xBF", 3, true},
        {"\xF4\x90\x80\x80", 4, false}, /* above the last code point */
        {"\xF5\x80\x80\x80", 4, false},
        {"\xFF", 1, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* On the heap and exactly as long: a read past the end is seen by AddressSanitizer. */
        char *copy = malloc(cases[i].bytes + (cases[i].bytes == 0));
        assert_non_null(copy);
        memcpy(copy, cases[i].text, cases[i].bytes);
        bool clean = omni_text_is_clean(copy, cases[i].bytes);
        free(copy);
        if (clean != cases[i].clean)
            fail_msg("case %zu is %s, expected %s", i, clean ? "clean" : "not clean",
                     cases[i].clean ? "clean" : "not clean");
    }
}

/* ---- what a publisher can get wrong ---- */

#define NAME_31 "abcdefghijklmnopqrstuvwxyz_1234"
#define UNIT_15 "123456789012345"

static void declarations_are_checked(void **state) {
    static const struct omni_declaration good = {.name = "x",
                                                 .unit = "",
                                                 .description = "",
                                                 .type = OMNI_TYPE_u32,
                                                 .count = 1,
                                                 .bytes = 4,
                                                 .maximum = 1};
    struct wrong {
        struct omni_declaration field;
        const char *says; /* NULL: it is right */
    } cases[] = {
        {good, NULL},          {good, "name"},   {good, "name"},     {good, "name"},
        {good, NULL},          {good, "unit"},   {good, "unit"},     {good, NULL},
        {good, "description"}, {good, "type"},   {good, "elements"}, {good, "elements"},
        {good, "offset"},      {good, "offset"}, {good, "range"},    {good, "range"},
        {good, "labels"},      {good, "labels"},
    };
    (void)state;
    cases[1].field.name = "";
    cases[2].field.name = "1x";
    cases[3].field.name = NAME_31 "5";
    cases[4].field.name = NAME_31;
    cases[5].field.unit = UNIT_15 "6";
    cases[6].field.unit = "\xFF";
    cases[7].field.unit = UNIT_15;
    cases[8].field.description = "two\nlines";
    cases[9].field.type = 14;
    cases[10].field.count = 0;
    cases[11].field.bytes = 8;
    cases[12].field.offset = 2;
    cases[13].field.offset = 8;
    cases[14].field.minimum = 2;
    cases[15].field.maximum = INFINITY;
    cases[16].field.label_count = 1;
    cases[16].field.labels = "a";
    cases[17].field.type = OMNI_TYPE_enum;
    cases[17].field.count = 4;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_schema schema = {&cases[i].field, 1, 8};
        struct omni_table table = {.field_count = 77};
        struct omni_problem problem = {""};
        int error = omni_schema_pack(&table, &schema, &problem);
        assert_int_equal(error, cases[i].says == NULL ? 0 : -EINVAL);
        if (error == 0)
            omni_table_free(&table);
        else if (strstr(problem.text, cases[i].says) == NULL)
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, problem.text, cases[i].says);
        else
            assert_int_equal(table.field_count, 77);
    }
}

static void whole_schema_is_checked(void **state) {
    const struct omni_declaration twice[] = {
        {.name = "a", .unit = "", .type = OMNI_TYPE_u32, .count = 1, .offset = 0, .bytes = 4},
        {.name = "a", .unit = "", .type = OMNI_TYPE_u32, .count = 1, .offset = 4, .bytes = 4}};
    const struct omni_declaration overlap[] = {
        {.name = "a", .unit = "", .type = OMNI_TYPE_u32, .count = 1, .offset = 0, .bytes = 4},
        {.name = "b", .unit = "", .type = OMNI_TYPE_u16, .count = 1, .offset = 2, .bytes = 2}};
    struct omni_table table;
    struct omni_problem problem = {""};
    (void)state;
    assert_int_equal(omni_schema_pack(&table, &(struct omni_schema){twice, 2, 8}, &problem),
                     -EINVAL);
    assert_non_null(strstr(problem.text, "\"a\" is there twice"));
    assert_int_equal(omni_schema_pack(&table, &(struct omni_schema){overlap, 2, 8}, &problem),
                     -EINVAL);
    assert_non_null(strstr(problem.text, "\"b\""));
    assert_int_equal(omni_schema_pack(&table, &(struct omni_schema){twice, 0, 8}, &problem),
                     -EINVAL);
    assert_int_equal(omni_schema_pack(&table, &(struct omni_schema){twice, 1, 12}, &problem),
                     -EINVAL);
    assert_int_equal(omni_schema_pack(&table, &(struct omni_schema){twice, 1, 65544}, NULL),
                     -EINVAL);
    assert_int_equal(omni_schema_pack(&table, &(struct omni_schema){twice, 1, 0}, NULL), -EINVAL);
}

static void too_much_text_is_refused(void **state) {
    struct omni_declaration field = {
        .name = "a", .unit = "", .type = OMNI_TYPE_u8, .count = 1, .bytes = 1};
    struct omni_schema schema = {&field, 1, 8};
    struct omni_table table;
    (void)state;
    char *prose = malloc(OMNI_TEXT_BYTES_MAX + 1);
    assert_non_null(prose);
    memset(prose, 'x', OMNI_TEXT_BYTES_MAX);
    prose[OMNI_TEXT_BYTES_MAX] = '\0';
    field.description = prose;
    assert_int_equal(omni_schema_pack(&table, &schema, NULL), -EINVAL);
    prose[OMNI_TEXT_BYTES_MAX - 1] = '\0';
    assert_int_equal(omni_schema_pack(&table, &schema, NULL), 0);
    omni_table_free(&table);
    free(prose);
}

static void most_fields_and_labels_that_are_allowed(void **state) {
    static char names[OMNI_FIELDS_MAX + 1][8];
    static struct omni_declaration fields[OMNI_FIELDS_MAX + 1];
    static char labels[257 * 4];
    (void)state;
    for (uint32_t i = 0; i <= 256; i++)
        snprintf(labels + 4 * (size_t)i, 4, "%03u", i % 1000);
    for (uint32_t i = 0; i <= OMNI_FIELDS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "f%u", i);
        fields[i] = (struct omni_declaration){.name = names[i],
                                              .unit = "",
                                              .type = OMNI_TYPE_u8,
                                              .count = 1,
                                              .offset = i,
                                              .bytes = 1};
    }
    struct omni_schema schema = {fields, OMNI_FIELDS_MAX, 2048};
    struct omni_table table = packed(&schema);
    assert_non_null(omni_table_find(&table, "f1023"));
    omni_table_free(&table);
    schema.field_count++;
    assert_int_equal(omni_schema_pack(&table, &schema, NULL), -EINVAL);
    schema.field_count = 1;
    fields[0].type = OMNI_TYPE_enum;
    fields[0].labels = labels;
    fields[0].label_count = 256;
    table = packed(&schema);
    assert_string_equal(omni_table_label(&table, &table.fields[0], 255), "255");
    omni_table_free(&table);
    fields[0].label_count = 257;
    assert_int_equal(omni_schema_pack(&table, &schema, NULL), -EINVAL);
}

/* ---- what two programs mean by it ---- */

#define MOST(FIELD)                                                                                \
    FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")                                 \
    FIELD(number, f32, speed, "m/s", 0, 2, "How fast")
#define FIVE(FIELD)                                                                                \
    FIELD(numbers, u16, sensors, 5, "mm", 0, 4000, "Five of them")                                 \
    FIELD(gap, hole, 2)                                                                            \
    FIELD(number, f32, speed, "m/s", 0, 2, "How fast")
#define INCH(FIELD)                                                                                \
    FIELD(numbers, u16, sensors, 4, "inch", 0, 4000, "Four of them")                               \
    FIELD(number, f32, speed, "m/s", 0, 2, "How fast")
#define WIDE(FIELD)                                                                                \
    FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")                                 \
    FIELD(number, f32, speed, "m/s", 0, 3, "How fast")
#define KIND(FIELD)                                                                                \
    FIELD(numbers, i16, sensors, 4, "mm", 0, 4000, "Four of them")                                 \
    FIELD(number, f32, speed, "m/s", 0, 2, "How fast")
#define NAME(FIELD)                                                                                \
    FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")                                 \
    FIELD(number, f32, velocity, "m/s", 0, 2, "How fast")
#define LESS(FIELD) FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")
#define PROSE(FIELD)                                                                               \
    FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them, better described")               \
    FIELD(number, f32, speed, "m/s", 0, 2, "")
#define MOVED(FIELD)                                                                               \
    FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")                                 \
    FIELD(gap, hole, 4)                                                                            \
    FIELD(number, f32, speed, "m/s", 0, 2, "How fast")
#define LONGER(FIELD)                                                                              \
    FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")                                 \
    FIELD(number, f32, speed, "m/s", 0, 2, "How fast")                                             \
    FIELD(gap, hole, 8)
#define LIGHTS(LABEL)  LABEL(LIGHT_RED, "red") LABEL(LIGHT_GREEN, "green")
#define LAMPS(LABEL)   LABEL(LAMP_RED, "red") LABEL(LAMP_BLUE, "blue")
#define LIGHTED(FIELD) FIELD(choice, light, LIGHTS, "Which one")
#define LAMPED(FIELD)  FIELD(choice, light, LAMPS, "Which one")
OMNI_STATUS(most, MOST)
OMNI_STATUS(five, FIVE)
OMNI_STATUS(inch, INCH)
OMNI_STATUS(wide, WIDE)
OMNI_STATUS(kind, KIND)
OMNI_STATUS(name, NAME)
OMNI_STATUS(less, LESS)
OMNI_STATUS(prose, PROSE)
OMNI_STATUS(moved, MOVED)
OMNI_STATUS(longer, LONGER)
OMNI_STATUS(lighted, LIGHTED)
OMNI_STATUS(lamped, LAMPED)
OMNI_ENUM(light, LIGHTS)
OMNI_ENUM(lamp, LAMPS)

static void first_difference_is_named(void **state) {
    const struct {
        const struct omni_schema *here, *there;
        const char *says;
    } cases[] = {
        {most_schema(), five_schema(), "\"sensors\" is u16[4] here, u16[5] there"},
        {five_schema(), most_schema(), "\"sensors\" is u16[5] here, u16[4] there"},
        {most_schema(), inch_schema(), "\"sensors\" is in \"mm\" here, \"inch\" there"},
        {most_schema(), wide_schema(), "\"speed\" is 0 to 2 here, 0 to 3 there"},
        {most_schema(), kind_schema(), "\"sensors\" is u16[4] here, i16[4] there"},
        {most_schema(), name_schema(), "number 1 is \"speed\" here, \"velocity\" there"},
        {most_schema(), less_schema(), "\"speed\" is missing there"},
        {less_schema(), most_schema(), "\"speed\" is there only"},
        {most_schema(), moved_schema(), "\"speed\" lies at byte 8 here, 12 there"},
        {most_schema(), longer_schema(), "16 bytes here, 24 there"},
        {lighted_schema(), lamped_schema(), "\"light\" has other labels there"},
        {most_schema(), prose_schema(), NULL},
        {most_schema(), most_schema(), NULL},
        {probe_schema(), probe_schema(), NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_table there = packed(cases[i].there), here = packed(cases[i].here);
        struct omni_problem problem = {""};
        int error = omni_schema_compare(cases[i].here, &there, &problem);
        assert_int_equal(error, cases[i].says == NULL ? 0 : -EPROTO);
        assert_int_equal(here.hash == there.hash, cases[i].says == NULL);
        if (cases[i].says != NULL && strstr(problem.text, cases[i].says) == NULL)
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, problem.text, cases[i].says);
        omni_table_free(&there);
        omni_table_free(&here);
    }
}

/* The fingerprint is part of the layout: readers of another release must get the same. (Computed
 * by hand from its definition: FNV-1a over the fields' bytes.) */
static void hash_is_frozen(void **state) {
    (void)state;
    struct omni_table table = packed(most_schema());
    assert_int_equal(table.hash, 0xC1A3592486AF0E51u);
    omni_table_free(&table);
    table = packed(lighted_schema());
    assert_int_equal(table.hash, 0x0218560380C4EE80u);
    omni_table_free(&table);
}

/* ---- what an enemy can write ---- */

static void set_hash(struct omni_table *table) {
    table->hash = omni_table_hash(table);
}

static void refuse(const char *what, void (*spoil)(struct omni_table *table), const char *says) {
    struct omni_table table = packed(probe_schema());
    struct omni_problem problem = {""};
    assert_int_equal(omni_table_check(&table, &problem), 0);
    spoil(&table);
    int error = omni_table_check(&table, &problem);
    if (error != -EBADMSG || strstr(problem.text, says) == NULL)
        fail_msg("%s: error %d, \"%s\" does not say \"%s\"", what, error, problem.text, says);
    omni_table_free(&table);
}

static void name_without_end(struct omni_table *table) {
    memset(table->fields[3].name, 'a', sizeof table->fields[3].name);
}
static void unit_without_end(struct omni_table *table) {
    memset(table->fields[3].unit, 'a', sizeof table->fields[3].unit);
}
static void pool_without_end(struct omni_table *table) {
    table->text[table->text_bytes - 1] = 'x';
}
static void description_outside(struct omni_table *table) {
    table->fields[0].description = table->text_bytes;
}
static void description_far_outside(struct omni_table *table) {
    table->fields[0].description = UINT32_MAX;
}
static void labels_outside(struct omni_table *table) {
    table->fields[10].labels = table->text_bytes - 1;
}
static void labels_far_outside(struct omni_table *table) {
    table->fields[10].labels = UINT32_MAX;
}
static void labels_many(struct omni_table *table) {
    table->fields[10].label_count = UINT32_MAX;
}
static void labels_on_a_number(struct omni_table *table) {
    table->fields[0].label_count = 1;
}
static void count_that_overflows(struct omni_table *table) {
    table->fields[0].count = 0x20000001;
}
static void offset_outside(struct omni_table *table) {
    table->fields[14].offset = 0xFFFFFFF8;
    set_hash(table);
}
static void end_outside(struct omni_table *table) {
    table->fields[14].offset = 72;
    set_hash(table);
}
static void fields_overlap(struct omni_table *table) {
    table->fields[1].offset = 0;
    set_hash(table);
}
static void no_fields(struct omni_table *table) {
    table->field_count = 0;
}
static void too_many_fields(struct omni_table *table) {
    table->field_count = OMNI_FIELDS_MAX + 1;
}
static void other_hash(struct omni_table *table) {
    table->hash ^= 1;
}
static void reserved_word(struct omni_table *table) {
    table->fields[2].reserved = 1;
}
static void infinite_range(struct omni_table *table) {
    table->fields[0].minimum = -INFINITY;
    set_hash(table);
}
/* All fields read the whole pool, again and again. */
static void words_shared(struct omni_table *table) {
    free(table->text);
    table->text_bytes = OMNI_TEXT_BYTES_MAX / 4;
    table->text = calloc(1, table->text_bytes);
    assert_non_null(table->text);
    memset(table->text, 'x', table->text_bytes - 1);
    for (uint32_t i = 0; i < table->field_count; i++) {
        table->fields[i].description = 0;
        table->fields[i].labels = 0;
        table->fields[i].label_count = table->fields[i].type == OMNI_TYPE_enum;
    }
    set_hash(table);
}

static void hostile_tables_are_refused(void **state) {
    (void)state;
    refuse("name", name_without_end, "field number 3");
    refuse("unit", unit_without_end, "\"temperature\": its unit");
    refuse("pool", pool_without_end, "\"note\": its description");
    refuse("description", description_outside, "\"level\": its description");
    refuse("description", description_far_outside, "\"level\": its description");
    refuse("labels", labels_outside, "\"mode\": label 1");
    refuse("labels", labels_far_outside, "\"mode\": label 0");
    refuse("labels", labels_many, "\"mode\": 4294967295 labels");
    refuse("labels", labels_on_a_number, "\"level\": labels on a type");
    refuse("count", count_that_overflows, "\"level\": 536870913 elements");
    refuse("offset", offset_outside, "\"note\": 11 bytes at offset");
    refuse("offset", end_outside, "\"note\": 11 bytes at offset 72");
    refuse("overlap", fields_overlap, "\"balance\": 8 bytes at offset 0");
    refuse("no fields", no_fields, "0 fields");
    refuse("fields", too_many_fields, "1025 fields");
    refuse("hash", other_hash, "hash");
    refuse("reserved", reserved_word, "\"total\": reserved");
    refuse("range", infinite_range, "\"level\": range");
    refuse("words", words_shared, "\"turns\": with it, descriptions and labels");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_gives_struct_and_table),
        cmocka_unit_test(labels_and_fields_are_found),
        cmocka_unit_test(copy_is_independent),
        cmocka_unit_test(text_is_checked_as_utf8),
        cmocka_unit_test(declarations_are_checked),
        cmocka_unit_test(whole_schema_is_checked),
        cmocka_unit_test(too_much_text_is_refused),
        cmocka_unit_test(most_fields_and_labels_that_are_allowed),
        cmocka_unit_test(first_difference_is_named),
        cmocka_unit_test(hash_is_frozen),
        cmocka_unit_test(hostile_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
