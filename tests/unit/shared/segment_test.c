/* The frozen layout. Every number stands here as a literal: a change that fails this test is a new
 * OMNI_LAYOUT_VERSION, and the literals below are to be changed together with it. */
#include "support.h"

#define AT(type, member, offset, bytes)                                                            \
    do {                                                                                           \
        assert_int_equal(offsetof(struct type, member), offset);                                   \
        assert_int_equal(sizeof(((struct type *)0)->member), bytes);                               \
    } while (0)

static void header_is_frozen(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct omni_header), 256);
    AT(omni_header, magic, 0, 8);
    AT(omni_header, layout_version, 8, 4);
    AT(omni_header, byte_order, 12, 4);
    AT(omni_header, header_bytes, 16, 4);
    AT(omni_header, scope, 20, 4);
    AT(omni_header, incompatible_flags, 24, 4);
    AT(omni_header, compatible_flags, 28, 4);
    AT(omni_header, segment_bytes, 32, 8);
    AT(omni_header, schema_hash, 40, 8);
    AT(omni_header, instance, 48, 8);
    AT(omni_header, period_ns, 56, 8);
    AT(omni_header, field_offset, 64, 4);
    AT(omni_header, field_count, 68, 4);
    AT(omni_header, field_bytes, 72, 4);
    AT(omni_header, text_offset, 76, 4);
    AT(omni_header, text_bytes, 80, 4);
    AT(omni_header, ring_offset, 84, 4);
    AT(omni_header, slot_count, 88, 4);
    AT(omni_header, slot_bytes, 92, 4);
    AT(omni_header, payload_bytes, 96, 4);
    AT(omni_header, process_id, 100, 4);
    AT(omni_header, started_monotonic_ns, 104, 8);
    AT(omni_header, started_wall_ns, 112, 8);
    AT(omni_header, reserved_where, 120, 8);
    AT(omni_header, name, 128, 48);
    AT(omni_header, reserved_name, 176, 16);
    AT(omni_header, version, 192, 4);
    AT(omni_header, state, 196, 4);
    AT(omni_header, owner, 200, 4);
    AT(omni_header, heartbeat, 204, 4);
    AT(omni_header, epoch, 208, 4);
    AT(omni_header, bell, 212, 4);
    AT(omni_header, reserved_version, 216, 40);
}

static void field_is_frozen(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct omni_field), 96);
    AT(omni_field, name, 0, 32);
    AT(omni_field, unit, 32, 16);
    AT(omni_field, type, 48, 4);
    AT(omni_field, count, 52, 4);
    AT(omni_field, offset, 56, 4);
    AT(omni_field, bytes, 60, 4);
    AT(omni_field, minimum, 64, 8);
    AT(omni_field, maximum, 72, 8);
    AT(omni_field, description, 80, 4);
    AT(omni_field, labels, 84, 4);
    AT(omni_field, label_count, 88, 4);
    AT(omni_field, reserved, 92, 4);
}

static void slot_is_frozen(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct omni_slot), 32);
    AT(omni_slot, sequence, 0, 4);
    AT(omni_slot, reserved, 4, 4);
    AT(omni_slot, tick, 8, 8);
    AT(omni_slot, monotonic_ns, 16, 8);
    AT(omni_slot, wall_ns, 24, 8);
}

static void end_is_frozen(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct omni_end), 64);
    AT(omni_end, mark, 0, 4);
    AT(omni_end, reserved, 4, 60);
    assert_int_equal(OMNI_END_MARK, 0x21444E45);
}

static void numbers_are_frozen(void **state) {
    (void)state;
    assert_memory_equal(OMNI_MAGIC, "OMNISTAT", 8);
    assert_int_equal(OMNI_LAYOUT_VERSION, 1);
    assert_int_equal(OMNI_BYTE_ORDER, 0x01020304);
    assert_int_equal(OMNI_CACHE_LINE_BYTES, 64);
    assert_int_equal(OMNI_SCOPE_KERNEL, 1);
    assert_int_equal(OMNI_SCOPE_MACHINES, 2);
    assert_int_equal(OMNI_STATE_OPEN, 1);
    assert_int_equal(OMNI_STATE_CLOSED, 2);
    assert_int_equal(OMNI_BELL_ASKED, 0x80000000);
    assert_int_equal(OMNI_BELL_PEER_SHIFT, 16);
    assert_int_equal(OMNI_BELL_PEER_MAX, 32767);
    assert_int_equal(OMNI_BELL_VECTOR_MAX, 65535);
    assert_int_equal(OMNI_NAME_BYTES, 48);
    assert_int_equal(OMNI_FIELD_NAME_BYTES, 32);
    assert_int_equal(OMNI_UNIT_BYTES, 16);
}

