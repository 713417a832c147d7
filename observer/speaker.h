/*
 * speaker.h - the robot's loudspeaker: what the sources do becomes what the player plays
 *
 * Purpose
 *   Listens to the sources before the hub does (a link in the chain of listeners), asks the rules
 *   (sound.h) what is due, and has it played by a thread of its own (player.h). One switch for all:
 *   every page shows and sets the same.
 *
 * States, as docs/websocket.md has them
 *   off        nothing is played
 *   on         it would be, or is
 *   no-device  it is switched on, but there is no device that plays; the reason says why. Looked
 *              for again and again, so this ends by itself (a thread that could not be started is
 *              tried again at the next switching on). A device that has blocked the thread for
 *              SPEAKER_STUCK_MS counts as none until it lets go. One that is unplugged between two
 *              calls is missed at the second.
 *
 * Calling sequence
 *     speaker_open(&speaker, loop, &options);
 *     speaker_attach(speaker, on_changed, hub); // from then on it tells
 *     listener = speaker_listener(speaker, hub_listener(hub)); // for sources_open()
 *     speaker_switch(speaker, true);
 *     speaker_close(speaker); // and run the loop until nothing is left in it
 *
 * Costs
 *   Until it is switched on for the first time: no thread, no timer, and one comparison a tick. While
 *   it is on: a word between the loop and the thread each second, to see that the thread is not stuck.
 *   Nothing of it ever waits for a device; the loop waits PLAYER_STOP_MS for a stuck thread, once,
 *   when the observer ends.
 *
 * Threads: all of it in the loop's thread.
 */
#ifndef OBSERVER_SPEAKER_H
#define OBSERVER_SPEAKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "player.h"
#include "sound.h"
#include "sources.h"
#include "text.h"

#define SPEAKER_STUCK_MS 5000
#define SPEAKER_TELL_MS  50 /* between two words of what changed: a switch may be played with */

struct speaker; /* opaque */

struct speaker_options {
    struct player_options player;
    struct sound_rules rules;
    bool on; /* from the start */
};

/* `told` is called after each change, from the loop. The strings of the options must outlive the
 * speaker. Returns 0 or -errno. */
int speaker_open(struct speaker **speaker, uv_loop_t *loop, const struct speaker_options *options);
void speaker_attach(struct speaker *speaker, void (*told)(void *context), void *context);
/* Ends the thread and frees, once the loop has closed its handles. False: the thread is stuck in a
 * device and was left behind: then end the process by _exit(), for it still uses what exit() would
 * take down. NULL is fine. */
bool speaker_close(struct speaker *speaker);

/* Hears what the sources tell, then passes it on. */
struct sources_listener speaker_listener(struct speaker *speaker, struct sources_listener next);

void speaker_switch(struct speaker *speaker, bool on);

struct speaker_view {
    bool on;
    const char *state;  /* "off", "on" or "no-device" */
    const char *reason; /* one sentence where there is no device, else ""; valid until the next turn
                           of the loop */
};
/* NULL: one that is off. */
struct speaker_view speaker_view(const struct speaker *speaker);
/* "on":true,"state":"on","reason":"" */
void speaker_encode(struct text *text, const struct speaker *speaker);

#endif
