#include "gpio_config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"

#define PWM_FOLDER "/sys/class/pwm/"

enum { DELETE = 127 };

enum section_kind { SECTION_board, SECTION_motor, SECTION_sensor };

struct key {
    const char *name;
    const char *preset;
    int (*set)(void *member, const struct key *key, const char *text);
    const char *wanted; /* what a complaint says */
    size_t offset;
    uint64_t low;
    uint64_t high;
    enum section_kind section;
};

/* ---- values ---------------------------------------------------------------------------------- */

static int set_text(void *member, const struct key *key, const char *text) {
    (void)key;
    size_t length = strlen(text);
    if (length == 0 || length >= GPIO_CONFIG_TEXT_BYTES)
        return -EINVAL;
    memcpy(member, text, length + 1);
    return 0;
}

/* The digits that `text` begins with. Returns what comes after them; NULL where it is no number up
 * to `high`. */
static const char *take_number(uint64_t *value, const char *text, uint64_t high) {
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || number > high)
        return NULL;
    *value = number;
    return end;
}

static int set_number(void *member, const struct key *key, const char *text) {
    uint64_t value = 0;
    const char *end = take_number(&value, text, key->high);
    if (end == NULL || *end != '\0' || value < key->low)
        return -EINVAL;
    memcpy(member, &value, sizeof value);
    return 0;
}

static int apply_word(struct gpio_wish *wish, const char *word, size_t length, bool input) {
    static const char low[] = "active-low";
    static const char up[] = "pull-up";
    static const char down[] = "pull-down";
    if (length == strlen(low) && strncmp(word, low, length) == 0)
        wish->active_low = true;
    else if (input && length == strlen(up) && strncmp(word, up, length) == 0)
        wish->bias = GPIO_BIAS_PULL_UP;
    else if (input && length == strlen(down) && strncmp(word, down, length) == 0)
        wish->bias = GPIO_BIAS_PULL_DOWN;
    else
        return -EINVAL;
    return 0;
}

static int set_line(void *member, const char *text, bool input) {
    struct gpio_config_line line = {.is_given = true};
    uint64_t offset = 0;
    const char *rest = take_number(&offset, text, UINT16_MAX);
    if (rest == NULL || (*rest != '\0' && *rest != ' '))
        return -EINVAL;
    line.wish.offset = (unsigned)offset;
    for (rest += strspn(rest, " "); *rest != '\0'; rest += strspn(rest, " ")) {
        size_t length = strcspn(rest, " ");
        if (apply_word(&line.wish, rest, length, input) < 0)
            return -EINVAL;
        rest += length;
    }
    memcpy(member, &line, sizeof line);
    return 0;
}

static int set_output(void *member, const struct key *key, const char *text) {
    (void)key;
    return set_line(member, text, false);
}

static int set_input(void *member, const struct key *key, const char *text) {
    (void)key;
    return set_line(member, text, true);
}

/* "pwmchip0:1", or the same with a path in front: the numbers of chips may change from start to
 * start, where they stand in /sys/devices does not. */
static int set_channel(struct gpio_config_pwm *pwm, const char *text) {
    const char *colon = strrchr(text, ':');
    uint64_t channel = 0;
    const char *end = colon != NULL ? take_number(&channel, colon + 1, UINT16_MAX) : NULL;
    if (end == NULL || *end != '\0')
        return -EINVAL;
    int length = snprintf(pwm->chip, sizeof pwm->chip, "%s%.*s", text[0] == '/' ? "" : PWM_FOLDER,
                          (int)(colon - text), text);
    pwm->channel = (unsigned)channel;
    return length < (int)sizeof pwm->chip ? 0 : -EINVAL;
}

