#include "hub_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "catalog.h"
#include "clock.h"

static void answer_error(struct client *client, const struct message_error *error,
                         uint64_t now_ns) {
    struct text *text = &client->hub->scratch;
    text_clear(text);
    text_format(text, "{\"op\":\"error\",\"code\":\"%s\",\"message\":", error->code);
    text_json_string(text, error->text, strlen(error->text));
    text_string(text, "}");
    client_reply(client, text, now_ns);
    if (++client->errors >= HUB_ERRORS_MAX)
        client_close(client, LWS_CLOSE_STATUS_POLICY_VIOLATION, "too many errors in a row", now_ns);
}

static void answer_unknown_source(struct client *client, const char *name, uint64_t now_ns) {
    struct message_error error = {.code = MESSAGE_UNKNOWN_SOURCE};
    struct text names;
    text_open(&names, 0);
    catalog_names(&names, client->hub->sources);
    (void)snprintf(error.text, sizeof error.text, "no source named \"%s\"; there are: %.*s", name,
                   (int)names.length, names.length > 0 ? text_bytes(&names) : "");
    text_close(&names);
    answer_error(client, &error, now_ns);
}

/* ---- one function per op ---- */

typedef void handle_op(struct client *client, const struct message *message, uint64_t now_ns);

/* Before the events that it asks for, and after any that an earlier subscription was sent: until then
 * a client cannot know which of the two a live event is of. */
static void answer_subscribed(struct client *client, const char *source, uint64_t now_ns) {
    struct text *text = &client->hub->scratch;
    text_clear(text);
    text_string(text, "{\"op\":\"subscribed\",\"source\":");
    text_json_string(text, source, strlen(source));
    text_string(text, "}");
    client_reply(client, text, now_ns);
}

static void handle_subscribe(struct client *client, const struct message *message,
                             uint64_t now_ns) {
    struct feed *feed = hub_feed(client->hub, message->source);
    if (feed == NULL) {
        answer_unknown_source(client, message->source, now_ns);
        return;
    }
    if (client->by_default && client->subscriptions != NULL)
        client_unsubscribe(client, client->subscriptions->name);
    client->by_default = false;
    int error = client_subscribe(client, feed, message, now_ns);
    struct message_error problem = {MESSAGE_TOO_MANY, "at most 64 subscriptions a client"};
    if (error == -ENOSPC)
        answer_error(client, &problem, now_ns);
    else if (error < 0)
        client_close(client, HUB_TRY_AGAIN_LATER, "no memory", now_ns);
    else if (message->has_events_after)
        answer_subscribed(client, message->source, now_ns);
    if (error == 0)
        client->errors = 0;
}

static void handle_unsubscribe(struct client *client, const struct message *message,
                               uint64_t now_ns) {
    client->by_default = false;
    struct message_error error = {MESSAGE_UNKNOWN_SOURCE, "there is no subscription to it"};
    if (client_unsubscribe(client, message->source))
        client->errors = 0;
    else
        answer_error(client, &error, now_ns);
}

static void handle_ping(struct client *client, const struct message *message, uint64_t now_ns) {
    struct text *text = &client->hub->scratch;
    text_clear(text);
    text_string(text, "{\"op\":\"pong\"");
    if (message->has_id) {
        text_string(text, ",\"id\":");
        encode_f64(text, message->id);
    }
    text_string(text, ",\"time\":");
    encode_microseconds(text, clock_wall_ns());
    text_string(text, ",\"monotonic\":");
    encode_microseconds(text, now_ns);
    text_string(text, "}");
    client_reply(client, text, now_ns);
    client->errors = 0;
}

/* Every client hears of it, this one too: see on_sound() in hub.c. */
static void handle_sound(struct client *client, const struct message *message, uint64_t now_ns) {
    struct speaker *speaker = client->hub->speaker;
    struct message_error error = {MESSAGE_BAD_MESSAGE, "this observer has no sound"};
    if (speaker == NULL) {
        answer_error(client, &error, now_ns);
        return;
    }
    speaker_switch(speaker, message->on);
    client->errors = 0;
}

static handle_op *const handlers[MESSAGE_OP_COUNT] = {
#define HANDLER_(name) [MESSAGE_##name] = handle_##name,
    MESSAGE_OPS(HANDLER_)
#undef HANDLER_
};

void request_handle(struct client *client, const char *bytes, size_t length, uint64_t now_ns) {
    struct message message;
    struct message_error error;
    if (!text_is_utf8(bytes, length))
        client_close(client, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "not UTF-8", now_ns);
    else if (message_parse(&message, &error, bytes, length) < 0)
        answer_error(client, &error, now_ns);
    else
        handlers[message.op](client, &message, now_ns);
    if (client->is_backlogged)
        client_flush(client, now_ns);
}
