/* Any local user can make a file with the right name. Every field of the header and of the table
 * is spoiled in turn, then the whole at random: attaching gives a clear error, or the field is one
 * where any value is legal (they are listed here); reading never leaves the segment, never traps
 * its caller in a loop, never crashes. The segment ends exactly at the end of a page, and wherever
 * the kernel plays along nothing is mapped behind it. All of it twice: for a segment of one kernel,
 * and for one in memory that machines share, where the other side is not even this kernel's. */
#include "support.h"

#include "shared/observer_internal.h"

enum { SLOTS = 16, PATIENCE = 10 * SLOTS, ROUNDS = 20000, ROUNDS_UNDER_THREAD_SANITIZER = 4000 };

/* Which of the two; cmocka's group set-ups have nothing else to tell it by. */
static bool machines;

/* ---- a valid segment, to be spoiled ---- */

struct victim {
    const struct scratch *scratch;
    char path[PATH_MAX];
    char address[PATH_MAX + 8]; /* file: */
    struct bytes whole;         /* as it was */
    size_t page;
    int file;
    unsigned guarded, attached;
};

static uint32_t get(const struct victim *victim, size_t offset) {
    uint32_t value;
    memcpy(&value, victim->whole.at + offset, sizeof value);
    return value;
}

static void put(struct victim *victim, size_t offset, uint32_t value) {
    memcpy(victim->whole.at + offset, &value, sizeof value);
}

/* Moves the ring so that the segment ends with a page. */
static void end_with_a_page(struct victim *victim) {
    size_t pages = (victim->whole.count + victim->page - 1) / victim->page;
    size_t size = pages * victim->page, more = size - victim->whole.count;
    size_t ring = get(victim, offsetof(struct omni_header, ring_offset));
    unsigned char *moved = calloc(1, size);
    assert_non_null(moved);
    memcpy(moved, victim->whole.at, ring);
    memcpy(moved + ring + more, victim->whole.at + ring, victim->whole.count - ring);
    free(victim->whole.at);
    victim->whole = (struct bytes){moved, size};
    put(victim, offsetof(struct omni_header, ring_offset), (uint32_t)(ring + more));
    put(victim, offsetof(struct omni_header, segment_bytes), (uint32_t)size);
}

static void victim_make(struct victim *victim, const struct scratch *scratch) {
    *victim = (struct victim){.scratch = scratch, .page = (size_t)sysconf(_SC_PAGESIZE)};
    scratch_path(scratch, machines ? "victim.region" : "omni.victim", victim->path,
                 sizeof victim->path);
    snprintf(victim->address, sizeof victim->address, "file:%s", victim->path);
    struct omni_publisher_options options = {
        .slot_count = SLOTS, .period_ns = 1000000, .region = machines ? victim->address : NULL};
    struct omni_publisher *publisher = must_open(scratch, "victim", probe_schema(), options);
    struct probe probe = {.level = 1};
    for (int i = 0; i < 20; i++)
        omni_publish(publisher, &probe);
    victim->whole = read_file(victim->path);
    /* A region may be larger than what is in it. */
    victim->whole.count = get(victim, offsetof(struct omni_header, segment_bytes));
    omni_publisher_close(publisher);
    end_with_a_page(victim);
    write_file(victim->path, victim->whole.at, victim->whole.count);
    victim->file = open(victim->path, O_RDWR | O_CLOEXEC);
    assert_true(victim->file >= 0);
}

static void victim_free(struct victim *victim) {
    close(victim->file);
    free(victim->whole.at);
}

static void spoil(const struct victim *victim, size_t offset, const void *bytes, size_t count) {
    assert_int_equal(pwrite(victim->file, bytes, count, (off_t)offset), count);
}

static void heal(const struct victim *victim, size_t offset, size_t count) {
    spoil(victim, offset, victim->whole.at + offset, count);
}

/* ---- attaching to it, with nothing behind it ---- */

/* Leaves a hole in the address space that fits the segment, with a wall behind: the kernel puts
 * the mapping there as a rule. Returns the wall. */
