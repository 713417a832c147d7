/*
 * bell.h - when to ask a publisher in another machine for a ring, and whether to rely on it
 *
 * A source in memory that a hypervisor shares may have a doorbell: who wants the next tick asks for a
 * ring (a word in the segment) and sleeps; the publisher rings once, with the tick. That costs it a
 * register write, so it is asked for only when the next tick is wanted, and at most once in
 * BELL_LEAST_NS.
 *
 * Not every publisher can ring (it may have reached the same memory by another way), and a machine
 * that outlived the observer that it knew rings for nobody. So a bell is relied on from the
 * first ring on with which a tick was found (any machine at the socket can ring for nothing), until
 * ticks are found that it kept quiet about; meanwhile the pacer says when to look, as
 * everywhere. Even a bell that is relied on is checked every BELL_CHECK_NS: silence and death
 * make no sound.
 *
 * Pure arithmetic; times are CLOCK_MONOTONIC nanoseconds.
 *
 *     after a look: bell_looked(&bell, why, found, now);
 *                   if (bell_should_ask(&bell, now)) ... ask; bell_asked(&bell, whether there is news, now) ...
 *                   sleep until bell_next(&bell, the pacer's next look, now)
 *     it rings:     look, if bell.is_asked
 *     time is over: where it is relied on and bell_should_ask(), ask, and sleep on unless there is news;
 *                   else look
 */
#ifndef OBSERVER_BELL_H
#define OBSERVER_BELL_H

#include <stdbool.h>
#include <stdint.h>

#define BELL_LEAST_NS UINT64_C(200000)    /* between two rings that are asked for */
#define BELL_CHECK_NS UINT64_C(500000000) /* between looks while it is quiet */

/* Why somebody looked: it rang; the time had come; or for a reason of his own. */
enum bell_cause { BELL_RANG, BELL_TIME, BELL_OTHER };

/* Its members are the functions' own. */
struct bell {
    uint64_t interval_ns; /* the longest between looks that the caller wants */
    uint64_t due_ns;      /* when the next tick is wanted */
    uint64_t asked_ns;    /* when it was asked last */
    bool is_proven;       /* relied on */
    bool is_asked;        /* a ring is to be expected */
};

/* Begins, not relying on it. */
void bell_start(struct bell *bell, uint64_t interval_ns, uint64_t now_ns);

/* As omni_pacer_want(). */
void bell_want(struct bell *bell, uint64_t interval_ns, uint64_t now_ns);

/* Whether it is to be asked for the next tick, now. */
bool bell_should_ask(const struct bell *bell, uint64_t now_ns);
/* It was asked. `is_late`: there is news already, which it may have kept quiet about. */
void bell_asked(struct bell *bell, bool is_late, uint64_t now_ns);

/* Somebody looked, and `found` something new or not. */
void bell_looked(struct bell *bell, enum bell_cause cause, bool found, uint64_t now_ns);

/* When the sleep ends that no ring ends: to ask, or to look. */
uint64_t bell_next(const struct bell *bell, uint64_t pacer_next_ns, uint64_t now_ns);

#endif
