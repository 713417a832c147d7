/*
 * omni/publish.h - the writer's side: open, publish once per tick, close
 *
 * Calling sequence
 *     struct omni_publisher *publisher;
 *     struct omni_publisher_options options = {.period_ns = 10000000};
 *     struct omni_problem problem;
 *     if (omni_publisher_open(&publisher, "tank", tank_schema(), &options, &problem) < 0)
 *         errx(2, "%s", problem.text);
 *     for (;;) {
 *         ...fill struct tank status...
 *         omni_publish(publisher, &status);
 *     }
 *     omni_publisher_close(publisher);
 *
 * Cost
 *   omni_publish_at() copies the status and stores two words: no lock, no allocation, no system
 *   call, nothing that an observer does can delay it. The one exception is asked for by a reader of
 *   the same user that sleeps on the futex: then one FUTEX_WAKE. omni_publish() reads two clocks
 *   first.
 *
 * Threads
 *   One thread publishes. Opening and closing belong to the same thread, or are ordered by the
 *   program.
 *
 * Death
 *   A publisher that dies leaves the segment with its last whole status; observers see that nobody
 *   holds its lock any more. The name is free at once.
 *
 * Memory that machines share (options.region; omni/region.h has the addresses)
 *   The segment fills the region from its start. There is no kernel that could tell of a death: the
 *   publisher shows that it lives by a heartbeat, which each publish is. Who publishes less than
 *   once a second calls omni_publisher_beat() in between, from opening on: also while it gets ready
 *   for its first tick. After OMNI_OWNER_DEAD_NS without one,
 *   observers take it for dead, and the next publisher takes the region over.
 *   So a publisher that was paused for so long (a stopped process, a suspended machine) finds that
 *   the region is another's: it writes nothing any more, and omni_publisher_is_owner() tells.
 *   Ask before each tick that moves something.
 *   Opening takes 50 ms, after a death up to OMNI_OWNER_DEAD_NS more, while others try too up to
 *   10 s; it sleeps meanwhile. A publish costs four of the CPU's strongest memory barriers and a load
 *   of the owner's word; with an ivshmem doorbell a load of the bell's word, too, and, where somebody
 *   sleeps, a write to a register and two barriers more. On a PCI device mapped uncached each of
 *   those loads is a way to the device and back.
 *   A file is one of memory (/dev/shm, hugetlbfs): the page of a disk's file is write-protected each
 *   time that it goes to the disk, and a publish would wait for it. Whoever may write the region can
 *   spoil or truncate it: give it to nobody but those machines.
 */
#ifndef OMNI_PUBLISH_H
#define OMNI_PUBLISH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <omni/ring.h>
#include <omni/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

struct omni_publisher; /* opaque */

/* So long may the owner of memory that machines share show no sign of life, ns. */
#define OMNI_OWNER_DEAD_NS 2000000000u

/* All zero is a good start. */
struct omni_publisher_options {
    const char *directory; /* where the segment appears; NULL: /dev/shm */
    const char *region;    /* its address (omni/region.h); NULL: shm:, in `directory` */
    uint64_t period_ns;    /* nominal time between ticks, at most 3,600 s; 0: no period (events) */
    uint32_t slot_count;   /* ticks that the ring holds, rounded up to a power of two of at least 2;
                              0: two seconds' worth, at least 64; 256 where there is no period; in a
                              region between machines no more than it has room for */
    uint32_t mode;     /* permission bits of the segment; 0: 0644, everybody may look. Nobody else
                              may write it; a file: that is made, the group may */
    bool certain_wake; /* true: a futex sleeper is never missed, at the price of one locked exchange
                          a publish (about 20 ns idle); false: it may be found only at its time-out
                        */
    bool steady; /* no period, but ticks follow each other while all is well (a simulation): readers
                    call half a second without one silence */
    const volatile sig_atomic_t *stop; /* set by a signal handler: opening waits no longer for a
                                          region whose owner may be dead; NULL: it waits */
    uint32_t
        first_version; /* 0: start at 1; else the first version, to test the wrap of the counter */
};

/* Builds the segment and makes it appear under its name. Allocates; afterwards nothing does.
 *   name     1 to 47 of [A-Za-z0-9._-], not starting with a dot
 *   options  NULL: all defaults
 *   problem  gets a sentence for people on failure; may be NULL
 * Returns 0, or
 *   -EBUSY   somebody else publishes under this name (problem names the process id), or in this
 *            region, or has taken it over while this one was being built
 *   -EINVAL  the name, the schema, the address or an option is not valid
 *   -EPERM   a file of that name belongs to another user, or this user may not open the region
 *   -ENOSPC  no memory left where segments live; or the region is too small (problem says how much
 *            is needed)
 *   -EEXIST  the region holds something that is no segment between machines: nothing was changed.
 *            All that would be written over is looked at
 *   -EIO     the region does not keep what is written
 *   -EOPNOTSUPP  the region is a file that is not in memory
 *   -ENOENT  no such device
 *   -ECANCELED  *options->stop was set while it waited: nothing was published
 *   other -errno of the system. *publisher is untouched on failure. */
int omni_publisher_open(struct omni_publisher **publisher, const char *name,
                        const struct omni_schema *schema,
                        const struct omni_publisher_options *options, struct omni_problem *problem);

/* Publishes `status` (schema's payload_bytes bytes) as the next tick, stamped with the clocks now.
 */
void omni_publish(struct omni_publisher *publisher, const void *status);

/* The same for a loop that knows the time already: no clock is read. */
void omni_publish_at(struct omni_publisher *publisher, const void *status, struct omni_time time);

/* Ticks published so far. */
uint64_t omni_publisher_tick(const struct omni_publisher *publisher);

/* What tells this start of the publisher from every other: the instance in the segment's header. */
uint64_t omni_publisher_instance(const struct omni_publisher *publisher);

/* Shows that this publisher lives, where machines share the memory; elsewhere the kernel knows, and
 * nothing happens. For whoever publishes less than once a second. */
void omni_publisher_beat(struct omni_publisher *publisher);

/* False where machines share the memory and another publisher has taken it over: nothing is written
 * any more, and the only thing left to do is to close. One load. */
bool omni_publisher_is_owner(const struct omni_publisher *publisher);

/* Marks the segment closed, wakes sleepers and gives the name free. The last status stays readable
 * until the file is removed or replaced. NULL is fine. */
void omni_publisher_close(struct omni_publisher *publisher);

/* Both clocks, now. */
struct omni_time omni_time_now(void);

#ifdef __cplusplus
}
#endif

#endif
