#include "pilot.h"

#include <string.h>

#define NS_A_SECOND 1e9

struct pilot pilot_start(uint64_t seed) {
    return (struct pilot){.behaviour = behaviour_start(seed), .geometry = DRIVE_GEOMETRY};
}

static void reckon(struct pilot *pilot, double seconds) {
    double power[DRIVE_WHEELS];
    for (int i = 0; i < DRIVE_WHEELS; i++)
        power[i] = pilot->powers.wheel[i];
    pilot->odometry = drive_advance(pilot->odometry, pilot->geometry, power, seconds);
}

void pilot_step(struct pilot *pilot, const struct pilot_input *input) {
    double seconds = (double)input->period_ns / NS_A_SECOND;
    reckon(pilot, seconds);
    pilot->input = *input;
    pilot->sensor_mode = behaviour_sensor_mode(input->ever_read, input->reading_age_ns);
    struct behaviour_input senses = {
        .seconds = seconds,
        .sensor_mode = pilot->sensor_mode,
        .hold = input->hold != HOLD_NONE,
        .stop = input->stop,
    };
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++)
        senses.range_mm[i] = input->range_mm[i] > 0 ? input->range_mm[i] : BEHAVIOUR_RANGE_MAX_MM;
    pilot->behaviour = behaviour_step(pilot->behaviour, &senses);
    pilot->powers = drive_powers(pilot->behaviour.decision.motion);
}

static bool has_reading(const struct pilot *pilot) {
    return pilot->sensor_mode == SENSOR_FRESH || pilot->sensor_mode == SENSOR_LATE;
}

void pilot_report(const struct pilot *pilot, struct robot_status *status) {
    const struct behaviour_decision *decision = &pilot->behaviour.decision;
    status->direction = (float)decision->motion.direction;
    status->heading = (float)pilot->odometry.heading;
    status->position[0] = (float)pilot->odometry.x;
    status->position[1] = (float)pilot->odometry.y;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        /* An old value that looks live is worse than none. */
        status->sensors[i] = has_reading(pilot) ? pilot->input.range_mm[i] : 0;
    }
    memcpy(status->motor_power, pilot->powers.wheel, sizeof status->motor_power);
    status->bot_mode = (uint8_t)decision->bot_mode;
    status->obstacle_mode = (uint8_t)decision->obstacle_mode;
    status->sensor_mode = (uint8_t)pilot->sensor_mode;
    status->motor_hold = (uint8_t)pilot->input.hold;
    status->obstacle = decision->obstacle;
    status->go_left = decision->go_left;
    status->go_right = decision->go_right;
}
