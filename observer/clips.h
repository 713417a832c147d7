/*
 * clips.h - what is played: the user's own sound files, or the synthesiser's calls
 *
 * Purpose
 *   `struct clips` knows a directory (or none). Files whose names begin with a call's word and end in
 *   .wav, .flac, .ogg or .oga belong to it: cluck.wav, cluck-2.flac, Squawk at noon.ogg. One of them is chosen at random;
 *   a call without files is synthesised, one ahead, so that the next is ready when it is wanted.
 *
 * Calling sequence
 *     clips_open(&clips, "/home/me/hens", seed, complain, context);   // or NULL: synthesiser only
 *     struct clip clip;
 *     if (clips_take(clips, CHICKEN_CLUCK, &clip) == 0) {
 *         while ((frames = clip_read(&clip, samples, 512)) > 0) ... frames * clip.channels ...
 *         clip_close(&clip);
 *     }
 *     clips_close(clips);
 *
 * Limits
 *   WAV, FLAC and OGG (libsndfile), 1 or 2 channels, 8,000 to 192,000 Hz, files up to
 *   CLIPS_FILE_BYTES_MAX; the first CLIPS_SECONDS_MAX of one are played, CLIPS_FILES_MAX files of a
 *   call are known. They are read piece by piece: what a file claims to be costs no memory.
 *
 * Failure
 *   A file that cannot be played is complained about once, left out from then on, and another one,
 *   in the end the synthesiser, takes its place. Only regular files are opened, without waiting.
 *
 * libsndfile
 *   It brings the libraries of seven codecs along, half a MiB that a small board can do without: so
 *   it is loaded when there are files to play (docs/adr/0007).
 *
 * Threads: one at a time. It reads files: not for the loop's thread.
 */
#ifndef OBSERVER_CLIPS_H
#define OBSERVER_CLIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chicken.h"

#define CLIPS_FILES_MAX      64u
#define CLIPS_SECONDS_MAX    10u
#define CLIPS_FILE_BYTES_MAX ((off_t)64 << 20)

struct clips; /* opaque */

/* A call on its way out. Members to read; all zero: none. */
struct clip {
    unsigned rate_hz;
    unsigned channels;  /* 1 or 2, interleaved */
    size_t frames_left; /* at most: a file may end earlier than it says */
    const char *name;   /* of the file, NULL: synthesised; valid as long as the clips */
    float *samples;     /* synthesised: all of them */
    size_t at;
    struct clip_file *file;
};

typedef void clips_complain(void *context, const char *sentence);

/* Looks which files there are. `directory` (copied) may be NULL. `complain` may be NULL. Returns 0;
 * -ENOMEM; -errno of the directory. */
int clips_open(struct clips **clips, const char *directory, uint64_t seed, clips_complain *complain,
               void *context);
/* Frees it; not the clips that were taken. NULL is fine. */
void clips_close(struct clips *clips);
/* How many files a call has that were not found bad. */
size_t clips_files(const struct clips *clips, enum chicken call);
/* The next one. Returns 0, or -ENOMEM. */
int clips_take(struct clips *clips, enum chicken call, struct clip *clip);
/* The clip's file turned out to be nothing for the device: as if it had been found bad. Its name
 * ends with that. */
void clips_reject(struct clips *clips, enum chicken call, struct clip *clip, const char *why);
/* Makes the next synthesised one where it is missing: when there is time. */
void clips_prepare(struct clips *clips);

/* Which libsndfile would read the files, as it calls itself ("libsndfile-1.2.0"). Returns whether there is one; otherwise
 * `version` (`size` bytes) is untouched. */
bool clips_library_version(char *version, size_t size);

/* Opens one file. Returns 0; -errno, or -EINVAL for what is not a sound that can be played, with
 * the reason in *why (a static string). `clip` is untouched on failure. */
int clip_open_file(struct clip *clip, const char *path, const char **why);
/* Up to `frames` frames as numbers from -1 to 1, whatever the file contains. Returns how many;
 * 0: that was all. */
size_t clip_read(struct clip *clip, float *samples, size_t frames);
/* An all-zero one is fine. */
void clip_close(struct clip *clip);

#endif
