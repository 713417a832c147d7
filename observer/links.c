#include "links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <qrencode.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- links ---- */

struct links {
    const char *port;
    const char *token;
    links_sink *sink;
    void *context;
};

/* `host` as a URL has it: IPv6 in brackets. */
static void give(const struct links *links, const char *host, bool is_loopback) {
    char link[LINKS_BYTES];
    bool guarded = links->token[0] != '\0';
    (void)snprintf(link, sizeof link, "http://%s:%s/%s%s", host, links->port,
                   guarded ? "?token=" : "", links->token);
    links->sink(links->context, link, is_loopback);
}

static void give_ipv4(const struct links *links, const struct sockaddr *address) {
    char host[INET_ADDRSTRLEN];
    const struct sockaddr_in *ipv4 = (const void *)address;
    if (inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof host) != NULL)
        give(links, host, ntohl(ipv4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET);
}

static void give_ipv6(const struct links *links, const struct sockaddr *address) {
    char host[INET6_ADDRSTRLEN];
    char bracketed[INET6_ADDRSTRLEN + 2];
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    if (IN6_IS_ADDR_LINKLOCAL(&ipv6->sin6_addr) ||
        inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof host) == NULL)
        return;
    (void)snprintf(bracketed, sizeof bracketed, "[%s]", host);
    give(links, bracketed, IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr));
}

static int give_interfaces(const struct links *links, int family) {
    struct ifaddrs *first = NULL;
    if (getifaddrs(&first) < 0)
        return -errno;
    for (const struct ifaddrs *one = first; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr == NULL || one->ifa_addr->sa_family != family ||
            (one->ifa_flags & IFF_UP) == 0)
            continue;
        if (family == AF_INET)
            give_ipv4(links, one->ifa_addr);
        else
            give_ipv6(links, one->ifa_addr);
    }
    freeifaddrs(first);
    return 0;
}

static bool is_loopback_host(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

int links_each(const char *address, const char *token, links_sink *sink, void *context) {
    char host[LINKS_BYTES / 2];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return -EINVAL;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    struct links links = {.port = colon + 1, .token = token, .sink = sink, .context = context};
    if (strcmp(host, "0.0.0.0") == 0)
        return give_interfaces(&links, AF_INET);
    if (strcmp(host, "[::]") == 0)
        return give_interfaces(&links, AF_INET6);
    give(&links, host, is_loopback_host(host));
    return 0;
}

/* ---- QR code ---- */

enum { MARGIN = 4 };

static bool is_dark(const QRcode *code, int x, int y) {
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return false;
    return (code->data[y * code->width + x] & 1) != 0;
}

static void put_line(struct text *text, const QRcode *code, int y) {
    static const char *const blocks[] = {" ", "\u2580", "\u2584", "\u2588"};
    /* Colours of the 256-colour cube: the 16 basic ones are the user's theme. */
    text_string(text, "\033[38;5;16;48;5;231m");
    for (int x = -MARGIN; x < code->width + MARGIN; x++)
        text_string(text, blocks[is_dark(code, x, y) + 2 * is_dark(code, x, y + 1)]);
    text_string(text, "\033[0m\n");
}

int links_qr(struct text *text, const char *link) {
    QRcode *code =
        QRcode_encodeData((int)strlen(link), (const unsigned char *)link, 0, QR_ECLEVEL_L);
    if (code == NULL)
        return -errno;
    for (int y = -MARGIN; y < code->width + MARGIN; y += 2)
        put_line(text, code, y);
    QRcode_free(code);
    return text->failed ? -ENOMEM : 0;
}
