#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <omni/schema.h>

#include "observer/sound.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static const struct sound_rules usual = {5, 20};

static const struct sound_facts absent = {.live = false};
static const struct sound_facts wanders = {.live = true, .wandering = true};
static const struct sound_facts at_wall = {.live = true, .wandering = true, .obstacle = true};
static const struct sound_facts turns = {.live = true, .obstacle = true};
static const struct sound_facts idle = {.live = true};

/* ---- schemas ---- */

#define MODES(LABEL) LABEL(MODE_IDLE, "idle") LABEL(MODE_WANDERING, "wandering")
#define HEN(FIELD)                                                                                 \
    FIELD(number, f64, speed, "mm/s", 0, 100, "Speed")                                             \
    FIELD(choice, bot_mode, MODES, "What it does")                                                 \
    FIELD(flag, obstacle, "Something is near")
OMNI_ENUM(mode, MODES)
OMNI_STATUS(hen, HEN)

#define BLIND(FIELD) FIELD(choice, bot_mode, MODES, "What it does")
OMNI_STATUS(blind, BLIND)

#define FENCE(FIELD) FIELD(flag, obstacle, "Something is near")
OMNI_STATUS(fence, FENCE)

/* Not robots, though their fields have the names. */
#define VALVES(LABEL) LABEL(VALVE_OPEN, "open") LABEL(VALVE_SHUT, "shut")
#define TANK(FIELD)                                                                                \
    FIELD(number, f32, obstacle, "m", 0, 1, "How far away")                                        \
    FIELD(choice, bot_mode, VALVES, "No such label")
OMNI_STATUS(tank, TANK)
#define RACK(FIELD)                                                                                \
    FIELD(flags, obstacle, 3, "Three of them")                                                     \
    FIELD(choices, bot_mode, 2, MODES, "Two of them")
OMNI_STATUS(rack, RACK)
#define NOTE(FIELD) FIELD(text, bot_mode, 16, "wandering") FIELD(number, u8, other, "", 0, 1, "")
OMNI_STATUS(note, NOTE)

static struct omni_table pack(const struct omni_schema *schema) {
    struct omni_table table;
    assert_int_equal(omni_schema_pack(&table, schema, NULL), 0);
    return table;
}

static void test_fields_are_found_by_name_type_and_label(void **state) {
    (void)state;
    struct omni_table table = pack(hen_schema());
    struct sound_fields fields = sound_find(&table);
    assert_ptr_equal(fields.mode, &table.fields[1]);
    assert_int_equal(fields.wandering, MODE_WANDERING);
    assert_ptr_equal(fields.obstacle, &table.fields[2]);
    assert_true(sound_is_robot(&fields));
    omni_table_free(&table);
}

static void test_one_of_the_fields_is_enough(void **state) {
    (void)state;
    struct omni_table table = pack(blind_schema());
    struct sound_fields fields = sound_find(&table);
    struct blind blind = {.bot_mode = MODE_WANDERING};
    assert_true(sound_is_robot(&fields));
    assert_true(sound_read(&fields, &blind).wandering);
    assert_false(sound_read(&fields, &blind).obstacle);
    omni_table_free(&table);
    table = pack(fence_schema());
    fields = sound_find(&table);
    struct fence fence = {.obstacle = true};
    assert_true(sound_is_robot(&fields));
    assert_true(sound_read(&fields, &fence).obstacle);
    assert_false(sound_read(&fields, &fence).wandering);
    omni_table_free(&table);
}

static void test_what_only_looks_like_a_robot_is_silent(void **state) {
    (void)state;
    const struct omni_schema *schemas[] = {tank_schema(), rack_schema(), note_schema()};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        struct omni_table table = pack(schemas[i]);
        struct sound_fields fields = sound_find(&table);
        assert_null(fields.mode);
        assert_null(fields.obstacle);
        assert_false(sound_is_robot(&fields));
        omni_table_free(&table);
    }
}

