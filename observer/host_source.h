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
 *   A name that somebody publishes already is the usual one: `problem` says who does.
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
    const char *name;      /* of the source */
    const char *directory; /* of segments */
    const char *root;      /* below which proc and sys are; must outlive the source, and the process
                              where host_source_close() returns false */
};

/* Makes the segment, in the calling thread, and starts the other one, which publishes at once.
 * Returns 0; or what omni_publisher_open() returns, with a sentence in `problem` that says what is
 * shown instead; or another -errno. *source is untouched on failure. */
int host_source_open(struct host_source **source, const struct host_source_options *options,
                     struct omni_problem *problem);

/* Ends the thread, which says goodbye in the segment; waits for it HOST_SOURCE_STOP_MS at most.
 * Returns false where it is stuck in a file and was left behind: then only _exit() ends the process
 * safely. NULL is fine. */
bool host_source_close(struct host_source *source);

/* The fingerprint of what such a source publishes: by it one is told from a robot, whoever runs it.
 * 0: no memory. */
uint64_t host_source_hash(void);

#endif
