#include "hub_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "catalog.h"
#include "handshake.h"
#include "service/say.h"
#include "stream.h"

enum {
    HEADER_BYTES = 4096,   /* libwebsockets takes no more of all headers together */
    RECEIVE_BYTES = 512,   /* kept for each client; longer messages come in pieces */
    FRAME_BYTES = 1 << 20, /* written in one go, if the socket takes it */
    ENDING_MAX = 512,      /* sockets: more than the door lets in during a turn of the loop */
    TURN_TO_CLOSE = 3,     /* of the loop, after hub_close() */
    TURN_TO_FREE = 6
};

/* ---- refusing ---- */

/* The header's text in `buffer`, or NULL where there is none. */
static const char *header(struct lws *wsi, enum lws_token_indexes token, char *buffer) {
    return lws_hdr_copy(wsi, buffer, HEADER_BYTES, token) > 0 ? buffer : NULL;
}

/* Whether it is there, empty or not; `number` 1: a second time. */
static bool has_header(struct lws *wsi, enum lws_token_indexes token, int number) {
    char buffer[HEADER_BYTES];
    return lws_hdr_copy_fragment(wsi, buffer, sizeof buffer, token, number) >= 0;
}

static const char *origin_of(struct lws *wsi, char *buffer) {
    const char *origin = header(wsi, WSI_TOKEN_ORIGIN, buffer);
    return origin == NULL && has_header(wsi, WSI_TOKEN_ORIGIN, 0) ? "" : origin;
}

static void write_answer(struct lws *wsi, const struct handshake_answer *answer) {
    char buffer[LWS_PRE + 1024];
    char *text = buffer + LWS_PRE;
    int length = snprintf(text, sizeof buffer - LWS_PRE,
                          "HTTP/1.1 %u %s\r\n%sConnection: close\r\nContent-Type: text/plain; "
                          "charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s\n",
                          answer->status, answer->reason, answer->headers, strlen(answer->text) + 1,
                          answer->text);
    lws_write(wsi, (unsigned char *)text, (size_t)length, LWS_WRITE_HTTP_HEADERS);
}

static struct handshake_answer judge(const struct hub *hub, struct lws *wsi) {
    char upgrade[HEADER_BYTES], connection[HEADER_BYTES], version[HEADER_BYTES];
    char key[HEADER_BYTES], protocols[HEADER_BYTES], host[HEADER_BYTES];
    char origin[HEADER_BYTES], cookie[HEADER_BYTES], authorization[HEADER_BYTES];
    struct handshake handshake = {
        .upgrade = header(wsi, WSI_TOKEN_UPGRADE, upgrade),
        .connection = header(wsi, WSI_TOKEN_CONNECTION, connection),
        .version = header(wsi, WSI_TOKEN_VERSION, version),
        .key = header(wsi, WSI_TOKEN_KEY, key),
        .protocols = header(wsi, WSI_TOKEN_PROTOCOL, protocols),
        .access = {.host = header(wsi, WSI_TOKEN_HOST, host),
                   .origin = origin_of(wsi, origin),
                   .cookie = header(wsi, WSI_TOKEN_HTTP_COOKIE, cookie),
                   .authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, authorization),
                   .has_two_hosts = has_header(wsi, WSI_TOKEN_HOST, 1)},
        .is_full = hub->figures.clients >= hub->options.clients_max,
    };
    return handshake_judge(&handshake, hub->access);
}

/* ---- what libwebsockets tells: one function per reason ---- */

struct callback {
    struct hub *hub;
    struct lws *wsi;
    struct client *client; /* NULL before the upgrade, and once it has left */
    struct client *memory; /* where the client lives, or is going to */
    const char *bytes;
    size_t length;
    void *in; /* the bytes, or what else the reason comes with */
    uint64_t now_ns;
};

/* It became a client, or it is gone. */
static void end_handshake(struct hub *hub, const struct lws *wsi) {
    unsigned at = 0;
    while (at < hub->handshake_count && hub->handshakes[at].wsi != wsi)
        at++;
    if (at == hub->handshake_count)
        return;
    hub->handshake_count--;
    memmove(&hub->handshakes[at], &hub->handshakes[at + 1],
            (hub->handshake_count - at) * sizeof hub->handshakes[0]);
}

/* Since 4.4 libwebsockets has connections of its own that come to an end here. */
static int on_socket_gone(const struct callback *call) {
    if (lws_get_opaque_user_data(call->wsi) != call->hub)
        return 0;
    end_handshake(call->hub, call->wsi);
    call->hub->sockets--;
    return 0;
}

