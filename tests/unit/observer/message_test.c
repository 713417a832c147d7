#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observer/message.h"

static struct message parse(const char *text) {
    struct message message;
    struct message_error error = {0};
    if (message_parse(&message, &error, text, strlen(text)) < 0)
        fail_msg("%s: refused: %s: %s", text, error.code, error.text);
    return message;
}

static void assert_refused(const char *text, size_t length, const char *code) {
    struct message message, before;
    struct message_error error = {"", ""};
    memset(&message, 0x5a, sizeof message);
    before = message;
    /* A copy of exactly that size: reading past the end is seen by the address sanitizer. */
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    assert_true(message_parse(&message, &error, copy, length) < 0);
    free(copy);
    assert_string_equal(error.code, code);
    assert_true(strlen(error.text) > 0);
    assert_memory_equal(&message, &before, sizeof message);
}

static void refuse(const char *text, const char *code) {
    assert_refused(text, strlen(text), code);
}

static void test_subscribe_with_defaults(void **state) {
    (void)state;
    struct message message = parse("{\"op\":\"subscribe\",\"source\":\"robot\"}");
    assert_int_equal(message.op, MESSAGE_subscribe);
    assert_string_equal(message.source, "robot");
    assert_int_equal(message.mode, CHANNEL_LATEST);
    assert_int_equal(message.rate, 60);
    assert_false(message.has_events_after);
    assert_true(message.history_seconds == 0);
}

static void test_subscribe_with_everything(void **state) {
    (void)state;
    struct message message =
        parse(" {\"mode\":\"every\", \"rate\":1000, \"op\":\"subscribe\", \"source\":\"a.b-c_d\","
              "\"events_after\":9007199254740991, \"history\":2.5, \"later\":{\"x\":[1]}} \n");
    assert_string_equal(message.source, "a.b-c_d");
    assert_int_equal(message.mode, CHANNEL_EVERY);
    assert_int_equal(message.rate, 1000);
    assert_true(message.has_events_after);
    assert_int_equal(message.events_after, 9007199254740991);
    assert_true(message.history_seconds == 2.5);
}

static void test_unsubscribe(void **state) {
    (void)state;
    struct message message = parse("{\"op\":\"unsubscribe\",\"source\":\"robot\"}");
    assert_int_equal(message.op, MESSAGE_unsubscribe);
    assert_string_equal(message.source, "robot");
}

static void test_sound(void **state) {
    (void)state;
    struct message message = parse("{\"op\":\"sound\",\"on\":true}");
    assert_int_equal(message.op, MESSAGE_sound);
    assert_true(message.on);
    assert_false(parse("{\"on\":false,\"op\":\"sound\",\"loud\":1}").on);
    refuse("{\"op\":\"sound\"}", MESSAGE_BAD_MESSAGE);
    refuse("{\"op\":\"sound\",\"on\":1}", MESSAGE_BAD_VALUE);
    refuse("{\"op\":\"sound\",\"on\":\"true\"}", MESSAGE_BAD_VALUE);
    refuse("{\"op\":\"sound\",\"on\":null}", MESSAGE_BAD_VALUE);
}

static void test_ping(void **state) {
    (void)state;
    struct message message = parse("{\"op\":\"ping\",\"id\":-1.5}");
    assert_int_equal(message.op, MESSAGE_ping);
    assert_true(message.has_id);
    assert_true(message.id == -1.5);
    assert_false(parse("{\"op\":\"ping\"}").has_id);
}

