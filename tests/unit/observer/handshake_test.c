#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "observer/handshake.h"

static const struct access open_house = {.cookie_name = "omniscient-8080", .host_name = "pi"};

static struct handshake good(void) {
    return (struct handshake){.upgrade = "websocket",
                              .connection = "Upgrade",
                              .version = "13",
                              .key = "dGhlIHNhbXBsZSBub25jZQ==",
                              .access = {.host = "127.0.0.1:8080"}};
}

static unsigned status_of(const struct handshake *handshake, const struct access *access) {
    struct handshake_answer answer = handshake_judge(handshake, access);
    assert_non_null(answer.reason);
    assert_non_null(answer.headers);
    if (answer.status != 101)
        assert_true(strlen(answer.text) > 0);
    return answer.status;
}

static void test_what_browsers_send(void **state) {
    (void)state;
    struct handshake handshake = good();
    assert_int_equal(status_of(&handshake, &open_house), 101);
    handshake.upgrade = "WebSocket";
    handshake.connection = "keep-alive, Upgrade";
    handshake.protocols = "omniscient.v1";
    handshake.access.origin = "http://127.0.0.1:8080";
    assert_int_equal(status_of(&handshake, &open_house), 101);
    handshake.protocols = "omniscient.v2 , omniscient.v1";
    assert_int_equal(status_of(&handshake, &open_house), 101);
}

static void test_no_upgrade(void **state) {
    (void)state;
    struct handshake handshake = good();
    handshake.upgrade = NULL;
    assert_int_equal(status_of(&handshake, &open_house), 426);
    handshake.upgrade = "h2c";
    assert_int_equal(status_of(&handshake, &open_house), 426);
    /* What libwebsockets makes of two Upgrade headers; by itself it obeys the first. */
    handshake.upgrade = "h2c,websocket";
    assert_int_equal(status_of(&handshake, &open_house), 426);
    handshake.upgrade = "websocket,h2c";
    assert_int_equal(status_of(&handshake, &open_house), 426);
    handshake = good();
    handshake.version = "8";
    assert_int_equal(status_of(&handshake, &open_house), 426);
    handshake.version = NULL;
    assert_int_equal(status_of(&handshake, &open_house), 426);
    assert_non_null(
        strstr(handshake_judge(&handshake, &open_house).headers, "Sec-WebSocket-Version: 13\r\n"));
}

static void test_bad_requests(void **state) {
    (void)state;
    struct handshake handshake = good();
    handshake.connection = "keep-alive";
    assert_int_equal(status_of(&handshake, &open_house), 400);
    handshake.connection = NULL;
    assert_int_equal(status_of(&handshake, &open_house), 400);
    handshake = good();
    handshake.key = NULL;
    assert_int_equal(status_of(&handshake, &open_house), 400);
    handshake = good();
    handshake.protocols = "mqtt, omniscient.v10";
    assert_int_equal(status_of(&handshake, &open_house), 400);
}

static void test_access(void **state) {
    (void)state;
    struct access guarded = open_house;
    struct handshake handshake = good();
    handshake.access.host = "evil.example";
    assert_int_equal(status_of(&handshake, &open_house), 421);
    handshake = good();
    handshake.access.has_two_hosts = true;
    assert_int_equal(status_of(&handshake, &open_house), 400);
    handshake = good();
    handshake.access.origin = "http://evil.example";
    assert_int_equal(status_of(&handshake, &open_house), 403);
    handshake.access.origin = "";
    assert_int_equal(status_of(&handshake, &open_house), 403);
    memset(guarded.token, 'x', ACCESS_TOKEN_BYTES - 1);
    handshake = good();
    assert_int_equal(status_of(&handshake, &guarded), 401);
    handshake.access.authorization = "Bearer xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    assert_int_equal(status_of(&handshake, &guarded), 101);
}

static void test_full_house(void **state) {
    (void)state;
    struct handshake handshake = good();
    handshake.is_full = true;
    assert_int_equal(status_of(&handshake, &open_house), 503);
    handshake.access.host = "evil.example";
    assert_int_equal(status_of(&handshake, &open_house), 421);
}

static void test_lists(void **state) {
    (void)state;
    static const struct {
        const char *list;
        const char *word;
        bool any_case;
        bool has;
    } cases[] = {
        {NULL, "a", true, false},       {"", "a", true, false},    {"a", "a", false, true},
        {"A", "a", false, false},       {"A", "a", true, true},    {"b,a", "a", false, true},
        {" b ,\ta ", "a", false, true}, {"ab", "a", false, false}, {"a b", "a", false, false},
        {",,a", "a", false, true},      {",", "a", false, false},  {"aa,ab,ba", "a", false, false},
        {"b , , c", "c", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (handshake_list_has(cases[i].list, cases[i].word, cases[i].any_case) != cases[i].has)
            fail_msg("\"%s\" and \"%s\": not %d", cases[i].list, cases[i].word, cases[i].has);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_browsers_send), cmocka_unit_test(test_no_upgrade),
        cmocka_unit_test(test_bad_requests),       cmocka_unit_test(test_access),
        cmocka_unit_test(test_full_house),         cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
