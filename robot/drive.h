/*
 * drive.h - three omni wheels at 120 degrees: where to go → how hard each motor works, and back
 *
 *              front (0°)
 *         wheel 0 /    \ wheel 2          wheel 0 at  60°, front left
 *            60° /      \ 300°            wheel 1 at 180°, rear
 *                \______/                 wheel 2 at 300°, front right
 *                 wheel 1
 *                 180°
 *
 * Each wheel pushes along the circle that it stands on, counter-clockwise where its power is
 * positive, and rolls freely across. Angles are in degrees, counter-clockwise, 0 ahead. Speeds and
 * powers are in percent of what a wheel does at full power. All functions are pure.
 */
#ifndef ROBOT_DRIVE_H
#define ROBOT_DRIVE_H

#include <stdint.h>

#define DRIVE_WHEELS           3
#define DRIVE_RADIANS_A_DEGREE 0.017453292519943295

/* How large the robot is, and how fast. */
struct drive_geometry {
    double wheel_circle_mm; /* from the robot's centre to a wheel; above 0 */
    double top_speed_mm_s;  /* of a wheel's rim at 100 % */
};

/* Of the simulated robot, and of any whose board says nothing else. */
#define DRIVE_GEOMETRY ((struct drive_geometry){.wheel_circle_mm = 100.0, .top_speed_mm_s = 400.0})

/* What the robot as a whole shall do. */
struct drive_motion {
    double direction; /* degrees, where to drive to, seen from the robot's front */
    double speed;     /* percent, 0 or more */
    double turn;      /* percent, positive counter-clockwise */
};

/* Powers as a motor takes them: whole percent, -100 to 100. */
struct drive_powers {
    int8_t wheel[DRIVE_WHEELS];
};

/* Where the robot is: mm in the world, heading in degrees, 0 <= heading < 360. */
struct drive_pose {
    double x;
    double y;
    double heading;
};

/* Motor powers for a motion, exact. Where one wheel would need more than 100 %, all are scaled
 * down together: slower, but in the same direction and curve. */
void drive_wheels(struct drive_motion motion, double power[DRIVE_WHEELS]);

/* The same in whole percent, rounded to the nearest. */
struct drive_powers drive_powers(struct drive_motion motion);

/* The inverse of drive_wheels(): the motion that three powers make. direction is 0 where speed
 * is 0. */
struct drive_motion drive_motion(const double power[DRIVE_WHEELS]);

/* Where `pose` of a robot of that size is after its wheels turned so for `seconds` without
 * slipping. Exact for small turns (the chord of the arc is taken in its middle heading). */
struct drive_pose drive_advance(struct drive_pose pose, struct drive_geometry geometry,
                                const double power[DRIVE_WHEELS], double seconds);

/* The same angle, 0 <= result < 360. */
double drive_degrees(double degrees);

#endif
