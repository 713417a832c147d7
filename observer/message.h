/*
 * message.h - what a client says: one JSON object, checked member by member
 *
 * Purpose
 *   Turns the text of a message into a `struct message`, or into the code and sentence that the
 *   client is answered with (docs/websocket.md, "Client to server" and "error"). Members that are
 *   not known are ignored; those that are known must have the right type and range. Pure: no
 *   source is looked up here.
 */
#ifndef OBSERVER_MESSAGE_H
#define OBSERVER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni/segment.h>

#include "channel.h"

#define MESSAGE_RATE_DEFAULT        60u
#define MESSAGE_HISTORY_SECONDS_MAX 86400.0

/* All that a client can say; names as in "op". */
#define MESSAGE_OPS(X) X(subscribe) X(unsubscribe) X(ping) X(sound)

#define MESSAGE_OP_(name) MESSAGE_##name,
enum message_op { MESSAGE_OPS(MESSAGE_OP_) MESSAGE_OP_COUNT };
#undef MESSAGE_OP_

struct message {
    enum message_op op;
    /* subscribe, unsubscribe */
    char source[OMNI_NAME_BYTES];
    /* subscribe */
    enum channel_mode mode;
    unsigned rate;
    bool has_events_after;
    uint64_t events_after;
    double history_seconds; /* 0: none */
    /* ping */
    bool has_id;
    double id;
    /* sound */
    bool on;
};

/* The codes of `error` messages. */
#define MESSAGE_BAD_JSON       "bad-json"
#define MESSAGE_BAD_MESSAGE    "bad-message"
#define MESSAGE_UNKNOWN_OP     "unknown-op"
#define MESSAGE_UNKNOWN_SOURCE "unknown-source"
#define MESSAGE_BAD_VALUE      "bad-value"
#define MESSAGE_TOO_MANY       "too-many-subscriptions"

struct message_error {
    const char *code;
    char text[256]; /* UTF-8; may quote what the client sent */
};

/* Reads one message. Returns 0; -EINVAL with the reason in `error`; -ENOMEM.
 * `message` is untouched on failure. */
int message_parse(struct message *message, struct message_error *error, const char *bytes,
                  size_t length);

#endif
