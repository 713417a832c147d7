#include "http.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "api.h"
#include "assets.h"
#include "stream.h"

enum {
    MEMORY_BYTES = 16 * 1024, /* of one connection */
    UPLOAD_BYTES = 64 * 1024, /* of a request's body, which nobody reads */
    TURN_BYTES = 64 * 1024,   /* of all streamed answers together, in a turn of the loop, about */
    PIECE_BYTES = 16 * 1024,  /* of one of them, at most */
    PIECE_BYTES_MIN = 1024,
    ANSWER_MS = 600 * 1000,
    BEAT_MS = 1000,  /* how often it is measured what is taken of the answers */
    GRACE_MS = 3000, /* nobody loses the place sooner: by then there is a measure */
    YEAR_SECONDS = 365 * 24 * 3600
};

/* A connection is in one of three queues, each in the order of its deadlines. */
TAILQ_HEAD(queue, connection);

struct connection {
    TAILQ_ENTRY(connection) neighbours;
    struct queue *queue; /* NULL: shut down, about to be closed */
    int socket;
    uint64_t deadline_ms;
    size_t uploaded;
    uint64_t taken_bytes; /* by the peer, at the last beat */
    uint64_t pace;        /* bytes that it took of late: the older they are, the less they count */
};

struct http {
    struct MHD_Daemon *daemon;
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t busy;   /* runs while the library has something to do that no socket announces */
    unsigned handles; /* that libuv still knows */
    unsigned streams; /* histories on their way */
    uint64_t beat_ms; /* the next, where something is being answered */
    struct http_options options;
    const struct access *access;
    struct api api;
    struct queue arriving; /* the first request is not whole yet */
    struct queue answering;
    struct queue resting; /* after an answer, until the next request is whole */
};

struct request {
    struct http *http;
    struct MHD_Connection *connection;
    const char *path;
};

/* ---- Answers ---- */

static const struct header {
    const char *name;
    const char *value;
} strict_headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "connect-src 'self'; font-src 'self'; media-src 'self'; manifest-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

static const char *header_of(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static const char *parameter_of(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    (void)MHD_add_response_header(response, name, value);
}

/* A reverse proxy may send a WebSocket's request on a connection that it kept from a plain one;
 * then it would not pass the door. So proxies get no connection to keep. */
static bool is_proxied(const struct request *request) {
    return header_of(request, "X-Forwarded-For") || header_of(request, "Forwarded") ||
           header_of(request, "Via");
}

static enum MHD_Result send_response(const struct request *request, unsigned status,
                                     struct MHD_Response *response) {
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < sizeof strict_headers / sizeof strict_headers[0]; i++)
        add_header(response, strict_headers[i].name, strict_headers[i].value);
    if (is_proxied(request))
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Takes the text's memory. */
static struct MHD_Response *response_of(struct text *text, const char *type) {
    if (text->failed || text->length == 0) {
        text_close(text);
        return NULL;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->length, text_bytes(text), MHD_RESPMEM_MUST_FREE);
    if (!response) {
        text_close(text);
        return NULL;
    }
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return response;
}

static struct MHD_Response *static_response(size_t bytes, const void *memory) {
    /* The library promises not to write to persistent memory, but asks for a plain pointer. */
    return MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)memory,
                                           MHD_RESPMEM_PERSISTENT);
}

/* A sentence: JSON for programs (under /api), plain text for people. */
static struct MHD_Response *sentence_response(const struct request *request, const char *sentence) {
    struct text text;
    text_open(&text, 0);
    if (strncmp(request->path, "/api/", 5) != 0) {
        text_format(&text, "%s\n", sentence);
        return response_of(&text, "text/plain; charset=utf-8");
    }
    text_string(&text, "{\"error\":");
    text_json_string(&text, sentence, strlen(sentence));
    text_string(&text, "}\n");
    return response_of(&text, "application/json");
}

static enum MHD_Result refuse(const struct request *request, unsigned status,
                              const char *sentence) {
    return send_response(request, status, sentence_response(request, sentence));
}

