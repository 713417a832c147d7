#include "ivshmem.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <omni/region.h>

enum {
    PROTOCOL_VERSION = 0,
    MEMORY_FOLLOWS = -1,
    NO_FILE = -1,
    /* The kernel doubles it: a greeting and more than a hundred comings and goings. Not more, because
     * there is a limit on descriptors that are on their way, of all clients together. */
    QUEUE_BYTES = 64 * 1024,
    /* Between two that are admitted: all others must have time to read of it. */
    ADMIT_MS = 20,
    TRY_AGAIN_MS = 1000 /* when no descriptor is left */
};

struct guest {
    struct ivshmem *server;
    uv_poll_t poll;
    int socket;
    int bell; /* eventfd by which it is rung */
    unsigned peer;
};

struct ivshmem {
    uv_loop_t *loop;
    struct ivshmem_options options;
    struct sockaddr_un address;
    char memory_path[OMNI_PATH_BYTES];
    int memory;
    int bell; /* eventfd by which guests ring for the observer */
    int listener;
    uv_poll_t bell_poll;
    uv_poll_t listener_poll;
    uv_timer_t again;
    struct guest *guests[IVSHMEM_GUESTS_MAX]; /* peer 1, 2, …; NULL: free */
    bool is_listening;
    unsigned handles; /* open ones that point here */
    bool is_bound;    /* the socket's file is ours to remove */
    bool told_full;
};

static void handle_closed(struct ivshmem *server);

/* ---- messages ---- */

/* One number, with a descriptor or NO_FILE. The kernel's buffer is the only queue. */
static int say(int socket, int64_t number, int file) {
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

static int greet(const struct ivshmem *server, const struct guest *guest) {
    int error = say(guest->socket, PROTOCOL_VERSION, NO_FILE);
    if (error == 0)
        error = say(guest->socket, guest->peer, NO_FILE);
    if (error == 0)
        error = say(guest->socket, MEMORY_FOLLOWS, server->memory);
    if (error == 0)
        error = say(guest->socket, IVSHMEM_OWN_PEER, server->bell);
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX && error == 0; i++)
        if (server->guests[i] != NULL)
            error = say(guest->socket, server->guests[i]->peer, server->guests[i]->bell);
    return error == 0 ? say(guest->socket, guest->peer, guest->bell) : error;
}

/* ---- guests come and go ---- */

static void on_guest_closed(uv_handle_t *handle) {
    struct guest *guest = handle->data;
    struct ivshmem *server = guest->server;
    free(guest);
    handle_closed(server);
}

/* Takes it out of the table; the others are told by tell_others(). */
static void remove_guest(struct guest *guest) {
    guest->server->guests[guest->peer - 1] = NULL;
    uv_close((uv_handle_t *)&guest->poll, on_guest_closed);
    (void)close(guest->socket);
    (void)close(guest->bell);
}

static void drop(struct guest *guest, const char *why);

/* `bell`: it came; NO_FILE: it went. Who cannot be told is dropped once all others know, and that
 * is told in turn: each time there is one less to tell. */
static void tell_others(struct ivshmem *server, unsigned peer, int bell) {
    int errors[IVSHMEM_GUESTS_MAX] = {0};
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++)
        if (server->guests[i] != NULL && server->guests[i]->peer != peer)
            errors[i] = say(server->guests[i]->socket, peer, bell);
    for (size_t i = 0; i < IVSHMEM_GUESTS_MAX; i++)
        if (errors[i] < 0 && server->guests[i] != NULL)
            drop(server->guests[i],
                 errors[i] == -EAGAIN ? "it reads nothing" : strerror(-errors[i]));
}

static void drop(struct guest *guest, const char *why) {
    struct ivshmem *server = guest->server;
    unsigned peer = guest->peer;
    (void)fprintf(stderr, "%s: machine %u is gone%s%s\n", server->options.socket, peer,
                  why != NULL ? ": " : "", why != NULL ? why : "");
    remove_guest(guest);
    tell_others(server, peer, NO_FILE);
}

