#include "debounce.h"

void debounce_saw(struct debounce *state, bool active, uint64_t at_ns) {
    bool changed = active != state->is_active;
    state->is_active = active;
    if (!active && !changed)
        return;
    if (!state->ever_closed || at_ns > state->closed_ns)
        state->closed_ns = at_ns;
    state->ever_closed = true;
}

bool debounce_is_closed(const struct debounce *state, uint64_t now_ns) {
    if (state->is_active)
        return true;
    return state->ever_closed &&
           (now_ns < state->closed_ns || now_ns - state->closed_ns < state->quiet_ns);
}
