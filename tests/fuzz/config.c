/* libFuzzer over the readers of both config files. Built and run by scripts/fuzz. */
#include <stdlib.h>
#include <string.h>

#include "relay/config.h"
#include "relay/legacy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

typedef int parse_function(struct routes *routes, const char *bytes, size_t length,
                           const char *path, struct omni_problem *problem);

/* What is taken keeps its promises and can be shown; what is not has a sentence, with the file's
 * name, for it. */
static void judge(int error, struct routes *routes, const struct omni_problem *problem,
                  FILE *shown) {
    struct omni_problem again = {""};
    if (error < 0 && strncmp(problem->text, "fuzz.json: ", strlen("fuzz.json: ")) != 0)
        abort();
    if (error < 0)
        return;
    if (routes->count == 0 || routes->count > ROUTES_MAX || routes->directory[0] != '/' ||
        routes->ethertype < ETHERTYPE_LOWEST || routes_check(routes, &again) < 0)
        abort();
    for (size_t i = 0; i < routes->count; i++) {
        const struct route *route = &routes->items[i];
        if ((route->text != NULL) != (route->then.kind == ROUTE_FILE) ||
            (route->when.kind == ROUTE_FILE && strchr(route->when.name, '/') != NULL) ||
            (route->then.kind == ROUTE_FILE && strchr(route->then.name, '/') != NULL))
            abort();
    }
    routes_print(routes, "rpmsg4000", shown);
    routes_free(routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static parse_function *const parsers[] = {config_parse, legacy_parse};
    static FILE *shown;
    char *text = malloc(length + 1);
    if (shown == NULL)
        shown = fopen("/dev/null", "we");
    if (text == NULL || shown == NULL)
        abort();
    memcpy(text, bytes, length);
    text[length] = '\0';
    for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++) {
        struct routes routes = {.count = 0};
        struct omni_problem problem = {""};
        judge(parsers[i](&routes, text, length, "fuzz.json", &problem), &routes, &problem, shown);
    }
    free(text);
    return 0;
}
