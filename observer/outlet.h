/*
 * outlet.h - standard output of a command that runs on: writing, sleeping, being stopped
 *
 * Purpose
 *   `watch` and `dump` write for as long as somebody reads. An outlet writes whole buffers, sleeps
 *   until a moment of CLOCK_MONOTONIC, and in both notices at once that it was asked to stop
 *   (SIGINT, SIGTERM, SIGHUP) or that nobody reads any more (a closed pipe).
 *
 * Calling sequence
 *     struct outlet outlet;
 *     if (outlet_open(&outlet, STDOUT_FILENO, false) < 0) ...
 *     while (!outlet.stop && outlet_write(&outlet, bytes, length) == 0)
 *         outlet_sleep(&outlet, then_ns);
 *     outlet_close(&outlet);
 *
 * Limits
 *   Open one at a time: it blocks the signals for the process (a signalfd reads them) and ignores
 *   SIGPIPE. outlet_close() lets the signals through again.
 */
#ifndef OBSERVER_OUTLET_H
#define OBSERVER_OUTLET_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outlet {
    int out;
    int signals;     /* a signalfd */
    sigset_t before; /* the signal mask as it was */
    bool stop;       /* asked to end, or nobody reads */
    bool resized;    /* interactive: the window has another size; reset by whoever has looked */
    bool suspended;  /* interactive: the user pressed Ctrl-Z; reset by whoever has obeyed */
};

/* `interactive`: take notice of SIGWINCH and SIGTSTP too. Returns 0 or -errno. */
int outlet_open(struct outlet *outlet, int out, bool interactive);
void outlet_close(struct outlet *outlet);

/* Writes it all. A stop that comes while the reader takes nothing leaves the rest unwritten.
 * Returns 0 (also where nobody reads any more or it was stopped: outlet->stop tells), or -errno
 * (-ENOSPC, -EIO, …). */
int outlet_write(struct outlet *outlet, const char *bytes, size_t length);

/* Sleeps until `until_ns` (clock.h), or less where a signal comes or the reader goes. */
void outlet_sleep(struct outlet *outlet, uint64_t until_ns);

#endif
