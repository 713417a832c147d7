/*
 * announcer.h - tells the network where the page is, and the loop how that stands
 *
 * Purpose
 *   Holds the thread in which avahi.h announces the page, and keeps what it last told: for
 *   /healthz, for the doctor, and for who asks under the name that was announced (access.h). That
 *   thread shares nothing with the loop but a line of messages; whatever hangs there, the loop goes
 *   on.
 *
 * Calling sequence
 *     struct announcer *announcer = NULL;
 *     int error = announcer_open(&announcer, &loop, &options);
 *     ... announcer_view(announcer) ...
 *     bool is_over = announcer_close(announcer);     ... then run the loop once more ...
 *
 * What is said
 *   A line when it is announced, when it is so under another name, and when it is not (any longer),
 *   with the reason; nothing where `quiet`.
 *
 * Threads: all of it in the loop's thread.
 */
#ifndef OBSERVER_ANNOUNCER_H
#define OBSERVER_ANNOUNCER_H

#include <stdbool.h>

#include <uv.h>

#include "avahi.h"
#include "text.h"

#define ANNOUNCER_STOP_MS 500 /* that announcer_close() waits for the thread at most */

/* Why it is not announced, beside avahi.h's reasons. */
#define ANNOUNCER_REASON_OFF   "it is switched off"
#define ANNOUNCER_REASON_ALONE "only this machine may look"
#define ANNOUNCER_REASON_EARLY "avahi-daemon was not asked yet"

struct announcer; /* opaque */

struct announcer_options {
    bool on;                   /* whether the user wants it */
    const char *name;          /* as struct avahi_plan has it; NULL: the machine's own */
    struct reach_list reaches; /* from where the page is reached; none: nobody is told */
    bool quiet;
    /* Called where the page's host name has changed: "robot.local", or "" where it is not
     * announced. May be NULL. */
    void (*named)(void *context, const char *host);
    void *context;
};

/* Starts the thread, where there is something to announce. Returns 0 or -errno; *announcer is
 * untouched on failure. */
int announcer_open(struct announcer **announcer, uv_loop_t *loop,
                   const struct announcer_options *options);

/* Withdraws what was announced and ends the thread; waits for it ANNOUNCER_STOP_MS at most. Run the
 * loop once more to let handles close. Returns false where it is stuck in D-Bus and was left behind:
 * then only _exit() ends the process safely (and withdraws it, too). NULL is fine. */
bool announcer_close(struct announcer *announcer);

/* How it stands; texts are the daemon's, and as such anything. */
struct avahi_news announcer_view(const struct announcer *announcer);

/* Appends {"name":...,"host":...,"reason":...}, name and host null where it is not announced,
 * reason null where it is. NULL is fine: as if it were switched off. */
void announcer_encode(struct text *text, const struct announcer *announcer);

#endif
