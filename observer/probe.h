/*
 * probe.h - one question to whatever listens at an address, as a visitor would ask it
 *
 *     struct probe_answer answer;
 *     int error = probe_ask(&answer, "127.0.0.1:8080", "/healthz", "");
 *     if (error == 0) { ... answer.status, answer.body ...; probe_free(&answer); }
 */
#ifndef OBSERVER_PROBE_H
#define OBSERVER_PROBE_H

#include "text.h"

#define PROBE_PATIENCE_MS 3000               /* from connecting to the end of the answer */
#define PROBE_BYTES_MAX   ((size_t)16 << 20) /* of an answer; the rest is not read */

struct probe_answer {
    unsigned status;  /* of HTTP; 0: it does not speak HTTP */
    const char *body; /* NUL-terminated, in `text` */
    struct text text;
};

/* Asks `listen` (an address as --listen has it; one that means all addresses is asked on loopback)
 * with GET. `token` "" : none. Returns 0; -ETIMEDOUT where it took the connection and said nothing
 * whole in time; -ECONNREFUSED, ... Nothing to free on failure. */
int probe_ask(struct probe_answer *answer, const char *listen, const char *path, const char *token);
void probe_free(struct probe_answer *answer);

#endif
