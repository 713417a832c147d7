/* omni-segment(5) says where every byte is: each of its tables is what the headers say, and whole. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <omni/schema.h>

#define PAGE "docs/man/omni-segment.5"

enum { ROWS_MAX = 64, WORD_BYTES = 48 };

/* The first three columns of a row. */
struct row {
    char word[3][WORD_BYTES];
};

struct table {
    struct row rows[ROWS_MAX];
    size_t count;
};

static char page[65536];

static int read_page(void **state) {
    (void)state;
    FILE *file = fopen(PAGE, "r");
    if (file == NULL)
        fail_msg("%s: %s (run the tests from the top folder)", PAGE, strerror(errno));
    size_t length = fread(page, 1, sizeof page - 1, file);
    page[length] = '\0';
    assert_in_range(length, 1, sizeof page - 2);
    return fclose(file);
}

/* A line of the format ends with a full stop; a row begins with two columns that tabs end. The lines of a
 * long last column do not. */
static void read_table(struct table *table, const char *name) {
    char mark[WORD_BYTES + 16];
    (void)snprintf(mark, sizeof mark, ".\\\" table: %s\n.TS\n", name);
    const char *line = strstr(page, mark);
    if (line == NULL)
        fail_msg("%s has no table of %s", PAGE, name);
    *table = (struct table){.count = 0};
    for (line += strlen(mark); strncmp(line, ".TE\n", 4) != 0; line = strchr(line, '\n') + 1) {
        struct row *row = &table->rows[table->count];
        assert_true(table->count < ROWS_MAX);
        if (sscanf(line, "%47[^\t\n]%*1[\t]%47[^\t\n]%*1[\t]%47[^\t\n]", row->word[0], row->word[1],
                   row->word[2]) == 3)
            table->count++;
    }
}

/* "u32" → 4, "char[48]" → 48 */
static size_t bytes_of(const char *type) {
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"char", 1}, {"u8", 1}, {"u32", 4}, {"u64", 8}, {"f64", 8}};
    size_t length = strcspn(type, "[");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].name) == length && strncmp(type, types[i].name, length) == 0)
            return types[i].bytes *
                   (type[length] == '[' ? strtoul(type + length + 1, NULL, 10) : 1);
    fail_msg("%s has a type that is none: %s", PAGE, type);
    return 0;
}

/* ---- structs ---- */

struct member {
    const char *name;
    size_t offset;
    size_t bytes;
};

