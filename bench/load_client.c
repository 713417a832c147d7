/*
 * load_client - many WebSocket clients of a server on this machine, by hand
 *
 *     load_client PORT CLIENTS SECONDS [SOURCE [RATE [SILENT]]]
 *
 * Without a source each client takes what the server sends by itself. SILENT of the clients never
 * read. Prints the messages and bytes a second, how evenly they were spread, and how long they were
 * on their way.
 */
#include <stdio.h>
#include <stdlib.h>

#include "parts/crowd.h"

static unsigned number(int count, char **arguments, int index) {
    return index < count ? (unsigned)strtoul(arguments[index], NULL, 10) : 0;
}

static void print_spread(const struct crowd *crowd, unsigned clients, unsigned seconds) {
    struct samples *counts = samples_open(clients);
    for (unsigned i = 0; i < clients; i++)
        if (crowd_messages_of(crowd, i) != UINT64_MAX)
            samples_add(counts, crowd_messages_of(crowd, i));
    printf("a second and client: median %.1f, least %.1f, most %.1f\n",
           (double)samples_percentile(counts, 0.5) / seconds,
           (double)samples_percentile(counts, 0) / seconds,
           (double)samples_percentile(counts, 1) / seconds);
    samples_close(counts);
}

static void print_latencies(struct samples *latencies) {
    printf("tick → read: p50 %.0f µs, p90 %.0f µs, p99 %.0f µs, worst %.0f µs\n",
           (double)samples_percentile(latencies, 0.5) / 1000,
           (double)samples_percentile(latencies, 0.9) / 1000,
           (double)samples_percentile(latencies, 0.99) / 1000,
           (double)samples_percentile(latencies, 1) / 1000);
}

int main(int count, char **arguments) {
    char subscribe[256];
    unsigned seconds = number(count, arguments, 3);
    struct crowd_options options = {.port = (uint16_t)number(count, arguments, 1),
                                    .clients = number(count, arguments, 2),
                                    .silent = number(count, arguments, 6)};
    if (options.port == 0 || options.clients == 0 || seconds == 0)
        measure_give_up("usage: load_client PORT CLIENTS SECONDS [SOURCE [RATE [SILENT]]]");
    if (count > 4) {
        snprintf(subscribe, sizeof subscribe,
                 "{\"op\":\"subscribe\",\"source\":\"%s\",\"mode\":\"latest\",\"rate\":%s}",
                 arguments[4], count > 5 ? arguments[5] : "60");
        options.subscribe = subscribe;
    }
    struct samples *latencies = samples_open((size_t)1 << 22);
    struct crowd *crowd = crowd_open(&options);
    crowd_forget(crowd);
    crowd_run(crowd, seconds * SECOND_NS, latencies);
    printf("%u clients: %.0f messages a second, %.0f bytes each; %u closed by the server\n",
           options.clients, (double)crowd_messages(crowd) / seconds,
           (double)crowd_bytes(crowd) /
               (double)(crowd_messages(crowd) + (crowd_messages(crowd) == 0)),
           crowd_lost(crowd));
    print_spread(crowd, options.clients, seconds);
    print_latencies(latencies);
    crowd_close(crowd);
    return 0;
}
