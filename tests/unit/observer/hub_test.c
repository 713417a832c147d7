#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <uv.h>

#include "fake_sources.h"
#include "observer/hub.h"
#include "websocket_client.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

enum { PEERS_MAX = 8, EVENTS_KEPT = 1024 };

struct scene {
    uv_loop_t loop;
    struct access access;
    struct hub *hub;
    struct speaker *speaker; /* of the tests that want one */
    struct sources sources;
    struct peer *peers[PEERS_MAX];
    int near[PEERS_MAX];  /* the hub's sockets */
    bool deaf[PEERS_MAX]; /* does not read */
    size_t count;
};

static const struct hub_options usual = {.clients_max = 4,
                                         .message_bytes_max = 4096,
                                         .backlog_bytes_max = 65536,
                                         .blocked_seconds = 60,
                                         .handshake_seconds = 10,
                                         .ping_seconds = 60};

static struct scene *scene_open(const struct hub_options *options) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    strcpy(scene->access.cookie_name, "omniscient-8080");
    assert_int_equal(hub_open(&scene->hub, &scene->loop, options, &scene->access), 0);
    scene->sources.listener = hub_listener(scene->hub);
    hub_attach(scene->hub, &scene->sources);
    return scene;
}

static void scene_close(struct scene *scene) {
    speaker_close(scene->speaker);
    hub_close(scene->hub);
    assert_int_equal(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    for (size_t i = 0; i < scene->count; i++)
        peer_end(scene->peers[i]);
    for (size_t i = 0; i < scene->sources.count; i++)
        fake_free(scene->sources.fakes[i]);
    free(scene);
}

/* One turn of everything. */
static void turn(struct scene *scene) {
    uv_run(&scene->loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < scene->count; i++)
        if (!scene->deaf[i])
            peer_read(scene->peers[i]);
}

/* Turns until the condition holds; the bound is generous, nothing depends on it. */
#define WAIT_FOR(scene, condition)                                                                 \
    do {                                                                                           \
        uint64_t until_ = uv_hrtime() + 20 * SECOND;                                               \
        while (!(condition)) {                                                                     \
            turn(scene);                                                                           \
            if (uv_hrtime() > until_)                                                              \
                fail_msg("never happened: %s", #condition);                                        \
            usleep(200);                                                                           \
        }                                                                                          \
    } while (0)

static void turns(struct scene *scene, unsigned count) {
    while (count-- > 0) {
        turn(scene);
        usleep(200);
    }
}

static struct peer *knock(struct scene *scene, const char *more) {
    char request[2048];
    struct peer *peer = calloc(1, sizeof *peer);
    int near = -1;
    assert_non_null(peer);
    socket_pair(&near, &peer->socket);
    snprintf(request, sizeof request, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n%s\r\n", more);
    peer_raw(peer, request, strlen(request));
    hub_adopt(scene->hub, near);
    assert_true(scene->count < PEERS_MAX);
    scene->near[scene->count] = near;
    scene->peers[scene->count++] = peer;
    return peer;
}

#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* A client that has its hello. */
static struct peer *join(struct scene *scene) {
    struct peer *peer = knock(scene, UPGRADE);
    WAIT_FOR(scene, peer->count > 0);
    assert_non_null(strstr(peer->answer, "HTTP/1.1 101 "));
    assert_non_null(strstr(peer->answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_true(is_op(peer->messages[0], "hello"));
    return peer;
}

static void settle(struct scene *scene, struct peer *peer) {
    size_t pongs = peer_count(peer, "pong");
    peer_say(peer, "{\"op\":\"ping\"}");
    WAIT_FOR(scene, peer_count(peer, "pong") > pongs);
}

/* One that gets every status of "robot". */
static struct peer *join_eager(struct scene *scene) {
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"rate\":1000}");
    settle(scene, peer);
    return peer;
}

static struct fake *add(struct scene *scene, const char *name) {
    struct fake *fake = fake_make(name, 0, EVENTS_KEPT);
    fake_come(&scene->sources, fake);
    return fake;
}

/* Ticks, each far enough from the one before to be due at 1000 a second. */
static void tick(struct scene *scene, struct fake *fake, unsigned count) {
    while (count-- > 0) {
        usleep(1000);
        fake_tick(&scene->sources, fake);
        turn(scene);
    }
}

/* ---- hello and the default ---- */

static void test_default_is_first_source(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *second = add(scene, "beta");
    struct fake *first = add(scene, "alpha");
    scene->sources.refused = "odd";
    fake_tick(&scene->sources, first);
    struct peer *peer = join(scene);
    const cJSON *hello = peer->messages[0];
    const cJSON *list = cJSON_GetObjectItem(hello, "sources");
    assert_string_equal(word_of(hello, "protocol"), "omniscient.v1");
    assert_string_equal(word_of(hello, "version"), OMNI_VERSION);
    assert_true(number_of(hello, "time") > 1.6e15);
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_string_equal(word_of(cJSON_GetArrayItem(list, 0), "name"), "alpha");
    assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "schema"));
    const cJSON *refused = cJSON_GetArrayItem(cJSON_GetObjectItem(hello, "refused"), 0);
    assert_string_equal(word_of(refused, "name"), "odd");
    /* The status that is there comes at once, then one for each tick; none of the second source. */
    WAIT_FOR(scene, peer_count(peer, "status") == 1);
    assert_int_equal(number_of(peer_last(peer, "status"), "tick"), 1);
    usleep(20000);
    fake_tick(&scene->sources, first);
    fake_tick(&scene->sources, second);
    WAIT_FOR(scene, peer_count(peer, "status") == 2);
    assert_int_equal(number_of(peer_last(peer, "status"), "tick"), 2);
    assert_string_equal(word_of(peer_last(peer, "status"), "source"), "alpha");
    assert_int_equal(first->wanted_ns, SECOND / 60);
    assert_true(second->wanted_ns == UINT64_MAX);
    scene_close(scene);
}

static void test_default_waits_for_a_source(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct peer *peer = join(scene);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(peer->messages[0], "sources")), 0);
    struct fake *fake = add(scene, "late");
    fake_tick(&scene->sources, fake);
    WAIT_FOR(scene, peer_count(peer, "status") == 1);
    assert_true(is_op(peer->messages[1], "source"));
    assert_string_equal(word_of(peer->messages[1], "change"), "came");
    /* It goes: the default moves on to whoever comes next. */
    fake_go(&scene->sources, fake);
    WAIT_FOR(scene, strcmp(word_of(peer_last(peer, "source"), "change"), "went") == 0);
    fake_tick(&scene->sources, add(scene, "other"));
    WAIT_FOR(scene, peer_count(peer, "status") == 2);
    assert_string_equal(word_of(peer_last(peer, "status"), "source"), "other");
    scene_close(scene);
}

