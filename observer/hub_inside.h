/*
 * hub_inside.h - what hub.c, feed.c, client.c and request.c share; nobody else includes it
 *
 * Who does what
 *   hub.c      libwebsockets and libuv: sockets, callbacks, timers; hears what sources tell
 *   feed.c     one source: its channels, its frames, who gets them
 *   client.c   one connection: writing, what it is owed while it cannot take more, closing
 *   request.c  what a client's messages do
 *
 * The one rule of writing
 *   Frames are written straight to the socket of a client that is ready (client_is_ready): nothing of
 *   an earlier frame waits in libwebsockets. What a client that is
 *   not ready must have is not copied but remembered as a position (the next event, the next
 *   record, "a status", "a hello"), and client_flush() sends it once the socket takes more. Until
 *   that is done the client stays not ready, so nothing overtakes what is owed.
 */
#ifndef OBSERVER_HUB_INSIDE_H
#define OBSERVER_HUB_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include <libwebsockets.h>
#include <uv.h>

#include "channel.h"
#include "clock.h"
#include "hub.h"
#include "message.h"
#include "text.h"

#define HUB_SUBSCRIPTIONS_MAX 64u
#define HUB_ERRORS_MAX        10u                     /* in a row; then the client is closed */
#define HUB_BATCH_BYTES_MAX   ((size_t)256 * 1024)    /* of one batch message, about */
#define HUB_REPLIES_BYTES_MAX ((size_t)16 * 1024)     /* of answers waiting for one client */
#define HUB_EVENT_BYTES       UINT64_C(256)           /* of one event message, about */
#define HUB_CATCH_UP_NS       (2 * CLOCK_NS_A_SECOND) /* mode every: older rows are left out */
#define HUB_CLOSE_GRACE_NS    (5 * CLOCK_NS_A_SECOND) /* from close_code to a hard end */
#define HUB_BEAT_MS           1000u

#define HUB_TRY_AGAIN_LATER 1013u /* the one close code that libwebsockets has no name for */

struct feed;

struct subscription {
    struct channel_member member; /* first: a member is its subscription */
    struct subscription *next;    /* of the same client */
    struct client *client;
    struct feed *feed; /* NULL: the source went; goes on when it comes back */
    char name[OMNI_NAME_BYTES];
    enum channel_mode mode;
    unsigned rate;
    uint64_t event_next; /* the first event that it has not got */
    /* CHANNEL_LATEST */
    bool wants_status; /* the newest, as soon as possible */
    /* CHANNEL_EVERY */
    uint64_t ordinal;  /* the first record that it has not got */
    bool from_history; /* still reading the past that it asked for */
    uint64_t skipped;  /* batches of the channel that it did not get and may still catch up on */
    /* frames it will never get */
    uint64_t dropped;
    uint64_t untold; /* those of them that it was not told of yet */
};

/* A connection, from the finished upgrade on. Lives in the memory that libwebsockets keeps for it,
 * zeroed at first. */
struct client {
    /* What every frame looks at, in one cache line. */
    struct hub *hub; /* NULL: not one of the hub's (yet, or any more) */
    struct lws *wsi;
    int socket;
    unsigned close_code; /* not 0: is to be closed as soon as that can be said */
    bool is_backlogged;  /* owed something: see the rule of writing */
    bool is_broken;      /* a write failed: libwebsockets is about to find out too */
    bool was_told;       /* something was written since the last beat */

    bool by_default;  /* has not subscribed to anything itself */
    bool wants_hello; /* owed: the state of all sources */
    bool wants_sound; /* owed: the state of the speaker */
    bool is_pinged;   /* and has not answered */
    unsigned errors;  /* in a row */
    struct client *next;
    struct client *previous;
    struct subscription *subscriptions;
    unsigned subscription_count;
    uint64_t ping_ns;     /* when to ping next */
    uint64_t blocked_ns;  /* when it last took something, while backlogged */
    uint64_t taken_bytes; /* acknowledged by its TCP by then */
    struct text incoming; /* a message that comes in pieces */
    struct text replies;  /* answers that are owed, a line each */
    const char *close_reason;
    uint64_t closing_ns;
};

struct feed {
    struct feed *next;
    struct hub *hub;
    struct source *source;
    struct channels channels;
    struct text status; /* the newest, encoded; empty: not yet */
    uint64_t status_ns; /* when it was encoded */
};

/* A socket that was adopted and is not a client yet. */
struct handshaking {
    struct lws *wsi;
    int socket;
};

