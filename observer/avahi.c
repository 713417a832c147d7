#include "avahi.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/domain.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/strlst.h>

#include "clock.h"
#include "library.h"
#include "pace.h"

static_assert(AVAHI_NAME_BYTES == AVAHI_LABEL_MAX, "the longest name that the library takes");

/* ---- libavahi-client ---- */

#ifndef AVAHI_LIBRARY
#define AVAHI_LIBRARY "libavahi-client.so.3"
#endif

/* X(name): what is used of it, and of the libraries that it brings along. */
#define LIBRARY_FUNCTIONS(X)                                                                       \
    X(avahi_alternative_service_name)                                                              \
    X(avahi_client_errno)                                                                          \
    X(avahi_client_free)                                                                           \
    X(avahi_client_get_host_name)                                                                  \
    X(avahi_client_get_host_name_fqdn)                                                             \
    X(avahi_client_new)                                                                            \
    X(avahi_entry_group_add_service_strlst)                                                        \
    X(avahi_entry_group_commit)                                                                    \
    X(avahi_entry_group_new)                                                                       \
    X(avahi_entry_group_reset)                                                                     \
    X(avahi_free)                                                                                  \
    X(avahi_simple_poll_free)                                                                      \
    X(avahi_simple_poll_get)                                                                       \
    X(avahi_simple_poll_iterate)                                                                   \
    X(avahi_simple_poll_new)                                                                       \
    X(avahi_strerror)                                                                              \
    X(avahi_string_list_add_pair)                                                                  \
    X(avahi_string_list_free)

struct library {
    LIBRARY_FUNCTIONS(LIBRARY_POINTER)
};

static const char *const names[] = {LIBRARY_FUNCTIONS(LIBRARY_NAME) NULL};

/* Never closed: libdbus, which comes with it, keeps things for the whole process. */
static bool load(struct library *library) {
    return library_open(AVAHI_LIBRARY, names, library) != NULL;
}

bool avahi_is_installed(void) {
    struct library library;
    return load(&library);
}

/* ---- what is told ---- */

/* The thread's alone. */
struct announcement {
    struct library library;
    const struct avahi_plan *plan;
    int line;
    void (*tell)(void *context, const struct avahi_news *news);
    void *context;
    struct avahi_news told;
    AvahiSimplePoll *poll;
    AvahiClient *client;
    AvahiEntryGroup *group;
    char name[AVAHI_NAME_BYTES];
    uint64_t register_ns; /* when to try again; 0: nothing to do */
    struct pace pace;     /* of all that was tried again */
    bool has_failed;      /* this client is of no use any more */
    bool is_over;
};

static void tell(struct announcement *announcement, const struct avahi_news *news) {
    if (memcmp(&announcement->told, news, sizeof *news) == 0)
        return;
    announcement->told = *news;
    announcement->tell(announcement->context, news);
}

static void tell_reason(struct announcement *announcement, const char *reason) {
    struct avahi_news news;
    memset(&news, 0, sizeof news); /* compared as bytes */
    (void)snprintf(news.reason, sizeof news.reason, "%s", reason);
    tell(announcement, &news);
}

static void tell_error(struct announcement *announcement, int error) {
    static const struct {
        int error;
        const char *reason;
    } known[] = {
        {AVAHI_ERR_NO_DAEMON, AVAHI_REASON_DAEMON},
        {AVAHI_ERR_DISCONNECTED, AVAHI_REASON_ENDED},
        {AVAHI_ERR_DBUS_ERROR, AVAHI_REASON_BUS},
        {AVAHI_ERR_ACCESS_DENIED, AVAHI_REASON_DENIED},
        {AVAHI_ERR_NOT_PERMITTED, AVAHI_REASON_FORBIDDEN},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].error == error) {
            tell_reason(announcement, known[i].reason);
            return;
        }
    }
    char reason[sizeof announcement->told.reason];
    (void)snprintf(reason, sizeof reason, AVAHI_REASON_REFUSED "%s",
                   announcement->library.avahi_strerror(error));
    tell_reason(announcement, reason);
}

