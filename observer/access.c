#include "access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOST_BYTES = 256, SECRET_BYTES = 32 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void access_open(struct access *access, const char *const *allowed_hosts, unsigned port) {
    *access = (struct access){.allowed_hosts = allowed_hosts};
    (void)snprintf(access->cookie_name, sizeof access->cookie_name, "omniscient-%u", port);
    if (gethostname(access->host_name, sizeof access->host_name - 1) < 0)
        access->host_name[0] = '\0';
}

void access_announce(struct access *access, const char *name) {
    size_t label = strcspn(name, ".");
    bool is_local = label > 0 && strcasecmp(name + label, ".local") == 0;
    (void)snprintf(access->announced_name, sizeof access->announced_name, "%s",
                   is_local ? name : "");
}

/* ---- Host ---- */

/* The name of "name", "name:port", "[address]" or "[address]:port", without a final dot. */
static bool host_name_of(const char *host, char name[HOST_BYTES]) {
    bool bracketed = host[0] == '[';
    const char *start = bracketed ? host + 1 : host;
    size_t length = strcspn(start, bracketed ? "]" : ":");
    const char *rest = start + length + (bracketed && start[length] == ']');
    if (length == 0 || length >= HOST_BYTES || (bracketed && start[length] != ']'))
        return false;
    if (rest[0] == ':')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (rest[0] != '\0')
        return false;
    memcpy(name, start, length);
    name[length] = '\0';
    if (!bracketed && length > 1 && name[length - 1] == '.')
        name[length - 1] = '\0';
    return true;
}

static bool is_address(const char *name) {
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool is_localhost(const char *name) {
    static const char suffix[] = ".localhost";
    size_t length = strlen(name);
    return strcasecmp(name, suffix + 1) == 0 ||
           (length >= sizeof suffix &&
            strcasecmp(name + length - (sizeof suffix - 1), suffix) == 0);
}

static bool is_own_name(const struct access *access, const char *name) {
    size_t label = strcspn(access->host_name, ".");
    if (access->announced_name[0] != '\0' && strcasecmp(name, access->announced_name) == 0)
        return true;
    if (label == 0)
        return false;
    if (strcasecmp(name, access->host_name) == 0)
        return true;
    return strncasecmp(name, access->host_name, label) == 0 &&
           (name[label] == '\0' || strcasecmp(name + label, ".local") == 0);
}

static bool is_allowed(const struct access *access, const char *name) {
    for (const char *const *host = access->allowed_hosts; host && *host; host++)
        if (strcasecmp(name, *host) == 0)
            return true;
    return false;
}

static bool host_is_ours(const struct access *access, const char *host) {
    char name[HOST_BYTES];
    return host && host_name_of(host, name) &&
           (is_address(name) || is_localhost(name) || is_own_name(access, name) ||
            is_allowed(access, name));
}

/* ---- Origin ---- */

static size_t without_port(const char *authority, const char *port) {
    size_t length = strlen(authority);
    size_t tail = strlen(port);
    return length > tail && strcmp(authority + length - tail, port) == 0 ? length - tail : length;
}

static bool origin_is_ours(const char *origin, const char *host) {
    static const struct {
        const char *prefix;
        const char *port; /* browsers leave it out */
    } schemes[] = {{"http://", ":80"}, {"https://", ":443"}};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t prefix = strlen(schemes[i].prefix);
        if (strncasecmp(origin, schemes[i].prefix, prefix) != 0)
            continue;
        size_t length = without_port(origin + prefix, schemes[i].port);
        return length == without_port(host, schemes[i].port) &&
               strncasecmp(origin + prefix, host, length) == 0;
    }
    return false;
}

/* ---- Token ---- */

static bool token_equals(const struct access *access, const char *given, size_t length) {
    size_t expected = strlen(access->token);
    volatile unsigned difference = expected != length || expected == 0;
    for (size_t i = 0; i < expected; i++)
        difference |= (unsigned char)(access->token[i] ^ (i < length ? given[i] : '\0'));
    return difference == 0;
}

bool access_token_matches(const struct access *access, const char *given) {
    return token_equals(access, given, strlen(given));
}

static bool cookie_matches(const struct access *access, const char *cookie) {
    size_t name = strlen(access->cookie_name);
    while (*cookie) {
        cookie += strspn(cookie, "; \t");
        size_t length = strcspn(cookie, ";");
        if (length > name && cookie[name] == '=' &&
            strncmp(cookie, access->cookie_name, name) == 0 &&
            token_equals(access, cookie + name + 1, length - name - 1))
            return true;
        cookie += length;
    }
    return false;
}

