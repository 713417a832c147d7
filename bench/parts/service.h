/*
 * service.h - the real omni-observer, and HTTP requests to it
 */
#ifndef BENCH_SERVICE_H
#define BENCH_SERVICE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct service {
    pid_t process;
    uint16_t port; /* on 127.0.0.1 */
};

/* Starts `build`/omni-observer serve for process_directory() on a free port, with further
 * `options` ("--max-clients", "5000"; NULL-terminated; NULL: none), and waits until it answers.
 * Ends the program where it does not come up. */
struct service service_start(const char *build, const char *const *options);
void service_end(struct service *service);

/* Asks for `path`; stores at most `bytes` - 1 bytes of the answer, head and body, NUL-terminated.
 * Returns their number or -errno. */
long service_get(const struct service *service, const char *path, char *answer, size_t bytes);

/* A whole number after "name": in JSON text; 0 where it is not there. */
unsigned long long service_number(const char *json, const char *name);

#endif
