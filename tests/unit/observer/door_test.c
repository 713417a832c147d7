/* The door with a whole server behind it: who gets which connection, and what it takes from those
 * that only stand in it. */
#include "exchange.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"                    \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define ACCEPTED "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* RFC 6455's example for this key */

static int start(void **state) {
    *state = server_start(NULL);
    return 0;
}

static int start_impatient(void **state) {
    *state = server_start(&(struct server_options){.header_seconds = 1, .undecided_max = 3});
    return 0;
}

static int stop(void **state) {
    server_stop(*state);
    return 0;
}

static void first_bytes_decide(void **state) {
    static const struct {
        const char *bytes;
        enum door_way way;
    } cases[] = {
        {"", DOOR_UNDECIDED},        {"G", DOOR_UNDECIDED},   {"GET /w", DOOR_UNDECIDED},
        {"GET /ws", DOOR_UNDECIDED}, {"GET /ws ", DOOR_HUB},  {"GET /ws?", DOOR_HUB},
        {"GET /wss", DOOR_HTTP},     {"GET /ws/", DOOR_HTTP}, {"GET /ws\r", DOOR_HTTP},
        {"GET / HT", DOOR_HTTP},     {"P", DOOR_HTTP},        {"get /ws ", DOOR_HTTP},
        {"GET  ", DOOR_HTTP},        {"\r", DOOR_HTTP},       {"\x16\x03\x01", DOOR_HTTP},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("\"%s\"\n", cases[i].bytes);
        assert_int_equal(door_decide(cases[i].bytes, strlen(cases[i].bytes)), cases[i].way);
    }
}

