/*
 * config.h - the relay's own config file → routes
 *
 *     {
 *       "directory": "/run/omni-relay",
 *       "ethertype": "0x8800",                  // or 34816; this is the default
 *       "destination": "ff:ff:ff:ff:ff:ff",     // the default, too
 *       "routes": [
 *         {"when": {"file": "trigger"}, "then": {"frame": "redun_notify_irq"}},
 *         {"when": {"frame": "ihub_hwwd_irq"}, "then": {"file": "state", "text": "1"}}
 *       ]
 *     }
 *
 * Everything is judged before anything is opened: a wrong key, type or path, and what leads back to
 * itself, is refused with its place. docs/relay.md is the reference.
 */
#ifndef RELAY_CONFIG_H
#define RELAY_CONFIG_H

#include "routes.h"

/* Reads the file. Returns 0; -errno with a sentence in `problem`, *routes untouched. */
int config_read(struct routes *routes, const char *path, struct omni_problem *problem);

/* The same from bytes, of which bytes[length] must be 0; `path` is for complaints. */
int config_parse(struct routes *routes, const char *bytes, size_t length, const char *path,
                 struct omni_problem *problem);

#endif