static void test_first_subscribe_ends_the_default(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *alpha = add(scene, "alpha");
    struct fake *beta = add(scene, "beta");
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"beta\",\"rate\":1000}");
    settle(scene, peer);
    assert_true(alpha->wanted_ns == UINT64_MAX);
    for (unsigned i = 0; i < 5; i++) {
        tick(scene, alpha, 1);
        tick(scene, beta, 1);
    }
    WAIT_FOR(scene, peer_count(peer, "status") == 5);
    assert_string_equal(word_of(peer_last(peer, "status"), "source"), "beta");
    peer_say(peer, "{\"op\":\"unsubscribe\",\"source\":\"beta\"}");
    settle(scene, peer);
    tick(scene, beta, 3);
    settle(scene, peer);
    assert_int_equal(peer_count(peer, "status"), 5);
    assert_int_equal(peer_count(peer, "dropped"), 0);
    scene_close(scene);
}

/* ---- every tick ---- */

/* Rows of all batches: ticks must follow one another from `first` on. Returns how many. */
static unsigned count_rows(const struct peer *peer, unsigned first) {
    unsigned expected = first;
    for (size_t i = 0; i < peer->count; i++) {
        const cJSON *row;
        if (!is_op(peer->messages[i], "batch"))
            continue;
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(peer->messages[i], "columns")), 8);
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(peer->messages[i], "rows")) {
            assert_int_equal(cJSON_GetArraySize(row), 8);
            assert_int_equal(cJSON_GetArrayItem(row, 0)->valuedouble, expected);
            expected++;
        }
    }
    return expected - first;
}

static void test_every_tick_once(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *fast = join(scene);
    struct peer *slow = join(scene);
    tick(scene, fake, 10);
    peer_say(fast, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":1000}");
    peer_say(slow, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":20}");
    settle(scene, fast);
    settle(scene, slow);
    tick(scene, fake, 300);
    WAIT_FOR(scene, count_rows(fast, 11) == 300);
    /* What a slow rate holds back comes even when no further tick does. */
    WAIT_FOR(scene, count_rows(slow, 11) == 300);
    assert_true(peer_count(slow, "batch") < peer_count(fast, "batch"));
    assert_int_equal(peer_count(fast, "dropped") + peer_count(slow, "dropped"), 0);
    scene_close(scene);
}

/* More than one message holds, and more than the socket takes in one go. */
static void test_long_batches_are_split(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":1000}");
    settle(scene, peer);
    for (unsigned i = 0; i < 12000; i++)
        fake_read(&scene->sources, fake);
    fake_tick(&scene->sources, fake);
    WAIT_FOR(scene, count_rows(peer, 1) == 12001);
    assert_true(peer_count(peer, "batch") >= 3);
    assert_int_equal(peer_count(peer, "dropped"), 0);
    scene_close(scene);
}

