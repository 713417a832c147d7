/*
 * capabilities.h - the one right that the relay needs, and giving it back
 *
 * Opening a raw socket needs CAP_NET_RAW; using it, and binding it anew when its interface comes
 * back, needs nothing (packet(7)). So the relay raises that one, opens the socket, and gives up
 * everything for good before it touches the config's directory or reads a frame.
 */
#ifndef RELAY_CAPABILITIES_H
#define RELAY_CAPABILITIES_H

#include <omni/schema.h>

/* Makes CAP_NET_RAW effective where this process may have it. Returns 0; -EPERM with what to type in
 * `problem`. */
int capabilities_raise(struct omni_problem *problem);

/* Why a raw socket cannot be had in spite of the capability, and what to type. */
void capabilities_explain(struct omni_problem *problem, int error);

/* Gives up all of them, for this process and what it might become. Returns 0 or -errno. */
int capabilities_drop(void);

#endif
