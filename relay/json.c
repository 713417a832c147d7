#include "json.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

void json_member(struct json_place *place, const struct json_place *outer, const char *key) {
    *place = (struct json_place){.file = outer->file, .problem = outer->problem};
    (void)snprintf(place->way, sizeof place->way, "%.60s%s%.30s", outer->way,
                   outer->way[0] != '\0' ? "." : "", key);
}

void json_item(struct json_place *place, const struct json_place *outer, size_t index) {
    *place = (struct json_place){.file = outer->file, .problem = outer->problem};
    (void)snprintf(place->way, sizeof place->way, "%.60s[%zu]", outer->way, index);
}

void json_complain_write(const struct json_place *place, const char *format, ...) {
    char *text = place->problem->text;
    size_t bytes = sizeof place->problem->text;
    int used = snprintf(text, bytes, "%.100s: %s%s", place->file, place->way,
                        place->way[0] != '\0' ? ": " : "");
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, bytes - (size_t)used, format, arguments);
    va_end(arguments);
}

/* ---- the whole file ---- */

static unsigned line_of(const char *bytes, size_t length, const char *at) {
    unsigned line = 1;
    for (const char *byte = bytes; byte < at && byte < bytes + length; byte++)
        line += *byte == '\n';
    return line;
}

/* What people most often do before that character. */
static const char *guess(const char *at) {
    if (*at == '#' || strncmp(at, "//", 2) == 0 || strncmp(at, "/*", 2) == 0)
        return " (JSON has no comments)";
    switch (*at) {
    case ']':
    case '}':
        return " (a comma too many, or a bracket missing before it?)";
    case '"':
        return " (a comma or colon missing before it?)";
    default:
        return " (strings are in double quotes)";
    }
}

/* cJSON points at what is wrong, but behind it where that stands in the place of a key. */
static const char *wrong_part(const char *bytes, size_t length, const char *at) {
    if (at > bytes && strchr(" \t\r\n:,[{\"0123456789", at[-1]) == NULL)
        return at - 1;
    return at < bytes + length ? at + strspn(at, " \t\r\n") : at;
}

static int complain_of_syntax(const struct json_place *root, const char *bytes, size_t length,
                              const char *at) {
    enum { SHOWN = 20 };
    size_t shown = 0;
    at = wrong_part(bytes, length, at);
    while (shown < SHOWN && at[shown] >= ' ' && at[shown] <= '~')
        shown++;
    unsigned line = line_of(bytes, length, at);
    if (at >= bytes + length)
        return json_complain(root, -EINVAL, "line %u: this is not JSON: it ends too early", line);
    if (shown == 0)
        return json_complain(root, -EINVAL, "line %u: this is not JSON", line);
    return json_complain(root, -EINVAL, "line %u: this is not JSON, from %.*s on%s", line,
                         (int)shown, at, guess(at));
}

/* A zero would end the text that is meant, silently. */
static const char *find_zero(const char *bytes, size_t length) {
    const char *raw = memchr(bytes, 0, length);
    return raw != NULL ? raw : strstr(bytes, "\\u0000");
}

int json_parse(cJSON **tree, const char *bytes, size_t length, const struct json_place *root) {
    const char *end = find_zero(bytes, length);
    if (end != NULL)
        return json_complain(root, -EINVAL, "line %u: a zero byte; no name or text can have one",
                             line_of(bytes, length, end));
    cJSON *parsed = cJSON_ParseWithLengthOpts(bytes, length + 1, &end, 1);
    if (parsed == NULL)
        return complain_of_syntax(root, bytes, length, end);
    if (!cJSON_IsObject(parsed)) {
        cJSON_Delete(parsed);
        return json_complain(root, -EINVAL, "this is not a JSON object ({\"key\": value, ...})");
    }
    *tree = parsed;
    return 0;
}

static int read_bytes(const struct json_place *root, FILE *file, char *bytes, size_t *length) {
    *length = fread(bytes, 1, JSON_BYTES_MAX + 1, file);
    if (ferror(file) != 0)
        return json_complain(root, -EIO, "cannot be read: %s", strerror(errno));
    if (*length > JSON_BYTES_MAX)
        return json_complain(root, -EFBIG, "is larger than 1 MiB");
    bytes[*length] = '\0';
    return 0;
}

