#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <omni/guard.h>
#include <omni/publish.h>

#include "clock.h"
#include "command.h"
#include "encode.h"
#include "look.h"
#include "outlet.h"
#include "plain.h"
#include "silence.h"

/* ---- what is known of one source ---- */

struct finding {
    char name[OMNI_NAME_BYTES]; /* "": a region that says none */
    const char *region;         /* its address; "": a segment of the directory */
    const char *state;          /* "live", "stopped", "refused"; "": it is still looked at */
    const char *reason;
    struct omni_problem problem;
    struct look look;
    uint64_t until_ns;              /* how long it is waited for: to be built, then to tick */
    const struct omni_table *table; /* NULL: refused, and what follows says nothing */
    struct omni_source_facts facts;
    struct omni_stamp stamp; /* version 0: no tick yet */
    uint64_t heard_ns;       /* when it was read */
    double rate;             /* ticks per second, over what the ring holds; 0: not known */
    uint64_t age_ns;
};

/* Reads the whole ring: its first and last tick tell the rate. */
static void read_ring(struct finding *finding) {
    struct omni_stamp first = {.version = 0};
    struct omni_stamp stamp;
    uint32_t most = finding->facts.slot_count;
    for (uint32_t i = 0; i < most; i++) {
        if (omni_observer_next(finding->look.observer, &stamp, finding->look.payload) != 0)
            break;
        if (first.version == 0)
            first = stamp;
        finding->stamp = stamp;
    }
    finding->heard_ns = clock_now_ns();
    uint64_t span = finding->stamp.time.monotonic_ns - first.time.monotonic_ns;
    /* Where ticks come by events they have no rate: one of two that came at once would be vast. */
    bool is_paced = finding->facts.period_ns != 0 || finding->facts.steady;
    if (is_paced && finding->stamp.tick > first.tick && span > 0 && span < UINT64_MAX / 2)
        finding->rate = (double)(finding->stamp.tick - first.tick) * 1e9 / (double)span;
}

static void conclude(struct finding *finding) {
    uint64_t now = clock_now_ns();
    uint64_t newest = look_newest_ns(&finding->look, &finding->stamp, finding->heard_ns);
    finding->age_ns = now - newest;
    finding->reason = look_reason(&finding->look, newest, now);
    if (finding->stamp.version == 0 && finding->reason[0] == '\0')
        finding->reason = "silent";
    finding->state = finding->reason[0] == '\0' ? "live" : "stopped";
    if (finding->reason[0] != '\0')
        finding->rate = 0;
}

static void look_first(struct finding *finding) {
    finding->facts = *omni_observer_facts(finding->look.observer);
    finding->table = omni_observer_table(finding->look.observer);
    memcpy(finding->name, finding->facts.name, sizeof finding->name);
    look_compare_clocks(&finding->look);
    read_ring(finding);
    finding->until_ns =
        finding->heard_ns + look_patience_ns(&finding->look, &finding->stamp, finding->heard_ns);
    if (finding->until_ns == finding->heard_ns)
        conclude(finding);
}

static void look_again(struct finding *finding) {
    struct look *look = &finding->look;
    look_compare_clocks(look);
    bool ticked = omni_observer_next(look->observer, &finding->stamp, look->payload) == 0;
    if (ticked)
        finding->heard_ns = clock_now_ns();
    if (ticked || clock_now_ns() >= finding->until_ns || look_end(look) != NULL)
        conclude(finding);
}

/* A region may be built just now; an empty one may stay so for ever. */
static void attach(struct finding *finding, const struct options *options) {
    bool is_region = finding->region[0] != '\0';
    const char *name = is_region ? finding->region : finding->name;
    int error = look_open(&finding->look, options, name, &finding->problem);
    if (error == 0) {
        look_first(finding);
    } else if (error == -ENOENT && !is_region) {
        finding->state = "gone"; /* since the directory was read */
    } else if (error != -EAGAIN || !is_region || clock_now_ns() >= finding->until_ns) {
        finding->state = "refused";
        finding->reason = finding->problem.text;
    }
}

/* One step further, which never waits. Returns whether it needs another. */
static bool advance(struct finding *finding, const struct options *options) {
    if (finding->state[0] != '\0')
        return false;
    if (finding->look.observer == NULL)
        attach(finding, options);
    else
        look_again(finding);
    return finding->state[0] == '\0';
}

