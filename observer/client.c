#include "hub_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "frame.h"
#include "stream.h"

_Static_assert(LWS_PRE >= FRAME_HEAD_BYTES_MAX, "texts have room for a frame's head");

/* ---- coming and going ---- */

void client_begin(struct client *client, struct hub *hub, struct lws *wsi) {
    uint64_t now_ns = uv_hrtime();
    client->hub = hub;
    client->wsi = wsi;
    client->socket = lws_get_socket_fd(wsi);
    client->by_default = true;
    client->wants_hello = true;
    client->ping_ns = now_ns + hub->options.ping_seconds * CLOCK_NS_A_SECOND;
    text_open(&client->incoming, 0);
    text_open(&client->replies, 0);
    client->next = hub->clients;
    if (hub->clients != NULL)
        hub->clients->previous = client;
    hub->clients = client;
    hub->figures.clients++;
    hub->figures.clients_ever++;
    client_subscribe_by_default(client, now_ns);
    client_flush(client, now_ns);
}

static void free_subscription(struct subscription *subscription) {
    struct feed *feed = subscription->feed;
    if (feed != NULL) {
        channels_leave(&feed->channels, &subscription->member);
        feed_want(feed);
    }
    free(subscription);
}

void client_leave(struct client *client) {
    struct hub *hub = client->hub;
    if (hub == NULL)
        return;
    while (client->subscriptions != NULL) {
        struct subscription *subscription = client->subscriptions;
        client->subscriptions = subscription->next;
        free_subscription(subscription);
    }
    if (client->previous != NULL)
        client->previous->next = client->next;
    else
        hub->clients = client->next;
    if (client->next != NULL)
        client->next->previous = client->previous;
    text_close(&client->incoming);
    text_close(&client->replies);
    hub->figures.clients--;
    client->hub = NULL;
}

/* ---- writing ---- */

static bool can_write(const struct client *client) {
    return !client->is_broken && client->close_code == 0 && !lws_partial_buffered(client->wsi);
}

void client_hold(struct client *client, uint64_t now_ns) {
    if (client->is_backlogged)
        return;
    client->is_backlogged = true;
    client->blocked_ns = now_ns;
    lws_callback_on_writable(client->wsi);
}

bool client_is_ready(struct client *client, uint64_t now_ns) {
    if (client->is_backlogged)
        return false;
    if (can_write(client))
        return true;
    client_hold(client, now_ns);
    return false;
}

static void write_bytes(struct client *client, char *bytes, size_t length,
                        enum lws_write_protocol kind) {
    if (lws_write(client->wsi, (unsigned char *)bytes, length, kind) < 0)
        client->is_broken = true;
}

/* Straight to the socket: lws_write() costs about an eighth of what the kernel does for a frame.
 * What the socket does not take at once is libwebsockets', which sends nothing else before it, no
 * pong and no close frame, and says so by lws_partial_buffered(). */
void client_write(struct client *client, const struct text *text) {
    size_t head = frame_put_head(text_bytes(text), text->length);
    char *frame = text_bytes(text) - head;
    size_t length = head + text->length;
    size_t taken = stream_send(client->socket, frame, length);
    if (taken < length)
        write_bytes(client, frame + taken, length - taken, LWS_WRITE_RAW);
    client->was_told = true;
    client->hub->figures.messages_sent++;
}

/* The slow-client policy's last resort (docs/adr/0003). */
static void give_up(struct client *client, const char *reason, uint64_t now_ns) {
    if (client->close_code == 0)
        client->hub->figures.clients_closed++;
    client_close(client, HUB_TRY_AGAIN_LATER, reason, now_ns);
}

void client_reply(struct client *client, const struct text *text, uint64_t now_ns) {
    if (text->failed)
        return;
    if (client_is_ready(client, now_ns)) {
        client_write(client, text);
        return;
    }
    if (client->replies.length + text->length > HUB_REPLIES_BYTES_MAX) {
        give_up(client, "too slow: answers do not fit", now_ns);
        return;
    }
    text_append(&client->replies, text_bytes(text), text->length);
    text_append(&client->replies, "\n", 1);
    client_hold(client, now_ns);
}

void client_drop(struct subscription *subscription, uint64_t frames) {
    subscription->untold += frames;
    subscription->dropped += frames;
    subscription->client->hub->figures.frames_dropped += frames;
}

