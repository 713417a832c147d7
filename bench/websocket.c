/*
 * websocket - how long after a tick has a WebSocket client the message?
 *
 * The real omni-observer on one core; a publisher at 100 Hz and the load client (parts/crowd.h), on
 * another. Every message counts, from the tick's stamp to the moment when the client has read it,
 * with one client and with 100: the load client's own work for those before it in the row
 * included.
 *
 *     websocket BUILD
 */
#include <stdio.h>

#include "parts/crowd.h"
#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum { HZ = 100, MANY = 100 };

static void measure(uint16_t port, unsigned clients, unsigned seconds, double bound_us) {
    char claim[96];
    char bound[64];
    struct samples *latencies = samples_open((size_t)seconds * HZ * clients * 2);
    struct crowd_options options = {
        .port = port, .clients = clients, .subscribe = CROWD_RATE("100")};
    struct crowd *crowd = crowd_open(&options);
    crowd_run(crowd, 2 * SECOND_NS, NULL);
    crowd_forget(crowd);
    crowd_run(crowd, seconds * SECOND_NS, latencies);
    double median = (double)samples_percentile(latencies, 0.5) / 1000;
    double worst = (double)samples_percentile(latencies, 0.99) / 1000;
    struct row row = {.claim = claim, .bound = bound};
    snprintf(claim, sizeof claim, "tick → WebSocket client, %u Hz, %u client%s", HZ, clients,
             clients == 1 ? "" : "s");
    snprintf(bound, sizeof bound, "p50 ≤ %.0f µs, p99 ≤ 2 ms", bound_us);
    row_met(&row, median <= bound_us && worst <= 2000 && latencies->count > 0);
    row_measured(&row, "p50 %.0f µs, p99 %.0f µs", median, worst);
    row_beside(&row, "%zu messages, %.1f a second and client", latencies->count,
               (double)crowd_messages(crowd) / seconds / clients);
    row_print(&row);
    crowd_close(crowd);
    samples_close(latencies);
}

int main(int count, char **arguments) {
    if (count != 2)
        measure_give_up("usage: websocket BUILD");
    measure_pin(CORE_ROBOT);
    pid_t robot = robot_start(SECOND_NS / HZ);
    struct service service = service_start(arguments[1], NULL);
    measure(service.port, 1, 15, 300);
    measure(service.port, MANY, 8, 600);
    service_end(&service);
    process_end(robot);
    return 0;
}
