/*
 * file.h - the small files by which events are told: making and writing them
 *
 * A file is written in place and then closed, so that whoever watches it hears of it (inotify's
 * IN_CLOSE_WRITE) and finds the whole text. One that was put in its place by renaming would be whole at
 * every moment, but those who watch the file would hear nothing.
 */
#ifndef RELAY_FILE_H
#define RELAY_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <omni/schema.h>

/* Writes the text into the file of that name in the directory `folder` (a descriptor; -1: there is
 * none), making it where it is missing. Where the directory `is_ours`, that nobody else may put files
 * into, the file is looked at after the writing only, which saves a system call before it.
 * A reader that does not wait for the closing sees the old text or the new one; where the new one is
 * shorter, for a moment its end is still the old one's.
 * Returns 0; -ELOOP (a symbolic link), -EINVAL (no plain file), -EMLINK (it has another name, too,
 * and may be somebody's elsewhere), -EBUSY (somebody has a lease on it), -ENOSPC (written in part) or
 * another -errno, but never -EAGAIN. *status (NULL: nobody asks) is how the file was left, all zero
 * where it was not even opened: then nobody hears of it. */
int file_write(int folder, bool is_ours, const char *name, const char *text, struct stat *status);

/* Refuses what is there and no plain file; where `is_made`, makes the file, or empties it as
 * file_write() would write it. Returns 0 or -errno with a sentence in `problem`. */
int file_prepare(const char *path, bool is_made, struct omni_problem *problem);

/* Whether file_write() may write there by the permissions as they are, or make the file. Returns 0, or
 * -errno with a sentence in `problem` about what to do. */
int file_check_writable(const char *path, struct omni_problem *problem);

/* What else there is to say of an error with a path: ""; or a clause that begins with a semicolon. */
const char *file_advice(int error);

/* Makes the directory and all above it, where they are missing. Returns 0 or -errno. */
int file_make_directories(const char *directory);

#endif
