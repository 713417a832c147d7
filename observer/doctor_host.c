/* The machine's own conditions, where they are asked for (--host-source). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <omni/lock.h>
#include <omni/region.h>

#include "doctor.h"
#include "host_source.h"

static bool is_readable(const char *root, const char *path) {
    char whole[PATH_MAX];
    (void)snprintf(whole, sizeof whole, "%s/%s", root, path);
    return access(whole, R_OK) == 0;
}

/* Nothing is read: a file in sys may block. */
static bool check_root(struct doctor *doctor) {
    const char *root = doctor->options->host_root;
    static const char *const files[] = {"proc/stat", "proc/loadavg", "sys/class/thermal",
                                        "sys/class/hwmon"};
    unsigned found = 0;
    if (access(root, R_OK | X_OK) < 0) {
        doctor_say(doctor, DOCTOR_MEND, "omni-observer --host-source --host-root /",
                   "the machine's conditions: %s cannot be read: %s", root, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        found += is_readable(root, files[i]);
    if (found == 0)
        doctor_say(doctor, DOCTOR_MEND, "omni-observer --host-source --host-root /",
                   "the machine's conditions: there is no proc and no sys in %s, so all of them "
                   "would be absent",
                   root);
    return found > 0;
}

void doctor_check_host(struct doctor *doctor) {
    const struct options *options = doctor->options;
    const char *name = options->host_source.name;
    char path[OMNI_PATH_BYTES];
    if (!options->host_source.on || !check_root(doctor))
        return;
    if (name == NULL)
        name = HOST_SOURCE_NAME;
    if (host_source_is_taken(name, options->directory)) {
        doctor_say(doctor, DOCTOR_MEND, "omni-observer --host-source=NAME",
                   "the name \"%s\" is taken, by a robot it seems: the machine's conditions need "
                   "another",
                   name);
        return;
    }
    int error = omni_region_path(path, options->directory, OMNI_FILE_LOCK, name);
    pid_t owner = error == 0 ? omni_lock_owner(path) : 0;
    if (owner > 0)
        doctor_say(doctor, DOCTOR_OK, "", "process %ld publishes \"%s\" already", (long)owner,
                   name);
    else
        doctor_say(doctor, DOCTOR_OK, "", "the machine's conditions can be read in %s",
                   options->host_root);
}
