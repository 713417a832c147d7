/*
 * channel.h - who gets the same bytes, and when they are due
 *
 * Purpose
 *   Subscriptions to one source with the same mode and rate share a channel: a frame is made once
 *   and goes to all its members. A channel knows its members and its pace; what is sent is not its
 *   business. No clock is read here and nothing is sent: pure bookkeeping.
 *
 * Pace
 *   A channel of rate r takes its turn at points of a grid 1/r apart, at the first call at or
 *   after the point; an eighth of the interval early counts as in time, so that a tick's jitter
 *   does not cost a whole tick. Over time that gives r turns a second even where the ticks do not
 *   divide evenly (60 a second of a 100 Hz robot). A channel that was not called for long starts a
 *   new grid: it never hurries to catch up.
 *
 * Calling sequence
 *     struct channels channels = {0};
 *     channels_join(&channels, &member, CHANNEL_LATEST, 60);
 *     if (channel_take_turn(channels.first, now)) ... send to channel->members[0 .. count) ...
 *     channels_leave(&channels, &member);   // the last one to leave frees the channel
 */
#ifndef OBSERVER_CHANNEL_H
#define OBSERVER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_RATE_MAX 1000u /* turns a second */

enum channel_mode {
    CHANNEL_LATEST, /* the newest status */
    CHANNEL_EVERY   /* every tick, in batches */
};

struct channel;

/* To be embedded in a subscription. All zero: in no channel. */
struct channel_member {
    struct channel *channel;
    size_t place; /* in channel->members */
};

struct channel {
    struct channel *next;
    enum channel_mode mode;
    unsigned rate; /* turns a second, 1 to CHANNEL_RATE_MAX */
    uint64_t interval_ns;
    uint64_t due_ns; /* the next point of the grid; 0: at once */
    struct channel_member **members;
    size_t count;
    size_t capacity;
    /* For whoever sends: */
    uint64_t ordinal;    /* CHANNEL_EVERY: the first record that was not sent yet */
    uint64_t told_ns;    /* when something was last sent */
    uint64_t told_ticks; /* CHANNEL_LATEST: of the source, when something was last sent */
};

/* The channels of one source. All zero: none. */
struct channels {
    struct channel *first;
};

/* Puts `member`, which is in no channel, into the one of that mode and rate, making it where there
 * is none. Returns 0 or -ENOMEM (nothing changed). */
int channels_join(struct channels *channels, struct channel_member *member, enum channel_mode mode,
                  unsigned rate);
/* Takes it out. A member that is in no channel is fine. */
void channels_leave(struct channels *channels, struct channel_member *member);

/* True where the channel's turn has come at `now_ns`; then the next point of its grid is set. */
bool channel_take_turn(struct channel *channel, uint64_t now_ns);

/* The longest interval between looks at a source with that period (0: none) which serves all its
 * channels: a whole number of periods, 0 for every tick, UINT64_MAX without any channel. */
uint64_t channels_interval(const struct channels *channels, uint64_t period_ns);

#endif