static void test_not_json(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{\"op\":",
                                        "hello",
                                        "{\"op\":\"ping\"} {}",
                                        "{\"op\":\"ping\"}x",
                                        "'a'",
                                        "{op:\"ping\"}",
                                        "\"",
                                        "{\"op\":\"ping\",}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refuse(texts[i], MESSAGE_BAD_JSON);
    assert_refused("{\"op\":\"ping\"}\0", 14, MESSAGE_BAD_JSON);
    char deep[4000];
    memset(deep, '[', sizeof deep);
    assert_refused(deep, sizeof deep, MESSAGE_BAD_JSON);
}

static void test_not_a_message(void **state) {
    (void)state;
    static const char *const texts[] = {"{}",
                                        "[]",
                                        "1",
                                        "null",
                                        "\"subscribe\"",
                                        "{\"op\":1}",
                                        "{\"op\":null}",
                                        "{\"OP\":\"ping\"}",
                                        "[{\"op\":\"ping\"}]",
                                        "{\"op\":\"subscribe\"}",
                                        "{\"op\":\"unsubscribe\"}",
                                        "{\"op\":\"ping\\u0000x\"}",
                                        "{\"op\":\"sound\",\"on\\u0000\":true}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refuse(texts[i], MESSAGE_BAD_MESSAGE);
}

static void test_unknown_op(void **state) {
    (void)state;
    refuse("{\"op\":\"drive\",\"power\":100}", MESSAGE_UNKNOWN_OP);
    refuse("{\"op\":\"\"}", MESSAGE_UNKNOWN_OP);
    refuse("{\"op\":\"ping\\\\u0000\"}", MESSAGE_UNKNOWN_OP);
    refuse("{\"op\":\"Subscribe\",\"source\":\"robot\"}", MESSAGE_UNKNOWN_OP);
}

static void test_wrong_values(void **state) {
    (void)state;
    static const char *const members[] = {"\"source\":1",
                                          "\"source\":null",
                                          "\"source\":[\"robot\"]",
                                          "\"mode\":\"newest\"",
                                          "\"mode\":1",
                                          "\"rate\":0",
                                          "\"rate\":1001",
                                          "\"rate\":-1",
                                          "\"rate\":1.5",
                                          "\"rate\":\"60\"",
                                          "\"rate\":true",
                                          "\"rate\":1e400",
                                          "\"events_after\":-1",
                                          "\"events_after\":0.5",
                                          "\"events_after\":\"1\"",
                                          "\"events_after\":1e16",
                                          "\"history\":0",
                                          "\"history\":-1",
                                          "\"history\":86401",
                                          "\"history\":\"all\"",
                                          "\"history\":null",
                                          "\"history\":1e999",
                                          "\"mode\":\"latest\",\"history\":1"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char text[200];
        const char *source = strstr(members[i], "source") != NULL ? "" : "\"source\":\"robot\",";
        const char *mode = strstr(members[i], "mode") != NULL ? "" : "\"mode\":\"every\",";
        snprintf(text, sizeof text, "{\"op\":\"subscribe\",%s%s%s}", source, mode, members[i]);
        refuse(text, MESSAGE_BAD_VALUE);
    }
    refuse("{\"op\":\"ping\",\"id\":\"5\"}", MESSAGE_BAD_VALUE);
    refuse("{\"op\":\"ping\",\"id\":1e999}", MESSAGE_BAD_VALUE);
}

static void test_name_too_long(void **state) {
    (void)state;
    char name[49] = "";
    char text[300];
    memset(name, 'x', 47);
    snprintf(text, sizeof text, "{\"op\":\"subscribe\",\"source\":\"%s\"}", name);
    assert_string_equal(parse(text).source, name);
    memset(name, 'x', 48);
    snprintf(text, sizeof text, "{\"op\":\"subscribe\",\"source\":\"%s\"}", name);
    refuse(text, MESSAGE_UNKNOWN_SOURCE);
}

/* Every beginning of a message is refused, and none is read past its end. */
static void test_cut_short(void **state) {
    (void)state;
    const char *whole = "{\"op\":\"subscribe\",\"source\":\"r\\u00f6b\",\"rate\":25,\"history\":1}";
    for (size_t length = 0; length < strlen(whole); length++)
        assert_refused(whole, length, MESSAGE_BAD_JSON);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribe_with_defaults),
        cmocka_unit_test(test_subscribe_with_everything),
        cmocka_unit_test(test_unsubscribe),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_not_a_message),
        cmocka_unit_test(test_unknown_op),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_name_too_long),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