int json_read(cJSON **tree, const struct json_place *root) {
    size_t length = 0;
    FILE *file = fopen(root->file, "re");
    if (file == NULL)
        return json_complain(root, -errno, "cannot be read: %s", strerror(errno));
    char *bytes = malloc(JSON_BYTES_MAX + 2);
    int error = bytes != NULL ? read_bytes(root, file, bytes, &length)
                              : json_complain(root, -ENOMEM, "out of memory");
    if (error == 0)
        error = json_parse(tree, bytes, length, root);
    free(bytes);
    (void)fclose(file);
    return error;
}

/* ---- objects ---- */

static int complain_of_unknown(const struct json_place *place, const struct json_key *keys,
                               size_t count, const char *key) {
    char known[120] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 keys[i].name);
    if (!omni_text_is_clean(key, strlen(key)))
        key = "(not printable)";
    return json_complain(place, -EINVAL, "unknown key \"%.30s\"; there are: %s", key, known);
}

static const struct json_key *find_key(const struct json_key *keys, size_t count,
                                       const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static bool is_second(const cJSON *object, const cJSON *value) {
    return cJSON_GetObjectItemCaseSensitive(object, value->string) != value;
}

static int read_member(const struct json_place *place, const cJSON *object, const cJSON *value,
                       const struct json_key *key, void *context) {
    struct json_place inner;
    json_member(&inner, place, key->name);
    if (is_second(object, value))
        return json_complain(&inner, -EINVAL, "is there twice");
    return key->read(context, &inner, value);
}

int json_object(const struct json_place *place, const cJSON *object, const struct json_key *keys,
                size_t count, void *context) {
    int error = 0;
    const cJSON *value = NULL;
    if (!cJSON_IsObject(object))
        return json_complain(place, -EINVAL, "must be an object ({\"%s\": ...})", keys[0].name);
    cJSON_ArrayForEach(value, object) {
        const struct json_key *key = find_key(keys, count, value->string);
        if (error == 0)
            error = key != NULL ? read_member(place, object, value, key, context)
                                : complain_of_unknown(place, keys, count, value->string);
    }
    for (size_t i = 0; i < count && error == 0; i++)
        if (keys[i].is_required && cJSON_GetObjectItemCaseSensitive(object, keys[i].name) == NULL)
            error = json_complain(place, -EINVAL, "the key \"%s\" is missing", keys[i].name);
    return error;
}

/* ---- strings ---- */

static bool is_clean_text(const char *text) {
    bool is_clean = true;
    for (size_t length; *text != '\0' && is_clean; text += length) {
        length = strcspn(text, "\n\r\t");
        is_clean = omni_text_is_clean(text, length);
        length += strspn(text + length, "\n\r\t");
    }
    return is_clean;
}

int json_string(const struct json_place *place, const cJSON *value, size_t most, bool is_text,
                const char **text) {
    if (!cJSON_IsString(value))
        return json_complain(place, -EINVAL, "must be a string");
    size_t length = strlen(value->valuestring);
    if (length == 0)
        return json_complain(place, -EINVAL, "must not be empty");
    if (length > most)
        return json_complain(place, -EINVAL, "is %zu bytes long; at most %zu", length, most);
    if (is_text ? !is_clean_text(value->valuestring)
                : !omni_text_is_clean(value->valuestring, length))
        return json_complain(place, -EINVAL, "has characters that cannot be printed");
    *text = value->valuestring;
    return 0;
}

int json_file_name(const struct json_place *place, const cJSON *value, const char **name) {
    const char *text = NULL;
    int error = json_string(place, value, NAME_MAX, false, &text);
    if (error < 0)
        return error;
    if (strchr(text, '/') != NULL || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return json_complain(
            place, -EINVAL, "\"%.60s\" must be the name of a file in the directory, no path", text);
    *name = text;
    return 0;
}

int json_directory(const struct json_place *place, const cJSON *value, char **directory) {
    const char *text = NULL;
    int error = json_string(place, value, PATH_MAX - NAME_MAX - 2, false, &text);
    if (error < 0)
        return error;
    size_t length = strlen(text);
    while (length > 1 && text[length - 1] == '/')
        length--;
    if (text[0] != '/' || length == 1)
        return json_complain(place, -EINVAL,
                             "\"%.60s\" must be the whole path of a directory, from / on", text);
    char *copy = strndup(text, length);
    if (copy == NULL)
        return json_complain(place, -ENOMEM, "out of memory");
    *directory = copy;
    return 0;
}
