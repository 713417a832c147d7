/*
 * text.h - text under construction: the one growing buffer of the observer
 *
 * Purpose
 *   JSON, CSV and messages are written front to back into a `struct text`. It grows by doubling
 *   and is reused from frame to frame, so that in the long run nothing is allocated.
 *
 * Calling sequence
 *     struct text text;
 *     text_open(&text, 0);
 *     text_string(&text, "{\"op\":");
 *     text_json_string(&text, op, strlen(op));
 *     text_append(&text, "}", 1);
 *     if (!text.failed) ... text_bytes(&text), text.length ...
 *     text_clear(&text); // and the next one
 *     text_close(&text);
 *
 * Limits
 *   TEXT_BYTES_MAX bytes a text.
 *
 * Failure
 *   Out of memory, or longer than TEXT_BYTES_MAX, sets `failed`; that append and all later ones are
 *   dropped whole, what was there stays. The writer checks once, at the end.
 */
#ifndef OBSERVER_TEXT_H
#define OBSERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_BYTES_MAX ((size_t)1 << 30)

/* `headroom` bytes before the text are the caller's (a WebSocket library writes its frame head
 * there). */
struct text {
    char *memory;
    size_t headroom;
    size_t length;   /* bytes of text, not counting the headroom */
    size_t capacity; /* of text */
    bool failed;
};

/* Where the text begins, once something was appended or reserved. Not NUL-terminated. */
static inline char *text_bytes(const struct text *text) {
    return text->memory + text->headroom;
}

/* An empty text; allocates nothing yet. */
void text_open(struct text *text, size_t headroom);
/* Releases the memory; NULL and an empty text are fine. The text is empty then, and usable. */
void text_close(struct text *text);
/* Back to length 0 and not failed, memory kept. */
void text_clear(struct text *text);
/* Makes room for `bytes` more and returns where they go (then add to text->length what was
 * written); NULL where there is no memory: `failed` is set. */
char *text_reserve(struct text *text, size_t bytes);
/* Appends bytes; a NUL-terminated string; a formatted string. */
void text_append(struct text *text, const char *bytes, size_t length);
void text_string(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends `"…"`: a JSON string of `length` bytes of supposed UTF-8. Whatever is not UTF-8 becomes
 * U+FFFD (one for each maximal piece of a character, as browsers do it), control characters
 * (U+0000 to U+001F, U+007F to U+009F) are escaped, and so are < > & U+2028 U+2029, so that it is
 * inert in HTML, JavaScript and terminals too. */
void text_json_string(struct text *text, const char *bytes, size_t length);

/* The same for a writer that has reserved already: writes at `out`, which has room for
 * TEXT_JSON_BYTES(length) bytes, and returns the end. */
#define TEXT_JSON_BYTES(length) (6 * (length) + 2)
char *text_put_json_string(char *out, const char *bytes, size_t length);

/* One step through supposed UTF-8: the character at the start of `length` (at least 1) bytes, and
 * in *size how many bytes it takes (1 to 4). U+FFFD where they are not UTF-8; then *size says how
 * many bytes belong to the bad piece. */
unsigned text_decode(const char *bytes, size_t length, size_t *size);

/* True where all of it is UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(const char *bytes, size_t length);

#endif
