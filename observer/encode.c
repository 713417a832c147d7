#include "encode.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

#define SAFE_INTEGER_MAX (((uint64_t)1 << 53) - 1)

/* A ready-made part of the output, in the encoder's pool. */
struct piece {
    const char *bytes;
    size_t length;
};

struct label {
    struct piece json;
    struct piece csv;
};

struct step;
typedef char *put_element(char *out, const struct step *step, const unsigned char *at);

/* What is done for a field. */
struct step {
    put_element *value;
    put_element *cell;
    put_element *csv_cell;
    struct piece key; /* {"direction": or ,"motor_power":[ */
    const struct label *labels;
    uint32_t label_count;
    uint32_t offset;
    uint32_t elements; /* text is one */
    uint32_t stride;   /* bytes of an element */
};

struct encoder {
    const struct omni_table *table;
    struct step *steps;
    struct label *labels; /* of all enums */
    struct text pool;     /* what all pieces point into */
    struct text columns;
    size_t step_count;
    size_t bytes_max; /* of a status, in any of the forms, with room to scribble */
};

/* ---- elements: payload bytes to text -------------------------------------------------------- */

/* Short copies of fixed size are faster than exact ones; both sides have room for it. */
#define PIECE_COPY 32u

static char *put_piece(char *out, struct piece piece) {
    memcpy(out, piece.bytes, PIECE_COPY);
    if (piece.length > PIECE_COPY)
        memcpy(out + PIECE_COPY, piece.bytes + PIECE_COPY, piece.length - PIECE_COPY);
    return out + piece.length;
}

static char *put_json_u64(char *out, uint64_t value) {
    if (value <= SAFE_INTEGER_MAX)
        return number_u64(out, value);
    *out = '"';
    out = number_u64(out + 1, value);
    *out = '"';
    return out + 1;
}

static char *put_json_i64(char *out, int64_t value) {
    if (value >= -(int64_t)SAFE_INTEGER_MAX && value <= (int64_t)SAFE_INTEGER_MAX)
        return number_i64(out, value);
    *out = '"';
    out = number_i64(out + 1, value);
    *out = '"';
    return out + 1;
}

static char *put_csv_f32(char *out, float value) {
    return isfinite(value) ? number_f32(out, value) : out;
}

static char *put_csv_f64(char *out, double value) {
    return isfinite(value) ? number_f64(out, value) : out;
}

/* X(suffix of the function, C type, how it is written) */
#define NUMBERS(X)                                                                                 \
    X(i8, int8_t, number_i64)                                                                      \
    X(u8, uint8_t, number_u64)                                                                     \
    X(i16, int16_t, number_i64)                                                                    \
    X(u16, uint16_t, number_u64)                                                                   \
    X(i32, int32_t, number_i64)                                                                    \
    X(u32, uint32_t, number_u64)                                                                   \
    X(i64, int64_t, put_json_i64)                                                                  \
    X(u64, uint64_t, put_json_u64)                                                                 \
    X(f32, float, number_f32)                                                                      \
    X(f64, double, number_f64)                                                                     \
    X(csv_i64, int64_t, number_i64)                                                                \
    X(csv_u64, uint64_t, number_u64)                                                               \
    X(csv_f32, float, put_csv_f32)                                                                 \
    X(csv_f64, double, put_csv_f64)

#define DEFINE_NUMBER(suffix, ctype, put)                                                          \
    static char *element_##suffix(char *out, const struct step *step, const unsigned char *at) {   \
        (void)step;                                                                                \
        ctype value;                                                                               \
        memcpy(&value, at, sizeof value);                                                          \
        return put(out, value);                                                                    \
    }
NUMBERS(DEFINE_NUMBER)

static char *element_flag(char *out, const struct step *step, const unsigned char *at) {
    (void)step;
    return *at != 0 ? stpcpy(out, "true") : stpcpy(out, "false");
}

static char *element_bit(char *out, const struct step *step, const unsigned char *at) {
    (void)step;
    *out = *at != 0 ? '1' : '0';
    return out + 1;
}

static char *element_label(char *out, const struct step *step, const unsigned char *at) {
    return *at < step->label_count ? put_piece(out, step->labels[*at].json) : number_u64(out, *at);
}

static char *element_csv_label(char *out, const struct step *step, const unsigned char *at) {
    return *at < step->label_count ? put_piece(out, step->labels[*at].csv) : number_u64(out, *at);
}

static char *element_text(char *out, const struct step *step, const unsigned char *at) {
    const char *string = (const char *)at;
    return text_put_json_string(out, string, strnlen(string, step->stride));
}