static void test_history_joins_without_gap(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    for (unsigned i = 0; i < 20000; i++)
        fake_read(&scene->sources, fake);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":100,"
                   "\"history\":60}");
    tick(scene, fake, 500);
    WAIT_FOR(scene, count_rows(peer, 1) == 20500);
    assert_int_equal(peer_count(peer, "dropped"), 0);
    scene_close(scene);
}

static void test_batch_has_one_instance(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":1}");
    settle(scene, peer);
    tick(scene, fake, 1);
    WAIT_FOR(scene, peer_count(peer, "batch") == 1);
    fake_read(&scene->sources, fake);
    fake->shown.facts.instance = 2;
    fake->shown.stamp.tick = 0;
    fake_read(&scene->sources, fake);
    fake->shown.live = false;
    scene->sources.listener.changed(scene->hub, &fake->shown);
    WAIT_FOR(scene, peer_count(peer, "batch") == 3);
    assert_string_equal(word_of(peer_last(peer, "batch"), "instance"), "0000000000000002");
    scene_close(scene);
}

/* A source with a period would bring the next tick by itself; this one pauses. */
static void test_nothing_is_held_back_for_long(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = fake_make("robot", 300 * MS, EVENTS_KEPT);
    fake_come(&scene->sources, fake);
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"rate\":1}");
    settle(scene, peer);
    tick(scene, fake, 2);
    settle(scene, peer);
    assert_int_equal(number_of(peer_last(peer, "status"), "tick"), 1);
    WAIT_FOR(scene, number_of(peer_last(peer, "status"), "tick") == 2);
    scene_close(scene);
}

/* ---- events ---- */

static void change_mode(struct fake *fake) {
    fake->status.mode = (uint8_t)((fake->status.mode + 1) % 3);
}

/* Every event once, in order, and none after a status of its tick. Returns how many. */
static unsigned check_events(const struct peer *peer, unsigned first) {
    unsigned expected = first;
    double shown = 0;
    for (size_t i = 0; i < peer->count; i++) {
        const cJSON *message = peer->messages[i];
        if (is_op(message, "status"))
            shown = number_of(message, "tick");
        if (!is_op(message, "event"))
            continue;
        assert_int_equal(number_of(message, "sequence"), expected);
        assert_true(number_of(message, "tick") > shown);
        expected++;
    }
    return expected - first;
}

static void test_events_come_once_and_in_order(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *latest = join(scene);
    struct peer *every = join(scene);
    peer_say(latest, "{\"op\":\"subscribe\",\"source\":\"robot\",\"rate\":50}");
    peer_say(every, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":50}");
    settle(scene, latest);
    settle(scene, every);
    tick(scene, fake, 1);
    for (unsigned i = 0; i < 100; i++) {
        change_mode(fake);
        tick(scene, fake, 2);
    }
    WAIT_FOR(scene, check_events(latest, 1) == 100 && check_events(every, 1) == 100);
    const cJSON *last = peer_last(latest, "event");
    assert_string_equal(word_of(last, "field"), "mode");
    assert_string_equal(word_of(last, "from"), "idle");
    assert_string_equal(word_of(last, "to"), "wander");
    /* A client that comes back asks for what it missed. */
    struct peer *back = join(scene);
    peer_say(back, "{\"op\":\"subscribe\",\"source\":\"robot\",\"rate\":1,\"events_after\":40}");
    WAIT_FOR(scene, peer_count(back, "event") == 60);
    settle(scene, back);
    assert_string_equal(word_of(peer_last(back, "subscribed"), "source"), "robot");
    size_t answer = 0;
    while (!is_op(back->messages[answer], "subscribed"))
        assert_false(is_op(back->messages[answer++], "event"));
    assert_int_equal(peer_count(latest, "subscribed"), 0);
    assert_int_equal(number_of(peer_last(back, "event"), "sequence"), 100);
    assert_int_equal(peer_count(back, "event"), 60);
    scene_close(scene);
}

/* ---- slow clients ---- */

/* Ticks until the client's socket is full and frames are being dropped for it. */
static void tick_until_dropping(struct scene *scene, struct fake *fake) {
    uint64_t before = hub_figures(scene->hub).frames_dropped;
    while (hub_figures(scene->hub).frames_dropped < before + 20)
        tick(scene, fake, 10);
}

