/*
 * door.h - accepts a connection, peeks at the request line, hands the untouched socket to http or
 * hub
 *
 * Purpose
 *   Two libraries answer on one port. The door looks at the first bytes without taking them:
 *   "GET /ws" followed by a space or '?' goes to the hub, everything else to http, as soon as the
 *   bytes tell. At most eight bytes decide, and the door sleeps (SO_RCVLOWAT) until another one is
 *   there or the header time is over.
 *
 * Calling sequence
 *   door_listen() early, so that a port in use is found before anything else starts; door_open()
 *   when http and hub are there; door_close() before they are closed.
 *
 * Limits
 *   A bounded number of undecided connections; when one more comes, the oldest is closed. Out of
 *   descriptors: the listeners rest for a moment instead of spinning, and it is said on stderr.
 *   At rest no timer runs.
 */
#ifndef OBSERVER_DOOR_H
#define OBSERVER_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include <omni/schema.h>

#include "http.h"
#include "hub.h"

struct door; /* opaque */

struct door_options {
    const char *const *listen; /* "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0"; NULL-terminated */
    int inherited;             /* sockets that listen already, the first one of so many: then */
    size_t inherited_count;    /* `listen` does not count */
    unsigned undecided_max;
    unsigned header_seconds;
};

/* Binds and listens on every address: numeric, or "localhost" for 127.0.0.1; port 0 takes a free
 * one. Or takes the sockets that were handed over: each a TCP socket that listens.
 * On failure `problem` says which address and why (-EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL, …;
 * -EPROTOTYPE for a socket of another kind) and nothing stays open, what was handed over included. */
int door_listen(struct door **door, const struct door_options *options,
                struct omni_problem *problem);
/* Starts accepting. Once per door. Returns 0 or -errno. */
int door_open(struct door *door, uv_loop_t *loop, struct http *http, struct hub *hub);
/* Closes listeners and undecided connections; where it was opened, run the loop once more to let
 * handles close. NULL is fine. */
void door_close(struct door *door);

/* The address that number `index` really listens on (port 0 resolved), as "ADDRESS:PORT"; false
 * past the end. */
bool door_address(const struct door *door, size_t index, char *text, size_t bytes);
/* The first address that is reached from other machines too; false where there is none. */
bool door_open_address(const struct door *door, char *text, size_t bytes);
/* The socket number `index` that listens, the door's own; -1 past the end. */
int door_socket(const struct door *door, size_t index);
/* The address that a text (as in `listen`) means; false where it means none, and `address` is
 * untouched. */
bool door_parse(const char *listen, struct sockaddr_storage *address);
/* True where the text (as in `listen`) is a loopback address. */
bool door_is_loopback(const char *listen);

/* Whose a connection is, as far as its first bytes tell. */
enum door_way { DOOR_UNDECIDED, DOOR_HTTP, DOOR_HUB };
enum door_way door_decide(const char *bytes, size_t count);

#endif