void client_owe_event(struct subscription *subscription, uint64_t newest, uint64_t now_ns) {
    struct client *client = subscription->client;
    uint64_t waiting = newest + 1 - subscription->event_next;
    client_hold(client, now_ns);
    if (waiting * HUB_EVENT_BYTES > client->hub->options.backlog_bytes_max)
        give_up(client, "too slow: events do not fit", now_ns);
}

void client_orphan(struct subscription *subscription, uint64_t now_ns) {
    const struct source *source = subscription->feed->source;
    channels_leave(&subscription->feed->channels, &subscription->member);
    if (subscription->event_next <= transitions_newest(source->transitions))
        give_up(subscription->client, "too slow: events do not fit", now_ns);
    client_drop(subscription, subscription->skipped);
    subscription->skipped = 0;
    subscription->feed = NULL;
}

/* ---- paying what is owed: each step returns false where the socket is full ---- */

static bool flush_hello(struct client *client, uint64_t now_ns) {
    (void)now_ns;
    if (!client->wants_hello)
        return true;
    struct text *text = &client->hub->scratch;
    hub_write_hello(client->hub, text);
    if (text->failed || !can_write(client))
        return false;
    client_write(client, text);
    client->wants_hello = false;
    client->wants_sound = client->hub->speaker != NULL; /* it follows every hello */
    return true;
}

static bool flush_sound(struct client *client, uint64_t now_ns) {
    (void)now_ns;
    if (!client->wants_sound)
        return true;
    struct text *text = &client->hub->scratch;
    hub_write_sound(client->hub, text);
    if (text->failed || !can_write(client))
        return false;
    client_write(client, text);
    client->wants_sound = false;
    return true;
}

static bool flush_replies(struct client *client, uint64_t now_ns) {
    (void)now_ns;
    struct text *text = &client->hub->scratch;
    while (client->replies.length > 0) {
        char *line = text_bytes(&client->replies);
        size_t length = (size_t)((char *)memchr(line, '\n', client->replies.length) - line);
        text_clear(text);
        text_append(text, line, length);
        if (text->failed || !can_write(client))
            return false;
        client_write(client, text);
        client->replies.length -= length + 1;
        memmove(line, line + length + 1, client->replies.length);
    }
    text_close(&client->replies);
    return true;
}

static bool flush_events_of(struct subscription *subscription, uint64_t now_ns) {
    struct client *client = subscription->client;
    const struct source *source = subscription->feed->source;
    struct text *text = &client->hub->scratch;
    while (subscription->event_next <= transitions_newest(source->transitions)) {
        const struct event *event = transitions_get(source->transitions, subscription->event_next);
        if (event == NULL) {
            give_up(client, "too slow: events do not fit", now_ns);
            return false;
        }
        text_clear(text);
        transitions_encode(text, source->name, source->table, event);
        if (text->failed || !can_write(client))
            return false;
        client_write(client, text);
        subscription->event_next++;
    }
    return true;
}

/* Too far behind to be shown the past: goes on with what comes next. */
static void jump_to_newest(struct subscription *subscription) {
    client_drop(subscription, subscription->skipped);
    subscription->skipped = 0;
    subscription->ordinal = subscription->member.channel->ordinal;
    subscription->from_history = false;
}

static bool is_too_late(const struct subscription *subscription, uint64_t now_ns) {
    const struct history *history = subscription->feed->source->history;
    struct history_record record;
    if (subscription->from_history)
        return false;
    return history_get(history, subscription->ordinal, &record) < 0 ||
           record.stamp.time.monotonic_ns + HUB_CATCH_UP_NS < now_ns;
}

/* One batch a turn, so that a long history does not hold up the loop. */
static bool catch_up(struct subscription *subscription, uint64_t now_ns) {
    struct client *client = subscription->client;
    struct text *text = &client->hub->scratch;
    uint64_t end = subscription->member.channel->ordinal;
    if (subscription->mode != CHANNEL_EVERY || subscription->ordinal >= end)
        return true;
    if (is_too_late(subscription, now_ns)) {
        jump_to_newest(subscription);
        return true;
    }
    text_clear(text);
    uint64_t next = batch_encode(text, subscription->feed->source, subscription->ordinal, end,
                                 HUB_BATCH_BYTES_MAX);
    if (text->failed || !can_write(client))
        return false;
    if (text->length > 0)
        client_write(client, text);
    subscription->ordinal = next;
    if (next < end)
        return false;
    subscription->from_history = false;
    subscription->skipped = 0;
    return true;
}