static int set_pwm(void *member, const struct key *key, const char *text) {
    struct gpio_config_pwm pwm = {.channel = 0};
    bool is_line = isdigit((unsigned char)text[0]);
    (void)key;
    if (!is_line && text[0] != '/' && strncmp(text, "pwmchip", strlen("pwmchip")) != 0)
        return -EINVAL;
    int error = is_line ? set_line(&pwm.line, text, false) : set_channel(&pwm, text);
    if (error == 0)
        memcpy(member, &pwm, sizeof pwm);
    return error;
}

#define WANTED_text   "a chip as gpiodetect shows it, for example gpiochip0"
#define WANTED_number "a whole number"
#define WANTED_output "a line's number, for example 17, or 17 active-low"
#define WANTED_input  "a line's number, for example 17, or 17 pull-up active-low"
#define WANTED_pwm    "a line's number, or the kernel's PWM: pwmchip0:1, or /sys/.../pwmchip0:1"

#define KEY(section_, key_, kind_, member_, preset_, low_, high_)                                  \
    {.name = #key_,                                                                                \
     .preset = (preset_),                                                                          \
     .set = set_##kind_,                                                                           \
     .wanted = WANTED_##kind_,                                                                     \
     .offset = offsetof(struct gpio_config_##section_, member_),                                   \
     .low = (low_),                                                                                \
     .high = (high_),                                                                              \
     .section = SECTION_##section_},
static const struct key keys[] = {GPIO_CONFIG_KEYS(KEY)};

enum { KEYS = sizeof keys / sizeof keys[0] };

static_assert(KEYS <= 32, "a section's keys fit into a word");

/* ---- sections -------------------------------------------------------------------------------- */

#define SECTION(title_, kind_, member_)                                                            \
    { .title = (title_), .offset = offsetof(struct gpio_config, member_), .kind = SECTION_##kind_ }
static const struct section {
    const char *title;
    size_t offset;
    enum section_kind kind;
} sections[] = {
    SECTION("board", board, board),
    SECTION("motor 60", motor, motors[0]),
    SECTION("motor 180", motor, motors[1]),
    SECTION("motor 300", motor, motors[2]),
    SECTION("sensor -90", sensor, sensors[0]),
    SECTION("sensor -45", sensor, sensors[1]),
    SECTION("sensor 0", sensor, sensors[2]),
    SECTION("sensor 45", sensor, sensors[3]),
    SECTION("sensor 90", sensor, sensors[4]),
};

enum { SECTIONS = sizeof sections / sizeof sections[0] };

static const struct section *find_section(const char *title) {
    for (int i = 0; i < SECTIONS; i++) {
        if (strcmp(sections[i].title, title) == 0)
            return &sections[i];
    }
    return NULL;
}

static const struct key *find_key(enum section_kind kind, const char *name) {
    for (int i = 0; i < KEYS; i++) {
        if (keys[i].section == kind && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

#define KEYS_BYTES 160

/* The names of a section's keys, or of those only that must be given. */
static void list_keys(char list[KEYS_BYTES], enum section_kind kind, bool only_needed) {
    size_t used = 0;
    list[0] = '\0';
    for (int i = 0; i < KEYS && used < KEYS_BYTES; i++) {
        if (keys[i].section != kind || (only_needed && keys[i].preset != NULL))
            continue;
        used += (size_t)snprintf(list + used, KEYS_BYTES - used, "%s%s", used > 0 ? ", " : "",
                                 keys[i].name);
    }
}

static void *member_of(struct gpio_config *config, const struct section *section,
                       const struct key *key) {
    return (char *)config + section->offset + key->offset;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
    struct gpio_config config;
    uint32_t given[SECTIONS]; /* one bit a key */
    FILE *file;
    const char *name;
    int line;
    size_t bytes;
    struct omni_problem problem; /* the first one */
    bool is_refused;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reading *reading, const char *format,
                                                        ...) {
    if (reading->is_refused)
        return 0;
    char what[sizeof reading->problem.text];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    complain_write(&reading->problem, "%.100s:%d: %s", reading->name, reading->line, what);
    reading->is_refused = true;
    return 0;
}

static int refuse_value(struct reading *reading, const struct section *section,
                        const struct key *key, const char *text) {
    char between[64] = "";
    if (key->high > 0)
        (void)snprintf(between, sizeof between, " from %llu to %llu", (unsigned long long)key->low,
                       (unsigned long long)key->high);
    return refuse(reading, "[%s] %s = %.60s: wants %s%s%s", section->title, key->name, text,
                  key->wanted, between,
                  strchr(text, '#') != NULL ? "; a comment behind a value begins with ;" : "");
}

static int refuse_key(struct reading *reading, const struct section *section, const char *name) {
    char names[KEYS_BYTES];
    list_keys(names, section->kind, false);
    return refuse(reading, "[%s] has no %.40s; there are %s", section->title, name, names);
}

static int take(void *context, const char *title, const char *name, const char *value) {
    struct reading *reading = context;
    const struct section *section = find_section(title);
    if (title[0] == '\0')
        return refuse(reading, "%.40s stands before the first [section]", name);
    if (section == NULL)
        return refuse(reading,
                      "there is no section [%.40s]; there are [board], [motor 60], [motor 180], "
                      "[motor 300], and [sensor B] with B one of -90, -45, 0, 45, 90",
                      title);
    const struct key *key = find_key(section->kind, name);
    if (key == NULL)
        return refuse_key(reading, section, name);
    uint32_t bit = UINT32_C(1) << (key - keys);
    if ((reading->given[section - sections] & bit) != 0)
        return refuse(reading, "[%s] %s is there twice, or goes on in an indented line", title,
                      name);
    reading->given[section - sections] |= bit;
    if (key->set(member_of(&reading->config, section, key), key, value) < 0)
        return refuse_value(reading, section, key, value);
    return 1;
}

/* What text has none of: least of all NUL, behind which nothing of a line would be seen. Other
 * systems end their lines with a carriage return in front. */
static bool is_control(int character, FILE *file) {
    if (character == '\r') {
        int next = fgetc(file);
        (void)ungetc(next, file);
        return next != '\n' && next != EOF;
    }
    return (character < ' ' && character != '\t' && character != '\n') || character == DELETE;
}

/* Like fgets(), but that it tells of such characters. Returns how many there are. */
static size_t read_line(struct reading *reading, char *text, size_t size) {
    size_t length = 0;
    int character = 0;
    while (length + 1 < size && character != '\n' && (character = fgetc(reading->file)) != EOF) {
        if (is_control(character, reading->file))
            (void)refuse(reading, "a control character (number %d) stands here: this is no text",
                         character);
        text[length++] = (char)character;
    }
    text[length] = '\0';
    return length;
}

/* What inih reads with, so that we know where it is, and that it sees whole lines. */
static char *next_line(char *text, int size, void *context) {
    struct reading *reading = context;
    if (reading->is_refused)
        return NULL;
    reading->line++;
    size_t length = read_line(reading, text, (size_t)size);
    reading->bytes += length;
    if (length > GPIO_CONFIG_LINE_BYTES || (length + 1 == (size_t)size && text[length - 1] != '\n'))
        (void)refuse(reading, "the line is longer than %d characters", GPIO_CONFIG_LINE_BYTES);
    if (reading->bytes > GPIO_CONFIG_BYTES)
        (void)refuse(reading, "the file is longer than %d characters", GPIO_CONFIG_BYTES);
    return reading->is_refused || length == 0 ? NULL : text;
}

static void preset(struct gpio_config *config) {
    memset(config, 0, sizeof *config);
    for (int i = 0; i < SECTIONS; i++) {
        for (int k = 0; k < KEYS; k++) {
            const char *text = keys[k].preset;
            if (keys[k].section == sections[i].kind && text != NULL && text[0] != '\0')
                (void)keys[k].set(member_of(config, &sections[i], &keys[k]), &keys[k], text);
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct key *missing_key(const struct reading *reading, int section) {
    for (int k = 0; k < KEYS; k++) {
        bool given = (reading->given[section] & UINT32_C(1) << k) != 0;
        if (keys[k].section == sections[section].kind && keys[k].preset == NULL && !given)
            return &keys[k];
    }
    return NULL;
}

static int complain_of_absence(const struct reading *reading, const struct section *section,
                               const struct key *key, struct omni_problem *problem) {
    char names[KEYS_BYTES];
    list_keys(names, section->kind, true);
    if (reading->given[section - sections] == 0)
        return complain(problem, -EINVAL, "%.100s: [%s] is missing or empty; it needs %s",
                        reading->name, section->title, names);
    return complain(problem, -EINVAL, "%.100s: [%s] lacks %s; it wants %s", reading->name,
                    section->title, key->name, key->wanted);
}

static int check_all_given(const struct reading *reading, struct omni_problem *problem) {
    for (int i = 0; i < SECTIONS; i++) {
        const struct key *key = missing_key(reading, i);
        if (key != NULL)
            return complain_of_absence(reading, &sections[i], key, problem);
    }
    return 0;
}

bool gpio_config_has_sensor(const struct gpio_config_sensor *sensor) {
    return sensor->echo.is_given || sensor->contact.is_given;
}

static const char *sensor_fault(const struct gpio_config_sensor *sensor) {
    if (sensor->trigger.is_given != sensor->echo.is_given)
        return "a sensor with an echo has both, trigger and echo";
    if (sensor->echo.is_given && sensor->contact.is_given)
        return "it is a switch, or has an echo: not both";
    return NULL;
}

static int check_sensors(const struct reading *reading, struct omni_problem *problem) {
    const struct gpio_config_sensor *sensors = reading->config.sensors;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        int section = SECTIONS - BEHAVIOUR_SENSORS + i;
        const char *fault = sensor_fault(&sensors[i]);
        if (fault == NULL && reading->given[section] != 0 && !gpio_config_has_sensor(&sensors[i]))
            fault = "it has no sensor: give trigger and echo, or switch";
        if (fault != NULL)
            return complain(problem, -EINVAL, "%.100s: [%s]: %s", reading->name,
                            sections[section].title, fault);
    }
    if (gpio_config_has_sensor(&sensors[SENSOR_AHEAD]) ||
        (gpio_config_has_sensor(&sensors[SENSOR_LEFT_AHEAD]) &&
         gpio_config_has_sensor(&sensors[SENSOR_RIGHT_AHEAD])))
        return 0;
    return complain(problem, -EINVAL,
                    "%.100s: nothing looks ahead: give [sensor 0], or both [sensor -45] and "
                    "[sensor 45]",
                    reading->name);
}

struct uses {
    struct gpio_config_use *use;
    size_t count;
};

static void add_use(struct uses *uses, const struct section *section, const char *name,
                    const struct gpio_config_line *line) {
    if (!line->is_given)
        return;
    struct gpio_config_use *use = &uses->use[uses->count++];
    (void)snprintf(use->what, sizeof use->what, "[%s] %s", section->title, name);
    use->wish = &line->wish;
}

/* The line of a key that has one; of a pwm it comes first. */
static const struct gpio_config_line *
line_of(const struct gpio_config *config, const struct section *section, const struct key *key) {
    static_assert(offsetof(struct gpio_config_pwm, line) == 0, "a pwm begins with its line");
    if (key->set == set_text || key->set == set_number)
        return NULL;
    return (const void *)((const char *)config + section->offset + key->offset);
}

size_t gpio_config_lines(const struct gpio_config *config,
                         struct gpio_config_use use[GPIO_CONFIG_LINES_MOST]) {
    struct uses uses = {.use = use};
    for (int i = 0; i < SECTIONS; i++) {
        for (int k = 0; k < KEYS; k++) {
            const struct gpio_config_line *line = line_of(config, &sections[i], &keys[k]);
            if (keys[k].section == sections[i].kind && line != NULL)
                add_use(&uses, &sections[i], keys[k].name, line);
        }
    }
    return uses.count;
}

static int check_lines(const struct reading *reading, struct omni_problem *problem) {
    struct gpio_config_use uses[GPIO_CONFIG_LINES_MOST];
    size_t count = gpio_config_lines(&reading->config, uses);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (uses[i].wish->offset == uses[j].wish->offset)
                return complain(problem, -EINVAL, "%.100s: line %u is both %s and %s",
                                reading->name, uses[i].wish->offset, uses[j].what, uses[i].what);
        }
    }
    return 0;
}

/* What is in /sys/class/pwm is a link to what is in /sys/devices: one chip may have two names. */
static bool is_same_chip(const char *one, const char *other) {
    struct stat first;
    struct stat second;
    if (strcmp(one, other) == 0)
        return true;
    return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool is_same_channel(const struct gpio_config_pwm *one,
                            const struct gpio_config_pwm *other) {
    return one->chip[0] != '\0' && other->chip[0] != '\0' && one->channel == other->channel &&
           is_same_chip(one->chip, other->chip);
}

static int check_channels(const struct reading *reading, struct omni_problem *problem) {
    const struct gpio_config_motor *motors = reading->config.motors;
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        const struct gpio_config_pwm *one = &motors[i].pwm;
        for (int j = 0; j < i; j++) {
            const char *other = motors[j].pwm.chip;
            if (!is_same_channel(one, &motors[j].pwm))
                continue;
            if (strcmp(one->chip, other) == 0)
                return complain(problem, -EINVAL, "%.100s: two motors have the PWM %.80s:%u",
                                reading->name, one->chip, one->channel);
            return complain(problem, -EINVAL,
                            "%.60s: two motors have one PWM, for %.70s is %.70s: channel %u",
                            reading->name, one->chip, other, one->channel);
        }
    }
    return 0;
}

int gpio_config_read(struct gpio_config *config, FILE *file, const char *name,
                     struct omni_problem *problem) {
    struct reading reading = {.file = file, .name = name};
    preset(&reading.config);
    int line = ini_parse_stream(next_line, &reading, take, &reading);
    if (ferror(file))
        return complain(problem, -EIO, "%.100s cannot be read", name);
    /* inih goes on where it does not understand: the first mistake is the one to tell. */
    bool understood = line == 0 || (reading.is_refused && line >= reading.line);
    if (reading.is_refused && understood)
        return complain(problem, -EINVAL, "%s", reading.problem.text);
    if (!understood)
        return complain(problem, -EINVAL, "%.100s:%d: neither [section] nor key = value", name,
                        line);
    int error = check_all_given(&reading, problem);
    if (error == 0)
        error = check_sensors(&reading, problem);
    if (error == 0)
        error = check_lines(&reading, problem);
    if (error == 0)
        error = check_channels(&reading, problem);
    if (error == 0)
        *config = reading.config;
    return error;
}

/* A pipe keeps whoever opens it waiting, and a device may never end. -1 with errno; ENOTSUP: one of
 * these. */
static int open_ordinary(const char *path) {
    struct stat facts;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 || fstat(file, &facts) < 0 || S_ISREG(facts.st_mode))
        return file;
    (void)close(file);
    errno = S_ISDIR(facts.st_mode) ? EISDIR : ENOTSUP;
    return -1;
}

static FILE *open_text(const char *path) {
    int file = open_ordinary(path);
    if (file < 0)
        return NULL;
    FILE *text = fdopen(file, "r");
    if (text == NULL)
        (void)close(file);
    return text;
}

int gpio_config_load(struct gpio_config *config, const char *path, struct omni_problem *problem) {
    FILE *file = open_text(path);
    if (file == NULL)
        return complain(problem, -errno, "--board-config %.100s: %s", path,
                        errno == ENOTSUP ? "it is no ordinary file" : strerror(errno));
    int error = gpio_config_read(config, file, path, problem);
    (void)fclose(file);
    return error;
}