static void *build_wall(const struct victim *victim) {
    size_t size = victim->whole.count;
    unsigned char *space = mmap(NULL, size + victim->page, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(space, MAP_FAILED);
    munmap(space, size);
    return space + size;
}

/* Reads all that there is, in each way. Returns how many calls the drain took. */
static int use(struct omni_observer *observer) {
    struct omni_stamp stamp;
    struct probe payload[2];
    int calls = 0;
    if (omni_observer_payload_bytes(observer) <= sizeof payload) {
        while (calls < PATIENCE && omni_observer_next(observer, &stamp, payload) == 0)
            calls++;
        omni_observer_newest(observer, &stamp, payload);
    } else {
        void *large = malloc(omni_observer_payload_bytes(observer));
        assert_non_null(large);
        while (calls < PATIENCE && omni_observer_next(observer, &stamp, large) == 0)
            calls++;
        free(large);
    }
    const struct omni_table *table = omni_observer_table(observer);
    size_t letters = 0;
    for (uint32_t i = 0; i < table->field_count; i++) {
        const char *label;
        for (uint32_t k = 0; (label = omni_table_label(table, &table->fields[i], k)) != NULL; k++)
            letters += strlen(label);
        letters += strlen(table->text + table->fields[i].description);
        assert_non_null(omni_table_find(table, table->fields[i].name));
    }
    assert_true(letters / 4 < OMNI_TEXT_BYTES_MAX);
    omni_observer_expect(observer, probe_schema(), NULL);
    omni_observer_life(observer);
    omni_observer_is_replaced(observer);
    omni_observer_version(observer);
    if (machines)
        omni_observer_ask_bell(observer, 1, 0);
    return calls;
}

static int attach(const struct victim *victim, struct omni_observer **observer,
                  struct omni_problem *problem) {
    if (!machines)
        return try_attach(victim->scratch, "victim", observer, problem);
    struct omni_observer_options options = {.writable_bell = true};
    return omni_observer_attach(observer, victim->address, &options, problem);
}

/* Returns what attach returned; where it attached, everything is read. */
static int try_victim(struct victim *victim) {
    struct omni_observer *observer = NULL;
    struct omni_problem problem = {""};
    void *wall = build_wall(victim);
    int error = attach(victim, &observer, &problem);
    if (error < 0) {
        assert_null(observer);
        assert_string_not_equal(problem.text, "");
    } else {
        victim->attached++;
        victim->guarded += (void *)(observer->region.bytes + observer->region.size) == wall;
        /* A drain ends: there are no more slots than that. */
        int calls = use(observer);
        assert_in_range(calls, 0, SLOTS);
        omni_observer_detach(observer);
    }
    munmap(wall, victim->page);
    return error;
}

static void tell_walls(const struct victim *victim) {
    print_message("        attached %u times, %u of them right below an unmapped page\n",
                  victim->attached, victim->guarded);
}

/* ---- the header, field by field ---- */

struct header_field {
    const char *name;
    size_t offset, bytes;
    bool any_value; /* is legal */
};

#define H(member, any)                                                                             \
    {                                                                                              \
#member, offsetof(struct omni_header, member), sizeof(((struct omni_header *)0)->member),  \
            any                                                                                    \
    }

static const struct header_field header_fields[] = {
    H(magic, false),
    H(layout_version, false),
    H(byte_order, false),
    H(header_bytes, false),
    H(scope, false), /* but 1 and 2 */
    H(incompatible_flags, false),
    H(compatible_flags, true), /* to be ignored, by the promise of compatibility */
    H(segment_bytes, false),
    H(schema_hash, false),
    H(instance, false),  /* only 0 is illegal */
    H(period_ns, false), /* up to an hour */
    H(field_offset, false),
    H(field_count, false),
    H(field_bytes, false),
    H(text_offset, false),
    H(text_bytes, false), /* more, where there is a gap before the ring */
    H(ring_offset, false),
    H(slot_count, false), /* a smaller ring fits, too */
    H(slot_bytes, false),
    H(payload_bytes, false),
    H(process_id, true),           /* the publisher's word */
    H(started_monotonic_ns, true), /* also */
    H(started_wall_ns, true),      /* also */
    H(reserved_where, false),
    H(name, false),
    H(reserved_name, false),
    H(version, true), /* changes at any time: never believed */
    H(state, false),  /* 1 and 2 */
    H(owner, false),  /* this and the next three have a meaning between machines only */
    H(heartbeat, false),
    H(epoch, false),
    H(bell, false),
    H(reserved_version, false),
};

static void header_fields_are_complete(void **state) {
    size_t at = 0;
    (void)state;
    for (size_t i = 0; i < sizeof header_fields / sizeof header_fields[0]; i++) {
        assert_int_equal(header_fields[i].offset, at);
        at += header_fields[i].bytes;
    }
    assert_int_equal(at, sizeof(struct omni_header));
}

/* Values that are legal where others of the field are not. */
static bool is_legal(const struct victim *victim, const struct header_field *field,
                     const unsigned char *spoiled) {
    uint64_t value = 0;
    memcpy(&value, spoiled, field->bytes < sizeof value ? field->bytes : sizeof value);
    if (strcmp(field->name, "state") == 0)
        return value == 1 || value == 2;
    if (strcmp(field->name, "scope") == 0)
        return value == 2 || (value == 1 && !machines);
    /* Nothing that is believed hangs on these words of the other machine's. */
    if (field->offset >= offsetof(struct omni_header, owner) &&
        field->offset < offsetof(struct omni_header, reserved_version))
        return machines;
    if (strcmp(field->name, "instance") == 0)
        return value != 0;
    /* No file says there what the name should be. */
    if (strcmp(field->name, "name") == 0)
        return machines && memchr(spoiled, '\0', field->bytes) != NULL &&
               omni_name_is_valid((const char *)spoiled);
    if (strcmp(field->name, "period_ns") == 0)
        return value <= 3600000000000u;
    if (strcmp(field->name, "text_bytes") == 0) {
        uint32_t room = get(victim, offsetof(struct omni_header, ring_offset)) -
                        get(victim, offsetof(struct omni_header, text_offset));
        return value >= get(victim, field->offset) && value <= room;
    }
    if (strcmp(field->name, "slot_count") == 0)
        return value == 2 || value == 4 || value == 8 || value == SLOTS;
    /* The ring may lie earlier or later, as long as all of it lies inside. */
    if (strcmp(field->name, "ring_offset") == 0)
        return value % 64 == 0 && value <= get(victim, field->offset) &&
               value >= get(victim, offsetof(struct omni_header, text_offset)) +
                            get(victim, offsetof(struct omni_header, text_bytes));
    /* Narrower slots, as long as a payload fits in. */
    if (strcmp(field->name, "slot_bytes") == 0)
        return value % 64 == 0 && value >= 32 + sizeof(struct probe) &&
               value <= get(victim, field->offset);
    return false;
}

static void try_header_value(struct victim *victim, const struct header_field *field,
                             const unsigned char *spoiled) {
    bool changed = memcmp(spoiled, victim->whole.at + field->offset, field->bytes) != 0;
    spoil(victim, field->offset, spoiled, field->bytes);
    int error = try_victim(victim);
    heal(victim, field->offset, field->bytes);
    bool legal = !changed || field->any_value || is_legal(victim, field, spoiled);
    if ((error == 0) != legal)
        fail_msg("%s = %02x %02x %02x %02x ...: attach said %d, but the value is %s", field->name,
                 spoiled[0], spoiled[1], spoiled[2], spoiled[3], error,
                 legal ? "legal" : "not legal");
}

static void try_header_words(struct victim *victim, const struct header_field *field) {
    static const uint32_t extremes[] = {
        0,          1,          2,          3,          7,          8,          63,
        64,         127,        128,        255,        256,        4095,       4096,
        0xFFFF,     0x10000,    0x10001,    0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFC0,
        0xFFFFFFF8, 0xFFFFFFFF, 0x01020304, 0x04030201, 0x40000000, 0x40000001};
    for (size_t word = 0; word + 4 <= field->bytes; word += 4)
        for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
            unsigned char spoiled[64];
            memcpy(spoiled, victim->whole.at + field->offset, field->bytes);
            memcpy(spoiled + word, &extremes[i], sizeof extremes[i]);
            /* What stands behind the name's end is nobody's business. */
            if (strcmp(field->name, "name") == 0 && word > strlen("victim"))
                continue;
            try_header_value(victim, field, spoiled);
        }
}

