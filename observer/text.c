#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT    0xFFFDu
#define CAPACITY_FIRST ((size_t)256)
static const char replacement[] = "\xEF\xBF\xBD";

void text_open(struct text *text, size_t headroom) {
    *text = (struct text){.headroom = headroom};
}

void text_close(struct text *text) {
    if (text == NULL)
        return;
    free(text->memory);
    text_open(text, text->headroom);
}

void text_clear(struct text *text) {
    text->length = 0;
    text->failed = false;
}

static bool grow(struct text *text, size_t wanted) {
    size_t capacity = text->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : text->capacity;
    while (capacity < wanted)
        capacity *= 2;
    char *memory = realloc(text->memory, text->headroom + capacity);
    if (memory == NULL)
        return false;
    text->memory = memory;
    text->capacity = capacity;
    return true;
}

char *text_reserve(struct text *text, size_t bytes) {
    if (text->failed)
        return NULL;
    bool there = text->memory != NULL && bytes <= text->capacity - text->length;
    if (!there && (bytes > TEXT_BYTES_MAX - text->length || !grow(text, text->length + bytes))) {
        text->failed = true;
        return NULL;
    }
    return text_bytes(text) + text->length;
}

void text_append(struct text *text, const char *bytes, size_t length) {
    char *out = text_reserve(text, length);
    if (out == NULL || length == 0)
        return;
    memcpy(out, bytes, length);
    text->length += length;
}

void text_string(struct text *text, const char *string) {
    text_append(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        text->failed = true;
        return;
    }
    size_t room = (size_t)length + 1;
    char *out = text_reserve(text, room);
    if (out == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(out, room, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

/* The rows of table 3-7 of the Unicode standard: which first bytes there are, and what may follow
 * each. Later bytes are 80 to BF. */
static const struct sequence {
    unsigned char first_low, first_high, second_low, second_high;
    unsigned char bytes;
} sequences[] = {
    {0x00, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static const struct sequence *sequence_of(unsigned char first) {
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        if (first >= sequences[i].first_low && first <= sequences[i].first_high)
            return &sequences[i];
    return NULL;
}

static bool follows(const struct sequence *sequence, size_t place, unsigned char byte) {
    if (place == 1)
        return byte >= sequence->second_low && byte <= sequence->second_high;
    return byte >= 0x80 && byte <= 0xBF;
}

unsigned text_decode(const char *bytes, size_t length, size_t *size) {
    const unsigned char *at = (const unsigned char *)bytes;
    const struct sequence *sequence = sequence_of(at[0]);
    *size = 1;
    if (sequence == NULL)
        return REPLACEMENT;
    /* The first byte's own bits: 7, 5, 4 or 3 of them. */
    unsigned character = sequence->bytes == 1 ? at[0] : at[0] & (0x7Fu >> sequence->bytes);
    for (; *size < sequence->bytes; ++*size) {
        if (*size == length || !follows(sequence, *size, at[*size]))
            return REPLACEMENT;
        character = character << 6 | (at[*size] & 0x3Fu);
    }
    return character;
}

bool text_is_utf8(const char *bytes, size_t length) {
    for (size_t at = 0, size; at < length; at += size) {
        unsigned character = text_decode(bytes + at, length - at, &size);
        bool is_there =
            size == sizeof replacement - 1 && memcmp(bytes + at, replacement, size) == 0;
        if (character == REPLACEMENT && !is_there)
            return false;
    }
    return true;
}

static bool is_inert(unsigned character) {
    return character >= 0x20 && character != '"' && character != '\\' && character != '<' &&
           character != '>' && character != '&' && !(character >= 0x7F && character <= 0x9F) &&
           character != 0x2028 && character != 0x2029;
}

static char *put_escape(char *out, unsigned character) {
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the character, its letter */
    for (size_t i = 0; i < sizeof named - 1; i += 2)
        if (character == (unsigned)named[i]) {
            *out++ = '\\';
            *out++ = named[i + 1];
            return out;
        }
    out[0] = '\\';
    out[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        out[2 + i] = "0123456789abcdef"[character >> (12 - 4 * i) & 0xF];
    return out + 6;
}

char *text_put_json_string(char *out, const char *bytes, size_t length) {
    *out++ = '"';
    for (size_t at = 0, size; at < length; at += size) {
        unsigned character = text_decode(bytes + at, length - at, &size);
        if (!is_inert(character)) {
            out = put_escape(out, character);
        } else if (character == REPLACEMENT) {
            out = stpcpy(out, replacement); /* its NUL has room: the closing quote's */
        } else {
            memcpy(out, bytes + at, size);
            out += size;
        }
    }
    *out++ = '"';
    return out;
}

void text_json_string(struct text *text, const char *bytes, size_t length) {
    if (length > TEXT_BYTES_MAX / 8) { /* TEXT_JSON_BYTES must not wrap where size_t is small */
        text->failed = true;
        return;
    }
    char *out = text_reserve(text, TEXT_JSON_BYTES(length));
    if (out != NULL)
        text->length = (size_t)(text_put_json_string(out, bytes, length) - text_bytes(text));
}
