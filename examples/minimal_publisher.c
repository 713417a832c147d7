/* A tank that publishes its own status. Run it, open the dashboard: it is there. */
#include <math.h>
#include <omni/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MODES(LABEL) LABEL(TANK_FILLING, "filling") LABEL(TANK_DRAINING, "draining")
#define TANK(FIELD)                                                                                \
    FIELD(number, f64, level, "%", 0, 100, "Water in the tank")                                    \
    FIELD(numbers, f32, temperature, 2, "°C", 0, 60, "At the bottom and at the top")               \
    FIELD(choice, mode, MODES, "What the valve does")
OMNI_ENUM(tank_mode, MODES)
OMNI_STATUS(tank, TANK)

int main(void) {
    struct omni_publisher_options options = {.directory = getenv("OMNI_DIRECTORY"),
                                             .period_ns = 10000000};
    struct omni_publisher *publisher;
    struct omni_problem problem;
    if (omni_publisher_open(&publisher, "tank", tank_schema(), &options, &problem) < 0)
        return fprintf(stderr, "%s\n", problem.text), 2;
    for (double t = 0;; t += 0.01) {
        struct tank tank = {.level = 50 - 45 * cos(t), .temperature = {20, 21 + (float)sin(t / 9)}};
        tank.mode = sin(t) > 0 ? TANK_FILLING : TANK_DRAINING;
        omni_publish(publisher, &tank);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}
