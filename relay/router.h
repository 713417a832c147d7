/*
 * router.h - events in, actions out, and counting both
 *
 * Purpose
 *   Goes by the routes: each event of one is answered with all actions that it leads to, in the
 *   order of the config; and publishes the status with each event, so that an observer sees every one.
 *   What fails is counted, told once, and told again when it works.
 *
 * Calling sequence
 *     struct router router;
 *     router_open(&router, &routes, link, directory, publisher);
 *     router_start(&router, loop);
 */
#ifndef RELAY_ROUTER_H
#define RELAY_ROUTER_H

#include <omni/publish.h>

#include "directory.h"
#include "link.h"
#include "routes.h"
#include "status.h"

/* The module's own but for the status. */
struct router {
    const struct routes *routes;
    struct link *link;
    struct directory *directory;
    struct omni_publisher *publisher;
    struct relay_status status;
    size_t reached[ROUTE_KINDS]; /* by the event that waits for room: so many routes are done */
    bool is_failing[ROUTES_MAX]; /* the route's action failed the last time, and that was told */
};

/* What is opened stays its owner's, and must outlive the router. */
void router_open(struct router *router, const struct routes *routes, struct link *link,
                 struct directory *directory, struct omni_publisher *publisher);

/* Begins to listen to link and directory. Returns 0 or -errno. */
int router_start(struct router *router, uv_loop_t *loop);

#endif
