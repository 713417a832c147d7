/*
 * reach.h - from where else a listening socket is reached: which interfaces, which protocol
 *
 * Purpose
 *   What is announced on a network must be reached from it. A page on 127.0.0.1 is for this machine
 *   alone; one on the address of an interface is for that interface's network; one on 0.0.0.0 or
 *   [::] is for all of them, by IPv4, IPv6 or both.
 *
 * Calling sequence
 *     struct reach_list list = {.count = 0};
 *     reach_add(&list, socket);            ... for each that listens ...
 *     list.items[i].interface, .family, .port
 *
 * Limits
 *   At most REACH_MAX; interfaces are those of the moment. Pure but for the kernel's lists.
 */
#ifndef OBSERVER_REACH_H
#define OBSERVER_REACH_H

#include <stdbool.h>
#include <stddef.h>

#define REACH_MAX             16u
#define REACH_EVERY_INTERFACE 0u

struct reach {
    unsigned interface; /* its index; or REACH_EVERY_INTERFACE */
    int family;         /* AF_INET, AF_INET6; AF_UNSPEC: both */
    unsigned port;      /* 1 to 65535 */
};

struct reach_list {
    struct reach items[REACH_MAX];
    size_t count;
};

/* Adds from where a listening TCP socket is reached. Nothing is added where that is this machine
 * alone, an address that no interface has, or a network that an earlier socket is reached from
 * already: there is one page, and the first address is its own.
 * Returns whether it was added; false, too, where the list is full or it is no such socket. */
bool reach_add(struct reach_list *list, int socket);

#endif
