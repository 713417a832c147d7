#include "ivshmem.h"

#include <endian.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <omni/region.h>

#include "ivshmem_files.h"
#include "service/say.h"

enum {
    PROTOCOL_VERSION = 0,
    MEMORY_FOLLOWS = -1,
    NO_FILE = -1,
    /* The kernel doubles it: a greeting and more than a hundred comings and goings. Not more, because
     * there is a limit on descriptors that are on their way, of all clients together. */
    QUEUE_BYTES = 64 * 1024,
    /* Between two that are admitted: all others must have time to read of it. */
    ADMIT_MS = 20,
    TRY_AGAIN_MS = 1000, /* when no descriptor is left */
    TELL_LATER_MS = 50
};

struct guest {
    struct ivshmem *server;
    uv_poll_t poll;
    int socket;
    int bell; /* eventfd by which it is rung */
    unsigned peer;
    uint32_t arrival;                  /* number of its coming; 0: not yet greeted */
    unsigned greeted;                  /* messages of its greeting that are sent */
    uint32_t told[IVSHMEM_GUESTS_MAX]; /* the arrival in each place that it knows of; 0: nobody */
    bool is_late;                      /* there is something that could not be sent */
    bool told_late;                    /* the user was told so, since it last had read everything */
    int unread;                        /* bytes that waited for it when last looked at */
    uint64_t read_ms;                  /* when it was last seen to read, or had nothing to */
};

struct ivshmem {
    uv_loop_t *loop;
    struct ivshmem_options options;
    uint64_t patience_ms;
    char memory_path[OMNI_PATH_BYTES];
    int memory;
    int bell; /* eventfd by which guests ring for the observer */
    struct ivshmem_socket socket;
    uv_poll_t bell_poll;
    uv_poll_t listener_poll;
    uv_timer_t again;
    uv_timer_t later;                         /* runs while somebody is late */
    struct guest *guests[IVSHMEM_GUESTS_MAX]; /* peer 1, 2, …; NULL: free */
    uint32_t arrivals;
    bool is_listening;
    unsigned handles; /* open ones that point here */
    bool told_full;
};

static void handle_closed(struct ivshmem *server);

/* ---- messages ---- */

/* One number, with a descriptor or NO_FILE. The kernel's buffer is the only queue. */
static int send_number(int socket, int64_t number, int file) {
    int64_t bytes = (int64_t)htole64((uint64_t)number);
    struct iovec vector = {&bytes, sizeof bytes};
    union {
        struct cmsghdr head;
        unsigned char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (file != NO_FILE) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &file, sizeof file);
    }
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == (ssize_t)sizeof bytes ? 0 : sent < 0 ? -errno : -EAGAIN;
}

/* A guest's or the kernel's queue is full: that passes. */
static bool is_worth_another_try(int error) {
    return error == -EAGAIN || error == -ETOOMANYREFS || error == -ENOBUFS || error == -ENOMEM ||
           error == -EINTR;
}

static const char *reason(int error) {
    switch (error) {
    case -EAGAIN:
        return "its queue is full";
    case -ETOOMANYREFS:
        return "too many descriptors of this user's are on their way to programs that do not read";
    default:
        return strerror(-error);
    }
}

/* Brings its knowledge of one place up to date. Whoever came and went meanwhile is not mentioned. */
static int tell_of(struct guest *guest, unsigned place) {
    const struct guest *there = guest->server->guests[place];
    uint32_t arrival = there != NULL ? there->arrival : 0;
    uint32_t *told = &guest->told[place];
    int error = 0;
    if (*told != 0 && *told != arrival) {
        error = send_number(guest->socket, place + 1, NO_FILE);
        if (error == 0)
            *told = 0;
    }
    if (error == 0 && *told != arrival) {
        error = send_number(guest->socket, place + 1, there->bell);
        if (error == 0)
            *told = arrival;
    }
    return error;
}

static int tell_of_others(struct guest *guest) {
    int error = 0;
    for (unsigned i = 0; i < IVSHMEM_GUESTS_MAX && error == 0; i++)
        error = tell_of(guest, i);
    return error;
}

/* In the protocol's order, its own bell last; goes on where it stopped. Until that is done the others
 * do not know of it. */
