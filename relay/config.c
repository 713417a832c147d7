#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reading.h"

/* ---- the keys beside the routes ---- */

static int read_directory(void *context, const struct json_place *place, const cJSON *value) {
    struct routes *routes = context;
    int error = json_directory(place, value, &routes->directory);
    routes->directory_place = error == 0 ? strdup(place->way) : NULL;
    return error == 0 && routes->directory_place == NULL ? -ENOMEM : error;
}

/* JSON has no hexadecimal numbers. A decimal one is refused: who writes 8800 means 0x8800. */
static bool read_number(const cJSON *value, unsigned long *number) {
    char *end = NULL;
    if (!cJSON_IsString(value) || strncmp(value->valuestring, "0x", 2) != 0 ||
        strlen(value->valuestring) != strlen("0x8800"))
        return false;
    *number = strtoul(value->valuestring + 2, &end, 16);
    return *end == '\0';
}

static int read_ethertype(void *context, const struct json_place *place, const cJSON *value) {
    struct routes *routes = context;
    unsigned long number = 0;
    if (!read_number(value, &number) || number < ETHERTYPE_LOWEST || number > UINT16_MAX)
        return json_complain(place, -EINVAL,
                             "must be an EtherType, a string from \"0x0600\" to \"0xffff\"");
    routes->ethertype = (uint16_t)number;
    return 0;
}

static bool read_byte(const char *text, uint8_t *byte) {
    static const char digits[] = "0123456789abcdefABCDEF";
    if (strspn(text, digits) < 2)
        return false;
    *byte = (uint8_t)strtoul((char[]){text[0], text[1], '\0'}, NULL, 16);
    return true;
}

static bool read_address(const char *text, uint8_t address[ETH_ALEN]) {
    uint8_t read[ETH_ALEN];
    if (strlen(text) != ETH_ALEN * 3 - 1)
        return false;
    for (size_t i = 0; i < ETH_ALEN; i++)
        if (!read_byte(text + 3 * i, &read[i]) || (i > 0 && text[3 * i - 1] != ':'))
            return false;
    memcpy(address, read, sizeof read);
    return true;
}

static int read_destination(void *context, const struct json_place *place, const cJSON *value) {
    struct routes *routes = context;
    if (!cJSON_IsString(value) || !read_address(value->valuestring, routes->destination))
        return json_complain(place, -EINVAL,
                             "must be an Ethernet address like \"ff:ff:ff:ff:ff:ff\"");
    return 0;
}

/* ---- one route ---- */

/* One side of a route, while it is read. */
struct side {
    struct route_end end;
    struct json_place place; /* what end.place points to */
    const char *text;
};

/* An end is known by the one key that it has. */
static int take_end(struct side *side, enum route_kind kind, const struct json_place *place,
                    const char *name) {
    if (side->end.name != NULL)
        return json_complain(place, -EINVAL, "either a file or a frame, not both");
    side->place = *place;
    side->end = (struct route_end){kind, name, side->place.way};
    return 0;
}

static int read_file(void *context, const struct json_place *place, const cJSON *value) {
    const char *name = NULL;
    int error = json_file_name(place, value, &name);
    return error < 0 ? error : take_end(context, ROUTE_FILE, place, name);
}

static int read_frame(void *context, const struct json_place *place, const cJSON *value) {
    const char *name = NULL;
    int error = json_string(place, value, ROUTES_FRAME_MAX, false, &name);
    return error < 0 ? error : take_end(context, ROUTE_FRAME, place, name);
}

static int read_text(void *context, const struct json_place *place, const cJSON *value) {
    struct side *side = context;
    return json_string(place, value, ROUTES_TEXT_MAX, true, &side->text);
}

static int complain_of_none(const struct json_place *place) {
    return json_complain(place, -EINVAL, "the key \"file\" or \"frame\" is missing");
}

struct reading {
    struct side when;
    struct side then;
};

static int read_when(void *context, const struct json_place *place, const cJSON *value) {
    static const struct json_key keys[] = {
        {"file", false, read_file},
        {"frame", false, read_frame},
    };
    struct side *when = &((struct reading *)context)->when;
    int error = json_object(place, value, keys, sizeof keys / sizeof keys[0], when);
    return error == 0 && when->end.name == NULL ? complain_of_none(place) : error;
}

static int read_then(void *context, const struct json_place *place, const cJSON *value) {
    static const struct json_key keys[] = {
        {"file", false, read_file},
        {"text", false, read_text},
        {"frame", false, read_frame},
    };
    struct side *then = &((struct reading *)context)->then;
    int error = json_object(place, value, keys, sizeof keys / sizeof keys[0], then);
    if (error < 0)
        return error;
    if (then->end.name == NULL)
        return complain_of_none(place);
    if (then->end.kind == ROUTE_FILE && then->text == NULL)
        return json_complain(place, -EINVAL, "the key \"text\" is missing: what to write");
    if (then->end.kind == ROUTE_FRAME && then->text != NULL)
        return json_complain(place, -EINVAL, "\"text\" is for a file; a frame is its own text");
    return 0;
}

static int read_route(struct routes *routes, const struct json_place *place, const cJSON *value) {
    static const struct json_key keys[] = {
        {"when", true, read_when},
        {"then", true, read_then},
    };
    struct reading reading = {.when = {.text = NULL}};
    int error = json_object(place, value, keys, sizeof keys / sizeof keys[0], &reading);
    if (error < 0)
        return error;
    const struct route route = {reading.when.end, reading.then.end, reading.then.text};
    error = routes_add(routes, &route);
    if (error == -E2BIG)
        return json_complain(place, error, "is one too many: at most %u routes", ROUTES_MAX);
    return error < 0 ? json_complain(place, error, "%s", strerror(-error)) : 0;
}

static int read_routes(void *context, const struct json_place *place, const cJSON *value) {
    struct routes *routes = context;
    const cJSON *item = NULL;
    size_t index = 0;
    int error = 0;
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) == 0)
        return json_complain(place, -EINVAL, "must be a list of routes, and not empty");
    cJSON_ArrayForEach(item, value) {
        struct json_place inner;
        json_item(&inner, place, index++);
        if (error == 0)
            error = read_route(routes, &inner, item);
    }
    return error;
}

/* ---- the whole file ---- */

static int fill(struct routes *routes, const cJSON *tree, const struct json_place *root) {
    static const struct json_key keys[] = {
        {"directory", true, read_directory},
        {"ethertype", false, read_ethertype},
        {"destination", false, read_destination},
        {"routes", true, read_routes},
    };
    if (cJSON_HasObjectItem(tree, "file") && !cJSON_HasObjectItem(tree, "routes"))
        return json_complain(root, -EINVAL,
                             "this is the predecessor's file, not one for --config; type: "
                             "UDRV_JSON_PATH=%.60s omni-relay INTERFACE",
                             root->file);
    return json_object(root, tree, keys, sizeof keys / sizeof keys[0], routes);
}

int config_parse(struct routes *routes, const char *bytes, size_t length, const char *path,
                 struct omni_problem *problem) {
    return reading_bytes(routes, bytes, length, path, fill, problem);
}

int config_read(struct routes *routes, const char *path, struct omni_problem *problem) {
    return reading_file(routes, path, fill, problem);
}
