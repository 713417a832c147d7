/*
 * bare_server - the least that a server can do: what fan-out is compared with
 *
 * One epoll loop. Whoever connects is told that its upgrade is accepted, without a look at what it
 * asked for; then, at a fixed rate, one prepared WebSocket frame is written to each client with
 * send(). Nothing is encoded, no subscription kept, no slow client noticed: what does not fit is
 * left out.
 *
 * On the wire it is like the observer, else TCP would treat the two differently (README.md): sockets
 * are tuned by the same function, and a message as long as a hello comes first.
 *
 *     bare_server BYTES HZ      prints the port on 127.0.0.1 that it listens on
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "observer/stream.h"
#include "parts/process.h"

enum {
    CLIENTS_MAX = 10000,
    FRAME_BYTES_MAX = 65536,
    HELLO_BYTES = 4096,
    EVENTS_AT_A_TIME = 64,
    BACKLOG = 1024
};

struct server {
    int epoll;
    int listener;
    int timer;
    size_t client_count;
    size_t frame_bytes;
    int clients[CLIENTS_MAX];
    unsigned char frame[FRAME_BYTES_MAX];
};

/* A message of 126 to 65,535 bytes, with its frame's head. Returns the length of both. */
static size_t put_frame(unsigned char *frame, const char *op, size_t bytes) {
    const unsigned char head[] = {0x81, 126, (unsigned char)(bytes >> 8), (unsigned char)bytes};
    char start[64];
    size_t length = (size_t)snprintf(start, sizeof start, "{\"op\":\"%s\",\"filler\":\"", op);
    memcpy(frame, head, sizeof head);
    memset(frame + sizeof head, 'x', bytes);
    memcpy(frame + sizeof head, start, length);
    frame[sizeof head + bytes - 2] = '"';
    frame[sizeof head + bytes - 1] = '}';
    return sizeof head + bytes;
}

static void prepare_frame(struct server *server, size_t bytes) {
    if (bytes < 126 || bytes > FRAME_BYTES_MAX - 4)
        measure_give_up("a message of %zu bytes: 126 to %d are possible", bytes,
                        FRAME_BYTES_MAX - 4);
    server->frame_bytes = put_frame(server->frame, "status", bytes);
}

static void watch(const struct server *server, int file) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = file}};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, file, &event) < 0)
        measure_give_up("epoll: %s", strerror(errno));
}

static void listen_somewhere(struct server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(server->listener, (struct sockaddr *)&address, length) < 0 ||
        listen(server->listener, BACKLOG) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) < 0)
        measure_give_up("cannot listen: %s", strerror(errno));
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void start_timer(struct server *server, unsigned hz) {
    struct itimerspec pace = {.it_value = {.tv_nsec = (long)(SECOND_NS / hz)},
                              .it_interval = {.tv_nsec = (long)(SECOND_NS / hz)}};
    server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(server->timer, 0, &pace, NULL);
}

static void accept_all(struct server *server) {
    int client = -1;
    while ((client = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        stream_tune(client);
        watch(server, client);
    }
}

static void welcome(int client) {
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n\r\n";
    unsigned char hello[HELLO_BYTES + 4];
    size_t length = put_frame(hello, "hello", HELLO_BYTES);
    (void)send(client, answer, sizeof answer - 1, MSG_NOSIGNAL);
    (void)send(client, hello, length, MSG_NOSIGNAL);
}

static bool is_known(const struct server *server, int client) {
    for (size_t i = 0; i < server->client_count; i++)
        if (server->clients[i] == client)
            return true;
    return false;
}

static void drop(struct server *server, int client) {
    for (size_t i = 0; i < server->client_count; i++)
        if (server->clients[i] == client)
            server->clients[i--] = server->clients[--server->client_count];
    close(client);
}

/* Its request first; later its pongs and subscriptions, which nobody needs. */
static void read_client(struct server *server, int client) {
    char bytes[4096];
    if (recv(client, bytes, sizeof bytes, MSG_DONTWAIT) <= 0) {
        drop(server, client);
        return;
    }
    if (is_known(server, client) || server->client_count == CLIENTS_MAX)
        return;
    welcome(client);
    server->clients[server->client_count++] = client;
}

static void send_to_all(struct server *server) {
    uint64_t expirations = 0;
    if (read(server->timer, &expirations, sizeof expirations) < 0)
        return;
    for (size_t i = 0; i < server->client_count; i++)
        (void)send(server->clients[i], server->frame, server->frame_bytes,
                   MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void serve(struct server *server) {
    struct epoll_event events[EVENTS_AT_A_TIME];
    for (;;) {
        int count = epoll_wait(server->epoll, events, EVENTS_AT_A_TIME, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == server->timer)
                send_to_all(server);
            else if (events[i].data.fd == server->listener)
                accept_all(server);
            else
                read_client(server, events[i].data.fd);
        }
    }
}

int main(int count, char **arguments) {
    static struct server server;
    if (count != 3)
        measure_give_up("usage: bare_server BYTES HZ");
    process_open_files_max();
    prepare_frame(&server, strtoul(arguments[1], NULL, 10));
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    listen_somewhere(&server);
    start_timer(&server, (unsigned)strtoul(arguments[2], NULL, 10));
    watch(&server, server.listener);
    watch(&server, server.timer);
    serve(&server);
}
