#include "drive.h"

#include <math.h>

/* Sine and cosine of 60, 180 and 300 degrees, exact where libm's pi is not: driving straight ahead
 * must not ask the rear wheel for 1e-14 percent. */
#define HALF_ROOT_OF_3 0.86602540378443865
static const double sine_of_wheel[DRIVE_WHEELS] = {HALF_ROOT_OF_3, 0.0, -HALF_ROOT_OF_3};
static const double cosine_of_wheel[DRIVE_WHEELS] = {0.5, -1.0, 0.5};

static void scale_to_full(double power[DRIVE_WHEELS]) {
    double largest = 100.0;
    for (int i = 0; i < DRIVE_WHEELS; i++)
        largest = fmax(largest, fabs(power[i]));
    for (int i = 0; i < DRIVE_WHEELS; i++)
        power[i] *= 100.0 / largest;
}

void drive_wheels(struct drive_motion motion, double power[DRIVE_WHEELS]) {
    double ahead = motion.speed * cos(motion.direction * DRIVE_RADIANS_A_DEGREE);
    double left = motion.speed * sin(motion.direction * DRIVE_RADIANS_A_DEGREE);
    for (int i = 0; i < DRIVE_WHEELS; i++)
        power[i] = left * cosine_of_wheel[i] - ahead * sine_of_wheel[i] + motion.turn;
    scale_to_full(power);
}

struct drive_powers drive_powers(struct drive_motion motion) {
    double exact[DRIVE_WHEELS];
    drive_wheels(motion, exact);
    struct drive_powers powers;
    for (int i = 0; i < DRIVE_WHEELS; i++)
        powers.wheel[i] = (int8_t)lround(exact[i]);
    return powers;
}

/* The body's velocity in percent of a wheel's top speed: ahead, to the left. */
static void body_velocity(const double power[DRIVE_WHEELS], double *ahead, double *left) {
    double x = 0.0;
    double y = 0.0;
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        x -= sine_of_wheel[i] * power[i];
        y += cosine_of_wheel[i] * power[i];
    }
    *ahead = x * 2.0 / 3.0;
    *left = y * 2.0 / 3.0;
}

struct drive_motion drive_motion(const double power[DRIVE_WHEELS]) {
    double ahead;
    double left;
    body_velocity(power, &ahead, &left);
    struct drive_motion motion = {
        .speed = hypot(ahead, left),
        .turn = (power[0] + power[1] + power[2]) / 3.0,
    };
    if (motion.speed > 0.0)
        motion.direction = drive_degrees(atan2(left, ahead) / DRIVE_RADIANS_A_DEGREE);
    return motion;
}

struct drive_pose drive_advance(struct drive_pose pose, struct drive_geometry geometry,
                                const double power[DRIVE_WHEELS], double seconds) {
    double ahead;
    double left;
    body_velocity(power, &ahead, &left);
    double turn = (power[0] + power[1] + power[2]) / 3.0;
    double mm = geometry.top_speed_mm_s / 100.0 * seconds;
    double radians = turn * mm / geometry.wheel_circle_mm;
    double middle = pose.heading * DRIVE_RADIANS_A_DEGREE + radians / 2.0;
    return (struct drive_pose){
        .x = pose.x + mm * (ahead * cos(middle) - left * sin(middle)),
        .y = pose.y + mm * (ahead * sin(middle) + left * cos(middle)),
        .heading = drive_degrees(pose.heading + radians / DRIVE_RADIANS_A_DEGREE),
    };
}

double drive_degrees(double degrees) {
    double rest = fmod(degrees, 360.0);
    if (rest < 0.0)
        rest += 360.0;
    /* A tiny negative rest plus 360 rounds up to 360 itself. */
    return rest < 360.0 ? rest : 0.0;
}
