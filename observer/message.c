#include "message.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#define EXACT_MAX 9007199254740991.0 /* 2^53 - 1: beyond, a JSON number is not exact */

__attribute__((format(printf, 3, 4))) static int fail(struct message_error *error, const char *code,
                                                      const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* ---- one function per member ---- */

typedef int take_member(struct message *message, struct message_error *error, const cJSON *value);

static int take_source(struct message *message, struct message_error *error, const cJSON *value) {
    if (!cJSON_IsString(value))
        return fail(error, MESSAGE_BAD_VALUE, "\"source\" must be a string");
    size_t bytes = strlen(value->valuestring) + 1;
    if (bytes > sizeof message->source)
        return fail(error, MESSAGE_UNKNOWN_SOURCE, "no source has a name that long");
    memcpy(message->source, value->valuestring, bytes);
    return 0;
}

static int take_mode(struct message *message, struct message_error *error, const cJSON *value) {
    const char *word = cJSON_IsString(value) ? value->valuestring : "";
    if (strcmp(word, "latest") == 0)
        message->mode = CHANNEL_LATEST;
    else if (strcmp(word, "every") == 0)
        message->mode = CHANNEL_EVERY;
    else
        return fail(error, MESSAGE_BAD_VALUE, "\"mode\" must be \"latest\" or \"every\"");
    return 0;
}

static bool is_whole(const cJSON *value, double least, double most) {
    return cJSON_IsNumber(value) && value->valuedouble >= least && value->valuedouble <= most &&
           floor(value->valuedouble) == value->valuedouble;
}

static int take_rate(struct message *message, struct message_error *error, const cJSON *value) {
    if (!is_whole(value, 1, CHANNEL_RATE_MAX))
        return fail(error, MESSAGE_BAD_VALUE, "\"rate\" must be a whole number from 1 to %u",
                    CHANNEL_RATE_MAX);
    message->rate = (unsigned)value->valuedouble;
    return 0;
}

static int take_events_after(struct message *message, struct message_error *error,
                             const cJSON *value) {
    if (!is_whole(value, 0, EXACT_MAX))
        return fail(error, MESSAGE_BAD_VALUE, "\"events_after\" must be a whole number from 0");
    message->has_events_after = true;
    message->events_after = (uint64_t)value->valuedouble;
    return 0;
}

static int take_history(struct message *message, struct message_error *error, const cJSON *value) {
    bool fits = cJSON_IsNumber(value) && value->valuedouble > 0 &&
                value->valuedouble <= MESSAGE_HISTORY_SECONDS_MAX;
    if (!fits)
        return fail(error, MESSAGE_BAD_VALUE,
                    "\"history\" must be a number of seconds above 0, at most %.0f",
                    MESSAGE_HISTORY_SECONDS_MAX);
    message->history_seconds = value->valuedouble;
    return 0;
}

static int take_id(struct message *message, struct message_error *error, const cJSON *value) {
    if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
        return fail(error, MESSAGE_BAD_VALUE, "\"id\" must be a number");
    message->has_id = true;
    message->id = value->valuedouble;
    return 0;
}

static int take_on(struct message *message, struct message_error *error, const cJSON *value) {
    if (!cJSON_IsBool(value))
        return fail(error, MESSAGE_BAD_VALUE, "\"on\" must be true or false");
    message->on = cJSON_IsTrue(value) != 0;
    return 0;
}

/* ---- which members a message has ---- */

struct member {
    const char *name;
    take_member *take;
    bool required;
};

static const struct member subscribe_members[] = {
    {"source", take_source, true},    {"mode", take_mode, false},
    {"rate", take_rate, false},       {"events_after", take_events_after, false},
    {"history", take_history, false}, {NULL, NULL, false},
};
static const struct member unsubscribe_members[] = {{"source", take_source, true},
                                                    {NULL, NULL, false}};
static const struct member ping_members[] = {{"id", take_id, false}, {NULL, NULL, false}};
static const struct member sound_members[] = {{"on", take_on, true}, {NULL, NULL, false}};

static const struct {
    const char *name;
    const struct member *members;
} ops[MESSAGE_OP_COUNT] = {
#define OP_(name) [MESSAGE_##name] = {#name, name##_members},
    MESSAGE_OPS(OP_)
#undef OP_
};

static int take_members(struct message *message, struct message_error *error, const cJSON *object) {
    for (const struct member *member = ops[message->op].members; member->name != NULL; member++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, member->name);
        int result = 0;
        if (value != NULL)
            result = member->take(message, error, value);
        else if (member->required)
            result = fail(error, MESSAGE_BAD_MESSAGE, "\"%s\" needs \"%s\"", ops[message->op].name,
                          member->name);
        if (result < 0)
            return result;
    }
    if (message->history_seconds > 0 && message->mode != CHANNEL_EVERY)
        return fail(error, MESSAGE_BAD_VALUE, "\"history\" needs \"mode\": \"every\"");
    return 0;
}

static int take_op(struct message *message, struct message_error *error, const cJSON *object) {
    const cJSON *op = cJSON_GetObjectItemCaseSensitive(object, "op");
    if (!cJSON_IsString(op))
        return fail(error, MESSAGE_BAD_MESSAGE, "a message is an object with a string \"op\"");
    for (unsigned i = 0; i < MESSAGE_OP_COUNT; i++)
        if (strcmp(ops[i].name, op->valuestring) == 0) {
            message->op = (enum message_op)i;
            return 0;
        }
#define LIST_(name) " " #name
    return fail(error, MESSAGE_UNKNOWN_OP, "no op \"%.40s\"; there are:" MESSAGE_OPS(LIST_),
                op->valuestring);
#undef LIST_
}

static bool only_white_space(const char *bytes, const char *end) {
    while (bytes < end && *bytes != '\0' && strchr(" \t\r\n", *bytes) != NULL)
        bytes++;
    return bytes == end;
}

/* cJSON's strings would end there: "sound\u0000x" is not "sound". */
static bool has_escaped_nul(const char *bytes, size_t length) {
    static const char nul[] = "\\u0000";
    for (size_t i = 0; i + sizeof nul - 1 <= length; i++) {
        if (bytes[i] != '\\')
            continue;
        if (memcmp(bytes + i, nul, sizeof nul - 1) == 0)
            return true;
        i++; /* what is escaped: another backslash, maybe */
    }
    return false;
}

int message_parse(struct message *message, struct message_error *error, const char *bytes,
                  size_t length) {
    const char *rest = bytes;
    cJSON *object = cJSON_ParseWithLengthOpts(bytes, length, &rest, 0);
    struct message parsed = {.mode = CHANNEL_LATEST, .rate = MESSAGE_RATE_DEFAULT};
    int result = 0;
    if (object == NULL || !only_white_space(rest, bytes + length))
        result = fail(error, MESSAGE_BAD_JSON, "not JSON: near byte %zu", (size_t)(rest - bytes));
    if (result == 0 && has_escaped_nul(bytes, length))
        result = fail(error, MESSAGE_BAD_MESSAGE, "no string of a message has a NUL in it");
    if (result == 0)
        result = take_op(&parsed, error, object);
    if (result == 0)
        result = take_members(&parsed, error, object);
    if (result == 0)
        *message = parsed;
    cJSON_Delete(object);
    return result;
}