#if LWS_LIBRARY_VERSION_NUMBER >= 4004000
/* 4.4.0 to 4.4.4 do not end the line before, where no subprotocol is named: no client would
 * understand the answer. */
static int on_headers(const struct callback *call) {
    static const char line_end[] = "\r\n";
    struct lws_process_html_args *answer = call->in;
    if (answer->p[-1] == '\n' || answer->max_len < (int)sizeof line_end)
        return 0;
    memcpy(answer->p, line_end, sizeof line_end - 1);
    answer->p += sizeof line_end - 1;
    return 0;
}
#endif

/* Something that asks for an upgrade, and something that does not: -1 ends the connection once the
 * answer is out. */
static int on_request(const struct callback *call) {
    struct handshake_answer answer = judge(call->hub, call->wsi);
    if (answer.status == 101)
        return 0;
    write_answer(call->wsi, &answer);
    return -1;
}

static void start_beating(struct hub *hub);
static void stop_beating(struct hub *hub);

static int on_established(const struct callback *call) {
    end_handshake(call->hub, call->wsi);
    if (call->hub->is_closing || call->memory == NULL)
        return -1;
    client_begin(call->memory, call->hub, call->wsi);
    start_beating(call->hub);
    return 0;
}

static int on_leaving(const struct callback *call) {
    if (call->client != NULL)
        client_leave(call->client);
    if (call->hub->clients == NULL)
        stop_beating(call->hub);
    return 0;
}

/* The one place where clients are ended. Returning -1 would close twice in libwebsockets 4.1 built
 * for debugging, as Debian's is, the second time without a close frame; and from RECEIVE it would
 * leave the parser in the middle of a frame, which then takes the rest for a broken one and hangs
 * up before the close frame is read. */
static int on_writeable(const struct callback *call) {
    struct client *client = call->client;
    if (client == NULL)
        return 0;
    if (client->close_code == 0)
        client_flush(client, call->now_ns);
    if (client_is_over(client)) {
        client_say_why(client);
        lws_set_timeout(call->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    }
    return 0;
}

static int on_pong(const struct callback *call) {
    if (call->client != NULL)
        call->client->is_pinged = false;
    return 0;
}

/* A message in pieces is put together here; most come in one. */
static void take_piece(const struct callback *call) {
    struct client *client = call->client;
    struct text *incoming = &client->incoming;
    size_t length = incoming->length + call->length;
    bool is_last = lws_is_final_fragment(call->wsi) != 0;
    if (length + lws_remaining_packet_payload(call->wsi) > call->hub->options.message_bytes_max) {
        client_close(client, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "message too large", call->now_ns);
        return;
    }
    if (is_last && incoming->length == 0) {
        request_handle(client, call->bytes, call->length, call->now_ns);
        return;
    }
    text_append(incoming, call->bytes, call->length);
    if (!is_last)
        return;
    if (!incoming->failed)
        request_handle(client, text_bytes(incoming), incoming->length, call->now_ns);
    text_close(incoming);
    text_open(incoming, 0);
}

static int on_receive(const struct callback *call) {
    struct client *client = call->client;
    if (client == NULL || client->close_code != 0)
        return 0;
    if (lws_frame_is_binary(call->wsi))
        client_close(client, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "text only", call->now_ns);
    else
        take_piece(call);
    return 0;
}

static const struct {
    enum lws_callback_reasons reason;
    int (*act)(const struct callback *call);
} callbacks[] = {
    {LWS_CALLBACK_SERVER_WRITEABLE, on_writeable},
    {LWS_CALLBACK_RECEIVE, on_receive},
    {LWS_CALLBACK_RECEIVE_PONG, on_pong},
    {LWS_CALLBACK_WSI_DESTROY, on_socket_gone},
#if LWS_LIBRARY_VERSION_NUMBER >= 4004000
    {LWS_CALLBACK_ADD_HEADERS, on_headers},
#endif
    {LWS_CALLBACK_HTTP_CONFIRM_UPGRADE, on_request},
    {LWS_CALLBACK_HTTP, on_request},
    {LWS_CALLBACK_ESTABLISHED, on_established},
    {LWS_CALLBACK_WS_PEER_INITIATED_CLOSE, on_leaving},
    {LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL, on_leaving},
    {LWS_CALLBACK_CLOSED, on_leaving},
};

static int on_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                       size_t length) {
    struct hub *hub = lws_context_user(lws_get_context(wsi));
    struct client *client = user;
    struct callback call = {.hub = hub,
                            .wsi = wsi,
                            .client = client != NULL && client->hub != NULL ? client : NULL,
                            .memory = client,
                            .bytes = in,
                            .length = length,
                            .in = in,
                            .now_ns = uv_hrtime()};
    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++)
        if (callbacks[i].reason == reason)
            return callbacks[i].act(&call);
    return 0;
}

