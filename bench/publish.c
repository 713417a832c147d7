/*
 * publish - what does publishing cost a robot?
 *
 * A loop at 1 kHz in which a bare memcpy and omni_publish_at() of the same bytes take turns
 * (parts/contest.h); first without a reader, then with an omni-observer that follows every tick
 * because a WebSocket client asked for it. The publishing process runs under a filter that counts
 * its system calls; that the filter counts is shown with a sleeper that has to be woken.
 *
 *     publish BUILD
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <omni/observe.h>
#include <omni/wait.h>

#include "parts/calls.h"
#include "parts/contest.h"
#include "parts/crowd.h"
#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum {
    PACED_ITERATIONS = 6000, /* 6 s: 2,000 samples of each contender */
    TIGHT_TURNS = 2000,
    WARM_UP_ITERATIONS = 300,
    CONTROL_ITERATIONS = 300,
    SIZES = 2
};

enum contender_id { NOTHING, COPY, PUBLISH, CONTENDERS };

struct size {
    size_t bytes;
    const struct omni_schema *schema;
    void (*copy)(void *context, const void *status, struct omni_time time);
};

/* What a loop does between its ticks. */
enum pause { SLEEPS, SPINS, TIGHT };

/* One measured publisher: what goes into its process and what comes back. */
struct run {
    const struct size *size;
    enum pause pause;
    bool certain_wake;
    size_t iterations;
    struct samples *costs[CONTENDERS];
    struct samples *calls; /* one value: counted system calls; empty: they could not be counted */
};

static void run_contest(void *context) {
    struct run *run = context;
    struct samples *warm_up = samples_open(0);
    unsigned char *target = mmap(NULL, CONTEST_STATUS_BYTES, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (target == MAP_FAILED)
        measure_give_up("no memory to copy to");
    struct pace pace = {.period_ns = MILLISECOND_NS, .spins = run->pause == SPINS};
    struct contender contenders[CONTENDERS] = {
        [NOTHING] = {contest_nothing, NULL, warm_up},
        [COPY] = {run->size->copy, target, warm_up},
        [PUBLISH] = {contest_publish,
                     robot_open("bench", run->size->schema, MILLISECOND_NS, run->certain_wake),
                     warm_up},
    };
    contest_paced(contenders, CONTENDERS, run->size->bytes, pace, WARM_UP_ITERATIONS);
    for (size_t i = 0; i < CONTENDERS; i++)
        contenders[i].costs = run->costs[i];
    bool counting = calls_count() == 0;
    if (run->pause == TIGHT)
        contest_tight(contenders, CONTENDERS, run->size->bytes, run->iterations);
    else
        contest_paced(contenders, CONTENDERS, run->size->bytes, pace, run->iterations);
    if (counting)
        samples_add(run->calls, calls_counted());
}

static struct run run_open(const struct size *size, size_t iterations) {
    struct run run = {.size = size, .iterations = iterations, .calls = samples_open(1)};
    for (size_t i = 0; i < CONTENDERS; i++)
        run.costs[i] = samples_open(iterations);
    return run;
}

static void run_close(struct run *run) {
    for (size_t i = 0; i < CONTENDERS; i++)
        samples_close(run->costs[i]);
    samples_close(run->calls);
}

static void run_alone(struct run *run) {
    if (process_wait(process_fork(CORE_ROBOT, run_contest, run)) != 0)
        measure_give_up("the publishing process did not finish");
}

/* ---- rows ---- */

static double median(struct run *run, enum contender_id contender) {
    return (double)samples_percentile(run->costs[contender], 0.5);
}

static void say(struct run *run, const char *claim, double bound) {
    char text[32];
    double ratio = median(run, PUBLISH) / median(run, COPY);
    double unit = run->pause == TIGHT ? 1000 : 1; /* a tight loop is measured in picoseconds */
    struct row row = {.claim = claim};
    if (bound > 0) {
        snprintf(text, sizeof text, "≤ %.1f × memcpy", bound);
        row.bound = text;
        row_met(&row, ratio <= bound);
    }
    row_measured(&row, "%.1f ns, %.2f ×", median(run, PUBLISH) / unit, ratio);
    row_beside(&row, "memcpy %.1f, the clock alone %.1f; p99.9: %.0f and %.0f ns",
               median(run, COPY) / unit, median(run, NOTHING) / unit,
               (double)samples_percentile(run->costs[PUBLISH], 0.999) / unit,
               (double)samples_percentile(run->costs[COPY], 0.999) / unit);
    row_print(&row);
}

/* ---- with nobody, with an observer ---- */

static void measure_unread(const struct size *size) {
    static const struct {
        const char *how;
        size_t iterations;
        double bound;
    } pauses[] = {[SLEEPS] = {"at 1 kHz", PACED_ITERATIONS, 1.5},
                  [SPINS] = {"at 1 kHz, spinning in between", PACED_ITERATIONS, 1.5},
                  [TIGHT] = {"in a tight loop", TIGHT_TURNS, 0}};
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        char claim[96];
        struct run run = run_open(size, pauses[i].iterations);
        run.pause = (enum pause)i;
        run_alone(&run);
        snprintf(claim, sizeof claim, "publish %zu bytes %s, no reader", size->bytes,
                 pauses[i].how);
        say(&run, claim, pauses[i].bound);
        run_close(&run);
    }
}

