#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"

/* As always, what the umask takes away is not given. */
enum { DIRECTORY_MODE = 0777, FILE_MODE = 0666 };

/* Made only where it is missing: asking for that costs more than opening. */
static int open_file(int folder, const char *name) {
    /* O_NONBLOCK: opening somebody's pipe must not wait for its reader. */
    const int how = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    int file = openat(folder, name, how);
    if (file < 0 && errno == ENOENT)
        file = openat(folder, name, how | O_CREAT, FILE_MODE);
    if (file >= 0)
        return file;
    return errno == EAGAIN ? -EBUSY : -errno; /* a lease, which is no want of room for sending */
}

/* By another name the file may be somebody's elsewhere, who has put it in the place of ours. */
static int check_kind(int file, struct stat *status) {
    if (fstat(file, status) < 0)
        return -errno;
    if (!S_ISREG(status->st_mode))
        return -EINVAL;
    return status->st_nlink > 1 ? -EMLINK : 0;
}

/* The text first where that does no harm, for it is what somebody waits for. */
static int fill(int file, const char *text, bool is_ours) {
    struct stat found;
    size_t length = strlen(text);
    int error = is_ours ? 0 : check_kind(file, &found);
    if (error < 0)
        return error;
    ssize_t count = pwrite(file, text, length, 0);
    if (count < 0)
        return errno == ESPIPE ? -EINVAL : -errno;
    if (is_ours)
        error = check_kind(file, &found);
    if (error < 0)
        return error;
    if ((size_t)count < length)
        return -ENOSPC;
    return found.st_size > (off_t)length && ftruncate(file, (off_t)length) < 0 ? -errno : 0;
}

int file_write(int folder, bool is_ours, const char *name, const char *text, struct stat *status) {
    if (status != NULL)
        *status = (struct stat){.st_ino = 0};
    int file = folder >= 0 ? open_file(folder, name) : -ENOENT;
    if (file < 0)
        return file;
    int error = fill(file, text, is_ours);
    if (status != NULL)
        (void)fstat(file, status);
    (void)close(file);
    return error;
}

static int empty(int file) {
    struct stat status;
    int error = check_kind(file, &status);
    return error == 0 && ftruncate(file, 0) < 0 ? -errno : error;
}

int file_prepare(const char *path, bool is_made, struct omni_problem *problem) {
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return complain(problem, -EINVAL, "%.80s is no plain file: remove it", path);
    if (!is_made)
        return 0;
    int file = open_file(AT_FDCWD, path);
    int error = file < 0 ? file : empty(file);
    if (file >= 0)
        (void)close(file);
    return error == 0 ? 0
                      : complain(problem, error, "cannot make %.80s: %s", path, strerror(-error));
}

const char *file_advice(int error) {
    if (error == -EACCES || error == -EPERM)
        return "; as root, too, the relay has no rights but those of owner and mode: chown or "
               "chmod";
    if (error == -EROFS)
        return "; a service needs ReadWritePaths= for it, see docs/relay.md";
    return "";
}

int file_check_writable(const char *path, struct omni_problem *problem) {
    char folder[PATH_MAX];
    const char *wanted = path;
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    int error = access(path, W_OK) < 0 ? -errno : 0;
    if (error == -ENOENT && slash != NULL) {
        *slash = '\0';
        wanted = folder;
        error = access(folder, W_OK | X_OK) < 0 ? -errno : 0;
    }
    if (error < 0)
        complain_write(problem, "cannot write %.70s: %s%s", wanted, strerror(-error),
                       file_advice(error));
    return error;
}

int file_make_directories(const char *directory) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", directory);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST ? -errno : 0;
}
