#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni/schema.h>

#include "problem.h"

struct type_facts {
    const char *name;
    uint32_t bytes;
};

#define TYPE_FACTS(id, number, ctype) [number] = {#id, sizeof(ctype)},
static const struct type_facts type_facts[] = {OMNI_TYPES(TYPE_FACTS)};

static const struct type_facts *facts_of(uint32_t type) {
    size_t known = sizeof type_facts / sizeof type_facts[0];
    return type < known && type_facts[type].name != NULL ? &type_facts[type] : NULL;
}

const char *omni_type_name(uint32_t type) {
    const struct type_facts *facts = facts_of(type);
    return facts != NULL ? facts->name : "?";
}

uint32_t omni_type_bytes(uint32_t type) {
    const struct type_facts *facts = facts_of(type);
    return facts != NULL ? facts->bytes : 0;
}

/* ---- text ---- */

/* Bytes of the UTF-8 sequence at `text`, of at most `left` bytes; 0 where it is not one. */
static size_t sequence_bytes(const unsigned char *text, size_t left) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = text[0] < 0x80   ? 1
                   : text[0] < 0xC2 ? 0
                   : text[0] < 0xE0 ? 2
                   : text[0] < 0xF0 ? 3
                   : text[0] < 0xF5 ? 4
                                    : 0;
    if (bytes < 2 || bytes > left)
        return bytes <= left ? bytes : 0;
    uint32_t code = text[0] & (0x7Fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3Fu);
    }
    bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code >= smallest[bytes] && code <= 0x10FFFF && !surrogate ? bytes : 0;
}

