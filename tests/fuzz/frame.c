/* libFuzzer over the frame parser: the first six bytes are the interface's address, the next two
 * the EtherType, and the rest is
 * the frame. Built and run by scripts/fuzz. */
#include <stdlib.h>
#include <string.h>

#include "relay/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What is an event must be so again when it is sent on. */
static void send_on(const struct frame_address *address, const struct frame_event *event) {
    uint8_t bytes[FRAME_BYTES_MAX];
    char name[ROUTES_FRAME_MAX + 1] = "";
    struct frame_event again = {NULL, 0};
    struct frame_address far = *address;
    if (event->length == 0 || event->length > ROUTES_FRAME_MAX)
        abort();
    memcpy(name, event->name, event->length);
    size_t length = frame_build(bytes, address, name);
    far.source[0] = (uint8_t)~far.source[0];
    if (frame_read(bytes, length, &far, &again) != FRAME_EVENT || again.length != event->length ||
        memcmp(again.name, name, again.length) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct frame_address address = {.ethertype = ROUTES_ETHERTYPE};
    struct frame_event event = {NULL, 0};
    if (length < ETH_ALEN + 2)
        return 0;
    memcpy(address.source, bytes, ETH_ALEN);
    address.ethertype = (uint16_t)(bytes[ETH_ALEN] << 8 | bytes[ETH_ALEN + 1]);
    /* A copy that ends where the frame does: what reads on is found. */
    size_t count = length - ETH_ALEN - 2;
    uint8_t *frame = malloc(count > 0 ? count : 1);
    if (frame == NULL)
        return 0;
    memcpy(frame, bytes + ETH_ALEN + 2, count);
    if (frame_read(frame, count, &address, &event) == FRAME_EVENT)
        send_on(&address, &event);
    free(frame);
    return 0;
}
