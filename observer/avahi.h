/*
 * avahi.h - the page's announcement by a running Avahi daemon (mDNS, DNS-SD)
 *
 * Purpose
 *   Others on the network find the page without knowing its address: as a service of the type
 *   _omniscient._tcp, with the port that it really has. The daemon does the protocol; libavahi-client
 *   asks it to, through D-Bus. That library is loaded by name, so that only those who announce
 *   something have it in memory, and a machine without it goes without.
 *
 * What is told to everybody on the network
 *   Name, host, port, and as TXT: txtvers=1, path=/, version=VERSION. Neither the token nor a name of
 *   a robot: these are for those who have the token.
 *
 * Threads
 *   The library waits for answers, up to 25 seconds each: only a thread of its own may call
 *   avahi_announce().
 *
 * Failure
 *   None that ends it. No library, no D-Bus, no daemon, one that goes, one that refuses: `tell` is
 *   told the reason, and it is tried again, at the pace of pace.h. A daemon that appears is noticed
 *   at once, a D-Bus that does within PACE_MOST_S. A name that somebody else has gets the daemon's
 *   usual alternative ("name #2"); who disputes every name, or has the daemon start or choose its
 *   name again and again, slows that down to one announcement a minute.
 */
#ifndef OBSERVER_AVAHI_H
#define OBSERVER_AVAHI_H

#include <stdbool.h>

#include "reach.h"

#define AVAHI_SERVICE_TYPE "_omniscient._tcp"
#define AVAHI_NAME_BYTES   64u /* of a service's name, with NUL: a label of the DNS */

/* Why it is not announced, as `reason` says it: by these words the doctor knows what to type. */
#define AVAHI_REASON_LIBRARY "libavahi-client is not installed"
#define AVAHI_REASON_DAEMON  "no avahi-daemon runs"
#define AVAHI_REASON_ENDED   "avahi-daemon has ended"
#define AVAHI_REASON_BUS     "there is no D-Bus, or it does not answer"
#define AVAHI_REASON_DENIED  "D-Bus does not let this user speak to avahi-daemon"
#define AVAHI_REASON_FORBIDDEN                                                                     \
    "avahi-daemon may not announce for others (its configuration: "                                \
    "disable-user-service-publishing)"
#define AVAHI_REASON_REFUSED  "avahi-daemon refuses: " /* followed by the daemon's own words */
#define AVAHI_REASON_SETTLING "avahi-daemon settles the machine's name"

struct avahi_plan {
    char name[AVAHI_NAME_BYTES]; /* UTF-8; "": the machine's own, as the daemon knows it */
    struct reach_list reaches;   /* at least one */
};

/* How it stands. Texts are the daemon's: anything, but terminated. */
struct avahi_news {
    char name[AVAHI_NAME_BYTES]; /* under which it is announced; "": it is not */
    char host[256];              /* "robot.local"; "": not announced */
    char reason[96];             /* why not; "": announced */
};

/* Announces it until the other end of `line`, a socket, is closed or shut down; then it is
 * withdrawn. `tell` is called from this thread whenever something changed. */
void avahi_announce(const struct avahi_plan *plan, int line,
                    void (*tell)(void *context, const struct avahi_news *news), void *context);

/* Whether the library is there. */
bool avahi_is_installed(void);

#endif