bool omni_text_is_clean(const char *text, size_t bytes) {
    const unsigned char *at = (const unsigned char *)text;
    for (size_t i = 0, step; i < bytes; i += step) {
        step = sequence_bytes(at + i, bytes - i);
        bool control =
            at[i] < 0x20 || at[i] == 0x7F || (at[i] == 0xC2 && step == 2 && at[i + 1] < 0xA0);
        if (step == 0 || control)
            return false;
    }
    return true;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* [A-Za-z_][A-Za-z0-9_]*, with its NUL inside `bytes`. */
static bool is_field_name(const char *name, size_t bytes) {
    size_t length = strnlen(name, bytes);
    if (length == 0 || length == bytes || !is_letter(name[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_letter(name[i]) && (name[i] < '0' || name[i] > '9'))
            return false;
    return true;
}

/* ---- checking ---- */

/* A NUL-terminated clean string at `offset` of the pool; returns the offset after its NUL, 0 if
 * there is none. */
static size_t string_end(const struct omni_table *table, size_t offset) {
    if (offset >= table->text_bytes)
        return 0;
    const char *text = table->text + offset;
    size_t length = strnlen(text, table->text_bytes - offset);
    if (length == table->text_bytes - offset || !omni_text_is_clean(text, length))
        return 0;
    return offset + length + 1;
}

static int check_labels(const struct omni_table *table, const struct omni_field *field,
                        struct omni_problem *problem) {
    if (field->type != OMNI_TYPE_enum) {
        if (field->label_count == 0)
            return 0;
        return omni_problem(problem, -EBADMSG, "field \"%s\": labels on a type that has none",
                            field->name);
    }
    if (field->label_count == 0 || field->label_count > 256)
        return omni_problem(problem, -EBADMSG, "field \"%s\": %u labels, expected 1 to 256",
                            field->name, field->label_count);
    size_t at = field->labels;
    for (uint32_t i = 0; i < field->label_count; i++) {
        at = string_end(table, at);
        if (at == 0)
            return omni_problem(problem, -EBADMSG, "field \"%s\": label %u is not clean text",
                                field->name, i);
    }
    return 0;
}

static int check_place(const struct omni_table *table, const struct omni_field *field,
                       uint32_t first_free, struct omni_problem *problem) {
    uint32_t size = omni_type_bytes(field->type);
    if (size == 0)
        return omni_problem(problem, -EBADMSG, "field \"%s\": unknown type %u", field->name,
                            field->type);
    if (field->count == 0 || field->count > OMNI_PAYLOAD_BYTES_MAX ||
        field->bytes != field->count * size)
        return omni_problem(problem, -EBADMSG, "field \"%s\": %u elements of %u bytes in %u bytes",
                            field->name, field->count, size, field->bytes);
    if (field->offset % size != 0 || field->offset < first_free ||
        field->offset > table->payload_bytes || field->bytes > table->payload_bytes - field->offset)
        return omni_problem(problem, -EBADMSG,
                            "field \"%s\": %u bytes at offset %u do not fit (payload of %u bytes, "
                            "first free byte %u)",
                            field->name, field->bytes, field->offset, table->payload_bytes,
                            first_free);
    return 0;
}

static int check_words(const struct omni_table *table, const struct omni_field *field,
                       struct omni_problem *problem) {
    size_t unit = strnlen(field->unit, sizeof field->unit);
    if (unit == sizeof field->unit || !omni_text_is_clean(field->unit, unit))
        return omni_problem(problem, -EBADMSG, "field \"%s\": its unit is not clean text",
                            field->name);
    if (string_end(table, field->description) == 0)
        return omni_problem(problem, -EBADMSG, "field \"%s\": its description is not clean text",
                            field->name);
    if (field->minimum > field->maximum || isinf(field->minimum) || isinf(field->maximum))
        return omni_problem(problem, -EBADMSG, "field \"%s\": range from %g to %g", field->name,
                            field->minimum, field->maximum);
    if (field->reserved != 0)
        return omni_problem(problem, -EBADMSG, "field \"%s\": reserved word is %u", field->name,
                            field->reserved);
    return check_labels(table, field, problem);
}

static int check_field(const struct omni_table *table, uint32_t index, uint32_t first_free,
                       struct omni_problem *problem) {
    const struct omni_field *field = &table->fields[index];
    if (!is_field_name(field->name, sizeof field->name))
        return omni_problem(problem, -EBADMSG, "field number %u: its name is not a name", index);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(table->fields[i].name, field->name) == 0)
            return omni_problem(problem, -EBADMSG, "field \"%s\" is there twice", field->name);
    int error = check_place(table, field, first_free, problem);
    return error < 0 ? error : check_words(table, field, problem);
}

/* Bytes of a checked field's description and labels, each with its NUL. */
static size_t words_of(const struct omni_table *table, const struct omni_field *field) {
    size_t at = field->labels;
    for (uint32_t i = 0; i < field->label_count; i++)
        at += strlen(table->text + at) + 1;
    return strlen(table->text + field->description) + 1 + at - field->labels;
}

int omni_table_check(const struct omni_table *table, struct omni_problem *problem) {
    uint32_t first_free = 0;
    size_t words = 0;
    if (table->field_count == 0 || table->field_count > OMNI_FIELDS_MAX)
        return omni_problem(problem, -EBADMSG, "%u fields, expected 1 to %u", table->field_count,
                            OMNI_FIELDS_MAX);
    for (uint32_t i = 0; i < table->field_count; i++) {
        int error = check_field(table, i, first_free, problem);
        if (error < 0)
            return error;
        first_free = table->fields[i].offset + table->fields[i].bytes;
        /* A thousand fields may point at the same long words: reading them would take seconds. */
        words += words_of(table, &table->fields[i]);
        if (words > OMNI_TEXT_BYTES_MAX)
            return omni_problem(problem, -EBADMSG,
                                "field \"%s\": with it, descriptions and labels have more than %u "
                                "bytes",
                                table->fields[i].name, OMNI_TEXT_BYTES_MAX);
    }
    if (omni_table_hash(table) != table->hash)
        return omni_problem(problem, -EBADMSG, "the table does not have the hash that it claims");
    return 0;
}

/* ---- the fingerprint ---- */

/* FNV-1a, 64 bits: good enough against accidents; an enemy is kept out by checks, not by the hash.
 */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ at[i]) * 0x100000001B3u;
    return hash;
}

static uint64_t hash_string(uint64_t hash, const char *string) {
    return hash_bytes(hash, string, strlen(string) + 1);
}

static uint64_t hash_bound(uint64_t hash, double bound) {
    /* Every NaN means "no bound". */
    double canonical = isnan(bound) ? (double)NAN : bound;
    return hash_bytes(hash, &canonical, sizeof canonical);
}

static uint64_t hash_field(uint64_t hash, const struct omni_table *table,
                           const struct omni_field *field) {
    const uint32_t numbers[] = {field->type, field->count, field->offset, field->bytes,
                                field->label_count};
    hash = hash_string(hash, field->name);
    hash = hash_string(hash, field->unit);
    hash = hash_bytes(hash, numbers, sizeof numbers);
    hash = hash_bound(hash, field->minimum);
    hash = hash_bound(hash, field->maximum);
    /* Walked along, not asked for by index: a hostile table may hold very long labels. */
    const char *label = table->text + field->labels;
    for (uint32_t i = 0; i < field->label_count; i++, label += strlen(label) + 1)
        hash = hash_string(hash, label);
    return hash;
}

