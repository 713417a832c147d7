#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni/publish.h>
#include <omni/region.h>

#include "clock.h"
#include "command.h"
#include "outlet.h"
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

static void name_what_is_there(struct omni_problem *problem, const struct options *options,
                               const char *name) {
    const char *directory = options->directory;
    (void)snprintf(problem->text, sizeof problem->text,
                   "no source \"%.48s\" in %.80s; there are: ", name, directory);
    size_t empty = strlen(problem->text);
    (void)omni_sources_each(directory, add_name, problem);
    if (strlen(problem->text) == empty) {
        (void)snprintf(problem->text, sizeof problem->text,
                       "no source \"%.48s\" in %.80s, nor any other%s", name, directory,
                       options->wait ? "" : "; --wait waits for it");
    }
}

static bool is_address(const char *name) {
    return strchr(name, ':') != NULL && strncmp(name, "shm:", strlen("shm:")) != 0;
}

int look_open(struct look *look, const struct options *options, const char *name,
              struct omni_problem *problem) {
    struct omni_observer_options how = {.directory = options->directory,
                                        .trusted = options->trust.items,
                                        .trusted_count = options->trust.count};
    struct look made = {.options = options, .name = name};
    int error = omni_observer_attach(&made.observer, name, &how, problem);
    if (error == -ENOENT && !is_address(name))
        name_what_is_there(problem, options, name);
    if (error < 0)
        return error;
    foreign_clock_start(&made.clock,
                        omni_observer_facts(made.observer)->scope == OMNI_SCOPE_MACHINES,
                        clock_now_ns());
    made.payload = malloc(omni_observer_payload_bytes(made.observer));
    if (made.payload == NULL) {
        (void)snprintf(problem->text, sizeof problem->text, "no memory left for a status");
        look_close(&made);
        return -ENOMEM;
    }
    *look = made;
    return 0;
}

int look_open_soon(struct look *look, const struct options *options, const char *name,
                   struct outlet *outlet, struct omni_problem *problem) {
    const uint64_t end_ns = clock_now_ns() + LOOK_BUILD_NS;
    int error = look_open(look, options, name, problem);
    while (error == -EAGAIN && is_address(name) && !outlet->stop && clock_now_ns() < end_ns) {
        outlet_sleep(outlet, clock_now_ns() + LOOK_AGAIN_NS);
        error = look_open(look, options, name, problem);
    }
    if (error != -EAGAIN || !is_address(name) || outlet->stop)
        return error;
    char reason[sizeof problem->text];
    memcpy(reason, problem->text, sizeof reason);
    (void)snprintf(problem->text, sizeof problem->text, "%.100s: %.60s; --wait waits for it", name,
                   reason);
    return -ENOENT;
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
    *look = (struct look){.observer = NULL};
}

/* ---- time ---- */

void look_compare_clocks(struct look *look) {
    struct omni_stamp newest;
    if (look->clock.foreign && omni_observer_glance(look->observer, &newest) == 0)
        foreign_clock_see(&look->clock, &newest, omni_observer_facts(look->observer)->period_ns,
                          omni_time_now());
}

uint64_t look_newest_ns(const struct look *look, const struct omni_stamp *newest,
                        uint64_t heard_ns) {
    struct omni_stamp here = *newest;
    here.time.monotonic_ns =
        foreign_clock_translate(&look->clock, newest->time.monotonic_ns, 0, heard_ns);
    return foreign_clock_newest(&look->clock, &here, heard_ns);
}

/* ---- life ---- */

/* A death between machines is told by then. */
#define DEATH_TOLD_NS (OMNI_OWNER_DEAD_NS + 10 * LOOK_AGAIN_NS)

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t look_patience_ns(const struct look *look, const struct omni_stamp *newest,
                          uint64_t heard_ns) {
    uint64_t period_ns = omni_observer_facts(look->observer)->period_ns;
    uint64_t limit_ns = silence_limit(period_ns);
    if (look->clock.foreign)
        return limit_ns < DEATH_TOLD_NS || period_ns == 0 ? DEATH_TOLD_NS
                                                          : least(limit_ns, LOOK_MOST_NS);
    bool tells = newest->version != 0 && newest->time.monotonic_ns <= heard_ns;
    return tells || period_ns == 0 ? 0 : least(limit_ns, LOOK_MOST_NS);
}

const char *look_loss(const struct look *look) {
    struct omni_problem problem;
    struct look next = {.observer = NULL};
    if (!look->clock.foreign)
        return "removed";
    int error = look_open(&next, look->options, look->name, &problem);
    look_close(&next);
    return error == 0 || error == -EAGAIN ? "replaced" : "removed";
}

const char *look_end(const struct look *look) {
    /* A segment that was replaced may name a lock that its successor holds: ask for a goodbye
     * first, then for the name, and believe the lock last. */
    enum omni_life life = omni_observer_life(look->observer);
    if (life == OMNI_LIFE_CLOSED)
        return "closed";
    if (omni_observer_is_replaced(look->observer))
        return look_loss(look);
    return life == OMNI_LIFE_DIED ? "died" : NULL;
}

const char *look_reason(const struct look *look, uint64_t newest_ns, uint64_t now_ns) {
    const char *end = look_end(look);
    const struct omni_source_facts *facts = omni_observer_facts(look->observer);
    if (end != NULL)
        return end;
    bool lives = foreign_clock_vouches(&look->clock, facts->period_ns, now_ns) &&
                 !silence_has_come(facts, newest_ns, now_ns);
    return lives ? "" : "silent";
}
