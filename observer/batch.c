#include "batch.h"

#include <inttypes.h>
#include <string.h>

static void begin(struct text *text, const struct source *source, uint64_t instance) {
    text_string(text, "{\"op\":\"batch\",\"source\":");
    text_json_string(text, source->name, strlen(source->name));
    text_format(text, ",\"instance\":\"%016" PRIx64 "\",\"lost\":", instance);
    encode_u64(text, source->lost);
    text_string(text, ",\"columns\":[\"tick\",\"time\",\"monotonic\"");
    if (source->table->field_count > 0)
        text_string(text, ",");
    encode_columns(text, source->encoder);
    text_string(text, "],\"rows\":[");
}

static void add_row(struct text *text, const struct source *source,
                    const struct history_record *record) {
    text_string(text, "[");
    encode_stamp_row(text, &record->stamp);
    if (source->table->field_count > 0)
        text_string(text, ",");
    encode_row(text, source->encoder, record->payload);
    text_string(text, "]");
}

uint64_t batch_encode(struct text *text, const struct source *source, uint64_t from, uint64_t end,
                      size_t bytes_max) {
    const struct history *history = source->history;
    uint64_t ordinal = from < history_begin(history) ? history_begin(history) : from;
    struct history_record record;
    size_t start = text->length;
    if (ordinal >= end || history_get(history, ordinal, &record) < 0)
        return end;
    uint64_t instance = record.instance;
    begin(text, source, instance);
    add_row(text, source, &record);
    for (ordinal++; ordinal < end && text->length - start < bytes_max; ordinal++) {
        if (history_get(history, ordinal, &record) < 0 || record.instance != instance)
            break;
        text_string(text, ",");
        add_row(text, source, &record);
    }
    text_string(text, "]}");
    return ordinal;
}
