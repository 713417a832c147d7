#include "outlet.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/* A pipe that is ready takes so many bytes without blocking. */
#define WRITE_BYTES_MAX 4096u

int outlet_open(struct outlet *outlet, int out, bool interactive) {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGHUP);
    if (interactive) {
        sigaddset(&watched, SIGWINCH);
        sigaddset(&watched, SIGTSTP);
    }
    struct outlet made = {.out = out};
    made.signals = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
    if (made.signals < 0)
        return -errno;
    (void)sigprocmask(SIG_BLOCK, &watched, &made.before);
    (void)signal(SIGPIPE, SIG_IGN);
    *outlet = made;
    return 0;
}

void outlet_close(struct outlet *outlet) {
    (void)close(outlet->signals);
    (void)sigprocmask(SIG_SETMASK, &outlet->before, NULL);
}

static void take_signals(struct outlet *outlet) {
    struct signalfd_siginfo signal;
    while (read(outlet->signals, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        switch (signal.ssi_signo) {
        case SIGWINCH:
            outlet->resized = true;
            break;
        case SIGTSTP:
            outlet->suspended = true;
            break;
        default:
            outlet->stop = true;
        }
    }
}

/* Waits for signals, for the reader's end and, where `events` says so, for room. True: room. */
static bool wait_until(struct outlet *outlet, short events, const struct timespec *timeout) {
    struct pollfd files[] = {{.fd = outlet->signals, .events = POLLIN},
                             {.fd = outlet->out, .events = events}};
    if (ppoll(files, 2, timeout, NULL) <= 0)
        return false;
    if (files[0].revents != 0)
        take_signals(outlet);
    if ((files[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        outlet->stop = true;
        return false;
    }
    return (files[1].revents & POLLOUT) != 0;
}

static int write_some(struct outlet *outlet, const char **bytes, size_t *length) {
    ssize_t written =
        write(outlet->out, *bytes, *length < WRITE_BYTES_MAX ? *length : WRITE_BYTES_MAX);
    if (written >= 0) {
        *bytes += written;
        *length -= (size_t)written;
        return 0;
    }
    if (errno == EPIPE) {
        outlet->stop = true;
        return 0;
    }
    return errno == EINTR || errno == EAGAIN ? 0 : -errno;
}

int outlet_write(struct outlet *outlet, const char *bytes, size_t length) {
    static const struct timespec at_once = {0, 0};
    while (length > 0) {
        /* The signal is read only once: whoever was stopped must not wait for it again. */
        bool room = wait_until(outlet, POLLOUT, outlet->stop ? &at_once : NULL);
        if (!room && outlet->stop)
            return 0;
        int error = room ? write_some(outlet, &bytes, &length) : 0;
        if (error < 0)
            return error;
    }
    return 0;
}

void outlet_sleep(struct outlet *outlet, uint64_t until_ns) {
    uint64_t now = clock_now_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / CLOCK_NS_A_SECOND),
                               .tv_nsec = (long)(left % CLOCK_NS_A_SECOND)};
    (void)wait_until(outlet, 0, &timeout);
}
