#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <omni/schema.h>

#include "observer/transitions.h"

#define MODES(LABEL) LABEL(WANDER, "wander") LABEL(TURN, "turn \"left\"")
#define ROBOT(FIELD)                                                                               \
    FIELD(number, f64, speed, "mm/s", 0, 1000, "Not watched")                                      \
    FIELD(flag, obstacle, "Watched")                                                               \
    FIELD(number, u8, counter, "", 0, 255, "Not watched")                                          \
    FIELD(choice, mode, MODES, "Watched")                                                          \
    FIELD(flags, lamps, 3, "Watched")                                                              \
    FIELD(choices, modes, 2, MODES, "Watched")                                                     \
    FIELD(text, note, 4, "Not watched")

OMNI_ENUM(mode, MODES)
OMNI_STATUS(robot, ROBOT)

/* Indexes in the table. */
enum { OBSTACLE = 1, MODE = 3, LAMPS = 4, MODES_FIELD = 5 };

#define KEPT     8u
#define SEEN_MAX 64u

struct fixture {
    struct omni_table table;
    struct transitions *transitions;
    struct robot status;
    struct omni_stamp stamp;
    struct event seen[SEEN_MAX];
    size_t seen_count;
};

static int open_fixture(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_int_equal(omni_schema_pack(&fixture->table, robot_schema(), NULL), 0);
    assert_int_equal(transitions_open(&fixture->transitions, &fixture->table, KEPT), 0);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state) {
    struct fixture *fixture = *state;
    transitions_close(fixture->transitions);
    omni_table_free(&fixture->table);
    free(fixture);
    return 0;
}

/* The event that the sink is told of is already stored. */
static void note(void *context, const struct event *event) {
    struct fixture *fixture = context;
    assert_int_equal(transitions_newest(fixture->transitions), event->sequence);
    assert_ptr_equal(transitions_get(fixture->transitions, event->sequence), event);
    assert_true(fixture->seen_count < SEEN_MAX);
    fixture->seen[fixture->seen_count++] = *event;
}

/* Feeds the next tick; returns how many events it gave. */
static size_t feed_of(struct fixture *fixture, uint64_t instance) {
    fixture->stamp.version++;
    fixture->stamp.tick++;
    fixture->stamp.time.monotonic_ns += 10000000;
    fixture->stamp.time.wall_ns = fixture->stamp.time.monotonic_ns + 1000;
    fixture->seen_count = 0;
    transitions_feed(fixture->transitions, instance, &fixture->stamp, &fixture->status, note,
                     fixture);
    return fixture->seen_count;
}

static size_t feed(struct fixture *fixture) {
    return feed_of(fixture, 7);
}

static void set_byte(void *place, unsigned char byte) {
    memcpy(place, &byte, 1);
}

static void assert_event(const struct event *event, uint32_t field, uint32_t element, uint8_t from,
                         uint8_t to) {
    assert_int_equal(event->field, field);
    assert_int_equal(event->element, element);
    assert_int_equal(event->from, from);
    assert_int_equal(event->to, to);
}

static void the_first_tick_gives_none(void **state) {
    struct fixture *fixture = *state;
    fixture->status = (struct robot){.obstacle = true, .mode = TURN, .lamps = {1, 1, 1}};
    assert_int_equal(feed(fixture), 0);
    assert_int_equal(feed(fixture), 0);
    assert_int_equal(transitions_newest(fixture->transitions), 0);
    assert_int_equal(transitions_oldest(fixture->transitions), 0);
    assert_null(transitions_get(fixture->transitions, 0));
    assert_null(transitions_get(fixture->transitions, 1));
}

static void a_change_is_one_event(void **state) {
    struct fixture *fixture = *state;
    feed(fixture);
    fixture->status.mode = TURN;
    assert_int_equal(feed(fixture), 1);
    assert_event(&fixture->seen[0], MODE, 0, WANDER, TURN);
    assert_int_equal(fixture->seen[0].sequence, 1);
    assert_int_equal(fixture->seen[0].instance, 7);
    assert_memory_equal(&fixture->seen[0].stamp, &fixture->stamp, sizeof fixture->stamp);
    assert_int_equal(feed(fixture), 0);
    fixture->status.mode = WANDER;
    assert_int_equal(feed(fixture), 1);
    assert_event(&fixture->seen[0], MODE, 0, TURN, WANDER);
    assert_int_equal(fixture->seen[0].sequence, 2);
}

