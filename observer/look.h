/*
 * look.h - one source, looked at by a command: attach by name, is it alive, attach anew
 *
 * Purpose
 *   `list`, `watch` and `dump` look at segments without the event loop of `serve`. A `struct look`
 *   is one attached source with room for its payload.
 *
 * Calling sequence
 *     struct look look;
 *     int error = look_open(&look, options, "robot", &problem);
 *     ... omni_observer_next(look.observer, &stamp, look.payload) ...
 *     if ((end = look_end(&look)) != NULL) ... look_close(), look_open() ...
 *     look_close(&look);
 */
#ifndef OBSERVER_LOOK_H
#define OBSERVER_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/observe.h>

#include "foreign_clock.h"
#include "options.h"

struct outlet;

#define LOOK_BUILD_NS (500 * UINT64_C(1000000))  /* a region is built within that, */
#define LOOK_AGAIN_NS (20 * UINT64_C(1000000))   /* and looked at so often meanwhile */
#define LOOK_MOST_NS  (3 * UINT64_C(1000000000)) /* of look_patience_ns() */

/* Closed: all zero. */
struct look {
    struct omni_observer *observer;
    void *payload;
    struct foreign_clock clock; /* of its publisher */
    const struct options *options;
    const char *name; /* as it was given */
};

/* Attaches, to a name or an address; both arguments must outlive the look. Returns what
 * omni_observer_attach() returns, at once; -ENOENT of a name tells the names that are there. *look is
 * untouched on failure. */
int look_open(struct look *look, const struct options *options, const char *name,
              struct omni_problem *problem);
/* The same for a person who waits: a region that is being built is waited for, up to LOOK_BUILD_NS.
 * One that is empty then is -ENOENT, with the advice to --wait. -EAGAIN: outlet->stop. */
int look_open_soon(struct look *look, const struct options *options, const char *name,
                   struct outlet *outlet, struct omni_problem *problem);
/* Prints why a source could not be attached; returns the exit code for it. */
int look_explain(int error, const char *name, const struct omni_problem *problem);
/* Detaches. A closed one is fine. */
void look_close(struct look *look);

/* Compares the publisher's clock with this one, where it is another machine's: before a drain. */
void look_compare_clocks(struct look *look);
/* When the newest tick was there, in this machine's time. `heard_ns`: when it was read. */
uint64_t look_newest_ns(const struct look *look, const struct omni_stamp *newest,
                        uint64_t heard_ns);

/* How long a person has patience with a source before it is called silent, counted from when it was
 * attached: where it has not ticked yet, and where its stamps say nothing of now (they are of the
 * future, or of another machine's clock, and only one more tick tells). 0: there is no need.
 * `newest`: version 0 where there was none; `heard_ns`: when it was read. */
uint64_t look_patience_ns(const struct look *look, const struct omni_stamp *newest,
                          uint64_t heard_ns);

/* Why no more ticks will come: "closed", "died", "removed" or "replaced"; NULL: they may. Two system
 * calls. Between machines "died" may be taken back: who was only paused goes on. */
const char *look_end(const struct look *look);

/* What became of a segment that is -ESTALE or replaced: "removed"; or, between machines, "replaced":
 * another publisher has built (or builds) in the same place. How the one before ended is not known. */
const char *look_loss(const struct look *look);

/* Why the source does not tick: as above, or "silent" (silence.h); "" where it is live.
 * `newest_ns`: look_newest_ns() of its newest tick, 0: none. */
const char *look_reason(const struct look *look, uint64_t newest_ns, uint64_t now_ns);

#endif
