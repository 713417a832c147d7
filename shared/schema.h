/*
 * omni/schema.h - declaring a status: one list gives the struct and the table that describes it
 *
 * Calling sequence
 *     #define MODES(LABEL) LABEL(TANK_FILLING, "filling") LABEL(TANK_DRAINING, "draining")
 *     #define TANK(FIELD)                                                            \
 *         FIELD(number, f64, level, "l", 0, 100, "Water in the tank")                \
 *         FIELD(numbers, f32, temperature, 2, "°C", 0, 60, "At bottom and top")      \
 *         FIELD(choice, mode, MODES, "What the valve does")                          \
 *         FIELD(flag, leaking, "Water under the tank")
 *     OMNI_ENUM(tank_mode, MODES) // enum tank_mode { TANK_FILLING, TANK_DRAINING }
 *     OMNI_STATUS(tank, TANK)     // struct tank, and tank_schema() that describes it
 *
 * The kinds of field
 *     FIELD(number,  type, name,        unit, minimum, maximum, description)
 *     FIELD(numbers, type, name, count, unit, minimum, maximum, description)
 *     FIELD(flag,    name,              description)               bool
 *     FIELD(flags,   name, count,       description)               bool[count]
 *     FIELD(choice,  name,        LIST, description)               uint8_t, an index into LIST
 *     FIELD(choices, name, count, LIST, description)               uint8_t[count]
 *     FIELD(text,    name, bytes,       description)               char[bytes], UTF-8
 *     FIELD(gap,     name, bytes)                                  a hole, named; not in the table
 *   type: i8 u8 i16 u16 i32 u32 i64 u64 f32 f64. The valid range includes both ends; NAN (from
 *   <math.h>) means no bound. A value of f32 or f64 that is NAN means that there is none: null in
 *   JSON, a hole in a plot.
 *
 * Limits
 *   Names up to 31 bytes, units up to 15, 256 labels an enum, 1,024 fields, 64 KiB a status. Fields
 *   lie naturally aligned with no hole between them that has no name: put wide fields first, or
 *   name the hole with FIELD(gap, ...). The compiler says so where you forget. The struct's end is
 *   filled up to a multiple of 8 bytes by a member `omni_filler`.
 *
 * Failure
 *   Everything that a publisher can get wrong in a list is found by the compiler or by
 *   omni_schema_pack(), which omni_publisher_open() calls.
 */
#ifndef OMNI_SCHEMA_H
#define OMNI_SCHEMA_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A field as a publisher's source declares it: made by OMNI_STATUS, seldom written by hand. */
struct omni_declaration {
    const char *name;
    const char *unit;
    const char *description;
    const char *labels; /* label_count strings in a row, each NUL-terminated; NULL where none */
    uint32_t label_count;
    uint32_t type; /* enum omni_type */
    uint32_t count;
    uint32_t offset;
    uint32_t bytes;
    double minimum;
    double maximum;
};

/* A status as a program was compiled against it. */
struct omni_schema {
    const struct omni_declaration *fields;
    uint32_t field_count;
    uint32_t payload_bytes; /* sizeof the struct */
};

/* A table of fields with its text pool, in memory of this process. What a segment says of itself,
 * after every offset, count and string was checked. */
struct omni_table {
    struct omni_field *fields;
    char *text;
    uint32_t field_count;
    uint32_t text_bytes;
    uint32_t payload_bytes;
    uint64_t hash;
};

/* Room for one sentence that tells a person what is wrong. */
struct omni_problem {
    char text[256];
};

/* Makes the table of a compiled schema. *table owns its memory: omni_table_free().
 * Returns 0; -EINVAL (problem says which field and why); -ENOMEM. `problem` may be NULL. */
int omni_schema_pack(struct omni_table *table, const struct omni_schema *schema,
                     struct omni_problem *problem);

/* Checks a table as if it came from an enemy: types, counts, offsets inside the payload, no two
 * fields overlapping, names, UTF-8 without control characters, labels, hash.
 * Returns 0 or -EBADMSG with the reason in `problem` (may be NULL). */