static void log_line(int level, const char *line) {
    int length = (int)strcspn(line, "\n"); /* its own end of line */
    say(level == LLL_ERR ? SAY_ERROR : SAY_WARNING, "libwebsockets: %.*s", length, line);
}

/* ---- what the sources tell ---- */

static void tell_all(struct hub *hub, bool is_sound, uint64_t now_ns) {
    for (struct client *client = hub->clients; client != NULL; client = client->next) {
        if (!hub->scratch.failed && client_is_ready(client, now_ns)) {
            client_write(client, &hub->scratch);
        } else {
            *(is_sound ? &client->wants_sound : &client->wants_hello) = true;
            client_hold(client, now_ns);
        }
    }
}

static void on_came(void *context, struct source *source) {
    struct hub *hub = context;
    uint64_t now_ns = uv_hrtime();
    struct feed *feed = hub->is_closing ? NULL : feed_open(hub, source);
    if (feed == NULL)
        return;
    feed_write_source(&hub->scratch, source, "came", now_ns);
    tell_all(hub, false, now_ns);
    for (struct client *client = hub->clients; client != NULL; client = client->next) {
        client_wake(client, feed, now_ns);
        if (client->by_default)
            client_subscribe_by_default(client, now_ns);
        if (client->is_backlogged)
            client_flush(client, now_ns);
    }
    feed_want(feed);
}

/* Who watches by default watches another one from then on. */
static void drop_defaults(struct hub *hub, const struct source *source, uint64_t now_ns) {
    for (struct client *client = hub->clients; client != NULL; client = client->next)
        if (client->by_default && client_unsubscribe(client, source->name))
            client_subscribe_by_default(client, now_ns);
}

static void on_went(void *context, struct source *source) {
    struct hub *hub = context;
    uint64_t now_ns = uv_hrtime();
    struct feed *feed = source->hub;
    if (feed == NULL)
        return;
    feed_finish(feed, now_ns);
    feed_close(feed);
    feed_write_source(&hub->scratch, source, "went", now_ns);
    tell_all(hub, false, now_ns);
    drop_defaults(hub, source, now_ns);
}

static bool would_prefer(const struct client *client, const struct source *source) {
    const struct subscription *first = client->by_default ? client->subscriptions : NULL;
    return first != NULL && first->feed != NULL && source->kind < first->feed->source->kind;
}

/* Who watches a machine, or events, by default did so for want of a robot. */
static void turn_to(struct hub *hub, const struct source *source, uint64_t now_ns) {
    for (struct client *client = hub->clients; client != NULL; client = client->next)
        if (would_prefer(client, source) &&
            client_unsubscribe(client, client->subscriptions->feed->source->name))
            client_subscribe_by_default(client, now_ns);
}

static void on_changed(void *context, struct source *source) {
    struct hub *hub = context;
    uint64_t now_ns = uv_hrtime();
    if (source->hub == NULL)
        return;
    if (!source->live)
        feed_finish(source->hub, now_ns);
    feed_write_source(&hub->scratch, source, "changed", now_ns);
    tell_all(hub, false, now_ns);
    if (source->live)
        turn_to(hub, source, now_ns);
}

static void on_sound(void *context) {
    struct hub *hub = context;
    hub_write_sound(hub, &hub->scratch);
    tell_all(hub, true, uv_hrtime());
}

static void on_ticked(void *context, struct source *source, uint64_t now_ns) {
    (void)context;
    if (source->hub != NULL)
        feed_tick(source->hub, now_ns);
}

static void on_event(void *context, struct source *source, const struct event *event) {
    (void)context;
    if (source->hub != NULL)
        feed_event(source->hub, event);
}

struct sources_listener hub_listener(struct hub *hub) {
    return (struct sources_listener){.context = hub,
                                     .came = on_came,
                                     .went = on_went,
                                     .changed = on_changed,
                                     .ticked = on_ticked,
                                     .event = on_event};
}

void hub_attach(struct hub *hub, struct sources *sources) {
    hub->sources = sources;
    for (struct feed *feed = hub->feeds; feed != NULL; feed = feed->next)
        feed_want(feed);
}

void hub_attach_speaker(struct hub *hub, struct speaker *speaker) {
    hub->speaker = speaker;
    speaker_attach(speaker, on_sound, hub);
}