static void test_slow_client_is_told_and_others_not_disturbed(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *slow = join_eager(scene);
    struct peer *healthy = join_eager(scene);
    scene->deaf[0] = true;
    tick(scene, fake, 1);
    for (unsigned i = 0; i < 20; i++) {
        change_mode(fake);
        tick(scene, fake, 1);
    }
    tick_until_dropping(scene, fake);
    for (unsigned i = 0; i < 20; i++) {
        change_mode(fake);
        tick(scene, fake, 1);
    }
    uint64_t ticks = fake->shown.ticks;
    uint64_t dropped = hub_figures(scene->hub).frames_dropped;
    WAIT_FOR(scene, peer_count(healthy, "status") == ticks);
    assert_int_equal(check_events(healthy, 1), 40);
    assert_int_equal(peer_count(healthy, "dropped"), 0);
    scene->deaf[0] = false;
    WAIT_FOR(scene, peer_count(slow, "dropped") == 1);
    settle(scene, slow);
    assert_int_equal(check_events(slow, 1), 40);
    assert_int_equal(number_of(peer_last(slow, "dropped"), "frames"), dropped);
    assert_int_equal(number_of(peer_last(slow, "dropped"), "total"), dropped);
    assert_int_equal(number_of(peer_last(slow, "status"), "tick"), ticks);
    /* What did not come was counted; the newest came in place of the last one dropped. */
    assert_int_equal(peer_count(slow, "status"), ticks - dropped + 1);
    scene_close(scene);
}

static void test_slow_client_in_mode_every(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":1000}");
    settle(scene, peer);
    /* A short stall costs nothing: it is caught up from the history. */
    scene->deaf[0] = true;
    for (unsigned i = 0; i < 30; i++) {
        for (unsigned j = 0; j < 199; j++)
            fake_read(&scene->sources, fake);
        tick(scene, fake, 1);
    }
    scene->deaf[0] = false;
    WAIT_FOR(scene, count_rows(peer, 1) == 6000);
    assert_int_equal(peer_count(peer, "dropped"), 0);
    /* After a long one it goes on with the newest, and is told. */
    scene->deaf[0] = true;
    for (unsigned i = 0; i < 30000; i++)
        fake_read(&scene->sources, fake);
    tick(scene, fake, 1);
    usleep(2500000);
    tick(scene, fake, 1);
    scene->deaf[0] = false;
    WAIT_FOR(scene, peer_count(peer, "dropped") == 1);
    assert_true(number_of(peer_last(peer, "dropped"), "frames") > 0);
    size_t batches = peer_count(peer, "batch");
    tick(scene, fake, 1);
    WAIT_FOR(scene, peer_count(peer, "batch") > batches);
    const cJSON *rows = cJSON_GetObjectItem(peer_last(peer, "batch"), "rows");
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetArrayItem(rows, 0), 0)->valuedouble,
                     fake->shown.ticks);
    scene_close(scene);
}

static void test_source_news_are_made_up_for_by_a_hello(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join_eager(scene);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    for (unsigned i = 0; i < 1000; i++)
        fake_go(&scene->sources, add(scene, "fly"));
    add(scene, "zebra");
    scene->deaf[0] = false;
    WAIT_FOR(scene, peer_count(peer, "hello") == 2);
    const cJSON *list = cJSON_GetObjectItem(peer_last(peer, "hello"), "sources");
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_string_equal(word_of(cJSON_GetArrayItem(list, 1), "name"), "zebra");
    scene_close(scene);
}

static void test_too_many_events_close(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join_eager(scene);
    tick(scene, fake, 1);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    for (unsigned i = 0; i < 300; i++) {
        change_mode(fake);
        tick(scene, fake, 1);
    }
    scene->deaf[0] = false;
    WAIT_FOR(scene, peer->close_code != 0);
    assert_int_equal(peer->close_code, 1013);
    assert_string_equal(peer->close_reason, "too slow: events do not fit");
    assert_int_equal(hub_figures(scene->hub).clients_closed, 1);
    WAIT_FOR(scene, hub_figures(scene->hub).clients == 0);
    scene_close(scene);
}

static void test_events_do_not_go_with_their_source(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *slow = join_eager(scene);
    struct peer *healthy = join_eager(scene);
    tick(scene, fake, 1);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    change_mode(fake);
    tick(scene, fake, 1);
    fake_go(&scene->sources, fake);
    scene->deaf[0] = false;
    WAIT_FOR(scene, slow->close_code != 0);
    assert_int_equal(slow->close_code, 1013);
    settle(scene, healthy);
    assert_int_equal(peer_count(healthy, "event"), 1);
    scene_close(scene);
}

static void test_blocked_client_is_ended(void **state) {
    (void)state;
    struct hub_options options = usual;
    options.blocked_seconds = 1;
    struct scene *scene = scene_open(&options);
    struct fake *fake = add(scene, "robot");
    struct peer *stuck = join_eager(scene);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    struct peer *healthy = join(scene);
    WAIT_FOR(scene, hub_figures(scene->hub).clients == 1);
    assert_int_equal(hub_figures(scene->hub).clients_closed, 1);
    assert_false(healthy->ended);
    scene->deaf[0] = false;
    WAIT_FOR(scene, stuck->ended);
    scene_close(scene);
}

/* ---- frames that the socket does not take whole ---- */

/* Bytes that the kernel has taken of the hub and that have not arrived yet. */
static int under_way(const struct scene *scene) {
    int bytes = -1;
    assert_int_equal(ioctl(scene->near[0], SIOCOUTQ, &bytes), 0);
    return bytes;
}

