#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <omni/region.h>

#include "avahi.h"
#include "options_table.h"
#include "text.h"

static int refuse(struct options_run *run, const struct options_setting *setting,
                  const char *reason) {
    return options_complain(run, "%s: \"%.80s\" is not %s", setting->origin, setting->value,
                            reason);
}

/* ---- by kind ---- */

typedef int setter(struct options_run *run, const struct options_setting *setting, void *member);

static bool read_flag(const char *text, bool *flag) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *flag = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static int set_flag(struct options_run *run, const struct options_setting *setting, void *member) {
    return read_flag(setting->value, member) ? 0 : refuse(run, setting, "yes or no");
}

/* A flag, or a name that `is_valid` likes. */
static int set_named_by(struct options_run *run, const struct options_setting *setting,
                        struct options_named *named, bool (*is_valid)(const char *name),
                        const char *wanted) {
    bool on = true;
    bool is_name = !read_flag(setting->value, &on);
    if (is_name && !is_valid(setting->value))
        return refuse(run, setting, wanted);
    named->on = on;
    named->name = is_name ? setting->value : NULL;
    return 0;
}

static int set_named(struct options_run *run, const struct options_setting *setting, void *member) {
    return set_named_by(run, setting, member, omni_name_is_valid,
                        "a source's name: 1 to 47 of A-Z a-z 0-9 . _ - and no dot in front");
}

static bool is_label(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)name[i]))
            return false;
    return length > 0 && length < AVAHI_NAME_BYTES && text_is_utf8(name, length);
}

static int set_label(struct options_run *run, const struct options_setting *setting, void *member) {
    return set_named_by(run, setting, member, is_label,
                        "yes, no, or a name of 1 to 63 bytes without control characters");
}

static int refuse_range(struct options_run *run, const struct options_setting *setting,
                        const char *what) {
    char reason[128];
    (void)snprintf(reason, sizeof reason, "%s from %.16g to %.16g", what, setting->option->low,
                   setting->option->high);
    return refuse(run, setting, reason);
}

static bool in_range(const struct option *option, double value) {
    return value >= option->low && value <= option->high;
}

static int set_count(struct options_run *run, const struct options_setting *setting, void *member) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(setting->value, &end, 10);
    if (!isdigit((unsigned char)setting->value[0]) || *end != '\0' || errno != 0 ||
        !in_range(setting->option, (double)value))
        return refuse_range(run, setting, "a whole number");
    *(unsigned long long *)member = value;
    return 0;
}

static int set_number(struct options_run *run, const struct options_setting *setting,
                      void *member) {
    unsigned long long value = 0;
    int error = set_count(run, setting, &value);
    if (error == 0)
        *(unsigned *)member = (unsigned)value;
    return error;
}

static int set_decimal(struct options_run *run, const struct options_setting *setting,
                       void *member) {
    char *end = NULL;
    double value = strtod(setting->value, &end);
    if (!isdigit((unsigned char)setting->value[0]) || *end != '\0' || !isfinite(value) ||
        !in_range(setting->option, value))
        return refuse_range(run, setting, "a number");
    *(double *)member = value;
    return 0;
}

/* One end; where it ends in *end. */
static bool read_end(const char *text, const struct option *option, double *value, char **end) {
    *value = strtod(text, end);
    return isdigit((unsigned char)text[0]) && isfinite(*value) && in_range(option, *value);
}

static int set_span(struct options_run *run, const struct options_setting *setting, void *member) {
    struct options_span span;
    char *end = NULL;
    bool fits = read_end(setting->value, setting->option, &span.low, &end);
    span.high = span.low;
    if (fits && *end == '-')
        fits = read_end(end + 1, setting->option, &span.high, &end);
    if (!fits || *end != '\0' || span.low > span.high)
        return refuse_range(run, setting, "like 5-20, the smaller number first, both");
    *(struct options_span *)member = span;
    return 0;
}

static int size_unit(const char *suffix) {
    static const struct {
        const char *text;
        int shift;
    } units[] = {{"", 0},     {"B", 0},  {"KiB", 10}, {"K", 10},
                 {"MiB", 20}, {"M", 20}, {"GiB", 30}, {"G", 30}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(suffix, units[i].text) == 0)
            return units[i].shift;
    return -1;
}

static int set_size(struct options_run *run, const struct options_setting *setting, void *member) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(setting->value, &end, 10);
    int shift = size_unit(end);
    if (!isdigit((unsigned char)setting->value[0]) || errno != 0 || shift < 0)
        return refuse(run, setting, "a size; write for example 65536, 512KiB or 4MiB");
    if (!in_range(setting->option, ldexp((double)value, shift)))
        return refuse_range(run, setting, "a size in bytes");
    *(size_t *)member = (size_t)(value << shift);
    return 0;
}

static int set_choice(struct options_run *run, const struct options_setting *setting,
                      void *member) {
    const char *word = setting->option->argument;
    size_t typed = strlen(setting->value);
    for (unsigned place = 0; *word != '\0'; place++) {
        size_t length = strcspn(word, "|");
        if (length == typed && strncmp(word, setting->value, length) == 0) {
            *(unsigned *)member = place;
            return 0;
        }
        word += length + (word[length] == '|');
    }
    char reason[64];
    (void)snprintf(reason, sizeof reason, "one of %s", setting->option->argument);
    return refuse(run, setting, reason);
}

static int set_text(struct options_run *run, const struct options_setting *setting, void *member) {
    if (setting->value[0] == '\0')
        return options_complain(run, "%s: the value is empty", setting->origin);
    *(const char **)member = setting->value;
    return 0;
}

