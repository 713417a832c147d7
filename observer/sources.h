/*
 * sources.h - finds, attaches, drains and drops segments
 *
 * Purpose
 *   One `struct source` per segment that could be attached. Each has a timer that fires just after
 *   the next tick that somebody needs (omni_pacer); then every new tick is drained from the ring
 * into history and transitions, and the hub is told once. With nobody interested it drains a few
 * times a second, which loses nothing because the ring holds more than that. New segments are found
 * by inotify at once and by a scan every second.
 *
 * Regions
 *   Memory that machines share has no directory to scan: its addresses are given. They are tried at
 *   each scan, and stay among the refusals, with the reason, while there is nothing to attach to.
 *   Stamps of another machine are told in this one's monotonic time (foreign_clock.h).
 *
 * States
 *   live: ticks come. stopped: `reason` is "silent" (publisher there, but no ticks: silence.h),
 *   "closed" (it said goodbye), "died" (it ended without a word; between machines it may go on, if it
 *   was paused) or "replaced" (a region is emptied, or being built by another publisher). A source that stops stays, with
 *   its last status, until its segment is removed. A segment that cannot be attached is a refusal:
 *   name and problem, told once, tried again when it changes.
 *
 * Threads: all of it in the loop's thread. Pointers to sources are valid until `went` was called.
 */
#ifndef OBSERVER_SOURCES_H
#define OBSERVER_SOURCES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include <omni/observe.h>

#include "encode.h"
#include "foreign_clock.h"
#include "history.h"
#include "transitions.h"

struct sources; /* opaque */

#define SOURCES_MAX 64u

/* In the order in which those want them who name none. */
enum source_kind {
    SOURCE_ROBOT,  /* tells how it is, tick by tick */
    SOURCE_EVENTS, /* has a tick where something happens, and no period: a relay */
    SOURCE_MACHINE /* the conditions of a machine */
};

/* What the hub and http may read of a source; only sources.c writes it. */
struct source {
    char name[OMNI_NAME_BYTES];
    const struct omni_table *table; /* of the current schema */
    struct omni_source_facts facts; /* of the current instance */
    struct encoder *encoder;
    struct history *history;
    struct transitions *transitions;
    bool live;
    enum source_kind kind;      /* as it was when it came */
    const char *reason;         /* "" while live */
    struct omni_stamp stamp;    /* of the newest tick read; version 0: none yet */
    unsigned char *payload;     /* of that tick */
    uint64_t heard_ns;          /* CLOCK_MONOTONIC when the look began that read it */
    struct foreign_clock clock; /* of its publisher: `stamp` is translated already */
    uint64_t ticks;             /* read so far, all instances */
    uint64_t lost;              /* published but never read by this observer, all instances */
    uint64_t looks;             /* how often it was looked at, */
    uint64_t rings;             /* and how often because its publisher rang */
    bool is_ringing;            /* it is relied on to ring: nobody polls (bell.h) */
    void *hub;                  /* the hub's own */
    void *speaker;              /* the speaker's own */
};

struct sources_listener {
    void *context;
    void (*came)(void *context, struct source *source);    /* attached, or its schema is new */
    void (*went)(void *context, struct source *source);    /* forget the pointer */
    void (*changed)(void *context, struct source *source); /* live, reason or instance */
    void (*ticked)(void *context, struct source *source,
                   uint64_t now_ns); /* drained at least one */
    void (*event)(void *context, struct source *source, const struct event *event);
};

/* A doorbell: what wakes this process when the publisher at `address`, in another machine, has news
 * (ivshmem.h). It is asked for only when a tick is wanted: bell.h. */
struct sources_bell {
    const char *address;
    uint32_t peer; /* as whom the publisher rings this process */
    uint32_t vector;
    void (*listen)(void *context); /* sources_rang() is to be called at the next ring, once; those
                                      before do not count. NULL: it is not to be rung */
    void *context;
};

struct sources_options {
    const char *directory;
    const uid_t *trusted;
    size_t trusted_count;
    size_t history_bytes;       /* per source */
    const char *const *regions; /* addresses, all of them between machines; must outlive this */
    size_t region_count;
    const struct sources_bell *const *bells; /* more regions, with a doorbell; must outlive this */
    size_t bell_count;
    uint64_t host_hash; /* of the schema that a machine's own conditions have (host_source.h); 0: of
                           none */
};

/* Starts looking. `listener` is copied. Returns 0 or -errno. */
int sources_open(struct sources **sources, uv_loop_t *loop, const struct sources_options *options,
                 const struct sources_listener *listener);
/* Stops and frees everything, without calling the listener; run the loop once more to let handles
 * close. NULL is fine. */
void sources_close(struct sources *sources);

/* How often somebody needs to be told of this source: at least every `interval_ns`, just after a
 * tick; 0: every tick; UINT64_MAX: nobody cares. */
void sources_want(struct sources *sources, struct source *source, uint64_t interval_ns);

/* It rang. */
void sources_rang(struct sources *sources, const struct sources_bell *bell);

/* Reads what is new right now, whatever the pace: for an answer that must not be old. The listener
 * hears of it as usual; no source comes or goes by it. */
void sources_look(struct sources *sources, struct source *source);

/* The sources: by kind, and of a kind by name. Index 0, 1, …; NULL past
 * the end. */
struct source *sources_at(const struct sources *sources, size_t index);
struct source *sources_find(const struct sources *sources, const char *name);
/* Which one is meant where none is named: the first of them that is live, else the first; NULL:
 * there is none. */
struct source *sources_default(const struct sources *sources);

/* Segments that were refused: fills name (or address) and problem of number `index`; false past the end. */
bool sources_refusal(const struct sources *sources, size_t index, const char **name,
                     const char **problem);

/* A source as docs/websocket.md has it, with or without its schema. `now_ns` makes the ages. */
void source_encode(struct text *text, const struct source *source, uint64_t now_ns,
                   bool with_schema);
/* The `status` message of its newest tick (nothing where there is none yet). */
void source_encode_status(struct text *text, const struct source *source, uint64_t now_ns);

#endif
