/* What an observer needs of its machine: a sound device, a clock, libraries, limits. */
#include <alsa/asoundlib.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <libwebsockets.h>
#include <microhttpd.h>
#include <qrencode.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "access.h"
#include "alsa.h"
#include "clips.h"
#include "clock.h"
#include "doctor.h"
#include "hub.h"
#include "serve.h"

enum { FILES_TO_TRY = 256 };

/* ---- sound ---- */

struct devices {
    char names[160];
    unsigned count;
};

static void add_device(void *context, const char *name) {
    struct devices *devices = context;
    size_t used = strlen(devices->names);
    if (strcmp(name, "null") != 0 && used + strlen(name) + 3 < sizeof devices->names)
        (void)snprintf(devices->names + used, sizeof devices->names - used, "%s%s",
                       devices->count++ == 0 ? "" : ", ", name);
}

static void check_sound_files(struct doctor *doctor) {
    const char *directory = doctor->options->sound_dir;
    if (directory == NULL || access(directory, R_OK | X_OK) == 0)
        return;
    doctor_say(doctor, DOCTOR_MEND, "omni-observer --sound-dir DIR",
               "the sounds in %s cannot be read: %s", directory, strerror(errno));
}

/* Who has not switched sounds on may live without them. */
void doctor_check_sound(struct doctor *doctor) {
    const struct options *options = doctor->options;
    const struct alsa alsa = {.device = options->sound_device};
    struct devices devices = {.count = 0};
    check_sound_files(doctor);
    alsa_hush();
    int error = alsa_probe(&alsa);
    if (error == 0) {
        doctor_say(doctor, DOCTOR_OK, "", "the device \"%s\" can be played on",
                   options->sound_device);
    } else {
        alsa_devices(add_device, &devices);
        bool has_other = devices.count > 0;
        doctor_say(doctor, options->sound ? DOCTOR_MEND : DOCTOR_NOTE,
                   has_other ? "omni-observer sound-test --sound-device NAME"
                             : "sudo usermod -aG audio $USER",
                   "no sound device \"%s\": %s%s%s", options->sound_device, alsa_explain(error),
                   has_other ? "; there are: "
                             : "; there is none at all: no sound card, or this user may not use it",
                   devices.names);
    }
    alsa_forget();
}

/* ---- clock ---- */

#define RELEASED_S UINT64_C(1767225600) /* 2026-01-01: it cannot be earlier now */

static unsigned check_date(struct doctor *doctor) {
    uint64_t now_s = clock_wall_ns() / CLOCK_NS_A_SECOND;
    time_t now = (time_t)now_s;
    struct tm date;
    char words[32] = "?";
    if (now_s >= RELEASED_S)
        return 0;
    if (gmtime_r(&now, &date) != NULL)
        (void)strftime(words, sizeof words, "%Y-%m-%d %H:%M", &date);
    doctor_say(doctor, DOCTOR_MEND, "sudo timedatectl set-ntp true",
               "the clock says %s UTC, which is over: ages are true, dates in plots and files are "
               "not",
               words);
    return 1;
}

static unsigned check_synchronised(struct doctor *doctor) {
    struct timex state = {.modes = 0};
    if (adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0)
        return 0;
    doctor_say(doctor, DOCTOR_NOTE, "timedatectl status",
               "nobody sets the clock (no NTP, or not yet): dates may differ from those of other "
               "machines");
    return 1;
}

static unsigned check_clock_source(struct doctor *doctor) {
    static const char *const slow[] = {"jiffies", "refined-jiffies", "acpi_pm", "hpet"};
    char path[600];
    char name[64] = "";
    (void)snprintf(path, sizeof path,
                   "%s/sys/devices/system/clocksource/clocksource0/current_clocksource",
                   doctor->options->host_root);
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(name, sizeof name, file) != NULL)
        name[strcspn(name, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        if (strcmp(name, slow[i]) != 0)
            continue;
        doctor_say(
            doctor, DOCTOR_NOTE, "cat /sys/devices/system/clocksource/clocksource0/*",
            "the kernel's clock is \"%s\": each tick of a robot pays microseconds to read it",
            name);
        return 1;
    }
    return 0;
}

void doctor_check_clock(struct doctor *doctor) {
    unsigned noted = check_date(doctor) + check_synchronised(doctor) + check_clock_source(doctor);
    if (noted == 0)
        doctor_say(doctor, DOCTOR_OK, "", "it is set, and quick to read");
}

/* ---- libraries ---- */

/* Whether two versions begin with the same number. */
static bool is_same_major(const char *built, const char *found) {
    return strtoul(built, NULL, 10) == strtoul(found, NULL, 10);
}

static void format_version(char text[24], uint32_t version) {
    (void)snprintf(text, 24, "%x.%x.%x", version >> 24 & 0xFFu, version >> 16 & 0xFFu,
                   version >> 8 & 0xFFu);
}

