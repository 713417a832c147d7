#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <omni/guard.h>
#include <omni/lockstep.h>
#include <omni/wait.h>

#include "clock.h"
#include "command.h"
#include "encode.h"
#include "look.h"
#include "outlet.h"
#include "plain.h"

#define WRITE_EARLY      ((size_t)64 * 1024) /* bytes that are not held back until the ring is empty */
#define BETWEEN_ATTACHES 100000000u          /* ns */
#define BETWEEN_TURNS    400000000u          /* ns, that a signal may have to wait in lockstep */
#define BETWEEN_CHECKS   100000000u          /* ns, of the publisher's life */

struct dump {
    const struct options *options;
    struct outlet outlet;
    struct look look;
    struct encoder *encoder;
    struct omni_pacer pacer;
    struct omni_handoff *turns; /* NULL: not in lockstep */
    struct text text;           /* lines that are not written yet */
    struct text line;
    bool for_terminal;
    bool told_waiting; /* that the source is not there yet */
    bool told_changed; /* that somebody has changed the hand-off's file */
    uint32_t version;  /* of the last tick read */
    uint64_t tick;     /* the same; 0: none of this instance */
    uint64_t ticks;    /* written in all */
    uint64_t instance; /* of the last one; 0: none yet */
    uint64_t checked_ns;
};

/* ---- lines ---- */

/* What the terminal would obey is taken out; a file or a program gets every byte. */
static void end_line(struct dump *dump) {
    struct text *line = &dump->line;
    if (dump->for_terminal && line->length > 0)
        plain_append(&dump->text, text_bytes(line), line->length);
    else if (line->length > 0)
        text_append(&dump->text, text_bytes(line), line->length);
    text_string(&dump->text, "\n");
    dump->text.failed |= line->failed;
    text_clear(line);
}

static void put_json_tick(struct dump *dump, const struct omni_stamp *stamp) {
    text_string(&dump->line, "{");
    encode_stamp(&dump->line, stamp);
    text_string(&dump->line, ",\"values\":");
    encode_values(&dump->line, dump->encoder, dump->look.payload);
    text_string(&dump->line, "}");
    end_line(dump);
}

static void put_json_gap(struct dump *dump, const struct omni_stamp *stamp) {
    text_format(&dump->line, "{\"gap\":%" PRIu64 ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}",
                stamp->missed, stamp->tick - stamp->missed, stamp->tick - 1);
    end_line(dump);
}

static void put_json_start(struct dump *dump, bool again) {
    if (!again)
        return;
    text_format(&dump->line, "{\"instance\":\"%016" PRIx64 "\"}", dump->instance);
    end_line(dump);
}

static void put_csv_tick(struct dump *dump, const struct omni_stamp *stamp) {
    encode_stamp_row(&dump->line, stamp);
    text_string(&dump->line, ",");
    encode_csv_row(&dump->line, dump->encoder, dump->look.payload);
    end_line(dump);
}

/* Rows are all alike: the gap shows in the tick column, and a person is told. */
static void put_csv_gap(struct dump *dump, const struct omni_stamp *stamp) {
    if (!dump->options->quiet)
        (void)fprintf(stderr, "%" PRIu64 " ticks were lost before tick %" PRIu64 "\n",
                      stamp->missed, stamp->tick);
}

static void put_csv_start(struct dump *dump, bool again) {
    (void)again;
    text_string(&dump->line, "tick,time,monotonic,");
    encode_csv_columns(&dump->line, dump->encoder);
    end_line(dump);
}

static const struct {
    void (*start)(struct dump *dump, bool again);
    void (*gap)(struct dump *dump, const struct omni_stamp *stamp);
    void (*tick)(struct dump *dump, const struct omni_stamp *stamp);
} formats[] = {
    [OPTIONS_FORMAT_JSON] = {put_json_start, put_json_gap, put_json_tick},
    [OPTIONS_FORMAT_CSV] = {put_csv_start, put_csv_gap, put_csv_tick},
};

