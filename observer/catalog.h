/*
 * catalog.h - all sources at once: for hello, for /api/sources, and for those who asked for a name
 * that is not there
 */
#ifndef OBSERVER_CATALOG_H
#define OBSERVER_CATALOG_H

#include "sources.h"

/* Appends `"sources":[ SOURCE, … ],"refused":[{"name":…,"problem":…}, …]`, as docs/websocket.md has
 * it. `now_ns` makes the ages. */
void catalog_encode(struct text *text, const struct sources *sources, uint64_t now_ns);

/* Appends the names with commas between: "arm, robot"; nothing where there is no source. */
void catalog_names(struct text *text, const struct sources *sources);

#endif
