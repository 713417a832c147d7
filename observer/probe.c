#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

enum { HOST_BYTES = 128, PIECE_BYTES = 16384 };

/* ---- where ---- */

static int find(const char *listen, struct sockaddr_storage *address, socklen_t *length) {
    static const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                          .ai_socktype = SOCK_STREAM};
    static const struct {
        const char *all;
        const char *one;
    } stand_ins[] = {{"0.0.0.0", "127.0.0.1"}, {"::", "::1"}, {"localhost", "127.0.0.1"}};
    char host[HOST_BYTES];
    const char *port = strrchr(listen, ':');
    int brackets = listen[0] == '[' ? 2 : 0;
    if (port == NULL || port - listen >= HOST_BYTES || port - listen <= brackets)
        return -EINVAL;
    (void)snprintf(host, sizeof host, "%.*s", (int)(port - listen) - brackets,
                   listen + brackets / 2);
    for (size_t i = 0; i < sizeof stand_ins / sizeof stand_ins[0]; i++)
        if (strcmp(host, stand_ins[i].all) == 0)
            (void)snprintf(host, sizeof host, "%s", stand_ins[i].one);
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port + 1, &hints, &found) != 0)
        return -EINVAL;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* ---- the line ---- */

static int wait_for(int line, short events, uint64_t end_ns) {
    struct pollfd poller = {.fd = line, .events = events};
    uint64_t now = clock_now_ns();
    if (now >= end_ns)
        return -ETIMEDOUT;
    int ready = poll(&poller, 1, (int)((end_ns - now) / CLOCK_NS_A_MILLISECOND) + 1);
    return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : -errno;
}

static int call(const char *listen, uint64_t end_ns) {
    struct sockaddr_storage address;
    socklen_t length = 0;
    int error = find(listen, &address, &length);
    if (error < 0)
        return error;
    int line = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line < 0)
        return -errno;
    if (connect(line, (const struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
        error = -errno;
    if (error == 0)
        error = wait_for(line, POLLOUT, end_ns);
    socklen_t size = sizeof error;
    if (error == 0 && getsockopt(line, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
        error = -error;
    if (error < 0) {
        (void)close(line);
        return error;
    }
    return line;
}

/* What the question is: short enough to be sent at once. */
static int ask(int line, const char *listen, const char *path, const char *token) {
    char question[512];
    bool has_token = token[0] != '\0';
    int length =
        snprintf(question, sizeof question, "GET %s HTTP/1.0\r\nHost: %s\r\n%s%s%s\r\n", path,
                 listen, has_token ? "Authorization: Bearer " : "", token, has_token ? "\r\n" : "");
    if (length >= (int)sizeof question)
        return -EMSGSIZE;
    return send(line, question, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -EPIPE;
}

static int hear(int line, struct text *text, uint64_t end_ns) {
    while (text->length < PROBE_BYTES_MAX) {
        int error = wait_for(line, POLLIN, end_ns);
        if (error < 0)
            return error;
        char *room = text_reserve(text, PIECE_BYTES);
        if (room == NULL)
            return -ENOMEM;
        ssize_t bytes = recv(line, room, PIECE_BYTES, 0);
        if (bytes < 0 && errno != EAGAIN)
            return -errno;
        if (bytes == 0)
            return 0;
        text->length += bytes > 0 ? (size_t)bytes : 0;
    }
    return 0;
}

/* ---- the answer ---- */

static void take_apart(struct probe_answer *answer) {
    static const char hello[] = "HTTP/1.";
    text_append(&answer->text, "", 1);
    const char *whole = answer->text.failed ? "" : text_bytes(&answer->text);
    const char *blank = strstr(whole, "\r\n\r\n");
    bool is_http = strncmp(whole, hello, strlen(hello)) == 0 && blank != NULL;
    answer->status = is_http ? (unsigned)strtoul(whole + strlen(hello) + 1, NULL, 10) : 0;
    answer->body = is_http ? blank + 4 : whole;
}

int probe_ask(struct probe_answer *answer, const char *listen, const char *path,
              const char *token) {
    uint64_t end_ns = clock_now_ns() + PROBE_PATIENCE_MS * CLOCK_NS_A_MILLISECOND;
    struct probe_answer heard = {.status = 0};
    int line = call(listen, end_ns);
    if (line < 0)
        return line;
    text_open(&heard.text, 0);
    int error = ask(line, listen, path, token);
    if (error == 0)
        error = hear(line, &heard.text, end_ns);
    (void)close(line);
    if (error < 0) {
        text_close(&heard.text);
        return error;
    }
    take_apart(&heard);
    *answer = heard;
    return 0;
}

void probe_free(struct probe_answer *answer) {
    text_close(&answer->text);
}
