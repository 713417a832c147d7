#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <omni/guard.h>

#include "clock.h"
#include "command.h"
#include "look.h"
#include "outlet.h"
#include "plain.h"

#define RATE_TERMINAL  10.0
#define RATE_LINES     1.0
#define BETWEEN_CLOCKS (250 * CLOCK_NS_A_MILLISECOND)
#define VALUE_WIDEST   48u /* columns; longer values are cut */

/* xterm's, which every terminal of today understands. */
#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l" /* second screen, no cursor, no line wrap */
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H"
#define LINE_END     "\033[K\r\n"
#define REST_CLEAR   "\033[J"
#define BOLD         "\033[1m"
#define GREEN        "\033[1;32m"
#define RED          "\033[1;31m"
#define DIM          "\033[2m"
#define PLAIN        "\033[0m"

struct watch {
    const struct options *options;
    struct outlet outlet;
    struct look look; /* closed while there is no such source */
    struct text text;
    struct text value;
    uint64_t interval_ns;
    struct omni_stamp stamp; /* newest; version 0: none yet */
    uint64_t heard_ns;       /* when it was read */
    uint64_t until_ns;       /* before that it is not called silent */
    const char *reason;      /* "" live; "missing"; "looking": not known yet */
    double rate;             /* ticks per second as seen; 0: not known */
    struct omni_stamp rated; /* from where the rate is counted */
    size_t name_width, value_width, unit_width;
    size_t rows, columns; /* of the window */
    /* What a plain line said last, so that nothing is said twice. */
    uint64_t told_instance;
    uint32_t told_version;
    const char *told_reason;
};

/* ---- looking ---- */

static const struct omni_table *table_of(const struct watch *watch) {
    return omni_observer_table(watch->look.observer);
}

static void measure_rate(struct watch *watch) {
    uint64_t span = watch->stamp.time.monotonic_ns - watch->rated.time.monotonic_ns;
    if (watch->rated.version == 0) {
        watch->rated = watch->stamp;
    } else if (span >= CLOCK_NS_A_SECOND && span < UINT64_MAX / 2) {
        watch->rate = (double)(watch->stamp.tick - watch->rated.tick) * 1e9 / (double)span;
        watch->rated = watch->stamp;
    }
}

static void start(struct watch *watch, const struct look *look) {
    look_close(&watch->look);
    watch->look = *look;
    watch->stamp = watch->rated = (struct omni_stamp){.version = 0};
    watch->rate = 0;
    watch->until_ns = UINT64_MAX;
    watch->name_width = watch->value_width = watch->unit_width = 0;
}

/* Attaches, also where the publisher came back. Returns 0 where there is something to look at or
 * to wait for. */
static int attach(struct watch *watch, bool patient, struct omni_problem *problem) {
    struct look look;
    const char *name = watch->options->source;
    int error = patient ? look_open(&look, watch->options, name, problem)
                        : look_open_soon(&look, watch->options, name, &watch->outlet, problem);
    if (error == 0)
        start(watch, &look);
    bool comes_later = error == -EAGAIN || (error == -ENOENT && patient);
    return comes_later ? 0 : error;
}

static uint64_t newest_ns(const struct watch *watch) {
    return look_newest_ns(&watch->look, &watch->stamp, watch->heard_ns);
}

/* Nobody is told that a source is silent before it had the time to tick once. */
static void have_patience(struct watch *watch, uint64_t now_ns) {
    if (watch->until_ns == UINT64_MAX)
        watch->until_ns = now_ns + look_patience_ns(&watch->look, &watch->stamp, watch->heard_ns);
    if (strcmp(watch->reason, "silent") != 0)
        watch->until_ns = 0;
    else if (now_ns < watch->until_ns)
        watch->reason = "looking";
}

static bool is_looking(const struct watch *watch) {
    return strcmp(watch->reason, "looking") == 0;
}

/* A stale or removed segment shows its last status until its successor is there. */
static void refresh(struct watch *watch) {
    struct omni_problem problem;
    if (watch->look.observer == NULL || omni_observer_is_replaced(watch->look.observer))
        (void)attach(watch, true, &problem);
    if (watch->look.observer == NULL) {
        watch->reason = "missing";
        return;
    }
    uint32_t before = watch->stamp.version;
    look_compare_clocks(&watch->look);
    int error = omni_observer_newest(watch->look.observer, &watch->stamp, watch->look.payload);
    uint64_t now = clock_now_ns();
    if (watch->stamp.version != before)
        watch->heard_ns = now;
    if (error == 0)
        measure_rate(watch);
    watch->reason = error == -ESTALE ? look_loss(&watch->look)
                                     : look_reason(&watch->look, newest_ns(watch), now);
    if (watch->stamp.version == 0 && watch->reason[0] == '\0')
        watch->reason = "silent";
    have_patience(watch, now);
}