static bool bearer_matches(const struct access *access, const char *authorization) {
    static const char scheme[] = "Bearer ";
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    return access_token_matches(access, authorization + strspn(authorization, " "));
}

static bool has_token(const struct access *access, const struct access_request *request) {
    return access->token[0] == '\0' ||
           (request->cookie && cookie_matches(access, request->cookie)) ||
           (request->authorization && bearer_matches(access, request->authorization));
}

enum access_verdict access_check(const struct access *access,
                                 const struct access_request *request) {
    if (request->has_two_hosts)
        return ACCESS_TWO_HOSTS;
    if (!host_is_ours(access, request->host))
        return ACCESS_BAD_HOST;
    if (request->origin && !origin_is_ours(request->origin, request->host))
        return ACCESS_BAD_ORIGIN;
    return has_token(access, request) ? ACCESS_GRANTED : ACCESS_NO_TOKEN;
}

const char *access_explain(enum access_verdict verdict) {
    static const char *const sentences[] = {
        [ACCESS_GRANTED] = "You may look.",
        [ACCESS_BAD_HOST] = "The observer does not go by this name. Use its IP address or "
                            "localhost, or start it with --allow-host NAME.",
        [ACCESS_TWO_HOSTS] = "The request has more than one Host header.",
        [ACCESS_BAD_ORIGIN] = "A page of another site asked for this; only the observer's own page "
                              "may. (A reverse proxy must pass the Host header on unchanged, with "
                              "its port.)",
        [ACCESS_NO_TOKEN] = "This observer wants its access token. Open the link with ?token= that "
                            "omni-observer printed at its start, or send the header "
                            "Authorization: Bearer TOKEN.",
    };
    return sentences[verdict];
}

/* ---- The token's file ---- */

static bool is_token(const char *text) {
    return strspn(text, alphabet) == ACCESS_TOKEN_BYTES - 1 && text[ACCESS_TOKEN_BYTES - 1] == '\0';
}

static int token_read_from(char token[ACCESS_TOKEN_BYTES], int file) {
    char text[ACCESS_TOKEN_BYTES + 2] = "";
    struct stat facts;
    if (fstat(file, &facts) < 0)
        return -errno;
    if (!S_ISREG(facts.st_mode))
        return S_ISDIR(facts.st_mode) ? -EISDIR : -EINVAL;
    if (facts.st_uid != geteuid() || (facts.st_mode & 077) != 0)
        return -EPERM;
    if (read(file, text, sizeof text - 1) < 0)
        return -errno;
    text[strcspn(text, "\n")] = '\0';
    if (!is_token(text))
        return -EBADMSG;
    memcpy(token, text, ACCESS_TOKEN_BYTES);
    return 0;
}

int access_token_peek(char token[ACCESS_TOKEN_BYTES], const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return -errno;
    int error = token_read_from(token, file);
    close(file);
    return error;
}

static int token_make(char token[ACCESS_TOKEN_BYTES]) {
    unsigned char secret[SECRET_BYTES];
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;
    ssize_t got = getrandom(secret, sizeof secret, 0);
    if (got != (ssize_t)sizeof secret)
        return got < 0 ? -errno : -EIO;
    for (size_t i = 0; i < sizeof secret; i++) {
        bits = bits << 8 | secret[i];
        for (held += 8; held >= 6; held -= 6)
            token[at++] = alphabet[bits >> (held - 6) & 63u];
    }
    token[at++] = alphabet[bits << (6 - held) & 63u];
    token[at] = '\0';
    return 0;
}

static int make_parents(const char *path) {
    char parent[PATH_MAX];
    if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent)
        return -ENAMETOOLONG;
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(parent, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

/* link() and not rename(): of two that make a token at once, the second must not replace the
 * first's, which may already be in somebody's link. */
static int token_store(const char *token, const char *path) {
    char draft[PATH_MAX];
    int error = 0;
    if (snprintf(draft, sizeof draft, "%s.XXXXXX", path) >= (int)sizeof draft)
        return -ENAMETOOLONG;
    int file = mkostemp(draft, O_CLOEXEC);
    if (file < 0)
        return -errno;
    if (dprintf(file, "%s\n", token) < 0 || fsync(file) < 0 || link(draft, path) < 0)
        error = -errno;
    close(file);
    unlink(draft);
    return error == -EEXIST ? 0 : error;
}

int access_token_load(char token[ACCESS_TOKEN_BYTES], const char *path) {
    char made[ACCESS_TOKEN_BYTES];
    int error = access_token_peek(token, path);
    if (error != -ENOENT)
        return error;
    if ((error = make_parents(path)) < 0 || (error = token_make(made)) < 0 ||
        (error = token_store(made, path)) < 0)
        return error;
    return access_token_peek(token, path);
}
