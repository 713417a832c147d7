/*
 * latency - how long after a tick has the observer read it?
 *
 * One process publishes at 100 Hz and at 1 kHz, another one reads on another core: with the
 * observer's own sources.c (phase-locked polling on a timerfd in a libuv loop), by sleeping on the
 * futex, and by looking every 1, 16 and 100 ms. Every tick counts, from its stamp to the moment
 * when it is in the reader's memory; beside it stands what each way costs reader and robot.
 *
 *     latency
 */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <omni/observe.h>
#include <omni/wait.h>

#include "observer/sources.h"
#include "parts/process.h"
#include "parts/robot.h"

enum { HISTORY_BYTES = 4 << 20, SETTLE_SECONDS = 1 };

/* A way to read, for ever. */
typedef void read_ticks(struct samples *latencies, uint64_t interval_ns);

struct way {
    const char *name;
    read_ticks *read;
    uint64_t interval_ns;
    bool certain_wake;
};

static void take(struct samples *latencies, const struct omni_stamp *stamp, uint64_t now_ns) {
    uint64_t then_ns = stamp->time.monotonic_ns;
    samples_add(latencies, now_ns > then_ns ? now_ns - then_ns : 0);
}

/* ---- as omni-observer reads ---- */

struct follower {
    struct samples *latencies;
    struct sources *sources;
    uint64_t next; /* ordinal in the history of the first tick that was not taken yet */
};

static void on_ticked(void *context, struct source *source, uint64_t now_ns) {
    struct follower *follower = context;
    struct history_record record;
    uint64_t end = history_end(source->history);
    for (; follower->next < end; follower->next++)
        if (history_get(source->history, follower->next, &record) == 0)
            take(follower->latencies, &record.stamp, now_ns);
}

static void on_came(void *context, struct source *source) {
    (void)context;
    (void)source;
}

/* The source cannot be asked for from within on_came: sources.c is still busy with it. */
static void ask_for_every_tick(uv_timer_t *timer) {
    struct follower *follower = timer->data;
    struct source *source = sources_find(follower->sources, "bench");
    if (source == NULL)
        return;
    sources_want(follower->sources, source, 0);
    uv_timer_stop(timer);
}

static void on_change(void *context, struct source *source) {
    (void)context;
    (void)source;
}

static void on_event(void *context, struct source *source, const struct event *event) {
    (void)context;
    (void)source;
    (void)event;
}

static void read_phase_locked(struct samples *latencies, uint64_t interval_ns) {
    (void)interval_ns;
    uv_loop_t loop;
    uv_timer_t timer;
    struct follower follower = {.latencies = latencies};
    struct sources_listener listener = {&follower, on_came,   on_change,
                                        on_change, on_ticked, on_event};
    struct sources_options options = {.directory = process_directory(),
                                      .history_bytes = HISTORY_BYTES};
    uv_loop_init(&loop);
    if (sources_open(&follower.sources, &loop, &options, &listener) < 0)
        measure_give_up("no memory to follow a source");
    uv_timer_init(&loop, &timer);
    timer.data = &follower;
    uv_timer_start(&timer, ask_for_every_tick, 0, 10);
    uv_run(&loop, UV_RUN_DEFAULT);
}

/* ---- the other ways ---- */

static struct omni_observer *attach(void) {
    struct omni_observer_options options = {.directory = process_directory()};
    struct omni_observer *observer = NULL;
    while (omni_observer_attach(&observer, "bench", &options, NULL) < 0)
        measure_sleep_until(measure_now() + MILLISECOND_NS);
    return observer;
}

static void drain(struct omni_observer *observer, struct omni_stamp *stamp,
                  struct samples *latencies) {
    struct status_64 status;
    while (omni_observer_next(observer, stamp, &status) == 0)
        take(latencies, stamp, measure_now());
}

static void read_woken(struct samples *latencies, uint64_t interval_ns) {
    (void)interval_ns;
    struct omni_observer *observer = attach();
    struct omni_stamp stamp = {.version = 0};
    for (;;) {
        drain(observer, &stamp, latencies);
        (void)omni_wait_version(observer, stamp.version, SECOND_NS);
    }
}

