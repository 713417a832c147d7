/*
 * start - how long from starting omni-observer to the first byte of the page?
 *
 * From just before the process is made to the first byte of the answer to GET /, which is asked for
 * as soon as the observer has printed its link. Twenty times; a robot is running.
 *
 *     start BUILD
 */
#include <stdio.h>

#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum { STARTS = 20 };

int main(int count, char **arguments) {
    char first[2];
    struct row row = {.claim = "omni-observer started → first byte of the page",
                      .bound = "≤ 50 ms"};
    struct samples *times = samples_open(STARTS);
    if (count != 2)
        measure_give_up("usage: start BUILD");
    pid_t robot = robot_start(10 * MILLISECOND_NS);
    for (int i = 0; i < STARTS; i++) {
        uint64_t begun_ns = measure_now();
        struct service service = service_start(arguments[1], NULL);
        if (service_get(&service, "/", first, sizeof first) != 1)
            measure_give_up("no page came");
        samples_add(times, measure_now() - begun_ns);
        service_end(&service);
    }
    process_end(robot);
    double median_ms = (double)samples_percentile(times, 0.5) / (double)MILLISECOND_NS;
    row_met(&row, median_ms <= 50);
    row_measured(&row, "%.1f ms", median_ms);
    row_beside(&row, "%d starts, %.1f to %.1f ms", STARTS,
               (double)samples_percentile(times, 0) / (double)MILLISECOND_NS,
               (double)samples_percentile(times, 1) / (double)MILLISECOND_NS);
    row_print(&row);
    return 0;
}