#define MEMBER(type, member)                                                                       \
    { #member, offsetof(struct type, member), sizeof(((struct type *)0)->member) }

/* Each member in its place, one right behind the other to the end: so none is left out. */
static void tells(const char *name, const struct member *members, size_t count, size_t whole) {
    struct table table;
    size_t end = 0;
    read_table(&table, name);
    assert_int_equal(table.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(table.rows[i].word[2], members[i].name);
        assert_int_equal(strtoul(table.rows[i].word[0], NULL, 10), members[i].offset);
        assert_int_equal(bytes_of(table.rows[i].word[1]), members[i].bytes);
        assert_int_equal(members[i].offset, end);
        end += members[i].bytes;
    }
    assert_int_equal(end, whole);
}

#define TELLS(name, members, whole) tells(name, members, sizeof members / sizeof members[0], whole)

static void the_header_is_as_it_says(void **state) {
    static const struct member members[] = {
        MEMBER(omni_header, magic),
        MEMBER(omni_header, layout_version),
        MEMBER(omni_header, byte_order),
        MEMBER(omni_header, header_bytes),
        MEMBER(omni_header, scope),
        MEMBER(omni_header, incompatible_flags),
        MEMBER(omni_header, compatible_flags),
        MEMBER(omni_header, segment_bytes),
        MEMBER(omni_header, schema_hash),
        MEMBER(omni_header, instance),
        MEMBER(omni_header, period_ns),
        MEMBER(omni_header, field_offset),
        MEMBER(omni_header, field_count),
        MEMBER(omni_header, field_bytes),
        MEMBER(omni_header, text_offset),
        MEMBER(omni_header, text_bytes),
        MEMBER(omni_header, ring_offset),
        MEMBER(omni_header, slot_count),
        MEMBER(omni_header, slot_bytes),
        MEMBER(omni_header, payload_bytes),
        MEMBER(omni_header, process_id),
        MEMBER(omni_header, started_monotonic_ns),
        MEMBER(omni_header, started_wall_ns),
        MEMBER(omni_header, reserved_where),
        MEMBER(omni_header, name),
        MEMBER(omni_header, reserved_name),
        MEMBER(omni_header, version),
        MEMBER(omni_header, state),
        MEMBER(omni_header, owner),
        MEMBER(omni_header, heartbeat),
        MEMBER(omni_header, epoch),
        MEMBER(omni_header, bell),
        MEMBER(omni_header, reserved_version),
    };
    (void)state;
    TELLS("struct omni_header", members, sizeof(struct omni_header));
}

static void a_field_is_as_it_says(void **state) {
    static const struct member members[] = {
        MEMBER(omni_field, name),        MEMBER(omni_field, unit),
        MEMBER(omni_field, type),        MEMBER(omni_field, count),
        MEMBER(omni_field, offset),      MEMBER(omni_field, bytes),
        MEMBER(omni_field, minimum),     MEMBER(omni_field, maximum),
        MEMBER(omni_field, description), MEMBER(omni_field, labels),
        MEMBER(omni_field, label_count), MEMBER(omni_field, reserved),
    };
    (void)state;
    TELLS("struct omni_field", members, sizeof(struct omni_field));
}

static void slot_and_end_are_as_it_says(void **state) {
    static const struct member slot[] = {
        MEMBER(omni_slot, sequence),     MEMBER(omni_slot, reserved), MEMBER(omni_slot, tick),
        MEMBER(omni_slot, monotonic_ns), MEMBER(omni_slot, wall_ns),
    };
    static const struct member end[] = {MEMBER(omni_end, mark), MEMBER(omni_end, reserved)};
    (void)state;
    TELLS("struct omni_slot", slot, sizeof(struct omni_slot));
    TELLS("struct omni_end", end, sizeof(struct omni_end));
}

/* handoff_test.c looks at the same numbers in a file. */
static void the_file_of_turns_is_as_it_says(void **state) {
    static const struct member words[] = {
        {"magic", 0, 8},         {"layout_version", 8, 4},
        {"byte_order", 12, 4},   {"memory_offset", 16, 4},
        {"memory_bytes", 20, 4}, {"reserved_head", 24, 40},
        {"asked", 64, 4},        {"reserved_asked", 68, 60},
        {"answered", 128, 4},    {"reserved_answered", 132, 60},
    };
    (void)state;
    TELLS("struct words", words, 192);
}

/* ---- numbers ---- */

static void types_are_as_it_says(void **state) {
    struct table table;
    (void)state;
    read_table(&table, "types");
    for (size_t i = 0; i < table.count; i++) {
        uint32_t number = (uint32_t)i + 1;
        assert_int_equal(strtoul(table.rows[i].word[0], NULL, 10), number);
        assert_string_equal(table.rows[i].word[1], omni_type_name(number));
        assert_int_equal(strtoul(table.rows[i].word[2], NULL, 10), omni_type_bytes(number));
    }
    assert_string_equal(omni_type_name((uint32_t)table.count + 1), "?");
}

static void limits_are_as_it_says(void **state) {
#define LIMIT(name)                                                                                \
    { #name, (name) }
    static const struct {
        const char *name;
        uint64_t value;
    } limits[] = {
        LIMIT(OMNI_FIELDS_MAX), LIMIT(OMNI_TEXT_BYTES_MAX),   LIMIT(OMNI_PAYLOAD_BYTES_MAX),
        LIMIT(OMNI_SLOTS_MIN),  LIMIT(OMNI_SLOTS_MAX),        LIMIT(OMNI_SEGMENT_BYTES_MAX),
        LIMIT(OMNI_NAME_BYTES), LIMIT(OMNI_FIELD_NAME_BYTES), LIMIT(OMNI_UNIT_BYTES),
    };
    struct table table;
    (void)state;
    read_table(&table, "limits");
    assert_int_equal(table.count, sizeof limits / sizeof limits[0]);
    for (size_t i = 0; i < table.count; i++) {
        assert_string_equal(table.rows[i].word[0], limits[i].name);
        assert_int_equal(strtoull(table.rows[i].word[1], NULL, 10), limits[i].value);
    }
}

static void says(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void says(const char *format, ...) {
    char text[WORD_BYTES * 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (strstr(page, text) == NULL)
        fail_msg("%s does not say \"%s\"", PAGE, text);
}

static void marks_and_states_are_as_it_says(void **state) {
    (void)state;
    says("layout_version\tT{\n%u; 0 while", OMNI_LAYOUT_VERSION);
    says("0x%08X", OMNI_BYTE_ORDER);
    says("0x%08X", OMNI_END_MARK);
    says("%d one kernel", OMNI_SCOPE_KERNEL);
    says("%d memory that machines share", OMNI_SCOPE_MACHINES);
    says("%d open", OMNI_STATE_OPEN);
    says(", %d closed", OMNI_STATE_CLOSED);
    says("so far is %u,\n.IR steady", OMNI_COMPATIBLE_STEADY);
    assert_non_null(strstr(page, "\\(lq" OMNI_MAGIC "\\(rq"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_is_as_it_says),
        cmocka_unit_test(a_field_is_as_it_says),
        cmocka_unit_test(slot_and_end_are_as_it_says),
        cmocka_unit_test(the_file_of_turns_is_as_it_says),
        cmocka_unit_test(types_are_as_it_says),
        cmocka_unit_test(limits_are_as_it_says),
        cmocka_unit_test(marks_and_states_are_as_it_says),
    };
    return cmocka_run_group_tests(tests, read_page, NULL);
}
