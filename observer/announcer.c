#include "announcer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "plain.h"
#include "service/say.h"
#include "thread.h"

/* The thread's alone, from its start on. */
struct worker {
    int line; /* closed by the other side: the end */
    struct avahi_plan plan;
};

struct announcer {
    int line; /* closed by the thread, last of all; -1: there is none */
    pthread_t thread;
    uv_poll_t poll;
    struct avahi_news news;
    bool has_news; /* of the thread's */
    bool quiet;
    unsigned port;
    void (*named)(void *context, const char *host);
    void *context;
};

/* ---- the thread ---- */

/* May wait, but for the loop alone, which reads all the time. */
static void send_news(void *context, const struct avahi_news *news) {
    const struct worker *worker = context;
    (void)send(worker->line, news, sizeof *news, MSG_NOSIGNAL);
}

static void *run(void *context) {
    struct worker *worker = context;
    int line = worker->line;
    avahi_announce(&worker->plan, line, send_news, worker);
    free(worker);
    (void)close(line);
    return NULL;
}

/* ---- what is said ---- */

struct avahi_news announcer_view(const struct announcer *announcer) {
    static const struct avahi_news off = {.reason = ANNOUNCER_REASON_OFF};
    return announcer != NULL ? announcer->news : off;
}

static void encode_text(struct text *text, const char *bytes) {
    if (bytes[0] != '\0')
        text_json_string(text, bytes, strlen(bytes));
    else
        text_string(text, "null");
}

void announcer_encode(struct text *text, const struct announcer *announcer) {
    struct avahi_news news = announcer_view(announcer);
    text_string(text, "{\"name\":");
    encode_text(text, news.name);
    text_string(text, ",\"host\":");
    encode_text(text, news.host);
    text_string(text, ",\"reason\":");
    encode_text(text, news.reason);
    text_string(text, "}");
}

static void say_news(const struct avahi_news *news, unsigned port) {
    struct text text;
    text_open(&text, 0);
    if (news->reason[0] == '\0') {
        text_string(&text, "announced on the network as \"");
        plain_append(&text, news->name, strlen(news->name));
        text_string(&text, "\": http://");
        plain_append(&text, news->host, strlen(news->host));
        text_format(&text, ":%u/", port);
    } else {
        text_string(&text, "not announced on the network: ");
        plain_append(&text, news->reason, strlen(news->reason));
    }
    if (!text.failed)
        say(SAY_INFO, "%.*s", (int)text.length, text_bytes(&text));
    text_close(&text);
}

/* ---- the loop's side ---- */

static void take(struct announcer *announcer, const struct avahi_news *news) {
    bool has_other_host = strcmp(announcer->news.host, news->host) != 0;
    bool is_worth_saying = !announcer->has_news || strcmp(announcer->news.name, news->name) != 0;
    announcer->news = *news;
    announcer->has_news = true;
    if (has_other_host && announcer->named != NULL)
        announcer->named(announcer->context, announcer->news.host);
    if (is_worth_saying && !announcer->quiet)
        say_news(&announcer->news, announcer->port);
}

static void on_line(uv_poll_t *poll, int status, int events) {
    struct announcer *announcer = poll->data;
    struct avahi_news news;
    ssize_t bytes = recv(announcer->line, &news, sizeof news, MSG_DONTWAIT);
    (void)events;
    if (bytes == (ssize_t)sizeof news)
        take(announcer, &news);
    else if (status < 0 || bytes == 0)
        (void)uv_poll_stop(poll); /* the thread had nothing to do */
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

static struct worker *make_worker(const struct announcer_options *options, int line) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->line = line;
    worker->plan.reaches = options->reaches;
    if (options->name != NULL)
        (void)snprintf(worker->plan.name, sizeof worker->plan.name, "%s", options->name);
    return worker;
}

static int start_thread(struct announcer *announcer, const struct announcer_options *options,
                        int line) {
    struct worker *worker = make_worker(options, line);
    int error = worker != NULL ? thread_start(&announcer->thread, run, worker) : -ENOMEM;
    if (error < 0)
        free(worker);
    return error;
}

/* Owns `announcer`. */
static int start(struct announcer *announcer, uv_loop_t *loop,
                 const struct announcer_options *options) {
    int ends[2];
    int error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
    if (error < 0)
        goto no_line;
    announcer->line = ends[0];
    error = uv_poll_init(loop, &announcer->poll, announcer->line);
    if (error < 0)
        goto no_poll;
    announcer->poll.data = announcer;
    error = uv_poll_start(&announcer->poll, UV_READABLE, on_line);
    if (error == 0)
        error = start_thread(announcer, options, ends[1]);
    if (error == 0)
        return 0;
    uv_close((uv_handle_t *)&announcer->poll, on_closed);
    announcer = NULL;
no_poll:
    (void)close(ends[0]);
    (void)close(ends[1]);
no_line:
    free(announcer);
    return error;
}

static const char *first_reason(const struct announcer_options *options) {
    if (!options->on)
        return ANNOUNCER_REASON_OFF;
    return options->reaches.count > 0 ? ANNOUNCER_REASON_EARLY : ANNOUNCER_REASON_ALONE;
}

int announcer_open(struct announcer **announcer, uv_loop_t *loop,
                   const struct announcer_options *options) {
    bool is_wanted = options->on && options->reaches.count > 0;
    struct announcer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    *made = (struct announcer){.line = -1,
                               .quiet = options->quiet,
                               .port = is_wanted ? options->reaches.items[0].port : 0,
                               .named = options->named,
                               .context = options->context};
    (void)snprintf(made->news.reason, sizeof made->news.reason, "%s", first_reason(options));
    int error = is_wanted ? start(made, loop, options) : 0;
    if (error == 0)
        *announcer = made;
    return error;
}

/* The thread closes its end last of all. */
static bool wait_for_end(int line_) {
    uint64_t end_ns = clock_now_ns() + ANNOUNCER_STOP_MS * CLOCK_NS_A_MILLISECOND;
    struct pollfd line = {.fd = line_, .events = POLLIN};
    for (uint64_t now = clock_now_ns(); now < end_ns; now = clock_now_ns()) {
        struct avahi_news news;
        if (poll(&line, 1, (int)((end_ns - now) / CLOCK_NS_A_MILLISECOND) + 1) > 0 &&
            recv(line_, &news, sizeof news, MSG_DONTWAIT) == 0)
            return true;
    }
    return false;
}

bool announcer_close(struct announcer *announcer) {
    if (announcer == NULL)
        return true;
    if (announcer->line < 0) {
        free(announcer);
        return true;
    }
    (void)uv_poll_stop(&announcer->poll);
    (void)shutdown(announcer->line, SHUT_WR);
    bool is_over = wait_for_end(announcer->line);
    if (!is_over)
        say(SAY_WARNING, "D-Bus does not answer: the thread that announces is left behind");
    (void)(is_over ? pthread_join(announcer->thread, NULL) : pthread_detach(announcer->thread));
    uv_close((uv_handle_t *)&announcer->poll, on_closed);
    (void)close(announcer->line);
    return is_over;
}