static int greet(struct guest *guest) {
    struct ivshmem *server = guest->server;
    const struct {
        int64_t number;
        int file;
    } messages[] = {{PROTOCOL_VERSION, NO_FILE},
                    {guest->peer, NO_FILE},
                    {MEMORY_FOLLOWS, server->memory},
                    {IVSHMEM_OWN_PEER, server->bell}};
    int error = 0;
    while (guest->greeted < sizeof messages / sizeof messages[0] && error == 0) {
        error = send_number(guest->socket, messages[guest->greeted].number,
                            messages[guest->greeted].file);
        guest->greeted += error == 0;
    }
    if (error == 0)
        error = tell_of_others(guest);
    if (error == 0)
        error = send_number(guest->socket, guest->peer, guest->bell);
    if (error < 0)
        return error;
    server->arrivals += server->arrivals == UINT32_MAX ? 2 : 1;
    guest->arrival = guest->told[guest->peer - 1] = server->arrivals;
    say(SAY_INFO, "%s: machine %u has connected", server->options.socket, guest->peer);
    return 0;
}

/* ---- guests come and go ---- */

static void on_guest_closed(uv_handle_t *handle) {
    struct guest *guest = handle->data;
    struct ivshmem *server = guest->server;
    free(guest);
    handle_closed(server);
}

/* Takes it out of the table; the others are told by update_all(). */
static void remove_guest(struct guest *guest) {
    guest->server->guests[guest->peer - 1] = NULL;
    uv_close((uv_handle_t *)&guest->poll, on_guest_closed);
    (void)close(guest->socket);
    (void)close(guest->bell);
}

static void note_lateness(struct guest *guest, int error) {
    struct ivshmem *server = guest->server;
    if (error < 0 && !guest->told_late)
        say(SAY_WARNING, "%s: machine %u is told later: %s", server->options.socket, guest->peer,
            reason(error));
    guest->is_late = error < 0;
    guest->told_late |= error < 0;
}

static void drop(struct guest *guest, const char *why) {
    struct ivshmem *server = guest->server;
    say(guest->arrival != 0 ? SAY_INFO : SAY_WARNING, "%s: machine %u %s%s%s",
        server->options.socket, guest->peer,
        guest->arrival != 0 ? "is gone" : "could not be greeted", why != NULL ? ": " : "",
        why != NULL ? why : "");
    remove_guest(guest);
}

/* Bytes that wait for it in the kernel. */
static int unread_by(const struct guest *guest) {
    int unread = 0;
    return ioctl(guest->socket, SIOCOUTQ, &unread) < 0 ? guest->is_late : unread;
}

/* Sends what it does not know yet, as far as that goes now. */
static void update(struct guest *guest) {
    if (guest->told_late && unread_by(guest) == 0 && !guest->is_late)
        guest->told_late = false;
    int error = guest->arrival == 0 ? greet(guest) : tell_of_others(guest);
    if (error < 0 && !is_worth_another_try(error))
        drop(guest, error == -EPIPE || error == -ECONNRESET ? NULL : strerror(-error));
    else
        note_lateness(guest, error);
}

static void on_later(uv_timer_t *timer);

/* Until nothing changes any more: who cannot be told at all is dropped, which is news for others. */
static void update_all(struct ivshmem *server) {
    size_t before;
    uint32_t arrivals;
    bool late;
    do {
        before = ivshmem_guests(server);
        arrivals = server->arrivals;
        late = false;
        for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++) {
            if (server->guests[i] != NULL)
                update(server->guests[i]);
            late |= server->guests[i] != NULL && server->guests[i]->is_late;
        }
    } while (ivshmem_guests(server) != before || server->arrivals != arrivals);
    if (late && !uv_is_active((uv_handle_t *)&server->later))
        (void)uv_timer_start(&server->later, on_later, TELL_LATER_MS, 0);
}

/* Whether it has left something unread for so long that nobody has to wait for it any more. Only
 * asked while somebody is late: that may be another one, for want of descriptors that wait here. */
static bool reads_nothing(struct guest *guest, uint64_t now_ms) {
    int unread = unread_by(guest);
    if (unread == 0 || unread < guest->unread || guest->read_ms == 0)
        guest->read_ms = now_ms;
    return now_ms - guest->read_ms >= guest->server->patience_ms;
}