int omni_table_check(const struct omni_table *table, struct omni_problem *problem);

/* Makes an independent copy; omni_table_free() releases it. Returns 0 or -ENOMEM. */
int omni_table_copy(struct omni_table *copy, const struct omni_table *table);

/* Releases what `table` owns and empties it. An empty table and NULL are fine. */
void omni_table_free(struct omni_table *table);

/* A 64-bit fingerprint of what makes two tables mean the same: of every field its name, type,
 * count, offset, size, unit, range and labels, and the payload's size. Descriptions do not count:
 * prose may improve. */
uint64_t omni_table_hash(const struct omni_table *table);

/* Compares what a program was compiled against with what a segment holds.
 * Returns 0 where they agree; -EPROTO with the first field that differs, and how, in `problem`
 * (may be NULL); -EINVAL or -ENOMEM where `schema` itself cannot be packed. */
int omni_schema_compare(const struct omni_schema *schema, const struct omni_table *table,
                        struct omni_problem *problem);

/* The word for a type, as in the lists: "f32", "enum"; "?" where there is no such type. */
const char *omni_type_name(uint32_t type);

/* Bytes of one element; 0 where there is no such type. */
uint32_t omni_type_bytes(uint32_t type);

/* The label of an enum's value; NULL where it has none. */
const char *omni_table_label(const struct omni_table *table, const struct omni_field *field,
                             uint32_t value);

/* The field of that name, or NULL. */
const struct omni_field *omni_table_find(const struct omni_table *table, const char *name);

/* True where the bytes are UTF-8 (no surrogates, no overlong forms) free of control characters. */
bool omni_text_is_clean(const char *text, size_t bytes);

/* ---- From here on: how the lists expand. Nothing below but the last two macros is called by name.
 * ---- */

#define OMNI_C_i8_  int8_t
#define OMNI_C_u8_  uint8_t
#define OMNI_C_i16_ int16_t
#define OMNI_C_u16_ uint16_t
#define OMNI_C_i32_ int32_t
#define OMNI_C_u32_ uint32_t
#define OMNI_C_i64_ int64_t
#define OMNI_C_u64_ uint64_t
#define OMNI_C_f32_ float
#define OMNI_C_f64_ double

/* clang-format off */
#define OMNI_NO_BOUND_           ((double)__builtin_nanf(""))
#define OMNI_LABEL_ID_(id, prose) id,
#define OMNI_LABEL_TEXT_(id, prose) prose "\0"
#define OMNI_LABEL_COUNT_(id, prose) +1u
#define OMNI_LABELS_(LIST)       (0u LIST(OMNI_LABEL_COUNT_))

/* 1. The members of the struct. */
#define OMNI_ALIGNED_(type) alignas(sizeof(OMNI_C_##type##_)) OMNI_C_##type##_
#define OMNI_MEMBER_(kind, ...) OMNI_MEMBER_##kind##_(__VA_ARGS__)
#define OMNI_MEMBER_number_(type, name, unit, low, high, prose)         OMNI_ALIGNED_(type) name;
#define OMNI_MEMBER_numbers_(type, name, count, unit, low, high, prose) OMNI_ALIGNED_(type) name[count];
#define OMNI_MEMBER_flag_(name, prose)                 bool name;
#define OMNI_MEMBER_flags_(name, count, prose)         bool name[count];
#define OMNI_MEMBER_choice_(name, LIST, prose)         uint8_t name;
#define OMNI_MEMBER_choices_(name, count, LIST, prose) uint8_t name[count];
#define OMNI_MEMBER_text_(name, bytes, prose)          char name[bytes];
#define OMNI_MEMBER_gap_(name, bytes)                 uint8_t name[bytes];

