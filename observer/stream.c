#include "stream.h"

#include <linux/tcp.h> /* the C library's has no tcpi_bytes_acked */
#include <netinet/in.h>
#include <sys/socket.h>

enum { SEND_BUFFER_BYTES = 128 * 1024, UNSENT_BYTES = 32 * 1024 };

static void set(int socket, int level, int name, int value) {
    setsockopt(socket, level, name, &value, sizeof value);
}

void stream_tune(int socket) {
    set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
    set(socket, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
}

size_t stream_send(int socket, const char *bytes, size_t length) {
    ssize_t sent = send(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? (size_t)sent : 0;
}

uint64_t stream_taken(int socket) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return 0;
    return info.tcpi_bytes_acked;
}

void stream_kill(int socket) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    shutdown(socket, SHUT_RDWR);
}