static bool flush_dropped(struct subscription *subscription, uint64_t now_ns) {
    (void)now_ns;
    struct text *text = &subscription->client->hub->scratch;
    if (subscription->untold == 0)
        return true;
    text_clear(text);
    text_string(text, "{\"op\":\"dropped\",\"source\":");
    text_json_string(text, subscription->name, strlen(subscription->name));
    text_string(text, ",\"frames\":");
    encode_u64(text, subscription->untold);
    text_string(text, ",\"total\":");
    encode_u64(text, subscription->dropped);
    text_string(text, "}");
    if (text->failed || !can_write(subscription->client))
        return false;
    client_write(subscription->client, text);
    subscription->untold = 0;
    return true;
}

static bool flush_status(struct subscription *subscription, uint64_t now_ns) {
    if (!subscription->wants_status)
        return true;
    const struct text *status = feed_status(subscription->feed, now_ns);
    if (status != NULL && !can_write(subscription->client))
        return false;
    if (status != NULL)
        client_write(subscription->client, status);
    subscription->wants_status = false;
    return true;
}

static bool flush_subscriptions(struct client *client, uint64_t now_ns) {
    static bool (*const steps[])(struct subscription *, uint64_t) = {
        flush_events_of, flush_dropped, flush_status, catch_up, flush_dropped};
    for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++)
        for (struct subscription *subscription = client->subscriptions; subscription != NULL;
             subscription = subscription->next)
            if (subscription->feed != NULL && !steps[step](subscription, now_ns))
                return false;
    return true;
}

void client_flush(struct client *client, uint64_t now_ns) {
    static bool (*const steps[])(struct client *, uint64_t) = {flush_hello, flush_sound,
                                                               flush_replies, flush_subscriptions};
    for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++)
        if (!can_write(client) || !steps[step](client, now_ns)) {
            client_hold(client, now_ns);
            /* It is called once for each time that it is asked for. */
            lws_callback_on_writable(client->wsi);
            return;
        }
    client->is_backlogged = false;
}

/* ---- closing ---- */

void client_close(struct client *client, unsigned code, const char *reason, uint64_t now_ns) {
    if (client->close_code != 0)
        return;
    client->close_code = code;
    client->close_reason = reason;
    client->closing_ns = now_ns;
    client_hold(client, now_ns);
}

bool client_is_over(const struct client *client) {
    return client->is_broken || (client->close_code != 0 && !lws_partial_buffered(client->wsi));
}

void client_say_why(const struct client *client) {
    unsigned char reason[123];
    if (client->close_code == 0)
        return;
    size_t length = strnlen(client->close_reason, sizeof reason);
    memcpy(reason, client->close_reason, length);
    lws_close_reason(client->wsi, (enum lws_close_status)client->close_code, reason, length);
}

/* ---- the beat ---- */

static void beat_backlogged(struct client *client, uint64_t now_ns) {
    uint64_t limit = client->hub->options.blocked_seconds * CLOCK_NS_A_SECOND;
    uint64_t taken = stream_taken(client->socket);
    if (taken != client->taken_bytes) {
        client->taken_bytes = taken;
        client->blocked_ns = now_ns;
    } else if (now_ns - client->blocked_ns > limit) {
        give_up(client, "too slow: nothing was taken", now_ns);
    }
}

static void beat_ping(struct client *client, uint64_t now_ns) {
    /* libwebsockets does not show pongs without payload. */
    char buffer[LWS_PRE + 1] = {0};
    if (now_ns < client->ping_ns)
        return;
    if (client->is_pinged) {
        client_close(client, HUB_TRY_AGAIN_LATER, "a ping was not answered", now_ns);
        return;
    }
    write_bytes(client, buffer + LWS_PRE, 1, LWS_WRITE_PING);
    client->is_pinged = true;
    client->ping_ns = now_ns + client->hub->options.ping_seconds * CLOCK_NS_A_SECOND;
}

static void beat_alive(struct client *client) {
    struct text *text = &client->hub->scratch;
    if (!client->was_told) {
        text_clear(text);
        text_string(text, "{\"op\":\"alive\"}");
        if (!text->failed)
            client_write(client, text);
    }
    client->was_told = false;
}

