/*
 * json.h - reading a JSON file strictly, with the place of what is wrong
 *
 * Purpose
 *   Both kinds of config are read by these: every complaint begins with the file and the way to what
 *   is wrong, "relay.json: routes[2].when.file: ...".
 *
 * Calling sequence
 *     cJSON *tree;
 *     struct json_place root = {.file = path, .problem = &problem};
 *     if (json_read(&tree, &root) < 0) ...
 *     struct json_place place;
 *     json_member(&place, &root, "directory");
 *     ... json_complain(&place, -EINVAL, "must be a string") ...
 *     cJSON_Delete(tree);
 */
#ifndef RELAY_JSON_H
#define RELAY_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include <omni/schema.h>

#define JSON_BYTES_MAX ((size_t)1024 * 1024)
#define JSON_WAY_BYTES 96

struct json_place {
    const char *file;
    struct omni_problem *problem;
    char way[JSON_WAY_BYTES]; /* "" : the whole file; what is longer is cut */
};

/* The place of a member, or of an item, of the one at `outer`. */
void json_member(struct json_place *place, const struct json_place *outer, const char *key);
void json_item(struct json_place *place, const struct json_place *outer, size_t index);

/* Writes FILE: WAY: sentence. */
void json_complain_write(const struct json_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same as an expression of value `error`. */
#define json_complain(place, error, ...) (json_complain_write((place), __VA_ARGS__), (error))

/* Reads the file at root->file, of at most JSON_BYTES_MAX, which must hold one JSON object and
 * nothing else. Returns 0 or -errno with a sentence. */
int json_read(cJSON **tree, const struct json_place *root);

/* The same for bytes that are there already; bytes[length] must be 0. */
int json_parse(cJSON **tree, const char *bytes, size_t length, const struct json_place *root);

/* One key that an object may have. */
struct json_key {
    const char *name;
    bool is_required;
    /* Judges and takes the value. Returns 0 or -errno with a sentence. */
    int (*read)(void *context, const struct json_place *place, const cJSON *value);
};

/* Reads an object that has these keys and no other, each once at most. Returns 0 or -EINVAL, or what
 * a key's read() returned. */
int json_object(const struct json_place *place, const cJSON *object, const struct json_key *keys,
                size_t count, void *context);

/* A string that is not empty, of at most `most` bytes of UTF-8 without control characters (line ends
 * and tabs are allowed where `is_text`). Returns 0 or -EINVAL; *text points into the tree. */
int json_string(const struct json_place *place, const cJSON *value, size_t most, bool is_text,
                const char **text);

/* The name of a file in a directory: one part of a path, neither "." nor "..". The same way. */
int json_file_name(const struct json_place *place, const cJSON *value, const char **name);

/* Takes an absolute path, without the slashes at its end, as strdup() does. The same way. */
int json_directory(const struct json_place *place, const cJSON *value, char **directory);

#endif
