/*
 * omni/segment.h - the bytes of a status segment
 *
 * Purpose
 *   One publisher writes a segment, any number of observers read it. This header says where every
 *   byte is; nothing else in the library knows. The same bytes mean the same on every CPU with
 *   little-endian byte order, with 32-bit or 64-bit words.
 *
 * Shape
 *   +--------------------------+ 0
 *   | struct omni_header       |  what this is, where things are, the version counter
 *   +--------------------------+ header.field_offset
 *   | struct omni_field  [n]   |  the table of fields: a status describes itself
 *   +--------------------------+ header.text_offset
 *   | text pool                |  descriptions and labels, NUL-terminated UTF-8
 *   +--------------------------+ header.ring_offset
 *   | slot 0 | slot 1 | ...    |  struct omni_slot, then the payload; slot_bytes apart
 *   +--------------------------+ header.segment_bytes - 64
 *   | struct omni_end          |  a mark: a reader sees at once that a file was cut short
 *   +--------------------------+ header.segment_bytes
 *
 * Life
 *   On one kernel (scope OMNI_SCOPE_KERNEL) a publisher builds the whole segment under a temporary
 *   name, stores layout_version last (with release ordering) and renames the file into place:
 *   nobody sees half a segment. Everything above `version` is constant from then on. A new
 *   publisher of the same name makes a new file with a new `instance`; it never changes an old one.
 *
 *   Memory that machines share (scope OMNI_SCOPE_MACHINES) has no names to rename: the segment lies
 *   at the start of the region and is built in place. Its owner writes 0 into layout_version,
 *   then a new `epoch`, then everything else, and layout_version last. A reader that finds another
 *   epoch than at its attach throws away what it copied and attaches anew. Who may write is told by
 *   `owner`, whether it lives by `heartbeat` (omni/publish.h). Only loads and stores of 32-bit words
 *   are relied on: no read-modify-write, no lock, no futex (docs/adr/0010).
 *
 * Compatibility
 *   A reader refuses another layout_version, another byte order and any bit in incompatible_flags
 *   that it does not know. It ignores bits in compatible_flags. Any change of an offset below is a
 *   new OMNI_LAYOUT_VERSION; tests/unit/shared/segment_test.c asserts every offset literally.
 *
 * All integers are little-endian, all floats IEEE 754. (A publisher on a CPU of the other byte order
 * says so in byte_order, and readers here refuse it.) Times are nanoseconds: "monotonic" counts
 * from an arbitrary start and never steps (CLOCK_MONOTONIC), "wall" counts from 1970 and may step
 * (CLOCK_REALTIME).
 */
#ifndef OMNI_SEGMENT_H
#define OMNI_SEGMENT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OMNI_MAGIC            "OMNISTAT" /* the first eight bytes of every segment */
#define OMNI_LAYOUT_VERSION   1u
#define OMNI_BYTE_ORDER       0x01020304u
#define OMNI_END_MARK         0x21444E45u /* "END!" */
#define OMNI_CACHE_LINE_BYTES 64u

#define OMNI_NAME_BYTES       48u /* of a source's name, with its NUL */
#define OMNI_FIELD_NAME_BYTES 32u
#define OMNI_UNIT_BYTES       16u

/* Bits of compatible_flags. STEADY: ticks follow each other while all is well, so that half a second
 * without one is silence, also where there is no period. */
#define OMNI_COMPATIBLE_STEADY 1u

/* Bounds that a reader insists on before it believes a header. */
#define OMNI_FIELDS_MAX        1024u
#define OMNI_TEXT_BYTES_MAX    262144u
#define OMNI_PAYLOAD_BYTES_MAX 65536u
#define OMNI_SLOTS_MIN         2u
#define OMNI_SLOTS_MAX         (1u << 20)
#define OMNI_SEGMENT_BYTES_MAX (1ull << 30)

/* Which world the two sides share (header.scope). */
enum omni_scope {
    OMNI_SCOPE_KERNEL = 1,  /* one kernel: file locks and futexes may be relied on */
    OMNI_SCOPE_MACHINES = 2 /* two kernels share only the memory: atomic words, nothing else */
};

/* What the publisher says of itself (header.state). A publisher that died says nothing: see
 * omni_observer_life(). */
enum omni_state { OMNI_STATE_OPEN = 1, OMNI_STATE_CLOSED = 2 };

/* header.bell of a sleeper: the number of its doorbell interrupt. Garbage there costs one ring. */
#define OMNI_BELL_ASKED      0x80000000u /* somebody sleeps: */
#define OMNI_BELL_PEER_SHIFT 16u         /* peer of that number, */
#define OMNI_BELL_PEER_MAX   0x7FFFu
#define OMNI_BELL_VECTOR_MAX 0xFFFFu /* with that vector */

