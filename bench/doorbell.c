/* doorbell.c - the host's side of bench/vm.mjs: a server for virtual machines, and one reader of what a guest publishes,
 * which answers each tick with its number in the last cache line of the memory
 *
 *     doorbell FOLDER      socket FOLDER/sock; commands on standard input, one line each:
 *       bell               sleep until the guest rings
 *       poll               look every millisecond, on a fixed grid, and never ask for a ring, as if there were no bell
 *       end                prints "LOOKS TICKS CPU-MICROSECONDS" since the last command, and rests
 *
 * Says "ready" when machines may connect, and the segment's address. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include <omni/observe.h>
#include <omni/segment.h>

#include "observer/ivshmem.h"

#define POLL_NS      1000000
#define MEMORY_BYTES ((size_t)1 << 20)
#define ANSWER_READY UINT32_MAX

enum mode { MODE_REST, MODE_BELL, MODE_POLL };

struct bench {
    uv_loop_t loop;
    uv_poll_t input;
    uv_poll_t poll;
    int timer;
    enum mode mode;
    struct ivshmem *server;
    struct omni_observer *reader;
    volatile uint32_t *answer; /* what a guest that measures spins on */
    char address[600];
    uint64_t looks;
    uint64_t ticks;
    uint64_t used_us; /* of the processor, when the command came */
};

static uint64_t used_us(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void attach(struct bench *bench) {
    const struct omni_observer_options options = {.writable_bell = true};
    if (bench->reader != NULL && omni_observer_is_replaced(bench->reader)) {
        omni_observer_detach(bench->reader);
        bench->reader = NULL;
    }
    if (bench->reader == NULL)
        (void)omni_observer_attach(&bench->reader, bench->address, &options, NULL);
}

static void drain(struct bench *bench) {
    unsigned char payload[4096];
    struct omni_stamp stamp;
    while (omni_observer_next(bench->reader, &stamp, payload) == 0) {
        *bench->answer = (uint32_t)stamp.tick;
        bench->ticks++;
    }
}

/* Reads all that is new; who waits for a ring asks for the next one, as the observer does. */
static void look(struct bench *bench) {
    bench->looks++;
    if (bench->reader == NULL)
        return;
    do
        drain(bench);
    while (bench->mode == MODE_BELL &&
           omni_observer_ask_bell(bench->reader, IVSHMEM_OWN_PEER, IVSHMEM_OWN_VECTOR) == -EAGAIN);
}

static void on_rung(void *context) {
    struct bench *bench = context;
    if (bench->mode != MODE_BELL)
        return;
    ivshmem_listen(bench->server);
    look(bench);
}

static void on_timer(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct bench *bench = poll->data;
    uint64_t expirations;
    if (read(bench->timer, &expirations, sizeof expirations) > 0)
        look(bench);
}

static void set_timer(const struct bench *bench, long interval_ns) {
    const struct itimerspec every = {{0, interval_ns}, {0, interval_ns}};
    (void)timerfd_settime(bench->timer, 0, &every, NULL);
}

static void begin(struct bench *bench, enum mode mode) {
    attach(bench);
    bench->mode = mode;
    bench->looks = bench->ticks = 0;
    bench->used_us = used_us();
    set_timer(bench, mode == MODE_POLL ? POLL_NS : 0);
    if (mode == MODE_BELL)
        ivshmem_listen(bench->server);
    *bench->answer = ANSWER_READY;
    look(bench);
}

/* The server has mapped nothing: it only hands the file on. */
static int map_answer(struct bench *bench) {
    int file = open(ivshmem_memory(bench->server), O_RDWR | O_CLOEXEC);
    if (file < 0)
        return -errno;
    unsigned char *bytes = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    if (bytes == MAP_FAILED)
        return -errno;
    bench->answer = (void *)(bytes + MEMORY_BYTES - OMNI_CACHE_LINE_BYTES);
    return 0;
}

static void end(struct bench *bench) {
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", bench->looks, bench->ticks,
           used_us() - bench->used_us);
    (void)fflush(stdout);
    bench->mode = MODE_REST;
    set_timer(bench, 0);
}

static void on_input(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct bench *bench = poll->data;
    char line[16] = "";
    if (read(STDIN_FILENO, line, sizeof line - 1) <= 0)
        uv_stop(&bench->loop);
    else if (strncmp(line, "bell", 4) == 0)
        begin(bench, MODE_BELL);
    else if (strncmp(line, "poll", 4) == 0)
        begin(bench, MODE_POLL);
    else
        end(bench);
}

int main(int count, char **words) {
    struct bench bench = {.mode = MODE_REST};
    struct omni_problem problem;
    char socket[108];
    if (count != 2)
        return 2;
    (void)snprintf(socket, sizeof socket, "%s/sock", words[1]);
    const struct ivshmem_options how = {.socket = socket,
                                        .directory = words[1],
                                        .bytes = MEMORY_BYTES,
                                        .rung = on_rung,
                                        .context = &bench};
    (void)uv_loop_init(&bench.loop);
    if (ivshmem_open(&bench.server, &bench.loop, &how, &problem) < 0) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    if (map_answer(&bench) < 0) {
        perror(ivshmem_memory(bench.server));
        return 1;
    }
    (void)snprintf(bench.address, sizeof bench.address, "file:%s", ivshmem_memory(bench.server));
    bench.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bench.poll.data = bench.input.data = &bench;
    (void)uv_poll_init(&bench.loop, &bench.poll, bench.timer);
    (void)uv_poll_init(&bench.loop, &bench.input, STDIN_FILENO);
    (void)uv_poll_start(&bench.poll, UV_READABLE, on_timer);
    (void)uv_poll_start(&bench.input, UV_READABLE, on_input);
    printf("ready %s\n", bench.address);
    (void)fflush(stdout);
    (void)uv_run(&bench.loop, UV_RUN_DEFAULT);
    omni_observer_detach(bench.reader);
    ivshmem_close(bench.server);
    return 0;
}
