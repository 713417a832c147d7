/*
 * sound.h - which sound when: the rules, without a loudspeaker
 *
 * Purpose
 *   One `struct sound` follows one source. It is told the facts whenever they may have changed, and
 *   says which call is due. The rules are the table in sound.c:
 *     alarm    it was live and is not any more (silent, closed, died, removed)
 *     squawk   `obstacle` became true; at most once in SOUND_SQUAWK_GAP_NS
 *     cluck    at random intervals, where it wanders at that moment
 *   One call at a time; the first rule that applies wins.
 *
 * What makes a source a robot
 *   Its schema: sound_find() looks for an enum `bot_mode` with a label "wandering" and for a bool
 *   `obstacle`, both scalars. A source with neither makes no sound at all, so that a
 *   tank or a relay beside the robot does not cackle; one with only one of them has the rules that
 *   need no more.
 *
 * Calling sequence
 *     struct sound_fields fields = sound_find(table);
 *     if (sound_is_robot(&fields)) {
 *         struct sound sound = sound_start(&rules, seed, now_ns);
 *         struct sound_facts facts = sound_read(&fields, payload);
 *         facts.live = ...;
 *         enum chicken call;
 *         if (sound_step(&sound, &facts, now_ns, &call)) ... play it ...
 *         ... again at sound.cluck_ns, if nothing happens before ...
 *     }
 *
 * Pure: the same seed, facts and times give the same calls.
 */
#ifndef OBSERVER_SOUND_H
#define OBSERVER_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include <omni/schema.h>

#include "chicken.h"
#include "dice.h"

#define SOUND_SQUAWK_GAP_NS UINT64_C(2000000000) /* an obstacle flag may flutter */

/* Where a schema has what the rules need. Fields of that table; NULL where there is none. */
struct sound_fields {
    const struct omni_field *mode; /* enum bot_mode with a label "wandering" */
    uint32_t wandering;            /* the number of that label */
    const struct omni_field *obstacle;
};

/* `table` has been checked (omni_table_check()). */
struct sound_fields sound_find(const struct omni_table *table);
bool sound_is_robot(const struct sound_fields *fields);

struct sound_facts {
    bool live;
    bool wandering;
    bool obstacle;
};

/* What a payload says; `live` is left false. */
struct sound_facts sound_read(const struct sound_fields *fields, const void *payload);

/* Between two clucks, seconds: evenly drawn from low to high. */
struct sound_rules {
    double low_seconds;
    double high_seconds;
};

/* The members are the module's own, but for cluck_ns: when to look again if nothing happens. */
struct sound {
    struct sound_rules rules;
    struct dice dice;
    struct sound_facts before;
    uint64_t cluck_ns;
    uint64_t squawk_ns; /* not before that */
};

/* Times are CLOCK_MONOTONIC in ns. */
struct sound sound_start(const struct sound_rules *rules, uint64_t seed, uint64_t now_ns);

/* True where a call is due, and which. Facts that were so when the source went live are only
 * remembered: a robot that was found stopped gives no alarm, one that was found at a wall no
 * squawk. */
bool sound_step(struct sound *sound, const struct sound_facts *facts, uint64_t now_ns,
                enum chicken *call);

#endif