static void test_any_payload_can_be_read(void **state) {
    (void)state;
    struct omni_table table = pack(hen_schema());
    struct sound_fields fields = sound_find(&table);
    struct hen hen;
    memset(&hen, 0xA5, sizeof hen);
    assert_true(sound_read(&fields, &hen).obstacle);
    assert_false(sound_read(&fields, &hen).wandering);
    assert_false(sound_read(&fields, &hen).live);
    omni_table_free(&table);
}

/* ---- rules ---- */

static struct sound begin(const struct sound_facts *facts) {
    struct sound sound = sound_start(&usual, 1, START);
    enum chicken call;
    assert_false(sound_step(&sound, facts, START, &call));
    return sound;
}

static void expect_call(struct sound *sound, const struct sound_facts *facts, uint64_t now,
                        enum chicken expected) {
    enum chicken call = CHICKEN_COUNT;
    assert_true(sound_step(sound, facts, now, &call));
    assert_string_equal(chicken_word(call), chicken_word(expected));
}

static void expect_silence(struct sound *sound, const struct sound_facts *facts, uint64_t now) {
    enum chicken call = CHICKEN_COUNT;
    if (sound_step(sound, facts, now, &call))
        fail_msg("a %s", chicken_word(call));
}

static void test_a_robot_that_stops_gives_one_alarm(void **state) {
    (void)state;
    struct sound sound = begin(&wanders);
    expect_call(&sound, &absent, START + 1, CHICKEN_ALARM);
    for (uint64_t second = 1; second < 100; second++)
        expect_silence(&sound, &absent, START + second * SECOND);
    expect_silence(&sound, &idle, START + 100 * SECOND);
    expect_call(&sound, &absent, START + 101 * SECOND, CHICKEN_ALARM);
}

static void test_one_that_was_found_stopped_gives_none(void **state) {
    (void)state;
    struct sound sound = begin(&absent);
    for (uint64_t second = 1; second < 100; second++)
        expect_silence(&sound, &absent, START + second * SECOND);
}

static void test_an_obstacle_that_appears_gives_one_squawk(void **state) {
    (void)state;
    struct sound sound = begin(&wanders);
    expect_call(&sound, &at_wall, START + 1, CHICKEN_SQUAWK);
    expect_silence(&sound, &at_wall, START + 2);
    expect_silence(&sound, &turns, START + 4 * SECOND);
}

static void test_a_fluttering_obstacle_gives_one_squawk_in_two_seconds(void **state) {
    (void)state;
    struct sound sound = begin(&idle);
    const uint64_t step = SECOND / 100;
    unsigned squawks = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        enum chicken call = CHICKEN_COUNT;
        if (sound_step(&sound, i % 2 != 0 ? &turns : &idle, START + i * step, &call)) {
            assert_int_equal(call, CHICKEN_SQUAWK);
            squawks++;
        }
    }
    assert_int_equal(squawks, 5);
}

static void test_an_obstacle_that_was_there_first_is_no_news(void **state) {
    (void)state;
    struct sound sound = begin(&absent);
    expect_silence(&sound, &turns, START + 1);
    expect_silence(&sound, &turns, START + SECOND);
}

static void test_stopping_at_an_obstacle_is_an_alarm(void **state) {
    (void)state;
    const struct sound_facts stopped_at_wall = {.live = false, .obstacle = true};
    struct sound sound = begin(&idle);
    expect_call(&sound, &stopped_at_wall, START + 1, CHICKEN_ALARM);
    expect_silence(&sound, &stopped_at_wall, START + 2);
}

/* Steps from cluck to cluck; returns the times between. */
static void collect_gaps(uint64_t seed, const struct sound_rules *rules, double gaps[],
                         size_t count) {
    struct sound sound = sound_start(rules, seed, START);
    uint64_t last = START;
    for (size_t i = 0; i < count; i++) {
        uint64_t due = sound.cluck_ns;
        expect_silence(&sound, &wanders, due - 1);
        expect_call(&sound, &wanders, due, CHICKEN_CLUCK);
        gaps[i] = (double)(due - last) / (double)SECOND;
        last = due;
    }
}