/* ---- as a table: cells with tabs between, turned into columns for a terminal ---- */

static void put_owner(struct text *text, uid_t owner) {
    const struct passwd *entry = getpwuid(owner);
    if (entry != NULL)
        plain_append(text, entry->pw_name, strlen(entry->pw_name));
    else
        text_format(text, "%lu", (unsigned long)owner);
}

static void put_region(struct text *text, const char *region) {
    plain_append(text, region, strlen(region));
    text_string(text, region[0] != '\0' ? "\t" : "-\t");
}

static const char *shown_name(const struct finding *finding) {
    return finding->name[0] != '\0' ? finding->name : finding->region;
}

static void put_row(struct text *text, const struct finding *finding) {
    text_format(text, "%s\t%s\t", shown_name(finding), finding->state);
    if (finding->table == NULL) {
        text_string(text, "-\t-\t-\t-\t-\t-\t");
    } else {
        if (finding->rate > 0)
            text_format(text, "%.4g Hz\t", finding->rate);
        else
            text_string(text, "-\t");
        if (finding->stamp.version != 0)
            plain_duration(text, finding->age_ns);
        else
            text_string(text, "-");
        text_format(text, "\t%" PRIu64 "\t", finding->stamp.tick);
        put_owner(text, finding->facts.owner);
        text_format(text, "\t%" PRIu32 "\t%" PRIu32 "\t", finding->facts.process_id,
                    finding->facts.slot_count);
    }
    put_region(text, finding->region);
    plain_append(text, finding->reason, strlen(finding->reason));
    text_string(text, "\n");
}

enum { COLUMNS = 10 };
static const char headings[] =
    "NAME\tSTATE\tRATE\tAGE\tTICK\tOWNER\tPROCESS\tSLOTS\tREGION\tREASON\n";

struct widths {
    size_t of[COLUMNS];
};

static void measure(struct widths *widths, const char *cells, size_t length) {
    size_t column = 0;
    for (size_t at = 0; at < length; column++) {
        size_t bytes = strcspn(cells + at, "\t\n");
        size_t wide = plain_length(cells + at, bytes);
        if (cells[at + bytes] == '\n' || column == COLUMNS - 1)
            column = (size_t)-1; /* the last one is not filled up */
        else if (wide > widths->of[column])
            widths->of[column] = wide;
        at += bytes + 1;
    }
}

static void line_up(struct text *text, const char *cells, size_t length) {
    struct widths widths = {{0}};
    measure(&widths, cells, length);
    size_t column = 0;
    for (size_t at = 0; at < length; column++) {
        size_t bytes = strcspn(cells + at, "\t\n");
        if (cells[at + bytes] == '\n') {
            text_append(text, cells + at, bytes + 1);
            column = (size_t)-1;
        } else {
            plain_cell(text, cells + at, bytes, widths.of[column]);
            text_string(text, "  ");
        }
        at += bytes + 1;
    }
}

/* ---- as JSON lines ---- */

static void put_json_text(struct text *text, const char *string) {
    text_json_string(text, string, strlen(string));
}

static void put_json_facts(struct text *text, const struct finding *finding) {
    const struct omni_source_facts *facts = &finding->facts;
    text_format(text, ",\"instance\":\"%016" PRIx64 "\",\"period\":", facts->instance);
    encode_microseconds(text, facts->period_ns);
    text_string(text, ",\"rate\":");
    if (finding->rate > 0)
        encode_f64(text, finding->rate);
    else
        text_string(text, "null");
    text_string(text, ",\"age\":");
    if (finding->stamp.version != 0)
        encode_microseconds(text, finding->age_ns);
    else
        text_string(text, "null");
    text_string(text, ",\"tick\":");
    encode_u64(text, finding->stamp.tick);
    text_format(text,
                ",\"owner\":%lu,\"process\":%" PRIu32 ",\"slots\":%" PRIu32 ",\"fields\":%" PRIu32,
                (unsigned long)facts->owner, facts->process_id, facts->slot_count,
                finding->table->field_count);
}

