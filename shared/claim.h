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
 * Cost
 *   Sleeps from 0.1 ms, doubling to 50 ms: never a whole core. At most OMNI_CLAIM_NS: never for ever.
 */
#ifndef OMNI_CLAIM_H
#define OMNI_CLAIM_H

#include <stdint.h>

#define OMNI_OWNER_SETTLE_NS 50000000u
#define OMNI_CLAIM_NS        10000000000u

/* Takes the word `owner`. An owner whose heartbeat is seen to change is never disturbed; one whose
 * heartbeat stands still for OMNI_OWNER_DEAD_NS (omni/publish.h) is replaced.
 * Returns 0, and the number that stands there now in *mine (never 0); -EBUSY where the owner lives,
 * or where others were faster each time until OMNI_CLAIM_NS had passed. */
int omni_claim_take(uint32_t *owner, const uint32_t *heartbeat, uint32_t *mine);

#endif
