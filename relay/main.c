/*
 * main.c - omni-relay: options, start and stop
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "capabilities.h"
#include "config.h"
#include "legacy.h"
#include "options.h"
#include "router.h"
#include "service/notify.h"
#include "service/say.h"
#include "service/standard.h"

enum { EXIT_STOPPED = 0, EXIT_BROKEN = 1, EXIT_REFUSED = 2 };

enum {
    STOP_SIGNALS = 2,
    RETRY_MS = 100, /* until the service manager has room for the news */
    NS_A_MS = 1000000
};

/* Everything that runs, from start to stop. */
struct session {
    const struct options *options;
    struct routes routes;
    struct link *link;
    struct directory *directory;
    struct omni_publisher *publisher;
    struct router router;
    struct notify notify;
    uv_loop_t loop;
    uv_signal_t stops[STOP_SIGNALS];
    uv_timer_t feed;
    struct omni_problem problem; /* why a part could not be opened */
};

/* ---- the service manager ---- */

static void on_feed(uv_timer_t *timer) {
    struct session *session = timer->data;
    if (!notify_ready(&session->notify))
        return;
    notify_feed(&session->notify);
    if (session->notify.watchdog_ns == 0)
        (void)uv_timer_stop(timer);
}

/* From the loop itself: one that hangs feeds nothing. No timer runs where nobody wants to be told. */
static int say_ready(struct session *session) {
    const struct options *options = session->options;
    uint64_t every_ms = session->notify.watchdog_ns / 2 / NS_A_MS;
    notify_describe(&session->notify, "%zu routes between %s and %s", session->routes.count,
                    options->interface, session->routes.directory);
    bool was_said = notify_ready(&session->notify);
    if (was_said && every_ms == 0)
        return 0;
    return uv_timer_start(&session->feed, on_feed, was_said ? every_ms : RETRY_MS,
                          every_ms > 0 ? every_ms : RETRY_MS);
}

/* ---- the parts, in the order in which they need each other ---- */

static int open_notify(struct session *session) {
    struct omni_problem problem;
    if (notify_open(&session->notify, &problem) < 0)
        say(SAY_WARNING, "%s", problem.text);
    return 0;
}

static int open_link(struct session *session) {
    struct link_options how = {.interface = session->options->interface,
                               .ethertype = session->routes.ethertype};
    memcpy(how.destination, session->routes.destination, sizeof how.destination);
    int error = capabilities_raise(&session->problem);
    return error < 0 ? error : link_open(&session->link, &how, &session->problem);
}

/* All that comes after has no more rights than the files' permissions give: also what is made at the
 * start fails there, and not later. */
static int drop_capabilities(struct session *session) {
    (void)session;
    return capabilities_drop();
}

static int open_publisher(struct session *session) {
    const struct omni_publisher_options how = {.directory = session->options->directory};
    return omni_publisher_open(&session->publisher, session->options->name, relay_status_schema(),
                               &how, &session->problem);
}

static int open_directory(struct session *session) {
    return directory_open(&session->directory, &session->routes, &session->problem);
}

static void on_stop(uv_signal_t *handle, int number) {
    (void)number;
    uv_stop(handle->loop);
}

static int watch_signals(struct session *session) {
    static const int numbers[STOP_SIGNALS] = {SIGINT, SIGTERM};
    int error = 0;
    for (size_t i = 0; i < STOP_SIGNALS && error == 0; i++) {
        error = uv_signal_init(&session->loop, &session->stops[i]);
        if (error == 0)
            error = uv_signal_start(&session->stops[i], on_stop, numbers[i]);
    }
    session->feed.data = session;
    return error < 0 ? error : uv_timer_init(&session->loop, &session->feed);
}

static int start_router(struct session *session) {
    router_open(&session->router, &session->routes, session->link, session->directory,
                session->publisher);
    return router_start(&session->router, &session->loop);
}

static const struct {
    const char *name;
    int (*open)(struct session *session);
} parts[] = {
    {"the service manager's line", open_notify},
    {"the link", open_link},
    {"to work without capabilities", drop_capabilities},
    {"the status", open_publisher},
    {"the directory", open_directory},
    {"signals", watch_signals},
    {"the routes", start_router},
};

static int open_parts(struct session *session) {
    int error = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && error == 0; i++) {
        error = parts[i].open(session);
        if (error < 0 && session->problem.text[0] != '\0')
            say(SAY_ERROR, "%s", session->problem.text);
        else if (error < 0)
            say(SAY_ERROR, "cannot start %s: %s", parts[i].name, strerror(-error));
    }
    return error;
}

/* ---- running ---- */

/* Those of link and directory close theirs. */
static void close_own(uv_handle_t *handle, void *context) {
    (void)context;
    if ((handle->type == UV_SIGNAL || handle->type == UV_TIMER) && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_parts(struct session *session) {
    link_close(session->link);
    directory_close(session->directory);
    uv_walk(&session->loop, close_own, NULL);
    (void)uv_run(&session->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&session->loop);
    omni_publisher_close(session->publisher);
    notify_close(&session->notify);
}

static int run_loop(struct session *session) {
    const struct relay_status *status = &session->router.status;
    int error = say_ready(session);
    if (error < 0)
        return EXIT_BROKEN;
    say(SAY_INFO, "Relay \"%s\" runs: %zu routes between %s and %s, process %ld.",
        session->options->name, session->routes.count, session->options->interface,
        session->routes.directory, (long)getpid());
    (void)uv_run(&session->loop, UV_RUN_DEFAULT);
    notify_stopping(&session->notify);
    say(SAY_INFO,
        "Relay \"%s\" stopped: frames %llu in, %llu out; files %llu in, %llu out; %llu errors.",
        session->options->name, (unsigned long long)status->frames_in,
        (unsigned long long)status->frames_out, (unsigned long long)status->files_in,
        (unsigned long long)status->files_out, (unsigned long long)status->errors);
    return EXIT_STOPPED;
}

static int run(struct session *session) {
    int error = uv_loop_init(&session->loop);
    if (error < 0) {
        say(SAY_ERROR, "cannot make an event loop: %s", strerror(-error));
        return EXIT_REFUSED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int status = open_parts(session) < 0 ? EXIT_REFUSED : run_loop(session);
    close_parts(session);
    return status;
}

static int read_routes(struct session *session) {
    const struct options *options = session->options;
    int error = options->config != NULL
                    ? config_read(&session->routes, options->config, &session->problem)
                    : legacy_read(&session->routes, options->legacy, &session->problem);
    if (error < 0)
        say(SAY_ERROR, "%s", session->problem.text);
    return error;
}

static int obey(const struct options *options) {
    struct session session = {.options = options, .notify = {.socket = -1, .ready_fd = -1}};
    int status = EXIT_STOPPED;
    if (read_routes(&session) < 0)
        return EXIT_REFUSED;
    if (options->dry_run)
        routes_print(&session.routes, options->interface, stdout);
    else
        status = run(&session);
    routes_free(&session.routes);
    return status;
}

int main(int argc, char **argv) {
    struct options options;
    struct omni_problem problem;
    if (standard_keep() < 0)
        return EXIT_BROKEN; /* there is nowhere to say it */
    if (options_parse(&options, argc, argv, &problem) < 0) {
        say(SAY_ERROR, "%s", problem.text);
        return EXIT_REFUSED;
    }
    if (options.help)
        options_print_help(stdout);
    else if (options.version)
        (void)puts("omni-relay " OMNI_VERSION);
    else
        return obey(&options);
    return fflush(stdout) == 0 ? EXIT_STOPPED : EXIT_BROKEN;
}
