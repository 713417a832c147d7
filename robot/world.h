/*
 * world.h - a small world for a robot that has no body: walls, obstacles, five ray-cast sensors
 *
 * Purpose
 *   A room of 3 by 2.2 metres with pillars, a box and a slanting wall. The robot is a disc that its
 *   three wheels move; it cannot pass through anything. Two faults happen every now and then, as
 *   they do to real robots: the sensors fall silent for a second or two, and the robot runs
 *   against a threshold that no sensor sees, where the wheels slip until it backs off.
 *
 * Calling sequence
 *     struct world world;
 *     world_start(&world, seed);
 *     world_step(&world, powers, seconds);
 *     if (world_sense(&world, range_mm)) ... else the sensors are silent ...
 *
 * Pure arithmetic with its own random numbers: the same seed and steps give the same world. One
 * thread.
 */
#ifndef ROBOT_WORLD_H
#define ROBOT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "chance.h"
#include "drive.h"

#define WORLD_SENSORS         5
#define WORLD_WIDTH_MM        3000.0
#define WORLD_HEIGHT_MM       2200.0
#define WORLD_ROBOT_RADIUS_MM 110.0
#define WORLD_RANGE_MIN_MM    20
#define WORLD_RANGE_MAX_MM    4000
#define WORLD_STEP_SECONDS    0.005 /* longer steps are taken in pieces of this */

struct world {
    struct drive_pose pose;     /* the truth, which the robot does not know */
    double power[DRIVE_WHEELS]; /* what the motors do: they follow their command with a lag */
    struct chance chance;
    double seconds;        /* since the start */
    double silence_starts; /* the next silence of the sensors, in seconds since the start */
    double silence_ends;
    double slip_starts; /* the next threshold */
    bool slipping;
    double slip_direction;     /* which way the robot was going in the world, degrees */
    double backed_off_seconds; /* driven the other way since */
};

/* A robot in the room, at a place and heading that depend on the seed. */
void world_start(struct world *world, uint64_t seed);

/* Lets `seconds` pass with the motors commanded so. */
void world_step(struct world *world, struct drive_powers command, double seconds);

/* The ranges in mm at bearings -90, -45, 0, 45, 90 degrees, from the robot's edge, with noise,
 * WORLD_RANGE_MIN_MM to WORLD_RANGE_MAX_MM. False while the sensors are silent: range_mm is
 * untouched then. */
bool world_sense(struct world *world, uint16_t range_mm[WORLD_SENSORS]);

/* The same without noise or silence, at any bearing in degrees, not limited: what there is. */
double world_ray(const struct world *world, double bearing);

#endif
