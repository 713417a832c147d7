#include "channel.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"

#define MEMBERS_FIRST ((size_t)4)

static struct channel *find(const struct channels *channels, enum channel_mode mode,
                            unsigned rate) {
    struct channel *channel = channels->first;
    while (channel != NULL && (channel->mode != mode || channel->rate != rate))
        channel = channel->next;
    return channel;
}

static struct channel *make(enum channel_mode mode, unsigned rate) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return NULL;
    channel->mode = mode;
    channel->rate = rate;
    channel->interval_ns = CLOCK_NS_A_SECOND / rate;
    return channel;
}

static void discard(struct channel *channel) {
    free(channel->members);
    free(channel);
}

static int grow(struct channel *channel) {
    size_t capacity = channel->capacity > 0 ? channel->capacity * 2 : MEMBERS_FIRST;
    struct channel_member **members =
        reallocarray(channel->members, capacity, sizeof(struct channel_member *));
    if (members == NULL)
        return -ENOMEM;
    channel->members = members;
    channel->capacity = capacity;
    return 0;
}

int channels_join(struct channels *channels, struct channel_member *member, enum channel_mode mode,
                  unsigned rate) {
    struct channel *channel = find(channels, mode, rate);
    bool made = channel == NULL;
    if (made)
        channel = make(mode, rate);
    if (channel == NULL)
        return -ENOMEM;
    if (channel->count == channel->capacity && grow(channel) < 0) {
        if (made)
            discard(channel);
        return -ENOMEM;
    }
    if (made) {
        channel->next = channels->first;
        channels->first = channel;
    }
    member->channel = channel;
    member->place = channel->count;
    channel->members[channel->count++] = member;
    return 0;
}

static void unlink_channel(struct channels *channels, struct channel *channel) {
    struct channel **link = &channels->first;
    while (*link != channel)
        link = &(*link)->next;
    *link = channel->next;
    discard(channel);
}

void channels_leave(struct channels *channels, struct channel_member *member) {
    struct channel *channel = member->channel;
    if (channel == NULL)
        return;
    struct channel_member *last = channel->members[--channel->count];
    channel->members[member->place] = last;
    last->place = member->place;
    *member = (struct channel_member){0};
    if (channel->count == 0)
        unlink_channel(channels, channel);
}

bool channel_take_turn(struct channel *channel, uint64_t now_ns) {
    if (now_ns + channel->interval_ns / 8 < channel->due_ns)
        return false;
    channel->due_ns += channel->interval_ns;
    if (channel->due_ns < now_ns)
        channel->due_ns = now_ns + channel->interval_ns;
    return true;
}

uint64_t channels_interval(const struct channels *channels, uint64_t period_ns) {
    uint64_t shortest = UINT64_MAX;
    for (const struct channel *channel = channels->first; channel != NULL; channel = channel->next)
        if (channel->interval_ns < shortest)
            shortest = channel->interval_ns;
    if (shortest == UINT64_MAX || period_ns == 0)
        return shortest;
    uint64_t ticks = shortest / period_ns;
    return ticks < 2 ? 0 : ticks * period_ns;
}
