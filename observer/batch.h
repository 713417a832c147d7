/*
 * batch.h - a `batch` message: rows of a source's history
 *
 * Purpose
 *   Cuts one message from the history, beginning at an ordinal: ticks of one instance, about as
 *   many bytes as asked for. Called again with the ordinal that it returns, it gives the next.
 */
#ifndef OBSERVER_BATCH_H
#define OBSERVER_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "sources.h"
#include "text.h"

/* Writes the message of the records from `from` up to, not including, `end`; records that fell out
 * of the history are passed over. Ends before `end` where the next record is of another instance,
 * or once the message has `bytes_max` bytes (one row is always written). Returns the ordinal to go
 * on with, `end` at most; where there was no record at all `text` stays as it was. Check
 * text->failed afterwards. */
uint64_t batch_encode(struct text *text, const struct source *source, uint64_t from, uint64_t end,
                      size_t bytes_max);

#endif
