/*
 * host_source.h - the machine's own conditions as a source: the observer as a publisher
 *
 * Purpose
 *   Publishes what host_reader.h reads, once a second, as a segment like any robot's: in the same
 *   directory, found by the same scan, seen by `list`, `watch` and `dump` too.
 *
 * Threads
 *   One of its own reads and publishes, because a file in /sys may block; it shares nothing with the
 *   loop, whose way to it is the segment. While it is blocked the source is silent, and says so like
 *   every other.
 *
 * Calling sequence
 *     struct host_source *source = NULL;
 *     int error = host_source_open(&source, &options, &problem);
 *     ...
 *     bool is_over = host_source_close(source);
 *
 * Failure
 *   A name that somebody publishes already is no failure: `problem` says who does, and when that one
 *   ends, however it ends, this source takes its place within a period. So of several observers each
 *   may end, and the machine is still seen.
 *   But never a robot's place: what a robot of that name knew last stays there to be read, and its
 *   name stays free for it. Only when its segment is removed the name is taken.
 */
#ifndef OBSERVER_HOST_SOURCE_H
#define OBSERVER_HOST_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/schema.h>

#define HOST_SOURCE_NAME      "host"
#define HOST_SOURCE_PERIOD_NS UINT64_C(1000000000)
#define HOST_SOURCE_STOP_MS   500 /* that host_source_close() waits for the thread at most */

struct host_source; /* opaque */

struct host_source_options {
    /* Must outlive the source, and the process where host_source_close() returns false. */
    const char *name;      /* of the source */
    const char *directory; /* of segments */
    const char *root;      /* below which proc and sys are */
};

/* Makes the segment, in the calling thread, and starts the other one, which publishes at once.
 * Returns 0; -EBUSY, with a sentence in `problem` and *source open, where somebody else publishes it
 * already, or where host_source_is_taken(); or another error of omni_publisher_open(), with a
 * sentence; or another -errno. *source is
 * untouched on failure, which -EBUSY is not. */
int host_source_open(struct host_source **source, const struct host_source_options *options,
                     struct omni_problem *problem);

/* Ends the thread, which says goodbye in the segment; waits for it HOST_SOURCE_STOP_MS at most.
 * Returns false where it is stuck in a file and was left behind: then only _exit() ends the process
 * safely. NULL is fine. */
bool host_source_close(struct host_source *source);

/* Whether a segment of that name is something else than a machine's conditions, of whatever version:
 * a robot's, that runs or has ended; or one that this program cannot read. */
bool host_source_is_taken(const char *name, const char *directory);

/* The fingerprint of what such a source publishes: by it one is told from a robot, whoever runs it.
 * 0: no memory. */
uint64_t host_source_hash(void);

#endif
