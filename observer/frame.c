#include "frame.h"

#include <stdint.h>

/* The first byte: the last frame of its message, text. The second: the length, or how many bytes
 * after it have it, highest first. */
enum { WHOLE_TEXT = 0x81, SHORT_MAX = 125, LENGTH_IN_2 = 126, LENGTH_IN_8 = 127 };

static size_t put(char *text, unsigned char second, uint64_t length, size_t length_bytes) {
    unsigned char *end = (unsigned char *)text;
    for (size_t i = 0; i < length_bytes; i++)
        *--end = (unsigned char)(length >> 8 * i);
    *--end = second;
    *--end = WHOLE_TEXT;
    return 2 + length_bytes;
}

size_t frame_put_head(char *text, size_t length) {
    if (length <= SHORT_MAX)
        return put(text, (unsigned char)length, 0, 0);
    if (length <= UINT16_MAX)
        return put(text, LENGTH_IN_2, length, 2);
    return put(text, LENGTH_IN_8, length, 8);
}
