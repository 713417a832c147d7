/*
 * api.h - what the HTTP API says, as text (docs/http.md is the reference of the shapes)
 *
 * Purpose
 *   The answers under /api and /healthz, without a word of HTTP's transport in them: http.c asks,
 *   these functions write. A history may be larger than memory should be, so it is read piece by
 *   piece from a stream.
 *
 * Answers
 *   A function returns the HTTP status. 200: `body` holds JSON. Anything else: `body` holds one
 *   sentence for people, without newline.
 *
 * Threads: all of it in the loop's thread.
 */
#ifndef OBSERVER_API_H
#define OBSERVER_API_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "announcer.h"
#include "hub.h"
#include "sources.h"
#include "text.h"

struct api {
    struct sources *sources;
    const struct hub *hub;
    const struct announcer *announcer; /* may be NULL */
    uint64_t started_ns;               /* CLOCK_MONOTONIC */
    unsigned http_connections;
    uint64_t http_requests;
};

/* The parameters of a request; NULL for one that is not there. */
struct api_query {
    const char *source;  /* default: the first */
    const char *seconds; /* of history, default 60; a number above 0 */
    const char *format;  /* of history: "json" (default) or "csv" */
};

unsigned api_health(const struct api *api, struct text *body);
/* The observer's own figures. */
unsigned api_observer(const struct api *api, struct text *body);
unsigned api_sources(const struct api *api, struct text *body);
/* 404: no such source; 503: it has no tick yet. */
unsigned api_status(const struct api *api, const struct api_query *query, struct text *body);

struct api_history; /* opaque: a history on its way to one client */

/* Begins a history: the records of the last seconds that are there at this moment. On 200
 * `*history` is to be closed with api_history_close() and `body` stays empty; 400: a parameter is
 * wrong; 404: no such source; 500: no memory. */
unsigned api_history_open(struct api_history **history, const struct api *api,
                          const struct api_query *query, struct text *body);
void api_history_close(struct api_history *history);
/* The content type: JSON or CSV. */
const char *api_history_type(const struct api_history *history);
/* The next piece, at most `bytes` (at least 1). Returns its length; 0 at the end; -ESTALE where the
 * source vanished meanwhile or has another schema now, -ENOMEM: then what was read is not whole,
 * and the client has to be told so by breaking off. Records that fell out of the history meanwhile
 * are missing (their ticks tell). */
ssize_t api_history_read(struct api_history *history, char *buffer, size_t bytes);

#endif