/* ---- The page ---- */

/* Whether an Accept-Encoding header allows gzip: named, or covered by "*", with a weight above 0.
 */
static bool accepts_gzip(const char *accept) {
    bool any = false;
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        size_t name = strcspn(accept, ",; \t");
        size_t item = strcspn(accept, ",");
        const char *weight = memmem(accept, item, "q=", 2);
        bool wanted = !weight || strtod(weight + 2, NULL) > 0;
        if (name == 4 && strncasecmp(accept, "gzip", 4) == 0)
            return wanted;
        if (name == 1 && *accept == '*')
            any = wanted;
        accept += item;
    }
    return any;
}

/* Whether an If-None-Match header names this ETag (given with its quotes). */
static bool names_etag(const char *condition, const char *etag) {
    return condition && (strcmp(condition, "*") == 0 || strstr(condition, etag));
}

static enum MHD_Result answer_asset(const struct request *request, const struct asset *asset) {
    bool smaller = assets_length(asset->gzip) < assets_length(asset->plain);
    bool zipped = smaller && accepts_gzip(header_of(request, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    char etag[64];
    (void)snprintf(etag, sizeof etag, "\"%s%s\"", asset->etag, zipped ? "-gzip" : "");
    bool known = names_etag(header_of(request, MHD_HTTP_HEADER_IF_NONE_MATCH), etag);
    struct asset_bytes bytes = zipped ? asset->gzip : asset->plain;
    struct MHD_Response *response = static_response(known ? 0 : assets_length(bytes), bytes.start);
    if (!response)
        return MHD_NO;
    add_header(response, MHD_HTTP_HEADER_ETAG, etag);
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    add_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (!known)
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, asset->type);
    if (zipped && !known)
        add_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    return send_response(request, known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
}

/* The link with the token was opened: the token goes into a cookie and out of the address. */
static enum MHD_Result answer_welcome(const struct request *request) {
    const struct access *access = request->http->access;
    const char *scheme = header_of(request, "X-Forwarded-Proto"); /* from a proxy that does TLS */
    bool is_tls = scheme && strcasecmp(scheme, "https") == 0;
    char cookie[sizeof access->cookie_name + ACCESS_TOKEN_BYTES + 80];
    struct MHD_Response *response = static_response(0, "");
    if (!response)
        return MHD_NO;
    (void)snprintf(cookie, sizeof cookie, "%s=%s; HttpOnly; SameSite=Strict; Path=/; Max-Age=%d%s",
                   access->cookie_name, access->token, YEAR_SECONDS, is_tls ? "; Secure" : "");
    add_header(response, MHD_HTTP_HEADER_SET_COOKIE, cookie);
    add_header(response, MHD_HTTP_HEADER_LOCATION, "/");
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return send_response(request, MHD_HTTP_SEE_OTHER, response);
}

/* Where the link was followed from another site's page, the browser keeps a strict cookie back on
 * the way through the redirect. Asked to load again by our own page, it sends it. */
static enum MHD_Result answer_unauthorized(const struct request *request) {
    static const char again[] = "<!doctype html><meta http-equiv=\"refresh\" content=\"0\">\n";
    const char *site = header_of(request, "Sec-Fetch-Site");
    bool crossed = strcmp(request->path, "/") == 0 && site && strcmp(site, "cross-site") == 0;
    struct MHD_Response *response =
        crossed ? static_response(sizeof again - 1, again)
                : sentence_response(request, access_explain(ACCESS_NO_TOKEN));
    if (!response)
        return MHD_NO;
    if (crossed) {
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/html; charset=utf-8");
        add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
    add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return send_response(request, MHD_HTTP_UNAUTHORIZED, response);
}

/* ---- The API ---- */

static enum MHD_Result answer_text(const struct request *request, unsigned status,
                                   struct text *body) {
    if (status == MHD_HTTP_OK)
        return send_response(request, status, response_of(body, "application/json"));
    text_append(body, "", 1);
    enum MHD_Result result = body->failed ? MHD_NO : refuse(request, status, text_bytes(body));
    text_close(body);
    return result;
}

static struct api_query query_of(const struct request *request) {
    return (struct api_query){.source = parameter_of(request, "source"),
                              .seconds = parameter_of(request, "seconds"),
                              .format = parameter_of(request, "format")};
}

static enum MHD_Result answer_health(const struct request *request) {
    struct text body;
    text_open(&body, 0);
    return answer_text(request, api_health(&request->http->api, &body), &body);
}

static enum MHD_Result answer_observer(const struct request *request) {
    struct text body;
    text_open(&body, 0);
    return answer_text(request, api_observer(&request->http->api, &body), &body);
}

static enum MHD_Result answer_sources(const struct request *request) {
    struct text body;
    text_open(&body, 0);
    return answer_text(request, api_sources(&request->http->api, &body), &body);
}

static enum MHD_Result answer_status(const struct request *request) {
    struct text body;
    struct api_query query = query_of(request);
    text_open(&body, 0);
    return answer_text(request, api_status(&request->http->api, &query, &body), &body);
}

struct stream {
    struct http *http;
    struct api_history *history;
};

/* The more are read at once, the smaller the pieces: so a turn of the loop stays short. */
static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t bytes) {
    const struct stream *stream = context;
    size_t share = TURN_BYTES / stream->http->streams;
    size_t piece = share > PIECE_BYTES_MIN ? share : PIECE_BYTES_MIN;
    (void)position;
    ssize_t length = api_history_read(stream->history, buffer, piece < bytes ? piece : bytes);
    if (length < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return length == 0 ? MHD_CONTENT_READER_END_OF_STREAM : length;
}

static void close_stream(void *context) {
    struct stream *stream = context;
    stream->http->streams--;
    api_history_close(stream->history);
    free(stream);
}

static struct MHD_Response *stream_response(struct http *http, struct api_history *history) {
    struct stream *stream = malloc(sizeof *stream);
    if (!stream) {
        api_history_close(history);
        return NULL;
    }
    *stream = (struct stream){.http = http, .history = history};
    http->streams++;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, PIECE_BYTES, read_stream, stream, close_stream);
    if (!response)
        close_stream(stream);
    return response;
}

static enum MHD_Result answer_history(const struct request *request) {
    struct text body;
    struct api_history *history;
    struct api_query query = query_of(request);
    text_open(&body, 0);
    unsigned status = api_history_open(&history, &request->http->api, &query, &body);
    if (status != MHD_HTTP_OK)
        return answer_text(request, status, &body);
    const char *type = api_history_type(history);
    struct MHD_Response *response = stream_response(request->http, history);
    if (!response)
        return MHD_NO;
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return send_response(request, MHD_HTTP_OK, response);
}

static enum MHD_Result answer_websocket(const struct request *request) {
    return refuse(request, MHD_HTTP_UPGRADE_REQUIRED,
                  "This address speaks WebSocket: GET with \"Upgrade: websocket\", on a new "
                  "connection. docs/websocket.md tells how.");
}

/* ---- Routing ---- */

static const struct route {
    const char *path;
    bool open; /* no token needed */
    enum MHD_Result (*answer)(const struct request *request);
} routes[] = {
    {"/healthz", true, answer_health},         {"/api/sources", false, answer_sources},
    {"/api/status", false, answer_status},     {"/api/history", false, answer_history},
    {"/api/observer", false, answer_observer}, {"/ws", false, answer_websocket},
};

static const struct route *find_route(const char *path) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static enum MHD_Result answer_path(const struct request *request, const struct route *route) {
    const struct asset *asset = assets_find(request->path);
    if (route)
        return route->answer(request);
    if (asset)
        return answer_asset(request, asset);
    return refuse(request, MHD_HTTP_NOT_FOUND,
                  "There is nothing at this address. The page is at /, the API under /api: "
                  "sources, status, history, observer.");
}

static enum MHD_Result refuse_method(const struct request *request) {
    struct MHD_Response *response =
        sentence_response(request, "The observer only shows: GET and HEAD are all it answers.");
    if (response)
        add_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    return send_response(request, MHD_HTTP_METHOD_NOT_ALLOWED, response);
}

static bool is_reading(const char *method) {
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static bool brings_token(const struct request *request) {
    const char *token = parameter_of(request, "token");
    return token && strcmp(request->path, "/") == 0 &&
           access_token_matches(request->http->access, token);
}

static enum MHD_Result count_host(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value) {
    unsigned *hosts = context;
    (void)kind;
    (void)value;
    *hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    return MHD_YES;
}

static enum access_verdict judge(const struct request *request) {
    unsigned hosts = 0;
    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_host, &hosts);
    struct access_request asked = {.host = header_of(request, MHD_HTTP_HEADER_HOST),
                                   .origin = header_of(request, MHD_HTTP_HEADER_ORIGIN),
                                   .cookie = header_of(request, MHD_HTTP_HEADER_COOKIE),
                                   .authorization =
                                       header_of(request, MHD_HTTP_HEADER_AUTHORIZATION),
                                   .has_two_hosts = hosts > 1};
    return access_check(request->http->access, &asked);
}

static enum MHD_Result answer(const struct request *request, const char *method) {
    const struct route *route = find_route(request->path);
    enum access_verdict verdict = judge(request);
    if (verdict == ACCESS_TWO_HOSTS)
        return refuse(request, MHD_HTTP_BAD_REQUEST, access_explain(verdict));
    if (verdict == ACCESS_BAD_HOST)
        return refuse(request, MHD_HTTP_MISDIRECTED_REQUEST, access_explain(verdict));
    if (verdict == ACCESS_BAD_ORIGIN)
        return refuse(request, MHD_HTTP_FORBIDDEN, access_explain(verdict));
    if (!is_reading(method))
        return refuse_method(request);
    if (brings_token(request))
        return answer_welcome(request);
    if (verdict == ACCESS_NO_TOKEN && !(route && route->open))
        return answer_unauthorized(request);
    return answer_path(request, route);
}

/* ---- Connections ---- */

static void enqueue(struct http *http, struct connection *connection, struct queue *queue,
                    uint64_t milliseconds) {
    connection->queue = queue;
    connection->deadline_ms = uv_now(http->loop) + milliseconds;
    TAILQ_INSERT_TAIL(queue, connection, neighbours);
}

static void dequeue(struct connection *connection) {
    if (connection->queue)
        TAILQ_REMOVE(connection->queue, connection, neighbours);
    connection->queue = NULL;
}

/* The library has no way to close a connection from outside; it closes one whose socket ends. */
static void drop(struct connection *connection) {
    dequeue(connection);
    (void)shutdown(connection->socket, SHUT_RDWR);
}

/* What the kernel still keeps for somebody who does not read would outlive the connection. */
static void drop_answer(struct connection *connection) {
    dequeue(connection);
    stream_kill(connection->socket);
}

static void begin_answer(struct http *http, struct connection *connection) {
    if (TAILQ_EMPTY(&http->answering))
        http->beat_ms = uv_now(http->loop) + BEAT_MS;
    connection->uploaded = 0;
    connection->pace = 0;
    dequeue(connection);
    enqueue(http, connection, &http->answering, ANSWER_MS);
}

static struct connection *connection_of(struct MHD_Connection *handle) {
    return MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void connection_start(struct http *http, struct MHD_Connection *handle, void **context) {
    struct connection *connection = calloc(1, sizeof *connection);
    int socket = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    http->api.http_connections++;
    *context = connection;
    if (!connection) {
        (void)shutdown(socket, SHUT_RDWR);
        return;
    }
    connection->socket = socket;
    enqueue(http, connection, &http->arriving, (uint64_t)http->options.header_seconds * 1000);
}

static void connection_end(struct http *http, void **context) {
    struct connection *connection = *context;
    http->api.http_connections--;
    *context = NULL;
    if (connection)
        dequeue(connection);
    free(connection);
}

static void on_connection(void *context, struct MHD_Connection *handle, void **connection,
                          enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        connection_start(context, handle, connection);
    else
        connection_end(context, connection);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *handle, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **state) {
    struct http *http = context;
    struct request request = {.http = http, .connection = handle, .path = path};
    struct connection *connection = connection_of(handle);
    (void)version;
    (void)upload;
    if (!connection)
        return MHD_NO;
    if (!*state) {
        *state = connection;
        http->api.http_requests++;
        begin_answer(http, connection);
        /* The library lets these two be answered before their body was read. */
        bool uploads =
            strcmp(method, MHD_HTTP_METHOD_POST) == 0 || strcmp(method, MHD_HTTP_METHOD_PUT) == 0;
        return uploads ? answer(&request, method) : MHD_YES;
    }
    if (*upload_bytes == 0)
        return answer(&request, method);
    connection->uploaded += *upload_bytes;
    *upload_bytes = 0;
    return connection->uploaded <= UPLOAD_BYTES ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *handle, void **state,
                         enum MHD_RequestTerminationCode why) {
    struct http *http = context;
    struct connection *connection = *state;
    (void)handle;
    (void)why;
    *state = NULL;
    if (!connection || !connection->queue)
        return;
    dequeue(connection);
    enqueue(http, connection, &http->resting, (uint64_t)http->options.idle_seconds * 1000);
}

/* ---- The loop ---- */

static void on_timer(uv_timer_t *timer);
static void on_busy(uv_idle_t *busy);

static uint64_t sooner(const struct http *http, uint64_t wait, uint64_t at_ms) {
    uint64_t now = uv_now(http->loop);
    uint64_t left = at_ms > now ? at_ms - now : 0;
    return left < wait ? left : wait;
}

static uint64_t until(const struct http *http, const struct queue *queue, uint64_t wait) {
    const struct connection *first = TAILQ_FIRST(queue);
    return first ? sooner(http, wait, first->deadline_ms) : wait;
}

/* Work that is ready now is done by an idle handle: a timer of 0 ms that its own callback starts
 * again would not let the loop out to anybody else's sockets. */
static void schedule(struct http *http) {
    MHD_UNSIGNED_LONG_LONG library = 0;
    uint64_t wait = ANSWER_MS;
    if (MHD_get_timeout(http->daemon, &library) == MHD_YES && library < wait)
        wait = library;
    wait = until(http, &http->arriving, wait);
    wait = until(http, &http->answering, wait);
    if (!TAILQ_EMPTY(&http->answering))
        wait = sooner(http, wait, http->beat_ms);
    wait = until(http, &http->resting, wait);
    bool present = http->api.http_connections > 0;
    if (present && wait == 0)
        (void)uv_idle_start(&http->busy, on_busy);
    else
        (void)uv_idle_stop(&http->busy);
    if (present && wait > 0)
        (void)uv_timer_start(&http->timer, on_timer, wait, 0);
    else
        (void)uv_timer_stop(&http->timer);
}

static void turn(struct http *http) {
    (void)MHD_run(http->daemon);
    schedule(http);
}

static void drop_late(const struct http *http, const struct queue *queue,
                      void (*drop_one)(struct connection *)) {
    struct connection *first;
    while ((first = TAILQ_FIRST(queue)) && first->deadline_ms <= uv_now(http->loop))
        drop_one(first);
}

static void beat(struct http *http) {
    struct connection *each = TAILQ_FIRST(&http->answering);
    if (uv_now(http->loop) < http->beat_ms)
        return;
    http->beat_ms = uv_now(http->loop) + BEAT_MS;
    for (; each; each = TAILQ_NEXT(each, neighbours)) {
        uint64_t taken = stream_taken(each->socket);
        uint64_t more = taken > each->taken_bytes ? taken - each->taken_bytes : 0;
        each->pace = (each->pace + more) / 2;
        each->taken_bytes = taken;
    }
}

static void turn_and_drop(struct http *http) {
    beat(http);
    drop_late(http, &http->arriving, drop);
    drop_late(http, &http->answering, drop_answer);
    drop_late(http, &http->resting, drop);
    turn(http);
}

static void on_timer(uv_timer_t *timer) {
    turn_and_drop(timer->data);
}

static void on_busy(uv_idle_t *busy) {
    turn_and_drop(busy->data);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    turn(poll->data);
}

/* Whose answer is taken slowest, of those that have had their time; NULL where there is none. */
static struct connection *slowest_answer(const struct http *http) {
    uint64_t latest_ms = uv_now(http->loop) + ANSWER_MS - GRACE_MS;
    struct connection *each = TAILQ_FIRST(&http->answering);
    struct connection *slowest = NULL;
    for (; each; each = TAILQ_NEXT(each, neighbours))
        if (each->deadline_ms <= latest_ms && (!slowest || each->pace < slowest->pace))
            slowest = each;
    return slowest;
}

/* Requests arrive within milliseconds, unless somebody holds them back: they go first. Answers are
 * taken at once, unless somebody does not read them: they go last. */
static void make_room(struct http *http) {
    struct connection *first = TAILQ_FIRST(&http->arriving);
    struct connection *slowest = slowest_answer(http);
    if (!first)
        first = TAILQ_FIRST(&http->resting);
    if (first)
        drop(first);
    else if (slowest)
        drop_answer(slowest);
    (void)MHD_run(http->daemon);
}

void http_adopt(struct http *http, int socket, const struct sockaddr *peer, socklen_t peer_bytes) {
    if (http->api.http_connections >= http->options.connections_max)
        make_room(http);
    /* Else the kernel would take megabytes of a history for somebody who never reads them. */
    stream_tune(socket);
    /* The library closes the socket where it fails. */
    (void)MHD_add_connection(http->daemon, socket, peer, peer_bytes);
    turn(http);
}

/* ---- Opening and closing ---- */

static void on_closed(uv_handle_t *handle) {
    struct http *http = handle->data;
    if (--http->handles == 0)
        free(http);
}

static int daemon_open(struct http *http) {
    http->daemon = MHD_start_daemon(
        MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
        MHD_OPTION_CONNECTION_LIMIT, http->options.connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        http->options.idle_seconds, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
    return http->daemon ? 0 : -ENOMEM;
}

static int watch(struct http *http) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int error = info ? uv_poll_init(http->loop, &http->poll, info->epoll_fd) : -ENOTSUP;
    if (error < 0)
        return error;
    (void)uv_timer_init(http->loop, &http->timer);
    (void)uv_idle_init(http->loop, &http->busy);
    http->poll.data = http->timer.data = http->busy.data = http;
    http->handles = 3;
    return uv_poll_start(&http->poll, UV_READABLE, on_readable);
}

int http_open(struct http **http, uv_loop_t *loop, const struct http_options *options,
              struct sources *sources, struct hub *hub, const struct access *access) {
    struct http *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->loop = loop;
    made->options = *options;
    if (made->options.header_seconds == 0)
        made->options.header_seconds = options->idle_seconds;
    made->access = access;
    made->api = (struct api){
        .sources = sources, .hub = hub, .announcer = options->announcer, .started_ns = uv_hrtime()};
    TAILQ_INIT(&made->arriving);
    TAILQ_INIT(&made->answering);
    TAILQ_INIT(&made->resting);
    int error = daemon_open(made);
    if (error == 0)
        error = watch(made);
    if (error < 0) {
        http_close(made);
        return error;
    }
    *http = made;
    return 0;
}

void http_close(struct http *http) {
    if (!http)
        return;
    bool watched = http->handles > 0;
    if (watched) {
        uv_close((uv_handle_t *)&http->poll, on_closed);
        uv_close((uv_handle_t *)&http->timer, on_closed);
        uv_close((uv_handle_t *)&http->busy, on_closed);
    }
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    if (!watched)
        free(http);
}
