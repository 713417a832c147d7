/*
 * claim.h - one owner at a time, where there is no kernel to ask (not installed)
 *
 * Purpose
 *   Publishers of several machines agree on who may write, with two 32-bit words of the memory that
 *   they share: the owner's number, and a heartbeat that the owner changes.
 *
 * How
 *   Plain loads and stores only (Fischer's timed mutual exclusion): wait until the word is 0 or its
 *   owner is dead, store a number of one's own, and own it if that number still stands there
 *   OMNI_OWNER_SETTLE_NS later. A read-modify-write would be shorter, but gets lost under emulation
 *   by one thread and faults on uncached memory of some CPUs (docs/adr/0010).
 *
 * Limits
 *   Nobody may need OMNI_OWNER_SETTLE_NS from its last look to its store, which follow each other at
 *   once. Who is kept from running just there (a paused machine) takes the word from an owner that
 *   lives: that one finds out before its next tick and ends (docs/adr/0010).
 *
 * Cost
 *   Sleeps from 0.1 ms, doubling to 50 ms: never a whole core. Little more than `patience_ns` at
 *   most: never for ever, whatever the two words do.
 */
#ifndef OMNI_CLAIM_H
#define OMNI_CLAIM_H

#include <signal.h>
#include <stdint.h>

#define OMNI_OWNER_SETTLE_NS 50000000u
#define OMNI_CLAIM_NS        10000000000u /* a good patience */

struct omni_claim {
    uint32_t *owner;
    const uint32_t *heartbeat;
    uint64_t patience_ns;
    const volatile sig_atomic_t *stop; /* a signal handler sets it: the wait ends; NULL: none */
};

/* Takes the word `owner`. One whose heartbeat changes between two looks is not disturbed; one whose
 * heartbeat stands still for OMNI_OWNER_DEAD_NS (omni/publish.h) is replaced.
 * Returns 0, and the number that stands there now in *mine (never 0);
 *   -EBUSY  the owner lives, or others were faster each time until the patience was over
 *   -EIO    the word was 0 again each time: the memory does not keep what is written
 *   -ECANCELED  *stop was set while somebody else's number stood there: at once where a signal
 *           handler did it (without SA_RESTART), else at the next look */
int omni_claim_take(const struct omni_claim *claim, uint32_t *mine);

#endif