static int write_lines(struct dump *dump) {
    int error = dump->text.failed ? -ENOMEM : 0;
    if (error == 0 && dump->text.length > 0)
        error = outlet_write(&dump->outlet, text_bytes(&dump->text), dump->text.length);
    text_clear(&dump->text);
    if (error < 0)
        (void)fprintf(stderr, "cannot write the ticks: %s\n", strerror(-error));
    return error;
}

/* ---- reading ---- */

static bool has_enough(const struct dump *dump) {
    return dump->options->count > 0 && dump->ticks >= dump->options->count;
}

static void take(struct dump *dump, const struct omni_stamp *stamp) {
    if (stamp->missed > 0)
        formats[dump->options->format].gap(dump, stamp);
    formats[dump->options->format].tick(dump, stamp);
    dump->version = stamp->version;
    dump->tick = stamp->tick;
    dump->ticks++;
}

/* Everything that is new, written. `newest` gets the stamp of the last tick (version 0: none).
 * Returns 0, or -errno after telling the user. */
static int drain(struct dump *dump, struct omni_stamp *newest) {
    int error = 0;
    newest->version = 0;
    while (!dump->outlet.stop && !has_enough(dump)) {
        struct omni_stamp stamp;
        error = omni_observer_next(dump->look.observer, &stamp, dump->look.payload);
        if (error < 0)
            break;
        *newest = stamp;
        take(dump, &stamp);
        if (dump->text.length >= WRITE_EARLY && write_lines(dump) < 0)
            return -EIO;
    }
    int written = write_lines(dump);
    return written < 0 ? written : error == -ESTALE ? -ESTALE : 0;
}

/* ---- attaching ---- */

static int start(struct dump *dump) {
    const struct omni_source_facts *facts = omni_observer_facts(dump->look.observer);
    encoder_close(dump->encoder);
    dump->encoder = NULL;
    int error = encoder_open(&dump->encoder, omni_observer_table(dump->look.observer));
    if (error < 0) {
        (void)fputs("no memory left for the encoder\n", stderr);
        return error;
    }
    bool again = dump->instance != 0;
    dump->instance = facts->instance;
    dump->version = 0;
    dump->tick = 0;
    formats[dump->options->format].start(dump, again);
    omni_pacer_start(&dump->pacer, facts->period_ns, 0, clock_now_ns());
    return 0;
}

/* ---- lockstep: entering and leaving ---- */

static void leave_turns(struct dump *dump) {
    omni_handoff_close(dump->turns);
    dump->turns = NULL;
}

/* A source that has ended takes no turns any more: what it left is written as always. Returns 0 or an
 * exit code after telling the user. */
static int enter_turns(struct dump *dump) {
    const struct options *options = dump->options;
    struct omni_problem problem = {.text = ""};
    const struct omni_source_facts *facts = omni_observer_facts(dump->look.observer);
    if (!options->lockstep)
        return 0;
    if (facts->scope == OMNI_SCOPE_MACHINES) {
        (void)fprintf(stderr,
                      "--lockstep needs a kernel that both sides share, and %s is memory between "
                      "machines: dump it without --lockstep\n",
                      options->source);
        return EXIT_USAGE;
    }
    int error = omni_lockstep_open(&dump->turns, options->directory, facts->name,
                                   OMNI_HANDOFF_ANSWERER, &problem);
    if (error == 0 && omni_handoff_is_connected(dump->turns) == 1)
        return 0;
    leave_turns(dump);
    if (look_end(&dump->look) != NULL)
        return 0;
    if (error == 0 || error == -ENOENT)
        (void)fprintf(
            stderr,
            "%s does not run in lockstep: start it with omni-robot --lockstep, or dump it "
            "without --lockstep\n",
            options->source);
    else
        (void)fprintf(stderr, "%s\n", problem.text);
    return EXIT_USAGE;
}

static void tell_waiting(struct dump *dump, const struct omni_problem *problem) {
    if (!dump->told_waiting && !dump->options->quiet)
        (void)fprintf(stderr, "waiting for %s: %s\n", dump->options->source, problem->text);
    dump->told_waiting = true;
}