const struct speaker *hub_speaker(const struct hub *hub) {
    return hub->speaker;
}

struct feed *hub_feed(const struct hub *hub, const char *name) {
    struct feed *feed = hub->feeds;
    while (feed != NULL && strcmp(feed->source->name, name) != 0)
        feed = feed->next;
    return feed;
}

void hub_write_hello(struct hub *hub, struct text *text) {
    uint64_t now_ns = uv_hrtime();
    text_clear(text);
    text_string(text, "{\"op\":\"hello\",\"protocol\":\"" HANDSHAKE_PROTOCOL
                      "\",\"version\":\"" OMNI_VERSION "\"");
    text_format(text, ",\"instance\":\"%016" PRIx64 "\",\"time\":", hub->instance);
    encode_microseconds(text, clock_wall_ns());
    text_string(text, ",\"monotonic\":");
    encode_microseconds(text, now_ns);
    text_string(text, ",");
    if (hub->sources != NULL)
        catalog_encode(text, hub->sources, now_ns);
    else
        text_string(text, "\"sources\":[],\"refused\":[]");
    text_string(text, "}");
}

void hub_write_sound(const struct hub *hub, struct text *text) {
    text_clear(text);
    text_string(text, "{\"op\":\"sound\",");
    speaker_encode(text, hub->speaker);
    text_string(text, "}");
}

/* ---- timers ---- */

static void on_beat(uv_timer_t *timer) {
    struct hub *hub = timer->data;
    uint64_t now_ns = uv_hrtime();
    for (struct feed *feed = hub->feeds; feed != NULL; feed = feed->next)
        feed_beat(feed, now_ns);
    for (struct client *client = hub->clients; client != NULL; client = client->next)
        client_beat(client, now_ns);
}

static void start_beating(struct hub *hub) {
    if (!uv_is_active((uv_handle_t *)&hub->beat))
        uv_timer_start(&hub->beat, on_beat, HUB_BEAT_MS, HUB_BEAT_MS);
}

static void stop_beating(struct hub *hub) {
    uv_timer_stop(&hub->beat);
    uv_timer_stop(&hub->trail);
}

static void on_trail(uv_timer_t *timer) {
    struct hub *hub = timer->data;
    uint64_t now_ns = uv_hrtime();
    for (struct feed *feed = hub->feeds; feed != NULL; feed = feed->next)
        if (feed->source->facts.period_ns == 0)
            feed_trail(feed, now_ns);
}

void hub_trail(struct hub *hub, uint64_t at_ns) {
    uint64_t now_ns = uv_hrtime();
    uint64_t wait_ms = at_ns > now_ns ? (at_ns - now_ns + 999999) / 1000000 : 1;
    if (uv_is_active((uv_handle_t *)&hub->trail) && uv_timer_get_due_in(&hub->trail) <= wait_ms)
        return;
    uv_timer_start(&hub->trail, on_trail, wait_ms, 0);
}

/* ---- opening and closing ---- */

static void describe_protocol(struct hub *hub) {
    hub->protocols[0] = (struct lws_protocols){.name = HANDSHAKE_PROTOCOL,
                                               .callback = on_callback,
                                               .per_session_data_size = sizeof(struct client),
                                               .rx_buffer_size = RECEIVE_BYTES,
                                               .tx_packet_size = FRAME_BYTES};
}

static int open_context(struct hub *hub) {
    /* All zero: its pings are timers in a sorted list, one per client; the beat does it for all. */
    static const lws_retry_bo_t no_pings = {0};
    void *loops[] = {hub->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        /* No system states: with them, libwebsockets would look for the internet. */
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES,
        .protocols = hub->protocols,
        .vhost_name = "omniscient",
        .foreign_loops = loops,
        .pcontext = &hub->context,
        .user = hub,
        .timeout_secs = hub->options.handshake_seconds,
        .timeout_secs_ah_idle = hub->options.handshake_seconds,
        .retry_and_idle_policy = &no_pings,
    };
    lws_set_log_level(LLL_ERR, log_line);
    hub->context = lws_create_context(&info);
    if (hub->context == NULL) {
        say(SAY_ERROR, "libwebsockets did not start: is its libuv plugin there (Debian: "
                       "libwebsockets-evlib-uv)?");
        return -ENOTSUP;
    }
    hub->vhost = lws_create_vhost(hub->context, &info);
    return hub->vhost != NULL ? 0 : -ENOMEM;
}

