#include "catalog.h"

#include <string.h>

static void encode_refusals(struct text *text, const struct sources *sources) {
    const char *name;
    const char *problem;
    for (size_t i = 0; sources_refusal(sources, i, &name, &problem); i++) {
        text_string(text, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_json_string(text, name, strlen(name));
        text_string(text, ",\"problem\":");
        text_json_string(text, problem, strlen(problem));
        text_string(text, "}");
    }
}

void catalog_encode(struct text *text, const struct sources *sources, uint64_t now_ns) {
    const struct source *source;
    text_string(text, "\"sources\":[");
    for (size_t i = 0; (source = sources_at(sources, i)) != NULL; i++) {
        text_string(text, i > 0 ? "," : "");
        source_encode(text, source, now_ns, true);
    }
    text_string(text, "],\"refused\":[");
    encode_refusals(text, sources);
    text_string(text, "]");
}

void catalog_names(struct text *text, const struct sources *sources) {
    const struct source *source;
    for (size_t i = 0; (source = sources_at(sources, i)) != NULL; i++) {
        text_string(text, i > 0 ? ", " : "");
        text_string(text, source->name);
    }
}