static void try_header_bits(struct victim *victim, const struct header_field *field) {
    for (size_t bit = 0; bit < 8 * field->bytes; bit++) {
        unsigned char spoiled[64];
        if (strcmp(field->name, "name") == 0 && bit / 8 > strlen("victim"))
            continue;
        memcpy(spoiled, victim->whole.at + field->offset, field->bytes);
        spoiled[bit / 8] ^= (unsigned char)(1u << bit % 8);
        try_header_value(victim, field, spoiled);
    }
}

static void every_field_of_the_header_spoiled(void **state) {
    struct victim victim;
    victim_make(&victim, *state);
    assert_int_equal(try_victim(&victim), 0);
    for (size_t i = 0; i < sizeof header_fields / sizeof header_fields[0]; i++) {
        assert_in_range(header_fields[i].bytes, 4, 64);
        try_header_words(&victim, &header_fields[i]);
        try_header_bits(&victim, &header_fields[i]);
    }
    assert_int_equal(try_victim(&victim), 0);
    tell_walls(&victim);
    victim_free(&victim);
}

/* ---- which error for what ---- */

static void try_word(struct victim *victim, size_t offset, uint32_t value, int expected) {
    spoil(victim, offset, &value, sizeof value);
    assert_int_equal(try_victim(victim), expected);
    heal(victim, offset, sizeof value);
}

