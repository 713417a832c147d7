#include "serve.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <omni/guard.h>

#include "access.h"
#include "announcer.h"
#include "command.h"
#include "door.h"
#include "host_source.h"
#include "http.h"
#include "hub.h"
#include "inherited.h"
#include "ivshmem.h"
#include "links.h"
#include "machines.h"
#include "service/notify.h"
#include "service/say.h"
#include "sources.h"
#include "speaker.h"
#include "trim.h"

enum {
    STOP_SIGNALS = 2,
    FILES_LEAST = 32,
    FILES_BESIDE = 128, /* listeners, timers, libraries, and room to spare */
    TRIM_MS = 3000,     /* after the start, when the first page has been served */
    RETRY_MS = 100,     /* until the service manager has room for the news */
    NS_A_MS = 1000000,
    ADDRESS_BYTES = 128
};

struct serve {
    const struct options *options;
    struct access access;
    struct door *door;
    uv_loop_t loop;
    uv_signal_t stops[STOP_SIGNALS];
    uv_timer_t trim;
    uv_timer_t feed;
    struct notify notify;
    struct hub *hub;
    struct speaker *speaker;
    struct machines *machines;
    struct host_source *host;
    struct announcer *announcer;
    struct sources *sources;
    struct http *http;
    struct omni_problem problem; /* why a part could not be opened, where it says so */
};

/* ---- who must show the token ---- */

int serve_needs_token(bool *needs, const struct options *options, const char *open_address,
                      struct omni_problem *problem) {
    if (options->require_token == OPTIONS_TOKEN_NEVER && open_address != NULL) {
        (void)snprintf(problem->text, sizeof problem->text,
                       "--require-token never would show the robots to the whole network at %s; "
                       "leave it out, or listen on 127.0.0.1",
                       open_address);
        return -EINVAL;
    }
    *needs = options->require_token == OPTIONS_TOKEN_ALWAYS ||
             (options->require_token == OPTIONS_TOKEN_AUTO &&
              (open_address != NULL || options->allow_host.count > 0));
    return 0;
}

void serve_explain_token(struct omni_problem *problem, const char *path, int error) {
    static const struct {
        int error;
        const char *sentence; /* after "the token file PATH" */
    } known[] = {
        {-EPERM, "is another user's, or others may read it; chmod 600 it, or remove it"},
        {-EBADMSG, "holds no token (43 letters, digits, - and _); remove it: a new one is made"},
        {-EISDIR, "is a directory; name a file in it: --token-file DIR/token"},
        {-EINVAL, "is no plain file; choose another: --token-file FILE"},
        {-ELOOP, "is a symbolic link; name the file itself: --token-file FILE"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].error == error) {
            (void)snprintf(problem->text, sizeof problem->text, "the token file %.140s %s", path,
                           known[i].sentence);
            return;
        }
    }
    (void)snprintf(problem->text, sizeof problem->text,
                   "cannot use the token file %.140s: %s; choose another: --token-file FILE", path,
                   strerror(-error));
}

static int load_token(struct serve *serve, struct omni_problem *problem) {
    char address[ADDRESS_BYTES];
    bool needs = false;
    bool is_open = door_open_address(serve->door, address, sizeof address);
    int error = serve_needs_token(&needs, serve->options, is_open ? address : NULL, problem);
    if (error < 0 || !needs)
        return error;
    error = access_token_load(serve->access.token, serve->options->token_file);
    if (error < 0)
        serve_explain_token(problem, serve->options->token_file, error);
    return error;
}

/* ---- the process ---- */

size_t serve_files(const struct options *options) {
    return options->max_clients * 5 / 4 + options->max_requests * 2 + SOURCES_MAX * 4 +
           FILES_BESIDE + options->ivshmem.count * (3 + 2 * IVSHMEM_GUESTS_MAX);
}

/* As many descriptors as the options can need, and no more: libwebsockets sets memory aside for
 * each that is allowed. With less than a few, libraries do not fail but fall: libuv aborts. */
