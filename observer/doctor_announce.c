/* Whether the network is told where the page is. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "announcer.h"
#include "doctor.h"
#include "door.h"
#include "probe.h"

#define DAEMON_NOTE "/run/avahi-daemon/pid"
#define BUS_SOCKET  "/run/dbus/system_bus_socket"

/* ---- how things are ---- */

static bool has_open_address(const struct options *options) {
    for (size_t i = 0; i < options->listen.count; i++)
        if (!door_is_loopback(options->listen.items[i]))
            return true;
    return false;
}

/* The first line of a file, without its end. */
static bool read_line(const char *path, char line[32]) {
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fgets(line, 32, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (is_read)
        line[strcspn(line, "\n")] = '\0';
    return is_read;
}

/* By its name, where this user may read that; else any process will do. */
static bool is_daemon(pid_t process) {
    char path[64];
    char name[32];
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)process);
    return !read_line(path, name) || strcmp(name, "avahi-daemon") == 0;
}

/* Who connects to its socket, or calls it by D-Bus, would start it: so its own note is read, and the
 * process that it names is looked for. */
static bool daemon_runs(void) {
    char number[32];
    if (!read_line(DAEMON_NOTE, number))
        return false;
    long process = strtol(number, NULL, 10);
    bool lives =
        process > 0 && process <= INT_MAX && (kill((pid_t)process, 0) == 0 || errno == EPERM);
    return lives && is_daemon((pid_t)process);
}

static bool bus_is_there(void) {
    const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
    return (address != NULL && address[0] != '\0') || access(BUS_SOCKET, F_OK) == 0;
}

/* ---- what to type ---- */

static bool daemon_is_installed(void) {
    return access("/usr/sbin/avahi-daemon", X_OK) == 0;
}

static const char *library_remedy(void) {
    if (avahi_is_installed()) /* since that observer looked for it */
        return "sudo systemctl restart omni-observer";
    return daemon_is_installed() ? "sudo apt install libavahi-client3"
                                 : "sudo apt install avahi-daemon libavahi-client3";
}

static const char *daemon_remedy(void) {
    if (!daemon_is_installed())
        return "sudo apt install avahi-daemon";
    if (!bus_is_there())
        return "sudo systemctl start dbus avahi-daemon";
    return daemon_runs() ? "grep enable-dbus /etc/avahi/avahi-daemon.conf"
                         : "sudo systemctl start avahi-daemon";
}

static const char *bus_remedy(void) {
    return bus_is_there() ? "systemctl status dbus" : "sudo systemctl start dbus";
}

static const struct {
    const char *reason; /* or how it begins */
    const char *type;
    const char *(*find)(void); /* or what finds out what to type */
} remedies[] = {
    {.reason = AVAHI_REASON_LIBRARY, .find = library_remedy},
    {.reason = AVAHI_REASON_DAEMON, .find = daemon_remedy},
    {.reason = AVAHI_REASON_ENDED, .find = daemon_remedy},
    {.reason = AVAHI_REASON_BUS, .find = bus_remedy},
    {.reason = AVAHI_REASON_DENIED,
     .type = "grep -r org.freedesktop.Avahi /etc/dbus-1/system.d /usr/share/dbus-1/system.d"},
    {.reason = AVAHI_REASON_FORBIDDEN,
     .type = "sudo sed -i 's/^disable-user-service-publishing=yes/#&/' "
             "/etc/avahi/avahi-daemon.conf && sudo systemctl restart avahi-daemon"},
    {.reason = AVAHI_REASON_REFUSED, .type = "journalctl -b -n 20 -u avahi-daemon"},
    {.reason = ANNOUNCER_REASON_OFF, .type = "omni-observer --announce=yes"},
    {.reason = ANNOUNCER_REASON_ALONE, .type = "ip -brief address"},
};

static const char *remedy_of(const char *reason) {
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
        if (strncmp(reason, remedies[i].reason, strlen(remedies[i].reason)) == 0)
            return remedies[i].find != NULL ? remedies[i].find() : remedies[i].type;
    return ""; /* it passes */
}

/* ---- what is said ---- */

/* What the observer at that address says; false where none does. */
static bool tell_running(struct doctor *doctor, const char *listen) {
    struct probe_answer answer;
    if (probe_ask(&answer, listen, "/healthz", "") < 0)
        return false;
    cJSON *health = cJSON_Parse(answer.body);
    const cJSON *announced = cJSON_GetObjectItem(health, "announced");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(announced, "name"));
    const char *host = cJSON_GetStringValue(cJSON_GetObjectItem(announced, "host"));
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItem(announced, "reason"));
    if (name != NULL)
        doctor_say(doctor, DOCTOR_OK, "", "the network is told of \"%s\", at http://%s:%s/", name,
                   host != NULL ? host : "", strrchr(listen, ':') + 1);
    else if (reason != NULL)
        doctor_say(doctor, DOCTOR_NOTE, remedy_of(reason),
                   "the network is not told where the page is: %s", reason);
    bool has_told = name != NULL || reason != NULL;
    cJSON_Delete(health);
    probe_free(&answer);
    return has_told;
}

/* NULL: nothing speaks against it. */
static const char *find_reason(void) {
    if (!avahi_is_installed())
        return AVAHI_REASON_LIBRARY;
    if (!daemon_runs())
        return AVAHI_REASON_DAEMON;
    return bus_is_there() ? NULL : AVAHI_REASON_BUS;
}

static void tell_expected(struct doctor *doctor) {
    const char *reason = find_reason();
    if (reason == NULL)
        doctor_say(doctor, DOCTOR_OK, "", "avahi-daemon runs: the network will be told");
    else
        doctor_say(doctor, DOCTOR_NOTE, remedy_of(reason),
                   "the network will not be told where the page is: %s", reason);
}

void doctor_check_announce(struct doctor *doctor) {
    const struct options *options = doctor->options;
    if (!options->announce.on) {
        doctor_say(doctor, DOCTOR_OK, "", "the network is told nothing: --announce=no");
        return;
    }
    if (!has_open_address(options)) {
        doctor_say(doctor, DOCTOR_OK, "",
                   "the network is told nothing: only this machine may look");
        return;
    }
    for (size_t i = 0; i < options->listen.count && i < DOCTOR_LISTENS_MAX; i++)
        if (doctor->answers[i] && !door_is_loopback(options->listen.items[i]) &&
            tell_running(doctor, options->listen.items[i]))
            return;
    tell_expected(doctor);
}