/* Where the source is not there (or half there) and the user wants to wait: waits. Returns 0 (also
 * where the user had enough), or an exit code. */
static int attach(struct dump *dump, bool patient) {
    struct omni_problem problem = {.text = ""};
    while (!dump->outlet.stop) {
        const char *name = dump->options->source;
        int error = patient
                        ? look_open(&dump->look, dump->options, name, &problem)
                        : look_open_soon(&dump->look, dump->options, name, &dump->outlet, &problem);
        if (error == 0)
            return start(dump) < 0 ? EXIT_RUNTIME : enter_turns(dump);
        if (error != -EAGAIN && !(error == -ENOENT && patient))
            return look_explain(error, name, &problem);
        if (patient)
            tell_waiting(dump, &problem);
        outlet_sleep(&dump->outlet, clock_now_ns() + BETWEEN_ATTACHES);
    }
    return 0;
}

/* ---- the end of a publisher ---- */

/* A machine that was silent for so long that it counted as dead, and goes on: it was paused. */
static bool lives_after_all(const struct dump *dump) {
    return dump->look.clock.foreign && omni_observer_life(dump->look.observer) == OMNI_LIFE_OPEN &&
           !omni_observer_is_replaced(dump->look.observer);
}

/* Returns 0 where there is something to read again, or the user had enough; or an exit code. */
static int await_next_start(struct dump *dump) {
    leave_turns(dump);
    while (!dump->outlet.stop && !omni_observer_is_replaced(dump->look.observer)) {
        if (lives_after_all(dump))
            return 0;
        outlet_sleep(&dump->outlet, clock_now_ns() + BETWEEN_ATTACHES);
    }
    /* The encoder stands on the table of the look. */
    encoder_close(dump->encoder);
    dump->encoder = NULL;
    look_close(&dump->look);
    return attach(dump, true);
}

static int explain_end(const struct dump *dump, const char *end) {
    static const struct {
        const char *end, *text;
    } ends[] = {
        {"died", "its publisher died; --follow waits for its next start"},
        {"removed", "its segment was removed; --follow waits for its next start"},
        {"replaced", "another publisher has begun in its place; --follow goes on with that one"},
    };
    if (strcmp(end, "closed") == 0)
        return EXIT_DONE;
    for (size_t i = 0; !dump->options->quiet && i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(end, ends[i].end) == 0)
            (void)fprintf(stderr, "%s: %s\n", dump->options->source, ends[i].text);
    return EXIT_ENDED;
}

static bool has_news(const struct dump *dump) {
    return omni_observer_version(dump->look.observer) != dump->version;
}

/* Sleeps until the next look is worth it. Wakes on the way to see whether the publisher is still
 * there: a period may be an hour. Returns why it ended, or NULL: look again. */
static const char *sleep_until_next(struct dump *dump) {
    uint64_t next = omni_pacer_next(&dump->pacer);
    for (uint64_t now = clock_now_ns(); now < next && !dump->outlet.stop; now = clock_now_ns()) {
        uint64_t check = dump->checked_ns + BETWEEN_CHECKS;
        if (now >= check) {
            const char *end = look_end(&dump->look);
            dump->checked_ns = now;
            if (end != NULL || has_news(dump))
                return end;
            check = now + BETWEEN_CHECKS;
        }
        outlet_sleep(&dump->outlet, next < check ? next : check);
    }
    return NULL;
}

/* ---- the loop ---- */

enum { GO_ON = -1 }; /* beside the exit codes */

/* What there is to do after a drain that returned `error`, whatever else happened. */
static int after_drain(const struct dump *dump, int error) {
    if (error < 0 && error != -ESTALE)
        return EXIT_RUNTIME;
    return dump->outlet.stop || has_enough(dump) ? EXIT_DONE : GO_ON;
}