static void put_json(struct text *text, const struct finding *finding) {
    text_string(text, "{\"name\":");
    put_json_text(text, shown_name(finding));
    text_format(text, ",\"state\":\"%s\",\"reason\":", finding->state);
    put_json_text(text, finding->reason);
    if (finding->region[0] != '\0') {
        text_string(text, ",\"region\":");
        put_json_text(text, finding->region);
    }
    if (finding->table != NULL)
        put_json_facts(text, finding);
    text_string(text, "}\n");
}

/* ---- all of them ---- */

/* So many are looked at side by side: what waits for one does not wait for the other. */
enum { TOGETHER = 64 };

struct listing {
    const struct options *options;
    struct text text;
    unsigned found;
    struct finding findings[TOGETHER];
    size_t count;
};

static void put(struct listing *listing, const struct finding *finding) {
    if (strcmp(finding->state, "gone") == 0)
        return;
    if (listing->options->json)
        put_json(&listing->text, finding);
    else
        put_row(&listing->text, finding);
    listing->found++;
}

static bool advance_all(struct listing *listing) {
    bool more = false;
    for (size_t i = 0; i < listing->count; i++)
        more |= advance(&listing->findings[i], listing->options);
    return more;
}

/* Looks at those that were added until each is known, and lists them. */
static void finish(struct listing *listing) {
    while (advance_all(listing))
        (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    for (size_t i = 0; i < listing->count; i++) {
        put(listing, &listing->findings[i]);
        look_close(&listing->findings[i].look);
    }
    listing->count = 0;
}

static void add(struct listing *listing, const char *name, const char *region) {
    if (listing->count == TOGETHER)
        finish(listing);
    struct finding *finding = &listing->findings[listing->count++];
    *finding =
        (struct finding){.region = region, .state = "", .until_ns = clock_now_ns() + LOOK_BUILD_NS};
    (void)snprintf(finding->name, sizeof finding->name, "%s", name);
    (void)advance(finding, listing->options);
}

static int list_one(void *context, const char *name) {
    add(context, name, "");
    return 0;
}

static bool was_named_before(const struct options *options, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(options->region.items[i], options->region.items[index]) == 0)
            return true;
    return false;
}

static void list_regions(struct listing *listing) {
    const struct options *options = listing->options;
    for (size_t i = 0; i < options->region.count; i++)
        if (!was_named_before(options, i))
            add(listing, "", options->region.items[i]);
}

static int print(const struct options *options, const struct text *cells) {
    struct outlet outlet;
    struct text text;
    int error = outlet_open(&outlet, STDOUT_FILENO, false);
    if (error < 0)
        return error;
    text_open(&text, 0);
    if (!options->json && isatty(STDOUT_FILENO) == 1)
        line_up(&text, text_bytes(cells), cells->length);
    else
        text_append(&text, text_bytes(cells), cells->length);
    error = text.failed ? -ENOMEM : outlet_write(&outlet, text_bytes(&text), text.length);
    text_close(&text);
    outlet_close(&outlet);
    return error;
}

static int report(const struct listing *listing) {
    if (listing->found == 0 && !listing->options->quiet)
        (void)fprintf(stderr, "no sources in %s\n", listing->options->directory);
    if (listing->found == 0)
        return EXIT_DONE;
    int error = listing->text.failed ? -ENOMEM : print(listing->options, &listing->text);
    if (error < 0)
        (void)fprintf(stderr, "cannot write the list: %s\n", strerror(-error));
    return error < 0 ? EXIT_RUNTIME : EXIT_DONE;
}

int command_list(const struct options *options) {
    static struct listing listing; /* too large for a stack */
    listing = (struct listing){.options = options};
    int error = omni_guard_install();
    text_open(&listing.text, 0);
    if (!options->json)
        text_string(&listing.text, headings);
    if (error == 0)
        error = omni_sources_each(options->directory, list_one, &listing);
    if (error == 0) {
        list_regions(&listing);
        finish(&listing);
    }
    if (error < 0)
        (void)fprintf(stderr, "cannot read the directory %s: %s; choose another: --directory DIR\n",
                      options->directory, strerror(-error));
    int code = error < 0 ? EXIT_USAGE : report(&listing);
    text_close(&listing.text);
    return code;
}
