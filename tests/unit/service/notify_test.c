/* What the service manager hears: the test is the manager, on a real socket. */
#include <errno.h>
#include <fcntl.h>
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

#include "service/notify.h"

#define MS UINT64_C(1000000)

static char directory[] = "/tmp/omni-notify-XXXXXX";
static char path[64];

/* Listens at `name` as a manager does: "@..." is abstract. */
static int listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(made >= 0);
    if (name[0] == '/')
        (void)unlink(name);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    assert_int_equal(bind(made, (const struct sockaddr *)&address, bytes), 0);
    return made;
}

/* The next datagram, or "" where there is none. */
static const char *heard(int manager) {
    static char text[512];
    ssize_t length = recv(manager, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return text;
}

static void set(const char *name, const char *value) {
    if (value != NULL)
        assert_int_equal(setenv(name, value, 1), 0);
    else
        assert_int_equal(unsetenv(name), 0);
}

static int open_with(struct notify *notify, const char *socket, const char *usec, const char *pid,
                     struct omni_problem *problem) {
    set("NOTIFY_SOCKET", socket);
    set("WATCHDOG_USEC", usec);
    set("WATCHDOG_PID", pid);
    return notify_open(notify, problem);
}

static struct notify opened(const char *socket, const char *usec, const char *pid) {
    struct notify notify;
    struct omni_problem problem;
    if (open_with(&notify, socket, usec, pid, &problem) < 0)
        fail_msg("%s", problem.text);
    return notify;
}

static void it_says_ready_once_then_feeds_then_stops(void **state) {
    (void)state;
    int manager = listen_at(path);
    struct notify notify = opened(path, "2000000", NULL);
    assert_int_equal(notify.watchdog_ns, 2000 * MS);
    notify_describe(&notify, "%d ticks a second", 100);
    assert_string_equal(heard(manager), "");
    notify_alive(&notify, 5000 * MS, 5010 * MS);
    assert_string_equal(heard(manager), "READY=1\nSTATUS=100 ticks a second");
    /* Half of two seconds: the last call whose next one would come at or after it. */
    for (uint64_t now = 5010; now < 5990; now += 10)
        notify_alive(&notify, now * MS, (now + 10) * MS);
    assert_string_equal(heard(manager), "");
    notify_alive(&notify, 5990 * MS, 6000 * MS);
    assert_string_equal(heard(manager), "WATCHDOG=1");
    notify_alive(&notify, 6000 * MS, 6010 * MS);
    assert_string_equal(heard(manager), "");
    notify_stopping(&notify);
    assert_string_equal(heard(manager), "STOPPING=1");
    notify_close(&notify);
    notify_close(NULL);
    (void)close(manager);
}

static void a_slow_loop_feeds_in_time_too(void **state) {
    (void)state;
    int manager = listen_at(path);
    struct notify notify = opened(path, "2000000", NULL);
    notify_alive(&notify, 1000 * MS, 2000 * MS);
    assert_string_equal(heard(manager), "READY=1");
    for (uint64_t now = 2000; now < 6000; now += 1000) {
        notify_alive(&notify, now * MS, (now + 1000) * MS);
        assert_string_equal(heard(manager), "WATCHDOG=1");
    }
    notify_close(&notify);
    (void)close(manager);
}

static void without_a_watchdog_nothing_is_fed(void **state) {
    (void)state;
    char other[24];
    (void)snprintf(other, sizeof other, "%ld", (long)getpid() + 1);
    int manager = listen_at(path);
    const struct {
        const char *usec;
        const char *pid;
    } cases[] = {{NULL, NULL}, {"0", NULL}, {"1000", other}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify notify = opened(path, cases[i].usec, cases[i].pid);
        assert_int_equal(notify.watchdog_ns, 0);
        assert_true(notify_ready(&notify));
        assert_true(notify_ready(&notify));
        assert_string_equal(heard(manager), "READY=1");
        notify_feed(&notify);
        notify_alive(&notify, 1000 * MS, 999000 * MS);
        assert_string_equal(heard(manager), "");
        notify_close(&notify);
    }
    (void)close(manager);
}

static void an_abstract_socket_and_the_own_process(void **state) {
    (void)state;
    char name[64];
    char own[24];
    (void)snprintf(name, sizeof name, "@omni-notify-%ld", (long)getpid());
    (void)snprintf(own, sizeof own, "%ld", (long)getpid());
    int manager = listen_at(name);
    struct notify notify = opened(name, "3000000", own);
    assert_int_equal(notify.watchdog_ns, 3000 * MS);
    assert_true(notify_ready(&notify));
    assert_string_equal(heard(manager), "READY=1");
    notify_feed(&notify);
    assert_string_equal(heard(manager), "WATCHDOG=1");
    notify_close(&notify);
    (void)close(manager);
}

static void a_descriptor_gets_one_newline_and_its_end(void **state) {
    (void)state;
    int ends[2];
    char number[24];
    char text[8];
    assert_int_equal(pipe(ends), 0);
    (void)snprintf(number, sizeof number, "%d", ends[1]);
    set("NOTIFY_FD", number);
    struct notify notify = opened(NULL, NULL, NULL);
    assert_null(getenv("NOTIFY_FD"));
    assert_true(fcntl(ends[1], F_GETFD) & FD_CLOEXEC);
    notify_alive(&notify, 1 * MS, 2 * MS);
    notify_alive(&notify, 2 * MS, 3 * MS);
    assert_int_equal(read(ends[0], text, sizeof text), 1);
    assert_int_equal(text[0], '\n');
    assert_int_equal(read(ends[0], text, sizeof text), 0);
    notify_close(&notify);
    (void)close(ends[0]);
    set("NOTIFY_FD", "900");
    struct omni_problem problem = {.text = ""};
    assert_int_equal(open_with(&notify, NULL, NULL, NULL, &problem), -EBADF);
    assert_non_null(strstr(problem.text, "NOTIFY_FD=900"));
    assert_true(notify_ready(&notify));
}

/* Others write into it as well, and nobody reads. */
static void a_full_pipe_keeps_nobody_waiting(void **state) {
    (void)state;
    int ends[2];
    char number[24];
    char text[4096] = "";
    ssize_t taken = 0;
    ssize_t last = 0;
    int manager = listen_at(path);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], text, sizeof text) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    (void)snprintf(number, sizeof number, "%d", ends[1]);
    set("NOTIFY_FD", number);
    struct notify notify = opened(path, "2000000", NULL);
    (void)alarm(60);
    assert_false(notify_ready(&notify));
    notify_alive(&notify, 1000 * MS, 2000 * MS);
    notify_alive(&notify, 2000 * MS, 3000 * MS);
    assert_string_equal(heard(manager), "READY=1");
    assert_string_equal(heard(manager), "WATCHDOG=1");
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while (read(ends[0], text, sizeof text) > 0) {
    }
    notify_alive(&notify, 3000 * MS, 3000 * MS);
    for (taken = 0; (last = read(ends[0], text, sizeof text)) > 0; taken += last)
        assert_int_equal(text[0], '\n');
    assert_int_equal(taken, 1);
    assert_int_equal(last, 0); /* it is closed */
    (void)alarm(0);
    notify_close(&notify);
    (void)close(ends[0]);
    (void)close(manager);
}

