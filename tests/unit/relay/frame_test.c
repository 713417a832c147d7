/* Frames: what is an event, what is refused, and that what is built is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/frame.h"

#define BROADCAST "\xff\xff\xff\xff\xff\xff"
#define OURS      "\x02\x00\x00\x00\x00\x01"
#define THEIRS    "\x02\x00\x00\x00\x00\x02"
#define TYPE      "\x88\x00"
#define HEAD      BROADCAST THEIRS TYPE

static const struct frame_address address = {
    .source = OURS, .destination = BROADCAST, .ethertype = 0x8800};

static enum frame_kind read_as(const char *bytes, size_t length, struct frame_event *event) {
    return frame_read((const uint8_t *)bytes, length, &address, event);
}

/* Of a literal, without its own zero. */
#define KIND(literal) ((int)read_as((literal), sizeof(literal) - 1, &(struct frame_event){0}))

static void what_is_built_is_read(void **state) {
    (void)state;
    uint8_t bytes[FRAME_BYTES_MAX];
    struct frame_address far = {.ethertype = 0x8800};
    struct frame_event event = {NULL, 0};
    size_t length = frame_build(bytes, &address, "redun_notify_irq");
    assert_int_equal(length, 14 + strlen("redun_notify_irq"));
    assert_memory_equal(bytes, BROADCAST OURS TYPE "redun_notify_irq", length);
    memcpy(far.source, THEIRS, sizeof far.source);
    assert_int_equal(frame_read(bytes, length, &far, &event), FRAME_EVENT);
    assert_int_equal(event.length, strlen("redun_notify_irq"));
    assert_memory_equal(event.name, "redun_notify_irq", event.length);
}

static void the_longest_name_fits(void **state) {
    (void)state;
    char name[ROUTES_FRAME_MAX + 2];
    uint8_t bytes[FRAME_BYTES_MAX + 1] = {0};
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(frame_build(bytes, &address, name), FRAME_BYTES_MAX);
    assert_int_equal(bytes[FRAME_BYTES_MAX], 0);
}

static void padding_is_stripped(void **state) {
    (void)state;
    char bytes[1514] = HEAD "go";
    for (size_t length = 16; length <= sizeof bytes; length++) {
        struct frame_event event = {NULL, 0};
        assert_int_equal(read_as(bytes, length, &event), FRAME_EVENT);
        assert_int_equal(event.length, 2);
    }
}

static void malformed_payloads_are_no_events(void **state) {
    (void)state;
    char bytes[14 + ROUTES_FRAME_MAX + 1] = HEAD;
    assert_int_equal(KIND(HEAD), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "\0\0\0\0"), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "go\0on"), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "\0go"), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "go\n"), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "\xff\xfe"), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "\xc3"), FRAME_MALFORMED);
    assert_int_equal(KIND(HEAD "\xc3\xa4"), FRAME_EVENT);
    memset(bytes + 14, 'x', sizeof bytes - 14);
    assert_int_equal(read_as(bytes, sizeof bytes - 1, &(struct frame_event){0}), FRAME_EVENT);
    assert_int_equal(read_as(bytes, sizeof bytes, &(struct frame_event){0}), FRAME_MALFORMED);
}

static void foreign_and_own_frames_are_told_apart(void **state) {
    (void)state;
    assert_int_equal(KIND(BROADCAST THEIRS "\x08\x00go"), FRAME_FOREIGN);
    assert_int_equal(KIND(BROADCAST OURS TYPE "go"), FRAME_OWN);
    for (size_t length = 0; length < 14; length++)
        assert_int_equal(read_as(HEAD, length, &(struct frame_event){0}), FRAME_FOREIGN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_built_is_read),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(padding_is_stripped),
        cmocka_unit_test(malformed_payloads_are_no_events),
        cmocka_unit_test(foreign_and_own_frames_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
