/*
 * hub.h - the WebSocket side: clients, subscriptions, frames, slow-client policy (libwebsockets)
 *
 * Purpose
 *   Speaks `omniscient.v1` (docs/websocket.md). Subscriptions with the same source, mode and rate
 *   share one channel: a frame is encoded once per channel and the same bytes go to all its
 *   clients, written straight from the tick's callback. A client whose socket is full gets nothing
 *   more until it has drained; then it gets the newest state and is told how many frames it missed
 *   (docs/adr/0003). hub_inside.h says which file does what.
 *
 * Threads: all of it in the loop's thread.
 */
#ifndef OBSERVER_HUB_H
#define OBSERVER_HUB_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "access.h"
#include "sources.h"
#include "speaker.h"

struct hub; /* opaque */

struct hub_options {
    unsigned clients_max;
    size_t message_bytes_max;   /* of one incoming message: larger ones close the client (1009) */
    size_t backlog_bytes_max;   /* events waiting for one client: more closes it (1013) */
    unsigned blocked_seconds;   /* a client that takes nothing for so long is closed */
    unsigned handshake_seconds; /* from adoption to a finished upgrade */
    unsigned ping_seconds;      /* between pings; no pong before the next one closes the client */
};

struct hub_figures {
    unsigned clients;
    uint64_t clients_ever;
    uint64_t messages_sent;
    uint64_t frames_dropped; /* frames not sent because a client's socket was full */
    uint64_t clients_closed; /* by the slow-client policy */
};

/* `access` must outlive the hub. `hub_listener` gives what sources_open() wants: open the hub, then
 * the sources with its listener, then tell the hub with hub_attach(). libwebsockets makes tables of
 * 16 bytes for each descriptor that RLIMIT_NOFILE allows: set it before. Returns 0 or -errno;
 * -ENOTSUP: libwebsockets did not start, which was said on stderr. */
int hub_open(struct hub **hub, uv_loop_t *loop, const struct hub_options *options,
             const struct access *access);
struct sources_listener hub_listener(struct hub *hub);
void hub_attach(struct hub *hub, struct sources *sources);
/* Lets clients switch the speaker and tells all of them whenever it changes. Without one there is
 * no `sound` message. Close both without a turn of the loop between. */
void hub_attach_speaker(struct hub *hub, struct speaker *speaker);
/* Says goodbye to every client (1001) and frees: run the loop afterwards until nothing is left in
 * it. Close the hub before the sources. NULL is fine. */
void hub_close(struct hub *hub);
/* Takes an accepted socket whose request is still unread. Owns it from then on, also on failure. */
void hub_adopt(struct hub *hub, int socket);
struct hub_figures hub_figures(const struct hub *hub);
/* NULL: none. */
const struct speaker *hub_speaker(const struct hub *hub);

#endif