/* Until the kernel takes no more for the first client. Events among the statuses, so that not all
 * frames are of one length. */
static void fill(struct scene *scene, struct fake *fake) {
    int most = 0;
    scene->deaf[0] = true;
    for (unsigned unchanged = 0; unchanged < 5;) {
        for (unsigned i = 0; i < 199; i++)
            fake_read(&scene->sources, fake);
        change_mode(fake);
        tick(scene, fake, 10);
        unchanged = most > 0 && under_way(scene) == most ? unchanged + 1 : 0;
        most = under_way(scene);
    }
}

/* Reads all that the kernel has, without a turn of the hub's. */
static void drain(struct scene *scene) {
    bool has_arrived = false;
    while (!has_arrived) {
        has_arrived = under_way(scene) == 0;
        peer_read(scene->peers[0]);
        usleep(200);
    }
}

/* Something that makes the hub or libwebsockets want to send while the rest of a frame waits. */
struct interruption {
    const char *name;
    unsigned head;
    const char *payload;
    unsigned pongs;      /* frames that must follow */
    unsigned close_code; /* 0: the connection goes on */
};

static void check_whole(struct scene *scene, struct fake *fake, struct peer *peer,
                        const struct interruption *interruption) {
    if (interruption->close_code != 0) {
        /* As clients do; libwebsockets would wait 5 s for it. */
        WAIT_FOR(scene, peer->close_code != 0);
        peer_frame(peer, FINAL | OPCODE_CLOSE, "\x03\xe8", 2);
        WAIT_FOR(scene, peer->ended);
        assert_int_equal(peer->length, 0);
    } else {
        settle(scene, peer);
        WAIT_FOR(scene, peer->pongs == interruption->pongs);
        tick(scene, fake, 1);
        settle(scene, peer);
        assert_int_equal(check_events(peer, 1), transitions_newest(fake->shown.transitions));
    }
    assert_int_equal(peer->close_code, interruption->close_code);
    assert_int_equal(peer->pongs, interruption->pongs);
}

/* Every frame is taken apart and parsed: a byte in the wrong place fails it. Returns whether the
 * interruption came while the rest of a frame waited; a status, which is short, the kernel mostly
 * takes whole or not at all. */
static bool interrupt(const char *mode, const struct interruption *interruption) {
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    char text[128];
    snprintf(text, sizeof text,
             "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"%s\",\"rate\":1000}", mode);
    peer_say(peer, text);
    settle(scene, peer);
    fill(scene, fake);
    peer_frame(peer, interruption->head, interruption->payload, strlen(interruption->payload));
    change_mode(fake);
    tick(scene, fake, 20);
    drain(scene);
    bool waits = peer->pongs == 0 && peer->close_code == 0;
    bool is_cut = peer->length > 0;
    scene->deaf[0] = false;
    check_whole(scene, fake, peer, interruption);
    scene_close(scene);
    return waits && (is_cut || strcmp(mode, "latest") == 0);
}

static void test_nothing_gets_into_a_frame(void **state) {
    (void)state;
    static const char *const modes[] = {"latest", "every"};
    static const struct interruption interruptions[] = {
        {"its ping", FINAL | OPCODE_PING, "x", 1, 0},
        {"its question", FINAL | OPCODE_TEXT, "{\"op\":\"ping\"}", 0, 0},
        {"a close of the hub's", FINAL | OPCODE_BINARY, "{}", 0, 1003},
        {"a close of libwebsockets'", FINAL | OPCODE_TEXT, "\xc3\x28", 0, 1007}};
    for (size_t i = 0; i < sizeof interruptions / sizeof interruptions[0]; i++)
        for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++) {
            /* A full socket may happen to end with a frame, or to take a little more. */
            unsigned tries = 10;
            while (tries > 0 && !interrupt(modes[j], &interruptions[i]))
                tries--;
            if (tries == 0)
                fail_msg("mode %s, %s: no frame had to wait", modes[j], interruptions[i].name);
        }
}

/* ---- what clients may not do ---- */

static void assert_closed(struct scene *scene, struct peer *peer, unsigned code) {
    WAIT_FOR(scene, peer->close_code != 0);
    assert_int_equal(peer->close_code, code);
}

