#include "behaviour.h"

#include <math.h>

/* Free way ahead, in mm: from SLOW_MM on slower, at TURN_MM turn, until CLEAR_MM are free. */
#define SLOW_MM  600.0
#define TURN_MM  260.0
#define CLEAR_MM 480.0

/* What a sensor beside the middle sees lies beside the way, too: it counts as farther. */
#define BESIDE_FACTOR 1.5

/* Speeds in percent. */
#define WANDER_SPEED      60.0
#define SLOWEST_SPEED     22.0
#define TURN_SPEED        40.0
#define ESCAPE_SPEED      45.0
#define WORTH_A_LOOK      15.0 /* below it too little moves to judge whether anything does */
#define WANDER_DEGREES    35.0 /* to either side */
#define DIRECTION_SECONDS 0.7  /* how slowly the direction follows a change of mind */

#define TURN_CLEAR_SECONDS  0.25 /* how long the way must be free before the turn ends */
#define TURN_MAX_SECONDS    5.0  /* more than a full circle: there is no way out by turning */
#define BACK_OFF_SECONDS    0.8
#define ESCAPE_TURN_SECONDS 0.7
#define ESCAPE_OTHER_WAY    120.0 /* degrees: where backing off did not help, off to another side */

/* Stuck: for STUCK_SECONDS no reading changed by more than STUCK_MM. Noise stays below it; at the
 * slowest speed the robot moves twice as far. */
#define STUCK_SECONDS 1.2
#define STUCK_MM      45.0

struct behaviour behaviour_start(uint64_t seed) {
    return (struct behaviour){
        .decision = {.bot_mode = BOT_STARTING, .obstacle_mode = OBSTACLE_UNKNOWN},
        .chance = chance_from(seed),
    };
}

enum sensor_mode behaviour_sensor_mode(bool ever, uint64_t age_ns) {
    if (age_ns > BEHAVIOUR_SILENT_NS)
        return SENSOR_SILENT;
    if (!ever)
        return SENSOR_STARTING;
    return age_ns > BEHAVIOUR_FRESH_NS ? SENSOR_LATE : SENSOR_FRESH;
}

static double free_way(const struct behaviour_input *input) {
    double beside = fmin(input->range_mm[SENSOR_LEFT_AHEAD], input->range_mm[SENSOR_RIGHT_AHEAD]);
    return fmin(input->range_mm[SENSOR_AHEAD], beside * BESIDE_FACTOR);
}

/* ---- stuck detection --------------------------------------------------------------------------
 */

static bool is_driving(const struct behaviour *state) {
    return state->decision.motion.speed >= WORTH_A_LOOK ||
           fabs(state->decision.motion.turn) >= WORTH_A_LOOK;
}

static void watch_reset(struct behaviour *state) {
    state->watched_seconds = 0.0;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        state->nearest_mm[i] = INFINITY;
        state->farthest_mm[i] = 0.0;
    }
}

/* A sensor that sees nothing within its reach cannot tell whether it moves. */
static bool has_moved(const struct behaviour *state, int sensor) {
    return state->farthest_mm[sensor] - state->nearest_mm[sensor] > STUCK_MM;
}

static bool sees_something(const struct behaviour *state, int sensor) {
    return state->nearest_mm[sensor] < BEHAVIOUR_RANGE_MAX_MM;
}

static bool nothing_moved(const struct behaviour *state) {
    bool judged = false;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        if (has_moved(state, i))
            return false;
        judged = judged || sees_something(state, i);
    }
    return judged;
}

/* Collects readings while the robot drives; true where a whole window of them shows that it does
 * not move. */
static bool watch(struct behaviour *state, const struct behaviour_input *input) {
    if (!is_driving(state) || input->sensor_mode != SENSOR_FRESH) {
        watch_reset(state);
        return false;
    }
    state->watched_seconds += input->seconds;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        state->nearest_mm[i] = fmin(state->nearest_mm[i], input->range_mm[i]);
        state->farthest_mm[i] = fmax(state->farthest_mm[i], input->range_mm[i]);
    }
    if (state->watched_seconds < STUCK_SECONDS)
        return false;
    bool stuck = nothing_moved(state);
    if (!stuck)
        state->escapes_in_vain = 0;
    watch_reset(state);
    return stuck;
}

/* ---- modes ------------------------------------------------------------------------------------
 */

static void enter(struct behaviour *state, enum bot_mode mode) {
    state->decision.bot_mode = mode;
    state->in_mode_seconds = 0.0;
    state->clear_seconds = 0.0;
    watch_reset(state);
}

static void choose_side(struct behaviour *state, const struct behaviour_input *input) {
    const double *range = input->range_mm;
    double left = range[SENSOR_LEFT] + range[SENSOR_LEFT_AHEAD];
    double right = range[SENSOR_RIGHT] + range[SENSOR_RIGHT_AHEAD];
    state->turn_left = left > right;
}

static void start_escape(struct behaviour *state, const struct behaviour_input *input) {
    double back = state->decision.motion.direction + 180.0;
    state->escape_direction = drive_degrees(back + ESCAPE_OTHER_WAY * state->escapes_in_vain);
    state->escapes_in_vain++;
    choose_side(state, input);
    enter(state, BOT_ESCAPING);
}

