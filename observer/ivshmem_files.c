#include "ivshmem_files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BETWEEN_TRIES_MS = 5 };

static int complain(struct omni_problem *problem, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(struct omni_problem *problem, int error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return error;
}

/* ---- the socket ---- */

static int set_address(struct ivshmem_socket *made, const char *path,
                       struct omni_problem *problem) {
    if (path[0] == '\0' || strlen(path) >= sizeof made->address.sun_path)
        return complain(problem, -ENAMETOOLONG,
                        "--ivshmem %.60s… is not a path of 1 to %zu bytes; choose another", path,
                        sizeof made->address.sun_path - 1);
    made->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(made->address.sun_path, path, strlen(path) + 1);
    return 0;
}

/* Others hold it for an instant only; but anybody who may read the folder can hold it for ever. */
static int wait_for_lock(int folder) {
    const struct timespec pause = {.tv_nsec = BETWEEN_TRIES_MS * 1000000L};
    for (unsigned waited = 0; flock(folder, LOCK_EX | LOCK_NB) < 0;) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (waited >= IVSHMEM_LOCK_MS)
            return -EBUSY;
        (void)nanosleep(&pause, NULL);
        waited += BETWEEN_TRIES_MS;
    }
    return 0;
}

/* Returns the folder's descriptor, which has the lock until it is closed. */
static int lock_folder(const struct sockaddr_un *address) {
    char path[sizeof address->sun_path];
    memcpy(path, address->sun_path, sizeof path);
    int folder = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    int error = wait_for_lock(folder);
    if (error < 0)
        (void)close(folder);
    return error < 0 ? error : folder;
}

