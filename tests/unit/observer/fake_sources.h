/*
 * fake_sources.h - stands in for sources.c in the hub's test
 *
 * Sources that tick when the test says so. Histories, transitions, encoders and tables are the real
 * ones. Include it once: it defines what sources.h declares.
 */
#ifndef FAKE_SOURCES_H
#define FAKE_SOURCES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni/publish.h>
#include <omni/schema.h>

#include "observer/sources.h"

#define MODES(LABEL) LABEL(MODE_IDLE, "idle") LABEL(MODE_WANDER, "wander") LABEL(MODE_TURN, "turn")
#define TOY(FIELD)                                                                                 \
    FIELD(number, u64, number, "", 0, NAN, "Counts up")                                            \
    FIELD(numbers, f32, power, 2, "%", -100, 100, "Powers")                                        \
    FIELD(choice, mode, MODES, "Mode")                                                             \
    FIELD(flag, alarm, "Alarm")
OMNI_ENUM(toy_mode, MODES)
OMNI_STATUS(toy, TOY)

#define FAKE_SOURCES_MAX 4

struct fake {
    struct source shown;
    struct omni_table table;
    uint64_t wanted_ns; /* by the last sources_want() */
    struct toy status;
};

struct sources {
    struct sources_listener listener;
    struct fake *fakes[FAKE_SOURCES_MAX]; /* sorted by the test */
    size_t count;
    const char *refused;
};

void sources_want(struct sources *sources, struct source *source, uint64_t interval_ns) {
    (void)sources;
    ((struct fake *)source)->wanted_ns = interval_ns;
}

struct source *sources_at(const struct sources *sources, size_t index) {
    return index < sources->count ? &sources->fakes[index]->shown : NULL;
}

struct source *sources_find(const struct sources *sources, const char *name) {
    for (size_t i = 0; i < sources->count; i++)
        if (strcmp(sources->fakes[i]->shown.name, name) == 0)
            return &sources->fakes[i]->shown;
    return NULL;
}

struct source *sources_default(const struct sources *sources) {
    return sources_at(sources, 0);
}

bool sources_refusal(const struct sources *sources, size_t index, const char **name,
                     const char **problem) {
    if (index > 0 || sources->refused == NULL)
        return false;
    *name = sources->refused;
    *problem = "made up";
    return true;
}

void source_encode(struct text *text, const struct source *source, uint64_t now_ns,
                   bool with_schema) {
    (void)now_ns;
    text_format(text, "{\"name\":\"%s\",\"state\":\"%s\"", source->name,
                source->live ? "live" : "stopped");
    if (with_schema) {
        text_string(text, ",\"schema\":");
        encode_schema(text, source->table);
    }
    text_string(text, "}");
}

void source_encode_status(struct text *text, const struct source *source, uint64_t now_ns) {
    (void)now_ns;
    if (source->stamp.version == 0)
        return;
    text_format(text,
                "{\"op\":\"status\",\"source\":\"%s\",\"tick\":%llu,\"values\":", source->name,
                (unsigned long long)source->stamp.tick);
    encode_values(text, source->encoder, source->payload);
    text_string(text, "}");
}

/* ---- what the test does ---- */

static struct fake *fake_make(const char *name, uint64_t period_ns, size_t events_kept) {
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    struct source *source = &fake->shown;
    snprintf(source->name, sizeof source->name, "%s", name);
    assert_int_equal(omni_schema_pack(&fake->table, toy_schema(), NULL), 0);
    source->table = &fake->table;
    source->facts.period_ns = period_ns;
    source->facts.instance = 1;
    source->live = true;
    source->reason = "";
    source->payload = (unsigned char *)&fake->status;
    assert_int_equal(encoder_open(&source->encoder, source->table), 0);
    assert_int_equal(history_open(&source->history, 4 << 20, fake->table.payload_bytes), 0);
    assert_int_equal(transitions_open(&source->transitions, source->table, events_kept), 0);
    return fake;
}

static void fake_free(struct fake *fake) {
    encoder_close(fake->shown.encoder);
    history_close(fake->shown.history);
    transitions_close(fake->shown.transitions);
    omni_table_free(&fake->table);
    free(fake);
}

/* At its place in the order of names. */
static void fake_come(struct sources *sources, struct fake *fake) {
    size_t at = sources->count++;
    for (; at > 0 && strcmp(sources->fakes[at - 1]->shown.name, fake->shown.name) > 0; at--)
        sources->fakes[at] = sources->fakes[at - 1];
    sources->fakes[at] = fake;
    sources->listener.came(sources->listener.context, &fake->shown);
}

static void fake_go(struct sources *sources, struct fake *fake) {
    size_t at = 0;
    while (sources->fakes[at] != fake)
        at++;
    sources->count--;
    memmove(&sources->fakes[at], &sources->fakes[at + 1],
            (sources->count - at) * sizeof sources->fakes[0]);
    sources->listener.went(sources->listener.context, &fake->shown);
    fake_free(fake);
}

struct fake_route {
    struct sources *sources;
    struct source *source;
};

static void fake_event(void *context, const struct event *event) {
    struct fake_route *route = context;
    const struct sources_listener *listener = &route->sources->listener;
    listener->event(listener->context, route->source, event);
}

/* One tick is read: into history and transitions. */
static void fake_read(struct sources *sources, struct fake *fake) {
    struct source *source = &fake->shown;
    struct fake_route route = {sources, source};
    fake->status.number++;
    source->stamp.version++;
    source->stamp.tick++;
    source->stamp.time = omni_time_now();
    source->ticks++;
    history_push(source->history, source->facts.instance, &source->stamp, &fake->status);
    transitions_feed(source->transitions, source->facts.instance, &source->stamp, &fake->status,
                     fake_event, &route);
}

/* And the hub is told. */
static void fake_tick(struct sources *sources, struct fake *fake) {
    fake_read(sources, fake);
    fake->shown.heard_ns = uv_hrtime();
    sources->listener.ticked(sources->listener.context, &fake->shown, fake->shown.heard_ns);
}

#endif
