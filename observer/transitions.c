#include "transitions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

/* A field to look at: where its bytes are in the payload and in `before`. */
struct watch {
    uint32_t field;
    uint32_t offset;
    uint32_t count;
    uint32_t before;
    bool is_flag;
};

struct transitions {
    struct watch *watches;
    size_t watch_count;
    unsigned char *before; /* the bytes of the last tick, as they came */
    bool fed;
    uint64_t instance;
    struct event *events; /* sequence s at s % kept */
    size_t kept;
    uint64_t newest;
};

static bool is_watched(const struct omni_field *field) {
    return field->type == OMNI_TYPE_bool || field->type == OMNI_TYPE_enum;
}

static size_t bytes_watched(const struct omni_table *table) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < table->field_count; i++)
        bytes += is_watched(&table->fields[i]) ? table->fields[i].count : 0;
    return bytes;
}

static void fill_watches(struct transitions *transitions, const struct omni_table *table) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct omni_field *field = &table->fields[i];
        if (!is_watched(field))
            continue;
        transitions->watches[transitions->watch_count++] =
            (struct watch){i, field->offset, field->count, before, field->type == OMNI_TYPE_bool};
        before += field->count;
    }
}

int transitions_open(struct transitions **transitions, const struct omni_table *table,
                     size_t kept) {
    if (kept == 0 || (kept & (kept - 1)) != 0)
        return -EINVAL;
    struct transitions *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->kept = kept;
    made->watches = calloc((size_t)table->field_count + 1, sizeof *made->watches);
    made->before = calloc(bytes_watched(table) + 1, 1);
    made->events = calloc(kept, sizeof *made->events);
    if (made->watches == NULL || made->before == NULL || made->events == NULL) {
        transitions_close(made);
        return -ENOMEM;
    }
    fill_watches(made, table);
    *transitions = made;
    return 0;
}

void transitions_close(struct transitions *transitions) {
    if (transitions == NULL)
        return;
    free(transitions->events);
    free(transitions->before);
    free(transitions->watches);
    free(transitions);
}

static const struct event *store(struct transitions *transitions, const struct event *event) {
    struct event *place = &transitions->events[++transitions->newest & (transitions->kept - 1)];
    *place = *event;
    place->sequence = transitions->newest;
    return place;
}

struct feed {
    uint64_t instance;
    const struct omni_stamp *stamp;
    transitions_sink *sink;
    void *context;
};

static void compare_field(struct transitions *transitions, const struct watch *watch,
                          const unsigned char *now, const struct feed *feed) {
    const unsigned char *before = transitions->before + watch->before;
    for (uint32_t i = 0; i < watch->count; i++) {
        uint8_t from = watch->is_flag ? before[i] != 0 : before[i];
        uint8_t to = watch->is_flag ? now[i] != 0 : now[i];
        if (from == to)
            continue;
        const struct event event = {.instance = feed->instance,
                                    .stamp = *feed->stamp,
                                    .field = watch->field,
                                    .element = i,
                                    .from = from,
                                    .to = to};
        const struct event *stored = store(transitions, &event);
        if (feed->sink != NULL)
            feed->sink(feed->context, stored);
    }
}

void transitions_feed(struct transitions *transitions, uint64_t instance,
                      const struct omni_stamp *stamp, const void *payload, transitions_sink *sink,
                      void *context) {
    const struct feed feed = {instance, stamp, sink, context};
    bool comparable = transitions->fed && transitions->instance == instance;
    for (size_t i = 0; i < transitions->watch_count; i++) {
        const struct watch *watch = &transitions->watches[i];
        const unsigned char *now = (const unsigned char *)payload + watch->offset;
        unsigned char *before = transitions->before + watch->before;
        if (memcmp(before, now, watch->count) == 0)
            continue;
        if (comparable)
            compare_field(transitions, watch, now, &feed);
        memcpy(before, now, watch->count);
    }
    transitions->fed = true;
    transitions->instance = instance;
}

uint64_t transitions_newest(const struct transitions *transitions) {
    return transitions->newest;
}

uint64_t transitions_oldest(const struct transitions *transitions) {
    if (transitions->newest <= transitions->kept)
        return transitions->newest > 0;
    return transitions->newest - transitions->kept + 1;
}

const struct event *transitions_get(const struct transitions *transitions, uint64_t sequence) {
    if (sequence == 0 || sequence > transitions->newest ||
        sequence < transitions_oldest(transitions))
        return NULL;
    return &transitions->events[sequence & (transitions->kept - 1)];
}

/* true or false, a label, or a number where there is none. */
static void encode_state(struct text *text, const struct omni_table *table,
                         const struct omni_field *field, uint8_t value) {
    if (field->type == OMNI_TYPE_bool) {
        text_string(text, value != 0 ? "true" : "false");
        return;
    }
    const char *label = omni_table_label(table, field, value);
    if (label != NULL)
        text_json_string(text, label, strlen(label));
    else
        encode_u64(text, value);
}

void transitions_encode(struct text *text, const char *source, const struct omni_table *table,
                        const struct event *event) {
    const struct omni_field *field = &table->fields[event->field];
    text_string(text, "{\"op\":\"event\",\"source\":");
    text_json_string(text, source, strlen(source));
    text_string(text, ",\"sequence\":");
    encode_u64(text, event->sequence);
    text_format(text, ",\"instance\":\"%016" PRIx64 "\",", event->instance);
    encode_stamp(text, &event->stamp);
    text_format(text, ",\"field\":\"%s\",\"element\":%" PRIu32 ",\"from\":", field->name,
                event->element);
    encode_state(text, table, field, event->from);
    text_string(text, ",\"to\":");
    encode_state(text, table, field, event->to);
    if (event->stamp.missed > 0) {
        text_string(text, ",\"missed\":");
        encode_u64(text, event->stamp.missed);
    }
    text_string(text, "}");
}