static void errors_tell_what_to_do(void **state) {
    struct victim victim;
    victim_make(&victim, *state);
    try_word(&victim, offsetof(struct omni_header, magic), 0, -EBADMSG);
    try_word(&victim, offsetof(struct omni_header, layout_version), 0, -EAGAIN);
    try_word(&victim, offsetof(struct omni_header, layout_version), 2, -EPROTO);
    try_word(&victim, offsetof(struct omni_header, byte_order), 0x04030201, -EPROTO);
    try_word(&victim, offsetof(struct omni_header, incompatible_flags), 1, -EPROTO);
    try_word(&victim, offsetof(struct omni_header, slot_count), 3, -EBADMSG);
    try_word(&victim, victim.whole.count - sizeof(struct omni_end), 0, -EBADMSG);
    try_word(&victim, victim.whole.count - sizeof(struct omni_end), OMNI_END_MARK, 0);
    victim_free(&victim);
}

static void shorter_files_are_refused(void **state) {
    struct victim victim;
    victim_make(&victim, *state);
    for (size_t size = victim.whole.count; size-- > 0; size -= size > 300 ? size / 40 : 0) {
        assert_int_equal(ftruncate(victim.file, (off_t)size), 0);
        /* An empty file is one that nothing has been published in yet. */
        assert_int_equal(try_victim(&victim), machines && size == 0 ? -EAGAIN : -EBADMSG);
    }
    heal(&victim, 0, victim.whole.count);
    assert_int_equal(try_victim(&victim), 0);
    victim_free(&victim);
}

/* As much text as is allowed, and one byte more. */
static void text_is_bounded(void **state) {
    struct victim victim;
    victim_make(&victim, *state);
    uint32_t ring = get(&victim, offsetof(struct omni_header, ring_offset));
    uint32_t text = get(&victim, offsetof(struct omni_header, text_offset));
    uint32_t more = OMNI_TEXT_BYTES_MAX / 64 * 64 + 64;
    size_t size = victim.whole.count + more;
    unsigned char *larger = calloc(1, size);
    assert_non_null(larger);
    memcpy(larger, victim.whole.at, ring);
    memcpy(larger + ring + more, victim.whole.at + ring, victim.whole.count - ring);
    free(victim.whole.at);
    victim.whole = (struct bytes){larger, size};
    put(&victim, offsetof(struct omni_header, ring_offset), ring + more);
    put(&victim, offsetof(struct omni_header, segment_bytes), (uint32_t)size);
    assert_true(text + OMNI_TEXT_BYTES_MAX < ring + more);
    heal(&victim, 0, size);
    try_word(&victim, offsetof(struct omni_header, text_bytes), OMNI_TEXT_BYTES_MAX, 0);
    try_word(&victim, offsetof(struct omni_header, text_bytes), OMNI_TEXT_BYTES_MAX + 1, -EBADMSG);
    victim_free(&victim);
}

/* ---- the table, field by field ---- */

/* Bytes of an entry that mean nothing: behind the end of a name or unit, and the labels of what
 * has none. */
static bool is_idle(const struct omni_field *field, size_t byte) {
    size_t in_unit = byte - offsetof(struct omni_field, unit);
    if (byte < sizeof field->name)
        return byte > strlen(field->name);
    if (in_unit < sizeof field->unit)
        return in_unit > strlen(field->unit);
    return byte >= offsetof(struct omni_field, labels) &&
           byte < offsetof(struct omni_field, label_count) && field->label_count == 0;
}