struct hub {
    uv_loop_t *loop;
    struct hub_options options;
    const struct access *access;
    struct sources *sources; /* NULL before hub_attach() */
    struct speaker *speaker; /* NULL: none */
    struct lws_protocols protocols[2];
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct client *clients;
    struct feed *feeds;
    struct text scratch; /* the message being made: valid until the next one */
    struct hub_figures figures;
    uint64_t instance; /* of this run of the observer: event sequences begin anew with it */
    unsigned sockets;  /* adopted, upgraded or not */
    struct handshaking *handshakes; /* under way, the oldest first; room for handshakes_max */
    unsigned handshake_count;
    unsigned handshakes_max;
    uv_timer_t beat;  /* once a second while there are clients */
    uv_timer_t trail; /* when a channel of a source without period is due */
    uv_idle_t reaper; /* counts turns of the loop at the end */
    unsigned turns;
    unsigned handles; /* of the three above that are open */
    bool is_closing;
};

/* ---- hub.c ---- */
struct feed *hub_feed(const struct hub *hub, const char *name);
/* Looks at sources without period again at `at_ns`. */
void hub_trail(struct hub *hub, uint64_t at_ns);
void hub_write_hello(struct hub *hub, struct text *text);
void hub_write_sound(const struct hub *hub, struct text *text);

/* ---- feed.c ---- */
/* NULL: no memory. */
struct feed *feed_open(struct hub *hub, struct source *source);
/* Its subscriptions sleep from then on. */
void feed_close(struct feed *feed);
/* New ticks were read: channels whose turn it is get them. */
void feed_tick(struct feed *feed, uint64_t now_ns);
void feed_event(struct feed *feed, const struct event *event);
/* Channels whose turn has come since the last tick get what was held back for them. */
void feed_trail(struct feed *feed, uint64_t now_ns);
/* Everything held back goes out now, turn or not. */
void feed_finish(struct feed *feed, uint64_t now_ns);
/* Once a second: members of channels that were silent get a word of the source. */
void feed_beat(struct feed *feed, uint64_t now_ns);
/* The newest status as a message; NULL where there is none. */
const struct text *feed_status(struct feed *feed, uint64_t now_ns);
/* Tells the sources what the channels need. */
void feed_want(struct feed *feed);
/* A `source` message, into the hub's scratch text. */
void feed_write_source(struct text *text, const struct source *source, const char *change,
                       uint64_t now_ns);

/* ---- client.c ---- */
void client_begin(struct client *client, struct hub *hub, struct lws *wsi);
/* Forgets it: the connection ends. Fine for one that never began. */
void client_leave(struct client *client);
/* May a frame be written now? If not, the client counts as backlogged and will be flushed. */
bool client_is_ready(struct client *client, uint64_t now_ns);
/* Writes one message. Only where client_is_ready() has just said so, or from a flush. */
void client_write(struct client *client, const struct text *text);
/* A message for it alone, at once or when it can take it. */
void client_reply(struct client *client, const struct text *text, uint64_t now_ns);
/* Remembers that it is owed something: client_flush() will be called. */
void client_hold(struct client *client, uint64_t now_ns);
/* Sends what it is owed, as far as the socket takes it. */
void client_flush(struct client *client, uint64_t now_ns);
/* A frame of the subscription's was left out for good. */
void client_drop(struct subscription *subscription, uint64_t frames);
/* An event waits for it: more than it may have waiting closes it. */
void client_owe_event(struct subscription *subscription, uint64_t newest, uint64_t now_ns);
/* Its source goes: it sleeps until one of that name comes. */
void client_orphan(struct subscription *subscription, uint64_t now_ns);
/* To be closed with that code as soon as it can be told. `reason` is a literal. */
void client_close(struct client *client, unsigned code, const char *reason, uint64_t now_ns);
/* True where the connection is to be ended now: it is broken, or a close frame can be sent. */
bool client_is_over(const struct client *client);
/* Prepares that close frame. */
void client_say_why(const struct client *client);
/* Once a second: pings, blocked ones, a sign of life. */
void client_beat(struct client *client, uint64_t now_ns);
/* 0, -ENOMEM, or -ENOSPC: too many subscriptions. Replaces one to the same source. */
int client_subscribe(struct client *client, struct feed *feed, const struct message *message,
                     uint64_t now_ns);
void client_subscribe_by_default(struct client *client, uint64_t now_ns);
/* True where there was one. */
bool client_unsubscribe(struct client *client, const char *name);
/* Lets subscriptions to the feed's source go on that slept. */
void client_wake(struct client *client, struct feed *feed, uint64_t now_ns);

/* ---- request.c ---- */
/* A whole message of the client's. */
void request_handle(struct client *client, const char *bytes, size_t length, uint64_t now_ns);

#endif
