/*
 * status.h - the robot's status as a C struct, made from status.def
 *
 *     struct robot_status           what omni_publish_at() takes
 *     robot_status_schema()         what omni_publisher_open() takes
 *     enum bot_mode, obstacle_mode, sensor_mode, motor_hold
 */
#ifndef ROBOT_STATUS_H
#define ROBOT_STATUS_H

#include <math.h>

#include <omni/schema.h>

#include "status.def"

OMNI_ENUM(bot_mode, BOT_MODES)
OMNI_ENUM(obstacle_mode, OBSTACLE_MODES)
OMNI_ENUM(sensor_mode, SENSOR_MODES)
OMNI_ENUM(motor_hold, MOTOR_HOLDS)
OMNI_STATUS(robot_status, ROBOT_FIELDS)

#endif