static char *put_csv_character(char *out, unsigned character, const char *bytes, size_t size) {
    bool line_or_tab = character == '\t' || character == '\n' || character == '\r';
    bool control = character < 0x20 || (character >= 0x7F && character <= 0x9F);
    if (character == 0xFFFD || (control && !line_or_tab))
        return stpcpy(out, "\xEF\xBF\xBD");
    if (character == '"')
        *out++ = '"';
    memcpy(out, bytes, size);
    return out + size;
}

/* At most TEXT_JSON_BYTES(length): a byte becomes three at most. */
static char *put_csv_string(char *out, const char *bytes, size_t length) {
    *out++ = '"';
    for (size_t at = 0, size; at < length; at += size) {
        unsigned character = text_decode(bytes + at, length - at, &size);
        out = put_csv_character(out, character, bytes + at, size);
    }
    *out++ = '"';
    return out;
}

static char *element_csv_text(char *out, const struct step *step, const unsigned char *at) {
    const char *string = (const char *)at;
    return put_csv_string(out, string, strnlen(string, step->stride));
}

/* How each type is written in the three forms. */
static const struct form {
    put_element *value;
    put_element *cell;
    put_element *csv_cell;
} forms[] = {
    [OMNI_TYPE_bool] = {element_flag, element_bit, element_bit},
    [OMNI_TYPE_i8] = {element_i8, element_i8, element_i8},
    [OMNI_TYPE_u8] = {element_u8, element_u8, element_u8},
    [OMNI_TYPE_i16] = {element_i16, element_i16, element_i16},
    [OMNI_TYPE_u16] = {element_u16, element_u16, element_u16},
    [OMNI_TYPE_i32] = {element_i32, element_i32, element_i32},
    [OMNI_TYPE_u32] = {element_u32, element_u32, element_u32},
    [OMNI_TYPE_i64] = {element_i64, element_i64, element_csv_i64},
    [OMNI_TYPE_u64] = {element_u64, element_u64, element_csv_u64},
    [OMNI_TYPE_f32] = {element_f32, element_f32, element_csv_f32},
    [OMNI_TYPE_f64] = {element_f64, element_f64, element_csv_f64},
    [OMNI_TYPE_enum] = {element_label, element_u8, element_csv_label},
    [OMNI_TYPE_text] = {element_text, element_text, element_csv_text},
};

/* ---- making an encoder ---------------------------------------------------------------------- */

/* Labels stand in a row, each with its NUL. */
static const char *first_label(const struct omni_table *table, const struct omni_field *field) {
    return table->text + field->labels;
}

static const char *next_label(const char *label) {
    return label + strlen(label) + 1;
}

/* Bytes of a field's labels and description, and how long its longest label is. */
static size_t field_words(const struct omni_table *table, const struct omni_field *field,
                          size_t *longest) {
    size_t bytes = strlen(table->text + field->description) + 1;
    *longest = 0;
    const char *label = first_label(table, field);
    for (uint32_t i = 0; i < field->label_count; i++, label = next_label(label)) {
        size_t length = strlen(label);
        bytes += length + 1;
        *longest = length > *longest ? length : *longest;
    }
    return bytes;
}

/* The longest that one element can become, with the comma behind it. */
static size_t element_bytes_max(const struct omni_field *field, size_t longest_label) {
    if (field->type == OMNI_TYPE_text)
        return TEXT_JSON_BYTES((size_t)field->count) + 1;
    size_t label = TEXT_JSON_BYTES(longest_label);
    return (label > NUMBER_BYTES_MAX ? label : NUMBER_BYTES_MAX) + 1;
}

static uint32_t elements_of(const struct omni_field *field) {
    return field->type == OMNI_TYPE_text ? 1 : field->count;
}

/* Adds up how long a status can become and how large the pool must be; the pool is reserved at
 * once, so that pieces can point into it. */
static int measure(struct encoder *encoder, size_t *label_count) {
    const struct omni_table *table = encoder->table;
    size_t words = 0;
    uint64_t bytes_max = NUMBER_ROOM + PIECE_COPY;
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct omni_field *field = &table->fields[i];
        size_t longest;
        words += field_words(table, field, &longest);
        bytes_max += OMNI_FIELD_NAME_BYTES + sizeof ",\"\":[]";
        bytes_max += (uint64_t)elements_of(field) * element_bytes_max(field, longest);
        *label_count += field->label_count;
        if (words > OMNI_TEXT_BYTES_MAX || bytes_max > ENCODE_BYTES_MAX)
            return -EMSGSIZE;
    }
    encoder->bytes_max = (size_t)bytes_max;
    size_t keys = table->field_count * (OMNI_FIELD_NAME_BYTES + sizeof ",\"\":[");
    size_t labels = 2 * (TEXT_JSON_BYTES(0) * *label_count + 6 * words);
    return text_reserve(&encoder->pool, keys + labels + PIECE_COPY) != NULL ? 0 : -ENOMEM;
}

