/*
 * link.h - the network interface: frames in and out, and whether it is there
 *
 * Purpose
 *   A packet socket (packet(7)) bound to one EtherType on one interface, with a ring of
 *   LINK_FRAMES frames in memory that the kernel fills: a burst waits there until the loop has time.
 *   The kernel tells of changes of the interface (rtnetlink(7)); one that goes away and comes back,
 *   also as a new one of the same name, is used again. One line is logged when it is lost, one when
 *   it is back. No timer, no polling.
 *
 * Calling sequence
 *     struct link *link;
 *     if (link_open(&link, &options, &problem) < 0)   // needs CAP_NET_RAW, nothing else here does
 *         ... problem.text ...
 *     link_start(link, loop, &listener);
 *     link_send(link, "redun_notify_irq");
 *     link_close(link);                               // and run the loop until it is empty
 *
 * Limits
 *   Ethernet interfaces only. While the interface is away nothing is kept: what is sent then fails.
 */
#ifndef RELAY_LINK_H
#define RELAY_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "frame.h"

#define LINK_FRAMES 16384u /* that wait, as many as fs.inotify.max_queued_events */

struct link; /* opaque */

struct link_options {
    const char *interface;
    uint16_t ethertype;
    uint8_t destination[ETH_ALEN];
};

struct link_listener {
    void *context;
    /* A frame came; `event` is set for FRAME_EVENT. Returns 0; -EAGAIN: the same again when there is
     * room for sending. */
    int (*on_frame)(void *context, enum frame_kind kind, const struct frame_event *event);
    /* There is room for sending again, after link_send() returned -EAGAIN. */
    void (*on_room)(void *context);
    /* The interface came or went; also once from link_start(). */
    void (*on_change)(void *context, bool is_up);
    /* The kernel had no room for so many frames. */
    void (*on_lost)(void *context, unsigned count);
};

/* Opens the sockets. The interface need not be there yet. Returns 0; -EPERM, -EINVAL (the name cannot
 * be an interface's, or it is no Ethernet) or another -errno, with a sentence in `problem`. */
int link_open(struct link **link, const struct link_options *options, struct omni_problem *problem);

/* Looks for the interface, says so where it is not up, and begins to listen. Returns 0 or -errno. */
int link_start(struct link *link, uv_loop_t *loop, const struct link_listener *listener);

/* Sends a payload. Returns 0; -EAGAIN: no room now, on_room() tells when (and no frame comes
 * meanwhile); -ENETDOWN: the interface is away; -ENOBUFS: its queue is full, or it has lost its carrier
 * just now; another -errno. */
int link_send(struct link *link, const char *payload);

/* Closes everything; its memory goes when the loop has run once more. NULL is fine. */
void link_close(struct link *link);

#endif
