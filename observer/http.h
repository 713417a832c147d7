/*
 * http.h - the HTTP side: page, API, health (libmicrohttpd)
 *
 *   GET /, /main.js, …                        the embedded page (gzip, ETag/304)
 *   GET /?token=…                             303 to / with the cookie
 *   GET /api/sources                          all sources with their schemas, and what was refused
 *   GET /api/status?source=                   the newest status (default: the first that is live)
 *   GET /api/history?source=&seconds=&format= the last seconds, JSON or CSV, streamed
 *   GET /api/observer                         the observer's own figures
 *   GET /healthz                              200 while the loop turns; no token needed
 *
 * Other paths 404, other methods 405; HEAD works as GET. One route table. docs/http.md is the
 * reference.
 *
 * Limits
 *   connections_max connections; where one more comes, one makes room: the oldest that has not
 *   brought a whole request yet, else the one that has rested longest since its last, else, of
 *   those being answered for three seconds or more, the one that took least of its answer of late
 *   (where there is none of them either, the new one is closed). So whoever reads is served,
 *   however many never do. The first request must be whole header_seconds after the connection,
 *   each further one idle_seconds after the answer before it, however slowly it drips. A client
 *   that takes nothing of its answer for idle_seconds is closed, and so is one that needs more than
 *   ten minutes for it. 16 KiB of memory a connection, so headers are bounded (431).
 *
 * Threads: all of it in the loop's thread. At rest nothing is armed.
 */
#ifndef OBSERVER_HTTP_H
#define OBSERVER_HTTP_H

#include <sys/socket.h>
#include <uv.h>

#include "access.h"
#include "announcer.h"
#include "hub.h"
#include "sources.h"

struct http; /* opaque */

struct http_options {
    unsigned connections_max;
    unsigned header_seconds; /* 0: as idle_seconds */
    unsigned idle_seconds;
    const struct announcer *announcer; /* told of by /healthz; may be NULL */
};

/* What it shows must outlive it. Returns 0 or -errno. */
int http_open(struct http **http, uv_loop_t *loop, const struct http_options *options,
              struct sources *sources, struct hub *hub, const struct access *access);
/* Closes every connection; run the loop once more to let handles close. NULL is fine. */
void http_close(struct http *http);
/* Takes an accepted socket whose request is still unread. Owns it from then on, also on failure. */
void http_adopt(struct http *http, int socket, const struct sockaddr *peer, socklen_t peer_bytes);

#endif
