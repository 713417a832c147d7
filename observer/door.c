#include "door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "service/say.h"

enum {
    PEEK_BYTES = 8, /* "GET /ws" and the byte after it */
    BACKLOG = 512,
    ACCEPT_MAX = 32, /* a wakeup: others in the loop want their turn too */
    REST_MS = 100,
    COMPLAIN_MS = 60 * 1000,
    HOST_BYTES = 128
};

/* A connection that has not yet said what it wants. */
struct visitor {
    TAILQ_ENTRY(visitor) neighbours;
    struct door *door;
    uv_poll_t poll;
    int socket;
    uint64_t deadline_ms;
    struct sockaddr_storage peer;
    socklen_t peer_bytes;
};

struct listener {
    struct door *door;
    uv_poll_t poll;
    int socket;
};

struct door {
    unsigned undecided_max;
    unsigned header_ms;
    uv_loop_t *loop; /* NULL: not open */
    struct http *http;
    struct hub *hub;
    uv_timer_t late;
    uv_timer_t rest;
    uint64_t complain_ms; /* when it may be said again that descriptors ran out */
    unsigned handles;     /* that libuv still knows */
    unsigned undecided;
    TAILQ_HEAD(visitors, visitor)
    visitors; /* the oldest first: also in the order of their deadlines */
    size_t listener_count;
    struct listener listeners[];
};

/* ---- Addresses ---- */

struct address {
    struct sockaddr_storage bytes;
    socklen_t length;
};

/* Takes "127.0.0.1:8080" or "[::1]:8080" apart. */
static bool split(const char *listen, char host[HOST_BYTES], const char **port) {
    bool bracketed = listen[0] == '[';
    const char *start = bracketed ? listen + 1 : listen;
    const char *end = bracketed ? strchr(start, ']') : strchr(start, ':');
    if (!end || end == start || end - start >= HOST_BYTES)
        return false;
    *port = bracketed ? end + 2 : end + 1;
    if (bracketed && end[1] != ':')
        return false;
    if (**port == '\0' || (*port)[strspn(*port, "0123456789")] != '\0' || atol(*port) > 65535)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    return bracketed == (strchr(host, ':') != NULL);
}

