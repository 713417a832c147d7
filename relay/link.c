#include "link.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capabilities.h"
#include "complain.h"
#include "service/say.h"

enum {
    SLOT_BYTES = 512,
    BLOCK_BYTES = 64 * 1024,
    FRAMES_LEAST = 256,   /* where there is no memory for LINK_FRAMES */
    FRAMES_A_TURN = 256,  /* then others in the loop have theirs */
    LONG_BYTES = 2048,    /* a frame that has no room in its slot */
    NOBODYS_TYPE = 0xffff /* an EtherType that is reserved */
};

struct link {
    struct link_listener listener;
    struct frame_address address;
    char interface[IFNAMSIZ];
    int socket;
    int news;  /* of interfaces: a netlink socket */
    int index; /* that the socket is bound to; 0: to none */
    bool is_up;
    bool was_told; /* that it is not up */
    bool waits;    /* for room to send */
    uint8_t *ring;
    size_t ring_bytes;
    unsigned slots;
    unsigned next;             /* slot that the kernel fills next, or has filled */
    uint8_t whole[LONG_BYTES]; /* the frame of that slot, where it is long */
    size_t whole_length;       /* 0: it was not taken out of the queue */
    unsigned handles;
    uv_poll_t frames_poll;
    uv_poll_t news_poll;
};

/* ---- the ring ---- */

static struct tpacket2_hdr *slot_of(const struct link *link, unsigned index) {
    return (struct tpacket2_hdr *)(void *)(link->ring + (size_t)index * SLOT_BYTES);
}

/* The word by which the kernel and this program hand a slot to each other. */
static _Atomic uint32_t *status_of(struct tpacket2_hdr *slot) {
    return (_Atomic uint32_t *)(void *)&slot->tp_status;
}

static int request_ring(struct link *link, unsigned frames) {
    struct tpacket_req ring = {.tp_block_size = BLOCK_BYTES,
                               .tp_block_nr = frames / (BLOCK_BYTES / SLOT_BYTES),
                               .tp_frame_size = SLOT_BYTES,
                               .tp_frame_nr = frames};
    if (setsockopt(link->socket, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0)
        return -errno;
    link->slots = frames;
    link->ring_bytes = (size_t)frames * SLOT_BYTES;
    return 0;
}

static int make_ring(struct link *link) {
    unsigned frames = LINK_FRAMES;
    int error = -ENOMEM;
    while (frames >= FRAMES_LEAST && (error = request_ring(link, frames)) == -ENOMEM)
        frames /= 2;
    if (error < 0)
        return error;
    void *ring = mmap(NULL, link->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, link->socket, 0);
    if (ring == MAP_FAILED)
        return -errno;
    link->ring = ring;
    return 0;
}

/* ---- opening ---- */

static int set_option(int socket, int option, int value) {
    return setsockopt(socket, SOL_PACKET, option, &value, sizeof value) < 0 ? -errno : 0;
}

/* Of protocol 0: nothing comes before it is bound to its EtherType and its interface. */
static int open_socket(struct link *link) {
    link->socket = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->socket < 0)
        return -errno;
    int error = set_option(link->socket, PACKET_VERSION, TPACKET_V2);
    if (error == 0) /* what does not fit into its slot is queued whole beside the ring */
        error = set_option(link->socket, PACKET_COPY_THRESH, 1);
    return error < 0 ? error : make_ring(link);
}

static int open_news(struct link *link) {
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    link->news = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (link->news < 0 || bind(link->news, (struct sockaddr *)&name, sizeof name) < 0)
        return -errno;
    return 0;
}

static int ask(const struct link *link, unsigned long what, struct ifreq *answer) {
    *answer = (struct ifreq){.ifr_ifindex = 0};
    memcpy(answer->ifr_name, link->interface, sizeof link->interface);
    return ioctl(link->socket, what, answer) < 0 ? -errno : 0;
}

static int check_kind(const struct link *link, struct omni_problem *problem) {
    struct ifreq answer;
    if (ask(link, SIOCGIFHWADDR, &answer) == 0 && answer.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        return complain(problem, -EINVAL,
                        "%s is no Ethernet interface; ip -br link shows which there are",
                        link->interface);
    return 0;
}

static void explain(const struct link *link, struct omni_problem *problem, int error) {
    if (error == -EPERM)
        capabilities_explain(problem, error);
    else
        complain_write(problem, "cannot open a socket for %s: %s", link->interface,
                       strerror(-error));
}

int link_open(struct link **link, const struct link_options *options,
              struct omni_problem *problem) {
    size_t length = strlen(options->interface);
    if (length == 0 || length >= IFNAMSIZ || strchr(options->interface, '/') != NULL)
        return complain(problem, -EINVAL, "\"%.40s\" cannot be the name of a network interface",
                        options->interface);
    struct link *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "out of memory");
    made->socket = made->news = -1;
    memcpy(made->interface, options->interface, length);
    made->address.ethertype = options->ethertype;
    memcpy(made->address.destination, options->destination, ETH_ALEN);
    int error = open_socket(made);
    if (error == 0)
        error = open_news(made);
    if (error < 0)
        explain(made, problem, error);
    else
        error = check_kind(made, problem);
    if (error < 0)
        link_close(made);
    else
        *link = made;
    return error;
}