/* 2. How many bytes the members take when no hole is between them. */
#define OMNI_SIZE_(kind, ...) OMNI_SIZE_##kind##_(__VA_ARGS__)
#define OMNI_SIZE_number_(type, name, unit, low, high, prose)         +sizeof(OMNI_C_##type##_)
#define OMNI_SIZE_numbers_(type, name, count, unit, low, high, prose) +sizeof(OMNI_C_##type##_) * (count)
#define OMNI_SIZE_flag_(name, prose)                 +1u
#define OMNI_SIZE_flags_(name, count, prose)         +(size_t)(count)
#define OMNI_SIZE_choice_(name, LIST, prose)         +1u
#define OMNI_SIZE_choices_(name, count, LIST, prose) +(size_t)(count)
#define OMNI_SIZE_text_(name, bytes, prose)          +(size_t)(bytes)
#define OMNI_SIZE_gap_(name, bytes)                 +(size_t)(bytes)
#define OMNI_SIZE_OF_(LIST) ((size_t)0 LIST(OMNI_SIZE_))

/* 3. The entries of the table; omni_this_status is the struct, inside <status>_schema(). */
#define OMNI_ENTRY_(id, member, units, prose, low, high, label_texts, labels_in_all, elements)   \
    {.name = #member, .unit = (units), .description = (prose), .labels = (label_texts),          \
     .label_count = (labels_in_all), .type = OMNI_TYPE_##id, .count = (elements),               \
     .offset = (uint32_t)offsetof(omni_this_status, member),                                    \
     .bytes = (uint32_t)sizeof(((omni_this_status *)0)->member),                                \
     .minimum = (double)(low), .maximum = (double)(high)},
#define OMNI_TABLE_(kind, ...) OMNI_TABLE_##kind##_(__VA_ARGS__)
#define OMNI_TABLE_number_(type, name, unit, low, high, prose) \
    OMNI_ENTRY_(type, name, unit, prose, low, high, NULL, 0, 1)
#define OMNI_TABLE_numbers_(type, name, count, unit, low, high, prose) \
    OMNI_ENTRY_(type, name, unit, prose, low, high, NULL, 0, count)
#define OMNI_TABLE_flag_(name, prose) OMNI_ENTRY_(bool, name, "", prose, 0, 1, NULL, 0, 1)
#define OMNI_TABLE_flags_(name, count, prose) OMNI_ENTRY_(bool, name, "", prose, 0, 1, NULL, 0, count)
#define OMNI_TABLE_choice_(name, LIST, prose) OMNI_TABLE_choices_(name, 1, LIST, prose)
#define OMNI_TABLE_choices_(name, count, LIST, prose)                                            \
    OMNI_ENTRY_(enum, name, "", prose, 0, OMNI_LABELS_(LIST) - 1u, LIST(OMNI_LABEL_TEXT_),       \
                OMNI_LABELS_(LIST), count)
#define OMNI_TABLE_text_(name, bytes, prose) \
    OMNI_ENTRY_(text, name, "", prose, OMNI_NO_BOUND_, OMNI_NO_BOUND_, NULL, 0, bytes)
#define OMNI_TABLE_gap_(name, bytes)
/* clang-format on */

/* Defines `enum name` from a list of labels; a status holds such a value in one byte. */
#define OMNI_ENUM(name, LIST) enum name { LIST(OMNI_LABEL_ID_) };

/* Defines `struct status` and `const struct omni_schema *status_schema(void)` from a list of
 * fields. */
#define OMNI_STATUS(status, LIST)                                                                  \
    struct status {                                                                                \
        LIST(OMNI_MEMBER_)                                                                         \
        uint8_t omni_filler[8u - OMNI_SIZE_OF_(LIST) % 8u];                                        \
    };                                                                                             \
    static_assert(sizeof(struct status) == OMNI_SIZE_OF_(LIST) + 8u - OMNI_SIZE_OF_(LIST) % 8u,    \
                  "struct " #status " has a hole: list wide fields first, or name the hole with "  \
                  "FIELD(gap, name, bytes)");                                                      \
    static inline const struct omni_schema *status##_schema(void) {                                \
        typedef struct status omni_this_status;                                                    \
        static const struct omni_declaration fields[] = {LIST(OMNI_TABLE_)};                       \
        static const struct omni_schema schema = {fields, sizeof fields / sizeof fields[0],        \
                                                  sizeof(struct status)};                          \
        return &schema;                                                                            \
    }

#ifdef __cplusplus
}
#endif

#endif
