/*
 * rest - what does the observer need while nobody looks?
 *
 * The real omni-observer and the real omni-robot at 100 Hz, no client: the observer's CPU time over
 * 20 s, and its resident memory. Then the same observer again when its history of one source, as
 * large as it is by default, has been filled by a robot that publishes 4,000 times a second.
 *
 *     rest BUILD
 */
#include <stdio.h>

#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum {
    SETTLE_SECONDS = 3,
    SECONDS = 20,
    FILL_HZ = 4000,
    HISTORY_BYTES = 3 << 20, /* the default of --history */
    RECORD_HEAD_BYTES = 48,  /* see observer/history.h */
    FILL_SECONDS_MAX = 30
};

static pid_t start_robot(const char *build) {
    char program[512];
    snprintf(program, sizeof program, "%s/omni-robot", build);
    const char *const arguments[] = {program,       "--tick-hz",         "100",
                                     "--directory", process_directory(), NULL};
    return process_start(CORE_ROBOT, arguments, NULL);
}

static void say_memory(const struct service *service, const char *claim, const char *beside) {
    struct row row = {.claim = claim, .bound = "≤ 8 MiB"};
    double resident = (double)process_memory_kib(service->process, "VmRSS") / 1024;
    double own = (double)process_memory_kib(service->process, "RssAnon") / 1024;
    row_met(&row, resident > 0 && resident <= 8);
    row_measured(&row, "%.1f MiB", resident);
    row_beside(&row, "%.1f of them its own, the rest programs, libraries, segments%s", own, beside);
    row_print(&row);
}

static void rest(const struct service *service) {
    struct row row = {.claim = "observer at rest: one 100 Hz robot, no client",
                      .bound = "≤ 0.3 % of a core"};
    measure_sleep_until(measure_now() + SETTLE_SECONDS * SECOND_NS);
    uint64_t used_ns = process_cpu_ns(service->process);
    measure_sleep_until(measure_now() + SECONDS * SECOND_NS);
    used_ns = process_cpu_ns(service->process) - used_ns;
    double busy = 100 * (double)used_ns / (SECONDS * (double)SECOND_NS);
    row_met(&row, busy <= 0.3);
    row_measured(&row, "%.3f %%", busy);
    row_beside(&row, "over %d s", SECONDS);
    row_print(&row);
}

/* The period that it claims is longer than the one that it keeps: else the ring, which holds two
 * seconds, would be larger than the history, and count as the observer's memory too. */
static void publish_fast(void *context) {
    (void)context;
    struct omni_publisher *publisher =
        robot_open("bench", status_500_schema(), MILLISECOND_NS, false);
    struct pace pace = {.period_ns = SECOND_NS / FILL_HZ};
    struct status_500 status;
    for (uint64_t tick = 1;; tick++) {
        pace_wait(&pace);
        robot_fill(&status, tick);
        omni_publish(publisher, &status);
    }
}

static unsigned long long ticks_read(const struct service *service) {
    static char answer[65536];
    if (service_get(service, "/api/sources", answer, sizeof answer) < 0)
        return 0;
    return service_number(answer, "ticks");
}

static void fill_history(const struct service *service) {
    char beside[96];
    unsigned long long needed = HISTORY_BYTES / (sizeof(struct status_500) + RECORD_HEAD_BYTES);
    unsigned long long read = 0;
    pid_t filler = process_fork(CORE_ROBOT, publish_fast, NULL);
    for (unsigned i = 0; i < FILL_SECONDS_MAX && (read = ticks_read(service)) < needed; i++)
        measure_sleep_until(measure_now() + SECOND_NS);
    process_end(filler);
    snprintf(beside, sizeof beside, "; %llu ticks read, it holds %llu", read, needed);
    say_memory(service, "… with its history of one source full", beside);
}

int main(int count, char **arguments) {
    if (count != 2)
        measure_give_up("usage: rest BUILD");
    process_directory();
    pid_t robot = start_robot(arguments[1]);
    struct service service = service_start(arguments[1], NULL);
    rest(&service);
    say_memory(&service, "… its resident memory", "");
    process_end(robot);
    process_clear_directory();
    fill_history(&service);
    service_end(&service);
    return 0;
}
