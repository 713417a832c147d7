#include "plain.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT 0xFFFDu
static const char replacement[] = "\xEF\xBF\xBD";
static const char ellipsis[] = "\xE2\x80\xA6";

/* ---- characters ---- */

static bool is_harmless(unsigned character) {
    bool is_control = character < 0x20 || (character >= 0x7F && character < 0xA0);
    bool turns_direction = (character >= 0x202A && character <= 0x202E) ||
                           (character >= 0x2066 && character <= 0x2069);
    bool breaks_line = character == 0x2028 || character == 0x2029;
    return !is_control && !turns_direction && !breaks_line;
}

/* Appends the first character of `bytes`; returns how many bytes it has. */
static size_t append_character(struct text *text, const char *bytes, size_t length) {
    size_t size = 1;
    unsigned character = text_decode(bytes, length, &size);
    if (character != REPLACEMENT && is_harmless(character))
        text_append(text, bytes, size);
    else
        text_string(text, replacement);
    return size;
}

void plain_append(struct text *text, const char *bytes, size_t length) {
    for (size_t at = 0; at < length;)
        at += append_character(text, bytes + at, length - at);
}

size_t plain_length(const char *bytes, size_t length) {
    size_t characters = 0;
    for (size_t at = 0, size = 0; at < length; at += size) {
        (void)text_decode(bytes + at, length - at, &size);
        characters++;
    }
    return characters;
}

void plain_cell(struct text *text, const char *bytes, size_t length, size_t columns) {
    size_t wanted = plain_length(bytes, length);
    bool cut = wanted > columns;
    size_t used = 0;
    for (size_t at = 0; used < (cut ? columns - (columns > 0) : wanted); used++)
        at += append_character(text, bytes + at, length - at);
    if (cut && columns > 0) {
        text_string(text, ellipsis);
        used++;
    }
    text_format(text, "%*s", (int)(columns - used), "");
}

/* ---- values, by type ---- */

typedef void printer(struct text *text, const struct omni_table *table,
                     const struct omni_field *field, const void *element);

#define PLAIN_INTEGER_(id, ctype, format)                                                          \
    static void print_##id(struct text *text, const struct omni_table *table,                      \
                           const struct omni_field *field, const void *element) {                  \
        (void)table;                                                                               \
        (void)field;                                                                               \
        ctype value;                                                                               \
        memcpy(&value, element, sizeof value);                                                     \
        text_format(text, "%" format, value);                                                      \
    }
PLAIN_INTEGER_(i8, int8_t, PRId8)
PLAIN_INTEGER_(u8, uint8_t, PRIu8)
PLAIN_INTEGER_(i16, int16_t, PRId16)
PLAIN_INTEGER_(u16, uint16_t, PRIu16)
PLAIN_INTEGER_(i32, int32_t, PRId32)
PLAIN_INTEGER_(u32, uint32_t, PRIu32)
PLAIN_INTEGER_(i64, int64_t, PRId64)
PLAIN_INTEGER_(u64, uint64_t, PRIu64)

static void print_f64(struct text *text, const struct omni_table *table,
                      const struct omni_field *field, const void *element) {
    (void)table;
    (void)field;
    double value;
    memcpy(&value, element, sizeof value);
    if (isnan(value))
        text_string(text, "-");
    else
        text_format(text, "%.6g", value);
}

static void print_f32(struct text *text, const struct omni_table *table,
                      const struct omni_field *field, const void *element) {
    float value;
    memcpy(&value, element, sizeof value);
    double wide = (double)value;
    print_f64(text, table, field, &wide);
}

static void print_bool(struct text *text, const struct omni_table *table,
                       const struct omni_field *field, const void *element) {
    (void)table;
    (void)field;
    text_string(text, *(const uint8_t *)element != 0 ? "true" : "false");
}

static void print_enum(struct text *text, const struct omni_table *table,
                       const struct omni_field *field, const void *element) {
    const char *label = omni_table_label(table, field, *(const uint8_t *)element);
    if (label == NULL)
        print_u8(text, table, field, element);
    else
        plain_append(text, label, strlen(label));
}

static void print_text(struct text *text, const struct omni_table *table,
                       const struct omni_field *field, const void *element) {
    (void)table;
    plain_append(text, element, strnlen(element, field->bytes));
}

#define PLAIN_PRINTER_(id, number, ctype) [number] = print_##id,
static printer *const printers[] = {OMNI_TYPES(PLAIN_PRINTER_)};

void plain_value(struct text *text, const struct omni_table *table, const struct omni_field *field,
                 const void *payload) {
    const char *element = (const char *)payload + field->offset;
    uint32_t count = field->type == OMNI_TYPE_text ? 1 : field->count;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            text_string(text, " ");
        printers[field->type](text, table, field,
                              element + (size_t)i * omni_type_bytes(field->type));
    }
}

/* ---- durations ---- */

void plain_duration(struct text *text, uint64_t nanoseconds) {
    static const struct {
        uint64_t below; /* nanoseconds */
        uint64_t unit;
        const char *name;
    } steps[] = {{1000000u, 1000u, "µs"},
                 {1000000000u, 1000000u, "ms"},
                 {7200000000000u, 60000000000u, "min"},
                 {172800000000000u, 3600000000000u, "h"},
                 {UINT64_MAX, 86400000000000u, "d"}};
    if (nanoseconds >= 1000000000u && nanoseconds < 120000000000u) {
        text_format(text, "%.1f s", (double)nanoseconds / 1e9);
        return;
    }
    size_t i = 0;
    while (nanoseconds >= steps[i].below && steps[i].below != UINT64_MAX)
        i++;
    text_format(text, "%" PRIu64 " %s", nanoseconds / steps[i].unit, steps[i].name);
}
