/*
 * handoff - what does it cost two processes to take turns?
 *
 * Round trips a second of the hand-off (omni/handoff.h) between this program and a peer of each CPU
 * (bench/foreign/handoff_peer, ARMv7 and AArch64 under qemu-user), in turns with a bare ping-pong of
 * two futex words between the same pair. And what the peer uses of a core while it waits.
 *
 *     handoff BUILD
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <omni/handoff.h>

#include "bench/foreign/bare.h"
#include "parts/measure.h"
#include "parts/process.h"

enum { TURNS = 5, WAIT_SECONDS = 4, PATIENCE_SECONDS = 20, MEMORY_BYTES = 64 };
#define TURN_NS (SECOND_NS / 2)

struct pair {
    const char *arch; /* NULL: this CPU */
    const char *claim;
};

/* One pair, both kinds of turns. */
struct match {
    char program[512];
    struct omni_handoff *handoff;
    struct bare *bare;
    pid_t handoff_peer;
    pid_t bare_peer;
    double rates[TURNS];
    double bare_rates[TURNS];
    double ratios[TURNS];
    double waiting; /* share of a core, of the peer */
};

/* ---- peers ---- */

static void find_program(struct match *match, const char *build, const char *arch) {
    const char *slash = strrchr(build, '/');
    int folder = slash != NULL ? (int)(slash - build) + 1 : 0;
    if (arch == NULL)
        snprintf(match->program, sizeof match->program, "%s/bench/foreign/handoff_peer", build);
    else
        snprintf(match->program, sizeof match->program, "%.*s%s/bench/foreign/handoff_peer", folder,
                 build, arch);
}

static pid_t start_peer(const struct match *match, const char *arch, const char *kind,
                        const char *path) {
    char place[64];
    snprintf(place, sizeof place, "build/%s", arch != NULL ? arch : "");
    const char *const foreign[] = {"scripts/launch", place, match->program, kind, path, NULL};
    const char *const native[] = {match->program, kind, path, NULL};
    return process_start(CORE_OBSERVER, arch != NULL ? foreign : native, NULL);
}

static bool both_are_there(const struct match *match) {
    return match->bare->ready != 0 && omni_handoff_is_connected(match->handoff) == 1;
}

static bool await_peers(const struct match *match) {
    uint64_t end = measure_now() + PATIENCE_SECONDS * SECOND_NS;
    while (!both_are_there(match) && measure_now() < end)
        measure_sleep_until(measure_now() + MILLISECOND_NS);
    return both_are_there(match);
}

static void open_match(struct match *match, const char *arch) {
    char handoff[128];
    char bare[128];
    struct omni_problem problem = {""};
    process_clear_directory();
    snprintf(handoff, sizeof handoff, "%s/turns", process_directory());
    snprintf(bare, sizeof bare, "%s/bare", process_directory());
    if (omni_handoff_open(&match->handoff, handoff, OMNI_HANDOFF_ASKER, MEMORY_BYTES, &problem) < 0)
        measure_give_up("%s", problem.text);
    match->bare = bare_open(bare);
    if (match->bare == NULL)
        measure_give_up("cannot map %s", bare);
    match->handoff_peer = start_peer(match, arch, "handoff", handoff);
    match->bare_peer = start_peer(match, arch, "bare", bare);
}

static void close_match(struct match *match) {
    process_end(match->bare_peer);
    process_end(match->handoff_peer);
    omni_handoff_close(match->handoff);
    munmap(match->bare, sizeof *match->bare);
}

/* ---- turns ---- */

static void trip(struct match *match) {
    if (omni_handoff_ask(match->handoff) < 0 ||
        omni_handoff_await_answer(match->handoff, PATIENCE_SECONDS * SECOND_NS) < 0)
        measure_give_up("the peer does not answer");
}

static void bare_trip(struct match *match) {
    uint32_t before = match->bare->answered;
    bare_say(&match->bare->asked, before + 1);
    (void)bare_await(&match->bare->answered, before);
}

static double rate_of(struct match *match, void (*make)(struct match *match)) {
    uint64_t start = measure_now();
    uint64_t now = start;
    uint64_t trips = 0;
    for (; now - start < TURN_NS; now = measure_now(), trips++)
        make(match);
    return (double)trips * (double)SECOND_NS / (double)(now - start);
}

/* Who goes first changes: what disturbs the machine disturbs both. */
static void take_turns(struct match *match) {
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn % 2 == 0)
            match->rates[turn] = rate_of(match, trip);
        match->bare_rates[turn] = rate_of(match, bare_trip);
        if (turn % 2 != 0)
            match->rates[turn] = rate_of(match, trip);
        match->ratios[turn] = match->rates[turn] / match->bare_rates[turn];
    }
}

static void measure_waiting(struct match *match) {
    uint64_t used = process_cpu_ns(match->handoff_peer);
    measure_sleep_until(measure_now() + WAIT_SECONDS * SECOND_NS);
    used = process_cpu_ns(match->handoff_peer) - used;
    match->waiting = (double)used / (WAIT_SECONDS * (double)SECOND_NS);
}

/* ---- rows ---- */

static void say(struct match *match, const struct pair *pair) {
    struct row row = {.claim = pair->claim};
    row_measured(&row, "%.0f/s, %.2f × bare futex", median_of(match->rates, TURNS),
                 median_of(match->ratios, TURNS));
    row_beside(&row, "bare futex ping-pong of the same pair %.0f/s",
               median_of(match->bare_rates, TURNS));
    row_print(&row);
    struct row waiting = {.claim = "… its peer, waiting"};
    row_measured(&waiting, "%.3f %% of a core", 100 * match->waiting);
    row_beside(&waiting, "over %d s; it looks 13 times a second whether the other side lives",
               WAIT_SECONDS);
    row_print(&waiting);
}

static void say_not_here(const struct pair *pair, const char *why) {
    struct row row = {.claim = pair->claim};
    row_measured(&row, "not here");
    row_beside(&row, "%s", why);
    row_print(&row);
}

static void measure_pair(const struct pair *pair, const char *build) {
    struct match match = {.program = ""};
    find_program(&match, build, pair->arch);
    if (access(match.program, X_OK) < 0) {
        say_not_here(pair, "nothing was built for that CPU: its cross compiler is missing");
        return;
    }
    open_match(&match, pair->arch);
    if (await_peers(&match)) {
        take_turns(&match);
        measure_waiting(&match);
        say(&match, pair);
    } else {
        say_not_here(pair, "the peer does not start: its emulator is missing (qemu-user)");
    }
    close_match(&match);
}

int main(int count, char **arguments) {
    static const struct pair pairs[] = {
        {NULL, "hand-off, round trips between two native processes"},
        {"armv7", "hand-off with an ARMv7 process under emulation"},
        {"aarch64", "hand-off with an AArch64 process under emulation"},
    };
    if (count != 2)
        measure_give_up("usage: handoff BUILD");
    process_directory();
    measure_pin(CORE_ROBOT);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        measure_pair(&pairs[i], arguments[1]);
    return 0;
}
