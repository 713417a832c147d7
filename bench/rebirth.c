/*
 * rebirth - how soon after it was killed and started again is a robot back on a WebSocket client?
 *
 * The real omni-observer on one core; a publisher at 100 Hz and the load client, on another. The
 * publisher is killed (SIGKILL) at some moment of its period and started again when the client has
 * heard the last of it. What counts is the time from just before the new process is made to its
 * first status at the client. A hundred times.
 *
 *     rebirth BUILD
 */
#include <signal.h>
#include <stdio.h>

#include "parts/crowd.h"
#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum { REBIRTHS = 100 };
#define PERIOD_NS     (10 * MILLISECOND_NS)
#define LAST_WORDS_NS (100 * MILLISECOND_NS)
#define PATIENCE_NS   (30 * SECOND_NS)

static void end_robot(pid_t robot, struct crowd *crowd, unsigned number) {
    measure_sleep_until(measure_now() + number * PERIOD_NS / REBIRTHS);
    kill(robot, SIGKILL);
    process_wait(robot);
    while (crowd_await(crowd, LAST_WORDS_NS))
        continue;
}

int main(int count, char **arguments) {
    struct row row = {.claim = "robot killed (-9) and started again → WebSocket client",
                      .bound = "worst ≤ 1 s"};
    struct samples *times = samples_open(REBIRTHS);
    struct crowd_options options = {.clients = 1, .subscribe = CROWD_RATE("100")};
    if (count != 2)
        measure_give_up("usage: rebirth BUILD");
    measure_pin(CORE_ROBOT);
    pid_t robot = robot_start(PERIOD_NS);
    struct service service = service_start(arguments[1], NULL);
    options.port = service.port;
    struct crowd *crowd = crowd_open(&options);
    for (unsigned i = 0; i < REBIRTHS; i++) {
        end_robot(robot, crowd, i);
        uint64_t begun_ns = measure_now();
        robot = robot_start(PERIOD_NS);
        if (!crowd_await(crowd, PATIENCE_NS))
            measure_give_up("robot number %u was never seen", i);
        samples_add(times, measure_now() - begun_ns);
    }
    double worst_ms = (double)samples_percentile(times, 1) / (double)MILLISECOND_NS;
    row_met(&row, worst_ms <= 1000);
    row_measured(&row, "p50 %.1f ms, worst %.1f ms",
                 (double)samples_percentile(times, 0.5) / (double)MILLISECOND_NS, worst_ms);
    row_beside(&row, "%d times", REBIRTHS);
    row_print(&row);
    crowd_close(crowd);
    service_end(&service);
    process_end(robot);
    return 0;
}
