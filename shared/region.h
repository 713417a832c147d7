/*
 * omni/region.h - where the bytes of a segment live
 *
 * Purpose
 *   Names, files and mappings, so that publish.c and observe.c deal in memory only. Today a region
 *   is a file in a directory of memory (/dev/shm), with companions:
 *     omni.NAME           the status segment: owner writes, others map it read-only
 *     omni-lock.NAME      who owns the name (mode 0600, never removed)
 *     omni-sleepers.NAME  one word by which a futex sleeper asks to be woken (mode 0600)
 *     omni-step.NAME      the hand-off with a consumer in lockstep (mode 0600; omni/lockstep.h)
 *     omni-new.NAME       a segment under construction; gone when it is ready
 *
 * Failure
 *   Every function returns -errno and leaves its outputs untouched.
 */
#ifndef OMNI_REGION_H
#define OMNI_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OMNI_DIRECTORY_DEFAULT "/dev/shm"
#define OMNI_PATH_BYTES        512u

/* A mapping and the descriptor behind it. Closed: {NULL, 0, -1}. */
struct omni_region {
    unsigned char *bytes;
    size_t size;
    int file;
};

#define OMNI_REGION_CLOSED ((struct omni_region){NULL, 0, -1})

/* Which of the files that belong to a name. */
enum omni_file {
    OMNI_FILE_SEGMENT,
    OMNI_FILE_LOCK,
    OMNI_FILE_SLEEPERS,
    OMNI_FILE_STEP,
    OMNI_FILE_NEW
};

/* True for 1 to 47 of [A-Za-z0-9._-], the first one not a dot. */
bool omni_name_is_valid(const char *name);

/* The source's name where `file_name` is that of a segment ("omni.robot" → "robot"), else NULL. */
const char *omni_name_of_file(const char *file_name);

/* Writes the path of one of a name's files. `directory` NULL: /dev/shm.
 * Returns 0; -EINVAL for a name that is not valid; -ENAMETOOLONG. */
int omni_region_path(char path[OMNI_PATH_BYTES], const char *directory, enum omni_file which,
                     const char *name);

/* Makes a file of `size` zero bytes, all of them really there (-ENOSPC now rather than a fault
 * later), readable by nobody else yet, and maps it for writing. A file left there is replaced. */
int omni_region_create(struct omni_region *region, const char *path, size_t size);

/* Opens a file for reading only (never a link, a pipe or a device) and maps it.
 * `owner` gets the user that it belongs to, also where this returns -EPERM because `trusted` (user
 * ids; `trusted_count` of them) has it not. Root and this process's own user are always trusted.
 * -ENODATA where it is smaller than a header, -EFBIG where it is larger than any segment. */
int omni_region_open(struct omni_region *region, const char *path, const uid_t *trusted,
                     size_t trusted_count, uid_t *owner);

/* Opens (creating it with mode 0600 where `create`) the one-word file of the sleepers and maps it
 * for writing. -EPERM where it belongs to somebody else. */
int omni_region_open_word(struct omni_region *region, const char *path, bool create);

/* Moves the mapping to `address`, a multiple of the page size; what is mapped there goes. Returns 0
 * or -errno (then it stays where it is). */
int omni_region_move(struct omni_region *region, void *address);

/* True where the file no longer has a name: replaced by a newer one, or removed. */
bool omni_region_is_orphan(const struct omni_region *region);

/* Unmaps and closes. A closed region and NULL are fine. */
void omni_region_close(struct omni_region *region);

#ifdef __cplusplus
}
#endif

#endif
