#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options_table.h"

#define CONFIG_BYTES_MAX ((size_t)1024 * 1024)

struct config_text {
    char *bytes; /* NUL-terminated */
    size_t length;
};

static int read_file(struct options_run *run, const char *path, struct config_text *text) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return options_complain(run, "cannot read the config file %.120s: %s", path,
                                strerror(errno));
    }
    int error = 0;
    char *bytes = malloc(CONFIG_BYTES_MAX + 1);
    size_t length = bytes == NULL ? 0 : fread(bytes, 1, CONFIG_BYTES_MAX + 1, file);
    if (bytes == NULL || ferror(file) != 0) {
        error =
            options_complain(run, "cannot read the config file %.120s: %s", path, strerror(errno));
    } else if (length > CONFIG_BYTES_MAX) {
        error = options_complain(run, "the config file %.120s is larger than 1 MiB", path);
    } else {
        bytes[length] = '\0';
        text->bytes = bytes;
        text->length = length;
        bytes = NULL;
    }
    free(bytes);
    (void)fclose(file);
    return error;
}

static unsigned line_of(const struct config_text *text, const char *place) {
    unsigned line = 1;
    for (const char *at = text->bytes; at < place && at < text->bytes + text->length; at++)
        line += *at == '\n';
    return line;
}

static int parse(struct options_run *run, const char *path, const struct config_text *text,
                 cJSON **tree) {
    const char *end = NULL;
    cJSON *parsed = cJSON_ParseWithLengthOpts(text->bytes, text->length + 1, &end, 1);
    if (parsed == NULL)
        return options_complain(run, "%.120s, line %u: this is not JSON", path, line_of(text, end));
    if (!cJSON_IsObject(parsed)) {
        cJSON_Delete(parsed);
        return options_complain(run, "%.120s: this is not a JSON object ({\"option\": value, …})",
                                path);
    }
    *tree = parsed;
    return 0;
}

/* What kinds of JSON value an option takes, in words. */
static const char *wanted_type(const struct option *option) {
    switch (option->kind) {
    case OPTIONS_KIND_flag:
    case OPTIONS_KIND_show:
        return "true or false";
    case OPTIONS_KIND_named:
    case OPTIONS_KIND_label:
        return "true, false or a name";
    case OPTIONS_KIND_number:
    case OPTIONS_KIND_count:
    case OPTIONS_KIND_decimal:
        return "a number";
    case OPTIONS_KIND_size:
        return "a number of bytes or a string like \"4MiB\"";
    case OPTIONS_KIND_texts:
    case OPTIONS_KIND_addresses:
    case OPTIONS_KIND_regions:
    case OPTIONS_KIND_users:
        return "a string or a list of strings";
    case OPTIONS_KIND_span:
    case OPTIONS_KIND_choice:
    case OPTIONS_KIND_text:
    case OPTIONS_KIND_config:
    case OPTIONS_KINDS_COUNT:
        break;
    }
    return "a string";
}

static bool takes_number(const struct option *option) {
    return option->kind == OPTIONS_KIND_number || option->kind == OPTIONS_KIND_count ||
           option->kind == OPTIONS_KIND_decimal || option->kind == OPTIONS_KIND_size;
}

static bool takes_string(const struct option *option) {
    return option->kind == OPTIONS_KIND_size ||
           (!takes_number(option) && option->kind != OPTIONS_KIND_flag);
}

static bool takes_bool(const struct option *option) {
    return option->kind == OPTIONS_KIND_flag || option->kind == OPTIONS_KIND_named ||
           option->kind == OPTIONS_KIND_label;
}

/* The value as a user would type it on the command line; false where it has the wrong type. */
static bool as_text(const struct option *option, const cJSON *value, char *buffer, size_t bytes,
                    const char **text) {
    if (cJSON_IsBool(value) && takes_bool(option)) {
        *text = cJSON_IsTrue(value) ? "yes" : "no";
        return true;
    }
    if (cJSON_IsNumber(value) && takes_number(option)) {
        (void)snprintf(buffer, bytes, "%.17g", value->valuedouble);
        *text = buffer;
        return true;
    }
    if (cJSON_IsString(value) && takes_string(option)) {
        *text = value->valuestring;
        return true;
    }
    return false;
}

struct config_entry {
    const struct option *option;
    char origin[200]; /* FILE: "key" */
};

static int set_value(struct options_run *run, const struct config_entry *entry,
                     const cJSON *value) {
    char buffer[32];
    const char *text = NULL;
    if (!as_text(entry->option, value, buffer, sizeof buffer, &text))
        return options_complain(run, "%s must be %s", entry->origin, wanted_type(entry->option));
    text = options_keep(&run->options, text, strlen(text));
    if (text == NULL)
        return options_out_of_memory(run);
    return options_set(run, &(struct options_setting){.option = entry->option,
                                                      .origin = entry->origin,
                                                      .value = text,
                                                      .rank = OPTIONS_RANK_CONFIG});
}

static int set_entry(struct options_run *run, const struct config_entry *entry,
                     const cJSON *value) {
    if (!cJSON_IsArray(value) || !options_is_list(entry->option))
        return set_value(run, entry, value);
    int error = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, value) {
        if (error == 0)
            error = set_value(run, entry, item);
    }
    return error;
}

static int complain_unknown(struct options_run *run, const char *path, const char *key) {
    const struct option *nearest = options_nearest(run, key);
    if (nearest != NULL) {
        return options_complain(run, "%.120s: unknown key \"%.60s\"; did you mean \"%s\"?", path,
                                key, nearest->name);
    }
    return options_complain(
        run, "%.120s: unknown key \"%.60s\"; omni-observer --help names the options", path, key);
}

static int read_entry(struct options_run *run, const char *path, const cJSON *value, bool *seen) {
    const char *key = value->string;
    struct config_entry entry = {.option = options_find(run, key, strlen(key))};
    if (entry.option == NULL)
        return complain_unknown(run, path, key);
    if (entry.option->kind == OPTIONS_KIND_show || entry.option->kind == OPTIONS_KIND_config)
        return options_complain(run, "%.120s: \"%s\" works on the command line only", path, key);
    if (seen[entry.option - run->table])
        return options_complain(run, "%.120s: \"%s\" is there twice", path, key);
    seen[entry.option - run->table] = true;
    (void)snprintf(entry.origin, sizeof entry.origin, "%.120s: \"%s\"", path, key);
    return set_entry(run, &entry, value);
}

int options_read_config(struct options_run *run, const char *path) {
    struct config_text text = {NULL, 0};
    cJSON *tree = NULL;
    bool seen[OPTIONS_COUNT] = {false};
    int error = read_file(run, path, &text);
    if (error == 0)
        error = parse(run, path, &text, &tree);
    const cJSON *value = NULL;
    cJSON_ArrayForEach(value, tree) {
        if (error == 0)
            error = read_entry(run, path, value, seen);
    }
    cJSON_Delete(tree);
    free(text.bytes);
    return error;
}
