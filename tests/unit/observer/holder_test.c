/* Who listens where somebody else wants to: real sockets, in this process and in another. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../skip.h"
#include "observer/door.h"
#include "observer/holder.h"

static unsigned port;   /* free at all addresses of IPv4 when it was chosen */
static int sockets[2];  /* of this process */
static pid_t neighbour; /* has one, too; 0: there is none */

static const char *at(const char *address) {
    static char text[64];
    (void)snprintf(text, sizeof text, "%s:%u", address, port);
    return text;
}

/* -1 where this machine has no such address. Several may have one port where each agrees to. */
static int listen_at(const char *listen_to, bool agrees) {
    struct sockaddr_storage address;
    assert_true(door_parse(listen_to, &address));
    int made = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        return -1;
    socklen_t length =
        address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    (void)setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &(int){agrees}, sizeof(int));
    if (bind(made, (struct sockaddr *)&address, length) == 0 && listen(made, 1) == 0)
        return made;
    (void)close(made);
    return -1;
}

static int choose_port(void **state) {
    struct sockaddr_in address = {.sin_port = 0};
    socklen_t length = sizeof address;
    (void)state;
    port = 0;
    int made = listen_at(at("0.0.0.0"), false);
    if (made < 0 || getsockname(made, (struct sockaddr *)&address, &length) < 0)
        return -1;
    port = ntohs(address.sin_port);
    sockets[0] = sockets[1] = -1;
    neighbour = 0;
    return close(made);
}

static int end_all(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++)
        if (sockets[i] >= 0)
            (void)close(sockets[i]);
    if (neighbour > 0)
        return kill(neighbour, SIGKILL) == 0 && waitpid(neighbour, NULL, 0) == neighbour ? 0 : -1;
    return 0;
}

static void start_neighbour(const char *listen_to, bool agrees) {
    int ends[2];
    char said = 0;
    assert_int_equal(pipe(ends), 0);
    neighbour = fork();
    assert_true(neighbour >= 0);
    if (neighbour == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, "neighbour");
        for (size_t i = 0; i < 2; i++)
            (void)close(sockets[i]);
        said = listen_at(listen_to, agrees) >= 0 ? 'y' : 'n';
        (void)!write(ends[1], &said, 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ends[0], &said, 1), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(said, 'y');
}

static struct holder find(const char *address) {
    struct holder holder = {.process = -1};
    assert_true(holder_find(&holder, at(address)));
    assert_int_equal(holder.user, geteuid());
    return holder;
}

static void nobody_is_found_where_nobody_listens(void **state) {
    struct holder holder = {.process = 7};
    (void)state;
    assert_false(holder_find(&holder, at("127.0.0.1")));
    assert_false(holder_find(&holder, "nonsense"));
    assert_int_equal(holder.process, 7);
}

static void of_two_at_one_port_each_has_its_own_address(void **state) {
    (void)state;
    sockets[0] = listen_at(at("127.0.0.1"), false);
    assert_true(sockets[0] >= 0);
    start_neighbour(at("127.0.0.2"), false);
    assert_int_equal(find("127.0.0.1").process, getpid());
    assert_int_equal(find("127.0.0.2").process, neighbour);
    assert_string_equal(find("127.0.0.2").name, "neighbour");
    assert_int_equal(find("localhost").process, getpid());
    struct holder none;
    assert_false(holder_find(&none, at("127.0.0.3")));
    assert_true(holder_find(&none, at("0.0.0.0")));
}

static void who_has_the_very_address_comes_before_who_has_all(void **state) {
    (void)state;
    sockets[0] = listen_at(at("0.0.0.0"), true);
    assert_true(sockets[0] >= 0);
    start_neighbour(at("127.0.0.1"), true);
    assert_int_equal(find("127.0.0.1").process, neighbour);
    assert_int_equal(find("127.0.0.3").process, getpid());
    assert_int_equal(find("0.0.0.0").process, getpid());
}

static void one_family_does_not_stand_for_the_other(void **state) {
    struct holder none;
    (void)state;
    sockets[0] = listen_at(at("127.0.0.1"), false);
    if ((sockets[1] = listen_at(at("[::1]"), false)) < 0)
        SKIP_BECAUSE("this machine has no IPv6 loopback");
    (void)close(sockets[1]);
    sockets[1] = -1;
    start_neighbour(at("[::1]"), false);
    assert_int_equal(find("[::1]").process, neighbour);
    assert_int_equal(find("127.0.0.1").process, getpid());
    assert_false(holder_find(&none, at("[::2]")));
}

static void one_socket_may_be_for_both(void **state) {
    (void)state;
    if ((sockets[0] = listen_at(at("[::]"), false)) < 0)
        SKIP_BECAUSE("this machine has no IPv6 loopback");
    assert_int_equal(find("127.0.0.1").process, getpid());
    assert_int_equal(find("[::1]").process, getpid());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, choose_port, end_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_found_where_nobody_listens),
        TEST(of_two_at_one_port_each_has_its_own_address),
        TEST(who_has_the_very_address_comes_before_who_has_all),
        TEST(one_family_does_not_stand_for_the_other),
        TEST(one_socket_may_be_for_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