static bool parse(const char *listen, struct address *address) {
    static const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                          .ai_socktype = SOCK_STREAM};
    char host[HOST_BYTES];
    const char *port;
    struct addrinfo *found;
    if (!split(listen, host, &port))
        return false;
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return false;
    memcpy(&address->bytes, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

bool door_parse(const char *listen, struct sockaddr_storage *address) {
    struct address parsed = {.length = 0};
    if (!parse(listen, &parsed))
        return false;
    *address = parsed.bytes;
    return true;
}

bool door_is_loopback(const char *listen) {
    struct address address;
    if (!parse(listen, &address))
        return false;
    if (address.bytes.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address.bytes;
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&address.bytes)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) ||
           (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

bool door_address(const struct door *door, size_t index, char *text, size_t bytes) {
    struct address address = {.length = sizeof address.bytes};
    char host[HOST_BYTES];
    char port[8];
    if (index >= door->listener_count)
        return false;
    struct sockaddr *name = (struct sockaddr *)&address.bytes;
    if (getsockname(door->listeners[index].socket, name, &address.length) < 0 ||
        getnameinfo(name, address.length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    (void)snprintf(text, bytes, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

int door_socket(const struct door *door, size_t index) {
    return index < door->listener_count ? door->listeners[index].socket : -1;
}

bool door_open_address(const struct door *door, char *text, size_t bytes) {
    for (size_t i = 0; door_address(door, i, text, bytes); i++)
        if (!door_is_loopback(text))
            return true;
    return false;
}

static void switch_on(int socket, int level, int option) {
    (void)setsockopt(socket, level, option, &(int){1}, sizeof(int));
}

static int bind_and_listen(const char *listen_to, struct omni_problem *problem) {
    struct address address;
    if (!parse(listen_to, &address)) {
        (void)snprintf(problem->text, sizeof problem->text,
                       "cannot listen on \"%s\": that is not ADDRESS:PORT; write it like "
                       "127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
                       listen_to);
        return -EINVAL;
    }
    int made = socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made >= 0) {
        switch_on(made, SOL_SOCKET, SO_REUSEADDR);
        if (address.bytes.ss_family == AF_INET6)
            switch_on(made, IPPROTO_IPV6, IPV6_V6ONLY);
        if (bind(made, (struct sockaddr *)&address.bytes, address.length) == 0 &&
            listen(made, BACKLOG) == 0)
            return made;
    }
    int error = -errno;
    (void)snprintf(problem->text, sizeof problem->text, "cannot listen on %s: %s%s", listen_to,
                   strerror(-error),
                   error == -EADDRINUSE ? "; choose another address with --listen ADDRESS:PORT"
                                        : "");
    if (made >= 0)
        close(made);
    return error;
}

static int value_of(int socket, int option) {
    int value = -1;
    return getsockopt(socket, SOL_SOCKET, option, &value, &(socklen_t){sizeof value}) < 0 ? -1
                                                                                          : value;
}

/* Its backlog is the giver's; what is handed over blocks, as a rule. */
static int adopt(int socket, struct omni_problem *problem) {
    int family = value_of(socket, SO_DOMAIN);
    if ((family == AF_INET || family == AF_INET6) && value_of(socket, SO_TYPE) == SOCK_STREAM &&
        value_of(socket, SO_ACCEPTCONN) == 1 && fcntl(socket, F_SETFL, O_NONBLOCK) == 0)
        return socket;
    (void)snprintf(problem->text, sizeof problem->text,
                   "the socket that was handed over (descriptor %d) is no TCP socket that listens; "
                   "in the .socket unit write ListenStream=127.0.0.1:8080, and no Accept=yes",
                   socket);
    close(socket);
    return -EPROTOTYPE;
}

static int make_listener(const struct door_options *options, size_t index,
                         struct omni_problem *problem) {
    return options->inherited_count > 0 ? adopt(options->inherited + (int)index, problem)
                                        : bind_and_listen(options->listen[index], problem);
}

static void close_inherited(const struct door_options *options, size_t from) {
    for (size_t i = from; i < options->inherited_count; i++)
        close(options->inherited + (int)i);
}

int door_listen(struct door **door, const struct door_options *options,
                struct omni_problem *problem) {
    size_t count = options->inherited_count;
    while (options->inherited_count == 0 && options->listen[count])
        count++;
    struct door *made = calloc(1, sizeof *made + count * sizeof made->listeners[0]);
    if (!made) {
        (void)snprintf(problem->text, sizeof problem->text, "out of memory");
        close_inherited(options, 0);
        return -ENOMEM;
    }
    made->undecided_max = options->undecided_max ? options->undecided_max : 1;
    made->header_ms = options->header_seconds * 1000;
    TAILQ_INIT(&made->visitors);
    for (size_t i = 0; i < count; i++) {
        int socket = make_listener(options, i, problem);
        if (socket < 0) {
            close_inherited(options, i + 1);
            door_close(made);
            return socket;
        }
        made->listeners[i] = (struct listener){.door = made, .socket = socket};
        made->listener_count = i + 1;
    }
    *door = made;
    return 0;
}

/* ---- Visitors: from accept() to whoever answers ---- */

enum door_way door_decide(const char *bytes, size_t count) {
    static const char hub[] = "GET /ws";
    size_t common = count < sizeof hub - 1 ? count : sizeof hub - 1;
    if (memcmp(bytes, hub, common) != 0)
        return DOOR_HTTP;
    if (count < sizeof hub)
        return DOOR_UNDECIDED;
    return bytes[sizeof hub - 1] == ' ' || bytes[sizeof hub - 1] == '?' ? DOOR_HUB : DOOR_HTTP;
}

static void forget_handle(struct door *door) {
    if (--door->handles == 0)
        free(door);
}

static void on_visitor_closed(uv_handle_t *handle) {
    struct visitor *visitor = handle->data;
    struct door *door = visitor->door;
    free(visitor);
    forget_handle(door);
}

/* Ends the watching, keeps the socket. uv_close() takes the descriptor out of the loop's epoll at
 * once, so that its next owner may watch it in the same loop. */
static void release(struct visitor *visitor) {
    struct door *door = visitor->door;
    TAILQ_REMOVE(&door->visitors, visitor, neighbours);
    door->undecided--;
    if (door->undecided == 0)
        (void)uv_timer_stop(&door->late);
    uv_close((uv_handle_t *)&visitor->poll, on_visitor_closed);
}

static void turn_away(struct visitor *visitor) {
    int socket = visitor->socket;
    release(visitor);
    close(socket);
}

static void set_wake_bytes(int socket, int bytes) {
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

static void hand_over(struct door *door, enum door_way way, int socket,
                      const struct sockaddr_storage *peer, socklen_t peer_bytes) {
    if (way == DOOR_HUB)
        hub_adopt(door->hub, socket);
    else
        http_adopt(door->http, socket, (const struct sockaddr *)peer, peer_bytes);
}

static void on_visitor_readable(uv_poll_t *poll, int status, int events) {
    struct visitor *visitor = poll->data;
    char bytes[PEEK_BYTES];
    ssize_t count = recv(visitor->socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (status < 0 || count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        turn_away(visitor);
        return;
    }
    size_t held = count > 0 ? (size_t)count : 0;
    enum door_way way = door_decide(bytes, held);
    if (way != DOOR_UNDECIDED) {
        set_wake_bytes(visitor->socket, 1);
        release(visitor);
        hand_over(visitor->door, way, visitor->socket, &visitor->peer, visitor->peer_bytes);
    } else if (events & UV_DISCONNECT) {
        turn_away(visitor);
    } else {
        set_wake_bytes(visitor->socket, (int)held + 1);
    }
}

static void on_late(uv_timer_t *timer);

static void schedule_late(struct door *door) {
    const struct visitor *first = TAILQ_FIRST(&door->visitors);
    uint64_t now = uv_now(door->loop);
    if (first)
        (void)uv_timer_start(&door->late, on_late,
                             first->deadline_ms > now ? first->deadline_ms - now : 0, 0);
}

static void on_late(uv_timer_t *timer) {
    struct door *door = timer->data;
    struct visitor *first;
    while ((first = TAILQ_FIRST(&door->visitors)) && first->deadline_ms <= uv_now(door->loop))
        turn_away(first);
    schedule_late(door);
}

static void await(struct door *door, int socket, const struct address *peer) {
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (!visitor || uv_poll_init(door->loop, &visitor->poll, socket) < 0) {
        free(visitor);
        close(socket);
        return;
    }
    visitor->door = door;
    visitor->socket = socket;
    visitor->deadline_ms = uv_now(door->loop) + door->header_ms;
    visitor->peer = peer->bytes;
    visitor->peer_bytes = peer->length;
    visitor->poll.data = visitor;
    door->handles++;
    if (door->undecided++ == door->undecided_max)
        turn_away(TAILQ_FIRST(&door->visitors));
    TAILQ_INSERT_TAIL(&door->visitors, visitor, neighbours);
    if (uv_poll_start(&visitor->poll, UV_READABLE | UV_DISCONNECT, on_visitor_readable) < 0)
        turn_away(visitor);
    else if (door->undecided == 1)
        schedule_late(door);
}

/* ---- Listening ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *timer) {
    struct door *door = timer->data;
    for (size_t i = 0; i < door->listener_count; i++)
        (void)uv_poll_start(&door->listeners[i].poll, UV_READABLE, on_acceptable);
}

static void rest(struct door *door, int error) {
    for (size_t i = 0; i < door->listener_count; i++)
        (void)uv_poll_stop(&door->listeners[i].poll);
    (void)uv_timer_start(&door->rest, on_rested, REST_MS, 0);
    if (uv_now(door->loop) < door->complain_ms)
        return;
    door->complain_ms = uv_now(door->loop) + COMPLAIN_MS;
    say(SAY_WARNING, "cannot accept connections for the moment: %s", strerror(error));
}

static bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void admit(struct door *door, int socket, const struct address *peer) {
    char bytes[PEEK_BYTES];
    switch_on(socket, IPPROTO_TCP, TCP_NODELAY);
    ssize_t count = recv(socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    enum door_way way = count > 0 ? door_decide(bytes, (size_t)count) : DOOR_UNDECIDED;
    if (way == DOOR_UNDECIDED)
        await(door, socket, peer);
    else
        hand_over(door, way, socket, &peer->bytes, peer->length);
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
    struct listener *listener = poll->data;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        struct address peer = {.length = sizeof peer.bytes};
        int socket = accept4(listener->socket, (struct sockaddr *)&peer.bytes, &peer.length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            admit(listener->door, socket, &peer);
            continue;
        }
        int error = errno;
        if (is_shortage(error))
            rest(listener->door, error);
        if (error == EAGAIN || is_shortage(error))
            return;
    }
}

/* ---- Opening and closing ---- */

static void on_timer_closed(uv_handle_t *handle) {
    forget_handle(handle->data);
}

static void on_listener_closed(uv_handle_t *handle) {
    struct listener *listener = handle->data;
    forget_handle(listener->door);
}

int door_open(struct door *door, uv_loop_t *loop, struct http *http, struct hub *hub) {
    door->loop = loop;
    door->http = http;
    door->hub = hub;
    (void)uv_timer_init(loop, &door->late);
    (void)uv_timer_init(loop, &door->rest);
    door->late.data = door->rest.data = door;
    door->handles = 2;
    for (size_t i = 0; i < door->listener_count; i++) {
        struct listener *listener = &door->listeners[i];
        int error = uv_poll_init(loop, &listener->poll, listener->socket);
        if (error < 0)
            return error;
        listener->poll.data = listener;
        door->handles++;
        if ((error = uv_poll_start(&listener->poll, UV_READABLE, on_acceptable)) < 0)
            return error;
    }
    return 0;
}

static void close_watched(struct door *door) {
    while (!TAILQ_EMPTY(&door->visitors))
        turn_away(TAILQ_FIRST(&door->visitors));
    uv_close((uv_handle_t *)&door->late, on_timer_closed);
    uv_close((uv_handle_t *)&door->rest, on_timer_closed);
    for (size_t i = 0; i < door->listener_count; i++)
        if (door->listeners[i].poll.data)
            uv_close((uv_handle_t *)&door->listeners[i].poll, on_listener_closed);
}

void door_close(struct door *door) {
    if (!door)
        return;
    if (door->loop)
        close_watched(door);
    for (size_t i = 0; i < door->listener_count; i++)
        close(door->listeners[i].socket);
    if (!door->loop)
        free(door);
}