static void it_closes_no_standard_stream(void **state) {
    (void)state;
    static const char *const numbers[] = {"0", "1", "2"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct notify notify;
        struct omni_problem problem = {.text = ""};
        set("NOTIFY_FD", numbers[i]);
        assert_int_equal(open_with(&notify, NULL, NULL, NULL, &problem), -EBADF);
        assert_true(notify_ready(&notify));
        assert_true(fcntl((int)i, F_GETFD) >= 0);
        notify_close(&notify);
    }
}

static void nobody_there_is_fine(void **state) {
    (void)state;
    struct notify notify = opened(NULL, "2000000", NULL);
    assert_int_equal(notify.watchdog_ns, 0);
    assert_true(notify_ready(&notify));
    notify_alive(&notify, 1, UINT64_MAX);
    notify_stopping(&notify);
    notify_close(&notify);
}

static void children_inherit_nothing_of_it(void **state) {
    (void)state;
    int manager = listen_at(path);
    struct notify notify = opened(path, "2000000", NULL);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    notify_close(&notify);
    (void)close(manager);
}

static void what_means_nothing_is_said_and_survived(void **state) {
    (void)state;
    char longest[200] = "/";
    memset(longest + 1, 'a', sizeof longest - 2);
    const struct {
        const char *socket;
        const char *usec;
        const char *pid;
        int error;
        const char *says;
    } cases[] = {
        {"somewhere", NULL, NULL, -EAFNOSUPPORT, "NOTIFY_SOCKET=somewhere"},
        {"vsock:2:1234", NULL, NULL, -EAFNOSUPPORT, "NOTIFY_SOCKET=vsock:2:1234"},
        {"@", NULL, NULL, -EINVAL, "NOTIFY_SOCKET=@"},
        {longest, NULL, NULL, -EINVAL, "no socket has such a name"},
        {path, "soon", NULL, -EINVAL, "WATCHDOG_USEC=soon"},
        {path, "-1", NULL, -EINVAL, "WATCHDOG_USEC=-1"},
        {path, "18446744073709551615", NULL, -EINVAL, "WATCHDOG_USEC=184"},
        {path, "1000", "me", -EINVAL, "WATCHDOG_PID=me"},
    };
    int manager = listen_at(path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify notify;
        struct omni_problem problem = {.text = ""};
        assert_int_equal(open_with(&notify, cases[i].socket, cases[i].usec, cases[i].pid, &problem),
                         cases[i].error);
        if (strstr(problem.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not contain \"%s\"", problem.text, cases[i].says);
        assert_null(getenv("NOTIFY_SOCKET"));
        assert_true(notify_ready(&notify));
        notify_feed(&notify);
        assert_string_equal(heard(manager), "");
        notify_close(&notify);
    }
    (void)close(manager);
}

/* A manager that reads nothing: no call blocks, and "ready" is said when there is room. */
static void a_full_queue_blocks_nothing_and_loses_no_ready(void **state) {
    (void)state;
    int manager = listen_at(path);
    struct notify other = opened(path, "2000000", NULL);
    struct notify notify = opened(path, "2000000", NULL);
    unsigned sent = 0;
    for (bool is_full = false; !is_full; sent += !is_full) {
        other.is_ready = false;
        is_full = !notify_ready(&other);
    }
    assert_true(sent > 0);
    notify_alive(&notify, 1 * MS, 2 * MS);
    assert_false(notify_ready(&notify));
    for (unsigned i = 0; i < sent; i++)
        assert_string_equal(heard(manager), "READY=1");
    assert_string_equal(heard(manager), "");
    notify_alive(&notify, 2 * MS, 3 * MS);
    assert_string_equal(heard(manager), "READY=1");
    notify_close(&notify);
    notify_close(&other);
    (void)close(manager);
}

static void a_manager_that_begins_anew_is_found_again(void **state) {
    (void)state;
    int manager = listen_at(path);
    struct notify notify = opened(path, "2000000", NULL);
    assert_true(notify_ready(&notify));
    (void)close(manager);
    notify_feed(&notify); /* nobody is there: no signal, no end */
    manager = listen_at(path);
    notify_feed(&notify);
    assert_string_equal(heard(manager), "WATCHDOG=1");
    notify_close(&notify);
    (void)close(manager);
}

static int make_place(void **state) {
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    return snprintf(path, sizeof path, "%s/manager", directory) < (int)sizeof path ? 0 : -1;
}

static int remove_place(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_ready_once_then_feeds_then_stops),
        cmocka_unit_test(a_slow_loop_feeds_in_time_too),
        cmocka_unit_test(without_a_watchdog_nothing_is_fed),
        cmocka_unit_test(an_abstract_socket_and_the_own_process),
        cmocka_unit_test(a_descriptor_gets_one_newline_and_its_end),
        cmocka_unit_test(a_full_pipe_keeps_nobody_waiting),
        cmocka_unit_test(it_closes_no_standard_stream),
        cmocka_unit_test(nobody_there_is_fine),
        cmocka_unit_test(children_inherit_nothing_of_it),
        cmocka_unit_test(what_means_nothing_is_said_and_survived),
        cmocka_unit_test(a_full_queue_blocks_nothing_and_loses_no_ready),
        cmocka_unit_test(a_manager_that_begins_anew_is_found_again),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