static void tell_name(struct announcement *announcement) {
    struct avahi_news news;
    const char *host = announcement->library.avahi_client_get_host_name_fqdn(announcement->client);
    memset(&news, 0, sizeof news);
    (void)snprintf(news.name, sizeof news.name, "%s", announcement->name);
    (void)snprintf(news.host, sizeof news.host, "%s", host != NULL ? host : "");
    tell(announcement, &news);
}

static uint64_t after_setback(struct announcement *announcement) {
    uint64_t now_ns = clock_now_ns();
    return now_ns + pace_setback(&announcement->pace, now_ns);
}

static void fail(struct announcement *announcement, int error) {
    announcement->has_failed = true;
    tell_error(announcement, error);
}

/* ---- the service ---- */

static void choose_alternative(struct announcement *announcement) {
    char *name = announcement->library.avahi_alternative_service_name(announcement->name);
    if (name != NULL)
        (void)snprintf(announcement->name, sizeof announcement->name, "%s", name);
    announcement->library.avahi_free(name);
    announcement->register_ns = after_setback(announcement);
}

static AvahiStringList *make_texts(const struct library *library) {
    static const char *const pairs[][2] = {
        {"version", OMNI_VERSION}, {"path", "/"}, {"txtvers", "1"}}; /* the last one comes first */
    AvahiStringList *texts = NULL;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        AvahiStringList *more =
            library->avahi_string_list_add_pair(texts, pairs[i][0], pairs[i][1]);
        texts = more != NULL ? more : texts;
    }
    return texts;
}

static AvahiProtocol protocol_of(const struct reach *reach) {
    return reach->family == AF_INET    ? AVAHI_PROTO_INET
           : reach->family == AF_INET6 ? AVAHI_PROTO_INET6
                                       : AVAHI_PROTO_UNSPEC;
}

static int add_services(struct announcement *announcement) {
    const struct library *library = &announcement->library;
    const struct reach_list *reaches = &announcement->plan->reaches;
    AvahiStringList *texts = make_texts(library);
    int error = 0;
    for (size_t i = 0; i < reaches->count && error == 0; i++) {
        const struct reach *reach = &reaches->items[i];
        AvahiIfIndex interface = reach->interface == REACH_EVERY_INTERFACE
                                     ? AVAHI_IF_UNSPEC
                                     : (AvahiIfIndex)reach->interface;
        error = library->avahi_entry_group_add_service_strlst(
            announcement->group, interface, protocol_of(reach), 0, announcement->name,
            AVAHI_SERVICE_TYPE, NULL, NULL, (uint16_t)reach->port, texts);
    }
    library->avahi_string_list_free(texts);
    return error;
}

static void on_group(AvahiEntryGroup *group, AvahiEntryGroupState state, void *context) {
    struct announcement *announcement = context;
    announcement->group = group;
    if (state == AVAHI_ENTRY_GROUP_ESTABLISHED && announcement->name[0] != '\0')
        tell_name(announcement);
    else if (state == AVAHI_ENTRY_GROUP_COLLISION)
        choose_alternative(announcement);
    else if (state == AVAHI_ENTRY_GROUP_FAILURE)
        fail(announcement, announcement->library.avahi_client_errno(announcement->client));
}

static void choose_name(struct announcement *announcement) {
    const char *wanted = announcement->plan->name;
    const char *host = announcement->library.avahi_client_get_host_name(announcement->client);
    if (announcement->name[0] == '\0')
        (void)snprintf(announcement->name, sizeof announcement->name, "%s",
                       wanted[0] != '\0' ? wanted
                       : host != NULL    ? host
                                         : "omniscient");
}

static void register_services(struct announcement *announcement) {
    const struct library *library = &announcement->library;
    announcement->register_ns = 0;
    choose_name(announcement);
    if (announcement->group == NULL)
        announcement->group =
            library->avahi_entry_group_new(announcement->client, on_group, announcement);
    if (announcement->group == NULL) {
        fail(announcement, library->avahi_client_errno(announcement->client));
        return;
    }
    int error = library->avahi_entry_group_reset(announcement->group);
    if (error == 0)
        error = add_services(announcement);
    if (error == 0)
        error = library->avahi_entry_group_commit(announcement->group);
    if (error == AVAHI_ERR_COLLISION)
        choose_alternative(announcement);
    else if (error != 0)
        fail(announcement, error);
}

/* ---- the daemon ---- */

