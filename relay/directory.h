/*
 * directory.h - the directory of files: which was written, and writing them
 *
 * Purpose
 *   The kernel tells of files that were closed after writing, or took a name in the directory by
 *   being renamed (inotify(7)). The directory is watched, not the files, so that one that is deleted,
 *   replaced or renamed goes on working; a directory that is deleted or renamed is looked for again as
 *   soon as something takes its name. What this program writes itself is no event.
 *   Symbolic links in its path are resolved once; none is followed that takes its place later.
 *
 * Calling sequence
 *     struct directory *directory;
 *     if (directory_open(&directory, &routes, &problem) < 0)     // makes what is missing
 *         ... problem.text ...
 *     directory_start(directory, loop, &listener);
 *     directory_write(directory, "state", "1");
 *     directory_close(directory);                                // and run the loop until it is empty
 *
 * What the kernel coalesces
 *   A file that is closed again before its event was read, with no other event between, is one
 *   event. Where more than fs.inotify.max_queued_events wait, the rest is lost: then each file
 *   of a route that has changed since the queue was last empty is one event more. The same becomes of
 *   what is read ahead of a writing, where that is more than the queue of 16,384 could hold.
 */
#ifndef RELAY_DIRECTORY_H
#define RELAY_DIRECTORY_H

#include <uv.h>

#include "routes.h"

struct directory; /* opaque */

struct directory_listener {
    void *context;
    /* A file that begins a route was written by somebody else. Returns 0; -EAGAIN: the same again
     * after directory_resume(), and nothing else meanwhile. */
    int (*on_written)(void *context, const char *name);
    /* Events were lost: all files were looked at. */
    void (*on_overflow)(void *context);
};

/* Makes the directory where it is missing, and the files where the routes say so, checks that each
 * file of a route is a plain file or not there, and begins to watch. `routes` must outlive it.
 * Returns 0; -errno with the config's place in `problem`. */
int directory_open(struct directory **directory, const struct routes *routes,
                   struct omni_problem *problem);

/* Listens. Returns 0 or -errno. */
int directory_start(struct directory *directory, uv_loop_t *loop,
                    const struct directory_listener *listener);

/* Goes on after on_written() returned -EAGAIN. */
void directory_resume(struct directory *directory);

/* Once it listens: writes the text into a file of a route, as file_write() does. Returns 0; -EINVAL
 * also
 * where no route has that file. */
int directory_write(struct directory *directory, const char *name, const char *text);

/* Closes everything; its memory goes when the loop has run once more. NULL is fine. */
void directory_close(struct directory *directory);

#endif
