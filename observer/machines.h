/*
 * machines.h - the servers for virtual machines (ivshmem.h), and their doorbells as sources know them
 *
 *     machines_open(&machines, loop, &how, &problem);
 *     ... give machines_bells() to sources_open() ...
 *     machines_attach(machines, sources); // from then on rings reach them
 *     machines_close(machines);           // before the sources
 *
 * Threads: all of it in the loop's thread.
 */
#ifndef OBSERVER_MACHINES_H
#define OBSERVER_MACHINES_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include <omni/schema.h>

#include "sources.h"

#define MACHINES_MAX 8u /* servers */

struct machines; /* opaque */

struct machines_options {
    const char *const *sockets; /* one server each */
    size_t count;               /* 0: none; at most MACHINES_MAX */
    const char *directory;      /* see ivshmem.h */
    size_t bytes;
    bool use_bells; /* false: look when a tick should be there */
};

/* Returns 0; -E2BIG: too many sockets; or what ivshmem_open() returns. `problem` has the sentence.
 * *machines is untouched on failure. */
int machines_open(struct machines **machines, uv_loop_t *loop,
                  const struct machines_options *options, struct omni_problem *problem);
void machines_attach(struct machines *machines, struct sources *sources);

/* Their doorbells, with the addresses of their segments; `count` gets how many. Valid until
 * machines_close(). */
const struct sources_bell *const *machines_bells(const struct machines *machines, size_t *count);

/* Run the loop once more to let handles close. NULL is fine. */
void machines_close(struct machines *machines);

#endif