void client_beat(struct client *client, uint64_t now_ns) {
    bool is_over = client->close_code != 0 && now_ns - client->closing_ns > HUB_CLOSE_GRACE_NS;
    if (is_over || client->is_broken) {
        /* Nothing can be said any more. libwebsockets sees the dead socket and forgets it. */
        stream_kill(client->socket);
        return;
    }
    if (client_is_ready(client, now_ns))
        beat_ping(client, now_ns);
    if (client_is_ready(client, now_ns))
        beat_alive(client);
    else if (client->close_code == 0)
        beat_backlogged(client, now_ns);
}

/* ---- subscriptions ---- */

/* Where to begin. */
static void set_off(struct subscription *subscription, const struct message *message,
                    uint64_t now_ns) {
    const struct source *source = subscription->feed->source;
    uint64_t newest = transitions_newest(source->transitions);
    uint64_t oldest = transitions_oldest(source->transitions);
    subscription->event_next = newest + 1;
    if (message->has_events_after && message->events_after < newest)
        subscription->event_next =
            message->events_after < oldest ? oldest : message->events_after + 1;
    subscription->wants_status = message->mode == CHANNEL_LATEST;
    subscription->ordinal = subscription->member.channel->ordinal;
    if (message->history_seconds > 0) {
        uint64_t back_ns = (uint64_t)(message->history_seconds * 1e9);
        subscription->ordinal =
            history_since(source->history, back_ns < now_ns ? now_ns - back_ns : 0);
        subscription->from_history = true;
    }
}

static int join(struct subscription *subscription, struct feed *feed, uint64_t now_ns) {
    int error = channels_join(&feed->channels, &subscription->member, subscription->mode,
                              subscription->rate);
    if (error < 0)
        return error;
    struct channel *channel = subscription->member.channel;
    subscription->feed = feed;
    if (channel->count == 1) {
        channel->ordinal = history_end(feed->source->history);
        channel->told_ns = now_ns;
        channel->told_ticks = feed->source->ticks;
    }
    return 0;
}

int client_subscribe(struct client *client, struct feed *feed, const struct message *message,
                     uint64_t now_ns) {
    client_unsubscribe(client, message->source);
    if (client->subscription_count == HUB_SUBSCRIPTIONS_MAX)
        return -ENOSPC;
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return -ENOMEM;
    subscription->client = client;
    subscription->mode = message->mode;
    subscription->rate = message->rate;
    memcpy(subscription->name, message->source, sizeof subscription->name);
    if (join(subscription, feed, now_ns) < 0) {
        free(subscription);
        return -ENOMEM;
    }
    set_off(subscription, message, now_ns);
    subscription->next = client->subscriptions;
    client->subscriptions = subscription;
    client->subscription_count++;
    feed_want(feed);
    client_hold(client, now_ns);
    return 0;
}

bool client_unsubscribe(struct client *client, const char *name) {
    struct subscription **link = &client->subscriptions;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    struct subscription *subscription = *link;
    *link = subscription->next;
    client->subscription_count--;
    free_subscription(subscription);
    return true;
}

void client_subscribe_by_default(struct client *client, uint64_t now_ns) {
    const struct hub *hub = client->hub;
    const struct source *source = hub->sources != NULL ? sources_default(hub->sources) : NULL;
    struct message message = {
        .op = MESSAGE_subscribe, .mode = CHANNEL_LATEST, .rate = MESSAGE_RATE_DEFAULT};
    if (source == NULL || source->hub == NULL || client->subscriptions != NULL)
        return;
    memcpy(message.source, source->name, sizeof message.source);
    client_subscribe(client, source->hub, &message, now_ns);
}

void client_wake(struct client *client, struct feed *feed, uint64_t now_ns) {
    for (struct subscription *subscription = client->subscriptions; subscription != NULL;
         subscription = subscription->next) {
        if (subscription->feed != NULL || strcmp(subscription->name, feed->source->name) != 0)
            continue;
        if (join(subscription, feed, now_ns) < 0) {
            client_close(client, HUB_TRY_AGAIN_LATER, "no memory", now_ns);
            return;
        }
        struct message again = {.mode = subscription->mode};
        set_off(subscription, &again, now_ns);
        client_hold(client, now_ns);
    }
}