static void test_frames_that_close(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    char *large = calloc(1, 5000);
    assert_non_null(large);
    memset(large, ' ', 5000);
    struct peer *binary = join(scene);
    peer_frame(binary, FINAL | OPCODE_BINARY, "{}", 2);
    assert_closed(scene, binary, 1003);
    struct peer *invalid = join(scene);
    peer_frame(invalid, FINAL | OPCODE_TEXT, "{\"op\":\"\xc3\x28\"}", 11);
    assert_closed(scene, invalid, 1007);
    struct peer *cut = join(scene);
    peer_frame(cut, FINAL | OPCODE_TEXT, "{\"op\":\"\xe2\x82", 9);
    assert_closed(scene, cut, 1007);
    struct peer *oversize = join(scene);
    peer_frame(oversize, FINAL | OPCODE_TEXT, large, 4097);
    assert_closed(scene, oversize, 1009);
    WAIT_FOR(scene, hub_figures(scene->hub).clients <= 3);
    struct peer *pieces = join(scene);
    peer_frame(pieces, OPCODE_TEXT, large, 2000);
    peer_frame(pieces, 0, large, 2000);
    peer_frame(pieces, 0, large, 97);
    assert_closed(scene, pieces, 1009);
    free(large);
    scene_close(scene);
}

static void test_messages_in_pieces(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct peer *peer = join(scene);
    char text[4097];
    snprintf(text, sizeof text, "%-4096s", "{\"op\":\"ping\",\"id\":7}");
    peer_frame(peer, FINAL | OPCODE_TEXT, text, 4096);
    WAIT_FOR(scene, peer_count(peer, "pong") == 1);
    assert_int_equal(number_of(peer_last(peer, "pong"), "id"), 7);
    peer_frame(peer, OPCODE_TEXT, "{\"op\":", 6);
    peer_frame(peer, FINAL | OPCODE_PING, "x", 1);
    peer_frame(peer, 0, "\"ping\",", 7);
    peer_frame(peer, FINAL, "\"id\":8}", 7);
    WAIT_FOR(scene, peer_count(peer, "pong") == 2);
    assert_int_equal(number_of(peer_last(peer, "pong"), "id"), 8);
    WAIT_FOR(scene, peer->pongs == 1);
    scene_close(scene);
}

static void test_errors_are_answered(void **state) {
    (void)state;
    static const char *const said[][2] = {
        {"nonsense", "bad-json"},
        {"[]", "bad-message"},
        {"{\"op\":\"drive\"}", "unknown-op"},
        {"{\"op\":\"subscribe\",\"source\":\"rbt\"}", "unknown-source"},
        {"{\"op\":\"unsubscribe\",\"source\":\"zzz\"}", "unknown-source"},
        {"{\"op\":\"subscribe\",\"source\":\"robot\",\"rate\":0}", "bad-value"}};
    struct scene *scene = scene_open(&usual);
    add(scene, "robot");
    struct peer *peer = join(scene);
    for (unsigned round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
            size_t errors = peer_count(peer, "error");
            peer_say(peer, said[i][0]);
            WAIT_FOR(scene, peer_count(peer, "error") == errors + 1);
            assert_string_equal(word_of(peer_last(peer, "error"), "code"), said[i][1]);
        }
        settle(scene, peer); /* something right in between: the row of errors ends */
    }
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"rb\\\"\\u0001\"}");
    WAIT_FOR(scene, strcmp(word_of(peer_last(peer, "error"), "message"),
                           "no source named \"rb\"\x01\"; there are: robot") == 0);
    for (unsigned i = 0; i < 9; i++)
        peer_say(peer, "nonsense");
    assert_closed(scene, peer, 1008);
    scene_close(scene);
}

static void test_too_many_subscriptions(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct peer *peer = join(scene);
    /* Subscriptions to sources that went count: they wait for them. */
    for (unsigned i = 0; i < 65; i++) {
        char name[16], text[64];
        snprintf(name, sizeof name, "s%u", i);
        snprintf(text, sizeof text, "{\"op\":\"subscribe\",\"source\":\"s%u\"}", i);
        struct fake *fake = add(scene, name);
        peer_say(peer, text);
        settle(scene, peer);
        assert_int_equal(peer_count(peer, "error"), i < 64 ? 0 : 1);
        fake_go(&scene->sources, fake);
    }
    assert_string_equal(word_of(peer_last(peer, "error"), "code"), "too-many-subscriptions");
    scene_close(scene);
}

static void test_answers_to_a_client_that_does_not_read(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join_eager(scene);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    for (unsigned i = 0; i < 3; i++)
        peer_say(peer, "{\"op\":\"ping\",\"id\":1}");
    turns(scene, 20);
    scene->deaf[0] = false;
    WAIT_FOR(scene, peer_count(peer, "pong") == 1 + 3);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    for (unsigned i = 0; i < 600; i++) {
        peer_say(peer, "{\"op\":\"ping\",\"id\":2}");
        turn(scene);
    }
    WAIT_FOR(scene, hub_figures(scene->hub).clients_closed == 1);
    scene->deaf[0] = false;
    assert_closed(scene, peer, 1013);
    scene_close(scene);
}

/* ---- coming and going ---- */

