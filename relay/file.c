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
    return file < 0 ? -errno : file;
}

/* The text first, for that is what somebody waits for. A pipe takes nothing at an offset, and no other
 * kind of file was there at the start. */
static int fill(int file, const char *text) {
    struct stat status;
    size_t length = strlen(text);
    ssize_t count = pwrite(file, text, length, 0);
    if (count < 0)
        return errno == ESPIPE ? -EINVAL : -errno;
    if (fstat(file, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if ((size_t)count < length)
        return -ENOSPC;
    return status.st_size > (off_t)length && ftruncate(file, (off_t)length) < 0 ? -errno : 0;
}

int file_write(int folder, const char *name, const char *text, struct stat *status) {
    *status = (struct stat){.st_ino = 0};
    int file = folder >= 0 ? open_file(folder, name) : -ENOENT;
    if (file < 0)
        return file;
    int error = fill(file, text);
    (void)fstat(file, status);
    (void)close(file);
    return error;
}

int file_prepare(const char *path, bool is_made, struct omni_problem *problem) {
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return complain(problem, -EINVAL, "%.80s is no plain file: remove it", path);
    if (!is_made)
        return 0;
    int made = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (made < 0)
        return complain(problem, -errno, "cannot make %.80s: %s", path, strerror(errno));
    (void)close(made);
    return 0;
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