/* The host's name is on its way, perhaps to another: what was announced pointed to the old one. */
static void withdraw(struct announcement *announcement) {
    announcement->register_ns = 0;
    announcement->name[0] = '\0';
    tell_reason(announcement, AVAHI_REASON_SETTLING);
    if (announcement->group != NULL)
        (void)announcement->library.avahi_entry_group_reset(announcement->group);
}

static void be_ready(struct announcement *announcement) {
    bool is_first = announcement->group == NULL;
    announcement->register_ns = is_first ? clock_now_ns() : after_setback(announcement);
}

/* Comes for the first time from within avahi_client_new(). What takes calls of its own is left to
 * the loop. */
static void on_client(AvahiClient *client, AvahiClientState state, void *context) {
    struct announcement *announcement = context;
    announcement->client = client;
    if (state == AVAHI_CLIENT_S_RUNNING)
        be_ready(announcement);
    else if (state == AVAHI_CLIENT_S_REGISTERING || state == AVAHI_CLIENT_S_COLLISION)
        withdraw(announcement);
    else if (state == AVAHI_CLIENT_CONNECTING)
        tell_error(announcement, AVAHI_ERR_NO_DAEMON);
    else if (state == AVAHI_CLIENT_FAILURE)
        fail(announcement, announcement->library.avahi_client_errno(client));
}

static void on_line(AvahiWatch *watch, int line, AvahiWatchEvent events, void *context) {
    struct announcement *announcement = context;
    (void)watch;
    (void)line;
    (void)events;
    announcement->is_over = true;
}

static int milliseconds_until(uint64_t then_ns) {
    uint64_t now = clock_now_ns();
    return then_ns > now ? (int)((then_ns - now) / CLOCK_NS_A_MILLISECOND) + 1 : 0;
}

/* Until the client fails, or all is over. */
static void serve_client(struct announcement *announcement) {
    while (!announcement->has_failed && !announcement->is_over) {
        uint64_t then = announcement->register_ns;
        if (then != 0 && clock_now_ns() >= then)
            register_services(announcement);
        else if (announcement->library.avahi_simple_poll_iterate(
                     announcement->poll, then != 0 ? milliseconds_until(then) : -1) != 0)
            fail(announcement, AVAHI_ERR_OS);
    }
}

/* One connection to D-Bus, from its beginning to its end. */
static void hold_client(struct announcement *announcement) {
    const struct library *library = &announcement->library;
    int error = 0;
    announcement->has_failed = false;
    announcement->group = NULL;
    announcement->register_ns = 0;
    announcement->name[0] = '\0';
    const AvahiPoll *api = library->avahi_simple_poll_get(announcement->poll);
    announcement->client =
        library->avahi_client_new(api, AVAHI_CLIENT_NO_FAIL, on_client, announcement, &error);
    if (announcement->client == NULL) {
        tell_error(announcement, error);
        return;
    }
    serve_client(announcement);
    library->avahi_client_free(announcement->client);
}

static void wait_a_while(struct announcement *announcement) {
    struct pollfd line = {.fd = announcement->line, .events = POLLIN};
    int milliseconds = milliseconds_until(after_setback(announcement));
    announcement->is_over = poll(&line, 1, milliseconds) > 0;
}

/* A poll of its own for each client: what a failed one has left in it goes with it. */
static void try_once(struct announcement *announcement) {
    const struct library *library = &announcement->library;
    announcement->poll = library->avahi_simple_poll_new();
    if (announcement->poll == NULL)
        return;
    const AvahiPoll *api = library->avahi_simple_poll_get(announcement->poll);
    if (api->watch_new(api, announcement->line, AVAHI_WATCH_IN, on_line, announcement) != NULL)
        hold_client(announcement);
    library->avahi_simple_poll_free(announcement->poll);
}

void avahi_announce(const struct avahi_plan *plan, int line,
                    void (*teller)(void *context, const struct avahi_news *news), void *context) {
    struct announcement announcement = {
        .plan = plan, .line = line, .tell = teller, .context = context};
    if (!load(&announcement.library)) {
        tell_reason(&announcement, AVAHI_REASON_LIBRARY);
        return;
    }
    while (!announcement.is_over) {
        try_once(&announcement);
        if (!announcement.is_over)
            wait_a_while(&announcement);
    }
}
