#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decimal.h"

#define NS_A_MICROSECOND 1000u

static int complain(struct omni_problem *problem, int error, const char *variable,
                    const char *value, const char *why) {
    (void)snprintf(problem->text, sizeof problem->text,
                   "%s=%.100s: %s; the service manager will not be told how this goes", variable,
                   value, why);
    return error;
}

/* ---- who wants to be told ---- */

static int read_address(struct notify *notify, const char *path, struct omni_problem *problem) {
    size_t length = strlen(path);
    if (path[0] != '/' && path[0] != '@')
        return complain(problem, -EAFNOSUPPORT, "NOTIFY_SOCKET", path,
                        "neither a path nor an abstract socket (@NAME)");
    if (length < 2 || length >= sizeof notify->address.sun_path)
        return complain(problem, -EINVAL, "NOTIFY_SOCKET", path, "no socket has such a name");
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, path, length);
    if (path[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_bytes = (unsigned)(offsetof(struct sockaddr_un, sun_path) + length);
    return 0;
}

static int open_socket(struct notify *notify, struct omni_problem *problem) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0')
        return 0;
    int error = read_address(notify, path, problem);
    if (error < 0)
        return error;
    notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->socket < 0)
        return complain(problem, -errno, "NOTIFY_SOCKET", path, strerror(errno));
    return 0;
}

/* A watchdog that is another process's (a wrapper's) is not ours to feed. */
static int read_watchdog(struct notify *notify, struct omni_problem *problem) {
    const char *interval = getenv("WATCHDOG_USEC");
    const char *process = getenv("WATCHDOG_PID");
    uint64_t microseconds;
    uint64_t owner = (uint64_t)getpid();
    if (interval == NULL || notify->socket < 0)
        return 0;
    if (!decimal_read(interval, UINT64_MAX / NS_A_MICROSECOND, &microseconds))
        return complain(problem, -EINVAL, "WATCHDOG_USEC", interval, "not a number");
    if (process != NULL && !decimal_read(process, INT32_MAX, &owner))
        return complain(problem, -EINVAL, "WATCHDOG_PID", process, "not a process");
    if (owner == (uint64_t)getpid())
        notify->watchdog_ns = microseconds * NS_A_MICROSECOND;
    return 0;
}

static int read_descriptor(struct notify *notify, struct omni_problem *problem) {
    const char *text = getenv("NOTIFY_FD");
    uint64_t number;
    if (text == NULL)
        return 0;
    /* It is closed once it has been written to: standard error must not be. */
    if (!decimal_read(text, INT32_MAX, &number) || number <= STDERR_FILENO ||
        fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
        return complain(problem, -EBADF, "NOTIFY_FD", text,
                        "not the number of an open descriptor above 2");
    notify->ready_fd = (int)number;
    return 0;
}

static void forget_environment(void) {
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "NOTIFY_FD"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
}

int notify_open(struct notify *notify, struct omni_problem *problem) {
    *notify = (struct notify){.socket = -1, .ready_fd = -1};
    int error = open_socket(notify, problem);
    if (error == 0)
        error = read_watchdog(notify, problem);
    if (error == 0)
        error = read_descriptor(notify, problem);
    if (error < 0)
        notify_close(notify);
    forget_environment();
    return error;
}

/* ---- telling ---- */

static bool tell(const struct notify *notify, const char *text) {
    return sendto(notify->socket, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                  (const struct sockaddr *)&notify->address, notify->address_bytes) >= 0;
}

void notify_describe(struct notify *notify, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(notify->status, sizeof notify->status, format, arguments);
    va_end(arguments);
}

/* A newline, and nothing after it: s6 reads one, and then the end. Returns whether that is done; not
 * where the pipe is full, which others write to as well. */
static bool tell_descriptor(struct notify *notify) {
    struct pollfd room = {.fd = notify->ready_fd, .events = POLLOUT};
    if (notify->ready_fd < 0)
        return true;
    if (poll(&room, 1, 0) <= 0)
        return false;
    (void)!write(notify->ready_fd, "\n", 1);
    (void)close(notify->ready_fd);
    notify->ready_fd = -1;
    return true;
}

static bool tell_socket(struct notify *notify) {
    char text[NOTIFY_STATUS_BYTES + 32];
    if (notify->is_ready || notify->socket < 0)
        return true;
    (void)snprintf(text, sizeof text, "READY=1%s%s", notify->status[0] != '\0' ? "\nSTATUS=" : "",
                   notify->status);
    return tell(notify, text);
}

bool notify_ready(struct notify *notify) {
    bool is_told = tell_descriptor(notify);
    notify->is_ready = tell_socket(notify);
    return notify->is_ready && is_told;
}

void notify_feed(struct notify *notify) {
    if (notify->watchdog_ns > 0)
        (void)tell(notify, "WATCHDOG=1");
}

void notify_alive(struct notify *notify, uint64_t now_ns, uint64_t next_ns) {
    bool was_ready = notify->is_ready;
    if (!was_ready || notify->ready_fd >= 0)
        (void)notify_ready(notify);
    if (!was_ready) {
        notify->fed_ns = now_ns; /* the manager counts from when it hears that */
        return;
    }
    if (notify->watchdog_ns > 0 && next_ns >= notify->fed_ns + notify->watchdog_ns / 2 &&
        tell(notify, "WATCHDOG=1"))
        notify->fed_ns = now_ns;
}

void notify_stopping(struct notify *notify) {
    if (notify->socket >= 0)
        (void)tell(notify, "STOPPING=1");
}

void notify_close(struct notify *notify) {
    if (notify == NULL)
        return;
    if (notify->socket >= 0)
        (void)close(notify->socket);
    if (notify->ready_fd >= 0)
        (void)close(notify->ready_fd);
    notify->socket = notify->ready_fd = -1;
    notify->watchdog_ns = 0;
}
