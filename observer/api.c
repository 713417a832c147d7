#include "api.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "catalog.h"
#include "clock.h"
#include "encode.h"

enum { DEFAULT_SECONDS = 60, MICROSECONDS = 1000000 };

/* ---- The observer itself ---- */

static unsigned sources_count(const struct api *api) {
    unsigned count = 0;
    while (sources_at(api->sources, count))
        count++;
    return count;
}

static uint64_t uptime_seconds(const struct api *api) {
    return (uv_hrtime() - api->started_ns) / CLOCK_NS_A_SECOND;
}

unsigned api_health(const struct api *api, struct text *body) {
    text_format(body,
                "{\"status\":\"ok\",\"version\":\"" OMNI_VERSION "\",\"uptime\":%" PRIu64
                ",\"sources\":%u,\"clients\":%u,\"announced\":",
                uptime_seconds(api), sources_count(api), hub_figures(api->hub).clients);
    announcer_encode(body, api->announcer);
    text_string(body, "}\n");
    return 200;
}

static uint64_t processor_microseconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * MICROSECONDS +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static uint64_t resident_bytes(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    (void)fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

unsigned api_observer(const struct api *api, struct text *body) {
    struct hub_figures hub = hub_figures(api->hub);
    text_format(body,
                "{\"version\":\"" OMNI_VERSION "\",\"process\":%d,\"uptime\":%" PRIu64
                ",\"cpu\":%" PRIu64 ",\"memory\":%" PRIu64 ",\"sources\":%u,\"clients\":%u",
                (int)getpid(), uptime_seconds(api), processor_microseconds(), resident_bytes(),
                sources_count(api), hub.clients);
    text_format(body,
                ",\"clients_ever\":%" PRIu64 ",\"messages_sent\":%" PRIu64
                ",\"frames_dropped\":%" PRIu64 ",\"clients_closed\":%" PRIu64,
                hub.clients_ever, hub.messages_sent, hub.frames_dropped, hub.clients_closed);
    text_format(body, ",\"http_connections\":%u,\"http_requests\":%" PRIu64 ",\"sound\":{",
                api->http_connections, api->http_requests);
    speaker_encode(body, hub_speaker(api->hub));
    text_string(body, "}}\n");
    return 200;
}

/* ---- Sources and their newest status ---- */

unsigned api_sources(const struct api *api, struct text *body) {
    text_string(body, "{");
    catalog_encode(body, api->sources, uv_hrtime());
    text_string(body, "}\n");
    return 200;
}

/* The source that is asked for, or NULL with a sentence. */
static const struct source *find_source(const struct api *api, const struct api_query *query,
                                        struct text *body) {
    struct source *source =
        query->source ? sources_find(api->sources, query->source) : sources_default(api->sources);
    if (source) {
        sources_look(api->sources, source);
        return source;
    }
    if (!sources_at(api->sources, 0)) {
        text_string(body, "There is no source yet: no robot has published anything.");
        return NULL;
    }
    text_format(body, "There is no source named \"%s\"; there are: ", query->source);
    catalog_names(body, api->sources);
    text_string(body, ".");
    return NULL;
}

unsigned api_status(const struct api *api, const struct api_query *query, struct text *body) {
    const struct source *source = find_source(api, query, body);
    if (!source)
        return 404;
    if (source->stamp.version == 0) {
        text_format(body, "Source \"%s\" is there but has not published a tick yet.", source->name);
        return 503;
    }
    source_encode_status(body, source, uv_hrtime());
    text_string(body, "\n");
    return 200;
}

/* ---- History ---- */

/* How a history is written. The pieces of both formats, in their order. */
struct format {
    const char *name;
    const char *type;
    void (*head)(struct text *text, const struct source *source);
    void (*record)(struct text *text, const struct source *source,
                   const struct history_record *record, bool first);
    const char *tail;
};

static void json_head(struct text *text, const struct source *source) {
    text_string(text, "{\"op\":\"batch\",\"source\":");
    text_json_string(text, source->name, strlen(source->name));
    text_string(text, ",\"lost\":");
    encode_u64(text, source->lost);
    text_string(text, ",\"columns\":[\"instance\",\"tick\",\"time\",\"monotonic\",");
    encode_columns(text, source->encoder);
    text_string(text, "],\"rows\":[");
}

static void json_record(struct text *text, const struct source *source,
                        const struct history_record *record, bool first) {
    text_format(text, "%s\n[\"%016" PRIx64 "\",", first ? "" : ",", record->instance);
    encode_stamp_row(text, &record->stamp);
    text_string(text, ",");
    encode_row(text, source->encoder, record->payload);
    text_string(text, "]");
}

static void csv_head(struct text *text, const struct source *source) {
    text_string(text, "instance,tick,time,monotonic,");
    encode_csv_columns(text, source->encoder);
    text_string(text, "\r\n");
}

static void csv_record(struct text *text, const struct source *source,
                       const struct history_record *record, bool first) {
    (void)first;
    text_format(text, "%016" PRIx64 ",", record->instance);
    encode_stamp_row(text, &record->stamp);
    text_string(text, ",");
    encode_csv_row(text, source->encoder, record->payload);
    text_string(text, "\r\n");
}

static const struct format formats[] = {
    {"json", "application/json", json_head, json_record, "\n]}\n"},
    {"csv", "text/csv; charset=utf-8; header=present", csv_head, csv_record, ""},
};

struct api_history {
    struct sources *sources;
    const struct format *format;
    char source[OMNI_NAME_BYTES];
    uint64_t schema; /* its hash: the source may come back as another */
    uint64_t next;   /* ordinals */
    uint64_t end;
    bool begun; /* a record was written */
    bool ended; /* the tail was written */
    struct text ready;
    size_t taken; /* bytes of `ready` that were read */
};

static const struct format *find_format(const char *name) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcasecmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

static bool parse_seconds(double *seconds, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value <= 0)
        return false;
    *seconds = value;
    return true;
}

