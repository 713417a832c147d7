/*
 * player.h - the thread that plays, and the loop's end of its line
 *
 * Purpose
 *   A device may block for as long as it likes, so the loop never calls ALSA: it sends small
 *   requests through a socket pair, which the kernel bounds, and reads reports. The two sides
 *   share no memory, so that a thread which is stuck in a driver can be left behind: it frees its
 *   own when it ever comes back.
 *
 * The thread
 *   While it is on it holds the clips and knows whether there is a device: it opens it once to see.
 *   Where there is none it says so once on stderr, drops what it is asked to play, and tries again
 *   after 1, 2, 4, … seconds, at most PLAYER_RETRY_MS_MAX; when the device is back it says that too.
 *   A device that can be opened but failed while it played counts as back only after it has played.
 *   It keeps at most PLAYER_WAITING_MAX calls, and none longer than PLAYER_STALE_NS: a squawk for an
 *   obstacle of long ago is a lie. A graver call takes the place of lesser ones, also of the one that
 *   is being played. Off, it stops in the middle of a call, frees what it played with
 *   and sleeps.
 *
 * Calling sequence (all of it in the loop's thread)
 *     struct player player;
 *     player_start(&player, &options);
 *     ... watch player.line for reading; player_read(&player, &report) until it returns false ...
 *     player_switch(&player, true);
 *     player_play(&player, CHICKEN_CLUCK);
 *     player_stop(&player);
 *
 * Bounds
 *   Requests that the thread has not yet heard are counted: a call for which there is no room is
 *   not made (player_play() returns false), so that a switch finds room beside them. The thread
 *   hears requests also while it plays; so `oldest_ns` tells whether it is stuck.
 */
#ifndef OBSERVER_PLAYER_H
#define OBSERVER_PLAYER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "chicken.h"

#define PLAYER_WAITING_MAX  4u
#define PLAYER_UNHEARD_MAX  8u
#define PLAYER_STALE_NS     UINT64_C(4000000000)
#define PLAYER_RETRY_MS_MIN 1000
#define PLAYER_RETRY_MS_MAX 30000
#define PLAYER_STOP_MS      500 /* that player_stop() waits for the thread at most */

struct player_options {
    const char *device;
    const char *directory; /* of the user's own files; NULL: none */
    float volume;          /* factor, 0 to 1 */
    uint64_t seed;
};

struct player_report {
    unsigned heard; /* requests, since the report before */
    bool has_device;
    char reason[120]; /* one sentence where there is no device, else "" */
};

struct player {
    int line; /* to watch for reading; -1: not started */
    pthread_t thread;
    unsigned unheard;   /* requests on their way */
    uint64_t oldest_ns; /* since when there has been one (CLOCK_MONOTONIC) */
};

/* Starts the thread, off. The options are copied. Returns 0 or -errno; *player is then untouched.
 */
int player_start(struct player *player, const struct player_options *options);
/* The next report; false where there is none now. */
bool player_read(struct player *player, struct player_report *report);
/* False: there is no room, try again after the next report. */
bool player_switch(struct player *player, bool on);
bool player_play(struct player *player, enum chicken call);
/* Asks for nothing but to be heard: a thread that does not hear it in time is stuck. */
bool player_nudge(struct player *player);
/* Ends the thread; waits for it PLAYER_STOP_MS at most. False: it is stuck and was left behind. One
 * that was not started is fine. */
bool player_stop(struct player *player);

#endif
