/*
 * serve.h - `omni-observer serve`, the parts that can be tested without serving
 */
#ifndef OBSERVER_SERVE_H
#define OBSERVER_SERVE_H

#include <stdbool.h>
#include <stddef.h>

#include <omni/schema.h>

#include "options.h"

/* Whether visitors are asked for the token: --require-token always; or auto, where an address is
 * not loopback or a host is allowed. `open_address`: one that it really listens on and that is not
 * loopback (door_open_address()), or NULL. Returns 0; -EINVAL with the reason where the options ask
 * for an open door to the network (never, and such an address). */
int serve_needs_token(bool *needs, const struct options *options, const char *open_address,
                      struct omni_problem *problem);

/* Says in words why access_token_load() failed, and what to do. */
void serve_explain_token(struct omni_problem *problem, const char *path, int error);

/* Descriptors that such options can need. */
size_t serve_files(const struct options *options);

#endif