static struct piece piece_since(const struct text *pool, size_t start) {
    return (struct piece){text_bytes(pool) + start, pool->length - start};
}

static struct piece add_key(struct text *pool, const struct omni_field *field, bool first) {
    size_t start = pool->length;
    text_string(pool, first ? "{\"" : ",\"");
    text_string(pool, field->name);
    text_string(pool, elements_of(field) > 1 ? "\":[" : "\":");
    return piece_since(pool, start);
}

static struct label add_label(struct text *pool, const char *string) {
    struct label label;
    size_t start = pool->length;
    text_json_string(pool, string, strlen(string));
    label.json = piece_since(pool, start);
    start = pool->length;
    char *end = put_csv_string(text_bytes(pool) + start, string, strlen(string));
    pool->length = (size_t)(end - text_bytes(pool));
    label.csv = piece_since(pool, start);
    return label;
}

static struct label *add_step(struct encoder *encoder, uint32_t index, struct label *labels) {
    const struct omni_field *field = &encoder->table->fields[index];
    const struct form *form = &forms[field->type];
    encoder->steps[index] = (struct step){
        .value = form->value,
        .cell = form->cell,
        .csv_cell = form->csv_cell,
        .key = add_key(&encoder->pool, field, index == 0),
        .labels = labels,
        .label_count = field->label_count,
        .offset = field->offset,
        .elements = elements_of(field),
        .stride = field->bytes / elements_of(field),
    };
    const char *label = first_label(encoder->table, field);
    for (uint32_t i = 0; i < field->label_count; i++, label = next_label(label))
        *labels++ = add_label(&encoder->pool, label);
    return labels;
}

static void add_columns(struct text *text, const struct omni_table *table, const char *quote) {
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct omni_field *field = &table->fields[i];
        uint32_t elements = elements_of(field);
        for (uint32_t element = 0; element < elements; element++) {
            text_string(text, i + element == 0 ? "" : ",");
            text_string(text, quote);
            text_string(text, field->name);
            if (elements > 1)
                text_format(text, "[%" PRIu32 "]", element);
            text_string(text, quote);
        }
    }
}

int encoder_open(struct encoder **encoder, const struct omni_table *table) {
    struct encoder *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->table = table;
    made->step_count = table->field_count;
    text_open(&made->pool, 0);
    text_open(&made->columns, 0);
    size_t label_count = 0;
    int error = measure(made, &label_count);
    if (error < 0)
        goto fail;
    error = -ENOMEM;
    made->steps = calloc(made->step_count + 1, sizeof *made->steps);
    made->labels = calloc(label_count + 1, sizeof *made->labels);
    if (made->steps == NULL || made->labels == NULL)
        goto fail;
    struct label *labels = made->labels;
    for (uint32_t i = 0; i < table->field_count; i++)
        labels = add_step(made, i, labels);
    add_columns(&made->columns, table, "\"");
    if (made->columns.failed)
        goto fail;
    *encoder = made;
    return 0;
fail:
    encoder_close(made);
    return error;
}

void encoder_close(struct encoder *encoder) {
    if (encoder == NULL)
        return;
    text_close(&encoder->columns);
    text_close(&encoder->pool);
    free(encoder->labels);
    free(encoder->steps);
    free(encoder);
}

/* ---- statuses ------------------------------------------------------------------------------- */

/* Each element followed by a comma. */
static char *put_elements(char *out, const struct step *step, put_element *put,
                          const unsigned char *payload) {
    const unsigned char *at = payload + step->offset;
    for (uint32_t i = 0; i < step->elements; i++, at += step->stride) {
        out = put(out, step, at);
        *out++ = ',';
    }
    return out;
}

static char *put_value(char *out, const struct step *step, const unsigned char *payload) {
    out = put_piece(out, step->key);
    if (step->elements == 1)
        return step->value(out, step, payload + step->offset);
    out = put_elements(out, step, step->value, payload);
    out[-1] = ']';
    return out;
}

void encode_values(struct text *text, const struct encoder *encoder, const void *payload) {
    char *start = text_reserve(text, encoder->bytes_max);
    if (start == NULL)
        return;
    char *out = start;
    *out = '{'; /* the first key has its own */
    for (size_t i = 0; i < encoder->step_count; i++)
        out = put_value(out, &encoder->steps[i], payload);
    out += out == start;
    *out++ = '}';
    text->length += (size_t)(out - start);
}

