/* What robots publish: the directory, each source in it, and whether there is a robot at all. */
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <omni/region.h>

#include "clock.h"
#include "doctor.h"
#include "host_source.h"
#include "look.h"
#include "plain.h"

#define ROOM_BYTES (UINT64_C(1) << 20)

/* ---- the directory ---- */

static bool is_memory(const struct statfs *system) {
    uint32_t kind = (uint32_t)system->f_type; /* signed on some CPUs */
    return kind == TMPFS_MAGIC || kind == RAMFS_MAGIC || kind == HUGETLBFS_MAGIC;
}

static void blame_absence(struct doctor *doctor, int error) {
    const char *path = doctor->options->directory;
    bool is_usual = strcmp(path, OMNI_DIRECTORY_DEFAULT) == 0;
    doctor_say(doctor, DOCTOR_MEND,
               is_usual && error == ENOENT
                   ? "sudo mkdir /dev/shm && sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm"
                   : "omni-observer doctor --directory /dev/shm",
               "%s, where segments are looked for, cannot be read: %s", path, strerror(error));
}

/* Returns how many things were wrong. */
static unsigned check_permissions(struct doctor *doctor, const struct stat *facts) {
    const char *path = doctor->options->directory;
    char remedy[600];
    bool is_shared = (facts->st_mode & S_IWOTH) != 0;
    (void)snprintf(remedy, sizeof remedy, "%schmod 1777 %s", doctor_sudo_change(path), path);
    if (access(path, W_OK | X_OK) < 0) {
        doctor_say(doctor, DOCTOR_MEND, remedy,
                   "%s (mode %04o) is closed to this user: no robot of this user can publish there",
                   path, facts->st_mode & 07777u);
        return 1;
    }
    if (strcmp(path, OMNI_DIRECTORY_DEFAULT) == 0 && !is_shared) {
        doctor_say(doctor, DOCTOR_MEND, remedy,
                   "%s (mode %04o) is closed to other users: their robots cannot publish there",
                   path, facts->st_mode & 07777u);
        return 1;
    }
    if (is_shared && (facts->st_mode & S_ISVTX) == 0) {
        doctor_say(doctor, DOCTOR_MEND, remedy,
                   "in %s (mode %04o) every user may remove the segments of others", path,
                   facts->st_mode & 07777u);
        return 1;
    }
    return 0;
}

static unsigned check_room(struct doctor *doctor, const struct statfs *system) {
    const char *path = doctor->options->directory;
    char remedy[600];
    uint64_t free_bytes = (uint64_t)system->f_bavail * (uint64_t)system->f_bsize;
    bool has_files = system->f_files == 0 || system->f_ffree > 0;
    if (free_bytes >= ROOM_BYTES && has_files)
        return 0;
    (void)snprintf(remedy, sizeof remedy, "ls -lS %s", path);
    doctor_say(doctor, DOCTOR_MEND, remedy,
               "%s is full (%" PRIu64 " KiB free): no robot can begin there; remove what is no "
               "longer needed",
               path, free_bytes / 1024);
    return 1;
}

void doctor_check_directory(struct doctor *doctor) {
    const char *path = doctor->options->directory;
    struct stat facts;
    struct statfs system;
    if (stat(path, &facts) < 0 || statfs(path, &system) < 0 || access(path, R_OK | X_OK) < 0) {
        blame_absence(doctor, errno);
        return;
    }
    if (!S_ISDIR(facts.st_mode)) {
        blame_absence(doctor, ENOTDIR);
        return;
    }
    unsigned wrong = check_permissions(doctor, &facts) + check_room(doctor, &system);
    if (!is_memory(&system)) {
        doctor_say(doctor, DOCTOR_MEND, "omni-observer doctor --directory /dev/shm",
                   "%s lies on a disk: a robot that publishes there waits for it now and then",
                   path);
        wrong++;
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, "", "%s is memory, open to robots, with %" PRIu64 " MiB free",
                   path, (uint64_t)system.f_bavail * (uint64_t)system.f_bsize >> 20);
}

/* ---- each source ---- */

