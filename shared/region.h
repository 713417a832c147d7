/*
 * omni/region.h - where the bytes of a segment live
 *
 * Purpose
 *   Names, files and mappings, so that publish.c and observe.c deal in memory only.
 *
 * Addresses
 *   One form, wherever a source is named:
 *     shm:NAME                     a segment of this kernel, in a directory of memory (/dev/shm); NAME
 *                                  alone means the same
 *     file:PATH                    a file of memory (/dev/shm, hugetlbfs) that machines share:
 *                                  QEMU's shared memory
 *     devmem:ADDRESS+LENGTH        physical memory, through /dev/mem: 0xfe000000+1MiB; both numbers
 *                                  decimal or 0x, LENGTH also in KiB, MiB, GiB
 *     pci:SLOT/resource2           the memory of a PCI device (ivshmem's BAR 2), uncached, or
 *     pci:SLOT/resource2_wc        write-combining; SLOT as lspci -D says it: 0000:00:04.0
 *   A source's name never contains a colon, so that the two cannot be mistaken for each other.
 *
 * On one kernel
 *   shm: is a file with companions:
 *     omni.NAME           the status segment: owner writes, others map it read-only
 *     omni-lock.NAME      who owns the name (mode 0600, never removed)
 *     omni-sleepers.NAME  one word by which a futex sleeper asks to be woken (mode 0600)
 *     omni-step.NAME      the hand-off with a consumer in lockstep (mode 0600; omni/lockstep.h)
 *     omni-new.NAME       a segment under construction; gone when it is ready
 *
 * Between machines
 *   The other three are one piece of memory, which begins with the segment. No companion, no lock, no
 *   futex: see omni/segment.h. (file: counts as such even where both sides run on one kernel: who
 *   else maps the file cannot be known.)
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

#include <omni/schema.h>

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

enum omni_place { OMNI_PLACE_SHM, OMNI_PLACE_FILE, OMNI_PLACE_DEVMEM, OMNI_PLACE_PCI };

/* An address, taken apart. */
struct omni_address {
    enum omni_place place;
    char text[OMNI_PATH_BYTES]; /* the whole, with its prefix: "pci:0000:00:04.0/resource2" */
    char path[OMNI_PATH_BYTES]; /* the file to open; shm: NAME */
    uint64_t offset;            /* where in that file the region begins: 0 but for devmem */
    uint64_t length;            /* in bytes; 0: as much as the file has */
};

/* Takes an address apart. Opens nothing.
 * Returns 0; -EINVAL with the right form in `problem` (may be NULL). */
int omni_address_parse(struct omni_address *address, const char *text,
                       struct omni_problem *problem);

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

/* What a region between machines is opened for. */
enum omni_access {
    OMNI_ACCESS_READ, /* all of it, for reading only */
    OMNI_ACCESS_WRITE, /* all of it; a file that is missing or empty is made, another keeps its size */
    OMNI_ACCESS_BELL /* the first page only, for writing: a reader's word to the publisher */
};

/* How. All zero is a good start. */
struct omni_region_options {
    const uid_t *trusted; /* reading: users whose files are believed, beside root and one's own */
    size_t trusted_count;
    /* Writing: how large a file is made, at least (huge pages come whole); 0: none is made. */
    uint64_t bytes_if_missing;
    uint32_t mode; /* and its permission bits; 0: 0644 */
    uid_t owner;   /* gets the user that the file belongs to, also with -EPERM */
};

/* Opens and maps the region at an address between machines (not shm:). A PCI device that is off is
 * switched on first, but only where it is ivshmem's and no driver of the kernel's has it. At most
 * OMNI_SEGMENT_BYTES_MAX bytes are mapped. A file appears under its name only when it is whole.
 * Returns 0, or with a sentence in `problem` (may be NULL)
 *   -ENOENT   no such file or device
 *   -EAGAIN   reading: the file is empty so far
 *   -EPERM    the file belongs to another user, or this user may not open the device
 *   -ENODATA  it is smaller than a header
 *   -EINVAL   a link, a pipe, a directory; an address that does not begin with a page; a device that
 *             is no ivshmem, or has a driver; writing: a file with a name that omni_region_path() makes
 *   -EOPNOTSUPP  writing: the file lies on a disk or a network's share
 *   other -errno. */
int omni_region_open_shared(struct omni_region *region, const struct omni_address *address,
                            enum omni_access access, struct omni_region_options *options,
                            struct omni_problem *problem);

/* Makes sure that the first `bytes` of a file's mapping are really there, and in this process's page
 * tables as far as the kernel can do that: -ENOSPC now rather than a fault later. Changes nothing
 * that can be read. Nothing to do for devices. Returns 0 or -errno. */
int omni_region_reserve(const struct omni_region *region, const struct omni_address *address,
                        size_t bytes);

/* Maps the registers of an ivshmem device (BAR 0), by which one machine can interrupt another.
 * Returns 0; -EOPNOTSUPP where the address is not of such a device; another -errno. */
int omni_region_open_doorbell(struct omni_region *region, const struct omni_address *address);

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