static void loopback_addresses_are_known(void **state) {
    static const struct {
        const char *listen;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:8080", true},       {"127.9.9.9:1", true},          {"localhost:0", true},
        {"[::1]:8080", true},           {"[::ffff:127.0.0.1]:1", true}, {"0.0.0.0:8080", false},
        {"[::]:8080", false},           {"192.168.1.1:80", false},      {"128.0.0.1:80", false},
        {"[::ffff:10.0.0.1]:1", false}, {"[fe80::1]:1", false},         {"nonsense", false},
        {"127.0.0.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].listen);
        assert_int_equal(door_is_loopback(cases[i].listen), cases[i].loopback);
    }
}

static int listen_at(const char *address, struct door **door, struct omni_problem *problem) {
    const char *const listen[] = {address, NULL};
    return door_listen(door, &(struct door_options){.listen = listen}, problem);
}

static void wrong_addresses_are_explained(void **state) {
    static const char *const cases[] = {
        "",
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:8080",
        "[::1]",
        "[::1]8080",
        "[::1]:",
        "[]:80",
        "[127.0.0.1]:80",
        "robot.example:80",
        "1.2.3:80 ",
        "127.0.0.1:80:80",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_problem problem = {.text = ""};
        struct door *door = NULL;
        print_message("\"%s\"\n", cases[i]);
        assert_int_equal(listen_at(cases[i], &door, &problem), -EINVAL);
        assert_null(door);
        assert_contains(problem.text, cases[i]);
        assert_contains(problem.text, "[::1]:8080");
    }
}

static void addresses_that_others_reach_are_told(void **state) {
    const struct {
        const char *const *listen;
        const char *open; /* how it begins; NULL: none */
    } cases[] = {
        {(const char *const[]){"127.0.0.1:0", NULL}, NULL},
        {(const char *const[]){"localhost:0", "127.0.0.2:0", NULL}, NULL},
        {(const char *const[]){"127.0.0.1:0", "0.0.0.0:0", NULL}, "0.0.0.0:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_problem problem = {.text = ""};
        struct door *door = NULL;
        char text[64] = "";
        struct door_options options = {.listen = cases[i].listen};
        assert_int_equal(door_listen(&door, &options, &problem), 0);
        assert_int_equal(door_open_address(door, text, sizeof text), cases[i].open != NULL);
        if (cases[i].open != NULL)
            assert_contains(text, cases[i].open);
        door_close(door);
    }
}

/* Numbers that nothing else in this process has. */
enum { HANDED_OVER = 700 };

static void hand_over_at(int number, int family, int type, bool listens) {
    int made = socket(family, type, 0);
    assert_true(made >= 0);
    if (listens)
        assert_int_equal(listen(made, 5), 0); /* the kernel chooses address and port */
    assert_int_equal(dup2(made, number), number);
    (void)close(made);
}

static void a_socket_that_listens_already_is_taken(void **state) {
    static const char *const ignored[] = {"127.0.0.1:nonsense", NULL};
    struct door_options options = {
        .listen = ignored, .inherited = HANDED_OVER, .inherited_count = 2};
    struct omni_problem problem = {.text = ""};
    struct door *door = NULL;
    char text[64];
    (void)state;
    hand_over_at(HANDED_OVER, AF_INET, SOCK_STREAM, true);
    hand_over_at(HANDED_OVER + 1, AF_INET, SOCK_STREAM, true);
    assert_int_equal(door_listen(&door, &options, &problem), 0);
    assert_true(door_address(door, 1, text, sizeof text));
    assert_contains(text, "0.0.0.0:");
    assert_false(door_address(door, 2, text, sizeof text));
    assert_true(door_open_address(door, text, sizeof text));
    assert_true(fcntl(HANDED_OVER, F_GETFL) & O_NONBLOCK);
    door_close(door);
    assert_int_equal(fcntl(HANDED_OVER, F_GETFD), -1);
    assert_int_equal(fcntl(HANDED_OVER + 1, F_GETFD), -1);
}

static void what_is_no_listening_tcp_socket_is_refused(void **state) {
    static const struct {
        int family;
        int type;
        bool listens;
    } cases[] = {
        {AF_INET, SOCK_STREAM, false},
        {AF_INET, SOCK_DGRAM, false},
        {AF_UNIX, SOCK_STREAM, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct door_options options = {.inherited = HANDED_OVER, .inherited_count = 3};
        struct omni_problem problem = {.text = ""};
        struct door *door = NULL;
        hand_over_at(HANDED_OVER, AF_INET, SOCK_STREAM, true);
        hand_over_at(HANDED_OVER + 1, cases[i].family, cases[i].type, cases[i].listens);
        hand_over_at(HANDED_OVER + 2, AF_INET, SOCK_STREAM, true);
        assert_int_equal(door_listen(&door, &options, &problem), -EPROTOTYPE);
        assert_null(door);
        assert_contains(problem.text, "descriptor 701");
        assert_contains(problem.text, "ListenStream=");
        for (int k = 0; k < 3; k++)
            assert_int_equal(fcntl(HANDED_OVER + k, F_GETFD), -1);
    }
}

static void a_port_in_use_is_explained(void **state) {
    struct server *server = *state;
    struct omni_problem problem = {.text = ""};
    struct door *door = NULL;
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", server->port);
    assert_int_equal(listen_at(address, &door, &problem), -EADDRINUSE);
    assert_null(door);
    assert_contains(problem.text, address);
    assert_contains(problem.text, "--listen");
}

static void an_address_of_another_machine_is_explained(void **state) {
    struct omni_problem problem = {.text = ""};
    struct door *door = NULL;
    (void)state;
    assert_int_equal(listen_at("192.0.2.1:0", &door, &problem), -EADDRNOTAVAIL);
    assert_null(door);
    assert_contains(problem.text, "192.0.2.1:0");
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void one_bad_address_leaves_nothing_open(void **state) {
    static const char *const listen[] = {"127.0.0.1:0", "127.0.0.1:0", "nonsense", NULL};
    struct omni_problem problem;
    struct door *door = NULL;
    unsigned before = open_descriptors();
    (void)state;
    assert_int_equal(door_listen(&door, &(struct door_options){.listen = listen}, &problem),
                     -EINVAL);
    assert_null(door);
    assert_int_equal(open_descriptors(), before);
}

static void addresses_tell_the_port_that_was_taken(void **state) {
    static const char *const listen[] = {"127.0.0.1:0", "[::1]:0", NULL};
    struct omni_problem problem;
    struct door *door;
    char text[64];
    (void)state;
    assert_int_equal(door_listen(&door, &(struct door_options){.listen = listen}, &problem), 0);
    assert_true(door_address(door, 0, text, sizeof text));
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    assert_int_not_equal(atoi(text + 10), 0);
    assert_true(door_address(door, 1, text, sizeof text));
    assert_int_equal(strncmp(text, "[::1]:", 6), 0);
    assert_int_not_equal(atoi(text + 6), 0);
    assert_false(door_address(door, 2, text, sizeof text));
    door_close(door);
}

static void both_kinds_of_request_are_answered_on_one_port(void **state) {
    struct server *server = *state;
    struct reply page = exchange(server, GET("/healthz"));
    assert_int_equal(page.status, 200);
    int client = client_connect(server);
    client_say(client, UPGRADE);
    struct reply upgrade = client_hear(server, client, "\"op\":\"hello\"");
    assert_int_equal(upgrade.status, 101);
    assert_false(upgrade.ended);
    assert_string_equal(header_in(&upgrade, "Sec-WebSocket-Accept"), ACCEPTED);
    close(client);
    reply_free(&page);
    reply_free(&upgrade);
}

/* The same, one byte at a time, with turns of the loop between them. */
static void drip(struct server *server, int client, const char *text) {
    for (; *text; text++) {
        client_say_bytes(client, text, 1);
        server_turn(server);
        server_turn(server);
    }
}

static void a_request_may_come_byte_by_byte(void **state) {
    struct server *server = *state;
    int client = client_connect(server);
    drip(server, client, GET("/healthz"));
    struct reply page = client_hear(server, client, NULL);
    assert_int_equal(page.status, 200);
    close(client);
    client = client_connect(server);
    drip(server, client, UPGRADE);
    struct reply upgrade = client_hear(server, client, "\"op\":\"hello\"");
    assert_int_equal(upgrade.status, 101);
    assert_false(upgrade.ended);
    close(client);
    reply_free(&page);
    reply_free(&upgrade);
}

static void the_hub_answers_what_is_not_an_upgrade(void **state) {
    struct reply plain = exchange(*state, GET("/ws"));
    struct reply query = exchange(*state, GET("/ws?x=1"));
    assert_int_equal(plain.status, 426);
    assert_int_equal(query.status, 426);
    reply_free(&plain);
    reply_free(&query);
}

static void paths_that_only_begin_like_the_hubs_are_http(void **state) {
    struct reply longer = exchange(*state, GET("/wss"));
    struct reply below = exchange(*state, GET("/ws/x"));
    assert_int_equal(longer.status, 404);
    assert_int_equal(below.status, 404);
    reply_free(&longer);
    reply_free(&below);
}

/* A client stands in the door with half a word for a good while: the loop must sleep all that time.
 * Its own tick turns it every 2 ms; a level-triggered watch without a low-water mark would turn it
 * many thousand times. */
static void half_a_word_does_not_keep_the_loop_awake(void **state) {
    struct server *server = *state;
    unsigned turns = 0;
    int client = client_connect(server);
    client_say(client, "GET /w");
    for (unsigned i = 0; i < 20; i++)
        server_turn(server);
    uint64_t start_ms = now_ms();
    uint64_t end = start_ms + 400;
    for (; now_ms() < end; turns++)
        server_turn(server);
    uint64_t ticks = (now_ms() - start_ms) / TICK_MS + 1;
    assert_in_range(turns, 1, 10 * ticks); /* libmicrohttpd has turns of its own */
    client_say(client, "s HTTP/1.1\r\n" HOST "\r\n");
    struct reply reply = client_hear(server, client, "\r\n\r\n");
    assert_int_equal(reply.status, 426);
    close(client);
    reply_free(&reply);
}

static void silence_and_half_a_word_end_at_the_header_time(void **state) {
    struct server *server = *state;
    int silent = client_connect(server);
    int half = client_connect(server);
    client_say(half, "GET /w");
    struct reply reply = client_hear(server, silent, NULL);
    assert_true(reply.ended);
    assert_int_equal(reply.bytes, 0);
    reply_free(&reply);
    reply = client_hear(server, half, NULL);
    assert_true(reply.ended);
    assert_int_equal(reply.bytes, 0);
    reply_free(&reply);
    close(silent);
    close(half);
}

static void who_leaves_undecided_is_let_go_at_once(void **state) {
    struct server *server = *state;
    const char *words[] = {"", "GET /w"};
    for (size_t i = 0; i < 2; i++) {
        unsigned before = open_descriptors();
        int client = client_connect(server);
        client_say(client, words[i]);
        for (unsigned turn = 0; turn < 20; turn++)
            server_turn(server);
        assert_int_equal(open_descriptors(), before + 2);
        assert_int_equal(shutdown(client, SHUT_WR), 0);
        /* Long before the header time, which would end it too. */
        for (unsigned turn = 0; turn < 20; turn++)
            server_turn(server);
        assert_int_equal(open_descriptors(), before + 1);
        close(client);
    }
}

static void the_oldest_makes_room(void **state) {
    struct server *server = *state;
    int clients[4];
    for (size_t i = 0; i < 4; i++) {
        clients[i] = client_connect(server);
        server_turn(server);
        server_turn(server);
    }
    struct reply first = client_hear(server, clients[0], NULL);
    assert_true(first.ended);
    for (size_t i = 1; i < 4; i++) {
        client_say(clients[i], GET("/healthz"));
        struct reply reply = client_hear(server, clients[i], NULL);
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
    }
    for (size_t i = 0; i < 4; i++)
        close(clients[i]);
    reply_free(&first);
}

static void ten_thousand_in_a_row_leave_nothing_behind(void **state) {
    struct server *server = *state;
    static const char *const words[] = {"", "G", "GET /ws", "GET / HTTP/1.1\r\n", GET("/healthz")};
    struct reply before = exchange(server, GET("/healthz"));
    unsigned descriptors = open_descriptors();
    for (unsigned i = 0; i < 10000; i++) {
        int client = client_connect(server);
        client_say(client, words[i % 5]);
        (void)uv_run(&server->loop, UV_RUN_NOWAIT);
        close(client);
    }
    for (uint64_t deadline = now_ms() + WAIT_MS;
         open_descriptors() != descriptors && now_ms() < deadline;)
        server_turn(server);
    assert_int_equal(open_descriptors(), descriptors);
    struct reply after = exchange(server, GET("/healthz"));
    assert_int_equal(after.status, 200);
    reply_free(&before);
    reply_free(&after);
}

/* The client's sockets are made first; then no descriptor is left for the server's half. */
static void out_of_descriptors_it_rests_and_comes_back(void **state) {
    struct server *server = *state;
    struct rlimit limit;
    struct rlimit none;
    unsigned turns = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int client = client_connect(server);
    none = limit;
    none.rlim_cur = (rlim_t)client + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    uint64_t start_ms = now_ms();
    for (uint64_t end = start_ms + 400; now_ms() < end; turns++)
        server_turn(server);
    uint64_t ticks = (now_ms() - start_ms) / TICK_MS + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_in_range(turns, 1, 10 * ticks); /* libmicrohttpd has turns of its own */
    client_say(client, GET("/healthz"));
    struct reply reply = client_hear(server, client, NULL);
    assert_int_equal(reply.status, 200);
    close(client);
    reply_free(&reply);
}

static void closing_turns_visitors_away(void **state) {
    struct server *server = server_start(NULL);
    int client = client_connect(server);
    (void)state;
    client_say(client, "GET ");
    for (unsigned i = 0; i < 20; i++)
        server_turn(server);
    server_stop(server);
    char byte;
    assert_true(recv(client, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
    close(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_others_reach_are_told),
        cmocka_unit_test(a_socket_that_listens_already_is_taken),
        cmocka_unit_test(what_is_no_listening_tcp_socket_is_refused),
        cmocka_unit_test(first_bytes_decide),
        cmocka_unit_test(loopback_addresses_are_known),
        cmocka_unit_test(wrong_addresses_are_explained),
        cmocka_unit_test(an_address_of_another_machine_is_explained),
        cmocka_unit_test(one_bad_address_leaves_nothing_open),
        cmocka_unit_test(addresses_tell_the_port_that_was_taken),
        cmocka_unit_test(closing_turns_visitors_away),
        cmocka_unit_test_setup_teardown(a_port_in_use_is_explained, start, stop),
        cmocka_unit_test_setup_teardown(both_kinds_of_request_are_answered_on_one_port, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_request_may_come_byte_by_byte, start, stop),
        cmocka_unit_test_setup_teardown(the_hub_answers_what_is_not_an_upgrade, start, stop),
        cmocka_unit_test_setup_teardown(paths_that_only_begin_like_the_hubs_are_http, start, stop),
        cmocka_unit_test_setup_teardown(half_a_word_does_not_keep_the_loop_awake, start, stop),
        cmocka_unit_test_setup_teardown(silence_and_half_a_word_end_at_the_header_time,
                                        start_impatient, stop),
        cmocka_unit_test_setup_teardown(who_leaves_undecided_is_let_go_at_once, start, stop),
        cmocka_unit_test_setup_teardown(the_oldest_makes_room, start_impatient, stop),
        cmocka_unit_test_setup_teardown(ten_thousand_in_a_row_leave_nothing_behind, start, stop),
        cmocka_unit_test_setup_teardown(out_of_descriptors_it_rests_and_comes_back, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
