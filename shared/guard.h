/*
 * omni/guard.h - surviving a file that is truncated under a mapping
 *
 * Purpose
 *   Reading a mapped page whose file no longer reaches so far raises SIGBUS. The guard's handler
 *   puts zero pages in the place of the whole mapping; the read goes on, and the observer finds
 *   out (-ESTALE) because a segment never starts with zeros.
 *
 * Calling sequence
 *   A program that reads segments of others calls omni_guard_install() once at its start.
 *   Observers register their mappings themselves. So do publishers on one kernel: one whose files are
 *   truncated publishes to nobody from then on, where without a guard it would end.
 *
 * Limits
 *   The handler is process-wide. A SIGBUS anywhere else goes to the handler that was installed
 *   before, or ends the process as usual. At most 256 mappings are guarded at a time; attach fails
 *   with -EMFILE above, and a publisher, which needs two, goes on without.
 */
#ifndef OMNI_GUARD_H
#define OMNI_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Installs the SIGBUS handler, in front of the one that is there. Calling it again is harmless, and
 * puts it in front again. Not while other threads read segments. Returns 0 or -errno. */
int omni_guard_install(void);

/* Registers a mapping; returns its place (for omni_guard_drop) or -EMFILE. Where it is `writable`,
 * what takes its place can be written to, and goes nowhere. For the library's own use. */
int omni_guard_add(void *bytes, size_t size, bool writable);
void omni_guard_drop(int place);

#ifdef __cplusplus
}
#endif

#endif
