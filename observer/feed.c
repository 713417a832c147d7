#include "hub_inside.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"

/* Below a second, because the beat itself is not that punctual. */
#define SILENT_NS (CLOCK_NS_A_SECOND * 9 / 10)

/* A status tells its own age: it is made anew for whoever comes later than this. */
#define STATUS_KEPT_NS (CLOCK_NS_A_SECOND / 1000)

/* By way of void: where pointers have 32 bits, a member alone may be aligned to less. */
static struct subscription *subscription_of(struct channel_member *member) {
    return (void *)member;
}

struct feed *feed_open(struct hub *hub, struct source *source) {
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return NULL;
    feed->hub = hub;
    feed->source = source;
    text_open(&feed->status, LWS_PRE);
    feed->next = hub->feeds;
    hub->feeds = feed;
    source->hub = feed;
    return feed;
}

void feed_close(struct feed *feed) {
    uint64_t now_ns = uv_hrtime();
    while (feed->channels.first != NULL)
        client_orphan(subscription_of(feed->channels.first->members[0]), now_ns);
    struct feed **link = &feed->hub->feeds;
    while (*link != feed)
        link = &(*link)->next;
    *link = feed->next;
    feed->source->hub = NULL;
    text_close(&feed->status);
    free(feed);
}

void feed_want(struct feed *feed) {
    struct sources *sources = feed->hub->sources;
    if (sources != NULL)
        sources_want(sources, feed->source,
                     channels_interval(&feed->channels, feed->source->facts.period_ns));
}

const struct text *feed_status(struct feed *feed, uint64_t now_ns) {
    if (now_ns > feed->status_ns + STATUS_KEPT_NS)
        text_clear(&feed->status);
    if (feed->status.length == 0) {
        source_encode_status(&feed->status, feed->source, now_ns);
        feed->status_ns = now_ns;
    }
    if (feed->status.failed)
        text_clear(&feed->status);
    return feed->status.length > 0 ? &feed->status : NULL;
}

void feed_write_source(struct text *text, const struct source *source, const char *change,
                       uint64_t now_ns) {
    text_clear(text);
    text_format(text, "{\"op\":\"source\",\"change\":\"%s\",\"source\":", change);
    if (strcmp(change, "went") == 0) {
        text_string(text, "{\"name\":");
        text_json_string(text, source->name, strlen(source->name));
        text_string(text, "}");
    } else {
        source_encode(text, source, now_ns, strcmp(change, "came") == 0);
    }
    text_string(text, "}");
}

/* The member's subscription. What the kernel does for one client takes the caches from the next: so
 * the next one's memory is asked for meanwhile. */
static struct subscription *subscription_at(const struct channel *channel, size_t index) {
    if (index + 2 < channel->count)
        __builtin_prefetch(channel->members[index + 2]);
    if (index + 1 < channel->count)
        __builtin_prefetch(subscription_of(channel->members[index + 1])->client, 1);
    return subscription_of(channel->members[index]);
}

/* ---- frames ---- */

static void tell_latest(struct feed *feed, struct channel *channel, uint64_t now_ns) {
    const struct text *status = feed_status(feed, now_ns);
    if (status == NULL)
        return;
    for (size_t i = 0; i < channel->count; i++) {
        struct subscription *subscription = subscription_at(channel, i);
        if (client_is_ready(subscription->client, now_ns)) {
            client_write(subscription->client, status);
        } else {
            client_drop(subscription, 1);
            subscription->wants_status = true;
        }
    }
}

/* Whoever stands at `from` gets the batch and then stands at `next`. The others are behind: they
 * read on by themselves in client_flush(). An empty text is a stretch that fell out of the history:
 * nothing to send. */