static int finish(struct dump *dump, const char *end) {
    struct omni_stamp newest;
    /* It may have ticked between the last look and its end; and another publisher may have begun
     * before all of that was read. */
    int error = drain(dump, &newest);
    int code = after_drain(dump, error);
    if (code != GO_ON)
        return code;
    if (error == -ESTALE)
        end = look_loss(&dump->look);
    if (!dump->options->follow)
        return explain_end(dump, end);
    code = await_next_start(dump);
    return code == 0 && !dump->outlet.stop ? GO_ON : code;
}

static int step(struct dump *dump) {
    struct omni_stamp newest = {.version = 0};
    look_compare_clocks(&dump->look);
    int error = drain(dump, &newest);
    int code = after_drain(dump, error);
    if (code != GO_ON)
        return code;
    if (error == -ESTALE)
        return finish(dump, look_loss(&dump->look));
    uint64_t now = clock_now_ns();
    newest.time.monotonic_ns =
        foreign_clock_translate(&dump->look.clock, newest.time.monotonic_ns, 0, now);
    omni_pacer_looked(&dump->pacer, now, newest.version != 0 ? &newest : NULL);
    const char *end = sleep_until_next(dump);
    if (end != NULL)
        return finish(dump, end);
    return dump->outlet.stop ? EXIT_DONE : GO_ON;
}

static void tell_changed(struct dump *dump) {
    if (dump->told_changed || dump->options->quiet)
        return;
    dump->told_changed = true;
    (void)fprintf(stderr,
                  "%s: what its omni-step file says of the tick that waits is not so, somebody has "
                  "changed that file: the ticks are taken as the segment has them\n",
                  dump->options->source);
}

/* The tick is taken when it is written. A robot publishes before it asks: so what waits is in the
 * segment, whatever the hand-off's memory says. Only where another robot has come into the place of
 * this segment's, it is not ours to take. */
static int take_turn(struct dump *dump) {
    const struct omni_turn *turn = omni_handoff_memory(dump->turns);
    struct omni_stamp newest;
    bool ours = turn->instance == dump->instance;
    const char *end = ours ? NULL : look_end(&dump->look);
    if (end != NULL)
        return finish(dump, end);
    int error = drain(dump, &newest);
    if (error == -ESTALE)
        return finish(dump, "removed");
    int code = after_drain(dump, error);
    bool there = dump->tick >= turn->tick;
    if (error < 0 || (!there && code != GO_ON))
        return code;
    if (!ours || !there)
        tell_changed(dump);
    (void)omni_handoff_answer(dump->turns);
    return code;
}

static int step_in_turns(struct dump *dump) {
    int error = omni_handoff_await_request(dump->turns, BETWEEN_TURNS);
    if (error == 0)
        return take_turn(dump);
    /* Without a request, and in a hand-off that is left alone, nobody else looks at the signals. */
    outlet_sleep(&dump->outlet, error == -ESTALE ? clock_now_ns() + BETWEEN_TURNS : 0);
    const char *end = look_end(&dump->look);
    if (end != NULL)
        return finish(dump, end);
    return dump->outlet.stop ? EXIT_DONE : GO_ON;
}

static int run(struct dump *dump) {
    int code = attach(dump, dump->options->wait);
    if (code != 0 || dump->look.observer == NULL)
        return code;
    do
        code = dump->turns != NULL ? step_in_turns(dump) : step(dump);
    while (code == GO_ON);
    return code;
}

int command_dump(const struct options *options) {
    struct dump dump = {.options = options, .for_terminal = isatty(STDOUT_FILENO) == 1};
    int error = omni_guard_install();
    if (error == 0)
        error = outlet_open(&dump.outlet, STDOUT_FILENO, false);
    if (error < 0) {
        (void)fprintf(stderr, "cannot set up signals: %s\n", strerror(-error));
        return EXIT_RUNTIME;
    }
    text_open(&dump.text, 0);
    text_open(&dump.line, 0);
    int code = run(&dump);
    leave_turns(&dump);
    encoder_close(dump.encoder);
    look_close(&dump.look);
    text_close(&dump.line);
    text_close(&dump.text);
    outlet_close(&dump.outlet);
    return code;
}
