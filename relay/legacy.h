/*
 * legacy.h - the config file of the relay's predecessor (udrv.json) → routes
 *
 * Of that file these are read, and everything else in it is for others:
 *     file.ihub-irq-dev.path                                 the directory
 *     misc.ihub_config_dev.regs.redun_notify_trig.reg        "x.message_6_trig"
 *     misc.ihub_config_dev.regs.ihub_hwwd_irq.reg            "x.message_5_state"
 *     misc.ihub_config_dev.regs.ihub_reset_irq.reg           "x.message_4_state"
 * The name of a file is what stands behind the first dot of reg, up to the next; where there is
 * nothing, the name that is shown here. The routes are fixed: closing the first file after writing
 * sends the frame redun_notify_irq; a frame ihub_hwwd_irq or ihub_reset_irq writes 1 to its file.
 */
#ifndef RELAY_LEGACY_H
#define RELAY_LEGACY_H

#include "routes.h"

/* Reads the file. Returns 0; -errno with a sentence in `problem`, *routes untouched. */
int legacy_read(struct routes *routes, const char *path, struct omni_problem *problem);

/* The same from bytes, of which bytes[length] must be 0; `path` is for complaints. */
int legacy_parse(struct routes *routes, const char *bytes, size_t length, const char *path,
                 struct omni_problem *problem);

#endif
