#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "process.h"

enum { OPTIONS_MAX = 12 };

struct service service_start(const char *build, const char *const *options) {
    char program[512];
    const char *arguments[8 + OPTIONS_MAX] = {program, "serve",    "--directory",
                                              NULL,    "--listen", "127.0.0.1:0"};
    size_t count = 6;
    int out = -1;
    snprintf(program, sizeof program, "%s/omni-observer", build);
    arguments[3] = process_directory();
    for (size_t i = 0; options != NULL && options[i] != NULL && i < OPTIONS_MAX; i++)
        arguments[count++] = options[i];
    struct service service = {.process = process_start(CORE_OBSERVER, arguments, &out)};
    service.port = process_port(out);
    close(out);
    if (service.port == 0)
        measure_give_up("%s serve did not come up: BENCH_VERBOSE=1 shows why", program);
    return service;
}

void service_end(struct service *service) {
    process_end(service->process);
    service->process = 0;
}

static long exchange(int socket, const char *request, char *answer, size_t bytes) {
    size_t length = 0;
    ssize_t got = 0;
    if (send(socket, request, strlen(request), MSG_NOSIGNAL) < 0)
        return -errno;
    while (length < bytes - 1 && (got = recv(socket, answer + length, bytes - 1 - length, 0)) > 0)
        length += (size_t)got;
    answer[length] = '\0';
    return got < 0 ? -errno : (long)length;
}

long service_get(const struct service *service, const char *path, char *answer, size_t bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(service->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char request[256];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", path,
             service->port);
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -errno;
    long result = -ECONNREFUSED;
    if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0)
        result = exchange(connection, request, answer, bytes);
    close(connection);
    return result;
}

unsigned long long service_number(const char *json, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    return at != NULL ? strtoull(at + strlen(key), NULL, 10) : 0;
}
