/*
 * omni/lockstep.h - a publisher that goes on when its consumer has taken the tick
 *
 * Purpose
 *   For simulations that must lose nothing: beside its segment, a publisher has a hand-off
 *   (omni/handoff.h) in the file omni-step.NAME. After each tick it asks, and waits for the answer of
 *   one consumer. Other readers of the segment look as always and take no turns.
 *
 * Calling sequence
 *     publisher                                      consumer
 *     omni_lockstep_open(&turns, directory, name,    attach to the segment (omni/observe.h)
 *         OMNI_HANDOFF_ASKER, &problem)              omni_lockstep_open(&turns, directory, name,
 *     omni_publisher_open(...)                           OMNI_HANDOFF_ANSWERER, &problem)
 *     struct omni_turn *turn =                       struct omni_turn *turn =
 *         omni_handoff_memory(turns)                     omni_handoff_memory(turns)
 *     for (;;) {                                     for (;;) {
 *         omni_publish(...)                              omni_handoff_await_request(turns, ...)
 *         turn->tick = ..., turn->instance = ...         if (turn->instance is that of my segment)
 *         omni_handoff_ask(turns)                            take all that is new, up to turn->tick
 *         omni_handoff_await_answer(turns, ...)          omni_handoff_answer(turns)
 *     }                                              }
 *     omni_publisher_close(...)
 *     omni_handoff_close(turns)
 *
 *   Whoever may write the hand-off's file may write garbage into a turn: a consumer that finds neither
 *   its instance nor the tick, while its segment's publisher lives, takes what is there and answers.
 *
 *   The publisher opens the hand-off first and closes it last: who finds its segment finds that, too,
 *   and who is told that the other side ended finds the segment closed.
 */
#ifndef OMNI_LOCKSTEP_H
#define OMNI_LOCKSTEP_H

#include <stdint.h>

#include <omni/handoff.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the publisher tells with each request: the tick that waits to be taken. */
struct omni_turn {
    uint64_t tick;     /* omni_publisher_tick() */
    uint64_t instance; /* omni_publisher_instance(); a consumer compares it with
                          omni_observer_facts()->instance */
    uint64_t reserved[6];
};

/* omni_handoff_open() for the source of that name. `directory` NULL: /dev/shm. Returns the same;
 * -EINVAL also where the name is not valid, -ENAMETOOLONG for the directory. */
int omni_lockstep_open(struct omni_handoff **turns, const char *directory, const char *name,
                       enum omni_handoff_side side, struct omni_problem *problem);

#ifdef __cplusplus
}
#endif

#endif