static int limit_files(const struct options *options, struct omni_problem *problem) {
    struct rlimit files;
    rlim_t needed = serve_files(options);
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return 0;
    files.rlim_cur = needed < files.rlim_max ? needed : files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= FILES_LEAST)
        return 0;
    (void)snprintf(problem->text, sizeof problem->text,
                   "only %lu open files are allowed, and %u are needed at the very least; type: "
                   "ulimit -Hn 4096",
                   (unsigned long)files.rlim_cur, (unsigned)FILES_LEAST);
    return -EMFILE;
}

static void prepare_process(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    int error = omni_guard_install();
    if (error < 0)
        say(SAY_WARNING, "a segment that is truncated while it is read will end this: %s",
            strerror(-error));
}

static void on_stop(uv_signal_t *handle, int number) {
    (void)number;
    uv_stop(handle->loop);
}

static int watch_signals(struct serve *serve) {
    static const int numbers[STOP_SIGNALS] = {SIGINT, SIGTERM};
    int error = 0;
    for (size_t i = 0; i < STOP_SIGNALS && error == 0; i++) {
        error = uv_signal_init(&serve->loop, &serve->stops[i]);
        if (error == 0)
            error = uv_signal_start(&serve->stops[i], on_stop, numbers[i]);
    }
    return error;
}

static void on_trim(uv_timer_t *timer) {
    (void)timer;
    trim_read_only_pages();
}

static int plan_trim(struct serve *serve) {
    int error = uv_timer_init(&serve->loop, &serve->trim);
    return error < 0 ? error : uv_timer_start(&serve->trim, on_trim, TRIM_MS, 0);
}

/* ---- the service manager ---- */

static void open_notify(struct serve *serve) {
    struct omni_problem problem;
    if (notify_open(&serve->notify, &problem) < 0)
        say(SAY_WARNING, "%s", problem.text);
}

static void on_feed(uv_timer_t *timer) {
    struct serve *serve = timer->data;
    if (!notify_ready(&serve->notify))
        return;
    notify_feed(&serve->notify);
    if (serve->notify.watchdog_ns == 0)
        (void)uv_timer_stop(timer);
}

/* From the loop itself: one that hangs feeds nothing. */
static int say_ready(struct serve *serve) {
    char address[ADDRESS_BYTES] = "nowhere";
    uint64_t every_ms = serve->notify.watchdog_ns / 2 / NS_A_MS;
    (void)door_address(serve->door, 0, address, sizeof address);
    notify_describe(&serve->notify, "answers at %s", address);
    bool was_said = notify_ready(&serve->notify);
    if (was_said && every_ms == 0)
        return 0;
    return uv_timer_start(&serve->feed, on_feed, was_said ? every_ms : RETRY_MS,
                          every_ms > 0 ? every_ms : RETRY_MS);
}

static int plan_feed(struct serve *serve) {
    serve->feed.data = serve;
    return uv_timer_init(&serve->loop, &serve->feed);
}

/* ---- the links ---- */

struct printed {
    char for_phone[LINKS_BYTES]; /* the first link that is not loopback; "" : none */
};

static void print_link(void *context, const char *link, bool is_loopback) {
    struct printed *printed = context;
    (void)printf("%s\n", link);
    if (!is_loopback && printed->for_phone[0] == '\0')
        (void)snprintf(printed->for_phone, sizeof printed->for_phone, "%s", link);
}

static void print_qr(const char *link) {
    struct text text;
    text_open(&text, 0);
    if (links_qr(&text, link) == 0)
        (void)fwrite(text_bytes(&text), 1, text.length, stdout);
    text_close(&text);
}

static void print_links(const struct serve *serve) {
    struct printed printed = {.for_phone = ""};
    char address[ADDRESS_BYTES];
    if (serve->options->quiet)
        return;
    for (size_t i = 0; door_address(serve->door, i, address, sizeof address); i++)
        (void)links_each(address, serve->access.token, print_link, &printed);
    bool guarded = serve->access.token[0] != '\0';
    if (guarded && printed.for_phone[0] != '\0' && isatty(STDOUT_FILENO) == 1)
        print_qr(printed.for_phone);
    (void)fflush(stdout);
}

/* ---- wiring ---- */