static void turn(struct behaviour *state) {
    state->decision.motion.turn = state->turn_left ? TURN_SPEED : -TURN_SPEED;
    state->decision.go_left = state->turn_left;
    state->decision.go_right = !state->turn_left;
}

static double wander_speed(double way_mm) {
    double share = (way_mm - TURN_MM) / (SLOW_MM - TURN_MM);
    return SLOWEST_SPEED + (WANDER_SPEED - SLOWEST_SPEED) * fmin(fmax(share, 0.0), 1.0);
}

/* The direction now, between -180 and 180, so that it can be led to one side or the other of 0. */
static double signed_direction(const struct behaviour *state) {
    double direction = state->decision.motion.direction;
    return direction > 180.0 ? direction - 360.0 : direction;
}

static void change_mind(struct behaviour *state, double seconds) {
    state->wander_seconds -= seconds;
    if (state->wander_seconds <= 0.0) {
        state->wander_seconds = chance_between(&state->chance, 1.5, 4.0);
        state->wander_direction = chance_between(&state->chance, -WANDER_DEGREES, WANDER_DEGREES);
    }
}

static void go_wandering(struct behaviour *state, const struct behaviour_input *input) {
    double way = free_way(input);
    change_mind(state, input->seconds);
    double before = signed_direction(state);
    double step = fmin(input->seconds / DIRECTION_SECONDS, 1.0);
    double direction = before + (state->wander_direction - before) * step;
    double speed = wander_speed(way);
    state->decision.motion = (struct drive_motion){
        .direction = drive_degrees(direction),
        .speed = input->sensor_mode == SENSOR_LATE ? speed / 2.0 : speed,
    };
    state->decision.obstacle = way < SLOW_MM;
    state->decision.obstacle_mode = way < SLOW_MM ? OBSTACLE_SLOWING : OBSTACLE_CLEAR;
}

static void go_avoiding(struct behaviour *state, const struct behaviour_input *input) {
    state->decision.motion = (struct drive_motion){0};
    state->decision.obstacle = free_way(input) < SLOW_MM;
    state->decision.obstacle_mode = OBSTACLE_TURNING;
    turn(state);
}

static void go_escaping(struct behaviour *state, const struct behaviour_input *input) {
    state->decision.obstacle = free_way(input) < SLOW_MM;
    state->decision.obstacle_mode = OBSTACLE_BLOCKED;
    if (state->in_mode_seconds < BACK_OFF_SECONDS) {
        state->decision.motion =
            (struct drive_motion){.direction = state->escape_direction, .speed = ESCAPE_SPEED};
    } else {
        state->decision.motion = (struct drive_motion){0};
        turn(state);
    }
}

static void stand_still(struct behaviour *state, const struct behaviour_input *input) {
    (void)input;
    state->decision.motion = (struct drive_motion){0};
    state->decision.obstacle = false;
    state->decision.obstacle_mode = OBSTACLE_UNKNOWN;
}

/* ---- from mode to mode ------------------------------------------------------------------------
 */

static void leave_standing(struct behaviour *state, const struct behaviour_input *input) {
    if (input->sensor_mode == SENSOR_FRESH)
        enter(state, BOT_WANDERING);
}

static void leave_wandering(struct behaviour *state, const struct behaviour_input *input) {
    if (watch(state, input)) {
        start_escape(state, input);
    } else if (free_way(input) < TURN_MM) {
        choose_side(state, input);
        enter(state, BOT_AVOIDING);
    }
}

static void leave_avoiding(struct behaviour *state, const struct behaviour_input *input) {
    state->clear_seconds = free_way(input) > CLEAR_MM ? state->clear_seconds + input->seconds : 0.0;
    if (state->clear_seconds > TURN_CLEAR_SECONDS) {
        enter(state, BOT_WANDERING);
    } else if (watch(state, input) || state->in_mode_seconds > TURN_MAX_SECONDS) {
        start_escape(state, input);
    }
}

static void leave_escaping(struct behaviour *state, const struct behaviour_input *input) {
    (void)input;
    if (state->in_mode_seconds > BACK_OFF_SECONDS + ESCAPE_TURN_SECONDS)
        enter(state, BOT_WANDERING);
}

static void stay(struct behaviour *state, const struct behaviour_input *input) {
    (void)state;
    (void)input;
}

typedef void mode_function(struct behaviour *state, const struct behaviour_input *input);

static const struct {
    mode_function *leave; /* to another mode, if it is time */
    mode_function *go;    /* what to do in this one */
} modes[] = {
    [BOT_STARTING] = {leave_standing, stand_still},
    [BOT_WANDERING] = {leave_wandering, go_wandering},
    [BOT_AVOIDING] = {leave_avoiding, go_avoiding},
    [BOT_ESCAPING] = {leave_escaping, go_escaping},
    [BOT_WAITING] = {leave_standing, stand_still},
    [BOT_STOPPED] = {stay, stand_still},
};

struct behaviour behaviour_step(struct behaviour state, const struct behaviour_input *input) {
    state.in_mode_seconds += input->seconds;
    if (input->stop) {
        enter(&state, BOT_STOPPED);
    } else if (input->hold || input->sensor_mode == SENSOR_SILENT) {
        enter(&state, BOT_WAITING);
    } else {
        modes[state.decision.bot_mode].leave(&state, input);
    }
    state.decision.go_left = false;
    state.decision.go_right = false;
    modes[state.decision.bot_mode].go(&state, input);
    return state;
}
