/*
 * budget.h - how much of the loop's time the sources may take: pure arithmetic
 *
 * Any local user may fill the folder of segments, change names in it without a pause, or publish as
 * fast as a processor can. None of that may own the loop: the longer a scan took, the longer the
 * next one waits, and a drain ends after so many ticks or so long, whatever is left.
 *
 * Times are of the loop (ms) or durations (ns, ms).
 */
#ifndef OBSERVER_BUDGET_H
#define OBSERVER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_SCAN_MS 1000u /* from one scan to the next, if nothing asks for it */

/* How long there is no other scan after one that took so long: at most a tenth of the time goes
 * into scans. */
uint64_t budget_rest_ms(uint64_t scan_took_ns);

/* How long until the next scan by itself, after such a rest. */
uint64_t budget_scan_ms(uint64_t rest_ms);

/* How long until a scan that is asked for now, where the rest ends at `again_ms`. Never at once: a
 * storm of files is one scan then. */
uint64_t budget_soon_ms(uint64_t now_ms, uint64_t again_ms);

/* Whether a drain goes on after `ticks` ticks and `spent_ns`. The first tick is always read. */
bool budget_drains(unsigned ticks, uint64_t spent_ns);

#endif