uint64_t omni_table_hash(const struct omni_table *table) {
    uint64_t hash = 0xCBF29CE484222325u;
    hash = hash_bytes(hash, &table->payload_bytes, sizeof table->payload_bytes);
    for (uint32_t i = 0; i < table->field_count; i++)
        hash = hash_field(hash, table, &table->fields[i]);
    return hash;
}

/* ---- looking up ---- */

const char *omni_table_label(const struct omni_table *table, const struct omni_field *field,
                             uint32_t value) {
    if (value >= field->label_count)
        return NULL;
    const char *label = table->text + field->labels;
    while (value-- > 0)
        label += strlen(label) + 1;
    return label;
}

const struct omni_field *omni_table_find(const struct omni_table *table, const char *name) {
    for (uint32_t i = 0; i < table->field_count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    return NULL;
}

/* ---- packing ---- */

static size_t labels_bytes(const struct omni_declaration *declaration) {
    const char *label = declaration->labels;
    for (uint32_t i = 0; i < declaration->label_count; i++)
        label += strlen(label) + 1;
    return (size_t)(label - declaration->labels);
}

static const char *description_of(const struct omni_declaration *declaration) {
    return declaration->description != NULL ? declaration->description : "";
}

static size_t text_bytes(const struct omni_schema *schema) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < schema->field_count; i++)
        bytes += strlen(description_of(&schema->fields[i])) + 1 + labels_bytes(&schema->fields[i]);
    return bytes;
}

static void pack_text(struct omni_table *table, uint32_t *place, const char *text, size_t bytes) {
    *place = table->text_bytes;
    memcpy(table->text + table->text_bytes, text, bytes);
    table->text_bytes += (uint32_t)bytes;
}

static void pack_field(struct omni_table *table, struct omni_field *field,
                       const struct omni_declaration *declaration) {
    memcpy(field->name, declaration->name, strlen(declaration->name));
    memcpy(field->unit, declaration->unit, strlen(declaration->unit));
    field->type = declaration->type;
    field->count = declaration->count;
    field->offset = declaration->offset;
    field->bytes = declaration->bytes;
    field->minimum = declaration->minimum;
    field->maximum = declaration->maximum;
    field->label_count = declaration->label_count;
    pack_text(table, &field->description, description_of(declaration),
              strlen(description_of(declaration)) + 1);
    if (declaration->label_count > 0)
        pack_text(table, &field->labels, declaration->labels, labels_bytes(declaration));
}

static int check_declarations(const struct omni_schema *schema, struct omni_problem *problem) {
    if (schema->field_count == 0 || schema->field_count > OMNI_FIELDS_MAX)
        return omni_problem(problem, -EINVAL, "the status has %u fields, expected 1 to %u",
                            schema->field_count, OMNI_FIELDS_MAX);
    if (schema->payload_bytes % 8 != 0 || schema->payload_bytes > OMNI_PAYLOAD_BYTES_MAX)
        return omni_problem(problem, -EINVAL,
                            "the status has %u bytes, expected a multiple of 8 up to %u",
                            schema->payload_bytes, OMNI_PAYLOAD_BYTES_MAX);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct omni_declaration *field = &schema->fields[i];
        if (strlen(field->name) >= OMNI_FIELD_NAME_BYTES || strlen(field->unit) >= OMNI_UNIT_BYTES)
            return omni_problem(problem, -EINVAL,
                                "field \"%s\": its name may have %u bytes, its unit %u",
                                field->name, OMNI_FIELD_NAME_BYTES - 1, OMNI_UNIT_BYTES - 1);
    }
    if (text_bytes(schema) > OMNI_TEXT_BYTES_MAX)
        return omni_problem(problem, -EINVAL, "descriptions and labels have more than %u bytes",
                            OMNI_TEXT_BYTES_MAX);
    return 0;
}

int omni_schema_pack(struct omni_table *table, const struct omni_schema *schema,
                     struct omni_problem *problem) {
    int error = check_declarations(schema, problem);
    if (error < 0)
        return error;
    struct omni_table made = {.field_count = schema->field_count,
                              .payload_bytes = schema->payload_bytes};
    made.fields = calloc(schema->field_count, sizeof *made.fields);
    made.text = malloc(text_bytes(schema));
    if (made.fields == NULL || made.text == NULL) {
        omni_table_free(&made);
        return omni_problem(problem, -ENOMEM, "no memory for the table of fields");
    }
    for (uint32_t i = 0; i < schema->field_count; i++)
        pack_field(&made, &made.fields[i], &schema->fields[i]);
    made.hash = omni_table_hash(&made);
    if (omni_table_check(&made, problem) < 0) {
        omni_table_free(&made);
        return -EINVAL;
    }
    *table = made;
    return 0;
}

