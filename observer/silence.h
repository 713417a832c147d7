/*
 * silence.h - how old the newest tick is, and whether its source has fallen silent: one rule for
 * serve, list and watch
 *
 * A tick was there at the latest when it was read. So a stamp from the future (another machine's
 * clock, a simulation's) counts from then, and cannot make a number that stands still look live.
 * A source is silent when no tick came for five of its periods and at least half a second. Who
 * publishes without a period has none to miss, and is never silent, unless it says that its ticks
 * follow each other while all is well (a robot in lockstep): then half a second counts.
 *
 * Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef OBSERVER_SILENCE_H
#define OBSERVER_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/observe.h>

/* When the newest tick was there. `heard_ns`: when it was read. */
uint64_t silence_newest(const struct omni_stamp *newest, uint64_t heard_ns);

/* How long it may be missing. */
uint64_t silence_limit(uint64_t period_ns);

bool silence_has_come(const struct omni_source_facts *facts, uint64_t newest_ns, uint64_t now_ns);

#endif