/* ---- frames in ---- */

/* The kernel counts anew from each asking. */
static void count_lost(struct link *link) {
    struct tpacket_stats counts = {.tp_drops = 0};
    socklen_t length = sizeof counts;
    if (getsockopt(link->socket, SOL_PACKET, PACKET_STATISTICS, &counts, &length) == 0 &&
        counts.tp_drops > 0)
        link->listener.on_lost(link->listener.context, counts.tp_drops);
}

struct view {
    const uint8_t *bytes;
    size_t length;
};

/* An interface that went down would give its error in the frame's place, which then stayed there
 * for the
 * next one. */
static size_t receive_whole(struct link *link) {
    ssize_t length;
    do
        length = recv(link->socket, link->whole, LONG_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    while (length < 0 && errno == ENETDOWN);
    return length < 0 ? 0 : (size_t)length;
}

/* A long frame is as a whole in the socket's queue, if there was room. It is taken out once, however
 * often it is looked at until there is room for what it leads to. */
static struct view look_at(struct link *link, const struct tpacket2_hdr *slot) {
    struct view view = {(const uint8_t *)slot + slot->tp_mac, slot->tp_snaplen};
    if (slot->tp_len <= slot->tp_snaplen)
        return view;
    if (link->whole_length == 0 && (slot->tp_status & TP_STATUS_COPY) != 0)
        link->whole_length = receive_whole(link);
    if (link->whole_length == 0 || link->whole_length > LONG_BYTES)
        return view;
    return (struct view){link->whole, link->whole_length};
}

static bool is_for_others(const struct tpacket2_hdr *slot) {
    const struct sockaddr_ll *from =
        (const struct sockaddr_ll *)(const void *)((const uint8_t *)slot +
                                                   (size_t)TPACKET_ALIGN((int)sizeof *slot));
    return from->sll_pkttype == PACKET_OTHERHOST;
}

static int take(struct link *link, const struct tpacket2_hdr *slot) {
    struct frame_event event = {NULL, 0};
    struct view view = look_at(link, slot);
    enum frame_kind kind = frame_read(view.bytes, view.length, &link->address, &event);
    if (kind == FRAME_EVENT && is_for_others(slot))
        kind = FRAME_FOREIGN;
    return link->listener.on_frame(link->listener.context, kind, &event);
}

/* A slot is marked where frames were lost before it. Of those that were lost behind the last one there
 * is no mark; but then the ring was full, and to empty it is to go round. */
static void give_back(struct link *link, struct tpacket2_hdr *slot) {
    if ((slot->tp_status & TP_STATUS_LOSING) != 0 || link->next + 1 == link->slots)
        count_lost(link);
    *status_of(slot) = TP_STATUS_KERNEL;
    link->whole_length = 0;
    link->next = (link->next + 1) % link->slots;
}

static void take_frames(struct link *link) {
    for (unsigned i = 0; i < FRAMES_A_TURN && !link->waits; i++) {
        struct tpacket2_hdr *slot = slot_of(link, link->next);
        if ((*status_of(slot) & TP_STATUS_USER) == 0 || take(link, slot) == -EAGAIN)
            return;
        give_back(link, slot);
    }
}

static void on_frames(uv_poll_t *poll, int status, int events);

static int listen_to_frames(struct link *link) {
    return uv_poll_start(&link->frames_poll, link->waits ? UV_WRITABLE : UV_READABLE, on_frames);
}

/* An interface that goes down leaves its error in the socket; until it is taken out, every wait for
 * frames would end at once. */
static void on_frames(uv_poll_t *poll, int status, int events) {
    struct link *link = poll->data;
    bool has_waited = link->waits;
    if (status < 0) {
        int error = 0;
        (void)getsockopt(link->socket, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    }
    if (link->waits && (status < 0 || (events & UV_WRITABLE) != 0)) {
        link->waits = false;
        link->listener.on_room(link->listener.context);
    }
    if (!link->waits)
        take_frames(link);
    if (status < 0 || has_waited != link->waits) /* each time costs two calls */
        (void)listen_to_frames(link);
}

/* ---- frames out ---- */

int link_send(struct link *link, const char *payload) {
    uint8_t bytes[FRAME_BYTES_MAX];
    if (!link->is_up)
        return -ENETDOWN;
    size_t length = frame_build(bytes, &link->address, payload);
    if (send(link->socket, bytes, length, MSG_DONTWAIT) >= 0)
        return 0;
    int error = errno == ENXIO || errno == ENODEV ? -ENETDOWN : -errno; /* gone, before the news */
    if (error == -EAGAIN && !link->waits) {
        link->waits = true;
        (void)listen_to_frames(link);
    }
    return error;
}

/* ---- the interface ---- */

static int bind_to(struct link *link, int index, uint16_t ethertype) {
    struct sockaddr_ll name = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ethertype), .sll_ifindex = index};
    if (bind(link->socket, (struct sockaddr *)&name, sizeof name) < 0)
        return -errno;
    link->index = index;
    return 0;
}