struct omni_header {
    /* First cache line: what this is. */
    uint8_t magic[8];            /* OMNI_MAGIC */
    uint32_t layout_version;     /* stored last; 0 while the segment is being built */
    uint32_t byte_order;         /* OMNI_BYTE_ORDER as the publisher's CPU stores it */
    uint32_t header_bytes;       /* sizeof(struct omni_header) */
    uint32_t scope;              /* enum omni_scope */
    uint32_t incompatible_flags; /* a reader that does not know a set bit must refuse */
    uint32_t compatible_flags;   /* a reader may ignore bits that it does not know */
    uint64_t segment_bytes;      /* of the whole, with its end; a multiple of the cache line */
    uint64_t schema_hash;        /* omni_table_hash() of the table */
    uint64_t instance;           /* differs for every start of a publisher; never 0 */
    uint64_t period_ns;          /* nominal time between ticks; 0: no period */

    /* Second cache line: where things are. */
    uint32_t field_offset; /* of the table, from the start of the segment */
    uint32_t field_count;
    uint32_t field_bytes; /* size of one table entry */
    uint32_t text_offset;
    uint32_t text_bytes;
    uint32_t ring_offset;
    uint32_t slot_count;    /* a power of two */
    uint32_t slot_bytes;    /* distance between slots, a multiple of the cache line */
    uint32_t payload_bytes; /* a multiple of 8 */
    uint32_t process_id;    /* of the publisher, as the publisher sees it */
    uint64_t started_monotonic_ns;
    uint64_t started_wall_ns;
    uint64_t reserved_where;

    /* Third cache line: the name. */
    char name[OMNI_NAME_BYTES]; /* without the "omni." of the file */
    uint8_t reserved_name[16];

    /* Fourth cache line: the only one that changes after the start. */
    uint32_t
        version;    /* of the newest complete slot; 0: none yet; wraps, skipping 0; a futex word */
    uint32_t state; /* enum omni_state */
    /* The next four are zero on one kernel, which knows better means. */
    uint32_t owner;     /* who may write here: a number of its publisher's own; 0: nobody */
    uint32_t heartbeat; /* changes while the owner lives, at least once a second */
    uint32_t epoch;     /* another one for each time that the segment was built */
    uint32_t bell;      /* whom to wake after the next tick: OMNI_BELL_...; 0: nobody sleeps */
    uint8_t reserved_version[40];
};

/* The kinds of value. The numbers are part of the layout: never reuse one.
 *   X(name in lists, number, C type)
 * enum values are indexes into the field's labels; text is UTF-8, NUL-terminated if shorter. */
#define OMNI_TYPES(X)                                                                              \
    X(bool, 1, uint8_t)                                                                            \
    X(i8, 2, int8_t)                                                                               \
    X(u8, 3, uint8_t)                                                                              \
    X(i16, 4, int16_t)                                                                             \
    X(u16, 5, uint16_t)                                                                            \
    X(i32, 6, int32_t)                                                                             \
    X(u32, 7, uint32_t)                                                                            \
    X(i64, 8, int64_t)                                                                             \
    X(u64, 9, uint64_t)                                                                            \
    X(f32, 10, float)                                                                              \
    X(f64, 11, double)                                                                             \
    X(enum, 12, uint8_t)                                                                           \
    X(text, 13, char)

#define OMNI_TYPE_NUMBER_(name, number, ctype) OMNI_TYPE_##name = (number),
enum omni_type { OMNI_TYPES(OMNI_TYPE_NUMBER_) };
#undef OMNI_TYPE_NUMBER_

/* One entry of the table of fields. */
struct omni_field {
    char name[OMNI_FIELD_NAME_BYTES]; /* [A-Za-z_][A-Za-z0-9_]*, unique in the table */
    char unit[OMNI_UNIT_BYTES];       /* UTF-8, "" where none makes sense */
    uint32_t type;                    /* enum omni_type */
    uint32_t count;                   /* of elements; 1: a scalar; for text: its bytes */
    uint32_t offset;                  /* in the payload, a multiple of the element's size */
    uint32_t bytes;                   /* of the whole field */
    double minimum;                   /* valid range, both ends included; */
    double maximum;                   /* NaN: no bound */
    uint32_t description;             /* offset in the text pool of one line of prose */
    uint32_t labels;      /* enum only: offset of the first of label_count strings in a row */
    uint32_t label_count; /* enum only, else 0 */
    uint32_t reserved;
};

/* The head of a slot. The payload follows at once. Slot of version v: v & (slot_count - 1). */
struct omni_slot {
    uint32_t sequence; /* the version that it holds; 0: being written, or never written */
    uint32_t reserved; /* zero, and not looked at: it aligns the tick */
    uint64_t tick;     /* 1 for the first publication of this instance, then one more each time */
    uint64_t monotonic_ns;
    uint64_t wall_ns;
};

/* The last cache line of a segment. Wherever a file is truncated, the mark is gone. The rest of the
 * line only fills it: zeros, which a reader does not look at, because nothing hangs on them. A
 * meaning for them would come with a flag in the header. */
struct omni_end {
    uint32_t mark; /* OMNI_END_MARK */
    uint8_t reserved[60];
};

static_assert(sizeof(struct omni_end) == 64, "the end is a cache line");
static_assert(sizeof(struct omni_header) == 256, "the header is four cache lines");
static_assert(sizeof(struct omni_field) == 96, "a table entry is 96 bytes");
static_assert(sizeof(struct omni_slot) == 32, "a slot's head is 32 bytes");

#ifdef __cplusplus
}
#endif

#endif
