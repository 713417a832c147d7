#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"

enum {
    HEAD_BYTES = 256,      /* of a message are kept: its `monotonic` is among them */
    FRAME_HEAD_BYTES = 10, /* at most: a server does not mask */
    AT_A_TIME = 100,       /* connections that shake hands at once */
    EVENTS_AT_A_TIME = 256,
    READ_BYTES = 65536,
    SILENT_RECEIVE_BYTES = 4096, /* who never reads takes little into the kernel either */
    OPEN_SECONDS = 60
};

enum opcode { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

enum phase { PHASE_HANDSHAKE, PHASE_FRAME_HEAD, PHASE_PAYLOAD };

struct client {
    int socket; /* -1: closed */
    enum phase phase;
    bool silent;
    unsigned char frame_head[FRAME_HEAD_BYTES];
    unsigned frame_head_length;
    uint64_t payload_length;
    uint64_t payload_read;
    uint64_t messages;
    char head[HEAD_BYTES]; /* of the payload; of the answer while shaking hands */
};

struct crowd {
    struct crowd_options options;
    struct client *clients;
    struct samples *latencies;
    uint64_t bytes;
    unsigned opened; /* have shaken hands */
    unsigned lost;
    int epoll;
    uint64_t awake_until_ns;
    char buffer[READ_BYTES];
};

/* ---- sending ---- */

/* Masked, as a client must, with zeros: the payload is the same. At most 65,535 bytes. */
static void send_frame(struct client *client, enum opcode opcode, const char *payload,
                       size_t length) {
    unsigned char frame[512] = {(unsigned char)(0x80 | opcode)};
    size_t head = 2;
    if (length < 126) {
        frame[1] = (unsigned char)(0x80 | length);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        head = 4;
    }
    head += 4;
    if (head + length > sizeof frame)
        measure_give_up("the load client cannot send %zu bytes", length);
    memcpy(frame + head, payload, length);
    (void)send(client->socket, frame, head + length, MSG_NOSIGNAL);
}

static void ask_for_upgrade(const struct crowd *crowd, struct client *client) {
    char request[320];
    int length = snprintf(request, sizeof request,
                          "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Protocol: omniscient.v1\r\n"
                          "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n",
                          crowd->options.port);
    if (send(client->socket, request, (size_t)length, MSG_NOSIGNAL) != length)
        measure_give_up("the server closed a connection at once");
}

/* ---- what comes ---- */

static void lose(struct crowd *crowd, struct client *client) {
    close(client->socket);
    client->socket = -1;
    crowd->lost++;
}

static void take_status(struct crowd *crowd, struct client *client) {
    static const char key[] = "\"monotonic\":";
    client->messages++;
    crowd->bytes += client->payload_length;
    if (crowd->latencies == NULL)
        return;
    uint64_t now_ns = measure_now();
    const char *at = memmem(client->head, sizeof client->head, key, sizeof key - 1);
    if (at == NULL)
        return;
    uint64_t then_ns = strtoull(at + sizeof key - 1, NULL, 10) * MICROSECOND_NS;
    samples_add(crowd->latencies, now_ns > then_ns ? now_ns - then_ns : 0);
}

static void take_message(struct crowd *crowd, struct client *client) {
    static const char status[] = "{\"op\":\"status\"";
    unsigned opcode = client->frame_head[0] & 0x0F;
    if (opcode == OPCODE_PING)
        send_frame(client, OPCODE_PONG, client->head, (size_t)client->payload_length);
    if (opcode == OPCODE_TEXT && memcmp(client->head, status, sizeof status - 1) == 0)
        take_status(crowd, client);
}

static unsigned frame_head_bytes(const struct client *client) {
    unsigned length = client->frame_head_length < 2 ? 0 : client->frame_head[1] & 0x7F;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

static void begin_payload(struct client *client) {
    unsigned head = frame_head_bytes(client);
    client->payload_length = head == 2 ? client->frame_head[1] & 0x7F : 0;
    for (unsigned i = 2; i < head; i++)
        client->payload_length = client->payload_length << 8 | client->frame_head[i];
    client->payload_read = 0;
    client->phase = PHASE_PAYLOAD;
}

/* Each takes some of the bytes, says how many, and may go to another phase. */

static size_t read_handshake(struct crowd *crowd, struct client *client, const char *bytes,
                             size_t length) {
    size_t space = sizeof client->head - client->payload_read;
    size_t taken = length < space ? length : space;
    memcpy(client->head + client->payload_read, bytes, taken);
    size_t known = (size_t)client->payload_read + taken;
    const char *end = memmem(client->head, known, "\r\n\r\n", 4);
    if (end == NULL && taken < length)
        measure_give_up("the server's answer to the upgrade is too long: %.*s", (int)known,
                        client->head);
    if (end == NULL) {
        client->payload_read = known;
        return taken;
    }
    if (memcmp(client->head, "HTTP/1.1 101 ", 13) != 0)
        measure_give_up("the server refused the upgrade: %.*s", (int)known, client->head);
    taken = (size_t)(end + 4 - client->head) - (size_t)client->payload_read;
    client->phase = PHASE_FRAME_HEAD;
    client->frame_head_length = 0;
    crowd->opened++;
    if (crowd->options.subscribe != NULL)
        send_frame(client, OPCODE_TEXT, crowd->options.subscribe, strlen(crowd->options.subscribe));
    return taken;
}

static size_t read_frame_head(struct client *client, const char *bytes, size_t length) {
    size_t taken = 0;
    while (taken < length && client->frame_head_length < frame_head_bytes(client))
        client->frame_head[client->frame_head_length++] = (unsigned char)bytes[taken++];
    if (client->frame_head_length >= 2 && client->frame_head_length == frame_head_bytes(client))
        begin_payload(client);
    return taken;
}

static size_t read_payload(struct crowd *crowd, struct client *client, const char *bytes,
                           size_t length) {
    uint64_t left = client->payload_length - client->payload_read;
    size_t taken = length < left ? length : (size_t)left;
    if (client->payload_read < sizeof client->head) {
        size_t space = sizeof client->head - (size_t)client->payload_read;
        memcpy(client->head + client->payload_read, bytes, taken < space ? taken : space);
    }
    client->payload_read += taken;
    if (client->payload_read == client->payload_length) {
        take_message(crowd, client);
        client->phase = PHASE_FRAME_HEAD;
        client->frame_head_length = 0;
    }
    return taken;
}

static void digest(struct crowd *crowd, struct client *client, const char *bytes, size_t length) {
    /* A frame without payload needs a step without bytes. */
    while (length > 0 ||
           (client->phase == PHASE_PAYLOAD && client->payload_length == client->payload_read)) {
        size_t taken = 0;
        switch (client->phase) {
        case PHASE_HANDSHAKE:
            taken = read_handshake(crowd, client, bytes, length);
            break;
        case PHASE_FRAME_HEAD:
            taken = read_frame_head(client, bytes, length);
            break;
        case PHASE_PAYLOAD:
            taken = read_payload(crowd, client, bytes, length);
            break;
        }
        bytes += taken;
        length -= taken;
    }
}

static void read_client(struct crowd *crowd, struct client *client) {
    ssize_t got = recv(client->socket, crowd->buffer, sizeof crowd->buffer, MSG_DONTWAIT);
    if (got > 0)
        digest(crowd, client, crowd->buffer, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        lose(crowd, client);
    /* From now on it only fills up. */
    if (client->silent && client->phase != PHASE_HANDSHAKE && client->socket >= 0)
        epoll_ctl(crowd->epoll, EPOLL_CTL_DEL, client->socket, NULL);
}

static void wait_and_read(struct crowd *crowd, int timeout_ms) {
    struct epoll_event events[EVENTS_AT_A_TIME];
    bool is_awake = crowd->options.lingers && measure_now() < crowd->awake_until_ns;
    int count = epoll_wait(crowd->epoll, events, EVENTS_AT_A_TIME, is_awake ? 0 : timeout_ms);
    if (count > 0 && crowd->options.lingers)
        crowd->awake_until_ns = measure_now() + MILLISECOND_NS;
    for (int i = 0; i < count; i++)
        read_client(crowd, events[i].data.ptr);
}

/* ---- opening ---- */

static void open_client(struct crowd *crowd, unsigned index) {
    struct client *client = &crowd->clients[index];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(crowd->options.port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int little = SILENT_RECEIVE_BYTES;
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
    client->silent = index % 2 == 0 && index / 2 < crowd->options.silent;
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0)
        measure_give_up("no socket for client %u: %s", index, strerror(errno));
    if (client->silent)
        setsockopt(client->socket, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    if (connect(client->socket, (struct sockaddr *)&address, sizeof address) < 0)
        measure_give_up("client %u cannot connect to port %u: %s", index, crowd->options.port,
                        strerror(errno));
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->socket, &event) < 0)
        measure_give_up("epoll takes no client %u: %s", index, strerror(errno));
    ask_for_upgrade(crowd, client);
}

struct crowd *crowd_open(const struct crowd_options *options) {
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL || (crowd->clients = calloc(options->clients, sizeof(struct client))) == NULL)
        measure_give_up("no memory for %u clients", options->clients);
    crowd->options = *options;
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    process_open_files_max();
    uint64_t deadline_ns = measure_now() + OPEN_SECONDS * SECOND_NS;
    for (unsigned begun = 0; crowd->opened < options->clients;) {
        while (begun < options->clients && begun - crowd->opened < AT_A_TIME)
            open_client(crowd, begun++);
        wait_and_read(crowd, 100);
        if (measure_now() > deadline_ns || crowd->lost > 0)
            measure_give_up("only %u of %u clients could connect, %u were closed", crowd->opened,
                            options->clients, crowd->lost);
    }
    return crowd;
}

void crowd_close(struct crowd *crowd) {
    if (crowd == NULL)
        return;
    for (unsigned i = 0; i < crowd->options.clients; i++)
        if (crowd->clients[i].socket >= 0)
            close(crowd->clients[i].socket);
    close(crowd->epoll);
    free(crowd->clients);
    free(crowd);
}

/* ---- running ---- */

void crowd_run(struct crowd *crowd, uint64_t duration_ns, struct samples *latencies) {
    uint64_t end_ns = measure_now() + duration_ns;
    crowd->latencies = latencies;
    for (uint64_t now_ns = measure_now(); now_ns < end_ns; now_ns = measure_now())
        wait_and_read(crowd, (int)((end_ns - now_ns) / MILLISECOND_NS) + 1);
    crowd->latencies = NULL;
}

bool crowd_await(struct crowd *crowd, uint64_t patience_ns) {
    uint64_t before = crowd_messages(crowd);
    uint64_t end_ns = measure_now() + patience_ns;
    for (uint64_t now_ns = measure_now(); now_ns < end_ns && crowd_messages(crowd) == before;
         now_ns = measure_now())
        wait_and_read(crowd, (int)((end_ns - now_ns) / MILLISECOND_NS) + 1);
    return crowd_messages(crowd) != before;
}

void crowd_forget(struct crowd *crowd) {
    crowd->bytes = 0;
    for (unsigned i = 0; i < crowd->options.clients; i++)
        crowd->clients[i].messages = 0;
}

uint64_t crowd_messages(const struct crowd *crowd) {
    uint64_t messages = 0;
    for (unsigned i = 0; i < crowd->options.clients; i++)
        messages += crowd->clients[i].messages;
    return messages;
}

uint64_t crowd_bytes(const struct crowd *crowd) {
    return crowd->bytes;
}

uint64_t crowd_messages_of(const struct crowd *crowd, unsigned index) {
    const struct client *client = &crowd->clients[index];
    return client->silent ? UINT64_MAX : client->messages;
}

unsigned crowd_lost(const struct crowd *crowd) {
    return crowd->lost;
}