/* An offset of prose may be moved to the beginning or the middle of another string, and there are
 * many ways to write "no bound". */
static bool is_tolerant(const struct omni_field *field, size_t byte) {
    if (byte >= offsetof(struct omni_field, minimum) && byte < offsetof(struct omni_field, maximum))
        return isnan(field->minimum);
    if (byte >= offsetof(struct omni_field, maximum) &&
        byte < offsetof(struct omni_field, description))
        return isnan(field->maximum);
    return byte >= offsetof(struct omni_field, description) &&
           byte < offsetof(struct omni_field, labels);
}

static struct omni_field entry(const struct victim *victim, size_t index) {
    struct omni_field field;
    memcpy(&field, victim->whole.at + sizeof(struct omni_header) + index * sizeof field,
           sizeof field);
    return field;
}

static void expect_table(struct victim *victim, uint32_t index, size_t byte, int error) {
    struct omni_field field = entry(victim, index);
    bool idle = is_idle(&field, byte);
    if (idle ? error != 0 : error != -EBADMSG && !(is_tolerant(&field, byte) && error == 0))
        fail_msg("field \"%s\", byte %zu: attach said %d", field.name, byte, error);
}

static void every_bit_of_the_table_flipped(void **state) {
    struct victim victim;
    victim_make(&victim, *state);
    uint32_t fields = get(&victim, offsetof(struct omni_header, field_count));
    for (uint32_t index = 0; index < fields; index++)
        for (size_t byte = 0; byte < sizeof(struct omni_field); byte++) {
            size_t at = sizeof(struct omni_header) + index * sizeof(struct omni_field) + byte;
            for (unsigned bit = 0; bit < 8; bit++) {
                unsigned char spoiled = victim.whole.at[at] ^ (unsigned char)(1u << bit);
                spoil(&victim, at, &spoiled, 1);
                expect_table(&victim, index, byte, try_victim(&victim));
            }
            heal(&victim, at, 1);
        }
    tell_walls(&victim);
    victim_free(&victim);
}

static void every_word_of_the_table_extreme(void **state) {
    static const uint32_t extremes[] = {0, 1, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    struct victim victim;
    victim_make(&victim, *state);
    uint32_t fields = get(&victim, offsetof(struct omni_header, field_count));
    size_t end = sizeof(struct omni_header) + fields * sizeof(struct omni_field);
    for (size_t at = sizeof(struct omni_header); at < end; at += 4)
        for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
            size_t byte = (at - sizeof(struct omni_header)) % sizeof(struct omni_field);
            spoil(&victim, at, &extremes[i], 4);
            int error = try_victim(&victim);
            heal(&victim, at, 4);
            if (error != 0 && error != -EBADMSG)
                fail_msg("byte %zu = %08x: attach said %d", at, extremes[i], error);
            /* Numbers of an entry: nothing but its own value will do. */
            struct omni_field field =
                entry(&victim, (at - sizeof(struct omni_header)) / sizeof(struct omni_field));
            bool number = byte >= offsetof(struct omni_field, type) && !is_tolerant(&field, byte) &&
                          !is_idle(&field, byte);
            if (number && error == 0 && get(&victim, at) != extremes[i])
                fail_msg("byte %zu = %08x was believed", at, extremes[i]);
        }
    victim_free(&victim);
}

/* Prose may change; a control character, broken UTF-8 or another label may not. */
static void every_byte_of_the_text_spoiled(void **state) {
    static const unsigned char extremes[] = {0x00, 0x01, 0x0A, 0x1B, 0x7F, 0x80, 0xC0, 0xFF};
    struct victim victim;
    victim_make(&victim, *state);
    size_t text = get(&victim, offsetof(struct omni_header, text_offset));
    size_t end = text + get(&victim, offsetof(struct omni_header, text_bytes));
    for (size_t at = text; at < end; at++)
        for (size_t i = 0; i < sizeof extremes; i++) {
            spoil(&victim, at, &extremes[i], 1);
            int error = try_victim(&victim);
            heal(&victim, at, 1);
            if (error != -EBADMSG && (error != 0 || (extremes[i] != 0)))
                fail_msg("text byte %zu = %02x: attach said %d", at - text, extremes[i], error);
        }
    victim_free(&victim);
}

/* ---- everything at once, at random ---- */

