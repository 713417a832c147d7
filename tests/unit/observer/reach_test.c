/* From where else a socket is reached: real sockets, and the addresses of this machine. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../skip.h"
#include "observer/reach.h"

static struct reach_list list;

static int empty_list(void **state) {
    (void)state;
    list.count = 0;
    return 0;
}

static void bind_to(int made, const void *address, socklen_t bytes) {
    assert_true(made >= 0);
    assert_int_equal(bind(made, address, bytes), 0);
    assert_int_equal(listen(made, 1), 0);
}

static int listen_ipv4(const char *text, unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
    bind_to(made, &address, sizeof address);
    return made;
}

static int listen_ipv6(const char *text, bool only) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    int made = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        SKIP_BECAUSE("this machine has no IPv6 loopback");
    assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    assert_int_equal(
        setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &(int){only}, (socklen_t)sizeof(int)), 0);
    bind_to(made, &address, sizeof address);
    return made;
}

static unsigned port_of(int socket) {
    struct sockaddr_in6 address;
    assert_int_equal(getsockname(socket, (struct sockaddr *)&address, &(socklen_t){sizeof address}),
                     0);
    return ntohs(address.sin6_port); /* IPv4 has it at the same place */
}

static bool add_and_close(int socket) {
    bool added = reach_add(&list, socket);
    close(socket);
    return added;
}

static void all_interfaces(void **state) {
    int every = listen_ipv4("0.0.0.0", 0);
    unsigned port = port_of(every);
    (void)state;
    assert_true(add_and_close(every));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].interface, REACH_EVERY_INTERFACE);
    assert_int_equal(list.items[0].family, AF_INET);
    assert_int_equal(list.items[0].port, port);
}

static void this_machine_alone_is_nowhere_else(void **state) {
    (void)state;
    assert_false(add_and_close(listen_ipv4("127.0.0.1", 0)));
    assert_false(add_and_close(listen_ipv4("127.3.2.1", 0)));
    assert_false(reach_add(&list, -1));
    assert_false(add_and_close(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    assert_false(add_and_close(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))); /* not bound */
    assert_int_equal(list.count, 0);
}

static void ipv6_alone_and_both(void **state) {
    (void)state;
    assert_true(add_and_close(listen_ipv6("::", true)));
    assert_int_equal(list.items[0].family, AF_INET6);
    list.count = 0;
    assert_true(add_and_close(listen_ipv6("::", false)));
    assert_int_equal(list.items[0].family, AF_UNSPEC);
    list.count = 0;
    assert_false(add_and_close(listen_ipv6("::1", true)));
    assert_false(add_and_close(listen_ipv6("::ffff:127.0.0.1", false)));
    assert_true(add_and_close(listen_ipv6("::ffff:0.0.0.0", false)));
    assert_int_equal(list.items[0].family, AF_INET);
}

static void the_first_of_two_in_one_network(void **state) {
    int first = listen_ipv4("0.0.0.0", 0);
    unsigned port = port_of(first);
    (void)state;
    assert_true(add_and_close(first));
    assert_false(add_and_close(listen_ipv4("0.0.0.0", 0)));
    assert_true(add_and_close(listen_ipv6("::", true)));
    assert_false(add_and_close(listen_ipv6("::", false)));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].port, port);
}

/* An address of this machine's own that is not loopback. */
static bool own_address(char text[INET_ADDRSTRLEN], unsigned *interface) {
    struct ifaddrs *first = NULL;
    bool found = false;
    assert_int_equal(getifaddrs(&first), 0);
    for (const struct ifaddrs *one = first; one != NULL && !found; one = one->ifa_next) {
        const struct sockaddr_in *ipv4 = (const void *)one->ifa_addr;
        if (ipv4 == NULL || ipv4->sin_family != AF_INET || (one->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        *interface = if_nametoindex(one->ifa_name);
        found = inet_ntop(AF_INET, &ipv4->sin_addr, text, INET_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(first);
    return found;
}

static void one_interface(void **state) {
    char text[INET_ADDRSTRLEN];
    unsigned interface = 0;
    (void)state;
    if (!own_address(text, &interface))
        SKIP_BECAUSE("loopback is all that this machine has");
    assert_true(add_and_close(listen_ipv4(text, 0)));
    assert_int_equal(list.items[0].interface, interface);
    assert_int_equal(list.items[0].family, AF_INET);
    assert_false(add_and_close(listen_ipv4(text, 0)));
    assert_false(add_and_close(listen_ipv4("0.0.0.0", 0)));
}

static void a_full_list_takes_no_more(void **state) {
    (void)state;
    for (list.count = 0; list.count < REACH_MAX; list.count++)
        list.items[list.count] = (struct reach){.interface = 4711, .family = AF_INET6, .port = 1};
    assert_false(add_and_close(listen_ipv4("0.0.0.0", 0)));
    assert_int_equal(list.count, REACH_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_interfaces, empty_list),
        cmocka_unit_test_setup(this_machine_alone_is_nowhere_else, empty_list),
        cmocka_unit_test_setup(ipv6_alone_and_both, empty_list),
        cmocka_unit_test_setup(the_first_of_two_in_one_network, empty_list),
        cmocka_unit_test_setup(one_interface, empty_list),
        cmocka_unit_test_setup(a_full_list_takes_no_more, empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