/* ---- plain lines ---- */

static void put_time(struct text *text, uint64_t wall_ns) {
    time_t seconds = (time_t)(wall_ns / CLOCK_NS_A_SECOND);
    struct tm parts;
    char formatted[32];
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(formatted, sizeof formatted, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        return;
    text_format(text, "%s.%03uZ ", formatted, (unsigned)(wall_ns / CLOCK_NS_A_MILLISECOND % 1000u));
}

static void put_fields(struct text *text, const struct watch *watch) {
    const struct omni_table *table = table_of(watch);
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct omni_field *field = &table->fields[i];
        text_format(text, "%s %s ", i > 0 ? "," : "", field->name);
        plain_value(text, table, field, watch->look.payload);
        if (field->unit[0] != '\0') {
            text_string(text, " ");
            plain_append(text, field->unit, strlen(field->unit));
        }
    }
}

static bool is_news(struct watch *watch) {
    uint64_t instance =
        watch->look.observer != NULL ? omni_observer_facts(watch->look.observer)->instance : 0;
    bool news = watch->told_reason == NULL || strcmp(watch->told_reason, watch->reason) != 0 ||
                watch->told_version != watch->stamp.version || watch->told_instance != instance;
    watch->told_reason = watch->reason;
    watch->told_version = watch->stamp.version;
    watch->told_instance = instance;
    return news;
}

static void put_line(struct watch *watch) {
    if (is_looking(watch) || !is_news(watch))
        return;
    struct text *text = &watch->text;
    bool ticked = watch->stamp.version != 0;
    put_time(text,
             ticked && watch->reason[0] == '\0' ? watch->stamp.time.wall_ns : clock_wall_ns());
    text_string(text, watch->options->source);
    if (watch->reason[0] == '\0')
        text_string(text, " live");
    else
        text_format(text, " stopped (%s)", watch->reason);
    if (ticked) {
        text_format(text, " tick %" PRIu64 ":", watch->stamp.tick);
        put_fields(text, watch);
    }
    text_string(text, "\n");
}

/* ---- the screen ---- */

static void put_head(struct watch *watch) {
    struct text *text = &watch->text;
    text_format(text, SCREEN_HOME BOLD "%s" PLAIN "  ", watch->options->source);
    if (watch->reason[0] == '\0')
        text_string(text, GREEN "live" PLAIN);
    else if (is_looking(watch))
        text_string(text, "looking");
    else
        text_format(text, RED "stopped (%s)" PLAIN, watch->reason);
    if (watch->rate > 0 && watch->reason[0] == '\0')
        text_format(text, "  %.4g Hz", watch->rate);
    if (watch->stamp.version != 0) {
        uint64_t now = clock_now_ns();
        text_format(text, "  tick %" PRIu64 "  age ", watch->stamp.tick);
        plain_duration(text, now - newest_ns(watch));
    }
    text_string(text, DIM "  Ctrl-C ends" PLAIN LINE_END LINE_END);
}

static size_t greater(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Columns only grow: a table that breathes with its numbers cannot be read. */
static void measure_columns(struct watch *watch) {
    const struct omni_table *table = table_of(watch);
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct omni_field *field = &table->fields[i];
        text_clear(&watch->value);
        plain_value(&watch->value, table, field, watch->look.payload);
        size_t wide = plain_length(text_bytes(&watch->value), watch->value.length);
        watch->name_width = greater(watch->name_width, strlen(field->name));
        watch->unit_width =
            greater(watch->unit_width, plain_length(field->unit, strlen(field->unit)));
        watch->value_width = greater(watch->value_width, wide < VALUE_WIDEST ? wide : VALUE_WIDEST);
    }
}

/* What is left of a line but its last column: clearing the rest of the line would clear that. */
static size_t room_for_prose(const struct watch *watch) {
    size_t used = watch->name_width + watch->value_width + watch->unit_width + 3 * strlen("  ") + 1;
    return watch->columns > used ? watch->columns - used : 0;
}

static void put_field(struct watch *watch, const struct omni_field *field) {
    const struct omni_table *table = table_of(watch);
    struct text *text = &watch->text;
    const char *prose = table->text + field->description;
    text_clear(&watch->value);
    plain_value(&watch->value, table, field, watch->look.payload);
    plain_cell(text, field->name, strlen(field->name), watch->name_width);
    text_string(text, "  " BOLD);
    plain_cell(text, text_bytes(&watch->value), watch->value.length, watch->value_width);
    text_string(text, PLAIN "  ");
    plain_cell(text, field->unit, strlen(field->unit), watch->unit_width);
    text_string(text, "  " DIM);
    plain_cell(text, prose, strlen(prose), room_for_prose(watch));
    text_string(text, PLAIN);
}

