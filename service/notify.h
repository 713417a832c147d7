/*
 * notify.h - telling the service manager how a program is: ready, alive, stopping
 *
 * Purpose
 *   systemd (Type=notify) and others wait until a program says that it is ready, and end one whose
 *   watchdog is not fed. They are told by datagrams to the socket that $NOTIFY_SOCKET names; how is
 *   documented and stable (sd_notify(3); docs/adr/0015-notify.md says why it is not libsystemd
 *   that does it). s6 and its kin have no watchdog, and wait for a newline on a descriptor, which
 *   $NOTIFY_FD names. Where nobody wants to be told, nothing is sent.
 *
 * Calling sequence
 *     struct notify notify;
 *     if (notify_open(&notify, &problem) < 0)
 *         ... say problem.text, go on: nobody is told ...
 *     notify_describe(&notify, "100 ticks a second");
 *     each tick:   notify_alive(&notify, now_ns, next_ns);
 *     or a timer:  notify_ready(&notify) once, then notify_feed(&notify) every
 *                  notify.watchdog_ns / 2
 *     in the end:  notify_stopping(&notify); notify_close(&notify);
 *
 * The watchdog is fed by the thread whose life it watches, and by no other.
 *
 * Limits
 *   No call blocks: what does not fit into the manager's queue or pipe is sent with the next call.
 *   Who inherited a pipe that nobody reads any more gets SIGPIPE, unless it ignores that. One
 *   thread at a time.
 */
#ifndef SERVICE_NOTIFY_H
#define SERVICE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <omni/schema.h>

#define NOTIFY_STATUS_BYTES 160

/* Read watchdog_ns; the other members are the module's own. */
struct notify {
    uint64_t watchdog_ns; /* who feeds it not for so long is ended; 0: there is none */
    uint64_t fed_ns;
    int socket;    /* -1: nobody wants datagrams */
    int ready_fd;  /* -1: nobody waits for a newline, or it has been written */
    bool is_ready; /* the socket was told, where there is one */
    unsigned address_bytes;
    struct sockaddr_un address;
    char status[NOTIFY_STATUS_BYTES];
};

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC, $WATCHDOG_PID and $NOTIFY_FD and removes them from the
 * environment, so
 * that no child takes them for its own. Without them: nobody wants to be told, 0.
 * Returns 0; -errno with a sentence in `problem` where the socket cannot be had or the variables
 * mean nothing: then nobody is told, and *notify may be used all the same. Before other threads
 * start (setenv(3)). */
int notify_open(struct notify *notify, struct omni_problem *problem);

/* What `systemctl status` shows beside the name once it is ready. Longer texts are cut. */
void notify_describe(struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says once that it is ready. Returns whether that has been said by now. */
bool notify_ready(struct notify *notify);

/* Feeds the watchdog, where there is one. */
void notify_feed(struct notify *notify);

/* For a loop, each time round: says once that it is ready, and then feeds the watchdog where half of
 * its time would be over at `next_ns`, when this is called again. Times are of one clock, in
 * nanoseconds. No system call while nothing is due. */
void notify_alive(struct notify *notify, uint64_t now_ns, uint64_t next_ns);

/* Says that it is ending in order. */
void notify_stopping(struct notify *notify);

/* NULL and a struct after a failed notify_open() are fine. */
void notify_close(struct notify *notify);

#endif
