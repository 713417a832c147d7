/*
 * relay - how much later than by the bare kernel path does an event arrive?
 *
 * From closing a file to the frame on the far side, and from a frame to the text in the file,
 * through the
 * real omni-relay; in turns with a program that does nothing but read(inotify) + sendto, and
 * recvfrom + pwrite; and beside a loop that looks, and sleeps 100 ms. All on a pair of interfaces in a
 * network namespace of its own. This program plays the far side and looks without a pause.
 *
 *     relay BUILD
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parts/measure.h"
#include "parts/process.h"

enum { ROUNDS = 5, EVENTS = 1000, SLEEPERS_EVENTS = 24 };

#define NEAR         "rpmsg0"
#define FAR          "core1"
#define PAUSE_NS     (200 * MICROSECOND_NS) /* in which everybody falls asleep again */
#define PATIENCE_NS  (10 * SECOND_NS)
#define SLEEP_NS     (100 * MILLISECOND_NS)
#define BOUND        1.5
#define EVENT        "redun_notify_irq"
#define TRIGGER      "trigger"
#define STATE        "state"
#define PATH_BYTES   160
#define SEGMENT_NAME "omni.relay"

/* Who carries the event. Each has a directory and an EtherType of its own, so that nobody wakes
 * for another's. */
struct carrier {
    const char *folder;
    unsigned ethertype;
    int far;     /* socket of the far side */
    int trigger; /* the near side's files, open for looking and resetting: no event */
    int state;
    char path[PATH_BYTES]; /* of the trigger */
};

enum { RELAY, BARE, SLEEPER, CARRIERS };

static struct carrier carriers[CARRIERS] = {
    [RELAY] = {.folder = "relay", .ethertype = 0x8800},
    [BARE] = {.folder = "bare", .ethertype = 0x88b5},
    [SLEEPER] = {.folder = "sleeper", .ethertype = 0x88b6},
};

/* ---- the two sides ---- */

static void run_ip(const char *words) {
    char command[160];
    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin ip link %s", words);
    if (system(command) != 0) /* NOLINT: words of our own */
        measure_give_up("ip link %s failed", words);
}

static const char *make_network(void) {
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return strerror(errno);
    run_ip("add " NEAR " type veth peer name " FAR);
    run_ip("set " NEAR " up");
    run_ip("set " FAR " up");
    return NULL;
}

static int open_socket(const char *interface, unsigned ethertype) {
    int made = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons((uint16_t)ethertype));
    struct sockaddr_ll name = {.sll_family = AF_PACKET,
                               .sll_protocol = htons((uint16_t)ethertype),
                               .sll_ifindex = (int)if_nametoindex(interface)};
    if (made < 0 || bind(made, (struct sockaddr *)&name, sizeof name) < 0)
        measure_give_up("cannot open a raw socket: %s", strerror(errno));
    return made;
}

static size_t make_frame(uint8_t frame[64], int socket, unsigned ethertype) {
    struct sockaddr_ll name;
    socklen_t length = sizeof name;
    (void)getsockname(socket, (struct sockaddr *)&name, &length);
    memset(frame, 0xff, ETH_ALEN);
    memcpy(frame + ETH_ALEN, name.sll_addr, ETH_ALEN);
    frame[12] = (uint8_t)(ethertype >> 8);
    frame[13] = (uint8_t)ethertype;
    memcpy(frame + ETH_HLEN, EVENT, strlen(EVENT)); /* NOLINT: a frame, no string */
    return ETH_HLEN + strlen(EVENT);
}

static void path_of(char path[PATH_BYTES], const struct carrier *carrier, const char *name) {
    snprintf(path, PATH_BYTES, "%s/%s/%s", process_directory(), carrier->folder, name);
}

static int open_file(const struct carrier *carrier, const char *name) {
    char path[PATH_BYTES];
    path_of(path, carrier, name);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || pwrite(file, "0", 1, 0) != 1)
        measure_give_up("cannot write %s: %s", path, strerror(errno));
    return file;
}

static void open_carrier(struct carrier *carrier) {
    char folder[PATH_BYTES];
    path_of(folder, carrier, "");
    if (mkdir(folder, 0700) < 0)
        measure_give_up("cannot make %s: %s", folder, strerror(errno));
    carrier->trigger = open_file(carrier, TRIGGER);
    carrier->state = open_file(carrier, STATE);
    carrier->far = open_socket(FAR, carrier->ethertype);
    path_of(carrier->path, carrier, TRIGGER);
}

/* ---- the bare kernel path, and the sleeping loop ---- */