static void put_table(struct watch *watch) {
    const struct omni_table *table = table_of(watch);
    size_t room = watch->rows > 4 ? watch->rows - 3 : 1; /* beside head, empty line and last line */
    uint32_t shown = table->field_count <= room ? table->field_count : (uint32_t)room;
    measure_columns(watch);
    for (uint32_t i = 0; i < shown; i++) {
        put_field(watch, &table->fields[i]);
        text_string(&watch->text, LINE_END);
    }
    if (shown < table->field_count)
        text_format(&watch->text, DIM "%" PRIu32 " more: enlarge the window" PLAIN "\033[K",
                    table->field_count - shown);
}

static void measure_window(struct watch *watch) {
    struct winsize size;
    bool known = ioctl(watch->outlet.out, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    watch->rows = known ? size.ws_row : 24;
    watch->columns = known && size.ws_col > 0 ? size.ws_col : 80;
}

static void put_screen(struct watch *watch) {
    if (watch->outlet.resized) {
        watch->outlet.resized = false;
        measure_window(watch);
    }
    put_head(watch);
    if (watch->stamp.version != 0)
        put_table(watch);
    text_string(&watch->text, REST_CLEAR);
}

/* Ctrl-Z: the shell gets its screen back until it continues us. */
static void suspend(struct watch *watch) {
    watch->outlet.suspended = false;
    (void)outlet_write(&watch->outlet, SCREEN_LEAVE, strlen(SCREEN_LEAVE));
    (void)raise(SIGSTOP);
    (void)outlet_write(&watch->outlet, SCREEN_ENTER, strlen(SCREEN_ENTER));
    watch->outlet.resized = true;
}

/* ---- the loop ---- */

static int show(struct watch *watch, bool interactive) {
    text_clear(&watch->text);
    if (interactive)
        put_screen(watch);
    else
        put_line(watch);
    if (watch->text.failed || watch->value.failed)
        return -ENOMEM;
    if (watch->text.length == 0)
        return 0;
    return outlet_write(&watch->outlet, text_bytes(&watch->text), watch->text.length);
}

/* Another machine's clock is looked at more often than its values: see foreign_clock.h. */
static void rest(struct watch *watch, uint64_t until_ns) {
    uint64_t soon_ns = clock_now_ns() + BETWEEN_CLOCKS;
    bool foreign = watch->look.clock.foreign;
    outlet_sleep(&watch->outlet, foreign && soon_ns < until_ns ? soon_ns : until_ns);
    if (foreign)
        look_compare_clocks(&watch->look);
}

static int run(struct watch *watch, bool interactive) {
    int error = 0;
    uint64_t next = clock_now_ns();
    while (!watch->outlet.stop && error == 0) {
        refresh(watch);
        error = show(watch, interactive);
        uint64_t now = clock_now_ns();
        next = is_looking(watch)                 ? now + LOOK_AGAIN_NS
               : next + watch->interval_ns > now ? next + watch->interval_ns
                                                 : now;
        while (!watch->outlet.stop && !watch->outlet.resized && !watch->outlet.suspended &&
               clock_now_ns() < next)
            rest(watch, next);
        if (watch->outlet.suspended)
            suspend(watch);
    }
    return error;
}

static int run_on_screen(struct watch *watch) {
    measure_window(watch);
    (void)outlet_write(&watch->outlet, SCREEN_ENTER, strlen(SCREEN_ENTER));
    int error = run(watch, true);
    (void)outlet_write(&watch->outlet, SCREEN_LEAVE, strlen(SCREEN_LEAVE));
    return error;
}

static int watch_source(struct watch *watch, bool interactive) {
    struct omni_problem problem = {.text = ""};
    int error = attach(watch, watch->options->wait, &problem);
    if (error < 0)
        return look_explain(error, watch->options->source, &problem);
    error = interactive ? run_on_screen(watch) : run(watch, false);
    if (error < 0)
        (void)fprintf(stderr, "cannot write: %s\n", strerror(-error));
    return error < 0 ? EXIT_RUNTIME : EXIT_DONE;
}

int command_watch(const struct options *options) {
    bool interactive = isatty(STDOUT_FILENO) == 1;
    double rate = options->rate > 0 ? options->rate : interactive ? RATE_TERMINAL : RATE_LINES;
    struct watch watch = {.options = options, .interval_ns = (uint64_t)(1e9 / rate), .reason = ""};
    int error = omni_guard_install();
    if (error == 0)
        error = outlet_open(&watch.outlet, STDOUT_FILENO, interactive);
    if (error < 0) {
        (void)fprintf(stderr, "cannot set up signals: %s\n", strerror(-error));
        return EXIT_RUNTIME;
    }
    text_open(&watch.text, 0);
    text_open(&watch.value, 0);
    int code = watch_source(&watch, interactive);
    look_close(&watch.look);
    text_close(&watch.value);
    text_close(&watch.text);
    outlet_close(&watch.outlet);
    return code;
}
