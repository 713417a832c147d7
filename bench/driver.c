/*
 * driver - what does it cost to call a driver that is for another CPU?
 *
 * The robot's own way (robot/driver_remote.h) with the example driver in a real host process of each
 * CPU, ARMv7 and AArch64 under qemu-user: readings and commands in turns, as fast as they go, each a
 * round trip. In turns with a bare ping-pong of two futex words with a process of the same CPU
 * (bench/foreign/handoff_peer). Then the same driver loaded into this program.
 *
 *     driver BUILD
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/foreign/bare.h"
#include "parts/measure.h"
#include "parts/process.h"
#include "robot/driver.h"
#include "robot/driver_remote.h"

enum { TURNS = 5, PATIENCE_SECONDS = 20, BOUND_CALLS = 20000 };
#define TURN_NS (SECOND_NS / 2)

#define DRIVER "examples/driver_loopback.so"
#define PEER   "bench/foreign/handoff_peer"
#define HOST   "omni-driver-host"

struct pair {
    const char *arch; /* NULL: this CPU */
    const char *claim;
    bool bounded; /* the claim is about this one */
};

/* The build folder of a CPU, and what was measured with it. */
struct match {
    char build[256];
    char driver[512];
    struct driver_remote *remote;
    struct bare *bare;
    pid_t peer;
    double rates[TURNS];
    double bare_rates[TURNS];
    double ratios[TURNS];
};

static void say_not_here(const struct pair *pair, const char *why) {
    struct row row = {.claim = pair->claim};
    row_measured(&row, "not here");
    row_beside(&row, "%s", why);
    row_print(&row);
}

/* ---- the two sides ---- */

static void find_build(struct match *match, const char *build, const char *arch) {
    const char *slash = strrchr(build, '/');
    int folder = slash != NULL ? (int)(slash - build) + 1 : 0;
    if (arch == NULL)
        snprintf(match->build, sizeof match->build, "%s", build);
    else
        snprintf(match->build, sizeof match->build, "%.*s%s", folder, build, arch);
    snprintf(match->driver, sizeof match->driver, "%s/%s", match->build, DRIVER);
}

static bool is_built(const struct match *match) {
    static const char *const files[] = {DRIVER, PEER, HOST};
    char path[512];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", match->build, files[i]);
        if (access(path, R_OK) < 0)
            return false;
    }
    return true;
}

static int open_driver(struct match *match, const struct pair *pair, struct omni_problem *problem) {
    char host[512];
    const struct cpu *cpu = NULL;
    struct host_program program;
    struct driver_keeper_settings settings = {.driver = match->driver, .config = ""};
    snprintf(host, sizeof host, "%s/%s", match->build, HOST);
    int error = cpu_of_file(match->driver, &cpu, problem);
    if (error == 0)
        error = host_find(&program, cpu, pair->arch == NULL, host, problem);
    /* A period that leaves all the time that a robot would ever give. */
    if (error == 0)
        error = driver_remote_open(&match->remote, &settings, SECOND_NS, &program, problem);
    return error;
}

static bool start_bare(struct match *match, const struct pair *pair) {
    char program[512];
    char place[64];
    char path[128];
    snprintf(program, sizeof program, "%s/%s", match->build, PEER);
    snprintf(place, sizeof place, "build/%s", pair->arch != NULL ? pair->arch : "");
    snprintf(path, sizeof path, "%s/bare", process_directory());
    match->bare = bare_open(path);
    if (match->bare == NULL)
        measure_give_up("cannot map %s", path);
    const char *const words[] = {"scripts/launch", place, program, "bare", path, NULL};
    match->peer = process_start(CORE_OBSERVER, pair->arch != NULL ? words : words + 2, NULL);
    uint64_t end = measure_now() + PATIENCE_SECONDS * SECOND_NS;
    while (match->bare->ready == 0 && measure_now() < end)
        measure_sleep_until(measure_now() + MILLISECOND_NS);
    return match->bare->ready != 0;
}

static void close_match(struct match *match) {
    if (match->bare != NULL)
        munmap(match->bare, sizeof *match->bare);
    process_end(match->peer);
    driver_remote_close(match->remote);
}

/* ---- turns ---- */

