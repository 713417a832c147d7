/*
 * routes.h - what leads to what: the list that the relay works by
 *
 * Purpose
 *   An event is either a file of the directory that was closed after writing, or a frame that
 *   brought a payload. A route leads from one event to one action: a text written to a file of the
 *   directory, or a frame sent. config.c and legacy.c make the list from their files; router.c goes
 *   by it.
 *
 * Calling sequence
 *     struct routes routes;
 *     if (config_read(&routes, "relay.json", &problem) < 0)
 *         ... say problem.text, exit 2 ...
 *     ... routes.items[0 .. routes.count - 1] ...
 *     routes_free(&routes);
 */
#ifndef RELAY_ROUTES_H
#define RELAY_ROUTES_H

#include <net/ethernet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <omni/schema.h>

#define ROUTES_MAX       256u
#define ROUTES_TEXT_MAX  4096u /* bytes of a text to write */
#define ROUTES_FRAME_MAX 128u  /* bytes of a payload */
#define ROUTES_ETHERTYPE 0x8800u
#define ETHERTYPE_LOWEST 0x0600u /* below, the two bytes are a length (IEEE 802.3) */

/* What an event or an action is about. */
enum route_kind { ROUTE_FILE, ROUTE_FRAME, ROUTE_KINDS };

struct route_end {
    enum route_kind kind;
    const char
        *name; /* of the file, or the payload; UTF-8 without control characters, never empty */
    const char *place; /* where the config says so: routes[2].when.file */
};

struct route {
    struct route_end when;
    struct route_end then;
    const char *text; /* to write; NULL where a frame is sent */
};

struct routes {
    char *origin;          /* the config's path, for complaints */
    char *directory;       /* absolute, without a slash at its end */
    char *directory_place; /* where the config says so */
    uint8_t destination[ETH_ALEN];
    uint16_t ethertype;
    bool makes_files; /* each file is made, empty, at start: as the predecessor does */
    size_t count;
    struct route *items;
};

/* An empty list with what counts where the config says nothing: EtherType 0x8800, broadcast.
 * Returns 0 or -ENOMEM. */
int routes_init(struct routes *routes, const char *origin);

/* Adds a route, of which everything is copied; `text` is NULL where a frame is sent.
 * Returns 0; -E2BIG where there are ROUTES_MAX; -ENOMEM. */
int routes_add(struct routes *routes, const struct route *route);

/* Refuses what is there twice and what leads back to itself: the relay's own writing and sending
 * set off nothing, but another relay on the far side could answer for ever.
 * Returns 0 or -ELOOP, -EEXIST with the place in `problem`. */
int routes_check(const struct routes *routes, struct omni_problem *problem);

/* True where a file of that name, or a payload of those bytes, begins at least one route. */
bool routes_has(const struct routes *routes, enum route_kind kind, const char *name, size_t length);

/* Writes what --dry-run shows. */
void routes_print(const struct routes *routes, const char *interface, FILE *file);

/* Releases the list. All zero is fine. */
void routes_free(struct routes *routes);

#endif
