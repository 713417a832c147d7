#include "frame.h"

#include <string.h>

enum { SOURCE_AT = ETH_ALEN, TYPE_AT = 2 * ETH_ALEN };

static size_t without_padding(const uint8_t *payload, size_t length) {
    while (length > 0 && payload[length - 1] == 0)
        length--;
    return length;
}

enum frame_kind frame_read(const uint8_t *bytes, size_t length, const struct frame_address *address,
                           struct frame_event *event) {
    if (length < ETH_HLEN ||
        (unsigned)(bytes[TYPE_AT] << 8 | bytes[TYPE_AT + 1]) != address->ethertype)
        return FRAME_FOREIGN;
    if (memcmp(bytes + SOURCE_AT, address->source, ETH_ALEN) == 0)
        return FRAME_OWN;
    const char *name = (const char *)bytes + ETH_HLEN;
    size_t count = without_padding(bytes + ETH_HLEN, length - ETH_HLEN);
    if (count == 0 || count > ROUTES_FRAME_MAX || !omni_text_is_clean(name, count))
        return FRAME_MALFORMED;
    *event = (struct frame_event){name, count};
    return FRAME_EVENT;
}

size_t frame_build(uint8_t bytes[FRAME_BYTES_MAX], const struct frame_address *address,
                   const char *name) {
    size_t length = strnlen(name, ROUTES_FRAME_MAX);
    memcpy(bytes, address->destination, ETH_ALEN);
    memcpy(bytes + SOURCE_AT, address->source, ETH_ALEN);
    bytes[TYPE_AT] = (uint8_t)(address->ethertype >> 8);
    bytes[TYPE_AT + 1] = (uint8_t)address->ethertype;
    memcpy(bytes + ETH_HLEN, name, length);
    return ETH_HLEN + length;
}