/* Two calls. Returns how many were answered in time: where one was not, none counts. */
static uint64_t call_driver(struct match *match) {
    struct omni_driver_reading reading;
    uint64_t read_ns;
    uint32_t late = driver_remote_facts(match->remote).silent;
    (void)driver_remote_read(match->remote, &reading, &read_ns);
    if (driver_remote_drive(match->remote, (struct omni_driver_powers){{1, 2, 3}, 0}) < 0)
        measure_give_up("the driver refuses");
    if (driver_remote_facts(match->remote).silent == late)
        return 2;
    measure_sleep_until(measure_now() + MILLISECOND_NS); /* as a loop does */
    return 0;
}

static uint64_t bare_trip(struct match *match) {
    uint32_t before = match->bare->answered;
    bare_say(&match->bare->asked, before + 1);
    (void)bare_await(&match->bare->answered, before);
    return 1;
}

static double rate_of(struct match *match, uint64_t (*make_some)(struct match *match)) {
    uint64_t start = measure_now();
    uint64_t now = start;
    uint64_t calls = 0;
    for (; now - start < TURN_NS; now = measure_now())
        calls += make_some(match);
    return (double)calls * (double)SECOND_NS / (double)(now - start);
}

/* Who goes first changes: what disturbs the machine disturbs both. */
static void take_turns(struct match *match) {
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn % 2 == 0)
            match->rates[turn] = rate_of(match, call_driver);
        match->bare_rates[turn] = rate_of(match, bare_trip);
        if (turn % 2 != 0)
            match->rates[turn] = rate_of(match, call_driver);
        match->ratios[turn] = match->rates[turn] / match->bare_rates[turn];
    }
}

/* ---- rows ---- */

static void say(struct match *match, const struct pair *pair) {
    struct row row = {.claim = pair->claim};
    struct driver_remote_facts facts = driver_remote_facts(match->remote);
    double rate = median_of(match->rates, TURNS);
    if (pair->bounded) {
        row.bound = "≥ 20,000 calls/s";
        row_met(&row, rate >= BOUND_CALLS);
    }
    row_measured(&row, "%.0f calls/s, %.2f × bare futex", rate, median_of(match->ratios, TURNS));
    row_beside(&row, "bare futex ping-pong of the same pair %.0f/s; late answers %u, restarts %u",
               median_of(match->bare_rates, TURNS), facts.silent, facts.restarts);
    row_print(&row);
}

static void measure_pair(const struct pair *pair, const char *build) {
    struct match match = {.remote = NULL};
    struct omni_problem problem = {""};
    process_clear_directory();
    find_build(&match, build, pair->arch);
    if (!is_built(&match)) {
        say_not_here(pair, "nothing was built for that CPU: its cross compiler is missing");
        return;
    }
    measure_pin(CORE_OBSERVER); /* the host's, which inherits it */
    int error = open_driver(&match, pair, &problem);
    measure_pin(CORE_ROBOT);
    if (error < 0) {
        say_not_here(pair, problem.text);
        return;
    }
    if (start_bare(&match, pair)) {
        take_turns(&match);
        say(&match, pair);
    } else {
        say_not_here(pair, "the peer does not start: its emulator is missing (qemu-user)");
    }
    close_match(&match);
}

static void measure_local(const char *build) {
    struct row row = {.claim = "calls of a driver in the robot itself"};
    char path[512];
    struct driver driver;
    struct omni_driver_reading reading;
    struct omni_problem problem = {""};
    snprintf(path, sizeof path, "./%s/%s", build, DRIVER);
    if (driver_open(&driver, build[0] == '/' ? path + 2 : path, "", &problem) < 0)
        measure_give_up("%s", problem.text);
    uint64_t calls = 0;
    uint64_t start = measure_now();
    uint64_t now = start;
    for (; now - start < TURN_NS; now = measure_now(), calls += 2) {
        (void)driver_read(&driver, &reading);
        (void)driver_drive(&driver, (struct omni_driver_powers){{1, 2, 3}, 0});
    }
    row_measured(&row, "%.0f ns each", (double)(now - start) / (double)calls);
    row_beside(&row, "half a reading of the clock included");
    row_print(&row);
    driver_close(&driver);
}

int main(int count, char **arguments) {
    static const struct pair pairs[] = {
        {"armv7", "calls of an ARMv7 driver, host under emulation", true},
        {"aarch64", "calls of an AArch64 driver, host under emulation", false},
        {NULL, "calls of a driver of this CPU, kept apart", false},
    };
    if (count != 2)
        measure_give_up("usage: driver BUILD");
    process_directory();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        measure_pair(&pairs[i], arguments[1]);
    measure_local(arguments[1]);
    return 0;
}
