/*
 * links.h - what a person clicks or scans: the links of an address, and a QR code of one
 */
#ifndef OBSERVER_LINKS_H
#define OBSERVER_LINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define LINKS_BYTES 256u /* of one link, with NUL */

typedef void links_sink(void *context, const char *link, bool is_loopback);

/* Calls `sink` for each link under which "ADDRESS:PORT" can be reached: one for an address of its
 * own, one per address of this machine's interfaces for 0.0.0.0 and [::] (link-local ones left out:
 * browsers cannot write them). `token` "" : none, else the links carry it.
 * Returns 0, or -errno where the interfaces cannot be listed. */
int links_each(const char *address, const char *token, links_sink *sink, void *context);

/* Appends a QR code, black on white whatever the terminal's colours, two modules a character, four
 * modules of margin. Returns 0, or -errno where the link does not fit into a QR code. */
int links_qr(struct text *text, const char *link);

#endif
