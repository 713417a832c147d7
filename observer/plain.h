/*
 * plain.h - text from a segment, made fit for a terminal
 *
 * Purpose
 *   Whoever publishes a text could put escape sequences into it. Everything of a segment that the
 *   commands print goes through here: bytes that are no UTF-8, control characters (C0, DEL, C1) and
 *   the marks that turn the direction of writing become U+FFFD.
 */
#ifndef OBSERVER_PLAIN_H
#define OBSERVER_PLAIN_H

#include <stddef.h>

#include <omni/schema.h>

#include "text.h"

/* Appends `length` bytes, made harmless. */
void plain_append(struct text *text, const char *bytes, size_t length);

/* The same for at most `columns` characters, "…" as the last where something was left out; filled
 * with spaces up to `columns`. */
void plain_cell(struct text *text, const char *bytes, size_t length, size_t columns);

/* Characters in UTF-8 text. */
size_t plain_length(const char *bytes, size_t length);

/* Appends a field's value for people: numbers in up to six digits, - where there is none
 * (NaN), true and false, labels, elements of an array with a space between. */
void plain_value(struct text *text, const struct omni_table *table, const struct omni_field *field,
                 const void *payload);

/* Appends nanoseconds as "850 µs", "4 ms", "12.3 s", "5 min", "3 h", "2 d". */
void plain_duration(struct text *text, uint64_t nanoseconds);

#endif
