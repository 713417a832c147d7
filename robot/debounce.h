/*
 * debounce.h - an obstacle switch whose contacts bounce: closed at once, open when it is quiet
 *
 * Calling sequence
 *     struct debounce state = {.quiet_ns = 20 * CLOCK_NS_A_MILLISECOND};
 *     at each edge, and each look:  debounce_saw(&state, active, at_ns);
 *     debounce_is_closed(&state, now_ns)
 *
 * An obstacle counts from the first touch; it is gone when the contact has been open for quiet_ns
 * without an edge. So a disturbance can only make the robot shy away, never drive on. Pure; times
 * are of CLOCK_MONOTONIC.
 */
#ifndef ROBOT_DEBOUNCE_H
#define ROBOT_DEBOUNCE_H

#include <stdbool.h>
#include <stdint.h>

struct debounce {
    uint64_t quiet_ns;
    uint64_t closed_ns; /* when it was last seen closed, or about to open; of ever_closed */
    bool ever_closed;
    bool is_active; /* as last seen */
};

/* The contact is (or became) active, or not, at that moment. Moments may come twice, and late. */
void debounce_saw(struct debounce *state, bool active, uint64_t at_ns);

/* Whether the switch counts as closed. */
bool debounce_is_closed(const struct debounce *state, uint64_t now_ns);

#endif
