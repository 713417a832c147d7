/*
 * behaviour.h - what the robot decides: readings in, motion and modes out
 *
 * Purpose
 *   It wanders. Near an obstacle it slows down; nearer still it turns to the clearer side until the
 *   way ahead is free. Where the wheels drive but the surroundings stay as they are, it is stuck:
 *   it backs off and turns. Where the sensors are silent it stands still until they answer.
 *
 * Calling sequence
 *     struct behaviour state = behaviour_start(seed);
 *     each tick: state = behaviour_step(state, &input);
 *                ... state.decision says what to do and what to show ...
 *
 * Pure: the state is a value, the same state and input give the same result on every machine.
 */
#ifndef ROBOT_BEHAVIOUR_H
#define ROBOT_BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "chance.h"
#include "drive.h"
#include "status.h"

/* The sensors, in the order of the readings: bearings -90, -45, 0, 45, 90 degrees. */
#define BEHAVIOUR_SENSORS 5
enum behaviour_sensor {
    SENSOR_RIGHT,
    SENSOR_RIGHT_AHEAD,
    SENSOR_AHEAD,
    SENSOR_LEFT_AHEAD,
    SENSOR_LEFT
};

/* Ages of the newest reading up to which it counts as fresh, and as late. */
#define BEHAVIOUR_FRESH_NS  60000000u
#define BEHAVIOUR_SILENT_NS 250000000u

/* A reading of this many mm means "that or more". */
#define BEHAVIOUR_RANGE_MAX_MM 4000.0

struct behaviour_input {
    double range_mm[BEHAVIOUR_SENSORS]; /* believed where sensor_mode is fresh or late */
    double seconds;                     /* since the step before; 0 in the first */
    enum sensor_mode sensor_mode;
    bool hold; /* true: the motors are kept off; it waits until it is false */
    bool stop; /* true: the program ends */
};

struct behaviour_decision {
    struct drive_motion motion;
    enum bot_mode bot_mode;
    enum obstacle_mode obstacle_mode;
    bool obstacle;
    bool go_left;
    bool go_right;
};

/* The members below `decision` are the module's own. */
struct behaviour {
    struct behaviour_decision decision;
    struct chance chance;
    double in_mode_seconds;   /* since bot_mode changed */
    double clear_seconds;     /* while turning: how long the way has been free */
    double wander_seconds;    /* until the next change of mind */
    double wander_direction;  /* where the change of mind leads to */
    double escape_direction;  /* where to back off to */
    unsigned escapes_in_vain; /* since it last moved */
    bool turn_left;           /* the side chosen */
    double watched_seconds;   /* how long the readings below have been collected */
    double nearest_mm[BEHAVIOUR_SENSORS];
    double farthest_mm[BEHAVIOUR_SENSORS];
};

/* The state before the first step. */
struct behaviour behaviour_start(uint64_t seed);

/* The state after one step. */
struct behaviour behaviour_step(struct behaviour state, const struct behaviour_input *input);

/* How to judge a reading of that age. `ever`: whether there was one at all; where there was none,
 * the age counts from the start. */
enum sensor_mode behaviour_sensor_mode(bool ever, uint64_t age_ns);

#endif