static int listen_at(struct serve *serve, struct omni_problem *problem) {
    const struct options *options = serve->options;
    int inherited = inherited_take(problem);
    if (inherited < 0)
        return inherited;
    struct door_options how = {.listen = options->listen.items,
                               .inherited = INHERITED_FIRST,
                               .inherited_count = (size_t)inherited,
                               .undecided_max = options->max_requests,
                               .header_seconds = options->header_timeout};
    int error = door_listen(&serve->door, &how, problem);
    char address[ADDRESS_BYTES];
    if (error == 0 && door_address(serve->door, 0, address, sizeof address))
        access_open(&serve->access, options->allow_host.items,
                    (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10));
    return error;
}

static int open_hub(struct serve *serve) {
    const struct options *options = serve->options;
    struct hub_options how = {.clients_max = options->max_clients,
                              .message_bytes_max = options->max_message,
                              .backlog_bytes_max = options->backlog,
                              .blocked_seconds = options->blocked_timeout,
                              .handshake_seconds = options->header_timeout,
                              .ping_seconds = options->ping_interval};
    return hub_open(&serve->hub, &serve->loop, &how, &serve->access);
}

static int open_speaker(struct serve *serve) {
    const struct options *options = serve->options;
    struct speaker_options how = {
        .player = {.device = options->sound_device,
                   .directory = options->sound_dir,
                   .volume = (float)options->sound_volume / 100,
                   .seed = uv_hrtime()},
        .rules = {options->sound_interval.low, options->sound_interval.high},
        .on = options->sound};
    int error = speaker_open(&serve->speaker, &serve->loop, &how);
    if (error == 0)
        hub_attach_speaker(serve->hub, serve->speaker);
    return error;
}

static int open_machines(struct serve *serve) {
    const struct options *options = serve->options;
    struct machines_options how = {.sockets = options->ivshmem.items,
                                   .count = options->ivshmem.count,
                                   .directory = options->directory,
                                   .bytes = options->ivshmem_size,
                                   .use_bells = options->ivshmem_wait == OPTIONS_IVSHMEM_BELL};
    return machines_open(&serve->machines, &serve->loop, &how, &serve->problem);
}

/* Whoever wants to see robots is not kept from it by what is said here. */
static int open_host(struct serve *serve) {
    const struct options *options = serve->options;
    const char *name = options->host_source.name;
    struct host_source_options how = {.name = name != NULL ? name : HOST_SOURCE_NAME,
                                      .directory = options->directory,
                                      .root = options->host_root};
    struct omni_problem problem;
    if (options->host_source.on && host_source_open(&serve->host, &how, &problem) < 0)
        say(SAY_WARNING, "host source: %s", problem.text);
    return 0;
}

static int open_sources(struct serve *serve) {
    const struct options *options = serve->options;
    struct sources_options how = {.directory = options->directory,
                                  .trusted = options->trust.items,
                                  .trusted_count = options->trust.count,
                                  .history_bytes = options->history,
                                  .regions = options->region.items,
                                  .region_count = options->region.count,
                                  .host_hash = host_source_hash()};
    how.bells = machines_bells(serve->machines, &how.bell_count);
    struct sources_listener listener = speaker_listener(serve->speaker, hub_listener(serve->hub));
    int error = sources_open(&serve->sources, &serve->loop, &how, &listener);
    if (error < 0)
        return error;
    machines_attach(serve->machines, serve->sources);
    hub_attach(serve->hub, serve->sources);
    return error;
}

static void on_named(void *context, const char *host) {
    access_announce(context, host);
}

static int open_announcer(struct serve *serve) {
    const struct options *options = serve->options;
    struct announcer_options how = {.on = options->announce.on,
                                    .name = options->announce.name,
                                    .quiet = options->quiet,
                                    .named = on_named,
                                    .context = &serve->access};
    for (size_t i = 0; door_socket(serve->door, i) >= 0; i++)
        (void)reach_add(&how.reaches, door_socket(serve->door, i));
    return announcer_open(&serve->announcer, &serve->loop, &how);
}

static int open_http(struct serve *serve) {
    struct http_options how = {.connections_max = serve->options->max_requests,
                               .header_seconds = serve->options->header_timeout,
                               .idle_seconds = serve->options->idle_timeout,
                               .announcer = serve->announcer};
    return http_open(&serve->http, &serve->loop, &how, serve->sources, serve->hub, &serve->access);
}