void encode_row(struct text *text, const struct encoder *encoder, const void *payload) {
    char *start = text_reserve(text, encoder->bytes_max);
    if (start == NULL || encoder->step_count == 0)
        return;
    char *out = start;
    for (size_t i = 0; i < encoder->step_count; i++)
        out = put_elements(out, &encoder->steps[i], encoder->steps[i].cell, payload);
    text->length += (size_t)(out - start) - 1; /* without the last comma */
}

void encode_csv_row(struct text *text, const struct encoder *encoder, const void *payload) {
    char *start = text_reserve(text, encoder->bytes_max);
    if (start == NULL || encoder->step_count == 0)
        return;
    char *out = start;
    for (size_t i = 0; i < encoder->step_count; i++)
        out = put_elements(out, &encoder->steps[i], encoder->steps[i].csv_cell, payload);
    text->length += (size_t)(out - start) - 1;
}

void encode_columns(struct text *text, const struct encoder *encoder) {
    text_append(text, text_bytes(&encoder->columns), encoder->columns.length);
}

void encode_csv_columns(struct text *text, const struct encoder *encoder) {
    add_columns(text, encoder->table, "");
}

/* ---- the schema ----------------------------------------------------------------------------- */

static void member_string(struct text *text, const char *name, const char *string, size_t length) {
    text_format(text, "\"%s\":", name);
    text_json_string(text, string, length);
}

static void encode_labels(struct text *text, const struct omni_table *table,
                          const struct omni_field *field) {
    text_string(text, ",\"labels\":[");
    const char *label = first_label(table, field);
    for (uint32_t i = 0; i < field->label_count; i++, label = next_label(label)) {
        text_string(text, i == 0 ? "" : ",");
        text_json_string(text, label, strlen(label));
    }
    text_string(text, "]");
}

static void encode_field(struct text *text, const struct omni_table *table,
                         const struct omni_field *field) {
    const char *description = table->text + field->description;
    text_string(text, "{");
    member_string(text, "name", field->name, strnlen(field->name, sizeof field->name));
    text_format(text, ",\"type\":\"%s\",\"count\":%" PRIu32 ",", omni_type_name(field->type),
                field->count);
    member_string(text, "unit", field->unit, strnlen(field->unit, sizeof field->unit));
    text_string(text, ",\"minimum\":");
    encode_f64(text, field->minimum);
    text_string(text, ",\"maximum\":");
    encode_f64(text, field->maximum);
    text_string(text, ",");
    member_string(text, "description", description, strlen(description));
    if (field->type == OMNI_TYPE_enum)
        encode_labels(text, table, field);
    text_string(text, "}");
}

void encode_schema(struct text *text, const struct omni_table *table) {
    text_format(text, "{\"hash\":\"%016" PRIx64 "\",\"fields\":[", table->hash);
    for (uint32_t i = 0; i < table->field_count; i++) {
        text_string(text, i == 0 ? "" : ",");
        encode_field(text, table, &table->fields[i]);
    }
    text_string(text, "]}");
}

/* ---- single numbers ------------------------------------------------------------------------- */

#define DEFINE_ENCODE(name, ctype, put)                                                            \
    void encode_##name(struct text *text, ctype value) {                                           \
        char *out = text_reserve(text, NUMBER_ROOM);                                               \
        if (out != NULL)                                                                           \
            text->length += (size_t)(put(out, value) - out);                                       \
    }
DEFINE_ENCODE(f64, double, number_f64)
DEFINE_ENCODE(f32, float, number_f32)
DEFINE_ENCODE(i64, int64_t, put_json_i64)
DEFINE_ENCODE(u64, uint64_t, put_json_u64)

void encode_microseconds(struct text *text, uint64_t nanoseconds) {
    encode_u64(text, nanoseconds / 1000);
}

static void put_stamp(struct text *text, const struct omni_stamp *stamp,
                      const char *const before[3]) {
    text_string(text, before[0]);
    encode_u64(text, stamp->tick);
    text_string(text, before[1]);
    encode_microseconds(text, stamp->time.wall_ns);
    text_string(text, before[2]);
    encode_microseconds(text, stamp->time.monotonic_ns);
}

void encode_stamp(struct text *text, const struct omni_stamp *stamp) {
    static const char *const names[] = {"\"tick\":", ",\"time\":", ",\"monotonic\":"};
    put_stamp(text, stamp, names);
}

void encode_stamp_row(struct text *text, const struct omni_stamp *stamp) {
    static const char *const commas[] = {"", ",", ","};
    put_stamp(text, stamp, commas);
}