static int check_room(struct options_run *run, const struct options_setting *setting,
                      size_t count) {
    if (count < OPTIONS_LIST_MAX)
        return 0;
    return options_complain(run, "%s: more than %u values; leave some out", setting->origin,
                            OPTIONS_LIST_MAX);
}

/* Lists grow by a new array each time: the old one stays in the options' memory, which is small. */
static int append_text(struct options_run *run, const struct options_setting *setting,
                       struct options_texts *list) {
    if (check_room(run, setting, list->count) < 0)
        return -EINVAL;
    const char **items = options_keep_bytes(&run->options, (list->count + 2) * sizeof *items);
    if (items == NULL)
        return options_out_of_memory(run);
    for (size_t i = 0; i < list->count; i++)
        items[i] = list->items[i];
    items[list->count] = setting->value;
    items[list->count + 1] = NULL;
    list->items = items;
    list->count++;
    return 0;
}

static int set_texts(struct options_run *run, const struct options_setting *setting, void *member) {
    const char *checked = NULL;
    int error = set_text(run, setting, &checked);
    return error == 0 ? append_text(run, setting, member) : error;
}

static bool is_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0' && strtoul(text, NULL, 10) <= 65535;
}

static bool is_numeric_address(char *address) {
    unsigned char binary[sizeof(struct in6_addr)];
    size_t length = strlen(address);
    if (address[0] != '[')
        return strcmp(address, "localhost") == 0 || inet_pton(AF_INET, address, binary) == 1;
    if (length < 2 || address[length - 1] != ']')
        return false;
    address[length - 1] = '\0';
    address[strcspn(address, "%")] = '\0';
    return inet_pton(AF_INET6, address + 1, binary) == 1;
}

static bool is_address(const char *value) {
    char address[80];
    const char *colon = strrchr(value, ':');
    if (colon == NULL || (size_t)(colon - value) >= sizeof address || !is_port(colon + 1))
        return false;
    (void)snprintf(address, sizeof address, "%.*s", (int)(colon - value), value);
    return is_numeric_address(address);
}

static int set_addresses(struct options_run *run, const struct options_setting *setting,
                         void *member) {
    if (!is_address(setting->value)) {
        return refuse(run, setting,
                      "an address and port; write for example 127.0.0.1:8080 or [::1]:8080");
    }
    return append_text(run, setting, member);
}

static int set_regions(struct options_run *run, const struct options_setting *setting,
                       void *member) {
    struct omni_address address;
    struct omni_problem problem;
    if (omni_address_parse(&address, setting->value, &problem) < 0)
        return options_complain(run, "%s: %s", setting->origin, problem.text);
    if (address.place == OMNI_PLACE_SHM)
        return refuse(run, setting,
                      "memory that machines share; what is in --directory is found by itself");
    return append_text(run, setting, member);
}

static bool look_up_user(const char *name, uid_t *user) {
    if (isdigit((unsigned char)name[0])) {
        char *end = NULL;
        errno = 0;
        unsigned long id = strtoul(name, &end, 10);
        *user = (uid_t)id;
        return *end == '\0' && errno == 0 && id < UINT32_MAX;
    }
    const struct passwd *entry = getpwnam(name);
    if (entry != NULL)
        *user = entry->pw_uid;
    return entry != NULL;
}

static int set_users(struct options_run *run, const struct options_setting *setting, void *member) {
    struct options_users *list = member;
    uid_t user = 0;
    if (!look_up_user(setting->value, &user))
        return refuse(run, setting, "a user of this machine (name or id)");
    if (check_room(run, setting, list->count) < 0)
        return -EINVAL;
    uid_t *items = options_keep_bytes(&run->options, (list->count + 1) * sizeof *items);
    if (items == NULL)
        return options_out_of_memory(run);
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof *items);
    items[list->count++] = user;
    list->items = items;
    return 0;
}

static setter *const setters[OPTIONS_KINDS_COUNT] = {
    [OPTIONS_KIND_flag] = set_flag,       [OPTIONS_KIND_show] = set_flag,
    [OPTIONS_KIND_named] = set_named,     [OPTIONS_KIND_label] = set_label,
    [OPTIONS_KIND_number] = set_number,   [OPTIONS_KIND_count] = set_count,
    [OPTIONS_KIND_decimal] = set_decimal, [OPTIONS_KIND_span] = set_span,
    [OPTIONS_KIND_size] = set_size,       [OPTIONS_KIND_choice] = set_choice,
    [OPTIONS_KIND_text] = set_text,       [OPTIONS_KIND_config] = set_text,
    [OPTIONS_KIND_texts] = set_texts,     [OPTIONS_KIND_addresses] = set_addresses,
    [OPTIONS_KIND_regions] = set_regions, [OPTIONS_KIND_users] = set_users,
};

bool options_is_list(const struct option *option) {
    return option->kind == OPTIONS_KIND_texts || option->kind == OPTIONS_KIND_addresses ||
           option->kind == OPTIONS_KIND_regions || option->kind == OPTIONS_KIND_users;
}

static const char *const no_texts[] = {NULL};

void options_empty_list(const struct option *option, void *member) {
    if (option->kind == OPTIONS_KIND_users)
        *(struct options_users *)member = (struct options_users){NULL, 0};
    else
        *(struct options_texts *)member = (struct options_texts){no_texts, 0};
}

int options_set(struct options_run *run, const struct options_setting *setting) {
    const struct option *option = setting->option;
    enum options_rank *rank = &run->rank[option - run->table];
    void *member = (char *)&run->options + option->offset;
    if (setting->rank < *rank)
        return 0;
    *rank = setting->rank;
    return setters[option->kind](run, setting, member);
}
