#include "world.h"

#include <math.h>
#include <stddef.h>

#define MOTOR_LAG_SECONDS 0.08

/* Noise of a sensor: evenly distributed, this many mm and this share of the range to either side.
 */
#define NOISE_MM    3.0
#define NOISE_SHARE 0.003

/* How long until the next fault, and how long the sensors stay silent. */
#define SILENCE_AFTER_LEAST 11.0
#define SILENCE_AFTER_MOST  20.0
#define SILENCE_LEAST       0.8
#define SILENCE_MOST        2.0
#define SLIP_AFTER_LEAST    9.0
#define SLIP_AFTER_MOST     16.0
#define BACK_OFF_SECONDS    0.3

struct point {
    double x;
    double y;
};

struct wall {
    struct point from;
    struct point to;
};

struct pillar {
    struct point middle;
    double radius;
};

static const struct wall walls[] = {
    {{0, 0}, {WORLD_WIDTH_MM, 0}},
    {{WORLD_WIDTH_MM, 0}, {WORLD_WIDTH_MM, WORLD_HEIGHT_MM}},
    {{WORLD_WIDTH_MM, WORLD_HEIGHT_MM}, {0, WORLD_HEIGHT_MM}},
    {{0, WORLD_HEIGHT_MM}, {0, 0}},
    /* a box */
    {{1900, 350}, {2300, 350}},
    {{2300, 350}, {2300, 650}},
    {{2300, 650}, {1900, 650}},
    {{1900, 650}, {1900, 350}},
    /* a slanting wall */
    {{350, 1750}, {900, 1450}},
};

