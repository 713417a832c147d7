/* The robot's fields: what pages and clients rely on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "robot/pilot.h"
#include "robot/status.h"

struct expected {
    const char *name;
    const char *type;
    uint32_t count;
    const char *unit;
};

/* Names, types, counts and units are a contract with the page: written out once more here. */
static const struct expected expected[] = {
    {"direction", "f32", 1, "deg"},   {"heading", "f32", 1, "deg"},
    {"position", "f32", 2, "mm"},     {"overruns", "u64", 1, ""},
    {"period", "u32", 1, "µs"},       {"jitter", "u32", 1, "µs"},
    {"publish_cost", "u32", 1, "ns"}, {"driver_restarts", "u32", 1, ""},
    {"driver_silent", "u32", 1, ""},  {"pwm_jitter", "u32", 1, "µs"},
    {"sensors", "u16", 5, "mm"},      {"motor_power", "i8", 3, "%"},
    {"bot_mode", "enum", 1, ""},      {"obstacle_mode", "enum", 1, ""},
    {"sensor_mode", "enum", 1, ""},   {"motor_hold", "enum", 1, ""},
    {"obstacle", "bool", 1, ""},      {"go_left", "bool", 1, ""},
    {"go_right", "bool", 1, ""},
};

static void the_table_is_the_contract(void **state) {
    (void)state;
    struct omni_table table;
    struct omni_problem problem = {""};
    int error = omni_schema_pack(&table, robot_status_schema(), &problem);
    if (error < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(table.field_count, sizeof expected / sizeof expected[0]);
    for (uint32_t i = 0; i < table.field_count; i++) {
        assert_string_equal(table.fields[i].name, expected[i].name);
        assert_string_equal(omni_type_name(table.fields[i].type), expected[i].type);
        assert_int_equal(table.fields[i].count, expected[i].count);
        assert_string_equal(table.fields[i].unit, expected[i].unit);
        assert_true(strlen(table.text + table.fields[i].description) > 10);
    }
    omni_table_free(&table);
}

static void labels_are_in_the_table(void **state) {
    (void)state;
    struct omni_table table;
    assert_int_equal(omni_schema_pack(&table, robot_status_schema(), NULL), 0);
    const struct omni_field *field = omni_table_find(&table, "bot_mode");
    assert_non_null(field);
    assert_int_equal(field->label_count, BOT_STOPPED + 1);
    assert_string_equal(omni_table_label(&table, field, BOT_WANDERING), "wandering");
    assert_string_equal(omni_table_label(&table, field, BOT_STOPPED), "stopped");
    field = omni_table_find(&table, "sensor_mode");
    assert_string_equal(omni_table_label(&table, field, SENSOR_SILENT), "silent");
    omni_table_free(&table);
}

static struct pilot_input reading(void) {
    return (struct pilot_input){
        .range_mm = {100, 200, 3000, 400, 500},
        .ever_read = true,
        .period_ns = 10000000,
    };
}

static void a_report_says_what_the_robot_knows(void **state) {
    (void)state;
    struct pilot pilot = pilot_start(1);
    struct pilot_input input = reading();
    struct robot_status status;
    memset(&status, 0, sizeof status);
    pilot_step(&pilot, &input);
    pilot_report(&pilot, &status);
    assert_memory_equal(status.sensors, input.range_mm, sizeof input.range_mm);
    assert_memory_equal(status.motor_power, pilot.powers.wheel, sizeof status.motor_power);
    assert_int_equal(status.bot_mode, BOT_WANDERING);
    assert_int_equal(status.sensor_mode, SENSOR_FRESH);
    assert_int_equal(status.obstacle_mode, OBSTACLE_SLOWING); /* 200 mm beside count as 300 */
    assert_true(status.obstacle);
    assert_true(status.motor_power[2] > 0);
}

static void old_readings_are_not_shown_as_if_they_were_live(void **state) {
    (void)state;
    struct pilot pilot = pilot_start(1);
    struct pilot_input input = reading();
    struct robot_status status;
    memset(&status, 0, sizeof status);
    pilot_step(&pilot, &input);
    input.reading_age_ns = BEHAVIOUR_SILENT_NS + 1;
    pilot_step(&pilot, &input);
    pilot_report(&pilot, &status);
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++)
        assert_int_equal(status.sensors[i], 0);
    assert_int_equal(status.bot_mode, BOT_WAITING);
    assert_int_equal(status.sensor_mode, SENSOR_SILENT);
}

/* Odometry: the powers of one step work until the next. */
static void position_is_reckoned_from_the_commands(void **state) {
    (void)state;
    struct pilot pilot = pilot_start(1);
    struct pilot_input input = reading();
    input.period_ns = 0;
    pilot_step(&pilot, &input);
    assert_true(pilot.odometry.x == 0 && pilot.odometry.y == 0);
    double power[DRIVE_WHEELS];
    for (int i = 0; i < DRIVE_WHEELS; i++)
        power[i] = pilot.powers.wheel[i];
    struct drive_pose there = drive_advance((struct drive_pose){0}, DRIVE_GEOMETRY, power, 0.5);
    assert_true(there.x > 20);
    input.period_ns = 500000000;
    pilot_step(&pilot, &input);
    struct robot_status status;
    memset(&status, 0, sizeof status);
    pilot_report(&pilot, &status);
    assert_true(status.position[0] == (float)there.x);
    assert_true(status.position[1] == (float)there.y);
    assert_true(status.heading == (float)there.heading);
}

static void a_robot_that_is_held_stands_still_and_says_why(void **state) {
    (void)state;
    struct pilot pilot = pilot_start(1);
    struct pilot_input input = reading();
    struct robot_status status;
    memset(&status, 0, sizeof status);
    pilot_step(&pilot, &input);
    assert_true(pilot.powers.wheel[2] > 0);
    input.hold = HOLD_OVERRUN;
    pilot_step(&pilot, &input);
    pilot_report(&pilot, &status);
    for (int i = 0; i < DRIVE_WHEELS; i++)
        assert_int_equal(status.motor_power[i], 0);
    assert_int_equal(status.motor_hold, HOLD_OVERRUN);
    assert_int_equal(status.bot_mode, BOT_WAITING);
    assert_int_equal(status.sensor_mode, SENSOR_FRESH); /* it is not the sensors */
    input.hold = HOLD_NONE;
    pilot_step(&pilot, &input);
    pilot_report(&pilot, &status);
    assert_int_equal(status.motor_hold, HOLD_NONE);
    assert_int_equal(status.bot_mode, BOT_WANDERING);
    assert_true(status.motor_power[2] > 0);
}

static void where_there_is_no_sensor_nothing_is_in_the_way(void **state) {
    (void)state;
    struct pilot pilot = pilot_start(1);
    struct pilot_input input = reading();
    struct robot_status status;
    memset(&status, 0, sizeof status);
    memcpy(input.range_mm, (const uint16_t[]){0, 0, 3000, 0, 0}, sizeof input.range_mm);
    pilot_step(&pilot, &input);
    pilot_report(&pilot, &status);
    assert_int_equal(status.obstacle_mode, OBSTACLE_CLEAR);
    assert_int_equal(status.sensors[1], 0); /* and no range is made up */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_contract),
        cmocka_unit_test(labels_are_in_the_table),
        cmocka_unit_test(a_report_says_what_the_robot_knows),
        cmocka_unit_test(old_readings_are_not_shown_as_if_they_were_live),
        cmocka_unit_test(position_is_reckoned_from_the_commands),
        cmocka_unit_test(a_robot_that_is_held_stands_still_and_says_why),
        cmocka_unit_test(where_there_is_no_sensor_nothing_is_in_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
