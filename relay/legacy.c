#include "legacy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "reading.h"

/* X(key below regs, file where it says nothing, whether the file or the frame begins the route,
 *   payload) */
#define LEGACY_ROUTES(X)                                                                           \
    X("redun_notify_trig", "message_6_trig", ROUTE_FILE, "redun_notify_irq")                       \
    X("ihub_hwwd_irq", "message_5_state", ROUTE_FRAME, "ihub_hwwd_irq")                            \
    X("ihub_reset_irq", "message_4_state", ROUTE_FRAME, "ihub_reset_irq")

#define REG_BYTES_MAX ((size_t)4 * NAME_MAX)

struct legacy_route {
    const char *key;
    const char *file;
    enum route_kind begins;
    const char *payload;
};

#define LEGACY_ROUTE(key_, file_, begins_, payload_) {key_, file_, begins_, payload_},
static const struct legacy_route known[] = {LEGACY_ROUTES(LEGACY_ROUTE)};

/* Goes down by the keys, as far as there is something. *value is NULL where there is nothing; *place
 * is that of the value, or of what is missing. Returns 0; -EINVAL where the way leads through something
 * else than objects. */
static int descend(const cJSON **value, struct json_place *place, const char *const *keys) {
    for (; *keys != NULL && *value != NULL; keys++) {
        struct json_place outer = *place;
        if (!cJSON_IsObject(*value))
            return json_complain(&outer, -EINVAL, "must be an object ({\"%s\": ...})", *keys);
        json_member(place, &outer, *keys);
        *value = cJSON_GetObjectItemCaseSensitive(*value, *keys);
    }
    return 0;
}

static int read_directory(struct routes *routes, const cJSON *tree, const struct json_place *root) {
    static const char *const keys[] = {"file", "ihub-irq-dev", "path", NULL};
    struct json_place place = *root;
    const cJSON *value = tree;
    int error = descend(&value, &place, keys);
    if (error < 0)
        return error;
    if (value == NULL)
        return json_complain(
            &place, -EINVAL, "is missing: file.ihub-irq-dev.path says where the files are%s",
            cJSON_HasObjectItem(tree, "routes") ? "; a file with routes is named with --config"
                                                : "");
    error = json_directory(&place, value, &routes->directory);
    if (error == 0 && (routes->directory_place = strdup(place.way)) == NULL)
        error = -ENOMEM;
    return error;
}

/* Stores the part behind the first dot, or leaves `name` as it is. */
static int read_name(char name[NAME_MAX + 1], const struct json_place *place, const cJSON *value) {
    const char *reg = NULL;
    if (cJSON_IsString(value) && value->valuestring[0] == '\0')
        return 0;
    int error = json_string(place, value, REG_BYTES_MAX, false, &reg);
    const char *dot = error == 0 ? strchr(reg, '.') : NULL;
    size_t length = dot != NULL ? strcspn(dot + 1, ".") : 0;
    if (length == 0)
        return error;
    if (length > NAME_MAX || memchr(dot + 1, '/', length) != NULL)
        return json_complain(place, -EINVAL,
                             "\"%.60s\": what stands behind the dot must be the name of a file",
                             reg);
    memcpy(name, dot + 1, length);
    name[length] = '\0';
    return 0;
}

static int read_route(struct routes *routes, const struct legacy_route *legacy, const cJSON *tree,
                      const struct json_place *root) {
    const char *const keys[] = {"misc", "ihub_config_dev", "regs", legacy->key, "reg", NULL};
    struct json_place place = *root;
    char name[NAME_MAX + 1];
    const cJSON *value = tree;
    (void)snprintf(name, sizeof name, "%s", legacy->file);
    int error = descend(&value, &place, keys);
    if (error == 0 && value != NULL)
        error = read_name(name, &place, value);
    if (error < 0)
        return error;
    const struct route_end file = {ROUTE_FILE, name, place.way};
    const struct route_end frame = {ROUTE_FRAME, legacy->payload, place.way};
    const struct route sends = {file, frame, NULL};
    const struct route writes = {frame, file, "1"};
    return routes_add(routes, legacy->begins == ROUTE_FILE ? &sends : &writes);
}

static int fill(struct routes *routes, const cJSON *tree, const struct json_place *root) {
    routes->makes_files = true;
    int error = read_directory(routes, tree, root);
    for (size_t i = 0; i < sizeof known / sizeof known[0] && error == 0; i++)
        error = read_route(routes, &known[i], tree, root);
    return error;
}

int legacy_parse(struct routes *routes, const char *bytes, size_t length, const char *path,
                 struct omni_problem *problem) {
    return reading_bytes(routes, bytes, length, path, fill, problem);
}

int legacy_read(struct routes *routes, const char *path, struct omni_problem *problem) {
    return reading_file(routes, path, fill, problem);
}