static void test_it_clucks_at_random_intervals_within_bounds(void **state) {
    (void)state;
    enum { CLUCKS = 500 };
    double gaps[CLUCKS];
    double least = INFINITY;
    double most = 0;
    double sum = 0;
    collect_gaps(3, &usual, gaps, CLUCKS);
    for (size_t i = 0; i < CLUCKS; i++) {
        least = fmin(least, gaps[i]);
        most = fmax(most, gaps[i]);
        sum += gaps[i];
    }
    assert_true(least >= 5 && least < 5.5);
    assert_true(most <= 20 && most > 19.5);
    assert_float_equal(sum / CLUCKS, 12.5, 1);
}

static void test_the_same_seed_clucks_at_the_same_times(void **state) {
    (void)state;
    double one[20];
    double same[20];
    double other[20];
    collect_gaps(3, &usual, one, 20);
    collect_gaps(3, &usual, same, 20);
    collect_gaps(4, &usual, other, 20);
    assert_memory_equal(one, same, sizeof one);
    assert_memory_not_equal(one, other, sizeof one);
}

static void test_an_interval_of_one_length_is_regular(void **state) {
    (void)state;
    const struct sound_rules regular = {2, 2};
    double gaps[10];
    collect_gaps(1, &regular, gaps, 10);
    for (size_t i = 0; i < 10; i++)
        assert_float_equal(gaps[i], 2, 1e-6);
}

static void test_it_clucks_only_while_it_wanders(void **state) {
    (void)state;
    struct sound sound = begin(&idle);
    for (uint64_t second = 1; second < 200; second++)
        expect_silence(&sound, &idle, START + second * SECOND);
    uint64_t due = sound.cluck_ns;
    expect_silence(&sound, &wanders, START + 199 * SECOND + 1);
    assert_int_equal(sound.cluck_ns, due);
    expect_call(&sound, &wanders, due, CHICKEN_CLUCK);
}

static void test_a_stopped_robot_does_not_cluck(void **state) {
    (void)state;
    const struct sound_facts dead = {.live = false, .wandering = true};
    struct sound sound = begin(&absent);
    for (uint64_t second = 1; second < 200; second++)
        expect_silence(&sound, &dead, START + second * SECOND);
}

static void test_the_graver_call_goes_first(void **state) {
    (void)state;
    struct sound sound = begin(&wanders);
    uint64_t due = sound.cluck_ns;
    expect_call(&sound, &at_wall, due, CHICKEN_SQUAWK);
    assert_true(sound.cluck_ns > due);
    due = sound.cluck_ns;
    expect_call(&sound, &absent, due, CHICKEN_ALARM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_found_by_name_type_and_label),
        cmocka_unit_test(test_one_of_the_fields_is_enough),
        cmocka_unit_test(test_what_only_looks_like_a_robot_is_silent),
        cmocka_unit_test(test_any_payload_can_be_read),
        cmocka_unit_test(test_a_robot_that_stops_gives_one_alarm),
        cmocka_unit_test(test_one_that_was_found_stopped_gives_none),
        cmocka_unit_test(test_an_obstacle_that_appears_gives_one_squawk),
        cmocka_unit_test(test_a_fluttering_obstacle_gives_one_squawk_in_two_seconds),
        cmocka_unit_test(test_an_obstacle_that_was_there_first_is_no_news),
        cmocka_unit_test(test_stopping_at_an_obstacle_is_an_alarm),
        cmocka_unit_test(test_it_clucks_at_random_intervals_within_bounds),
        cmocka_unit_test(test_the_same_seed_clucks_at_the_same_times),
        cmocka_unit_test(test_an_interval_of_one_length_is_regular),
        cmocka_unit_test(test_it_clucks_only_while_it_wanders),
        cmocka_unit_test(test_a_stopped_robot_does_not_cluck),
        cmocka_unit_test(test_the_graver_call_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