static void on_later(uv_timer_t *timer) {
    struct ivshmem *server = timer->data;
    uint64_t now_ms = uv_now(server->loop);
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++)
        if (server->guests[i] != NULL && reads_nothing(server->guests[i], now_ms))
            drop(server->guests[i], "it reads nothing");
    update_all(server);
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++) {
        if (server->guests[i] == NULL)
            continue;
        server->guests[i]->unread =
            unread_by(server->guests[i]); /* with what it was told just now */
        if (!uv_is_active((uv_handle_t *)timer))
            server->guests[i]->read_ms = 0;
    }
}

static void drop_and_tell(struct guest *guest, const char *why) {
    struct ivshmem *server = guest->server;
    drop(guest, why);
    update_all(server);
}

/* Nothing that it could say is part of the protocol. */
static void on_guest(uv_poll_t *poll, int status, int events) {
    (void)events;
    struct guest *guest = poll->data;
    unsigned char byte;
    ssize_t got = status < 0 ? 0 : recv(guest->socket, &byte, sizeof byte, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    drop_and_tell(guest, got > 0 ? "it is no ivshmem client: it talks" : NULL);
}

/* The place in the table, 1 to IVSHMEM_GUESTS_MAX; 0: all are taken. */
static unsigned free_peer(const struct ivshmem *server) {
    for (unsigned i = 0; i < IVSHMEM_GUESTS_MAX; i++)
        if (server->guests[i] == NULL)
            return i + 1;
    return 0;
}

static int equip(struct guest *guest) {
    const int queue = QUEUE_BYTES;
    (void)setsockopt(guest->socket, SOL_SOCKET, SO_SNDBUF, &queue, sizeof queue);
    guest->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (guest->bell < 0)
        return -errno;
    return uv_poll_init(guest->server->loop, &guest->poll, guest->socket);
}

/* The socket is the guest's from then on; on failure it stays the caller's. */
static int add_guest(struct ivshmem *server, int socket, unsigned peer) {
    struct guest *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    *made = (struct guest){.server = server, .socket = socket, .bell = -1, .peer = peer};
    made->poll.data = made;
    int error = equip(made);
    if (error < 0) {
        if (made->bell >= 0)
            (void)close(made->bell);
        free(made);
        return error;
    }
    server->handles++;
    server->guests[peer - 1] = made;
    (void)uv_poll_start(&made->poll, UV_READABLE, on_guest);
    update_all(server);
    return 0;
}

static void admit(struct ivshmem *server, int socket) {
    unsigned peer = free_peer(server);
    int error = peer != 0 ? add_guest(server, socket, peer) : -EUSERS;
    if (error < 0)
        (void)close(socket);
    if (error < 0 && !server->told_full)
        say(SAY_WARNING, "%s: a machine was turned away: %s", server->options.socket,
            peer == 0 ? "all places are taken" : strerror(-error));
    server->told_full = error < 0;
}

static void on_listener(uv_poll_t *poll, int status, int events);

static void on_again(uv_timer_t *timer) {
    struct ivshmem *server = timer->data;
    (void)uv_poll_start(&server->listener_poll, UV_READABLE, on_listener);
}

static void rest_listener(struct ivshmem *server, uint64_t milliseconds) {
    (void)uv_poll_stop(&server->listener_poll);
    (void)uv_timer_start(&server->again, on_again, milliseconds, 0);
}

/* Whether it has hung up, or talks, which no client does: its end would hide behind what it said. */
static bool is_no_client(int socket) {
    unsigned char byte;
    return recv(socket, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static void on_listener(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct ivshmem *server = poll->data;
    int socket = accept4(server->socket.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
        /* It would stay readable, and the loop would do nothing else. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            rest_listener(server, TRY_AGAIN_MS);
    } else if (is_no_client(socket)) {
        (void)close(socket);
    } else {
        admit(server, socket);
        rest_listener(server, ADMIT_MS);
    }
}

/* ---- rings ---- */

/* The guests have the same eventfd, and could make it a blocking one or read it first: so this asks
 * not to wait, whatever its flags say. */
static bool is_rung(int bell) {
    uint64_t count;
    struct iovec vector = {&count, sizeof count};
    ssize_t got = preadv2(bell, &vector, 1, -1, RWF_NOWAIT);
    if (got < 0 && errno == EOPNOTSUPP)
        got = read(bell, &count, sizeof count); /* a kernel before 5.8 */
    return got == (ssize_t)sizeof count;
}

static void on_bell(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct ivshmem *server = poll->data;
    if (!is_rung(server->bell))
        return;
    server->is_listening = false;
    (void)uv_poll_stop(poll);
    if (server->options.rung != NULL)
        server->options.rung(server->options.context);
}

void ivshmem_listen(struct ivshmem *server) {
    if (server->is_listening)
        return;
    (void)is_rung(server->bell);
    server->is_listening = true;
    (void)uv_poll_start(&server->bell_poll, UV_READABLE, on_bell);
}

static int complain(struct omni_problem *problem, int error, const char *text, const char *why) {
    (void)snprintf(problem->text, sizeof problem->text, "%s: %s", text, why);
    return error;
}

/* ---- opening and closing ---- */

static void close_files(struct ivshmem *server) {
    if (server->memory >= 0)
        (void)close(server->memory);
    if (server->bell >= 0)
        (void)close(server->bell);
    ivshmem_socket_close(&server->socket);
}

static void handle_closed(struct ivshmem *server) {
    server->handles--;
    if (server->handles == 0)
        free(server);
}

static void on_handle_closed(uv_handle_t *handle) {
    handle_closed(handle->data);
}

static int start_watching(struct ivshmem *server) {
    int error = uv_poll_init(server->loop, &server->bell_poll, server->bell);
    if (error < 0)
        return error;
    server->handles++;
    error = uv_poll_init(server->loop, &server->listener_poll, server->socket.listener);
    if (error < 0) {
        uv_close((uv_handle_t *)&server->bell_poll, on_handle_closed);
        return error;
    }
    (void)uv_timer_init(server->loop, &server->again);
    (void)uv_timer_init(server->loop, &server->later);
    server->handles += 3;
    server->bell_poll.data = server->listener_poll.data = server;
    server->again.data = server->later.data = server;
    (void)uv_poll_start(&server->listener_poll, UV_READABLE, on_listener);
    return 0;
}

int ivshmem_open(struct ivshmem **server, uv_loop_t *loop, const struct ivshmem_options *options,
                 struct omni_problem *problem) {
    struct ivshmem *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "--ivshmem", strerror(ENOMEM));
    made->loop = loop;
    made->options = *options;
    made->patience_ms = options->patience_ms != 0 ? options->patience_ms : IVSHMEM_PATIENCE_MS;
    made->memory = -1;
    made->socket = IVSHMEM_SOCKET_CLOSED;
    made->bell_poll.data = made;
    made->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = made->bell < 0 ? complain(problem, -errno, "no eventfd", strerror(errno)) : 0;
    if (error == 0)
        error = ivshmem_socket_open(&made->socket, options->socket, problem);
    if (error == 0) {
        made->memory = ivshmem_memory_open(made->memory_path, options->directory, options->socket,
                                           options->bytes, problem);
        error = made->memory < 0 ? made->memory : 0;
    }
    if (error == 0) {
        error = start_watching(made);
        if (error < 0)
            complain(problem, error, "cannot watch the socket", uv_strerror(error));
    }
    if (error < 0) {
        close_files(made);
        if (made->handles == 0)
            free(made);
        return error;
    }
    *server = made;
    return 0;
}

const char *ivshmem_memory(const struct ivshmem *server) {
    return server->memory_path;
}

size_t ivshmem_guests(const struct ivshmem *server) {
    size_t count = 0;
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++)
        count += server->guests[i] != NULL;
    return count;
}

void ivshmem_close(struct ivshmem *server) {
    if (server == NULL)
        return;
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++)
        if (server->guests[i] != NULL)
            remove_guest(server->guests[i]);
    uv_close((uv_handle_t *)&server->bell_poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->listener_poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->again, on_handle_closed);
    uv_close((uv_handle_t *)&server->later, on_handle_closed);
    close_files(server);
}