static int open_door(struct serve *serve) {
    return door_open(serve->door, &serve->loop, serve->http, serve->hub);
}

/* In the order in which they need each other; closed in the other order. */
static const struct {
    const char *name;
    int (*open)(struct serve *serve);
} parts[] = {
    {"signals", watch_signals},
    {"a timer", plan_trim},
    {"the watchdog's timer", plan_feed},
    {"the WebSocket side", open_hub},
    {"the speaker", open_speaker},
    {"the shared memory", open_machines},
    {"the host source", open_host},
    {"sources", open_sources},
    {"the announcement", open_announcer},
    {"the HTTP side", open_http},
    {"the door", open_door},
};

static int open_parts(struct serve *serve) {
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int error = parts[i].open(serve);
        if (error < 0 && serve->problem.text[0] != '\0')
            say(SAY_ERROR, "%s", serve->problem.text);
        else if (error < 0)
            say(SAY_ERROR, "cannot start %s: %s", parts[i].name, strerror(-error));
        if (error < 0)
            return error;
    }
    return 0;
}

/* The parts close their own. */
static void close_own(uv_handle_t *handle, void *context) {
    const struct serve *serve = context;
    bool is_own = handle->type == UV_SIGNAL || handle == (const uv_handle_t *)&serve->trim ||
                  handle == (const uv_handle_t *)&serve->feed;
    if (is_own && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The hub before speaker and host: nobody's goodbye waits for a device. Returns whether all threads
 * have ended. */
static bool close_parts(struct serve *serve) {
    door_close(serve->door);
    http_close(serve->http);
    hub_close(serve->hub);
    bool is_alone = speaker_close(serve->speaker);
    is_alone = host_source_close(serve->host) && is_alone;
    is_alone = announcer_close(serve->announcer) && is_alone;
    machines_close(serve->machines);
    sources_close(serve->sources);
    uv_walk(&serve->loop, close_own, serve);
    (void)uv_run(&serve->loop, UV_RUN_DEFAULT);
    int error = uv_loop_close(&serve->loop);
    if (error < 0)
        say(SAY_ERROR, "the loop could not be closed: %s", uv_strerror(error));
    return is_alone;
}

static int run(struct serve *serve) {
    int error = uv_loop_init(&serve->loop);
    if (error < 0) {
        say(SAY_ERROR, "cannot start the event loop: %s", uv_strerror(error));
        door_close(serve->door);
        return EXIT_RUNTIME;
    }
    error = open_parts(serve);
    if (error == 0) {
        print_links(serve);
        error = say_ready(serve);
    }
    if (error == 0) {
        (void)uv_run(&serve->loop, UV_RUN_DEFAULT);
        notify_stopping(&serve->notify);
    }
    int code = error == 0 ? EXIT_DONE : serve->problem.text[0] != '\0' ? EXIT_USAGE : EXIT_RUNTIME;
    notify_close(&serve->notify);
    if (!close_parts(serve)) {
        (void)fflush(NULL);
        _exit(code); /* a thread is still inside libraries that exit() would take down */
    }
    return code;
}

static int check_directory(const char *path, const char *option, struct omni_problem *problem) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        int error = -errno;
        (void)snprintf(problem->text, sizeof problem->text,
                       "cannot read the directory %.150s: %s; choose another: --%s DIR", path,
                       strerror(-error), option);
        return error;
    }
    (void)closedir(directory);
    return 0;
}

int command_serve(const struct options *options) {
    struct serve serve = {.options = options};
    struct omni_problem problem = {.text = ""};
    prepare_process();
    open_notify(&serve);
    int error = limit_files(options, &problem);
    if (error == 0)
        error = check_directory(options->directory, "directory", &problem);
    if (error == 0 && options->sound_dir != NULL)
        error = check_directory(options->sound_dir, "sound-dir", &problem);
    if (error == 0 && options->host_source.on)
        error = check_directory(options->host_root, "host-root", &problem);
    if (error == 0)
        error = listen_at(&serve, &problem);
    if (error == 0)
        error = load_token(&serve, &problem);
    if (error < 0) {
        say(SAY_ERROR, "%s", problem.text);
        door_close(serve.door);
        return EXIT_USAGE;
    }
    return run(&serve);
}
