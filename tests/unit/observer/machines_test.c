/* machines_test.c - a source that lies in the memory of a server for virtual machines, and its bell:
 * this test is the machine, publishes there, and rings as a publisher with a doorbell does */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <omni/publish.h>
#include <omni/segment.h>

#include "observer/bell.h"
#include "observer/machines.h"

#define THING(FIELD) FIELD(number, u64, count, "", 0, 1e9, "counts")
OMNI_STATUS(thing, THING)

#define PERIOD_NS 5000000u
enum { MEMORY_BYTES = 65536 };

struct place {
    char folder[64];
    char socket[96];
    const char *sockets[1];
    uv_loop_t loop;
    uv_timer_t alarm;
    struct machines *machines;
    struct sources *sources;
    struct omni_publisher *publisher;
    int machine; /* connection of the guest that this test plays */
    int bell;    /* by which it rings */
    uint32_t *word;
    bool is_late;
};

static void ignore(void *context, struct source *source) {
    (void)context;
    (void)source;
}
static void ignore_tick(void *context, struct source *source, uint64_t now_ns) {
    (void)now_ns;
    ignore(context, source);
}
static void ignore_event(void *context, struct source *source, const struct event *event) {
    (void)event;
    ignore(context, source);
}

/* ---- the machine ---- */

