#include "routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"

int routes_init(struct routes *routes, const char *origin) {
    *routes = (struct routes){.origin = strdup(origin), .ethertype = ROUTES_ETHERTYPE};
    memset(routes->destination, 0xff, sizeof routes->destination);
    routes->items = calloc(ROUTES_MAX, sizeof routes->items[0]);
    if (routes->origin != NULL && routes->items != NULL)
        return 0;
    routes_free(routes);
    return -ENOMEM;
}

/* ---- adding ---- */

/* What strdup() gave, and nobody writes since. */
static void release(const char *text) {
    free((void *)(uintptr_t)text);
}

static void free_route(struct route *route) {
    release(route->when.name);
    release(route->when.place);
    release(route->then.name);
    release(route->then.place);
    release(route->text);
}

static bool copy_end(struct route_end *copy, const struct route_end *end) {
    *copy = (struct route_end){end->kind, strdup(end->name), strdup(end->place)};
    return copy->name != NULL && copy->place != NULL;
}

static bool copy_route(struct route *copy, const struct route *route) {
    if (route->text != NULL && (copy->text = strdup(route->text)) == NULL)
        return false;
    return copy_end(&copy->when, &route->when) && copy_end(&copy->then, &route->then);
}

int routes_add(struct routes *routes, const struct route *route) {
    struct route copy = {.text = NULL};
    if (routes->count == ROUTES_MAX)
        return -E2BIG;
    if (!copy_route(&copy, route)) {
        free_route(&copy);
        return -ENOMEM;
    }
    routes->items[routes->count++] = copy;
    return 0;
}

void routes_free(struct routes *routes) {
    for (size_t i = 0; routes->items != NULL && i < routes->count; i++)
        free_route(&routes->items[i]);
    free(routes->items);
    free(routes->origin);
    free(routes->directory);
    free(routes->directory_place);
    *routes = (struct routes){.count = 0};
}

/* ---- judging the list as a whole ---- */

static bool is_same(const struct route_end *one, const struct route_end *other) {
    return one->kind == other->kind && strcmp(one->name, other->name) == 0;
}

static int check_twice(const struct routes *routes, struct omni_problem *problem) {
    for (size_t i = 0; i < routes->count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct route *route = &routes->items[i];
            const struct route *before = &routes->items[j];
            if (is_same(&route->when, &before->when) && is_same(&route->then, &before->then))
                return complain(problem, -EEXIST,
                                "%.80s: %.80s: this route is there already, see %.40s",
                                routes->origin, route->when.place, before->when.place);
        }
    }
    return 0;
}

enum colour { UNSEEN, ON_THE_WAY, DONE };

/* Goes on from route `from`; a route that is met while it is on the way closes a circle. */
static int follow(const struct routes *routes, size_t from, enum colour *colours,
                  struct omni_problem *problem) {
    const struct route *route = &routes->items[from];
    int error = 0;
    colours[from] = ON_THE_WAY;
    for (size_t next = 0; next < routes->count && error == 0; next++) {
        const struct route *met = &routes->items[next];
        if (!is_same(&route->then, &met->when) || colours[next] == DONE)
            continue;
        if (colours[next] == ON_THE_WAY)
            return complain(problem, -ELOOP,
                            "%.80s: %.60s: a loop: \"%.40s\" leads back to where it comes from "
                            "(%.60s)",
                            routes->origin, route->then.place, route->then.name, met->when.place);
        error = follow(routes, next, colours, problem);
    }
    colours[from] = DONE;
    return error;
}

static int check_loops(const struct routes *routes, struct omni_problem *problem) {
    enum colour colours[ROUTES_MAX] = {UNSEEN};
    int error = 0;
    for (size_t i = 0; i < routes->count && error == 0; i++)
        if (colours[i] == UNSEEN)
            error = follow(routes, i, colours, problem);
    return error;
}

int routes_check(const struct routes *routes, struct omni_problem *problem) {
    int error = check_twice(routes, problem);
    return error < 0 ? error : check_loops(routes, problem);
}

bool routes_has(const struct routes *routes, enum route_kind kind, const char *name,
                size_t length) {
    for (size_t i = 0; i < routes->count; i++) {
        const struct route_end *when = &routes->items[i].when;
        if (when->kind == kind && strlen(when->name) == length &&
            memcmp(when->name, name, length) == 0)
            return true;
    }
    return false;
}

/* ---- showing ---- */

/* As JSON would write it: line ends and quotes must not look like the list's own. */
static void print_text(const char *text, FILE *file) {
    (void)fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            (void)fprintf(file, "\\%c", *text);
        else if ((unsigned char)*text < ' ' || *text == '\x7f')
            (void)fprintf(file, "\\u%04x", (unsigned char)*text);
        else
            (void)fputc(*text, file);
    }
    (void)fputc('"', file);
}

static void print_route(const struct route *route, FILE *file) {
    static const char *const begins[ROUTE_KINDS] = {"file ", "frame "};
    (void)fputs(begins[route->when.kind], file);
    print_text(route->when.name, file);
    (void)fputs(route->then.kind == ROUTE_FILE ? " -> write " : " -> frame ", file);
    if (route->text != NULL) {
        print_text(route->text, file);
        (void)fputs(" to file ", file);
    }
    print_text(route->then.name, file);
    (void)fputc('\n', file);
}

void routes_print(const struct routes *routes, const char *interface, FILE *file) {
    const uint8_t *to = routes->destination;
    (void)fprintf(file,
                  "interface    %s\n"
                  "ethertype    0x%04x\n"
                  "destination  %02x:%02x:%02x:%02x:%02x:%02x\n"
                  "directory    %s\n",
                  interface != NULL ? interface : "(none named)", routes->ethertype, to[0], to[1],
                  to[2], to[3], to[4], to[5], routes->directory);
    for (size_t i = 0; i < routes->count; i++)
        print_route(&routes->items[i], file);
}
