#include "router.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "service/say.h"

static void publish(struct router *router) {
    omni_publish(router->publisher, &router->status);
}

/* ---- actions ---- */

static int send_frame(struct router *router, const struct route *route) {
    int error = link_send(router->link, route->then.name);
    if (error == 0)
        router->status.frames_out++;
    return error;
}

static int write_file(struct router *router, const struct route *route) {
    int error = directory_write(router->directory, route->then.name, route->text);
    if (error == 0)
        router->status.files_out++;
    return error;
}

static int (*const actions[ROUTE_KINDS])(struct router *router, const struct route *route) = {
    [ROUTE_FILE] = write_file,
    [ROUTE_FRAME] = send_frame,
};

/* A lost interface is told of once, by the link. The news of a lost carrier takes the kernel up to a
 * second, in which it has "no buffer space"; as it has where a queue is full. */
static bool is_links_affair(int error) {
    return error == -ENETDOWN || error == -ENOBUFS;
}

static void describe(char *text, size_t bytes, const struct routes *routes,
                     const struct route_end *then) {
    if (then->kind == ROUTE_FILE)
        (void)snprintf(text, bytes, "writing %s/%s", routes->directory, then->name);
    else
        (void)snprintf(text, bytes, "sending frame \"%s\"", then->name);
}

static void judge(struct router *router, size_t index, int error) {
    const struct route_end *then = &router->routes->items[index].then;
    bool *is_failing = &router->is_failing[index];
    char what[PATH_MAX + 32];
    if (error < 0)
        router->status.errors++;
    if (is_links_affair(error) || (error < 0) == *is_failing)
        return;
    *is_failing = error < 0;
    describe(what, sizeof what, router->routes, then);
    if (error < 0)
        say(SAY_WARNING, "%s: %s: %s.", then->place, what, strerror(-error));
    else
        say(SAY_INFO, "%s: %s works again.", then->place, what);
}

static bool begins(const struct route *route, enum route_kind kind, const char *name,
                   size_t length) {
    return route->when.kind == kind && strncmp(route->when.name, name, length) == 0 &&
           route->when.name[length] == '\0';
}

/* Where there was no room, it goes on with the route that had none. */
static int act(struct router *router, enum route_kind kind, const char *name, size_t length) {
    const struct routes *routes = router->routes;
    size_t *reached = &router->reached[kind];
    for (; *reached < routes->count; (*reached)++) {
        const struct route *route = &routes->items[*reached];
        if (!begins(route, kind, name, length))
            continue;
        int error = actions[route->then.kind](router, route);
        if (error == -EAGAIN)
            return error;
        judge(router, *reached, error);
    }
    *reached = 0;
    return 0;
}

/* ---- events ---- */

/* Cut where a character ends. */
static void note_event(struct relay_status *status, const char *name, size_t length) {
    size_t count = length < sizeof status->last_event ? length : sizeof status->last_event - 1;
    while (count < length && count > 0 && ((unsigned char)name[count] & 0xc0u) == 0x80u)
        count--;
    memset(status->last_event, 0, sizeof status->last_event);
    memcpy(status->last_event, name, count);
}

static int on_event(struct router *router, enum route_kind kind, const char *name, size_t length,
                    uint64_t *counter) {
    if (act(router, kind, name, length) == -EAGAIN)
        return -EAGAIN;
    (*counter)++;
    note_event(&router->status, name, length);
    publish(router);
    return 0;
}

static int on_written(void *context, const char *name) {
    struct router *router = context;
    return on_event(router, ROUTE_FILE, name, strlen(name), &router->status.files_in);
}

static void on_overflow(void *context) {
    struct router *router = context;
    router->status.overflows++;
    publish(router);
}

static uint64_t *counter_of(struct relay_status *status, enum frame_kind kind) {
    switch (kind) {
    case FRAME_OWN:
        return &status->own;
    case FRAME_FOREIGN:
        return &status->foreign;
    case FRAME_MALFORMED:
        return &status->malformed;
    case FRAME_EVENT:
        break;
    }
    return &status->unknown;
}

/* Once: a name that is misspelt is found by it, and others' events must not fill the log. */
static void tell_unknown(struct router *router, const struct frame_event *event) {
    if (router->status.unknown > 0)
        return;
    say(SAY_INFO,
        "No route begins with frame \"%.*s\": it counts as unknown, as do all further ones without "
        "a word.",
        (int)event->length, event->name);
}

static int on_frame(void *context, enum frame_kind kind, const struct frame_event *event) {
    struct router *router = context;
    if (kind == FRAME_EVENT && routes_has(router->routes, ROUTE_FRAME, event->name, event->length))
        return on_event(router, ROUTE_FRAME, event->name, event->length, &router->status.frames_in);
    if (kind == FRAME_EVENT)
        tell_unknown(router, event);
    (*counter_of(&router->status, kind))++;
    publish(router);
    return 0;
}

static void on_room(void *context) {
    struct router *router = context;
    directory_resume(router->directory);
}

static void on_change(void *context, bool is_up) {
    struct router *router = context;
    router->status.link_up = is_up;
    publish(router);
}

static void on_lost(void *context, unsigned count) {
    struct router *router = context;
    router->status.overflows += count;
    publish(router);
}

/* ---- */

void router_open(struct router *router, const struct routes *routes, struct link *link,
                 struct directory *directory, struct omni_publisher *publisher) {
    *router = (struct router){
        .routes = routes, .link = link, .directory = directory, .publisher = publisher};
    publish(router);
}

int router_start(struct router *router, uv_loop_t *loop) {
    const struct link_listener frames = {.context = router,
                                         .on_frame = on_frame,
                                         .on_room = on_room,
                                         .on_change = on_change,
                                         .on_lost = on_lost};
    const struct directory_listener files = {
        .context = router, .on_written = on_written, .on_overflow = on_overflow};
    int error = directory_start(router->directory, loop, &files);
    return error < 0 ? error : link_start(router->link, loop, &frames);
}
