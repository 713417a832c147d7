/*
 * websocket_client.h - a WebSocket client of the tests: raw bytes on a socket, nothing hidden
 *
 * It reads only when told to, and never answers a ping by itself.
 */
#ifndef WEBSOCKET_CLIENT_H
#define WEBSOCKET_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define OPCODE_TEXT   1u
#define OPCODE_BINARY 2u
#define OPCODE_CLOSE  8u
#define OPCODE_PING   9u
#define OPCODE_PONG   10u
#define FINAL         0x80u

struct peer {
    int socket;
    unsigned char *bytes; /* received and not yet taken apart */
    size_t length;
    size_t capacity;
    bool answered;
    bool upgraded;
    bool ended;              /* the server closed the connection */
    char answer[2048];       /* the head of its HTTP answer */
    cJSON *messages[100000]; /* of text frames */
    size_t count;
    unsigned close_code;
    char close_reason[126];
    unsigned pings;
    unsigned pongs;
};

/* A connected pair of TCP sockets; the far one has a small buffer so that it is soon full. */
static void socket_pair(int *near, int *far) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int buffer = 16384;
    int segment = 1400; /* loopback's own is larger than the buffer, which makes TCP crawl */
    int on = 1;
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *far = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(*far >= 0);
    assert_int_equal(setsockopt(*far, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), 0);
    assert_int_equal(setsockopt(*far, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), 0);
    assert_int_equal(setsockopt(*far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    assert_int_equal(connect(*far, (struct sockaddr *)&address, length), 0);
    *near = accept(listener, NULL, NULL);
    assert_true(*near >= 0);
    close(listener);
    assert_int_equal(fcntl(*far, F_SETFL, O_NONBLOCK), 0);
}

static void peer_raw(struct peer *peer, const void *bytes, size_t length) {
    assert_int_equal(send(peer->socket, bytes, length, MSG_NOSIGNAL), length);
}

/* One masked frame. */
static void peer_frame(struct peer *peer, unsigned head, const void *payload, size_t length) {
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    unsigned char *frame = malloc(length + 14);
    size_t at = 0;
    assert_non_null(frame);
    frame[at++] = (unsigned char)head;
    if (length < 126) {
        frame[at++] = (unsigned char)(0x80u | length);
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (unsigned char)(length >> 8);
        frame[at++] = (unsigned char)length;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < length; i++)
        frame[at++] = ((const unsigned char *)payload)[i] ^ mask[i & 3];
    peer_raw(peer, frame, at);
    free(frame);
}

static void peer_say(struct peer *peer, const char *text) {
    peer_frame(peer, FINAL | OPCODE_TEXT, text, strlen(text));
}

static void peer_take_frame(struct peer *peer, unsigned opcode, const char *payload,
                            size_t length) {
    switch (opcode) {
    case OPCODE_TEXT:
        assert_true(peer->count < sizeof peer->messages / sizeof peer->messages[0]);
        peer->messages[peer->count] = cJSON_ParseWithLength(payload, length);
        if (peer->messages[peer->count] == NULL)
            fail_msg("not JSON: %.*s", (int)length, payload);
        peer->count++;
        break;
    case OPCODE_CLOSE:
        peer->close_code =
            length < 2
                ? 1005
                : ((unsigned)(unsigned char)payload[0] << 8 | (unsigned)(unsigned char)payload[1]);
        if (length > 2)
            memcpy(peer->close_reason, payload + 2, length - 2);
        break;
    case OPCODE_PING:
        peer->pings++;
        break;
    case OPCODE_PONG:
        peer->pongs++;
        break;
    default:
        fail_msg("unexpected frame, opcode %u", opcode);
    }
}

static size_t peer_take_one(struct peer *peer) {
    const unsigned char *bytes = peer->bytes;
    size_t head = 2;
    if (peer->length < 2)
        return 0;
    uint64_t length = bytes[1];
    size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (peer->length < head + more)
        return 0;
    if (more > 0)
        length = 0;
    for (; more > 0; more--)
        length = length << 8 | bytes[head++];
    if (peer->length < head + length)
        return 0;
    assert_int_equal(bytes[0] & 0xf0, FINAL);
    peer_take_frame(peer, bytes[0] & 15u, (const char *)bytes + head, (size_t)length);
    return head + (size_t)length;
}

static size_t peer_take_answer(struct peer *peer) {
    const char *end = memmem(peer->bytes, peer->length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t length = (size_t)(end + 4 - (const char *)peer->bytes);
    assert_true(length < sizeof peer->answer);
    memcpy(peer->answer, peer->bytes, length);
    peer->answered = true;
    peer->upgraded = strncmp(peer->answer, "HTTP/1.1 101 ", 13) == 0;
    return length;
}

/* Takes apart whatever has come. */
static void peer_read(struct peer *peer) {
    for (;;) {
        if (peer->length == peer->capacity) {
            peer->capacity = peer->capacity > 0 ? peer->capacity * 2 : 65536;
            peer->bytes = realloc(peer->bytes, peer->capacity);
            assert_non_null(peer->bytes);
        }
        ssize_t got =
            recv(peer->socket, peer->bytes + peer->length, peer->capacity - peer->length, 0);
        if (got <= 0) {
            peer->ended = peer->ended || got == 0 || (errno != EAGAIN && errno != EINTR);
            break;
        }
        peer->length += (size_t)got;
    }
    size_t used = 0;
    do {
        used = peer->upgraded ? peer_take_one(peer) : peer->answered ? 0 : peer_take_answer(peer);
        peer->length -= used;
        memmove(peer->bytes, peer->bytes + used, peer->length);
    } while (used > 0);
}

static void peer_end(struct peer *peer) {
    if (peer->socket >= 0)
        close(peer->socket);
    for (size_t i = 0; i < peer->count; i++)
        cJSON_Delete(peer->messages[i]);
    free(peer->bytes);
    free(peer);
}

/* ---- asking ---- */

static const char *word_of(const cJSON *message, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *message, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(message, name);
    return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

static bool is_op(const cJSON *message, const char *op) {
    return strcmp(word_of(message, "op"), op) == 0;
}

static size_t peer_count(const struct peer *peer, const char *op) {
    size_t count = 0;
    for (size_t i = 0; i < peer->count; i++)
        count += is_op(peer->messages[i], op);
    return count;
}

static const cJSON *peer_last(const struct peer *peer, const char *op) {
    for (size_t i = peer->count; i-- > 0;)
        if (is_op(peer->messages[i], op))
            return peer->messages[i];
    return NULL;
}

#endif
