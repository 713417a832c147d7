/*
 * assets.h - the page's files, compiled into the program
 *
 * Purpose
 *   scripts/embed lists the files of web/; each is in memory as it is and as gzip made it, with its
 *   content type and an ETag that changes with its content. web/index.html is "/".
 *
 * Everything lives as long as the program and never changes.
 */
#ifndef OBSERVER_ASSETS_H
#define OBSERVER_ASSETS_H

#include <stddef.h>

struct asset_bytes {
    const unsigned char *start;
    const unsigned char *end; /* one past the last */
};

struct asset {
    const char *path; /* "/", "/main.js" */
    const char *type; /* "text/javascript; charset=utf-8" */
    const char *etag; /* 32 hexadecimal digits, without quotes */
    struct asset_bytes plain;
    struct asset_bytes gzip;
};

/* The asset of that path, or NULL. */
const struct asset *assets_find(const char *path);
/* Number `index` = 0, 1, … in the order of their names; NULL past the end. */
const struct asset *assets_at(size_t index);

static inline size_t assets_length(struct asset_bytes bytes) {
    return (size_t)(bytes.end - bytes.start);
}

#endif
