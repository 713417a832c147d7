/*
 * omni/handoff.h - two processes take turns, each asleep while the other works
 *
 * Purpose
 *   One side asks, the other answers, strictly in turns, over two words of shared memory: a
 *   simulation that must not run ahead of its reader (lockstep), a driver that lives in a process
 *   of another architecture. Nobody spins, and a wake-up cannot be lost (docs/model/ shows it).
 *
 * Calling sequence
 *     asking side                                   answering side
 *     omni_handoff_open(&h, path,                   omni_handoff_open(&h, path,
 *         OMNI_HANDOFF_ASKER, n, &problem)              OMNI_HANDOFF_ANSWERER, n, &problem)
 *     for (;;) {                                    for (;;) {
 *         ...fill omni_handoff_memory(h)...             omni_handoff_await_request(h, time-out)
 *         omni_handoff_ask(h)                           ...read and fill omni_handoff_memory(h)...
 *         omni_handoff_await_answer(h, time-out)        omni_handoff_answer(h)
 *     }                                             }
 *     omni_handoff_close(h)                         omni_handoff_close(h)
 *
 *   Keep what is asked and what is answered apart in the memory where a request may outlive its
 *   answerer: the next one begins with it again.
 *
 *   A wait that ends with anything but 0 changes nothing: call it again, as often as you like.
 *
 *   Where one side starts the other, and shall not be harmed by it, no file has a name:
 *     omni_handoff_make(&h, n, &file, &problem)     (a process that has `file` as its descriptor 3)
 *     ...start the other with `file`; close(file)   omni_handoff_join(&h, 3, n, &problem)
 *     ...the rest as above                          ...the rest as above
 *
 * Whose turn it is
 *   Each request has a number. The memory is the asker's from an answer to its next request, and
 *   the answerer's from a request to its answer. A request that has no answer yet stands:
 *     the asker's time is over  it still stands. omni_handoff_ask() refuses the next one (-EBUSY)
 *                               until this one's answer has come, late as it may be: so it is never
 *                               taken for another's, and nobody writes while the other reads.
 *     the answerer ends         it stands for the next answerer, or is taken back by the asker with
 *                               omni_handoff_withdraw().
 *     the asker ends            it is void. An answerer who has begun with it ends it; until then the
 *                               next asker's omni_handoff_ask() is refused (-EBUSY).
 *   Numbers go on where either side starts anew, and wrap.
 *
 * Life and death
 *   Each side holds a file lock (omni/lock.h) on a byte of its own, which the kernel drops when it
 *   dies. Who waits looks at the other's lock when it is woken without news and at least every
 *   80 ms: the end of the other side is told within 100 ms (-EPIPE). A side that is stopped but
 *   lives (SIGSTOP, a debugger) is waited for.
 *
 * The file
 *   omni_handoff_open(): the asking side makes it, with mode 0600, and it stays behind. Only its user
 *   may write it, and who may write it may also truncate it under a side, which ends that with
 *   SIGBUS: that is the user's own doing.
 *   omni_handoff_make(): memory without a name (memfd), which is gone with its last user. Its size is
 *   sealed: neither side can cut it short under the other.
 *   The bytes are checked at opening: see shared/README.md for their places. They are the same on
 *   every little-endian CPU: no pthread object, no semaphore, no robust list
 *   (docs/adr/0012-handoff.md says why).
 *
 * Limits
 *   One kernel, one user (root may answer anybody). One asker and one answerer at a time: a second
 *   one of either is refused. One thread for each side. What the other side leaves in the memory is
 *   its word: check it before use where the two don't trust each other. A child made by fork()
 *   without exec keeps its parent's place when that dies.
 *
 * Cost
 *   Two system calls a turn and side: wake the other, sleep. Waiting: two for each look, less than a
 *   thousandth of a core, also under an emulator. A wait with a time-out below 80 ms looks as often
 *   as it ends.
 */
#ifndef OMNI_HANDOFF_H
#define OMNI_HANDOFF_H

#include <stddef.h>
#include <stdint.h>

#include <omni/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

struct omni_handoff; /* opaque */

enum omni_handoff_side { OMNI_HANDOFF_ASKER, OMNI_HANDOFF_ANSWERER };

#define OMNI_HANDOFF_MEMORY_BYTES_MAX (1u << 24)

/* For time-outs: none. */
#define OMNI_HANDOFF_FOREVER UINT64_MAX