static int watch(const struct carrier *carrier, int flags) {
    int watcher = inotify_init1(flags | IN_CLOEXEC);
    if (watcher < 0 || inotify_add_watch(watcher, carrier->path, IN_CLOSE_WRITE) < 0)
        measure_give_up("cannot watch %s: %s", carrier->path, strerror(errno));
    return watcher;
}

static void carry_file(void *context) {
    const struct carrier *carrier = context;
    int near = open_socket(NEAR, carrier->ethertype);
    int watcher = watch(carrier, 0);
    uint8_t frame[64];
    size_t length = make_frame(frame, near, carrier->ethertype);
    char events[4096];
    while (read(watcher, events, sizeof events) > 0)
        (void)send(near, frame, length, 0);
}

static void carry_frame(void *context) {
    const struct carrier *carrier = context;
    int near = open_socket(NEAR, carrier->ethertype);
    char frame[2048];
    while (recv(near, frame, sizeof frame, 0) > 0)
        (void)!pwrite(carrier->state, "1", 1, 0);
}

/* Both ways, each looked at every 100 ms. */
static void carry_sleeping(void *context) {
    const struct carrier *carrier = context;
    int near = open_socket(NEAR, carrier->ethertype);
    int watcher = watch(carrier, IN_NONBLOCK);
    uint8_t out[64];
    size_t length = make_frame(out, near, carrier->ethertype);
    char in[4096];
    for (;;) {
        if (read(watcher, in, sizeof in) > 0)
            (void)send(near, out, length, 0);
        if (recv(near, in, sizeof in, MSG_DONTWAIT) > 0)
            (void)!pwrite(carrier->state, "1", 1, 0);
        measure_sleep_until(measure_now() + SLEEP_NS);
    }
}

/* ---- the relay ---- */

static pid_t start_relay(const char *build) {
    char config[PATH_BYTES];
    char program[512];
    snprintf(config, sizeof config, "%s/relay.json", process_directory());
    snprintf(program, sizeof program, "%s/omni-relay", build);
    FILE *file = fopen(config, "we");
    if (file == NULL)
        measure_give_up("cannot write %s: %s", config, strerror(errno));
    fprintf(file,
            "{\"directory\": \"%s/relay\", \"routes\": ["
            "{\"when\": {\"file\": \"" TRIGGER "\"}, \"then\": {\"frame\": \"" EVENT "\"}},"
            "{\"when\": {\"frame\": \"" EVENT "\"}, \"then\": "
            "{\"file\": \"" STATE "\", \"text\": \"1\"}}]}",
            process_directory());
    fclose(file);
    const char *const words[] = {program,       "--interface",       NEAR, "--config", config,
                                 "--directory", process_directory(), NULL};
    return process_start(CORE_OBSERVER, words, NULL);
}

/* ---- one event ---- */

static void give_up_late(const struct carrier *carrier, uint64_t start) {
    if (measure_now() - start > PATIENCE_NS)
        measure_give_up("%s: an event did not arrive", carrier->folder);
}

static uint64_t time_file(struct carrier *carrier) {
    char frame[2048];
    int file = open(carrier->path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "1", 1) != 1)
        measure_give_up("cannot write %s: %s", carrier->path, strerror(errno));
    uint64_t start = measure_now();
    close(file);
    while (recv(carrier->far, frame, sizeof frame, MSG_DONTWAIT) < 0)
        give_up_late(carrier, start);
    return measure_now() - start;
}

static uint64_t time_frame(struct carrier *carrier) {
    uint8_t frame[64];
    char held = '0';
    size_t length = make_frame(frame, carrier->far, carrier->ethertype);
    (void)!pwrite(carrier->state, "0", 1, 0);
    uint64_t start = measure_now();
    (void)send(carrier->far, frame, length, 0);
    while (pread(carrier->state, &held, 1, 0) != 1 || held != '1')
        give_up_late(carrier, start);
    return measure_now() - start;
}

/* ---- rows ---- */

struct way {
    const char *claim;
    uint64_t (*time_event)(struct carrier *carrier);
    void (*carry)(void *context); /* the bare path */
};

struct figures {
    double value[CARRIERS][ROUNDS];
    double ratio[ROUNDS];
};

static void note(struct figures *figures, size_t round, struct samples *const samples[],
                 double share) {
    for (size_t who = RELAY; who <= BARE; who++)
        figures->value[who][round] = (double)samples_percentile(samples[who], share);
    figures->ratio[round] = figures->value[RELAY][round] / figures->value[BARE][round];
}

