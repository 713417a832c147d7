/* Whether what is to be typed takes root's rights. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

static const char *sudo(bool is_needed) {
    return is_needed ? "sudo " : "";
}

const char *doctor_sudo_signal(pid_t process) {
    return sudo(kill(process, 0) < 0 && errno == EPERM);
}

const char *doctor_sudo_change(const char *path) {
    struct stat facts;
    return sudo(geteuid() != 0 && lstat(path, &facts) == 0 && facts.st_uid != geteuid());
}

/* In a sticky folder, as /dev/shm is one, only its owner and the file's may. */
const char *doctor_sudo_remove(const char *path) {
    char copy[PATH_MAX];
    struct stat file;
    struct stat folder;
    (void)snprintf(copy, sizeof copy, "%s", path);
    const char *parent = dirname(copy);
    if (geteuid() == 0 || lstat(path, &file) < 0 || stat(parent, &folder) < 0)
        return "";
    bool is_others = file.st_uid != geteuid() && folder.st_uid != geteuid();
    return sudo(access(parent, W_OK | X_OK) < 0 || ((folder.st_mode & S_ISVTX) != 0 && is_others));
}
