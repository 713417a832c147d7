/*
 * access.h - who may look: Host, Origin and token, decided in one place for HTTP and WebSocket
 *
 * Rules
 *   Host    must be an IP address, localhost (or *.localhost), this machine's host name (whole, or
 *           its first label, or that with .local), the one in .local that the network was told, or
 *           one that --allow-host names: else a foreign page could reach us by DNS rebinding. A
 *           request without Host is refused too, and one
 *           with two: a proxy on the way may have believed the other one.
 *   Origin  where there is one, must name the same host and port as Host: else any page in the
 *           user's browser could open our WebSocket. An empty one names nobody, like "null".
 *   Token   where one is in force: as cookie, as `Authorization: Bearer`, or (HTTP only, once, to
 *           get the cookie) as ?token= in the link. Compared in constant time. /healthz needs none.
 *
 * Calling sequence
 *   Fill a struct access once (access_open(), then access_token_load() where a token is to be in
 *   force), hand it to hub_open() and http_open(), and leave it unchanged while they live, but for
 *   access_announce().
 */
#ifndef OBSERVER_ACCESS_H
#define OBSERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#define ACCESS_TOKEN_BYTES 44u /* of its text, with NUL: 43 characters of base64url, 256 bits */

enum access_verdict {
    ACCESS_GRANTED,
    ACCESS_TWO_HOSTS,  /* 400 */
    ACCESS_BAD_HOST,   /* 421 */
    ACCESS_BAD_ORIGIN, /* 403 */
    ACCESS_NO_TOKEN    /* 401 */
};

struct access {
    const char *const *allowed_hosts; /* names without port; NULL-terminated; NULL: none */
    char token[ACCESS_TOKEN_BYTES];   /* "": no token in force */
    char cookie_name[32];             /* "omniscient-8080": cookies do not know ports */
    char host_name[256];              /* this machine's; "": not known */
    char announced_name[256];         /* the one under which it is announced; "": none */
};

/* What a request says of itself; NULL for what it does not say. */
struct access_request {
    const char *host;
    const char *origin;
    const char *cookie;        /* the whole header */
    const char *authorization; /* the whole header */
    bool has_two_hosts;        /* or more */
};

/* Fills `access`: this machine's host name, the cookie's name for that port, no token.
 * `allowed_hosts` (may be NULL) must outlive it. */
void access_open(struct access *access, const char *const *allowed_hosts, unsigned port);

/* The name that the network was told to ask for, "robot.local"; "" : none. Another one than of
 * .local is not taken: the DNS, and with it anybody, could give it any address. */
void access_announce(struct access *access, const char *name);

enum access_verdict access_check(const struct access *access, const struct access_request *request);

/* True where `given` is the token in force; false where none is. Takes the same time for every
 * `given` of the same length. */
bool access_token_matches(const struct access *access, const char *given);

/* A sentence for people. */
const char *access_explain(enum access_verdict verdict);

/* Reads the token from the file, or makes one (getrandom) and stores it, mode 0600, missing parents
 * created 0700. Of several processes that do so at once all get the same token.
 * Returns 0; -EPERM where it is another user's or others may read it; -EISDIR where it is a
 * directory; -EINVAL where it is no plain file (a FIFO: nothing is waited for); -ELOOP where it is a
 * symbolic link; -EBADMSG where it holds no token; another -errno. `token` is untouched on failure.
 */
int access_token_load(char token[ACCESS_TOKEN_BYTES], const char *path);

/* The same, but makes nothing: -ENOENT where there is no file. */
int access_token_peek(char token[ACCESS_TOKEN_BYTES], const char *path);

#endif
