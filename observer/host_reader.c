#include "host_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 4096 };

/* ---- files ---- */

/* The beginning of a file of the kernel's, as text; false where there is none. */
static bool read_text(const struct host_reader *reader, const char *path, char text[FILE_BYTES]) {
    char whole[PATH_MAX];
    if (snprintf(whole, sizeof whole, "%s/%s", reader->root, path) >= (int)sizeof whole)
        return false;
    int file = open(whole, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t bytes = read(file, text, FILE_BYTES - 1);
    (void)close(file);
    text[bytes > 0 ? bytes : 0] = '\0';
    return bytes > 0;
}

static bool read_number(const struct host_reader *reader, const char *path, int base,
                        long long *number) {
    char text[FILE_BYTES];
    char *end = text;
    if (!read_text(reader, path, text))
        return false;
    errno = 0;
    long long value = strtoll(text, &end, base);
    if (errno != 0 || end == text || (*end != '\n' && *end != '\0'))
        return false;
    *number = value;
    return true;
}

/* ---- devices by their kind ---- */

/* Where a class of devices is, what their names begin with, and which file says what they are. */
struct device_class {
    const char *folder;
    const char *prefix;
    const char *kind_file;
};

static const struct device_class thermal = {"sys/class/thermal", "thermal_zone", "type"};
static const struct device_class hwmon = {"sys/class/hwmon", "hwmon", "name"};

/* The place of the device's kind among the wanted ones, NULL at their end; the end where it is none
 * of them. */
static size_t rank(const struct host_reader *reader, const struct device_class *class,
                   const char *device, const char *const *wanted) {
    char path[PATH_MAX];
    char kind[FILE_BYTES];
    size_t place = 0;
    (void)snprintf(path, sizeof path, "%s/%s/%s", class->folder, device, class->kind_file);
    if (!read_text(reader, path, kind))
        kind[0] = '\0';
    kind[strcspn(kind, "\n")] = '\0';
    while (wanted[place] != NULL && strcmp(wanted[place], kind) != 0)
        place++;
    return place;
}

static DIR *open_folder(const struct host_reader *reader, const char *folder) {
    char path[PATH_MAX];
    bool fits = snprintf(path, sizeof path, "%s/%s", reader->root, folder) < (int)sizeof path;
    return fits ? opendir(path) : NULL;
}

static bool begins(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Writes the path of a device's file: of the kind that is wanted most, and of several of that kind of
 * the one with the least name. */
static bool find_device(const struct host_reader *reader, const struct device_class *class,
                        const char *const *wanted, const char *file, char path[PATH_MAX]) {
    char best[NAME_MAX + 1] = "";
    size_t best_rank = 0;
    DIR *folder = open_folder(reader, class->folder);
    if (folder == NULL)
        return false;
    while (wanted[best_rank] != NULL)
        best_rank++;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (!begins(entry->d_name, class->prefix))
            continue;
        size_t place = rank(reader, class, entry->d_name, wanted);
        bool is_better = place < best_rank || (best[0] != '\0' && place == best_rank &&
                                               strverscmp(entry->d_name, best) < 0);
        if (is_better) {
            best_rank = place;
            (void)snprintf(best, sizeof best, "%s", entry->d_name);
        }
    }
    (void)closedir(folder);
    if (best[0] == '\0')
        return false;
    return snprintf(path, PATH_MAX, "%s/%s/%s", class->folder, best, file) < PATH_MAX;
}

/* ---- temperature ---- */

/* A zone that is switched off says -274 °C, and a broken sensor anything. */
static bool read_millidegrees(const struct host_reader *reader, const char *path,
                              long long *millidegrees) {
    enum { COLDEST = -273150, HOTTEST = 1000000 };
    long long read = 0;
    if (!read_number(reader, path, 10, &read) || read < COLDEST || read > HOTTEST)
        return false;
    *millidegrees = read;
    return true;
}

static float read_temperature(const struct host_reader *reader) {
    static const char *const zones[] = {"cpu-thermal",  "cpu_thermal",     "x86_pkg_temp",
                                        "cpu0-thermal", "cpu-0-0-thermal", "CPU-therm",
                                        "soc-thermal",  "soc_thermal",     NULL};
    static const char *const chips[] = {"coretemp", "k10temp", "zenpower", "cpu_thermal", NULL};
    char path[PATH_MAX];
    long long millidegrees = 0;
    bool is_read = (find_device(reader, &thermal, zones, "temp", path) &&
                    read_millidegrees(reader, path, &millidegrees)) ||
                   (find_device(reader, &hwmon, chips, "temp1_input", path) &&
                    read_millidegrees(reader, path, &millidegrees));
    return is_read ? (float)millidegrees / 1000 : NAN;
}

/* ---- load ---- */

static void read_load(const struct host_reader *reader, float load[3]) {
    char text[FILE_BYTES];
    const char *at = text;
    load[0] = load[1] = load[2] = NAN;
    if (!read_text(reader, "proc/loadavg", text))
        return;
    for (size_t i = 0; i < 3; i++) {
        char *end = NULL;
        float value = strtof(at, &end);
        if (end == at || !isfinite(value) || value < 0)
            return;
        load[i] = value;
        at = end;
    }
}

/* The first line of proc/stat: user nice system idle iowait irq softirq steal, then what is counted
 * in user and nice already. */
static bool read_times(const struct host_reader *reader, uint64_t *used, uint64_t *all) {
    enum { IDLE = 3, IOWAIT = 4, TIMES = 8 };
    char text[FILE_BYTES];
    uint64_t sums[2] = {0, 0};
    if (!read_text(reader, "proc/stat", text) || !begins(text, "cpu "))
        return false;
    const char *at = text + strlen("cpu ");
    for (int i = 0; i < TIMES; i++) {
        char *end = NULL;
        uint64_t ticks = strtoull(at, &end, 10);
        if (end == at)
            return false;
        sums[0] += i == IDLE || i == IOWAIT ? 0 : ticks;
        sums[1] += ticks;
        at = end;
    }
    *used = sums[0];
    *all = sums[1];
    return true;
}

static float read_busy(struct host_reader *reader) {
    uint64_t used = 0;
    uint64_t all = 0;
    float busy = NAN;
    bool is_known = read_times(reader, &used, &all);
    /* The kernel's idle times may go back a little. */
    if (is_known && reader->has_times && all > reader->all_before && used >= reader->used_before)
        busy =
            100 * fminf(1, (float)(used - reader->used_before) / (float)(all - reader->all_before));
    reader->has_times = is_known;
    reader->used_before = used;
    reader->all_before = all;
    return busy;
}

/* ---- Wi-Fi ---- */

/* "wlan0: 0000   70.  -40.  -256 ...": state, quality, level, noise. A level that is not negative has
 * no unit. */
static float level_of(const char *line) {
    const char *at = strchr(line, ':');
    char *end = NULL;
    if (at == NULL || at > strchrnul(line, '\n'))
        return NAN;
    (void)strtoul(at + 1, &end, 16);
    at = end;
    (void)strtof(at, &end);
    bool has_quality = end != at;
    at = end;
    float level = strtof(at, &end);
    return has_quality && end != at && level < 0 && level > -256 ? level : NAN;
}

static float read_signal(const struct host_reader *reader) {
    char text[FILE_BYTES];
    float strongest = NAN;
    if (!read_text(reader, "proc/net/wireless", text))
        return NAN;
    for (const char *line = text; *line != '\0';
         line = strchrnul(line, '\n'), line += *line != '\0')
        strongest = fmaxf(strongest, level_of(line));
    return strongest;
}

/* ---- conditions ---- */

/* In the order of their bits: those of now; 16 higher those that have been. */
enum { BIT_UNDER_VOLTAGE, BIT_FREQUENCY_CAPPED, BIT_THROTTLED, BIT_SOFT_LIMIT, BIT_BEEN = 16 };

static uint8_t judge(struct host_reader *reader, int bit, bool is_now, bool has_been) {
    reader->has_been[bit] = reader->has_been[bit] || is_now || has_been;
    return is_now ? HOST_NOW : reader->has_been[bit] ? HOST_EARLIER : HOST_NEVER;
}

/* The firmware's folder is named after the chip's, which has its address in its name on newer ones. */
static bool read_firmware(const struct host_reader *reader, long long *bits) {
    static const char platform[] = "sys/devices/platform";
    bool is_read = false;
    DIR *folder = open_folder(reader, platform);
    struct dirent *entry = NULL;
    while (folder != NULL && !is_read && (entry = readdir(folder)) != NULL) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s/%s:firmware/get_throttled", platform,
                       entry->d_name, entry->d_name);
        is_read = begins(entry->d_name, "soc") && read_number(reader, path, 16, bits);
    }
    if (folder != NULL)
        (void)closedir(folder);
    return is_read;
}