/* Takes one side's place. Allocates; afterwards nothing does. Returns at once, whether the other
 * side is there or not.
 *   path          of the hand-off's file. The asker makes it where it is not there, and makes a new
 *                 one in the place of one that another release, another byte order or another
 *                 `memory_bytes` left there. The answerer only opens it.
 *   memory_bytes  of omni_handoff_memory(), at most OMNI_HANDOFF_MEMORY_BYTES_MAX. Both sides give
 *                 the same; 0 by the answerer: whatever it is.
 *   problem       gets a sentence for people on failure; may be NULL
 * Returns 0, or
 *   -ENOENT   answerer: no asker has made it yet
 *   -EAGAIN   answerer: an asker is just making it
 *   -EBUSY    this side's place is taken
 *   -EPERM    the file belongs to another user, or others may write it
 *   -EBADMSG  it is something else than a hand-off
 *   -EPROTO   answerer: another layout version, byte order or size of memory
 *   -EINVAL   memory_bytes
 *   -ENOSPC   no memory left where the file is
 *   other -errno. *handoff is untouched on failure. */
int omni_handoff_open(struct omni_handoff **handoff, const char *path, enum omni_handoff_side side,
                      uint32_t memory_bytes, struct omni_problem *problem);

/* Asker's place in a new hand-off without a name. The answerer can only be who is given *file: a
 * descriptor of an open file of its own, close-on-exec, for another process to inherit or be sent.
 * The caller closes it then: where it stays open, the answerer's death is not told.
 *   memory_bytes  of omni_handoff_memory(), 1 to OMNI_HANDOFF_MEMORY_BYTES_MAX
 *   problem       gets a sentence for people on failure; may be NULL
 * Returns 0; -EINVAL (memory_bytes); another -errno: the system has no such memory, or /proc is
 * missing. *handoff and *file are untouched on failure. */
int omni_handoff_make(struct omni_handoff **handoff, uint32_t memory_bytes, int *file,
                      struct omni_problem *problem);

/* Answerer's place in a hand-off that another process has made. On success `file` is the hand-off's
 * own, and close-on-exec; on failure it stays open.
 * Returns 0, or
 *   -EBUSY    the place is taken
 *   -EBADMSG  the descriptor is not of such memory (or of none), or it is not sealed
 *   -EPROTO   another layout version, byte order or size of memory
 *   other -errno. *handoff is untouched on failure. */
int omni_handoff_join(struct omni_handoff **handoff, int file, uint32_t memory_bytes,
                      struct omni_problem *problem);

/* The memory for requests and answers, aligned to 64 bytes, all zero in a new file; and its size.
 * Lay out in it what every architecture sees alike: fixed-width types at fixed offsets. */
void *omni_handoff_memory(const struct omni_handoff *handoff);
uint32_t omni_handoff_memory_bytes(const struct omni_handoff *handoff);

/* Asker: hands the turn over. Never blocks. The other side need not be there yet.
 * Returns 0; -EBUSY where the request before still stands: await its answer, or withdraw it. */
int omni_handoff_ask(struct omni_handoff *handoff);

/* Asker: waits until the last request is answered. Also at once where none stands.
 * Returns 0, or
 *   -ETIMEDOUT  not within `timeout_ns` nanoseconds (0: just look); the other side is there
 *   -ENOTCONN   the same, and there is no other side
 *   -EPIPE      the other side has just ended. Told once; after that a wait is for the next one
 *   -EINTR      a signal handler ran
 *   -ESTALE     there is no other side, and none can come, because the file lost its name (the one
 *               that had one): close, and open anew */
int omni_handoff_await_answer(struct omni_handoff *handoff, uint64_t timeout_ns);

/* Asker: takes a request back that nobody can answer any more, so that the next answerer does not
 * begin with it. Returns 0, also where none stands; -EBUSY where there is an answerer, who may be at
 * work on it; another -errno. */
int omni_handoff_withdraw(struct omni_handoff *handoff);

/* Answerer: waits for a request. Returns the same as omni_handoff_await_answer(). Called again
 * before the answer, it finds the same request. */
int omni_handoff_await_request(struct omni_handoff *handoff, uint64_t timeout_ns);

/* Answerer: hands the turn back. Never blocks.
 * Returns 0; -EINVAL where omni_handoff_await_request() found no request since the last answer. */
int omni_handoff_answer(struct omni_handoff *handoff);

/* Whether the other side is there, now. One system call. 1, 0 or -errno. */
int omni_handoff_is_connected(const struct omni_handoff *handoff);

/* Gives the place free and wakes the other side, which is told. NULL is fine. */
void omni_handoff_close(struct omni_handoff *handoff);

#ifdef __cplusplus
}
#endif

#endif