static void read_at_intervals(struct samples *latencies, uint64_t interval_ns) {
    struct omni_observer *observer = attach();
    struct omni_stamp stamp;
    struct pace pace = {.period_ns = interval_ns};
    for (;;) {
        pace_wait(&pace);
        drain(observer, &stamp, latencies);
    }
}

/* ---- one robot, one reader ---- */

struct run {
    const struct way *way;
    uint64_t period_ns;
    unsigned seconds;
    struct samples *latencies;
    struct samples *costs; /* of publishing */
};

static void publish(void *context) {
    const struct run *run = context;
    struct omni_publisher *publisher =
        robot_open("bench", status_64_schema(), run->period_ns, run->way->certain_wake);
    struct pace pace = {.period_ns = run->period_ns};
    struct status_64 status = {.words = {0}};
    for (;;) {
        pace_wait(&pace);
        struct omni_time time = omni_time_now();
        status.words[0] = time.monotonic_ns;
        uint64_t before = measure_now();
        omni_publish_at(publisher, &status, time);
        samples_add(run->costs, measure_now() - before);
    }
}

static void read_all(void *context) {
    const struct run *run = context;
    run->way->read(run->latencies, run->way->interval_ns);
}

/* Returns the share of a core that the reader used. */
static double run_both(struct run *run) {
    size_t ticks = (size_t)(run->seconds * SECOND_NS / run->period_ns);
    run->latencies = samples_open(ticks + ticks / 2);
    run->costs = samples_open(ticks + ticks / 2);
    process_clear_directory();
    pid_t robot = process_fork(CORE_ROBOT, publish, run);
    pid_t reader = process_fork(CORE_OBSERVER, read_all, run);
    measure_sleep_until(measure_now() + SETTLE_SECONDS * SECOND_NS);
    run->latencies->count = run->costs->count = 0;
    uint64_t used_ns = process_cpu_ns(reader);
    measure_sleep_until(measure_now() + run->seconds * SECOND_NS);
    used_ns = process_cpu_ns(reader) - used_ns;
    process_end(reader);
    process_end(robot);
    return (double)used_ns / (double)(run->seconds * SECOND_NS);
}

static double share_us(struct samples *samples, double share) {
    return (double)samples_percentile(samples, share) / 1000;
}

static void measure(const struct way *way, unsigned hz, unsigned seconds, bool is_claim) {
    char claim[128];
    struct run run = {.way = way, .period_ns = SECOND_NS / hz, .seconds = seconds};
    double busy = run_both(&run);
    double median = share_us(run.latencies, 0.5);
    double worst = share_us(run.latencies, 0.99);
    struct row row = {.claim = claim};
    snprintf(claim, sizeof claim, "tick → reader, %u Hz, %s", hz, way->name);
    if (is_claim) {
        bool bounded = hz == 100;
        row.bound = bounded ? "p50 ≤ 100 µs, p99 ≤ 1 ms" : "p50 ≤ 100 µs";
        row_met(&row, median <= 100 && (!bounded || worst <= 1000));
    }
    row_measured(&row, "p50 %.0f µs, p99 %.0f µs", median, worst);
    row_beside(&row, "%zu ticks; reader %.2f %% of a core; publishing p50 %.2f µs",
               run.latencies->count, busy * 100, share_us(run.costs, 0.5));
    row_print(&row);
    samples_close(run.latencies);
    samples_close(run.costs);
}

int main(void) {
    static const struct way phase_locked = {"phase-locked polling", read_phase_locked, 0, false};
    static const struct way others[] = {
        {"futex", read_woken, 0, true},
        {"looking every 1 ms", read_at_intervals, MILLISECOND_NS, false},
        {"looking every 16 ms", read_at_intervals, 16 * MILLISECOND_NS, false},
        {"looking every 100 ms", read_at_intervals, 100 * MILLISECOND_NS, false},
    };
    process_directory();
    measure(&phase_locked, 100, 15, true);
    measure(&phase_locked, 1000, 5, true);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        measure(&others[i], 100, 6, false);
    return 0;
}