static int rounds_to_do(void) {
    return strcmp(SANITIZER, "thread") == 0 ? ROUNDS_UNDER_THREAD_SANITIZER : ROUNDS;
}

static size_t pick(uint64_t *seed, size_t below) {
    return (size_t)(chance(seed) % below);
}

static size_t somewhere(const struct victim *victim, uint64_t *seed) {
    size_t ring = get(victim, offsetof(struct omni_header, ring_offset));
    size_t text_end = get(victim, offsetof(struct omni_header, text_offset)) +
                      get(victim, offsetof(struct omni_header, text_bytes));
    switch (chance(seed) % 4) {
    case 0:
        return pick(seed, sizeof(struct omni_header));
    case 1: /* a slot's head */
        return ring + pick(seed, SLOTS) * 128 + pick(seed, sizeof(struct omni_slot));
    case 2:
        return pick(seed, victim->whole.count);
    default:
        return pick(seed, text_end);
    }
}

static void mutate(const struct victim *victim, uint64_t *seed, size_t at) {
    unsigned char bytes[8];
    size_t count = (size_t)1 << chance(seed) % 4;
    if (at + count > victim->whole.count)
        at = victim->whole.count - count;
    memcpy(bytes, victim->whole.at + at, count);
    uint64_t value = chance(seed);
    if (chance(seed) % 2 == 0)
        bytes[value % count] ^= (unsigned char)(1u << value / 8 % 8);
    else if (chance(seed) % 2 == 0)
        memcpy(bytes, &value, count);
    else
        memset(bytes, chance(seed) % 2 == 0 ? 0 : 0xFF, count);
    spoil(victim, at, bytes, count);
}

static void random_mutations(void **state) {
    const int rounds = rounds_to_do();
    struct victim victim;
    uint64_t seed = 0x0123456789ABCDEFu;
    int attached = 0;
    victim_make(&victim, *state);
    for (int round = 0; round < rounds; round++) {
        unsigned count = 1 + (unsigned)(chance(&seed) % 8);
        for (unsigned i = 0; i < count; i++)
            mutate(&victim, &seed, somewhere(&victim, &seed));
        attached += try_victim(&victim) == 0;
        heal(&victim, 0, victim.whole.count);
    }
    print_message("        %d mutations, %d of them could be attached to\n", rounds, attached);
    /* Both kinds must occur, or this says nothing. */
    assert_in_range(attached, rounds / 100, rounds - rounds / 100);
    tell_walls(&victim);
    victim_free(&victim);
}

/* The ring alone, while somebody is attached: it is the part that is never copied before use. */
static void random_mutations_while_reading(void **state) {
    struct victim victim;
    uint64_t seed = 0xFEDCBA9876543210u;
    victim_make(&victim, *state);
    struct omni_observer *observer = NULL;
    assert_int_equal(attach(&victim, &observer, NULL), 0);
    size_t ring = get(&victim, offsetof(struct omni_header, ring_offset));
    for (int round = 0; round < rounds_to_do(); round++) {
        uint32_t word = (uint32_t)chance(&seed);
        word = chance(&seed) % 2 == 0 ? word % 64 : word;
        size_t slot = ring + pick(&seed, SLOTS) * 128;
        spoil(&victim, offsetof(struct omni_header, version), &word, sizeof word);
        word = chance(&seed) % 2 == 0 ? word : word + (uint32_t)(chance(&seed) % SLOTS);
        spoil(&victim, slot, &word, sizeof word);
        uint64_t tick = chance(&seed);
        spoil(&victim, slot + offsetof(struct omni_slot, tick), &tick, sizeof tick);
        assert_in_range(use(observer), 0, SLOTS);
    }
    omni_observer_detach(observer);
    victim_free(&victim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_fields_are_complete),
        TEST(every_field_of_the_header_spoiled),
        TEST(errors_tell_what_to_do),
        TEST(shorter_files_are_refused),
        TEST(text_is_bounded),
        TEST(every_bit_of_the_table_flipped),
        TEST(every_word_of_the_table_extreme),
        TEST(every_byte_of_the_text_spoiled),
        TEST(random_mutations),
        TEST(random_mutations_while_reading),
    };
    alarm(PATIENCE_SECONDS);
    int failed = cmocka_run_group_tests_name("one kernel", tests, NULL, NULL);
    machines = true;
    return failed + cmocka_run_group_tests_name("machines", tests, NULL, NULL);
}