static void changes_come_in_the_order_of_the_table(void **state) {
    struct fixture *fixture = *state;
    feed(fixture);
    fixture->status = (struct robot){
        .obstacle = true, .mode = TURN, .lamps = {true, false, true}, .modes = {WANDER, TURN}};
    assert_int_equal(feed(fixture), 5);
    assert_event(&fixture->seen[0], OBSTACLE, 0, 0, 1);
    assert_event(&fixture->seen[1], MODE, 0, WANDER, TURN);
    assert_event(&fixture->seen[2], LAMPS, 0, 0, 1);
    assert_event(&fixture->seen[3], LAMPS, 2, 0, 1);
    assert_event(&fixture->seen[4], MODES_FIELD, 1, WANDER, TURN);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fixture->seen[i].sequence, i + 1);
}

static void other_fields_give_none(void **state) {
    struct fixture *fixture = *state;
    feed(fixture);
    fixture->status.speed = 3;
    fixture->status.counter = 1;
    memcpy(fixture->status.note, "abc", 4);
    assert_int_equal(feed(fixture), 0);
}

static void bools_are_zero_or_not(void **state) {
    struct fixture *fixture = *state;
    feed(fixture);
    set_byte(&fixture->status.obstacle, 0x80);
    assert_int_equal(feed(fixture), 1);
    assert_event(&fixture->seen[0], OBSTACLE, 0, 0, 1);
    set_byte(&fixture->status.obstacle, 1);
    assert_int_equal(feed(fixture), 0);
    set_byte(&fixture->status.obstacle, 2);
    assert_int_equal(feed(fixture), 0);
    set_byte(&fixture->status.obstacle, 0);
    assert_int_equal(feed(fixture), 1);
    assert_event(&fixture->seen[0], OBSTACLE, 0, 1, 0);
}

static void another_instance_starts_anew(void **state) {
    struct fixture *fixture = *state;
    feed_of(fixture, 7);
    fixture->status.mode = TURN;
    assert_int_equal(feed_of(fixture, 8), 0);
    fixture->status.mode = WANDER;
    assert_int_equal(feed_of(fixture, 8), 1);
    assert_event(&fixture->seen[0], MODE, 0, TURN, WANDER);
    assert_int_equal(fixture->seen[0].instance, 8);
}

static void the_last_events_are_kept(void **state) {
    struct fixture *fixture = *state;
    const struct transitions *transitions = fixture->transitions;
    feed(fixture);
    for (uint64_t sequence = 1; sequence <= 100; sequence++) {
        fixture->status.obstacle = !fixture->status.obstacle;
        assert_int_equal(feed(fixture), 1);
        assert_int_equal(transitions_newest(transitions), sequence);
        uint64_t oldest = sequence <= KEPT ? 1 : sequence - KEPT + 1;
        assert_int_equal(transitions_oldest(transitions), oldest);
        assert_null(transitions_get(transitions, oldest - 1));
        assert_null(transitions_get(transitions, sequence + 1));
        assert_null(transitions_get(transitions, UINT64_MAX));
        for (uint64_t kept = oldest; kept <= sequence; kept++) {
            const struct event *event = transitions_get(transitions, kept);
            assert_non_null(event);
            assert_int_equal(event->sequence, kept);
            assert_int_equal(event->stamp.tick, kept + 1);
        }
    }
}

/* More events in one tick than are kept: each is told once, the last ones stay. */
static void a_burst_is_told_whole(void **state) {
    (void)state;
    struct omni_field field = {.name = "flags", .type = OMNI_TYPE_bool, .count = 40, .bytes = 40};
    char pool[1] = "";
    struct omni_table table = {&field, pool, 1, sizeof pool, 40, 0};
    struct fixture fixture = {.stamp = {.version = 0}};
    unsigned char flags[40] = {0};
    assert_int_equal(transitions_open(&fixture.transitions, &table, 4), 0);
    transitions_feed(fixture.transitions, 1, &fixture.stamp, flags, note, &fixture);
    memset(flags, 1, sizeof flags);
    transitions_feed(fixture.transitions, 1, &fixture.stamp, flags, note, &fixture);
    assert_int_equal(fixture.seen_count, 40);
    for (uint32_t i = 0; i < 40; i++)
        assert_event(&fixture.seen[i], 0, i, 0, 1);
    assert_int_equal(transitions_oldest(fixture.transitions), 37);
    transitions_close(fixture.transitions);
}