/* Nothing that it could say is part of the protocol. */
static void on_guest(uv_poll_t *poll, int status, int events) {
    (void)events;
    struct guest *guest = poll->data;
    unsigned char byte;
    ssize_t got = status < 0 ? 0 : recv(guest->socket, &byte, sizeof byte, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    drop(guest, got > 0 ? "it is no ivshmem client: it talks" : NULL);
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
    error = greet(server, made);
    server->guests[peer - 1] = made;
    if (error < 0) {
        remove_guest(made);
        return 0;
    }
    (void)uv_poll_start(&made->poll, UV_READABLE, on_guest);
    (void)fprintf(stderr, "%s: machine %u has connected\n", server->options.socket, peer);
    tell_others(server, peer, made->bell);
    return 0;
}

static void admit(struct ivshmem *server, int socket) {
    unsigned peer = free_peer(server);
    int error = peer != 0 ? add_guest(server, socket, peer) : -EUSERS;
    if (error < 0)
        (void)close(socket);
    if (error < 0 && !server->told_full)
        (void)fprintf(stderr, "%s: a machine was turned away: %s\n", server->options.socket,
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

static bool has_hung_up(int socket) {
    unsigned char byte;
    return recv(socket, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void on_listener(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct ivshmem *server = poll->data;
    int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
        /* It would stay readable, and the loop would do nothing else. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            rest_listener(server, TRY_AGAIN_MS);
    } else if (has_hung_up(socket)) {
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

/* ---- memory ---- */

static int complain(struct omni_problem *problem, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(struct omni_problem *problem, int error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return error;
}

static int name_memory(struct ivshmem *server, struct omni_problem *problem) {
    const char *directory = server->options.directory;
    int written = snprintf(server->memory_path, sizeof server->memory_path, "%s/omni-ivshmem.",
                           directory != NULL ? directory : OMNI_DIRECTORY_DEFAULT);
    const char *socket = server->options.socket + strspn(server->options.socket, "/");
    size_t at = (size_t)written;
    for (; *socket != '\0' && at + 1 < sizeof server->memory_path; socket++)
        server->memory_path[at++] = *socket == '/' ? '-' : *socket;
    server->memory_path[at < sizeof server->memory_path ? at : sizeof server->memory_path - 1] =
        '\0';
    if (*socket != '\0' || at >= sizeof server->memory_path)
        return complain(problem, -ENAMETOOLONG,
                        "--directory %.150s is too long; choose a shorter one", directory);
    return 0;
}

/* Whether the file that is there can be taken as it is. */
static bool is_usable(int file, size_t bytes) {
    struct stat status;
    return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0 && (size_t)status.st_size == bytes;
}

static int make_memory(const char *path, size_t bytes) {
    (void)unlink(path);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    int error = ftruncate(file, (off_t)bytes) < 0 ? -errno : 0;
    if (error == 0)
        error = -posix_fallocate(file, 0, (off_t)bytes); /* no memory: now, not as a fault later */
    if (error < 0) {
        (void)close(file);
        (void)unlink(path);
        return error;
    }
    return file;
}

/* BARs of PCI devices have such sizes. */
static int check_size(size_t bytes, struct omni_problem *problem) {
    if (bytes >= 4096 && (bytes & (bytes - 1)) == 0)
        return 0;
    size_t below = 4096;
    while (2 * below <= bytes)
        below *= 2;
    return complain(problem, -EINVAL,
                    "--ivshmem-size %zu is no power of two of at least 4096; the nearest are %zu "
                    "and %zu",
                    bytes, below, 2 * below);
}

static int open_memory(struct ivshmem *server, struct omni_problem *problem) {
    size_t bytes = server->options.bytes;
    int error = check_size(bytes, problem);
    if (error == 0)
        error = name_memory(server, problem);
    if (error < 0)
        return error;
    int file = open(server->memory_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0 && !is_usable(file, bytes)) {
        (void)close(file);
        file = -1;
    }
    if (file < 0)
        file = make_memory(server->memory_path, bytes);
    if (file < 0)
        return complain(problem, file, "cannot make the memory for --ivshmem, %.120s: %s",
                        server->memory_path, strerror(-file));
    server->memory = file;
    return 0;
}

/* ---- the socket ---- */

static int set_address(struct ivshmem *server, struct omni_problem *problem) {
    const char *path = server->options.socket;
    if (path[0] == '\0' || strlen(path) >= sizeof server->address.sun_path)
        return complain(problem, -ENAMETOOLONG,
                        "--ivshmem %.60s… is not a path of 1 to %zu bytes; choose another", path,
                        sizeof server->address.sun_path - 1);
    server->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(server->address.sun_path, path, strlen(path) + 1);
    return 0;
}

/* A socket that nobody listens at is a former server's. Anything else stays as it is. */
static int clear_the_way(const struct ivshmem *server) {
    struct stat status;
    if (lstat(server->address.sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return -errno;
    int error = connect(probe, (const struct sockaddr *)&server->address, sizeof server->address);
    error = error == 0 || errno == EAGAIN ? -EADDRINUSE : -errno;
    (void)close(probe);
    if (error != -ECONNREFUSED)
        return error;
    return unlink(server->address.sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_socket(struct ivshmem *server) {
    int error = clear_the_way(server);
    if (error < 0)
        return error;
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0)
        return -errno;
    /* Before it has a name: there is no moment at which others could connect. */
    if (fchmod(server->listener, 0600) < 0 ||
        bind(server->listener, (const struct sockaddr *)&server->address, sizeof server->address) <
            0)
        return -errno;
    server->is_bound = true;
    return listen(server->listener, SOMAXCONN) < 0 ? -errno : 0;
}

static int open_socket(struct ivshmem *server, struct omni_problem *problem) {
    const char *path = server->options.socket;
    int error = bind_socket(server);
    if (error == -EADDRINUSE)
        return complain(problem, error,
                        "another server answers at %.108s; choose another: --ivshmem SOCKET", path);
    if (error == -EEXIST)
        return complain(problem, error,
                        "%.108s is in the way, and no socket; choose another: --ivshmem SOCKET",
                        path);
    if (error < 0)
        return complain(problem, error,
                        "cannot make the socket %.108s: %s; choose another: --ivshmem SOCKET", path,
                        strerror(-error));
    return 0;
}

/* ---- opening and closing ---- */

static void close_files(struct ivshmem *server) {
    const int files[] = {server->memory, server->bell, server->listener};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i] >= 0)
            (void)close(files[i]);
    if (server->is_bound)
        (void)unlink(server->address.sun_path);
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
    error = uv_poll_init(server->loop, &server->listener_poll, server->listener);
    if (error < 0) {
        uv_close((uv_handle_t *)&server->bell_poll, on_handle_closed);
        return error;
    }
    (void)uv_timer_init(server->loop, &server->again);
    server->handles += 2;
    server->bell_poll.data = server->listener_poll.data = server->again.data = server;
    (void)uv_poll_start(&server->listener_poll, UV_READABLE, on_listener);
    return 0;
}

int ivshmem_open(struct ivshmem **server, uv_loop_t *loop, const struct ivshmem_options *options,
                 struct omni_problem *problem) {
    struct ivshmem *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory left");
    made->loop = loop;
    made->options = *options;
    made->memory = made->listener = -1;
    made->bell_poll.data = made;
    made->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = made->bell < 0 ? complain(problem, -errno, "no eventfd: %s", strerror(errno)) : 0;
    if (error == 0)
        error = set_address(made, problem);
    if (error == 0)
        error = open_socket(made, problem);
    if (error == 0)
        error = open_memory(made, problem);
    if (error == 0) {
        error = start_watching(made);
        if (error < 0)
            complain(problem, error, "cannot watch the socket: %s", uv_strerror(error));
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
    close_files(server);
}
