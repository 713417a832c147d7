#include "bell.h"

void bell_start(struct bell *bell, uint64_t interval_ns, uint64_t now_ns) {
    *bell = (struct bell){.interval_ns = interval_ns, .due_ns = now_ns};
}

void bell_want(struct bell *bell, uint64_t interval_ns, uint64_t now_ns) {
    if (bell->interval_ns == interval_ns)
        return;
    bell->interval_ns = interval_ns;
    bell->due_ns = now_ns;
}

static uint64_t ask_at(const struct bell *bell) {
    uint64_t rested_ns = bell->asked_ns + BELL_LEAST_NS;
    return bell->due_ns > rested_ns && bell->is_proven ? bell->due_ns : rested_ns;
}

bool bell_should_ask(const struct bell *bell, uint64_t now_ns) {
    return !bell->is_asked && now_ns >= ask_at(bell);
}

void bell_asked(struct bell *bell, bool is_late, uint64_t now_ns) {
    bell->asked_ns = now_ns;
    /* One that is not relied on may ring for the tick after. */
    bell->is_asked = !is_late || !bell->is_proven;
}

/* A grid, so that 60 looks a second at a source of 100 ticks are 60, not 50. */
static void advance_due(struct bell *bell, uint64_t now_ns) {
    uint64_t interval_ns = bell->interval_ns;
    bell->due_ns += interval_ns;
    if (bell->due_ns + interval_ns < now_ns || bell->due_ns > now_ns + interval_ns)
        bell->due_ns = now_ns + interval_ns;
}

void bell_looked(struct bell *bell, enum bell_cause cause, bool found, uint64_t now_ns) {
    if (cause == BELL_RANG && found)
        bell->is_proven = true;
    else if (cause == BELL_TIME && found && bell->is_asked)
        bell->is_proven = false;
    /* Who looked for a reason of his own may have been faster than the ring that is on its way. */
    if (cause == BELL_RANG || (cause == BELL_TIME && found))
        bell->is_asked = false;
    if (found)
        advance_due(bell, now_ns);
}

uint64_t bell_next(const struct bell *bell, uint64_t pacer_next_ns, uint64_t now_ns) {
    if (!bell->is_proven)
        return pacer_next_ns;
    return bell->is_asked ? now_ns + BELL_CHECK_NS : ask_at(bell);
}