static void connect_machine(struct place *place) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, place->socket, strlen(place->socket) + 1);
    place->machine = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(place->machine, (struct sockaddr *)&address, sizeof address), 0);
    (void)uv_run(&place->loop, UV_RUN_NOWAIT);
    place->bell = -1;
    for (int message = 0; message < 4; message++) { /* the fourth has the observer's bell */
        int64_t number;
        struct iovec vector = {&number, sizeof number};
        union {
            struct cmsghdr head;
            unsigned char room[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr head = {.msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control.room};
        assert_int_equal(recvmsg(place->machine, &head, MSG_CMSG_CLOEXEC), sizeof number);
        if (place->bell >= 0)
            (void)close(place->bell);
        place->bell = -1;
        if (CMSG_FIRSTHDR(&head) != NULL)
            memcpy(&place->bell, CMSG_DATA(CMSG_FIRSTHDR(&head)), sizeof place->bell);
    }
    assert_true(place->bell >= 0);
}

static void open_publisher(struct place *place, const char *region) {
    struct omni_problem problem;
    const struct omni_publisher_options options = {.region = region, .period_ns = PERIOD_NS};
    if (omni_publisher_open(&place->publisher, "thing", thing_schema(), &options, &problem) < 0)
        fail_msg("%s", problem.text);
    int file = open(strchr(region, '/'), O_RDWR | O_CLOEXEC);
    unsigned char *bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    (void)close(file);
    place->word = (uint32_t *)(void *)(bytes + offsetof(struct omni_header, bell));
}

static bool is_asked(const struct place *place) {
    return *(volatile uint32_t *)place->word != 0;
}

static void ring(struct place *place) {
    assert_int_equal(eventfd_write(place->bell, 1), 0);
}

static void tick_silently(struct place *place) {
    const struct thing thing = {.count = omni_publisher_tick(place->publisher) + 1};
    omni_publish(place->publisher, &thing);
}

/* As a publisher with a doorbell does; returns whether it was asked to ring. */
static bool tick(struct place *place) {
    tick_silently(place);
    if (!is_asked(place))
        return false;
    *(volatile uint32_t *)place->word = 0;
    ring(place);
    return true;
}

/* ---- the observer ---- */

static void on_alarm(uv_timer_t *timer) {
    ((struct place *)timer->data)->is_late = true;
}

/* Turns the loop until the condition holds; gives up after ten seconds. */
#define run_until(place, condition)                                                                \
    do {                                                                                           \
        (place)->is_late = false;                                                                  \
        (void)uv_timer_start(&(place)->alarm, on_alarm, 10000, 0);                                 \
        while (!(condition) && !(place)->is_late)                                                  \
            (void)uv_run(&(place)->loop, UV_RUN_ONCE);                                             \
        (void)uv_timer_stop(&(place)->alarm);                                                      \
        if ((place)->is_late)                                                                      \
            fail_msg("never came true: %s", #condition);                                           \
    } while (0)

static void run_for(struct place *place, uint64_t milliseconds) {
    place->is_late = false;
    (void)uv_timer_start(&place->alarm, on_alarm, milliseconds, 0);
    while (!place->is_late)
        (void)uv_run(&place->loop, UV_RUN_ONCE);
}

static struct source *only(const struct place *place) {
    struct source *source = sources_at(place->sources, 0);
    assert_non_null(source);
    return source;
}

static void start(struct place *place, bool use_bells) {
    const struct machines_options how = {.sockets = place->sockets,
                                         .count = 1,
                                         .directory = place->folder,
                                         .bytes = MEMORY_BYTES,
                                         .use_bells = use_bells};
    struct omni_problem problem;
    assert_int_equal(machines_open(&place->machines, &place->loop, &how, &problem), 0);
    const struct sources_listener listener = {place,  ignore,      ignore,
                                              ignore, ignore_tick, ignore_event};
    struct sources_options options = {.directory = place->folder, .history_bytes = 65536};
    options.bells = machines_bells(place->machines, &options.bell_count);
    assert_int_equal(options.bell_count, 1);
    assert_int_equal(sources_open(&place->sources, &place->loop, &options, &listener), 0);
    machines_attach(place->machines, place->sources);
    connect_machine(place);
    open_publisher(place, options.bells[0]->address);
    tick_silently(place);
    run_until(place, sources_at(place->sources, 0) != NULL);
    sources_want(place->sources, only(place), 0);
}

static void prove_the_bell(struct place *place) {
    while (!only(place)->is_ringing) {
        run_until(place, is_asked(place));
        (void)tick(place);
        run_until(place, only(place)->stamp.tick == omni_publisher_tick(place->publisher));
    }
    run_until(place, is_asked(place));
}

static int set_up(void **state) {
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/dev/shm/machines-test-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->socket, sizeof place->socket, "%s/sock", place->folder);
    place->sockets[0] = place->socket;
    assert_int_equal(uv_loop_init(&place->loop), 0);
    assert_int_equal(uv_timer_init(&place->loop, &place->alarm), 0);
    place->alarm.data = place;
    *state = place;
    return 0;
}

static int tear_down(void **state) {
    struct place *place = *state;
    omni_publisher_close(place->publisher);
    machines_close(place->machines);
    sources_close(place->sources);
    uv_close((uv_handle_t *)&place->alarm, NULL);
    (void)uv_run(&place->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&place->loop), 0);
    if (place->word != NULL)
        (void)munmap((unsigned char *)place->word - offsetof(struct omni_header, bell), 4096);
    (void)close(place->machine);
    (void)close(place->bell);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

/* ---- tests ---- */

static void a_ring_is_a_look_and_nothing_else_is(void **state) {
    struct place *place = *state;
    start(place, true);
    prove_the_bell(place);
    const struct source *source = only(place);
    uint64_t looks = source->looks;
    uint64_t rings = source->rings;
    uint64_t start_ns = uv_hrtime();
    for (unsigned i = 0; i < 20; i++) {
        assert_true(tick(place));
        run_until(place, source->stamp.tick == omni_publisher_tick(place->publisher));
        run_until(place, is_asked(place));
    }
    run_for(place, 1200);
    /* But for those that check whether the publisher lives. */
    uint64_t checks = (uv_hrtime() - start_ns) / BELL_CHECK_NS + 1;
    assert_in_range(source->rings - rings, 20 - checks, 20);
    assert_in_range(source->looks - looks, 20 + 1, 20 + checks);
    assert_string_equal(source->reason, "silent");
    assert_true(source->is_ringing);
    assert_int_equal(source->lost, 0);
}

static void a_silent_bell_is_not_relied_on(void **state) {
    struct place *place = *state;
    start(place, true);
    const struct source *source = only(place);
    for (unsigned i = 0; i < 5; i++) {
        tick_silently(place);
        run_until(place, source->stamp.tick == omni_publisher_tick(place->publisher));
        assert_false(source->is_ringing);
    }
    prove_the_bell(place);
    tick_silently(place); /* it could ring, and does not */
    run_until(place, source->stamp.tick == omni_publisher_tick(place->publisher));
    assert_false(source->is_ringing);
    prove_the_bell(place);
    assert_int_equal(source->lost, 0);
}

static void it_is_asked_as_often_as_somebody_wants_to_know(void **state) {
    struct place *place = *state;
    start(place, true);
    prove_the_bell(place);
    sources_want(place->sources, only(place), UINT64_MAX); /* nobody does */
    assert_true(tick(place));                              /* it was asked already */
    run_until(place, only(place)->stamp.tick == omni_publisher_tick(place->publisher));
    run_for(place, 20);
    assert_false(tick(place));
    sources_want(place->sources, only(place), 0);
    run_until(place, only(place)->stamp.tick == omni_publisher_tick(place->publisher));
    prove_the_bell(place);
    assert_true(tick(place));
}

static void rings_for_nothing_cost_little(void **state) {
    struct place *place = *state;
    start(place, true);
    prove_the_bell(place);
    const struct source *source = only(place);
    uint64_t looks = source->looks;
    uint64_t start_ns = uv_hrtime();
    for (unsigned i = 0; i < 20000; i++) {
        ring(place);
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
    }
    uint64_t most = (uv_hrtime() - start_ns) / BELL_LEAST_NS + 2;
    assert_true(source->looks > looks);
    assert_in_range(source->looks - looks, 1, most);
    assert_in_range(most, 2, 15000); /* else this shows nothing */
}

static void who_is_not_to_be_asked_is_not(void **state) {
    struct place *place = *state;
    start(place, false);
    const struct source *source = only(place);
    for (unsigned i = 0; i < 20; i++) {
        tick_silently(place);
        run_until(place, source->stamp.tick == omni_publisher_tick(place->publisher));
        assert_false(is_asked(place));
        ring(place);
    }
    run_for(place, 50);
    assert_int_equal(source->rings, 0);
    assert_false(source->is_ringing);
}

static void the_machine_may_go_at_any_time(void **state) {
    struct place *place = *state;
    start(place, true);
    prove_the_bell(place);
    (void)close(place->machine);
    place->machine = -1;
    run_for(place, 50);
    tick_silently(place);
    run_until(place, only(place)->stamp.tick == omni_publisher_tick(place->publisher));
    omni_publisher_close(place->publisher);
    place->publisher = NULL;
    run_until(place, strcmp(only(place)->reason, "closed") == 0);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_ring_is_a_look_and_nothing_else_is),
        TEST(a_silent_bell_is_not_relied_on),
        TEST(it_is_asked_as_often_as_somebody_wants_to_know),
        TEST(rings_for_nothing_cost_little),
        TEST(who_is_not_to_be_asked_is_not),
        TEST(the_machine_may_go_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
