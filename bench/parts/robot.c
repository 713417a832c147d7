#include "robot.h"

#include <math.h>

#include "measure.h"
#include "process.h"

struct omni_publisher *robot_open(const char *name, const struct omni_schema *schema,
                                  uint64_t period_ns, bool certain_wake) {
    struct omni_publisher_options options = {
        .directory = process_directory(), .period_ns = period_ns, .certain_wake = certain_wake};
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem;
    if (omni_publisher_open(&publisher, name, schema, &options, &problem) < 0)
        measure_give_up("%s", problem.text);
    return publisher;
}

void robot_fill(struct status_500 *status, uint64_t tick) {
    double t = (double)tick / 100;
    *status = (struct status_500){
        .heading = fmod(t * 30, 360),
        .position = {3 * cos(t), 2 * sin(t)},
        .uptime = tick * 10,
        .battery = 12.5F - (float)fmod(t / 1000, 2),
        .period = 10000,
        .jitter = 60 + (uint32_t)(tick % 30),
        .publish_cost = 40 + (uint32_t)(tick % 10),
    };
    for (unsigned i = 0; i < 3; i++)
        status->motor_power[i] = (float)(100 * sin(t + 2.0943951 * i));
    for (unsigned i = 0; i < 3; i++)
        status->current[i] = (float)(tick % 40 + i) / 100;
    for (unsigned i = 0; i < 4; i++)
        status->temperature[i] = 40 + (float)i + (float)(tick % 50) / 10;
    for (unsigned i = 0; i < 8; i++)
        status->range[i] = 500 + (uint32_t)((tick * (i + 3)) % 3000);
}

static void publish_until_ended(void *context) {
    const uint64_t *period_ns = context;
    struct omni_publisher *publisher = robot_open("bench", status_500_schema(), *period_ns, false);
    struct pace pace = {.period_ns = *period_ns};
    struct status_500 status;
    for (uint64_t tick = 1;; tick++) {
        pace_wait(&pace);
        struct omni_time time = omni_time_now();
        robot_fill(&status, tick);
        omni_publish_at(publisher, &status, time);
    }
}

pid_t robot_start(uint64_t period_ns) {
    process_directory();
    return process_fork(CORE_ROBOT, publish_until_ended, &period_ns);
}