static void open_handles(struct hub *hub) {
    uv_timer_init(hub->loop, &hub->beat);
    uv_timer_init(hub->loop, &hub->trail);
    uv_idle_init(hub->loop, &hub->reaper);
    hub->beat.data = hub;
    hub->trail.data = hub;
    hub->reaper.data = hub;
    hub->handles = 3;
}

static void free_hub(struct hub *hub) {
    free(hub->handshakes);
    text_close(&hub->scratch);
    free(hub);
}

int hub_open(struct hub **hub, uv_loop_t *loop, const struct hub_options *options,
             const struct access *access) {
    struct hub *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->handshakes_max = options->clients_max / 4 + 16;
    made->handshakes = calloc(made->handshakes_max, sizeof made->handshakes[0]);
    if (made->handshakes == NULL) {
        free(made);
        return -ENOMEM;
    }
    if (getrandom(&made->instance, sizeof made->instance, GRND_NONBLOCK) < 0)
        made->instance = uv_hrtime();
    made->loop = loop;
    made->options = *options;
    made->access = access;
    text_open(&made->scratch, LWS_PRE);
    describe_protocol(made);
    int error = open_context(made);
    if (made->context == NULL) {
        free_hub(made);
        return error;
    }
    open_handles(made);
    if (error < 0) {
        hub_close(made);
        return error;
    }
    *hub = made;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct hub *hub = handle->data;
    if (--hub->handles == 0)
        free_hub(hub);
}

/* Turns of the loop: in the first the close frames go out. Then libwebsockets has to be told twice:
 * once to close its sockets, in the next turn, and after them its timers, in the turn after; and
 * again, once the loop has let go of those, to free itself. It then clears hub->context. */
static void on_turn(uv_idle_t *reaper) {
    struct hub *hub = reaper->data;
    hub->turns++;
    if (hub->turns == TURN_TO_CLOSE || hub->turns >= TURN_TO_FREE)
        lws_context_destroy(hub->context);
    if (hub->context != NULL)
        return;
    uv_close((uv_handle_t *)&hub->beat, on_handle_closed);
    uv_close((uv_handle_t *)&hub->trail, on_handle_closed);
    uv_close((uv_handle_t *)&hub->reaper, on_handle_closed);
}

static void say_goodbye(struct client *client) {
    unsigned char reason[] = "the observer is shutting down";
    struct lws *wsi = client->wsi;
    client_leave(client);
    lws_close_reason(wsi, LWS_CLOSE_STATUS_GOINGAWAY, reason, sizeof reason - 1);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

void hub_close(struct hub *hub) {
    if (hub == NULL)
        return;
    hub->is_closing = true;
    hub->sources = NULL;
    hub->speaker = NULL;
    while (hub->clients != NULL)
        say_goodbye(hub->clients);
    while (hub->feeds != NULL)
        feed_close(hub->feeds);
    stop_beating(hub);
    uv_idle_start(&hub->reaper, on_turn);
}

/* ---- adopting ---- */

/* It is all there, libwebsockets just did not have its turn yet. */
static bool is_whole(const struct handshaking *handshake) {
    char bytes[HEADER_BYTES];
    ssize_t length = recv(handshake->socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    return length > 0 && memmem(bytes, (size_t)length, "\r\n\r\n", 4) != NULL;
}

/* Half a handshake costs its sender nothing: so the oldest makes room, else a few of them would
 * keep everybody out until their time is over. Whole ones need no time: they stay. */
static bool make_room(struct hub *hub) {
    unsigned at = 0;
    if (hub->handshake_count < hub->handshakes_max)
        return true;
    while (at < hub->handshake_count && is_whole(&hub->handshakes[at]))
        at++;
    if (at == hub->handshake_count)
        return false;
    stream_kill(hub->handshakes[at].socket);
    end_handshake(hub, hub->handshakes[at].wsi);
    return true;
}

void hub_adopt(struct hub *hub, int socket) {
    /* Those that made room are still there until libwebsockets has seen their end. */
    unsigned most = hub->options.clients_max + hub->handshakes_max + ENDING_MAX;
    if (hub->is_closing || hub->sockets >= most || !make_room(hub)) {
        close(socket);
        return;
    }
    stream_tune(socket);
    struct lws *wsi = lws_adopt_socket_vhost(hub->vhost, socket);
    if (wsi == NULL)
        return;
    lws_set_opaque_user_data(wsi, hub);
    hub->sockets++;
    hub->handshakes[hub->handshake_count++] = (struct handshaking){wsi, socket};
}

struct hub_figures hub_figures(const struct hub *hub) {
    return hub->figures;
}
