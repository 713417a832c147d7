/*
 * encode.h - a source's schema and statuses as JSON (docs/websocket.md is the reference of the
 * shapes)
 *
 * Purpose
 *   A status is encoded once per frame, whoever listens. An encoder is made once per schema; it
 *   holds the ready-made pieces between the values (keys, commas, brackets) and the labels, so that
 *   a frame costs little more than its numbers.
 *
 * Numbers
 *   Floats in the shortest form that reads back as the same float (number.h); NaN and infinities as
 *   null; integers exactly, those beyond ±(2^53 - 1) as decimal strings; bool as true/false in
 *   `values`, 0/1 in rows; enum as its label in `values` (a number where it has no label), its
 *   index in rows; text as a string up to its first NUL. Arrays as JSON arrays in `values`; one
 *   column per element ("sensors[0]") in rows.
 *
 * Hostile payloads
 *   Every byte sequence gives valid JSON: a bool byte other than 0 is true, an enum without label
 *   is a number, text that is not UTF-8 gets U+FFFD. A table that would make a status or the schema
 *   absurdly long is refused at encoder_open().
 *
 * Failure
 *   As in text.h: out of memory sets text->failed, and the text ends before this status.
 */
#ifndef OBSERVER_ENCODE_H
#define OBSERVER_ENCODE_H

#include <stdint.h>

#include <omni/observe.h>

#include "text.h"

struct encoder; /* opaque */

/* The longest that one status could ever become; an encoder for more is refused. */
#define ENCODE_BYTES_MAX ((size_t)16 << 20)

/* Makes the encoder of a checked table (omni_table_check()), which must outlive it. Returns 0;
 * -ENOMEM; -EMSGSIZE where a status could become longer than ENCODE_BYTES_MAX, or where fields
 * share their labels and descriptions so that the schema is longer than its text pool. */
int encoder_open(struct encoder **encoder, const struct omni_table *table);
/* Frees it. NULL is fine. */
void encoder_close(struct encoder *encoder);

/* {"hash":"…16 hex digits…","fields":[{"name":…,"type":"f32","count":1,"unit":…,"minimum":…,
 *  "maximum":…,"description":…,"labels":[…]},…]} - labels for enums only. */
void encode_schema(struct text *text, const struct omni_table *table);
/* {"direction":12.5,"motor_power":[1,2,3],…} */
void encode_values(struct text *text, const struct encoder *encoder, const void *payload);
/* "direction","motor_power[0]",… without the brackets around, so that a caller can put columns
 * before. */
void encode_columns(struct text *text, const struct encoder *encoder);
/* 12.5,1,2,3,… in the order of the columns, without brackets. */
void encode_row(struct text *text, const struct encoder *encoder, const void *payload);
/* The same for CSV (RFC 4180), without the line's end: header cells and value cells. Enums as
 * labels; null as an empty cell; all integers as plain digits; text always in quotes, its control
 * characters other than tab and line ends as U+FFFD. */
void encode_csv_columns(struct text *text, const struct encoder *encoder);
void encode_csv_row(struct text *text, const struct encoder *encoder, const void *payload);

/* A tick's own stamps: `"tick":1,"time":2,"monotonic":3`, and the same for a row: `1,2,3`. */
void encode_stamp(struct text *text, const struct omni_stamp *stamp);
void encode_stamp_row(struct text *text, const struct omni_stamp *stamp);

/* One number each, by the rules above. */
void encode_f64(struct text *text, double value);
void encode_f32(struct text *text, float value);
void encode_i64(struct text *text, int64_t value);
void encode_u64(struct text *text, uint64_t value);
/* Nanoseconds as whole microseconds (rounded down). */
void encode_microseconds(struct text *text, uint64_t nanoseconds);

#endif
