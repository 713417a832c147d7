/*
 * inherited.h - listening sockets that whoever started this process hands over
 *
 * Purpose
 *   systemd (a .socket unit) and others open the port before the service runs, and keep it while it
 *   is restarted: visitors wait instead of being refused. They hand sockets over as the descriptors
 *   from 3 on, their number in $LISTEN_FDS, the process that they are for in $LISTEN_PID
 *   (sd_listen_fds(3)).
 *
 * Calling sequence
 *   Once; then the sockets are the caller's (door_listen() takes them).
 */
#ifndef OBSERVER_INHERITED_H
#define OBSERVER_INHERITED_H

#include <omni/schema.h>

/* Descriptor of the first one; the others follow. */
#define INHERITED_FIRST 3

/* More are refused: something is wrong then. */
#define INHERITED_MAX 64

/* Reads $LISTEN_FDS and $LISTEN_PID, and removes them and $LISTEN_FDNAMES from the environment.
 * Children of this process get none of the sockets (close on exec). Before other threads start.
 * Returns how many there are; 0 where nothing was handed over, or to another process; -EINVAL or
 * -EBADF with a sentence in `problem` where that makes no sense. */
int inherited_take(struct omni_problem *problem);

#endif
