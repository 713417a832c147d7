/* The sockets for virtual machines, where they are asked for (--ivshmem). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"

#define PLACE "omni-observer --ivshmem /run/omniscient/robot.sock"

enum { REMEDY_BYTES = 600 };

/* Asked of the kernel's list: who connects would be a machine, of which all others are told. */
static bool somebody_listens(const char *socket) {
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/net/unix", "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        unsigned flags = 0;
        char path[256] = "";
        enum { LISTENS = 0x10000 };
        /* number: references protocol flags type state inode path */
        if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %255[^\n]", &flags, path) == 2)
            found = (flags & LISTENS) != 0 && strcmp(path, socket) == 0;
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static bool observer_answers(const struct doctor *doctor) {
    for (size_t i = 0; i < DOCTOR_LISTENS_MAX; i++)
        if (doctor->answers[i])
            return true;
    return false;
}

/* Of a path that a socket may have. */
static void check_folder(struct doctor *doctor, const char *socket) {
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    char remedy[REMEDY_BYTES];
    const char *slash = strrchr(socket, '/');
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == socket ? 1 : (int)(slash == NULL ? 1 : slash - socket),
                   slash == NULL ? "." : socket);
    if (access(folder, W_OK | X_OK) == 0) {
        doctor_say(doctor, DOCTOR_OK, "", "%s can be made for virtual machines", socket);
        return;
    }
    (void)snprintf(remedy, sizeof remedy, "sudo install -d -o \"$(id -un)\" %s", folder);
    doctor_say(doctor, DOCTOR_MEND, remedy, "%s: no socket can be made there: %s", socket,
               strerror(errno));
}

static void check_socket(struct doctor *doctor, const char *socket) {
    struct stat facts;
    bool is_there = lstat(socket, &facts) == 0;
    if (strlen(socket) >= sizeof((struct sockaddr_un *)0)->sun_path)
        doctor_say(doctor, DOCTOR_MEND, PLACE,
                   "%s is longer than 107 bytes, which no socket's "
                   "path may be",
                   socket);
    else if (is_there && !S_ISSOCK(facts.st_mode))
        doctor_say(doctor, DOCTOR_MEND, PLACE, "%s is there already, and no socket", socket);
    else if (!somebody_listens(socket))
        check_folder(doctor, socket);
    else if (observer_answers(doctor))
        doctor_say(doctor, DOCTOR_OK, "", "%s: an observer serves it already", socket);
    else
        doctor_say(doctor, DOCTOR_MEND, PLACE, "%s: another program listens there", socket);
}

void doctor_check_ivshmem(struct doctor *doctor) {
    const struct options *options = doctor->options;
    size_t bytes = options->ivshmem_size;
    for (size_t i = 0; i < options->ivshmem.count; i++)
        check_socket(doctor, options->ivshmem.items[i]);
    if (options->ivshmem.count > 0 && (bytes & (bytes - 1)) != 0)
        doctor_say(doctor, DOCTOR_MEND, "omni-observer --ivshmem-size 1MiB",
                   "%zu bytes of shared memory are no power of two, as virtual machines want it",
                   bytes);
}
