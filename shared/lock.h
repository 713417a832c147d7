/*
 * omni/lock.h - one owner at a time, and the kernel tells when it died
 *
 * Purpose
 *   A publisher owns its name while it lives. The kernel drops the lock at any kind of death, so a
 *   crashed publisher's place is free at once, with nothing to clean up.
 *
 * How
 *   An open-file-description lock (fcntl F_OFD_SETLK) on the first byte of a file. It is the same
 *   for 32-bit and 64-bit programs and under user-mode emulation, and does not depend on process
 *   ids or their namespaces. A child made by fork() without exec holds it too: publishers that fork
 *   must exec (descriptors are close-on-exec) or close.
 *
 * Limits
 *   One kernel only: on memory shared between machines there is no such lock.
 */
#ifndef OMNI_LOCK_H
#define OMNI_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes the lock of an open file (opened for writing) without waiting.
 * Returns 0; -EBUSY where somebody else holds it; another -errno. */
int omni_lock_take(int file);

/* Whether somebody holds the lock of this open file (reading is enough). 1, 0 or -errno. */
int omni_lock_is_held(int file);

/* The same for one byte of the file, counted from 0: a file that several parties share can have a
 * lock for each of them. The two functions above mean byte 0. */
int omni_lock_take_byte(int file, unsigned byte);
int omni_lock_is_held_byte(int file, unsigned byte);

/* Gives the lock of that byte back before the file is closed. Returns 0 or -errno. */
int omni_lock_drop_byte(int file, unsigned byte);

/* Opens, or creates with mode 0600, the file at `path`, takes its lock and writes this process's
 * id into it. The file stays behind for ever; only the lock comes and goes.
 * Returns a descriptor to close() when the ownership ends; -EBUSY where somebody holds it;
 * -EPERM where the file belongs to another user; -EACCES where none can be made there; another
 * -errno. */
int omni_lock_own(const char *path);

/* The process that wrote itself into the lock file at `path`, if that lock is held now.
 * Returns its id as that process saw it; 0 where nobody holds it or it cannot be told. */
pid_t omni_lock_owner(const char *path);

#ifdef __cplusplus
}
#endif

#endif