/* The rest is loaded by a name that changes with whatever would not fit. */
static unsigned compare_libraries(struct doctor *doctor) {
    char microhttpd[24];
    char cjson[24];
    format_version(microhttpd, MHD_VERSION);
    (void)snprintf(cjson, sizeof cjson, "%d.%d.%d", CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR,
                   CJSON_VERSION_PATCH);
    const struct {
        const char *name;
        const char *built;
        const char *found;
    } libraries[] = {
        {"libmicrohttpd", microhttpd, MHD_get_version()},
        {"libwebsockets", LWS_LIBRARY_VERSION, lws_get_library_version()},
        {"libuv", "1", uv_version_string()},
        {"cJSON", cjson, cJSON_Version()},
        {"alsa-lib", SND_LIB_VERSION_STR, snd_asoundlib_version()},
    };
    char all[256] = "";
    char sounds[64] = "without libsndfile";
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof all - used, "%s%s %s", i > 0 ? ", " : "",
                       libraries[i].name, libraries[i].found);
        if (is_same_major(libraries[i].built, libraries[i].found))
            continue;
        wrong++;
        doctor_say(doctor, DOCTOR_MEND, "ldd $(command -v omni-observer)",
                   "%s is %s, this program was built with %s", libraries[i].name,
                   libraries[i].found, libraries[i].built);
    }
    (void)clips_library_version(sounds, sizeof sounds);
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, "", "omni-observer " OMNI_VERSION " with %s, qrencode %s, %s",
                   all, QRcode_APIVersionString(), sounds);
    return wrong;
}

/* Debian has the piece that joins the two in a package of its own. Tried as serve does it. */
static void check_event_loop(struct doctor *doctor) {
    const struct hub_options how = {.clients_max = 1,
                                    .message_bytes_max = 256,
                                    .backlog_bytes_max = 4096,
                                    .blocked_seconds = 1,
                                    .handshake_seconds = 1,
                                    .ping_seconds = 1};
    const struct access access = {.token = ""};
    struct hub *hub = NULL;
    struct rlimit files;
    uv_loop_t loop;
    /* libwebsockets sets memory aside for each that is allowed. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > FILES_TO_TRY)
        (void)setrlimit(RLIMIT_NOFILE,
                        &(struct rlimit){.rlim_cur = FILES_TO_TRY, .rlim_max = files.rlim_max});
    int error = uv_loop_init(&loop);
    if (error < 0) {
        doctor_say(doctor, DOCTOR_MEND, "ulimit -n 4096", "libuv does not start: %s",
                   uv_strerror(error));
        return;
    }
    error = hub_open(&hub, &loop, &how, &access);
    if (error < 0)
        doctor_say(doctor, DOCTOR_MEND, "sudo apt install libwebsockets-evlib-uv",
                   "libwebsockets does not start; its libuv plugin may be missing");
    hub_close(hub);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
}

void doctor_check_libraries(struct doctor *doctor) {
    (void)compare_libraries(doctor);
    check_event_loop(doctor);
}

/* ---- limits ---- */

static unsigned check_files(struct doctor *doctor) {
    struct rlimit files;
    char remedy[64];
    uint64_t needed = serve_files(doctor->options);
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max >= needed)
        return 0;
    (void)snprintf(remedy, sizeof remedy, "ulimit -Hn %" PRIu64, needed);
    doctor_say(doctor, DOCTOR_MEND, remedy,
               "%" PRIu64 " open files are allowed, --max-clients %u and --max-requests %u need up "
               "to %" PRIu64,
               (uint64_t)files.rlim_max, doctor->options->max_clients,
               doctor->options->max_requests, needed);
    return 1;
}

/* Without it new robots are found by a look a second. */
static unsigned check_watches(struct doctor *doctor) {
    int watcher = inotify_init1(IN_CLOEXEC);
    int error = watcher < 0 ? errno : 0;
    if (watcher >= 0 && inotify_add_watch(watcher, doctor->options->directory, IN_CREATE) < 0)
        error = errno;
    if (watcher >= 0)
        (void)close(watcher);
    if (error != EMFILE && error != ENFILE && error != ENOSPC && error != ENOMEM)
        return 0;
    doctor_say(doctor, DOCTOR_MEND,
               error == ENOSPC ? "sudo sysctl fs.inotify.max_user_watches=65536"
                               : "sudo sysctl fs.inotify.max_user_instances=512",
               "the kernel lets this user watch no more directories: new robots appear up to a "
               "second late");
    return 1;
}

void doctor_check_limits(struct doctor *doctor) {
    if (check_files(doctor) + check_watches(doctor) == 0)
        doctor_say(doctor, DOCTOR_OK, "", "files and watches are enough for %u clients",
                   doctor->options->max_clients);
}
