/*
 * reading.h - a file → routes, whatever kind of config it holds
 *
 * Purpose
 *   What both kinds have in common: the file is one JSON object, what it says makes a whole list of
 *   routes or none, and that list is judged at last.
 *
 * Calling sequence
 *     static int fill(struct routes *routes, const cJSON *tree, const struct json_place *root) ...
 *     int error = reading_file(&routes, "relay.json", fill, &problem);
 *
 * Failure
 *   -errno with one sentence, which begins with the file and the place in it; *routes is untouched.
 */
#ifndef RELAY_READING_H
#define RELAY_READING_H

#include <stddef.h>

#include "json.h"
#include "routes.h"

/* Adds what the tree says to routes that were begun. Returns 0 or -errno with a sentence at `root`. */
typedef int reading_fill(struct routes *routes, const cJSON *tree, const struct json_place *root);

/* Reads the file at `path`. What it holds is the caller's to give to routes_free(). */
int reading_file(struct routes *routes, const char *path, reading_fill *fill,
                 struct omni_problem *problem);

/* The same for bytes that are there already; bytes[length] must be 0, `path` is what complaints call
 * them. */
int reading_bytes(struct routes *routes, const char *bytes, size_t length, const char *path,
                  reading_fill *fill, struct omni_problem *problem);

#endif