static void give_batch(struct channel *channel, const struct text *batch, uint64_t from,
                       uint64_t next, uint64_t now_ns) {
    for (size_t i = 0; i < channel->count; i++) {
        struct subscription *subscription = subscription_at(channel, i);
        struct client *client = subscription->client;
        bool gets_it = subscription->ordinal == from && !batch->failed &&
                       (batch->length == 0 || client_is_ready(client, now_ns));
        if (!gets_it) {
            subscription->skipped++;
            client_hold(client, now_ns);
            continue;
        }
        if (batch->length > 0)
            client_write(client, batch);
        subscription->ordinal = next;
    }
}

static void tell_every(struct feed *feed, struct channel *channel, uint64_t now_ns) {
    struct text *batch = &feed->hub->scratch;
    uint64_t end = history_end(feed->source->history);
    while (channel->ordinal < end) {
        uint64_t from = channel->ordinal;
        text_clear(batch);
        channel->ordinal = batch_encode(batch, feed->source, from, end, HUB_BATCH_BYTES_MAX);
        give_batch(channel, batch, from, channel->ordinal, now_ns);
    }
}

static void tell(struct feed *feed, struct channel *channel, uint64_t now_ns) {
    static void (*const tellers[])(struct feed *, struct channel *, uint64_t) = {
        [CHANNEL_LATEST] = tell_latest, [CHANNEL_EVERY] = tell_every};
    tellers[channel->mode](feed, channel, now_ns);
    channel->told_ns = now_ns;
    channel->told_ticks = feed->source->ticks;
}

static bool holds_back(const struct feed *feed, const struct channel *channel) {
    if (channel->mode == CHANNEL_EVERY)
        return channel->ordinal < history_end(feed->source->history);
    return channel->told_ticks != feed->source->ticks;
}

void feed_trail(struct feed *feed, uint64_t now_ns) {
    for (struct channel *channel = feed->channels.first; channel != NULL; channel = channel->next) {
        if (!holds_back(feed, channel))
            continue;
        if (channel_take_turn(channel, now_ns))
            tell(feed, channel, now_ns);
        else if (feed->source->facts.period_ns == 0)
            hub_trail(feed->hub, channel->due_ns);
    }
}

void feed_tick(struct feed *feed, uint64_t now_ns) {
    text_clear(&feed->status);
    feed_trail(feed, now_ns);
}

void feed_finish(struct feed *feed, uint64_t now_ns) {
    for (struct channel *channel = feed->channels.first; channel != NULL; channel = channel->next)
        if (holds_back(feed, channel))
            tell(feed, channel, now_ns);
}

/* ---- events ---- */

void feed_event(struct feed *feed, const struct event *event) {
    struct text *text = &feed->hub->scratch;
    uint64_t now_ns = uv_hrtime();
    text_clear(text);
    if (feed->channels.first != NULL)
        transitions_encode(text, feed->source->name, feed->source->table, event);
    for (struct channel *channel = feed->channels.first; channel != NULL; channel = channel->next)
        for (size_t i = 0; i < channel->count; i++) {
            struct subscription *subscription = subscription_at(channel, i);
            if (subscription->event_next > event->sequence)
                continue;
            if (!text->failed && client_is_ready(subscription->client, now_ns)) {
                client_write(subscription->client, text);
                subscription->event_next = event->sequence + 1;
            } else {
                client_owe_event(subscription, event->sequence, now_ns);
            }
        }
}

/* ---- silence ---- */

static void tell_source(struct feed *feed, struct channel *channel, uint64_t now_ns) {
    struct text *text = &feed->hub->scratch;
    feed_write_source(text, feed->source, "changed", now_ns);
    for (size_t i = 0; i < channel->count && !text->failed; i++) {
        struct client *client = subscription_at(channel, i)->client;
        if (client_is_ready(client, now_ns))
            client_write(client, text);
    }
}

void feed_beat(struct feed *feed, uint64_t now_ns) {
    for (struct channel *channel = feed->channels.first; channel != NULL; channel = channel->next) {
        if (now_ns - channel->told_ns < SILENT_NS)
            continue;
        if (holds_back(feed, channel))
            tell(feed, channel, now_ns);
        else
            tell_source(feed, channel, now_ns);
    }
}
