/*
 * mailbox.h - the newest value, from one thread to another, without a lock
 *
 * Purpose
 *   One thread puts, any other takes the newest; older values are forgotten. Neither ever waits for
 *   the other: between the control loop and anything slower. It is an omni_ring (omni/ring.h) on
 *   plain memory.
 *
 * Calling sequence
 *     struct mailbox mailbox;                      // at a place that stays where it is
 *     mailbox_init(&mailbox, sizeof value);        // before the second thread starts
 *     mailbox_put(&mailbox, &value, time);         // always the same thread
 *     mailbox_newest(&mailbox, &value, &time);     // any thread
 *
 * Limits
 *   Values of up to MAILBOX_VALUE_BYTES bytes, without padding that matters (it is copied too).
 */
#ifndef ROBOT_MAILBOX_H
#define ROBOT_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

#include <omni/ring.h>

#define MAILBOX_VALUE_BYTES 96u
#define MAILBOX_SLOTS       4u
#define MAILBOX_SLOT_BYTES  128u /* omni_slot_bytes(MAILBOX_VALUE_BYTES) */

/* The members are the module's own. */
struct mailbox {
    unsigned char slots[MAILBOX_SLOTS * MAILBOX_SLOT_BYTES] __attribute__((aligned(64)));
    uint32_t version; /* the ring's counter: both sides */
    uint32_t put;     /* the version that was put last: the putting side's own */
    uint64_t count;   /* how many were put: likewise */
    size_t bytes;
};

/* Empties the mailbox and makes it one for values of `bytes` bytes (at most
 * MAILBOX_VALUE_BYTES). */
void mailbox_init(struct mailbox *mailbox, size_t bytes);

/* Makes `value` the newest, together with the moment that it belongs to. Wait-free. */
void mailbox_put(struct mailbox *mailbox, const void *value, struct omni_time time);

/* Copies the newest value and its moment. A bounded number of steps.
 * Returns 0; -EAGAIN where nothing was ever put (or the other side overtook every try), the outputs
 * untouched. */
int mailbox_newest(const struct mailbox *mailbox, void *value, struct omni_time *time);

#endif
