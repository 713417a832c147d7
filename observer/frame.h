/*
 * frame.h - the head of a WebSocket frame (RFC 6455, section 5.2) that goes to many
 *
 * Purpose
 *   What every client gets alike is made once: a text with its frame's head in front of it, ready
 *   for send(). For whole, unmasked text frames only; all other frames are libwebsockets'.
 */
#ifndef OBSERVER_FRAME_H
#define OBSERVER_FRAME_H

#include <stddef.h>

#define FRAME_HEAD_BYTES_MAX ((size_t)10)

/* Writes the head of a frame of `length` bytes of text to where it must stand: right in front of
 * `text`, where FRAME_HEAD_BYTES_MAX bytes are the caller's. Returns the length of the head: 2, 4
 * or 10. */
size_t frame_put_head(char *text, size_t length);

#endif
