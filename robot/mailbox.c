#include "mailbox.h"

#include <assert.h>
#include <string.h>

static_assert(MAILBOX_SLOT_BYTES == sizeof(struct omni_slot) + MAILBOX_VALUE_BYTES,
              "a slot is its head and the largest value");

static struct omni_ring ring_of(const struct mailbox *mailbox) {
    /* A ring has no read-only form; mailbox_newest() only reads through it. */
    struct mailbox *writable = (struct mailbox *)(uintptr_t)mailbox;
    return (struct omni_ring){
        .slots = writable->slots,
        .version = &writable->version,
        .slot_count = MAILBOX_SLOTS,
        .slot_bytes = MAILBOX_SLOT_BYTES,
        .payload_bytes = MAILBOX_VALUE_BYTES,
    };
}

void mailbox_init(struct mailbox *mailbox, size_t bytes) {
    assert(bytes <= MAILBOX_VALUE_BYTES);
    *mailbox = (struct mailbox){.bytes = bytes};
}

void mailbox_put(struct mailbox *mailbox, const void *value, struct omni_time time) {
    unsigned char payload[MAILBOX_VALUE_BYTES] = {0};
    memcpy(payload, value, mailbox->bytes);
    struct omni_ring ring = ring_of(mailbox);
    mailbox->put = omni_version_after(mailbox->put);
    omni_ring_write(&ring, mailbox->put, ++mailbox->count, time, payload);
}

int mailbox_newest(const struct mailbox *mailbox, void *value, struct omni_time *time) {
    unsigned char payload[MAILBOX_VALUE_BYTES];
    struct omni_stamp stamp;
    struct omni_ring ring = ring_of(mailbox);
    int error = omni_ring_newest(&ring, &stamp, payload);
    if (error < 0)
        return error;
    memcpy(value, payload, mailbox->bytes);
    *time = stamp.time;
    return 0;
}
