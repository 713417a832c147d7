#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "silence.h"

/* ---- attaching ---- */

static int add_name(void *context, const char *name) {
    struct omni_problem *problem = context;
    size_t used = strlen(problem->text);
    bool first = used > 0 && problem->text[used - 1] == ' ';
    (void)snprintf(problem->text + used, sizeof problem->text - used, "%s%s", first ? "" : ", ",
                   name);
    return 0;
}

static void name_what_is_there(struct omni_problem *problem, const char *directory,
                               const char *name) {
    (void)snprintf(problem->text, sizeof problem->text,
                   "no source \"%.48s\" in %.80s; there are: ", name, directory);
    size_t empty = strlen(problem->text);
    (void)omni_sources_each(directory, add_name, problem);
    if (strlen(problem->text) == empty) {
        (void)snprintf(problem->text, sizeof problem->text,
                       "no source \"%.48s\" in %.80s, nor any other; --wait waits for it", name,
                       directory);
    }
}

int look_open(struct look *look, const struct options *options, const char *name,
              struct omni_problem *problem) {
    struct omni_observer_options how = {.directory = options->directory,
                                        .trusted = options->trust.items,
                                        .trusted_count = options->trust.count};
    struct look made = {NULL, NULL};
    int error = omni_observer_attach(&made.observer, name, &how, problem);
    if (error == -ENOENT)
        name_what_is_there(problem, options->directory, name);
    if (error < 0)
        return error;
    made.payload = malloc(omni_observer_payload_bytes(made.observer));
    if (made.payload == NULL) {
        (void)snprintf(problem->text, sizeof problem->text, "no memory left for a status");
        look_close(&made);
        return -ENOMEM;
    }
    *look = made;
    return 0;
}

int look_explain(int error, const char *name, const struct omni_problem *problem) {
    if (error == -ENOENT)
        (void)fprintf(stderr, "%s\n", problem->text);
    else
        (void)fprintf(stderr, "source %s cannot be read: %s\n", name, problem->text);
    return error == -ENOENT ? EXIT_NO_SOURCE : EXIT_RUNTIME;
}

void look_close(struct look *look) {
    omni_observer_detach(look->observer);
    free(look->payload);
    *look = (struct look){NULL, NULL};
}

/* ---- life ---- */

const char *look_end(const struct look *look) {
    /* A segment that was replaced may name a lock that its successor holds: ask for a goodbye
     * first, then for the name, and believe the lock last. */
    enum omni_life life = omni_observer_life(look->observer);
    if (life == OMNI_LIFE_CLOSED)
        return "closed";
    if (omni_observer_is_replaced(look->observer))
        return "removed";
    return life == OMNI_LIFE_DIED ? "died" : NULL;
}

const char *look_reason(const struct look *look, uint64_t newest_ns, uint64_t now_ns) {
    const char *end = look_end(look);
    uint64_t period_ns = omni_observer_facts(look->observer)->period_ns;
    if (end != NULL)
        return end;
    return silence_has_come(period_ns, newest_ns, now_ns) ? "silent" : "";
}