/* One that was renamed is there still, and its frames would come in. From one that was deleted the
 * kernel has unbound the socket. */
static void leave(struct link *link) {
    if (link->index != 0)
        (void)bind_to(link, link->index, NOBODYS_TYPE);
    link->index = 0;
}

/* What keeps it from being used, and what to do: the advice, the interface's name, the rest of it. */
struct lack {
    const char *is;
    const char *advice;
    const char *rest; /* NULL: the advice is whole without the name */
};

static const struct lack missing = {"is not there", "ip -br link shows which there are", NULL};
static const struct lack foreign = {"is no Ethernet interface", "ip -br link shows which there are",
                                    NULL};
static const struct lack deaf = {"cannot be listened to", "ip -br link shows how it is", NULL};
static const struct lack down = {"is down", "sudo ip link set ", " up"};
static const struct lack loose = {"has no carrier", "the other core's side is down", NULL};

/* NULL where it can be used. */
static const struct lack *look_for(struct link *link) {
    struct ifreq answer;
    if (ask(link, SIOCGIFINDEX, &answer) < 0) {
        leave(link);
        return &missing;
    }
    int index = answer.ifr_ifindex;
    if (ask(link, SIOCGIFHWADDR, &answer) < 0 || answer.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        return &foreign;
    memcpy(link->address.source, answer.ifr_hwaddr.sa_data, ETH_ALEN);
    if (index != link->index && bind_to(link, index, link->address.ethertype) < 0)
        return &deaf;
    if (ask(link, SIOCGIFFLAGS, &answer) < 0 || (answer.ifr_flags & IFF_UP) == 0)
        return &down;
    return (answer.ifr_flags & IFF_RUNNING) != 0 ? NULL : &loose;
}

static void tell_lost(const struct link *link, const struct lack *lack) {
    say(SAY_WARNING, "Interface %s %s: events are lost until it is up (%s%s%s).", link->interface,
        lack->is, lack->advice, lack->rest != NULL ? link->interface : "",
        lack->rest != NULL ? lack->rest : "");
}

static void look(struct link *link) {
    const struct lack *lack = look_for(link);
    bool was_up = link->is_up;
    link->is_up = lack == NULL;
    if (link->is_up && link->was_told)
        say(SAY_INFO, "Interface %s is up: events go through.", link->interface);
    else if (!link->is_up && !link->was_told)
        tell_lost(link, lack);
    link->was_told = !link->is_up;
    if (was_up != link->is_up)
        link->listener.on_change(link->listener.context, link->is_up);
}

/* What they say does not matter, and some may be lost: the interface itself is looked at. */
static void on_news(uv_poll_t *poll, int status, int events) {
    struct link *link = poll->data;
    char message[8192];
    (void)status;
    (void)events;
    while (recv(link->news, message, sizeof message, MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
        continue;
    look(link);
    if (status < 0)
        (void)uv_poll_start(&link->news_poll, UV_READABLE, on_news);
}

/* ---- starting and closing ---- */

static int add_poll(struct link *link, uv_loop_t *loop, uv_poll_t *poll, int socket) {
    int error = uv_poll_init(loop, poll, socket);
    if (error < 0)
        return error;
    poll->data = link;
    link->handles++;
    return 0;
}

int link_start(struct link *link, uv_loop_t *loop, const struct link_listener *listener) {
    link->listener = *listener;
    int error = add_poll(link, loop, &link->frames_poll, link->socket);
    if (error == 0)
        error = add_poll(link, loop, &link->news_poll, link->news);
    if (error < 0)
        return error;
    look(link);
    error = listen_to_frames(link);
    return error < 0 ? error : uv_poll_start(&link->news_poll, UV_READABLE, on_news);
}

static void release(struct link *link) {
    if (link->ring != NULL)
        (void)munmap(link->ring, link->ring_bytes);
    if (link->socket >= 0)
        (void)close(link->socket);
    if (link->news >= 0)
        (void)close(link->news);
    free(link);
}

static void on_closed(uv_handle_t *handle) {
    struct link *link = handle->data;
    if (--link->handles == 0)
        release(link);
}

void link_close(struct link *link) {
    if (link == NULL)
        return;
    if (link->handles == 0) {
        release(link);
        return;
    }
    if (link->handles == 2)
        uv_close((uv_handle_t *)&link->news_poll, on_closed);
    uv_close((uv_handle_t *)&link->frames_poll, on_closed);
}