static void age_in_words(char words[64], uint64_t age_ns) {
    struct text text;
    text_open(&text, 0);
    plain_duration(&text, age_ns);
    (void)snprintf(words, 64, "%.*s", text.failed ? 0 : (int)text.length, text_bytes(&text));
    text_close(&text);
}

/* Its letter in /proc/ID/stat, behind a name that may hold anything; '?' where there is none. */
static char process_state(uint32_t id) {
    char path[64];
    char line[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", id);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return '?';
    bool is_read = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    const char *behind = is_read ? strrchr(line, ')') : NULL;
    return behind != NULL && behind[1] == ' ' ? behind[2] : '?';
}

static void blame_silence(struct doctor *doctor, const char *name,
                          const struct omni_source_facts *facts, bool has_ticked, const char *age) {
    char remedy[160];
    char state = process_state(facts->process_id);
    doctor->has_silent = true;
    if (state == 'T' || state == 't') {
        (void)snprintf(remedy, sizeof remedy, "%skill -CONT %" PRIu32,
                       doctor_sudo_signal((pid_t)facts->process_id), facts->process_id);
        doctor_say(doctor, DOCTOR_MEND, remedy,
                   "%s: its program (process %" PRIu32 ") was suspended %s ago", name,
                   facts->process_id, age);
        return;
    }
    (void)snprintf(remedy, sizeof remedy, "ps -o pid,stat,wchan:20,args -p %" PRIu32,
                   facts->process_id);
    doctor_say(doctor, DOCTOR_MEND, remedy,
               "%s: its program (process %" PRIu32 ") is there, but %s%s%s", name,
               facts->process_id, has_ticked ? "has not ticked for " : "has never ticked",
               has_ticked ? age : "", state == 'D' ? " (it waits for a device)" : "");
}

static void remember_robot(struct doctor *doctor, const struct look *look, const char *name) {
    if (omni_observer_table(look->observer)->hash != host_source_hash() &&
        doctor->robot_count < SOURCES_MAX)
        (void)snprintf(doctor->robots[doctor->robot_count++], OMNI_NAME_BYTES, "%s", name);
}

/* What became of a segment of this kernel. */
static void judge(struct doctor *doctor, struct look *look, const char *name) {
    const struct omni_source_facts *facts = omni_observer_facts(look->observer);
    struct omni_stamp stamp = {.version = 0};
    char path[OMNI_PATH_BYTES] = "";
    char remedy[OMNI_PATH_BYTES + 16];
    char age[64];
    (void)omni_observer_newest(look->observer, &stamp, look->payload);
    uint64_t now_ns = clock_now_ns();
    uint64_t newest_ns = stamp.version != 0 ? look_newest_ns(look, &stamp, now_ns) : 0;
    const char *reason = look_reason(look, newest_ns, now_ns);
    (void)omni_region_path(path, doctor->options->directory, OMNI_FILE_SEGMENT, name);
    (void)snprintf(remedy, sizeof remedy, "%srm %s", doctor_sudo_remove(path), path);
    age_in_words(age, now_ns - newest_ns);
    if (stamp.version == 0 && reason[0] == '\0')
        reason = "silent";
    if (reason[0] == '\0') {
        remember_robot(doctor, look, name);
        doctor_say(doctor, DOCTOR_OK, "", "%s: live, tick %" PRIu64 ", by process %" PRIu32, name,
                   stamp.tick, facts->process_id);
    } else if (strcmp(reason, "silent") == 0) {
        blame_silence(doctor, name, facts, stamp.version != 0, age);
    } else if (strcmp(reason, "closed") == 0) {
        doctor_say(
            doctor, DOCTOR_NOTE, remedy,
            "%s: it said goodbye %s ago; it stays visible until it is removed or starts again",
            name, age);
    } else {
        doctor_say(doctor, DOCTOR_MEND, remedy,
                   "%s: its program (process %" PRIu32 ") died without a word %s ago; start it "
                   "again, or remove what it left",
                   name, facts->process_id, age);
    }
}

/* Regions tell of life and death only to who watches them for a while. */
static void judge_region(struct doctor *doctor, const struct look *look, const char *address) {
    const char *name = omni_observer_facts(look->observer)->name;
    remember_robot(doctor, look, name);
    doctor_say(doctor, DOCTOR_OK, "omni-observer list",
               "%s holds the source %s; whether it ticks, list tells", address, name);
}

static void blame_segment(struct doctor *doctor, const char *name, int error,
                          const struct omni_problem *problem) {
    char remedy[OMNI_PATH_BYTES + 32] = "";
    char path[OMNI_PATH_BYTES] = "";
    struct stat facts;
    (void)omni_region_path(path, doctor->options->directory, OMNI_FILE_SEGMENT, name);
    bool is_there = lstat(path, &facts) == 0;
    bool is_file = !is_there || S_ISREG(facts.st_mode);
    bool is_broken = error == -EBADMSG || error == -ENODATA || error == -EINVAL || error == -EFBIG;
    if (!is_file || is_broken)
        (void)snprintf(remedy, sizeof remedy, "%srm %s%s", doctor_sudo_remove(path),
                       is_there && S_ISDIR(facts.st_mode) ? "-r " : "", path);
    else if (error == -EPERM && is_there)
        (void)snprintf(remedy, sizeof remedy, "omni-observer --trust %lu",
                       (unsigned long)facts.st_uid);
    else if (error == -EPROTO)
        (void)snprintf(remedy, sizeof remedy, "omni-observer --version");
    else if (error == -EACCES)
        (void)snprintf(remedy, sizeof remedy, "%schmod a+r %s", doctor_sudo_change(path), path);
    doctor_say(doctor, DOCTOR_MEND, remedy, "%s cannot be shown: %s", name, problem->text);
}

static int check_source(void *context, const char *name) {
    struct doctor *doctor = context;
    struct omni_problem problem = {.text = ""};
    struct look look;
    int error = look_open(&look, doctor->options, name, &problem);
    if (error == 0) {
        judge(doctor, &look, name);
        look_close(&look);
    } else if (error != -ENOENT && error != -EAGAIN) {
        blame_segment(doctor, name, error, &problem);
    }
    return 0;
}

static void check_region(struct doctor *doctor, const char *address) {
    struct omni_problem problem = {.text = ""};
    struct look look;
    if (look_open(&look, doctor->options, address, &problem) < 0) {
        doctor_say(doctor, DOCTOR_MEND, "man omni-observer", "%s: %s", address, problem.text);
        return;
    }
    judge_region(doctor, &look, address);
    look_close(&look);
}

void doctor_check_sources(struct doctor *doctor) {
    const struct options *options = doctor->options;
    (void)omni_sources_each(options->directory, check_source, doctor); /* said of the directory */
    for (size_t i = 0; i < options->region.count; i++)
        check_region(doctor, options->region.items[i]);
}

static bool belongs_to_another(const char *directory, const char *name) {
    char path[OMNI_PATH_BYTES];
    struct stat facts;
    return omni_region_path(path, directory, OMNI_FILE_LOCK, name) == 0 &&
           stat(path, &facts) == 0 && facts.st_uid != geteuid();
}

/* Nothing that would be refused: where a source or the directory stands in the way, what is said of
 * that comes first. */
static void advise_robot(char remedy[600], const struct doctor *doctor) {
    const char *directory = doctor->options->directory;
    bool is_usual = strcmp(directory, OMNI_DIRECTORY_DEFAULT) == 0;
    remedy[0] = '\0';
    if (!doctor->has_silent && access(directory, W_OK | X_OK) == 0)
        (void)snprintf(remedy, 600, "omni-robot%s%s%s", is_usual ? "" : " --directory ",
                       is_usual ? "" : directory,
                       belongs_to_another(directory, "robot") ? " --name NAME" : "");
}

void doctor_check_robot(struct doctor *doctor) {
    char remedy[600];
    advise_robot(remedy, doctor);
    if (doctor->robot_count == 0)
        doctor_say(doctor, DOCTOR_MEND, remedy, "nothing publishes: a page would be empty%s",
                   remedy[0] == '\0' ? "; mend what is said above first" : "");
    else
        doctor_say(doctor, DOCTOR_OK, "", "%s%s publishes", doctor->robots[0],
                   doctor->robot_count > 1 ? ", among others," : "");
}
