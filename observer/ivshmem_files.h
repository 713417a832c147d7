/*
 * ivshmem_files.h - the two files of a shared-memory server (ivshmem.h): its socket and its memory
 *
 * Calling sequence
 *     ivshmem_socket_open(&socket, path, &problem);        // first: who has the socket has the memory
 *     ivshmem_memory_open(path_of_memory, directory, path, bytes, &problem);
 *     ivshmem_socket_close(&socket);                       // the memory stays
 *
 * Two servers at one path
 *   Looking whether a server lives there and taking the place of a dead one are two steps. Both are
 *   done under a lock (flock) on the folder of the socket, so that of two that start at once one gets
 *   the place and the other is told. The lock is held for an instant; it leaves no file behind.
 *
 * Threads: none; IVSHMEM_LOCK_MS is the longest that opening and closing may sleep.
 */
#ifndef OBSERVER_IVSHMEM_FILES_H
#define OBSERVER_IVSHMEM_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <omni/region.h>
#include <omni/schema.h>

#define IVSHMEM_LOCK_MS 2000u /* so long the folder may be locked by others */

struct ivshmem_socket {
    int listener; /* non-blocking, mode 0600 */
    struct sockaddr_un address;
    struct stat made; /* what was made here: another server's is not removed */
};

#define IVSHMEM_SOCKET_CLOSED ((struct ivshmem_socket){.listener = -1})

/* Listens at `path`, of 1 to 107 bytes. A socket that nobody listens at is replaced.
 * Returns 0; -EADDRINUSE: another server answers there; -EEXIST: there is something else; -EBUSY:
 * the folder stays locked; -ENAMETOOLONG; other -errno. `problem` has the sentence; *socket is
 * untouched on failure. */
int ivshmem_socket_open(struct ivshmem_socket *socket, const char *path,
                        struct omni_problem *problem);

/* Removes the socket's file, if it still is this one's, and closes. A closed one is fine. */
void ivshmem_socket_close(struct ivshmem_socket *socket);

/* Opens the memory of the server at `socket`, or makes it: a file of `bytes` (a power of two of at
 * least 4096) and mode 0600 in `directory` (NULL: /dev/shm), whose path is put into `path`.
 *
 * It is named omni-ivshmem. and the whole path of the socket, from the root on and without links:
 * a "-" stands for "/", "_-" for "-", "__" for "_". So no two sockets have the same, and who reads
 * it knows the socket: run-omni-robot.sock is /run/omni/robot.sock, run-a_-b is /run/a-b.
 *
 * Returns the descriptor; -EINVAL: the size; -ENAMETOOLONG; other -errno. `problem` has the
 * sentence. */
int ivshmem_memory_open(char path[OMNI_PATH_BYTES], const char *directory, const char *socket,
                        size_t bytes, struct omni_problem *problem);

#endif
