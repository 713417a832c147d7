/*
 * exchange.h - for tests: a whole observer's server in this process, and a client that says exactly
 * what it is told to say
 *
 * Everything is real: a publisher's segment in a folder of its own, sources, hub, http and door in
 * one loop, TCP over loopback. Client and server share the thread: whoever waits turns the loop.
 */
#ifndef TESTS_EXCHANGE_H
#define TESTS_EXCHANGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "observer/access.h"
#include "observer/door.h"
#include "observer/http.h"
#include "observer/hub.h"
#include "observer/sources.h"

#define TOKEN     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
#define TICK_MS   2u
#define WAIT_MS   20000u /* for what is sure to come: only a broken program waits so long */
#define HOST      "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"

struct server_options {
    bool token;
    unsigned undecided_max;
    unsigned header_seconds;
    unsigned connections_max;
    unsigned idle_seconds;
};

struct server {
    char directory[32];
    uv_loop_t loop;
    uv_timer_t tick; /* so that a turn of the loop never takes long */
    struct access access;
    struct hub *hub;
    struct sources *sources;
    struct http *http;
    struct door *door;
    in_port_t port;
};

static inline void on_tick(uv_timer_t *timer) {
    (void)timer;
}

static inline void server_turn(struct server *server) {
    (void)uv_run(&server->loop, UV_RUN_ONCE);
}

static inline uint64_t now_ms(void) {
    return uv_hrtime() / 1000000;
}

static inline struct server *server_start(const struct server_options *options) {
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    struct server_options chosen = options ? *options : (struct server_options){0};
    struct omni_problem problem;
    char address[64];
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    (void)signal(SIGPIPE, SIG_IGN);
    strcpy(server->directory, "/tmp/omni-door-XXXXXX");
    assert_non_null(mkdtemp(server->directory));
    assert_int_equal(uv_loop_init(&server->loop), 0);
    assert_int_equal(uv_timer_init(&server->loop, &server->tick), 0);
    assert_int_equal(uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS), 0);
    access_open(&server->access, NULL, 8080);
    if (chosen.token)
        strcpy(server->access.token, TOKEN);
    assert_int_equal(hub_open(&server->hub, &server->loop,
                              &(struct hub_options){.clients_max = 100,
                                                    .message_bytes_max = 4096,
                                                    .backlog_bytes_max = 65536,
                                                    .blocked_seconds = 10,
                                                    .handshake_seconds = 5,
                                                    .ping_seconds = 5},
                              &server->access),
                     0);
    struct sources_listener listener = hub_listener(server->hub);
    assert_int_equal(sources_open(&server->sources, &server->loop,
                                  &(struct sources_options){.directory = server->directory,
                                                            .history_bytes = 8u << 20},
                                  &listener),
                     0);
    hub_attach(server->hub, server->sources);
    struct http_options http = {
        .connections_max = chosen.connections_max ? chosen.connections_max : 64,
        .header_seconds = chosen.header_seconds ? chosen.header_seconds : 10,
        .idle_seconds = chosen.idle_seconds ? chosen.idle_seconds : 15};
    assert_int_equal(http_open(&server->http, &server->loop, &http, server->sources, server->hub,
                               &server->access),
                     0);
    struct door_options door = {.listen = listen,
                                .undecided_max = chosen.undecided_max ? chosen.undecided_max : 64,
                                .header_seconds =
                                    chosen.header_seconds ? chosen.header_seconds : 10};
    assert_int_equal(door_listen(&server->door, &door, &problem), 0);
    assert_int_equal(door_open(server->door, &server->loop, server->http, server->hub), 0);
    assert_true(door_address(server->door, 0, address, sizeof address));
    server->port = (in_port_t)atoi(strrchr(address, ':') + 1);
    return server;
}

static inline void server_stop(struct server *server) {
    char command[64];
    door_close(server->door);
    http_close(server->http);
    hub_close(server->hub);
    sources_close(server->sources);
    uv_close((uv_handle_t *)&server->tick, NULL);
    assert_int_equal(uv_run(&server->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&server->loop), 0);
    (void)snprintf(command, sizeof command, "rm -rf %s", server->directory);
    assert_int_equal(system(command), 0);
    free(server);
}

/* ---- The client ---- */

static inline int client_connect_with(const struct server *server, int receive_bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    if (receive_bytes)
        assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(int)), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(client, F_SETFL, O_NONBLOCK), 0);
    return client;
}

static inline int client_connect(const struct server *server) {
    return client_connect_with(server, 0);
}

static inline void client_say_bytes(int client, const char *bytes, size_t count) {
    assert_int_equal(send(client, bytes, count, MSG_NOSIGNAL), count);
}

static inline void client_say(int client, const char *text) {
    client_say_bytes(client, text, strlen(text));
}

/* What came back. `text` is its whole, NUL-terminated; free it with reply_free(). */
struct reply {
    char *text;
    size_t bytes;
    int status; /* 0: none */
    char *body; /* in `text` */
    size_t body_bytes;
    bool ended; /* the server closed; else `enough` was reached */
    bool reset;
};

static inline void reply_free(struct reply *reply) {
    free(reply->text);
    *reply = (struct reply){0};
}

static inline void reply_parse(struct reply *reply) {
    reply->status = 0;
    if (reply->bytes > 12 && strncmp(reply->text, "HTTP/1.", 7) == 0)
        reply->status = atoi(reply->text + 9);
    char *end = strstr(reply->text, "\r\n\r\n");
    reply->body = end ? end + 4 : reply->text + reply->bytes;
    reply->body_bytes = reply->bytes - (size_t)(reply->body - reply->text);
}

/* Takes what is there. False at the end of the connection. */
static inline bool reply_receive(struct reply *reply, int client) {
    reply->text = realloc(reply->text, reply->bytes + 65536 + 1);
    assert_non_null(reply->text);
    ssize_t got = recv(client, reply->text + reply->bytes, 65536, MSG_DONTWAIT);
    bool again = got < 0 && errno == EAGAIN;
    reply->reset = got < 0 && !again;
    reply->bytes += got > 0 ? (size_t)got : 0;
    reply->text[reply->bytes] = '\0';
    return got > 0 || again;
}

static inline bool reply_is_drained(int client) {
    char byte;
    return recv(client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* Reads until the server closes or `enough` (may be NULL) was received. */
static inline struct reply client_hear(struct server *server, int client, const char *enough) {
    struct reply reply = {0};
    uint64_t deadline = now_ms() + WAIT_MS;
    do {
        server_turn(server);
        reply.ended = !reply_receive(&reply, client);
        assert_true(now_ms() < deadline);
    } while (!reply.ended && !(enough && memmem(reply.text, reply.bytes, enough, strlen(enough))));
    reply_parse(&reply);
    return reply;
}

/* One request on a connection of its own. */
static inline struct reply exchange(struct server *server, const char *request) {
    int client = client_connect(server);
    client_say(client, request);
    struct reply reply = client_hear(server, client, NULL);
    close(client);
    return reply;
}

/* The value of a header, in a buffer that the next call overwrites; "" where there is none. */
static inline const char *header_in(const struct reply *reply, const char *name) {
    static char value[1024];
    size_t length = strlen(name);
    value[0] = '\0';
    for (const char *line = reply->text; line && line < reply->body; line = strstr(line, "\r\n")) {
        line += line == reply->text ? 0 : 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        line += length + 1 + strspn(line + length + 1, " ");
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
    }
    return value;
}

static inline void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

#endif
