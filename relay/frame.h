/*
 * frame.h - an Ethernet frame that carries an event's name (pure)
 *
 * A frame is destination, source, EtherType and payload; the payload is the name of the event and
 * nothing else. Short frames are filled up with zeros on their way (Ethernet knows none below 60
 * bytes), so zeros at the end do not count. What is built here is not filled up: a device that needs
 * it does so itself.
 */
#ifndef RELAY_FRAME_H
#define RELAY_FRAME_H

#include <net/ethernet.h>
#include <stddef.h>
#include <stdint.h>

#include "routes.h"

#define FRAME_BYTES_MAX (ETH_HLEN + ROUTES_FRAME_MAX)

enum frame_kind {
    FRAME_EVENT,
    FRAME_OWN,      /* this interface is its source: it came back */
    FRAME_FOREIGN,  /* another EtherType, or too short to have one */
    FRAME_MALFORMED /* no name: empty, longer than ROUTES_FRAME_MAX, no UTF-8, control characters or
                       something behind the first zero */
};

struct frame_address {
    uint8_t source[ETH_ALEN]; /* the interface's own */
    uint8_t destination[ETH_ALEN];
    uint16_t ethertype;
};

struct frame_event {
    const char *name; /* in the frame, not ended by a zero */
    size_t length;
};

/* What the frame is. *event is set for FRAME_EVENT only. */
enum frame_kind frame_read(const uint8_t *bytes, size_t length, const struct frame_address *address,
                           struct frame_event *event);

/* Builds the frame for a payload of at most ROUTES_FRAME_MAX bytes. Returns its length. */
size_t frame_build(uint8_t bytes[FRAME_BYTES_MAX], const struct frame_address *address,
                   const char *name);

#endif
