/*
 * overload - 5,000 clients at 20 Hz, of whom half never read
 *
 * The real omni-observer, a robot at 100 Hz, 5,000 subscriptions to the newest values 20 times a
 * second. Every second client takes little into its kernel and never reads. The limits that would
 * close such a client (pings, time-outs) are set so high that all of them stay to the end: that is
 * the worse case. After a while for their sockets to fill up, the messages of each healthy client
 * are counted.
 *
 *     overload BUILD
 */
#include <stdio.h>

#include "parts/crowd.h"
#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum {
    CLIENTS = 5000,
    RATE = 20,
    SETTLE_SECONDS = 6,
    SECONDS = 10,
    FILES_BESIDE = 64, /* that the observer and this program need for other things */
    MEMORY_MIB = 64
};

struct outcome {
    double median; /* messages a second of a healthy client */
    double least;
    double most;
    unsigned healthy;
    unsigned outside; /* of them, more than 10 % away from the rate */
};

static struct outcome judge(const struct crowd *crowd, double seconds) {
    struct outcome outcome = {.healthy = 0};
    struct samples *counts = samples_open(CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        uint64_t messages = crowd_messages_of(crowd, i);
        if (messages == UINT64_MAX)
            continue;
        double rate = (double)messages / seconds;
        outcome.healthy++;
        outcome.outside += rate < RATE * 0.9 || rate > RATE * 1.1;
        samples_add(counts, messages);
    }
    outcome.median = (double)samples_percentile(counts, 0.5) / seconds;
    outcome.least = (double)samples_percentile(counts, 0) / seconds;
    outcome.most = (double)samples_percentile(counts, 1) / seconds;
    samples_close(counts);
    return outcome;
}

static void say(const struct outcome *outcome, double busy, const struct service *service) {
    char figures[4096] = "";
    (void)service_get(service, "/api/observer", figures, sizeof figures);
    struct row rate = {.claim = "5,000 clients at 20 Hz, half never read: rate of the others",
                       .bound = "each within 10 %"};
    row_met(&rate, outcome->healthy > 0 && outcome->outside == 0);
    row_measured(&rate, "%.1f Hz (%.1f to %.1f)", outcome->median, outcome->least, outcome->most);
    row_beside(&rate,
               "%u of %u outside; %llu frames dropped, %llu clients closed; %.0f %% of a core",
               outcome->outside, outcome->healthy, service_number(figures, "frames_dropped"),
               service_number(figures, "clients_closed"), busy * 100);
    row_print(&rate);

    double peak = (double)process_memory_kib(service->process, "VmHWM") / 1024;
    struct row memory = {.claim = "… and the observer's memory at most", .bound = "≤ 64 MiB"};
    row_met(&memory, peak > 0 && peak <= MEMORY_MIB);
    row_measured(&memory, "%.1f MiB", peak);
    row_print(&memory);
}

int main(int count, char **arguments) {
    static const char *const options[] = {
        "--max-clients", "5000", "--ping-interval", "3600", "--blocked-timeout", "3600", NULL};
    if (count != 2)
        measure_give_up("usage: overload BUILD");
    if (process_open_files_max() < CLIENTS + FILES_BESIDE)
        measure_give_up("%d clients need as many open files: raise the hard limit (ulimit -Hn)",
                        CLIENTS);
    measure_pin(CORE_ROBOT);
    pid_t robot = robot_start(10 * MILLISECOND_NS);
    struct service service = service_start(arguments[1], options);
    struct crowd_options crowd_options = {.port = service.port,
                                          .clients = CLIENTS,
                                          .silent = CLIENTS / 2,
                                          .subscribe = CROWD_RATE("20")};
    struct crowd *crowd = crowd_open(&crowd_options);
    crowd_run(crowd, SETTLE_SECONDS * SECOND_NS, NULL);
    crowd_forget(crowd);
    uint64_t begun_ns = measure_now();
    uint64_t used_ns = process_cpu_ns(service.process);
    crowd_run(crowd, SECONDS * SECOND_NS, NULL);
    double seconds = (double)(measure_now() - begun_ns) / (double)SECOND_NS;
    used_ns = process_cpu_ns(service.process) - used_ns;
    struct outcome outcome = judge(crowd, seconds);
    say(&outcome, (double)used_ns / (double)SECOND_NS / seconds, &service);
    crowd_close(crowd);
    service_end(&service);
    process_end(robot);
    return 0;
}