/* A socket that nobody listens at is a former server's. Anything else stays as it is. */
static int clear_the_way(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return -errno;
    int error = connect(probe, (const struct sockaddr *)address, sizeof *address);
    error = error == 0 || errno == EAGAIN ? -EADDRINUSE : -errno;
    (void)close(probe);
    if (error == -ENOENT)
        return 0;
    if (error != -ECONNREFUSED)
        return error;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Listens before the lock is gone: until then it looks like a dead server's. */
static int bind_and_listen(struct ivshmem_socket *made) {
    const struct sockaddr *address = (const struct sockaddr *)&made->address;
    made->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode before it has a name: there is no moment at which others could connect. */
    if (made->listener < 0 || fchmod(made->listener, 0600) < 0 ||
        bind(made->listener, address, sizeof made->address) < 0)
        return -errno;
    if (lstat(made->address.sun_path, &made->made) == 0 && listen(made->listener, SOMAXCONN) == 0)
        return 0;
    int error = -errno;
    (void)unlink(made->address.sun_path);
    return error;
}

static int take_place(struct ivshmem_socket *made) {
    int folder = lock_folder(&made->address);
    if (folder < 0)
        return folder;
    int error = clear_the_way(&made->address);
    if (error == 0)
        error = bind_and_listen(made);
    if (error < 0 && made->listener >= 0)
        (void)close(made->listener);
    (void)close(folder);
    return error;
}

static int explain(int error, const char *path, struct omni_problem *problem) {
    switch (error) {
    case -EADDRINUSE:
        return complain(problem, error,
                        "another server answers at %.108s; choose another: --ivshmem SOCKET", path);
    case -EEXIST:
        return complain(problem, error,
                        "%.108s is in the way, and no socket; choose another: --ivshmem SOCKET",
                        path);
    case -EBUSY:
        return complain(problem, error,
                        "somebody keeps the folder of %.108s locked (flock; lslocks says who); "
                        "choose another: --ivshmem SOCKET",
                        path);
    case -ENOENT:
        return complain(problem, error,
                        "there is no folder for the socket %.108s: make it (mkdir -p)", path);
    default:
        return complain(problem, error,
                        "cannot make the socket %.108s: %s; choose another: --ivshmem SOCKET", path,
                        strerror(-error));
    }
}

int ivshmem_socket_open(struct ivshmem_socket *socket, const char *path,
                        struct omni_problem *problem) {
    struct ivshmem_socket made = IVSHMEM_SOCKET_CLOSED;
    int error = set_address(&made, path, problem);
    if (error < 0)
        return error;
    error = take_place(&made);
    if (error < 0)
        return explain(error, path, problem);
    *socket = made;
    return 0;
}

static bool is_still_there(const struct ivshmem_socket *socket) {
    struct stat status;
    return lstat(socket->address.sun_path, &status) == 0 && status.st_dev == socket->made.st_dev &&
           status.st_ino == socket->made.st_ino;
}

/* Removed while it still answers: else one that starts now could take it for a dead one's, and its
 * own would be what is removed. */
void ivshmem_socket_close(struct ivshmem_socket *socket) {
    if (socket->listener < 0)
        return;
    int folder = lock_folder(&socket->address);
    if (folder >= 0 && is_still_there(socket))
        (void)unlink(socket->address.sun_path);
    (void)close(socket->listener);
    if (folder >= 0)
        (void)close(folder);
    *socket = IVSHMEM_SOCKET_CLOSED;
}

/* ---- memory ---- */

/* The folder without links, so that a socket has one name, however it is written. */
static int whole_path(char whole[PATH_MAX], const char *socket) {
    char folder[PATH_MAX];
    char name[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", socket);
    (void)snprintf(name, sizeof name, "%s", socket);
    char *found = realpath(dirname(folder), NULL);
    if (found == NULL)
        return -errno;
    int length =
        snprintf(whole, PATH_MAX, "%s/%s", strcmp(found, "/") == 0 ? "" : found, basename(name));
    free(found);
    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Returns the length, or 0 where it does not fit. */
static size_t flatten(char *to, size_t room, const char *path) {
    size_t at = 0;
    for (; *path != '\0' && at + 2 < room; path++) {
        if (*path == '-' || *path == '_')
            to[at++] = '_';
        to[at++] = *path == '/' ? '-' : *path;
    }
    to[at] = '\0';
    return *path == '\0' ? at : 0;
}

static int name_memory(char path[OMNI_PATH_BYTES], const char *directory, const char *socket,
                       struct omni_problem *problem) {
    static const char prefix[] = "omni-ivshmem.";
    char whole[PATH_MAX] = "/";
    char name[NAME_MAX - sizeof prefix + 2];
    int error = whole_path(whole, socket);
    if (error < 0)
        return complain(problem, error, "cannot find the folder of %.108s: %s", socket,
                        strerror(-error));
    if (flatten(name, sizeof name, whole + 1) == 0)
        return complain(problem, -ENAMETOOLONG,
                        "the whole path of --ivshmem %.108s is too long for the name of a file; "
                        "choose one nearer the root",
                        socket);
    int length = snprintf(path, OMNI_PATH_BYTES, "%s/%s%s",
                          directory != NULL ? directory : OMNI_DIRECTORY_DEFAULT, prefix, name);
    if (length < 0 || (size_t)length >= OMNI_PATH_BYTES)
        return complain(problem, -ENAMETOOLONG,
                        "--directory %.150s is too long; choose a shorter one", directory);
    return 0;
}

/* Whether the file that is there can be taken as it is. */
static bool is_usable(int file, size_t bytes) {
    struct stat status;
    return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0 && (size_t)status.st_size == bytes;
}

static int make_memory(const char *path, size_t bytes) {
    (void)unlink(path);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    int error = ftruncate(file, (off_t)bytes) < 0 ? -errno : 0;
    if (error == 0)
        error = -posix_fallocate(file, 0, (off_t)bytes); /* no memory: now, not as a fault later */
    if (error < 0) {
        (void)close(file);
        (void)unlink(path);
        return error;
    }
    return file;
}

/* BARs of PCI devices have such sizes. */
static int check_size(size_t bytes, struct omni_problem *problem) {
    if (bytes >= 4096 && (bytes & (bytes - 1)) == 0)
        return 0;
    size_t below = 4096;
    while (2 * below <= bytes)
        below *= 2;
    return complain(problem, -EINVAL,
                    "--ivshmem-size %zu is no power of two of at least 4096; the nearest are %zu "
                    "and %zu",
                    bytes, below, 2 * below);
}

int ivshmem_memory_open(char path[OMNI_PATH_BYTES], const char *directory, const char *socket,
                        size_t bytes, struct omni_problem *problem) {
    int error = check_size(bytes, problem);
    if (error == 0)
        error = name_memory(path, directory, socket, problem);
    if (error < 0)
        return error;
    int file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0 && !is_usable(file, bytes)) {
        (void)close(file);
        file = -1;
    }
    if (file < 0)
        file = make_memory(path, bytes);
    if (file < 0)
        return complain(problem, file, "cannot make the memory for --ivshmem, %.120s: %s", path,
                        strerror(-file));
    return file;
}
