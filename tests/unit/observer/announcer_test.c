/* The announcement, where there is nothing to announce, nobody who would, or somebody who never
 * answers. With a real daemon: tests/integration/announce.test.mjs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../skip.h"
#include "observer/announcer.h"
#include "observer/clock.h"
#include "observer/pace.h"

static uv_loop_t loop;
static struct announcer *announcer;
static char directory[] = "/tmp/omni-announcer.XXXXXX";
static struct sockaddr_un bus = {.sun_family = AF_UNIX};

static int make_place(void **state) {
    char address[256];
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(bus.sun_path, sizeof bus.sun_path, "%s/bus", directory);
    (void)snprintf(address, sizeof address, "unix:path=%s", bus.sun_path);
    return setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

static int remove_place(void **state) {
    (void)state;
    return rmdir(directory);
}

static int start_loop(void **state) {
    (void)state;
    announcer = NULL;
    return uv_loop_init(&loop);
}

static int end_loop(void **state) {
    (void)state;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static const struct announcer_options wanted = {
    .on = true,
    .reaches = {.items = {{REACH_EVERY_INTERFACE, AF_INET, 8080}}, .count = 1},
    .quiet = true};

/* Turns the loop until the thread has said why not. */
static const char *wait_for_reason(void) {
    static struct avahi_news news;
    news = announcer_view(announcer);
    while (strcmp(news.reason, "avahi-daemon was not asked yet") == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        news = announcer_view(announcer);
    }
    assert_string_equal(news.name, "");
    return news.reason;
}

static void nothing_to_announce_is_no_thread(void **state) {
    struct announcer_options options = wanted;
    (void)state;
    options.on = false;
    assert_int_equal(announcer_open(&announcer, &loop, &options), 0);
    assert_string_equal(announcer_view(announcer).reason, "it is switched off");
    assert_false(uv_loop_alive(&loop));
    assert_true(announcer_close(announcer));
    options = wanted;
    options.reaches.count = 0;
    assert_int_equal(announcer_open(&announcer, &loop, &options), 0);
    assert_string_equal(announcer_view(announcer).reason, "only this machine may look");
    assert_false(uv_loop_alive(&loop));
    assert_true(announcer_close(announcer));
    assert_true(announcer_close(NULL));
}

static void no_bus_is_said_and_waits_for_nobody(void **state) {
    (void)state;
    if (!avahi_is_installed())
        SKIP_BECAUSE("there is no libavahi-client");
    assert_int_equal(announcer_open(&announcer, &loop, &wanted), 0);
    const char *reason = wait_for_reason();
    if (strstr(reason, "no avahi-daemon runs") == NULL)
        assert_string_equal(reason, "there is no D-Bus, or it does not answer");
    assert_true(announcer_close(announcer));
}

static void a_bus_that_never_answers_is_left_behind(void **state) {
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    if (!avahi_is_installed())
        SKIP_BECAUSE("there is no libavahi-client");
    assert_int_equal(bind(server, (struct sockaddr *)&bus, sizeof bus), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(announcer_open(&announcer, &loop, &wanted), 0);
    int asked = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    assert_true(asked >= 0);
    assert_false(announcer_close(announcer));
    /* The thread ends when the bus does. */
    close(asked);
    close(server);
    assert_int_equal(unlink(bus.sun_path), 0);
}

/* A time is what is promised: how seldom, at least. */
static void a_bus_that_ends_again_and_again_is_asked_ever_more_seldom(void **state) {
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pace pace = {.setbacks = 0};
    uint64_t begin_ns = 0;
    uint64_t least_ns = 0;
    (void)state;
    if (!avahi_is_installed())
        SKIP_BECAUSE("there is no libavahi-client");
    assert_int_equal(bind(server, (struct sockaddr *)&bus, sizeof bus), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(announcer_open(&announcer, &loop, &wanted), 0);
    for (unsigned i = 0; i <= PACE_FREE + 1; i++) {
        int asked = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        assert_true(asked >= 0);
        if (i == 0)
            begin_ns = clock_now_ns();
        else
            least_ns += pace_setback(&pace, begin_ns);
        close(asked);
    }
    uint64_t took_ns = clock_now_ns() - begin_ns;
    assert_true(announcer_close(announcer));
    close(server);
    assert_int_equal(unlink(bus.sun_path), 0);
    assert_true(took_ns >= least_ns);
}

static void what_is_told(void **state) {
    struct text text;
    (void)state;
    text_open(&text, 0);
    announcer_encode(&text, NULL);
    text_append(&text, "", 1);
    assert_string_equal(text_bytes(&text),
                        "{\"name\":null,\"host\":null,\"reason\":\"it is switched off\"}");
    text_close(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_to_announce_is_no_thread, start_loop, end_loop),
        cmocka_unit_test_setup_teardown(no_bus_is_said_and_waits_for_nobody, start_loop, end_loop),
        cmocka_unit_test_setup_teardown(a_bus_that_never_answers_is_left_behind, start_loop,
                                        end_loop),
        cmocka_unit_test_setup_teardown(a_bus_that_ends_again_and_again_is_asked_ever_more_seldom,
                                        start_loop, end_loop),
        cmocka_unit_test(what_is_told),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