static void test_subscription_survives_its_source(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"subscribe\",\"source\":\"robot\",\"mode\":\"every\",\"rate\":1000}");
    settle(scene, peer);
    tick(scene, fake, 5);
    fake_read(&scene->sources, fake); /* not told: goes out with its last breath */
    fake_go(&scene->sources, fake);
    WAIT_FOR(scene, count_rows(peer, 1) == 6);
    fake = add(scene, "robot");
    fake->shown.stamp.tick = 6;
    tick(scene, fake, 5);
    WAIT_FOR(scene, count_rows(peer, 1) == 11);
    assert_int_equal(peer_count(peer, "hello"), 1);
    assert_int_equal(peer_count(peer, "source"), 2);
    scene_close(scene);
}

static void test_silence_is_broken_every_second(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct peer *idle = join(scene);
    WAIT_FOR(scene, peer_count(idle, "alive") == 2);
    add(scene, "robot");
    struct peer *watcher = join(scene);
    WAIT_FOR(scene, peer_count(watcher, "source") == 2);
    assert_string_equal(word_of(peer_last(watcher, "source"), "change"), "changed");
    assert_int_equal(peer_count(watcher, "alive"), 0);
    scene_close(scene);
}

static void test_ping_must_be_answered(void **state) {
    (void)state;
    struct hub_options options = usual;
    options.ping_seconds = 1;
    struct scene *scene = scene_open(&options);
    struct peer *polite = join(scene);
    struct peer *rude = join(scene);
    unsigned answered = 0;
    while (rude->close_code == 0 && !rude->ended) {
        for (; answered < polite->pings; answered++)
            peer_frame(polite, FINAL | OPCODE_PONG, "\0", 1);
        turns(scene, 10);
    }
    assert_int_equal(rude->close_code, 1013);
    assert_string_equal(rude->close_reason, "a ping was not answered");
    assert_true(polite->pings > 0);
    assert_int_equal(polite->close_code, 0);
    scene_close(scene);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "HTTP/1.1 426 "},
        {"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
         "HTTP/1.1 426 "},
        {UPGRADE "Origin: http://evil.example\r\n", "HTTP/1.1 403 "},
        {UPGRADE "Sec-WebSocket-Protocol: mqtt\r\n", "HTTP/1.1 400 "},
        {UPGRADE "Sec-WebSocket-Protocol: mqtt, omniscient.v1\r\n", "HTTP/1.1 101 "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene *scene = scene_open(&usual);
        struct peer *peer = knock(scene, cases[i][0]);
        WAIT_FOR(scene, peer->answered);
        if (strncmp(peer->answer, cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s: %s", cases[i][0], peer->answer);
        if (strstr(cases[i][1], "101") == NULL)
            WAIT_FOR(scene, peer->ended);
        else
            assert_non_null(strstr(peer->answer, "Sec-WebSocket-Protocol: omniscient.v1\r\n"));
        scene_close(scene);
    }
}

static void test_full_house(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    for (unsigned i = 0; i < 4; i++)
        join(scene);
    struct peer *fifth = knock(scene, UPGRADE);
    WAIT_FOR(scene, fifth->ended);
    assert_non_null(strstr(fifth->answer, "HTTP/1.1 503 "));
    peer_frame(scene->peers[0], FINAL | OPCODE_CLOSE, "\x03\xe8", 2);
    assert_closed(scene, scene->peers[0], 1000);
    WAIT_FOR(scene, hub_figures(scene->hub).clients == 3);
    join(scene);
    assert_int_equal(hub_figures(scene->hub).clients_ever, 5);
    scene_close(scene);
}

/* ---- sound ---- */

static struct scene *scene_open_with_speaker(void) {
    struct scene *scene = scene_open(&usual);
    const struct speaker_options options = {.player = {.device = "no such device", .volume = 1},
                                            .rules = {5, 20}};
    assert_int_equal(speaker_open(&scene->speaker, &scene->loop, &options), 0);
    hub_attach_speaker(scene->hub, scene->speaker);
    return scene;
}

static bool sound_is(const struct peer *peer, bool on, const char *sound_state) {
    const cJSON *sound = peer_last(peer, "sound");
    return sound != NULL && cJSON_IsTrue(cJSON_GetObjectItem(sound, "on")) == on &&
           strcmp(word_of(sound, "state"), sound_state) == 0;
}

static void test_sound_is_the_same_for_all(void **state) {
    (void)state;
    struct scene *scene = scene_open_with_speaker();
    struct peer *one = join(scene);
    struct peer *other = join(scene);
    for (unsigned i = 0; i < 2; i++) {
        WAIT_FOR(scene, peer_count(scene->peers[i], "sound") == 1);
        assert_true(sound_is(scene->peers[i], false, "off"));
        assert_true(is_op(scene->peers[i]->messages[1], "sound"));
    }
    peer_say(one, "{\"op\":\"sound\",\"on\":true}");
    WAIT_FOR(scene, sound_is(one, true, "no-device") && sound_is(other, true, "no-device"));
    assert_non_null(strstr(word_of(peer_last(other, "sound"), "reason"), "no such device"));
    struct peer *late = join(scene);
    WAIT_FOR(scene, sound_is(late, true, "no-device"));
    assert_int_equal(peer_count(late, "sound"), 1);
    peer_say(other, "{\"op\":\"sound\",\"on\":false}");
    WAIT_FOR(scene, sound_is(one, false, "off") && sound_is(late, false, "off"));
    assert_string_equal(word_of(peer_last(one, "sound"), "reason"), "");
    scene_close(scene);
}

static void test_a_client_that_does_not_read_gets_the_newest_sound(void **state) {
    (void)state;
    struct scene *scene = scene_open_with_speaker();
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    struct peer *stuck = join_eager(scene);
    scene->deaf[1] = true;
    tick_until_dropping(scene, fake);
    size_t heard = peer_count(peer, "sound");
    for (unsigned i = 0; i < 9; i++) {
        peer_say(peer,
                 i % 2 == 0 ? "{\"op\":\"sound\",\"on\":true}" : "{\"op\":\"sound\",\"on\":false}");
        WAIT_FOR(scene, peer_count(peer, "sound") > heard);
        heard = peer_count(peer, "sound");
    }
    WAIT_FOR(scene, sound_is(peer, true, "no-device"));
    scene->deaf[1] = false;
    WAIT_FOR(scene, sound_is(stuck, true, "no-device"));
    assert_int_equal(peer_count(stuck, "sound"), 2);
    scene_close(scene);
}

static void test_a_second_hello_is_followed_by_the_sound_too(void **state) {
    (void)state;
    struct scene *scene = scene_open_with_speaker();
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join_eager(scene);
    scene->deaf[0] = true;
    tick_until_dropping(scene, fake);
    add(scene, "zebra");
    scene->deaf[0] = false;
    WAIT_FOR(scene, peer_count(peer, "hello") == 2 && peer_count(peer, "sound") == 2);
    scene_close(scene);
}

static void test_an_observer_without_sound_says_so(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct peer *peer = join(scene);
    peer_say(peer, "{\"op\":\"sound\",\"on\":true}");
    WAIT_FOR(scene, peer_count(peer, "error") == 1);
    assert_int_equal(peer_count(peer, "sound"), 0);
    scene_close(scene);
}

static void test_goodbye(void **state) {
    (void)state;
    struct scene *scene = scene_open(&usual);
    struct fake *fake = add(scene, "robot");
    struct peer *peer = join(scene);
    struct peer *stuck = join_eager(scene);
    knock(scene, ""); /* and one that is still at the door, with half a word */
    scene->deaf[1] = true;
    tick_until_dropping(scene, fake);
    hub_close(scene->hub);
    scene->hub = NULL;
    uv_run(&scene->loop, UV_RUN_DEFAULT);
    peer_read(peer);
    assert_int_equal(peer->close_code, 1001);
    assert_true(peer->ended);
    for (unsigned i = 0; i < 10000 && !stuck->ended; i++) {
        peer_read(stuck);
        usleep(1000);
    }
    assert_true(stuck->ended);
    scene_close(scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_is_first_source),
        cmocka_unit_test(test_default_waits_for_a_source),
        cmocka_unit_test(test_first_subscribe_ends_the_default),
        cmocka_unit_test(test_every_tick_once),
        cmocka_unit_test(test_long_batches_are_split),
        cmocka_unit_test(test_history_joins_without_gap),
        cmocka_unit_test(test_batch_has_one_instance),
        cmocka_unit_test(test_nothing_is_held_back_for_long),
        cmocka_unit_test(test_events_come_once_and_in_order),
        cmocka_unit_test(test_slow_client_is_told_and_others_not_disturbed),
        cmocka_unit_test(test_slow_client_in_mode_every),
        cmocka_unit_test(test_source_news_are_made_up_for_by_a_hello),
        cmocka_unit_test(test_too_many_events_close),
        cmocka_unit_test(test_events_do_not_go_with_their_source),
        cmocka_unit_test(test_blocked_client_is_ended),
        cmocka_unit_test(test_nothing_gets_into_a_frame),
        cmocka_unit_test(test_frames_that_close),
        cmocka_unit_test(test_messages_in_pieces),
        cmocka_unit_test(test_errors_are_answered),
        cmocka_unit_test(test_too_many_subscriptions),
        cmocka_unit_test(test_answers_to_a_client_that_does_not_read),
        cmocka_unit_test(test_subscription_survives_its_source),
        cmocka_unit_test(test_silence_is_broken_every_second),
        cmocka_unit_test(test_ping_must_be_answered),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_full_house),
        cmocka_unit_test(test_sound_is_the_same_for_all),
        cmocka_unit_test(test_a_client_that_does_not_read_gets_the_newest_sound),
        cmocka_unit_test(test_a_second_hello_is_followed_by_the_sound_too),
        cmocka_unit_test(test_an_observer_without_sound_says_so),
        cmocka_unit_test(test_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