static void types_are_frozen(void **state) {
    static const struct {
        const char *name;
        uint32_t number, bytes;
    } frozen[] = {{"bool", 1, 1}, {"i8", 2, 1},    {"u8", 3, 1},   {"i16", 4, 2}, {"u16", 5, 2},
                  {"i32", 6, 4},  {"u32", 7, 4},   {"i64", 8, 8},  {"u64", 9, 8}, {"f32", 10, 4},
                  {"f64", 11, 8}, {"enum", 12, 1}, {"text", 13, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof frozen / sizeof frozen[0]; i++) {
        assert_string_equal(omni_type_name(frozen[i].number), frozen[i].name);
        assert_int_equal(omni_type_bytes(frozen[i].number), frozen[i].bytes);
    }
    assert_int_equal(OMNI_TYPE_bool, 1);
    assert_int_equal(OMNI_TYPE_text, 13);
    assert_string_equal(omni_type_name(0), "?");
    assert_string_equal(omni_type_name(14), "?");
    assert_string_equal(omni_type_name(UINT32_MAX), "?");
    assert_int_equal(omni_type_bytes(0), 0);
    assert_int_equal(omni_type_bytes(14), 0);
    assert_int_equal(omni_type_bytes(UINT32_MAX), 0);
}

/* ---- the bytes that a publisher really writes, read without the structs ---- */

static uint32_t u32_at(const struct bytes *file, size_t offset) {
    uint32_t value;
    assert_true(offset + sizeof value <= file->count);
    memcpy(&value, file->at + offset, sizeof value);
    return value;
}

static uint64_t u64_at(const struct bytes *file, size_t offset) {
    uint64_t value;
    assert_true(offset + sizeof value <= file->count);
    memcpy(&value, file->at + offset, sizeof value);
    return value;
}

static void published_bytes_lie_where_the_layout_says(void **state) {
    const struct scratch *scratch = *state;
    struct omni_publisher *publisher =
        must_open(scratch, "bytes", parcel_schema(),
                  (struct omni_publisher_options){.period_ns = 1000000, .slot_count = 4});
    struct parcel parcel = {0};
    for (uint64_t serial = 1; serial <= 6; serial++) {
        parcel_fill(&parcel, serial);
        omni_publish_at(publisher, &parcel, (struct omni_time){1000 + serial, 2000 + serial});
    }
    char path[PATH_MAX];
    scratch_path(scratch, "omni.bytes", path, sizeof path);
    struct bytes file = read_file(path);
    assert_memory_equal(file.at, "OMNISTAT", 8);
    assert_int_equal(u32_at(&file, 8), 1);
    assert_int_equal(u32_at(&file, 12), 0x01020304);
    assert_int_equal(u32_at(&file, 16), 256);
    assert_int_equal(u32_at(&file, 20), 1);
    assert_int_equal(u64_at(&file, 32), file.count);
    assert_int_equal(u64_at(&file, 56), 1000000);
    assert_int_equal(u32_at(&file, 64), 256);
    assert_int_equal(u32_at(&file, 68), 3);
    assert_int_equal(u32_at(&file, 72), 96);
    assert_int_equal(u32_at(&file, 76), 256 + 3 * 96);
    uint32_t ring = u32_at(&file, 84);
    assert_int_equal(ring % 64, 0);
    assert_int_equal(u32_at(&file, 88), 4);
    assert_int_equal(u32_at(&file, 92), 128);
    assert_int_equal(u32_at(&file, 96), 64);
    assert_int_equal(u32_at(&file, 100), getpid());
    assert_string_equal((char *)file.at + 128, "bytes");
    assert_int_equal(file.count, ring + 4 * 128 + 64);
    assert_int_equal(u32_at(&file, file.count - 64), 0x21444E45);
    assert_int_equal(u32_at(&file, 192), 6);
    assert_int_equal(u32_at(&file, 196), 1);
    for (uint32_t version = 3; version <= 6; version++) {
        size_t slot = ring + (version & 3u) * 128u;
        assert_int_equal(u32_at(&file, slot), version);
        assert_int_equal(u64_at(&file, slot + 8), version);
        assert_int_equal(u64_at(&file, slot + 16), 1000 + version);
        assert_int_equal(u64_at(&file, slot + 24), 2000 + version);
        assert_int_equal(u64_at(&file, slot + 32), version);
    }
    free(file.at);
    omni_publisher_close(publisher);
    file = read_file(path);
    assert_int_equal(u32_at(&file, 196), 2);
    free(file.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_frozen),
        cmocka_unit_test(field_is_frozen),
        cmocka_unit_test(slot_is_frozen),
        cmocka_unit_test(end_is_frozen),
        cmocka_unit_test(numbers_are_frozen),
        cmocka_unit_test(types_are_frozen),
        TEST(published_bytes_lie_where_the_layout_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
