/*
 * crowd.h - the load client: many WebSocket clients of one server, in one process, on one epoll
 *
 * Purpose
 *   Connects, shakes hands, subscribes, and then reads as fast as messages come: counts the
 *   `status` messages of each client and how long each was on its way, from the `monotonic` time in
 *   it (whole microseconds) to the moment when it was read. Answers pings. Some clients can be told
 *   never to read.
 *
 * Calling sequence
 *     struct crowd_options options = {.port = 8080, .clients = 100, .subscribe = CROWD_RATE("60")};
 *     struct crowd *crowd = crowd_open(&options);
 *     crowd_run(crowd, 2 * SECOND_NS, NULL); // settle
 *     crowd_forget(crowd);
 *     crowd_run(crowd, 5 * SECOND_NS, latencies);
 *     ... crowd_messages(crowd) ...
 *     crowd_close(crowd);
 *
 * Limits
 *   127.0.0.1 only. What the server sends is believed: it is not a test of the protocol.
 *
 * Failure
 *   Ends the program with a sentence where not all can connect within 60 seconds.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure.h"

struct crowd; /* opaque */

struct crowd_options {
    uint16_t port;
    unsigned clients;      /* all of them */
    unsigned silent;       /* so many of them, every other one from the first, never read */
    const char *subscribe; /* a message that each sends first; NULL: none */
    bool lingers;          /* looks for more for a millisecond before it sleeps (README.md) */
};

/* What subscribes to the source of robot.h, newest values, at most `rate` (a string) a second. */
#define CROWD_RATE(rate)                                                                           \
    "{\"op\":\"subscribe\",\"source\":\"bench\",\"mode\":\"latest\",\"rate\":" rate "}"

struct crowd *crowd_open(const struct crowd_options *options);
void crowd_close(struct crowd *crowd);

/* Reads for so long. `latencies` (may be NULL) gets one value, in ns, for each `status`. */
void crowd_run(struct crowd *crowd, uint64_t duration_ns, struct samples *latencies);
/* Reads until a `status` more has come than there were, or that time has passed. Returns whether one
 * has. */
bool crowd_await(struct crowd *crowd, uint64_t patience_ns);
/* Counts from 0 again. */
void crowd_forget(struct crowd *crowd);

/* `status` messages since, and their bytes (without the frames' heads); of all clients. */
uint64_t crowd_messages(const struct crowd *crowd);
uint64_t crowd_bytes(const struct crowd *crowd);
/* Of number `index`; UINT64_MAX for one that does not read. */
uint64_t crowd_messages_of(const struct crowd *crowd, unsigned index);
/* Clients that read and were closed by the server. */
unsigned crowd_lost(const struct crowd *crowd);

#endif