static void say_calls(struct run *run, uint64_t followed) {
    struct row row = {.claim = "system calls of publishing while followed", .bound = "0"};
    if (run->calls->count == 0) {
        row_measured(&row, "cannot be counted here (no seccomp)");
    } else {
        row_met(&row, run->calls->values[0] == 0);
        row_measured(&row, "%llu in %zu ticks", (unsigned long long)run->calls->values[0],
                     run->iterations);
    }
    row_beside(&row, "the observer's client got %llu of these ticks", (unsigned long long)followed);
    row_print(&row);
}

static void measure_followed(const char *build, const struct size *size, enum pause pause) {
    char claim[96];
    struct run run = run_open(size, PACED_ITERATIONS);
    run.pause = pause;
    process_clear_directory();
    struct service service = service_start(build, NULL);
    pid_t robot = process_fork(CORE_ROBOT, run_contest, &run);
    measure_sleep_until(measure_now() + WARM_UP_ITERATIONS / 2 * MILLISECOND_NS);
    struct crowd_options options = {
        .port = service.port, .clients = 1, .subscribe = CROWD_RATE("1000")};
    struct crowd *crowd = crowd_open(&options);
    crowd_run(crowd, PACED_ITERATIONS * MILLISECOND_NS, NULL);
    uint64_t followed = crowd_messages(crowd);
    if (process_wait(robot) != 0)
        measure_give_up("the publishing process did not finish");
    crowd_close(crowd);
    service_end(&service);
    snprintf(claim, sizeof claim, "publish %zu bytes at 1 kHz%s, an observer following",
             size->bytes, pause == SPINS ? ", spinning in between" : "");
    say(&run, claim, 2);
    say_calls(&run, followed);
    run_close(&run);
}

/* ---- does the counter count? ---- */

static void sleep_for_ticks(void *context) {
    struct omni_observer_options options = {.directory = context};
    struct omni_observer *observer = NULL;
    while (omni_observer_attach(&observer, "bench", &options, NULL) < 0)
        measure_sleep_until(measure_now() + MILLISECOND_NS);
    for (;;)
        (void)omni_wait_version(observer, omni_observer_version(observer), 5 * MILLISECOND_NS);
}

static void show_that_calls_count(const struct size *size) {
    struct run run = run_open(size, CONTROL_ITERATIONS);
    run.certain_wake = true;
    process_clear_directory();
    pid_t sleeper =
        process_fork(CORE_OBSERVER, sleep_for_ticks, (char *)(uintptr_t)process_directory());
    run_alone(&run);
    process_end(sleeper);
    struct row row = {.claim = "… and with a futex sleeper (shows that calls are counted)"};
    if (run.calls->count > 0)
        row_measured(&row, "%llu in %d ticks", (unsigned long long)run.calls->values[0],
                     CONTROL_ITERATIONS);
    row_print(&row);
    run_close(&run);
}

int main(int count, char **arguments) {
    const struct size sizes[SIZES] = {{64, status_64_schema(), contest_copy_64},
                                      {256, status_256_schema(), contest_copy_256}};
    if (count != 2)
        measure_give_up("usage: publish BUILD");
    measure_pin(CORE_OBSERVER);
    process_directory();
    for (size_t i = 0; i < SIZES; i++)
        measure_unread(&sizes[i]);
    for (size_t i = 0; i < SIZES; i++)
        for (enum pause pause = SLEEPS; pause <= SPINS; pause++)
            measure_followed(arguments[1], &sizes[i], pause);
    show_that_calls_count(&sizes[0]);
    return 0;
}
