/*
 * omni/observe.h - the reader's side: attach, take the newest or every tick, know what was missed
 *
 * Calling sequence
 *     struct omni_observer *observer;
 *     struct omni_problem problem;
 *     int error = omni_observer_attach(&observer, "tank", NULL, &problem);
 *     if (error < 0) ... problem.text says why; -ENOENT: not there yet, try again later ...
 *     const struct omni_table *table = omni_observer_table(observer); // names, types, offsets
 *     while ((error = omni_observer_next(observer, &stamp, payload)) == 0) ... // every tick
 *     if (error == -EAGAIN) ... nothing new: wait (omni/wait.h), look at omni_observer_life() ...
 *     omni_observer_detach(observer);
 *
 * What a reader can rely on
 *   A payload is one that the publisher published, whole, never a mixture. stamp.missed counts
 *   exactly the ticks that this reader did not get. Where a call fails, stamp and payload are what
 *   they were before. Nothing that it does reaches the publisher.
 *
 * Hostile segments
 *   Only files of trusted users are opened. The header, the table and the text are copied first
 *   and checked in the copy: changing them later changes nothing. A file that is truncated under
 *   a reader turns into zeros if omni_guard_install() (omni/guard.h) was called, and the reader
 *   gets -ESTALE; without it the process gets SIGBUS. The same holds for the bell's word.
 *
 * Memory that machines share
 *   Instead of a name there may be an address (omni/region.h): "file:/dev/shm/robot.region". The name
 *   is then what the segment says. What differs: the publisher's life is told by its heartbeat
 *   (omni_observer_life), its stamps are of its own machine's clocks, there is no futex, and a new
 *   publisher builds in the same place: -ESTALE, then attach anew; ticks that were not read by then
 *   are gone.
 *
 * Threads
 *   One thread per observer object; any number of objects.
 */
#ifndef OMNI_OBSERVE_H
#define OMNI_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <omni/ring.h>
#include <omni/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

struct omni_observer; /* opaque */

/* All zero is a good start; NULL means the same. */
struct omni_observer_options {
    const char *directory; /* NULL: /dev/shm */
    const uid_t *trusted;  /* users whose segments are believed, beside root and one's own */
    size_t trusted_count;
    bool writable_bell; /* omni_observer_ask_bell() is wanted: needs write access to the region */
};

/* What the segment says of itself, checked. */
struct omni_source_facts {
    char name[OMNI_NAME_BYTES];
    uint64_t instance; /* differs for every start of the publisher */
    uint64_t period_ns;
    bool steady; /* see struct omni_publisher_options */
    uint64_t started_monotonic_ns;
    uint64_t started_wall_ns;
    uint32_t process_id; /* the publisher's word: not to be relied on */
    uint32_t slot_count;
    enum omni_scope scope;
    uid_t owner; /* the file's owner */
};

/* Is there still somebody who could publish? */
enum omni_life {
    OMNI_LIFE_OPEN,   /* the publisher runs (or at least holds its lock; between machines: its
                         heartbeat changed within OMNI_OWNER_DEAD_NS, or was not watched so long) */
    OMNI_LIFE_CLOSED, /* it said goodbye */
    OMNI_LIFE_DIED    /* it ended without a word; or the segment was built anew, and how it ended is
                         not known (omni_observer_is_replaced) */
};

/* Attaches to segment `name`, or to the one at an address. Allocates. `problem` (may be NULL) gets a sentence on failure.
 * Returns 0, or
 *   -ENOENT   no such segment (yet)
 *   -EPERM    it belongs to a user who is not trusted
 *   -EAGAIN   it is still being built; or the region is empty so far
 *   -EPROTO   another layout version, byte order, or an incompatible flag
 *   -EBADMSG  it is too small or corrupt: problem names the first field of the header or table that
 *             is wrong
 *   -EINVAL   the name or address is not valid
 *   -EOPNOTSUPP  a writable bell was asked for, but not of a region between machines
 *   other -errno. *observer is untouched on failure. */
int omni_observer_attach(struct omni_observer **observer, const char *name,
                         const struct omni_observer_options *options, struct omni_problem *problem);

/* Unmaps and frees. NULL is fine. */
void omni_observer_detach(struct omni_observer *observer);

/* What was read at attach; valid until detach. */
const struct omni_table *omni_observer_table(const struct omni_observer *observer);
const struct omni_source_facts *omni_observer_facts(const struct omni_observer *observer);

/* Bytes of a payload: a multiple of 8. */
uint32_t omni_observer_payload_bytes(const struct omni_observer *observer);

/* The oldest tick that this reader has not seen and that the ring still holds. The first call
 * begins with the oldest in the ring; ticks that left the ring before the first call do not count
 * as missed. Returns 0; -EAGAIN: nothing new; -ESTALE: the file was truncated or its memory is
 * gone: detach. */
int omni_observer_next(struct omni_observer *observer, struct omni_stamp *stamp, void *payload);

/* The newest tick, also if it was read before (then stamp->missed is 0). Ticks that it passes over
 * count as missed and are not given by omni_observer_next() any more.
 * Returns 0; -EAGAIN: nothing was ever published; -ESTALE as above. */
int omni_observer_newest(struct omni_observer *observer, struct omni_stamp *stamp, void *payload);

/* The stamp of the newest tick, without taking it: omni_observer_next() goes on as before. Its
 * `missed` is 0. Returns as omni_observer_newest(). */
int omni_observer_glance(const struct omni_observer *observer, struct omni_stamp *stamp);

/* The version counter, now: changed since stamp.version means that there is something new. No
 * system call. 0: none yet, or the file is gone. */
uint32_t omni_observer_version(const struct omni_observer *observer);

/* Whether the publisher is still there. One system call: ask when it is silent, not every tick.
 * Between machines somebody who died is told OMNI_OWNER_DEAD_NS after the call that saw the last
 * heartbeat: ask again, at least twice a second. Of a longer time between two calls only half a
 * second counts: who was kept from looking has seen no silence. */
enum omni_life omni_observer_life(struct omni_observer *observer);

/* True where the file lost its name to a newer one, was removed or was cut short, or the segment was
 * built anew: attach anew. One system call. */
bool omni_observer_is_replaced(const struct omni_observer *observer);

/* Asks the publisher, on another machine, to interrupt peer `peer` (up to OMNI_BELL_PEER_MAX) with
 * `vector` when there is news. Only where options.writable_bell was set. One sleeper at a time: the
 * last who asked is rung, once for each time of asking. How to sleep is the caller's (an eventfd that
 * the peer's interrupt arrives at).
 * Returns 0: nothing is new, sleep; -EAGAIN: there is something, read it first; -EPIPE: the publisher
 * has closed; -ESTALE: attach anew; -EINVAL; -EOPNOTSUPP. */
int omni_observer_ask_bell(struct omni_observer *observer, uint32_t peer, uint32_t vector);

/* For a program compiled against a layout: 0, or -EPROTO with the first field that differs. */
int omni_observer_expect(const struct omni_observer *observer, const struct omni_schema *schema,
                         struct omni_problem *problem);

/* Names of all segments in `directory` (NULL: /dev/shm), sorted, whoever owns them.
 * Calls `found` for each; stops where it returns non-zero and returns that. Returns -errno where
 * the directory cannot be read. */
int omni_sources_each(const char *directory, int (*found)(void *context, const char *name),
                      void *context);

#ifdef __cplusplus
}
#endif

#endif
