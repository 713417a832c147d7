/*
 * handshake.h - may this request become a WebSocket? (RFC 6455, section 4.2)
 *
 * Purpose
 *   Looks at the headers of a request for /ws and says 101 (go on) or which HTTP status and
 *   sentence to refuse it with. Pure: headers in, answer out.
 *
 * Rules, in this order
 *   426  no upgrade to websocket is asked for, or another version than 13
 *   400  no "Connection: Upgrade", no key, or subprotocols of which none is omniscient.v1
 *        (naming none at all is fine)
 *   400, 421, 403, 401  access.h says no
 *   503  the house is full
 */
#ifndef OBSERVER_HANDSHAKE_H
#define OBSERVER_HANDSHAKE_H

#include <stdbool.h>

#include "access.h"

#define HANDSHAKE_PROTOCOL "omniscient.v1"

/* NULL for a header that is not there. */
struct handshake {
    const char *upgrade;
    const char *connection;
    const char *version;
    const char *key;
    const char *protocols;
    struct access_request access;
    bool is_full; /* no room for one more client */
};

struct handshake_answer {
    unsigned status;     /* 101, or the status of a refusal */
    const char *reason;  /* "Forbidden": the words after the number */
    const char *headers; /* what the status needs, each ended by CR LF; may be "" */
    const char *text;    /* a sentence for people */
};

struct handshake_answer handshake_judge(const struct handshake *handshake,
                                        const struct access *access);

/* True where a comma-separated list has the word; upper and lower case are the same where
 * `any_case`. A NULL list has none. */
bool handshake_list_has(const char *list, const char *word, bool any_case);

#endif