static const struct pillar pillars[] = {
    {{1500, 1250}, 140},
    {{2450, 1600}, 110},
    {{750, 600}, 100},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

void world_start(struct world *world, uint64_t seed) {
    struct chance chance = chance_from(seed);
    *world = (struct world){
        .pose = {.x = chance_between(&chance, 1150, 1400),
                 .y = chance_between(&chance, 400, 900),
                 .heading = chance_between(&chance, 0, 360)},
    };
    world->silence_starts = chance_between(&chance, SILENCE_AFTER_LEAST, SILENCE_AFTER_MOST);
    world->silence_ends =
        world->silence_starts + chance_between(&chance, SILENCE_LEAST, SILENCE_MOST);
    world->slip_starts = chance_between(&chance, SLIP_AFTER_LEAST, SLIP_AFTER_MOST);
    world->chance = chance;
}

/* ---- rays -------------------------------------------------------------------------------------
 */

static double cross(struct point a, struct point b) {
    return a.x * b.y - a.y * b.x;
}

static struct point minus(struct point a, struct point b) {
    return (struct point){a.x - b.x, a.y - b.y};
}

/* Distance from `start` along the unit vector `way` to the wall; INFINITY where it is not hit. */
static double ray_to_wall(struct point start, struct point way, const struct wall *wall) {
    struct point along = minus(wall->to, wall->from);
    struct point offset = minus(wall->from, start);
    double parallel = cross(way, along);
    if (fabs(parallel) < 1e-9)
        return INFINITY;
    double distance = cross(offset, along) / parallel;
    double share = cross(offset, way) / parallel;
    return distance >= 0.0 && share >= 0.0 && share <= 1.0 ? distance : INFINITY;
}

static double ray_to_pillar(struct point start, struct point way, const struct pillar *pillar) {
    struct point offset = minus(pillar->middle, start);
    double nearest = offset.x * way.x + offset.y * way.y;
    double beside = cross(way, offset);
    double inside = pillar->radius * pillar->radius - beside * beside;
    if (inside < 0.0)
        return INFINITY;
    double distance = nearest - sqrt(inside);
    return distance >= 0.0 ? distance : INFINITY;
}

double world_ray(const struct world *world, double bearing) {
    double angle = (world->pose.heading + bearing) * DRIVE_RADIANS_A_DEGREE;
    struct point start = {world->pose.x, world->pose.y};
    struct point way = {cos(angle), sin(angle)};
    double nearest = INFINITY;
    for (size_t i = 0; i < COUNT(walls); i++)
        nearest = fmin(nearest, ray_to_wall(start, way, &walls[i]));
    for (size_t i = 0; i < COUNT(pillars); i++)
        nearest = fmin(nearest, ray_to_pillar(start, way, &pillars[i]));
    return nearest - WORLD_ROBOT_RADIUS_MM;
}

bool world_sense(struct world *world, uint16_t range_mm[WORLD_SENSORS]) {
    static const double bearings[WORLD_SENSORS] = {-90, -45, 0, 45, 90};
    if (world->seconds >= world->silence_starts)
        return false;
    for (int i = 0; i < WORLD_SENSORS; i++) {
        double true_mm = world_ray(world, bearings[i]);
        double error = NOISE_MM + NOISE_SHARE * true_mm;
        double seen = true_mm + chance_between(&world->chance, -error, error);
        range_mm[i] = (uint16_t)fmin(fmax(seen, WORLD_RANGE_MIN_MM), WORLD_RANGE_MAX_MM);
    }
    return true;
}

/* ---- motion -----------------------------------------------------------------------------------
 */

static struct point nearest_on_wall(struct point place, const struct wall *wall) {
    struct point along = minus(wall->to, wall->from);
    struct point offset = minus(place, wall->from);
    double share =
        (offset.x * along.x + offset.y * along.y) / (along.x * along.x + along.y * along.y);
    share = fmin(fmax(share, 0.0), 1.0);
    return (struct point){wall->from.x + share * along.x, wall->from.y + share * along.y};
}

/* Moves `place` straight away from `obstacle` until it is `distance` from it. */
static void push_away(struct point *place, struct point obstacle, double distance) {
    struct point offset = minus(*place, obstacle);
    double now = hypot(offset.x, offset.y);
    if (now >= distance || now < 1e-9)
        return;
    place->x = obstacle.x + offset.x * distance / now;
    place->y = obstacle.y + offset.y * distance / now;
}

static void push_out(struct point *place) {
    for (size_t i = 0; i < COUNT(walls); i++)
        push_away(place, nearest_on_wall(*place, &walls[i]), WORLD_ROBOT_RADIUS_MM);
    for (size_t i = 0; i < COUNT(pillars); i++)
        push_away(place, pillars[i].middle, WORLD_ROBOT_RADIUS_MM + pillars[i].radius);
}

/* Where the wheels push the robot to, in the world's degrees. */
static double push_direction(const struct world *world, struct drive_motion motion) {
    return drive_degrees(world->pose.heading + motion.direction);
}

/* Whether the threshold holds the robot: it runs onto one when it is time and it is driving on,
 * and comes off where it was driven the other way long enough. */
static bool is_held(struct world *world, double seconds) {
    struct drive_motion motion = drive_motion(world->power);
    bool is_moving = motion.speed > 15.0;
    if (!world->slipping) {
        if (world->seconds < world->slip_starts || !is_moving)
            return false;
        world->slipping = true;
        world->slip_direction = push_direction(world, motion);
        world->backed_off_seconds = 0.0;
    }
    double angle = push_direction(world, motion) - world->slip_direction;
    if (is_moving && cos(angle * DRIVE_RADIANS_A_DEGREE) < -0.3)
        world->backed_off_seconds += seconds;
    if (world->backed_off_seconds > BACK_OFF_SECONDS) {
        world->slipping = false;
        world->slip_starts =
            world->seconds + chance_between(&world->chance, SLIP_AFTER_LEAST, SLIP_AFTER_MOST);
    }
    return world->slipping;
}

static void run_motors(struct world *world, struct drive_powers command, double seconds) {
    double share = 1.0 - exp(-seconds / MOTOR_LAG_SECONDS);
    for (int i = 0; i < DRIVE_WHEELS; i++)
        world->power[i] += (command.wheel[i] - world->power[i]) * share;
}

static void end_silence(struct world *world) {
    if (world->seconds < world->silence_ends)
        return;
    world->silence_starts =
        world->seconds + chance_between(&world->chance, SILENCE_AFTER_LEAST, SILENCE_AFTER_MOST);
    world->silence_ends =
        world->silence_starts + chance_between(&world->chance, SILENCE_LEAST, SILENCE_MOST);
}

static void small_step(struct world *world, struct drive_powers command, double seconds) {
    world->seconds += seconds;
    end_silence(world);
    run_motors(world, command, seconds);
    if (is_held(world, seconds))
        return;
    struct drive_pose pose = drive_advance(world->pose, DRIVE_GEOMETRY, world->power, seconds);
    struct point place = {pose.x, pose.y};
    push_out(&place);
    world->pose = (struct drive_pose){place.x, place.y, pose.heading};
}

void world_step(struct world *world, struct drive_powers command, double seconds) {
    while (seconds > 0.0) {
        double piece = fmin(seconds, WORLD_STEP_SECONDS);
        small_step(world, command, piece);
        seconds -= piece;
    }
}
