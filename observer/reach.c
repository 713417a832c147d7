#include "reach.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_storage bytes;
};

/* A dual-stack socket may be bound to an IPv4 address. */
static void unmap(union address *address) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = address->ipv6.sin6_port};
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->ipv6.sin6_addr))
        return;
    memcpy(&ipv4.sin_addr, &address->ipv6.sin6_addr.s6_addr[12], sizeof ipv4.sin_addr);
    address->ipv4 = ipv4;
}

static bool is_loopback(const union address *address) {
    if (address->any.sa_family == AF_INET)
        return ntohl(address->ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&address->ipv6.sin6_addr);
}

static bool is_every(const union address *address) {
    if (address->any.sa_family == AF_INET)
        return address->ipv4.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&address->ipv6.sin6_addr);
}

static bool is_same(const union address *address, const struct sockaddr *other) {
    if (other == NULL || other->sa_family != address->any.sa_family)
        return false;
    if (other->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)other)->sin_addr.s_addr ==
               address->ipv4.sin_addr.s_addr;
    const struct sockaddr_in6 *ipv6 = (const void *)other;
    return IN6_ARE_ADDR_EQUAL(&ipv6->sin6_addr, &address->ipv6.sin6_addr) &&
           ipv6->sin6_scope_id == address->ipv6.sin6_scope_id;
}

/* The one that has this address, and is no loopback; 0: none. */
static unsigned interface_of(const union address *address) {
    struct ifaddrs *first = NULL;
    unsigned found = 0;
    if (getifaddrs(&first) < 0)
        return 0;
    for (const struct ifaddrs *one = first; one != NULL && found == 0; one = one->ifa_next)
        if ((one->ifa_flags & IFF_LOOPBACK) == 0 && is_same(address, one->ifa_addr))
            found = if_nametoindex(one->ifa_name);
    freeifaddrs(first);
    return found;
}

static bool is_for_both(int socket, const union address *address) {
    int only = 1;
    return address->any.sa_family == AF_INET6 && is_every(address) &&
           getsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &only, &(socklen_t){sizeof only}) == 0 &&
           only == 0;
}

static bool find(struct reach *reach, int socket) {
    union address address = {.any = {.sa_family = AF_UNSPEC}};
    if (getsockname(socket, &address.any, &(socklen_t){sizeof address}) < 0)
        return false;
    unmap(&address);
    int family = address.any.sa_family;
    if ((family != AF_INET && family != AF_INET6) || is_loopback(&address))
        return false;
    *reach = (struct reach){
        .interface = is_every(&address) ? REACH_EVERY_INTERFACE : interface_of(&address),
        .family = is_for_both(socket, &address) ? AF_UNSPEC : family,
        .port = ntohs(family == AF_INET ? address.ipv4.sin_port : address.ipv6.sin6_port)};
    return reach->port != 0 && (is_every(&address) || reach->interface != 0);
}

static bool overlaps(const struct reach *a, const struct reach *b) {
    bool same_interface = a->interface == b->interface || a->interface == REACH_EVERY_INTERFACE ||
                          b->interface == REACH_EVERY_INTERFACE;
    bool same_family = a->family == b->family || a->family == AF_UNSPEC || b->family == AF_UNSPEC;
    return same_interface && same_family;
}

bool reach_add(struct reach_list *list, int socket) {
    struct reach reach;
    if (list->count == REACH_MAX || !find(&reach, socket))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (overlaps(&list->items[i], &reach))
            return false;
    list->items[list->count++] = reach;
    return true;
}
