/*
 * ivshmem.h - the shared-memory server that virtual machines connect to
 *
 * Purpose
 *   QEMU's device "ivshmem-doorbell" gets its memory from a server on a Unix socket (public
 *   protocol: QEMU's docs/specs/ivshmem-spec, version 0). This is such a server. It makes the memory,
 *   hands it to every machine that connects, and is itself one of the peers: a guest that writes
 *   to its device's doorbell register wakes the observer through an eventfd, with nobody polling.
 *   Guests can ring each other too.
 *
 * Calling sequence
 *     struct ivshmem_options how = {.socket = "/run/robot.sock", .bytes = 1 << 20};
 *     if (ivshmem_open(&server, loop, &how, &problem) < 0) ... problem.text says why ...
 *     ... follow the segment in the file ivshmem_memory(server) ...
 *     ivshmem_listen(server); // how.rung() is called at the next ring, once
 *     ivshmem_close(server); // then run the loop once more
 *
 * The memory
 *   A file in a directory of memory, mode 0600, named after the socket: omni-ivshmem.run-robot.sock
 *   (ivshmem_files.h says how).
 *   It stays when the server ends, so that a server that comes back shows the same robots, whose
 *   machines still have it. (QEMU does not connect again: such machines cannot ring the new server
 *   until they are restarted.) A file of another size is replaced.
 *
 * Trust
 *   The socket has mode 0600: only this user and root connect. The protocol is one-way: a client
 *   that says anything is closed. What a client does not read waits in the kernel; when that is full
 *   (more than a hundred messages), or no more descriptors may be on their way, what there is to tell
 *   is told later, only the newest of it; a client that then reads nothing for IVSHMEM_PATIENCE_MS is
 *   closed, others are not. More than IVSHMEM_GUESTS_MAX are turned away, and at most 50 a second
 *   are admitted.
 *   What a client does with the eventfd of the observer costs at most needless looks.
 *
 * Threads: all of it in the loop's thread.
 */
#ifndef OBSERVER_IVSHMEM_H
#define OBSERVER_IVSHMEM_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <omni/schema.h>

#define IVSHMEM_GUESTS_MAX  16u
#define IVSHMEM_PATIENCE_MS 3000u
#define IVSHMEM_OWN_PEER                                                                           \
    0u /* the observer: what a guest writes to its doorbell is peer << 16 | vector */
#define IVSHMEM_OWN_VECTOR 0u

struct ivshmem; /* opaque */

struct ivshmem_options {
    const char *socket;          /* at most 107 bytes */
    const char *directory;       /* where the memory is made; NULL: /dev/shm */
    size_t bytes;                /* of the memory: a power of two, as PCI wants it */
    uint64_t patience_ms;        /* 0: IVSHMEM_PATIENCE_MS */
    void (*rung)(void *context); /* a guest rang: called once after each ivshmem_listen() */
    void *context;
};

/* Makes memory and socket, and begins to answer. A socket that nobody answers at is replaced.
 * Returns 0; -EADDRINUSE: another server answers there; -EINVAL: the size; other -errno: problem
 * has the sentence. *server is untouched on failure. */
int ivshmem_open(struct ivshmem **server, uv_loop_t *loop, const struct ivshmem_options *options,
                 struct omni_problem *problem);

/* The path of the memory. Valid until the server is closed. */
const char *ivshmem_memory(const struct ivshmem *server);

/* From now on the next ring is heard; those before do not count. Where it is not called again after
 * a ring, more rings cost nothing. */
void ivshmem_listen(struct ivshmem *server);

/* How many machines are connected. */
size_t ivshmem_guests(const struct ivshmem *server);

/* Closes all connections and removes the socket; the memory stays. Run the loop once more to let
 * handles close. NULL is fine. */
void ivshmem_close(struct ivshmem *server);

#endif