int omni_table_copy(struct omni_table *copy, const struct omni_table *table) {
    struct omni_table made = *table;
    made.fields = malloc(table->field_count * sizeof *made.fields);
    made.text = malloc(table->text_bytes);
    if (made.fields == NULL || made.text == NULL) {
        omni_table_free(&made);
        return -ENOMEM;
    }
    memcpy(made.fields, table->fields, table->field_count * sizeof *made.fields);
    memcpy(made.text, table->text, table->text_bytes);
    *copy = made;
    return 0;
}

void omni_table_free(struct omni_table *table) {
    if (table == NULL)
        return;
    free(table->fields);
    free(table->text);
    *table = (struct omni_table){0};
}

/* ---- comparing ---- */

static bool same_bound(double a, double b) {
    return (isnan(a) && isnan(b)) || (!(a < b) && !(a > b) && !isnan(a) && !isnan(b));
}

static bool same_labels(const struct omni_table *a, const struct omni_field *of_a,
                        const struct omni_table *b, const struct omni_field *of_b) {
    if (of_a->label_count != of_b->label_count)
        return false;
    const char *label_a = a->text + of_a->labels, *label_b = b->text + of_b->labels;
    for (uint32_t i = 0; i < of_a->label_count; i++) {
        if (strcmp(label_a, label_b) != 0)
            return false;
        label_a += strlen(label_a) + 1;
        label_b += strlen(label_b) + 1;
    }
    return true;
}

static int compare_field(const struct omni_table *mine, const struct omni_table *theirs,
                         uint32_t index, struct omni_problem *problem) {
    const struct omni_field *a = &mine->fields[index];
    const struct omni_field *b = &theirs->fields[index];
    if (strcmp(a->name, b->name) != 0)
        return omni_problem(problem, -EPROTO, "field number %u is \"%s\" here, \"%s\" there", index,
                            a->name, b->name);
    if (a->type != b->type || a->count != b->count)
        return omni_problem(problem, -EPROTO, "field \"%s\" is %s[%u] here, %s[%u] there", a->name,
                            omni_type_name(a->type), a->count, omni_type_name(b->type), b->count);
    if (a->offset != b->offset)
        return omni_problem(problem, -EPROTO, "field \"%s\" lies at byte %u here, %u there",
                            a->name, a->offset, b->offset);
    if (strcmp(a->unit, b->unit) != 0)
        return omni_problem(problem, -EPROTO, "field \"%s\" is in \"%s\" here, \"%s\" there",
                            a->name, a->unit, b->unit);
    if (!same_bound(a->minimum, b->minimum) || !same_bound(a->maximum, b->maximum))
        return omni_problem(problem, -EPROTO, "field \"%s\" is %g to %g here, %g to %g there",
                            a->name, a->minimum, a->maximum, b->minimum, b->maximum);
    if (!same_labels(mine, a, theirs, b))
        return omni_problem(problem, -EPROTO, "field \"%s\" has other labels there", a->name);
    return 0;
}

static int compare_tables(const struct omni_table *mine, const struct omni_table *theirs,
                          struct omni_problem *problem) {
    for (uint32_t i = 0; i < mine->field_count && i < theirs->field_count; i++) {
        int error = compare_field(mine, theirs, i, problem);
        if (error < 0)
            return error;
    }
    if (mine->field_count > theirs->field_count)
        return omni_problem(problem, -EPROTO, "field \"%s\" is missing there",
                            mine->fields[theirs->field_count].name);
    if (mine->field_count < theirs->field_count)
        return omni_problem(problem, -EPROTO, "field \"%s\" is there only",
                            theirs->fields[mine->field_count].name);
    if (mine->payload_bytes != theirs->payload_bytes)
        return omni_problem(problem, -EPROTO, "the status has %u bytes here, %u there",
                            mine->payload_bytes, theirs->payload_bytes);
    return 0;
}

int omni_schema_compare(const struct omni_schema *schema, const struct omni_table *table,
                        struct omni_problem *problem) {
    struct omni_table mine = {0};
    int error = omni_schema_pack(&mine, schema, problem);
    if (error < 0)
        return error;
    error = mine.hash == table->hash ? 0 : compare_tables(&mine, table, problem);
    omni_table_free(&mine);
    return error;
}