/* Who goes first changes: what disturbs the machine disturbs both. */
static void run_round(const struct way *way, size_t round, struct figures *half,
                      struct figures *most) {
    struct samples *samples[CARRIERS] = {
        [RELAY] = samples_open(EVENTS), [BARE] = samples_open(EVENTS)};
    for (size_t i = 0; i < (size_t)EVENTS * 2; i++) {
        size_t who = (i + i / 2) % 2 == 0 ? RELAY : BARE;
        measure_sleep_until(measure_now() + PAUSE_NS);
        samples_add(samples[who], way->time_event(&carriers[who]));
    }
    note(half, round, samples, 0.5);
    note(most, round, samples, 0.99);
    samples_close(samples[RELAY]);
    samples_close(samples[BARE]);
}

/* At no phase of its sleep rather than at another. */
static void time_sleeper(const struct way *way, double *half_ms, double *most_ms) {
    struct samples *samples = samples_open(SLEEPERS_EVENTS);
    for (size_t i = 0; i < SLEEPERS_EVENTS; i++) {
        uint64_t phase_ns = SLEEP_NS * ((i * 7) % SLEEPERS_EVENTS) / SLEEPERS_EVENTS;
        measure_sleep_until(measure_now() + phase_ns);
        samples_add(samples, way->time_event(&carriers[SLEEPER]));
    }
    *half_ms = (double)samples_percentile(samples, 0.5) / (double)MILLISECOND_NS;
    *most_ms = (double)samples_percentile(samples, 1.0) / (double)MILLISECOND_NS;
    samples_close(samples);
}

static void say_row(const char *claim, const char *share, struct figures *figures,
                    double sleeper_ms) {
    char whole[120];
    snprintf(whole, sizeof whole, "%s, %s", claim, share);
    struct row row = {.claim = whole, .bound = "1.5 × bare"};
    double ratio = median_of(figures->ratio, ROUNDS);
    row_measured(&row, "%.1f µs, %.2f × bare",
                 median_of(figures->value[RELAY], ROUNDS) / (double)MICROSECOND_NS, ratio);
    row_beside(&row, "bare %.1f µs; a loop that sleeps 100 ms: %.1f ms",
               median_of(figures->value[BARE], ROUNDS) / (double)MICROSECOND_NS, sleeper_ms);
    row_met(&row, ratio <= BOUND);
    row_print(&row);
}

static void measure_way(const struct way *way) {
    struct figures half;
    struct figures most;
    double sleeper_half;
    double sleeper_most;
    pid_t bare = process_fork(CORE_OBSERVER, way->carry, &carriers[BARE]);
    measure_sleep_until(measure_now() + SECOND_NS / 2);
    for (size_t round = 0; round < ROUNDS; round++)
        run_round(way, round, &half, &most);
    process_end(bare);
    pid_t sleeper = process_fork(CORE_OBSERVER, carry_sleeping, &carriers[SLEEPER]);
    measure_sleep_until(measure_now() + SECOND_NS / 2);
    time_sleeper(way, &sleeper_half, &sleeper_most);
    process_end(sleeper);
    say_row(way->claim, "p50", &half, sleeper_half);
    say_row(way->claim, "p99", &most, sleeper_most);
}

static void say_not_here(const char *claim, const char *why) {
    struct row row = {.claim = claim, .bound = "1.5 × bare"};
    row_measured(&row, "not here");
    row_beside(&row, "no network namespace: %s", why);
    row_print(&row);
}

static void await_relay(void) {
    char path[PATH_BYTES];
    struct stat status;
    uint64_t start = measure_now();
    snprintf(path, sizeof path, "%s/" SEGMENT_NAME, process_directory());
    while (stat(path, &status) < 0) {
        if (measure_now() - start > PATIENCE_NS)
            measure_give_up("omni-relay does not start (BENCH_VERBOSE=1 shows why)");
        measure_sleep_until(measure_now() + MILLISECOND_NS);
    }
}

int main(int count, char **arguments) {
    static const struct way ways[] = {
        {"relay: file closed → frame on the far side", time_file, carry_file},
        {"relay: frame → text in the file", time_frame, carry_frame},
    };
    if (count != 2)
        measure_give_up("usage: relay BUILD");
    process_directory();
    const char *lack = make_network();
    for (size_t i = 0; lack != NULL && i < sizeof ways / sizeof ways[0]; i++)
        say_not_here(ways[i].claim, lack);
    if (lack != NULL)
        return 0;
    measure_pin(CORE_ROBOT);
    for (size_t i = 0; i < CARRIERS; i++)
        open_carrier(&carriers[i]);
    pid_t relay = start_relay(arguments[1]);
    await_relay();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        measure_way(&ways[i]);
    process_end(relay);
    return 0;
}