static void judge_firmware(struct host_reader *reader, struct host_status *status, uint64_t bits) {
    uint8_t *const fields[] = {[BIT_UNDER_VOLTAGE] = &status->under_voltage,
                               [BIT_FREQUENCY_CAPPED] = &status->frequency_capped,
                               [BIT_THROTTLED] = &status->throttled,
                               [BIT_SOFT_LIMIT] = &status->soft_temperature_limit};
    for (int bit = 0; bit < HOST_CONDITION_FIELDS; bit++)
        *fields[bit] =
            judge(reader, bit, (bits >> bit & 1u) != 0, (bits >> (bit + BIT_BEEN) & 1u) != 0);
}

static uint8_t read_alarm(struct host_reader *reader) {
    static const char *const chips[] = {"rpi_volt", NULL};
    char path[PATH_MAX];
    long long alarm = 0;
    if (!find_device(reader, &hwmon, chips, "in0_lcrit_alarm", path) ||
        !read_number(reader, path, 10, &alarm))
        return HOST_NO_READING;
    return judge(reader, BIT_UNDER_VOLTAGE, alarm != 0, false);
}

/* x86 counts how often it has been slowed down since its start. */
static uint8_t read_throttles(struct host_reader *reader) {
    long long count = 0;
    if (!read_number(reader, "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count",
                     10, &count))
        return HOST_NO_READING;
    bool is_now = reader->has_throttles && (uint64_t)count != reader->throttles_before;
    reader->has_throttles = true;
    reader->throttles_before = (uint64_t)count;
    return judge(reader, BIT_THROTTLED, is_now, count > 0);
}

static void read_conditions(struct host_reader *reader, struct host_status *status) {
    long long bits = 0;
    if (read_firmware(reader, &bits)) {
        judge_firmware(reader, status, (uint64_t)bits);
        return;
    }
    status->under_voltage = read_alarm(reader);
    status->throttled = read_throttles(reader);
    status->frequency_capped = status->soft_temperature_limit = HOST_NO_READING;
}

void host_reader_read(struct host_reader *reader, struct host_status *status) {
    *status = (struct host_status){0};
    status->temperature = read_temperature(reader);
    status->busy = read_busy(reader);
    read_load(reader, status->load);
    status->wifi_signal = read_signal(reader);
    read_conditions(reader, status);
}