static uint64_t first_ordinal(const struct source *source, double seconds) {
    uint64_t now = uv_hrtime();
    bool since_start = seconds >= (double)now / (double)CLOCK_NS_A_SECOND;
    return history_since(source->history,
                         since_start ? 0 : now - (uint64_t)(seconds * (double)CLOCK_NS_A_SECOND));
}

unsigned api_history_open(struct api_history **history, const struct api *api,
                          const struct api_query *query, struct text *body) {
    double seconds = DEFAULT_SECONDS;
    const struct format *format = find_format(query->format ? query->format : "json");
    if (!format || (query->seconds && !parse_seconds(&seconds, query->seconds))) {
        text_string(body, format ? "\"seconds\" wants a number above 0, such as seconds=60."
                                 : "\"format\" is json or csv.");
        return 400;
    }
    const struct source *source = find_source(api, query, body);
    if (!source)
        return 404;
    struct api_history *made = calloc(1, sizeof *made);
    if (!made) {
        text_string(body, "The observer is out of memory.");
        return 500;
    }
    *made = (struct api_history){.sources = api->sources,
                                 .format = format,
                                 .schema = source->table->hash,
                                 .next = first_ordinal(source, seconds),
                                 .end = history_end(source->history)};
    (void)snprintf(made->source, sizeof made->source, "%s", source->name);
    text_open(&made->ready, 0);
    format->head(&made->ready, source);
    *history = made;
    return 200;
}

void api_history_close(struct api_history *history) {
    if (!history)
        return;
    text_close(&history->ready);
    free(history);
}

const char *api_history_type(const struct api_history *history) {
    return history->format->type;
}

/* Looked up by name each time: between two pieces a source may have gone, or come back with another
 * schema or a history that starts anew. */
static const struct source *same_source(const struct api_history *history) {
    const struct source *source = sources_find(history->sources, history->source);
    bool same = source && source->table->hash == history->schema &&
                history_end(source->history) >= history->end;
    return same ? source : NULL;
}

static void write_next(struct api_history *history, const struct source *source) {
    struct history_record record;
    uint64_t oldest = history_begin(source->history);
    if (history->next < oldest)
        history->next = oldest;
    if (history->next >= history->end) {
        text_string(&history->ready, history->format->tail);
        history->ended = true;
    } else if (history_get(source->history, history->next++, &record) == 0) {
        history->format->record(&history->ready, source, &record, !history->begun);
        history->begun = true;
    }
}

static int refill(struct api_history *history, size_t bytes) {
    const struct source *source = same_source(history);
    text_clear(&history->ready);
    history->taken = 0;
    if (!source)
        return -ESTALE;
    while (history->ready.length < bytes && !history->ended && !history->ready.failed)
        write_next(history, source);
    return 0;
}

ssize_t api_history_read(struct api_history *history, char *buffer, size_t bytes) {
    if (history->taken == history->ready.length && !history->ended) {
        int error = refill(history, bytes);
        if (error < 0)
            return error;
    }
    if (history->ready.failed)
        return -ENOMEM;
    size_t left = history->ready.length - history->taken;
    size_t length = left < bytes ? left : bytes;
    memcpy(buffer, text_bytes(&history->ready) + history->taken, length);
    history->taken += length;
    return (ssize_t)length;
}