static void nobody_needs_to_listen(void **state) {
    struct fixture *fixture = *state;
    feed(fixture);
    fixture->status.mode = TURN;
    transitions_feed(fixture->transitions, 7, &fixture->stamp, &fixture->status, NULL, NULL);
    assert_int_equal(transitions_newest(fixture->transitions), 1);
}

static void only_powers_of_two_are_kept(void **state) {
    struct fixture *fixture = *state;
    struct transitions *transitions = NULL;
    const size_t wrong[] = {0, 3, 6, 1000};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(transitions_open(&transitions, &fixture->table, wrong[i]), -EINVAL);
    assert_null(transitions);
    assert_int_equal(transitions_open(&transitions, &fixture->table, 1), 0);
    transitions_close(transitions);
    transitions_close(NULL);
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static void assert_encoded(const struct fixture *fixture, const struct event *event,
                           const char *expected) {
    struct text text;
    text_open(&text, 0);
    transitions_encode(&text, "robot", &fixture->table, event);
    text_append(&text, "", 1);
    assert_false(text.failed);
    assert_string_equal(text_bytes(&text), expected);
    cJSON *parsed = cJSON_Parse(text_bytes(&text));
    assert_true(cJSON_IsObject(parsed));
    cJSON_Delete(parsed);
    text_close(&text);
}

static void events_are_messages(void **state) {
    struct event event = {.sequence = 17,
                          .instance = 0x8d3f21c09a77e1b4,
                          .stamp = {.tick = 130, .time = {123456789999, 1790000000000001999}},
                          .field = MODE,
                          .from = WANDER,
                          .to = TURN};
    assert_encoded(*state, &event,
                   "{\"op\":\"event\",\"source\":\"robot\",\"sequence\":17,\"instance\":"
                   "\"8d3f21c09a77e1b4\",\"tick\":130,\"time\":1790000000000001,\"monotonic\":"
                   "123456789,\"field\":\"mode\",\"element\":0,\"from\":\"wander\",\"to\":"
                   "\"turn \\\"left\\\"\"}");
}

static void flags_and_missed_ticks_are_told(void **state) {
    struct event event = {.sequence = 1,
                          .instance = 0xff,
                          .stamp = {.tick = 2, .missed = 5},
                          .field = LAMPS,
                          .element = 2,
                          .from = 1,
                          .to = 0};
    assert_encoded(*state, &event,
                   "{\"op\":\"event\",\"source\":\"robot\",\"sequence\":1,\"instance\":"
                   "\"00000000000000ff\",\"tick\":2,\"time\":0,\"monotonic\":0,\"field\":\"lamps\","
                   "\"element\":2,\"from\":true,\"to\":false,\"missed\":5}");
}

static void values_without_label_are_numbers(void **state) {
    struct event event = {.sequence = 1, .field = MODES_FIELD, .element = 1, .from = 200, .to = 1};
    assert_encoded(*state, &event,
                   "{\"op\":\"event\",\"source\":\"robot\",\"sequence\":1,\"instance\":"
                   "\"0000000000000000\",\"tick\":0,\"time\":0,\"monotonic\":0,\"field\":\"modes\","
                   "\"element\":1,\"from\":200,\"to\":\"turn \\\"left\\\"\"}");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(the_first_tick_gives_none),
        WITH(a_change_is_one_event),
        WITH(changes_come_in_the_order_of_the_table),
        WITH(other_fields_give_none),
        WITH(bools_are_zero_or_not),
        WITH(another_instance_starts_anew),
        WITH(the_last_events_are_kept),
        cmocka_unit_test(a_burst_is_told_whole),
        WITH(nobody_needs_to_listen),
        WITH(only_powers_of_two_are_kept),
        WITH(events_are_messages),
        WITH(flags_and_missed_ticks_are_told),
        WITH(values_without_label_are_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
