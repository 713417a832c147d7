/*
 * holder.h - whose an address is: the process that listens where somebody else wants to
 *
 * Purpose
 *   Programs may listen at one port, each at an address of its own. Of those the one is meant that
 *   stands in the way: who has the very address; else who has all of them.
 *
 *     struct holder holder;
 *     if (holder_find(&holder, "127.0.0.1:8080")) ... holder.user, .process, .name ...
 *
 * Limits
 *   Sockets of this network namespace, from /proc/net/tcp and tcp6. Of another user's the process is
 *   known to root alone.
 */
#ifndef OBSERVER_HOLDER_H
#define OBSERVER_HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

struct holder {
    uid_t user;    /* whose the socket is */
    pid_t process; /* that has it open; 0: not known */
    char name[32]; /* of that process; "": not known. Anything, but terminated */
};

/* Finds who keeps others from listening at `listen` (as --listen has it). Returns whether somebody
 * does; otherwise `holder` is untouched. */
bool holder_find(struct holder *holder, const char *listen);

#endif
