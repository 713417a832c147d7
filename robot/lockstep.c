#include "lockstep.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "service/say.h"

/* A signal that comes just before the sleep is found after it. Five of the hand-off's own looks: a
 * sixth for a rest of time would be one more that costs something. */
#define BETWEEN_LOOKS_NS (400 * CLOCK_NS_A_MILLISECOND)

int lockstep_open(struct lockstep *lockstep, const char *directory, const char *name,
                  struct omni_problem *problem) {
    struct lockstep made = {.directory = directory, .name = name};
    int error = omni_lockstep_open(&made.turns, directory, name, OMNI_HANDOFF_ASKER, problem);
    if (error == 0)
        *lockstep = made;
    return error;
}

static void tell(struct lockstep *lockstep, int error, uint64_t tick) {
    if (lockstep->told || (error != -ENOTCONN && error != -EPIPE))
        return;
    lockstep->told = true;
    say(SAY_INFO, "%s tick %" PRIu64 " waits for one: omni-observer dump %s --lockstep%s%s",
        error == -EPIPE ? "The consumer is gone;" : "There is no consumer;", tick, lockstep->name,
        lockstep->directory != NULL ? " --directory " : "",
        lockstep->directory != NULL ? lockstep->directory : "");
}

static int ask(struct lockstep *lockstep, const struct omni_publisher *publisher) {
    struct omni_turn *turn = omni_handoff_memory(lockstep->turns);
    /* What a robot of that name asked that is dead now, and its consumer is still at. */
    if (omni_handoff_await_answer(lockstep->turns, 0) < 0)
        return -EBUSY;
    turn->tick = omni_publisher_tick(publisher);
    turn->instance = omni_publisher_instance(publisher);
    return omni_handoff_ask(lockstep->turns);
}

/* Somebody removed the file while no consumer was there: none could find it. */
static int ask_anew(struct lockstep *lockstep, const struct omni_publisher *publisher) {
    struct omni_problem problem;
    omni_handoff_close(lockstep->turns);
    lockstep->turns = NULL;
    int error = lockstep_open(lockstep, lockstep->directory, lockstep->name, &problem);
    if (error < 0) {
        say(SAY_ERROR, "%s", problem.text);
        return error;
    }
    lockstep->told = true;
    return ask(lockstep, publisher);
}

static bool goes_on(int error) {
    return error == -ETIMEDOUT || error == -ENOTCONN || error == -EPIPE || error == -EINTR;
}

int lockstep_hand_over(struct lockstep *lockstep, const struct omni_publisher *publisher,
                       const volatile sig_atomic_t *stop) {
    bool asked = false;
    while (*stop == 0) {
        int error = asked ? 0 : ask(lockstep, publisher);
        asked = error == 0;
        error = omni_handoff_await_answer(lockstep->turns, BETWEEN_LOOKS_NS);
        if (error == 0 && asked) {
            lockstep->told = false;
            return 0;
        }
        if (error == -ESTALE)
            error = ask_anew(lockstep, publisher);
        else
            tell(lockstep, error, omni_publisher_tick(publisher));
        if (error < 0 && !goes_on(error)) {
            say(SAY_ERROR, "The tick cannot be handed over: %s.", strerror(-error));
            return error;
        }
    }
    return 0;
}

void lockstep_close(struct lockstep *lockstep) {
    omni_handoff_close(lockstep->turns);
    lockstep->turns = NULL;
}
