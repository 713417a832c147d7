/* The HTTP side with a whole server around it: page, API, access, and what abuse it takes. */
#include "exchange.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

#include <omni/publish.h>

#include "observer/assets.h"

#define MODES(LABEL) LABEL(MODE_REST, "rest") LABEL(MODE_GO, "go, \"fast\"")
#define THING(FIELD)                                                                               \
    FIELD(number, f64, level, "l", 0, 100, "how full")                                             \
    FIELD(numbers, i32, pair, 2, "", -10, 10, "two of them")                                       \
    FIELD(choice, mode, MODES, "what it does")
#define WIDE(FIELD)  FIELD(numbers, f64, wide, 100, "", 0, 1, "rows of 2 kB")
#define OTHER(FIELD) FIELD(number, f64, other, "m", 0, 1, "another layout")
OMNI_ENUM(mode, MODES)
OMNI_STATUS(thing, THING)
OMNI_STATUS(wide, WIDE)
OMNI_STATUS(other, OTHER)

#define REQUEST(method, path, headers)                                                             \
    method " " path " HTTP/1.1\r\n" HOST headers "Connection: close\r\n\r\n"

static int start(void **state) {
    *state = server_start(NULL);
    return 0;
}

static int start_guarded(void **state) {
    *state = server_start(&(struct server_options){.token = true});
    return 0;
}

static int start_impatient(void **state) {
    *state = server_start(&(struct server_options){.header_seconds = 1});
    return 0;
}

static int start_crowded(void **state) {
    *state = server_start(&(struct server_options){.connections_max = 4});
    return 0;
}

static int start_restless(void **state) {
    *state = server_start(&(struct server_options){.idle_seconds = 1});
    return 0;
}

static int start_besieged(void **state) {
    *state = server_start(&(struct server_options){.connections_max = 4, .idle_seconds = 600});
    return 0;
}

static int stop(void **state) {
    server_stop(*state);
    return 0;
}

/* ---- Publishing ---- */

static struct omni_publisher *publish(const struct server *server, const char *name,
                                      const struct omni_schema *schema) {
    struct omni_publisher *publisher;
    struct omni_publisher_options options = {
        .directory = server->directory, .period_ns = 1000000, .slot_count = 32768};
    struct omni_problem problem = {.text = ""};
    if (omni_publisher_open(&publisher, name, schema, &options, &problem) < 0)
        fail_msg("%s", problem.text);
    return publisher;
}

static void publish_things(struct omni_publisher *publisher, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        double level = (double)omni_publisher_tick(publisher) + 0.5;
        struct thing thing = {.level = level, .pair = {-1, 2}, .mode = MODE_GO};
        omni_publish(publisher, &thing);
    }
}

/* Turns the loop until the observer has the source and its tick of that number. */
static void await_tick(struct server *server, const char *name, uint64_t tick) {
    uint64_t deadline = now_ms() + WAIT_MS;
    for (;;) {
        const struct source *source = sources_find(server->sources, name);
        if (source && source->stamp.tick >= tick)
            return;
        server_turn(server);
        assert_true(now_ms() < deadline);
    }
}

static cJSON *json_of(const struct reply *reply) {
    cJSON *json = cJSON_ParseWithLength(reply->body, reply->body_bytes);
    if (!json)
        fail_msg("not JSON: %s", reply->body);
    return json;
}

static const char *string_of(const cJSON *json, const char *name) {
    const char *string = cJSON_GetStringValue(cJSON_GetObjectItem(json, name));
    return string ? string : "(none)";
}

/* ---- The page ---- */

static void assert_strict(const struct reply *reply) {
    assert_contains(header_in(reply, "Content-Security-Policy"), "default-src 'none'");
    assert_contains(header_in(reply, "Content-Security-Policy"), "frame-ancestors 'none'");
    assert_null(strstr(header_in(reply, "Content-Security-Policy"), "unsafe"));
    assert_string_equal(header_in(reply, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(header_in(reply, "Referrer-Policy"), "no-referrer");
    assert_string_equal(header_in(reply, "Cross-Origin-Opener-Policy"), "same-origin");
    assert_string_equal(header_in(reply, "Cross-Origin-Resource-Policy"), "same-origin");
}

static void every_answer_is_strict(void **state) {
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {GET("/"), 200},
        {GET("/healthz"), 200},
        {GET("/api/sources"), 200},
        {GET("/api/status"), 404},
        {GET("/api/history?seconds=x"), 400},
        {GET("/nothing"), 404},
        {REQUEST("POST", "/", "Content-Length: 0\r\n"), 405},
        {"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421},
        {REQUEST("GET", "/", "Origin: http://evil.example\r\n"), 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply reply = exchange(*state, cases[i].request);
        print_message("%.40s\n", cases[i].request);
        assert_int_equal(reply.status, cases[i].status);
        assert_strict(&reply);
        reply_free(&reply);
    }
}

static void the_page_comes_as_it_is_and_zipped(void **state) {
    static const struct {
        const char *accept;
        bool zipped;
    } cases[] = {
        {"", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: deflate, GZIP;q=0.5, br\r\n", true},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: br;q=1.0, *;q=0.1\r\n", true},
        {"Accept-Encoding: gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip; q=0.000, *\r\n", false},
        {"Accept-Encoding: *;q=0\r\n", false},
        {"Accept-Encoding: identity\r\n", false},
        {"Accept-Encoding: gzipped\r\n", false},
        {"Accept-Encoding: \r\n", false},
    };
    const struct asset *asset = assets_find("/");
    assert_non_null(asset);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[300];
        (void)snprintf(request, sizeof request,
                       "GET / HTTP/1.1\r\n" HOST "%sConnection: close\r\n\r\n", cases[i].accept);
        print_message("%s\n", cases[i].accept);
        struct reply reply = exchange(*state, request);
        struct asset_bytes bytes = cases[i].zipped ? asset->gzip : asset->plain;
        assert_int_equal(reply.status, 200);
        assert_string_equal(header_in(&reply, "Content-Encoding"), cases[i].zipped ? "gzip" : "");
        assert_string_equal(header_in(&reply, "Content-Type"), "text/html; charset=utf-8");
        assert_string_equal(header_in(&reply, "Cache-Control"), "no-cache");
        assert_string_equal(header_in(&reply, "Vary"), "Accept-Encoding");
        assert_int_equal(reply.body_bytes, assets_length(bytes));
        assert_memory_equal(reply.body, bytes.start, reply.body_bytes);
        reply_free(&reply);
    }
}

static void every_asset_is_served(void **state) {
    for (size_t i = 0; assets_at(i); i++) {
        const struct asset *asset = assets_at(i);
        char request[300];
        (void)snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", asset->path);
        print_message("%s\n", asset->path);
        struct reply reply = exchange(*state, request);
        assert_int_equal(reply.status, 200);
        assert_string_equal(header_in(&reply, "Content-Type"), asset->type);
        assert_int_equal(reply.body_bytes, assets_length(asset->plain));
        reply_free(&reply);
    }
}

static struct reply ask_again(struct server *server, const char *encoding, const char *condition) {
    char request[400];
    (void)snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\n" HOST
                   "Accept-Encoding: %s\r\nIf-None-Match: %s\r\nConnection: close\r\n\r\n",
                   encoding, condition);
    return exchange(server, request);
}

static void what_is_known_is_not_sent_again(void **state) {
    static const char *const encodings[] = {"identity", "gzip"};
    for (size_t i = 0; i < 2; i++) {
        char etag[100];
        char list[200];
        struct reply reply = ask_again(*state, encodings[i], "\"other\"");
        assert_int_equal(reply.status, 200);
        (void)snprintf(etag, sizeof etag, "%s", header_in(&reply, "ETag"));
        assert_true(etag[0] == '"' && strlen(etag) > 20);
        reply_free(&reply);
        (void)snprintf(list, sizeof list, "\"other\", W/%s", etag);
        const char *const conditions[] = {etag, list, "*"};
        for (size_t c = 0; c < 3; c++) {
            print_message("%s %s\n", encodings[i], conditions[c]);
            reply = ask_again(*state, encodings[i], conditions[c]);
            assert_int_equal(reply.status, 304);
            assert_int_equal(reply.body_bytes, 0);
            assert_string_equal(header_in(&reply, "ETag"), etag);
            reply_free(&reply);
        }
        reply = ask_again(*state, encodings[1 - i], etag);
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
    }
}

static void head_is_get_without_the_body(void **state) {
    static const char *const paths[] = {"/", "/healthz", "/api/sources", "/nothing"};
    for (size_t i = 0; i < 4; i++) {
        char request[200];
        char length[30];
        (void)snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", paths[i]);
        struct reply get = exchange(*state, request);
        (void)snprintf(length, sizeof length, "%s", header_in(&get, "Content-Length"));
        (void)snprintf(request, sizeof request,
                       "HEAD %s HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", paths[i]);
        struct reply head = exchange(*state, request);
        assert_int_equal(head.status, get.status);
        assert_int_equal(head.body_bytes, 0);
        assert_string_equal(header_in(&head, "Content-Length"), length);
        reply_free(&get);
        reply_free(&head);
    }
}

static void other_paths_and_methods_are_refused(void **state) {
    static const struct {
        const char *request;
        int status;
        const char *type;
    } cases[] = {
        {GET("/index.html"), 404, "text/plain; charset=utf-8"},
        {GET("/../../etc/passwd"), 404, "text/plain; charset=utf-8"},
        {GET("/%2e%2e/Makefile"), 404, "text/plain; charset=utf-8"},
        {GET("/api"), 404, "text/plain; charset=utf-8"},
        {GET("/api/"), 404, "application/json"},
        {GET("/api/nothing"), 404, "application/json"},
        {REQUEST("PUT", "/api/status", "Content-Length: 5\r\n") "hello", 405, "application/json"},
        {REQUEST("POST", "/", "Content-Length: 5\r\n") "hello", 405, "text/plain; charset=utf-8"},
        {REQUEST("PATCH", "/", "Content-Length: 5\r\n") "hello", 405, "text/plain; charset=utf-8"},
        {REQUEST("DELETE", "/nothing", ""), 405, "text/plain; charset=utf-8"},
        {REQUEST("OPTIONS", "/", ""), 405, "text/plain; charset=utf-8"},
        {REQUEST("BREW", "/", ""), 405, "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%.40s\n", cases[i].request);
        struct reply reply = exchange(*state, cases[i].request);
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(header_in(&reply, "Content-Type"), cases[i].type);
        assert_string_equal(header_in(&reply, "Allow"), cases[i].status == 405 ? "GET, HEAD" : "");
        assert_true(reply.body_bytes > 10);
        reply_free(&reply);
    }
}

static void a_connection_serves_more_than_once(void **state) {
    static const char request[] = "GET /healthz HTTP/1.1\r\n" HOST "\r\n";
    struct server *server = *state;
    int client = client_connect(server);
    for (unsigned i = 0; i < 3; i++) {
        client_say(client, request);
        struct reply reply = client_hear(server, client, "\"ok\"");
        assert_int_equal(reply.status, 200);
        assert_false(reply.ended);
        reply_free(&reply);
    }
    client_say(client, REQUEST("GET", "/healthz", "X-Forwarded-For: 10.0.0.1\r\n"));
    struct reply last = client_hear(server, client, NULL);
    assert_int_equal(last.status, 200);
    close(client);
    reply_free(&last);
}

/* Else a proxy might send a WebSocket's request on a connection that has passed the door already.
 */
static void proxies_keep_no_connection(void **state) {
    struct server *server = *state;
    int client = client_connect(server);
    client_say(client, "GET /healthz HTTP/1.1\r\n" HOST "X-Forwarded-For: 10.0.0.1\r\n\r\n");
    struct reply reply = client_hear(server, client, NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(header_in(&reply, "Connection"), "close");
    close(client);
    reply_free(&reply);
}

/* ---- The token ---- */

static void without_a_token_only_health_is_shown(void **state) {
    static const char *const closed[] = {
        GET("/"),           GET("/main.js"),     GET("/api/sources"),
        GET("/api/status"), GET("/api/history"), GET("/nothing"),
        GET("/?token=x"),   GET("/?token="),     GET("/?token")};
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        struct reply reply = exchange(*state, closed[i]);
        print_message("%.30s\n", closed[i]);
        assert_int_equal(reply.status, 401);
        assert_string_equal(header_in(&reply, "WWW-Authenticate"), "Bearer");
        assert_string_equal(header_in(&reply, "Set-Cookie"), "");
        assert_contains(reply.body, "?token=");
        assert_null(strstr(reply.text, TOKEN));
        assert_strict(&reply);
        reply_free(&reply);
    }
    struct reply health = exchange(*state, GET("/healthz"));
    assert_int_equal(health.status, 200);
    reply_free(&health);
}

static void the_link_gives_a_cookie_that_opens(void **state) {
    struct reply link = exchange(*state, GET("/?token=" TOKEN));
    assert_int_equal(link.status, 303);
    assert_string_equal(header_in(&link, "Location"), "/");
    assert_string_equal(header_in(&link, "Set-Cookie"),
                        "omniscient-8080=" TOKEN
                        "; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000");
    assert_string_equal(header_in(&link, "Cache-Control"), "no-store");
    assert_strict(&link);
    struct reply page =
        exchange(*state, REQUEST("GET", "/", "Cookie: omniscient-8080=" TOKEN "\r\n"));
    assert_int_equal(page.status, 200);
    struct reply api =
        exchange(*state, REQUEST("GET", "/api/sources", "Authorization: Bearer " TOKEN "\r\n"));
    assert_int_equal(api.status, 200);
    struct reply elsewhere = exchange(*state, GET("/api/sources?token=" TOKEN));
    assert_int_equal(elsewhere.status, 401);
    reply_free(&link);
    reply_free(&page);
    reply_free(&api);
    reply_free(&elsewhere);
}

/* A strict cookie stays behind where the link was followed from another site's page: then our own
 * page must ask again, once. */
static void who_comes_from_another_site_is_asked_again(void **state) {
    struct reply crossed = exchange(*state, REQUEST("GET", "/", "Sec-Fetch-Site: cross-site\r\n"));
    assert_int_equal(crossed.status, 401);
    assert_string_equal(header_in(&crossed, "Content-Type"), "text/html; charset=utf-8");
    assert_contains(crossed.body, "http-equiv=\"refresh\"");
    assert_strict(&crossed);
    struct reply own = exchange(*state, REQUEST("GET", "/", "Sec-Fetch-Site: same-origin\r\n"));
    assert_int_equal(own.status, 401);
    assert_null(strstr(own.body, "refresh"));
    reply_free(&crossed);
    reply_free(&own);
}

static void a_foreign_host_gets_no_cookie(void **state) {
    struct reply reply = exchange(*state, "GET /?token=" TOKEN " HTTP/1.1\r\nHost: evil.example\r\n"
                                          "Connection: close\r\n\r\n");
    assert_int_equal(reply.status, 421);
    assert_string_equal(header_in(&reply, "Set-Cookie"), "");
    reply_free(&reply);
}

/* ---- The API ---- */

static void without_a_source_the_api_says_so(void **state) {
    struct reply sources = exchange(*state, GET("/api/sources"));
    assert_string_equal(sources.body, "{\"sources\":[],\"refused\":[]}\n");
    struct reply status = exchange(*state, GET("/api/status"));
    assert_int_equal(status.status, 404);
    assert_contains(status.body, "{\"error\":\"There is no source yet");
    struct reply history = exchange(*state, GET("/api/history"));
    assert_int_equal(history.status, 404);
    reply_free(&sources);
    reply_free(&status);
    reply_free(&history);
}

static void a_source_without_a_tick_is_not_ready(void **state) {
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", thing_schema());
    await_tick(server, "thing", 0);
    struct reply reply = exchange(server, GET("/api/status"));
    assert_int_equal(reply.status, 503);
    assert_contains(reply.body, "thing");
    struct reply history = exchange(server, GET("/api/history"));
    assert_int_equal(history.status, 200);
    cJSON *json = json_of(&history);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "rows")), 0);
    cJSON_Delete(json);
    omni_publisher_close(publisher);
    reply_free(&reply);
    reply_free(&history);
}

static void sources_and_status_are_told(void **state) {
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", thing_schema());
    publish_things(publisher, 7);
    await_tick(server, "thing", 7);
    struct reply sources = exchange(server, GET("/api/sources"));
    cJSON *json = json_of(&sources);
    const cJSON *source = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "sources"), 0);
    assert_string_equal(string_of(source, "name"), "thing");
    const cJSON *schema = cJSON_GetObjectItem(source, "schema");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(schema, "fields")), 3);
    cJSON_Delete(json);
    for (size_t i = 0; i < 2; i++) {
        struct reply status =
            exchange(server, i ? GET("/api/status") : GET("/api/status?source=thing"));
        assert_int_equal(status.status, 200);
        assert_string_equal(header_in(&status, "Content-Type"), "application/json");
        assert_string_equal(header_in(&status, "Cache-Control"), "no-store");
        json = json_of(&status);
        const cJSON *values = cJSON_GetObjectItem(json, "values");
        assert_string_equal(string_of(json, "op"), "status");
        assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "tick")) == 7);
        assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(values, "level")) == 6.5);
        assert_string_equal(string_of(values, "mode"), "go, \"fast\"");
        cJSON_Delete(json);
        reply_free(&status);
    }
    omni_publisher_close(publisher);
    reply_free(&sources);
}

static void a_wrong_name_is_answered_with_the_right_ones(void **state) {
    struct server *server = *state;
    struct omni_publisher *thing = publish(server, "thing", thing_schema());
    struct omni_publisher *other = publish(server, "other", other_schema());
    await_tick(server, "thing", 0);
    await_tick(server, "other", 0);
    struct reply reply = exchange(server, GET("/api/status?source=th%22%FFing"));
    assert_int_equal(reply.status, 404);
    cJSON *json = json_of(&reply);
    assert_contains(string_of(json, "error"), "named \"th\"");
    assert_contains(string_of(json, "error"), "other, thing");
    cJSON_Delete(json);
    omni_publisher_close(thing);
    omni_publisher_close(other);
    reply_free(&reply);
}

static void wrong_parameters_are_explained(void **state) {
    static const struct {
        const char *request;
        const char *word;
    } cases[] = {
        {GET("/api/history?seconds=0"), "seconds"},
        {GET("/api/history?seconds=-1"), "seconds"},
        {GET("/api/history?seconds="), "seconds"},
        {GET("/api/history?seconds=1x"), "seconds"},
        {GET("/api/history?seconds=nan"), "seconds"},
        {GET("/api/history?seconds=inf"), "seconds"},
        {GET("/api/history?seconds=1e999"), "seconds"},
        {GET("/api/history?format=xml"), "csv"},
        {GET("/api/history?format="), "csv"},
    };
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", thing_schema());
    await_tick(server, "thing", 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply reply = exchange(server, cases[i].request);
        print_message("%.40s\n", cases[i].request);
        assert_int_equal(reply.status, 400);
        cJSON *json = json_of(&reply);
        assert_contains(string_of(json, "error"), cases[i].word);
        cJSON_Delete(json);
        reply_free(&reply);
    }
    omni_publisher_close(publisher);
}

/* More than fits in any buffer on the way; HTTP/1.0 spares us the chunks. */
enum { MANY = 20000 };

static void a_history_is_whole(void **state) {
    static const char *const columns[] = {"instance", "tick",    "time",    "monotonic",
                                          "level",    "pair[0]", "pair[1]", "mode"};
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", thing_schema());
    publish_things(publisher, MANY);
    await_tick(server, "thing", MANY);
    struct reply reply = exchange(server, "GET /api/history?seconds=1e9 HTTP/1.0\r\n" HOST "\r\n");
    assert_int_equal(reply.status, 200);
    assert_string_equal(header_in(&reply, "Content-Type"), "application/json");
    cJSON *json = json_of(&reply);
    assert_string_equal(string_of(json, "op"), "batch");
    assert_string_equal(string_of(json, "source"), "thing");
    const cJSON *names = cJSON_GetObjectItem(json, "columns");
    assert_int_equal(cJSON_GetArraySize(names), 8);
    for (int i = 0; i < 8; i++)
        assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(names, i)), columns[i]);
    const cJSON *rows = cJSON_GetObjectItem(json, "rows");
    const cJSON *row;
    double tick = 0;
    cJSON_ArrayForEach(row, rows) {
        tick++;
        assert_int_equal(cJSON_GetArraySize(row), 8);
        assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetArrayItem(row, 0))), 16);
        assert_true(cJSON_GetNumberValue(cJSON_GetArrayItem(row, 1)) == tick);
        assert_true(cJSON_GetNumberValue(cJSON_GetArrayItem(row, 4)) == tick - 0.5);
        assert_true(cJSON_GetNumberValue(cJSON_GetArrayItem(row, 7)) == MODE_GO);
    }
    assert_int_equal((int)tick, MANY);
    cJSON_Delete(json);
    omni_publisher_close(publisher);
    reply_free(&reply);
}

static void a_history_comes_as_csv_too(void **state) {
    static const char head[] = "instance,tick,time,monotonic,level,pair[0],pair[1],mode\r\n";
    static const char tail[] = "-1,2,\"go, \"\"fast\"\"\"\r\n";
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", thing_schema());
    publish_things(publisher, MANY);
    await_tick(server, "thing", MANY);
    struct reply reply =
        exchange(server, "GET /api/history?source=thing&format=csv HTTP/1.0\r\n" HOST "\r\n");
    assert_int_equal(reply.status, 200);
    assert_string_equal(header_in(&reply, "Content-Type"),
                        "text/csv; charset=utf-8; header=present");
    assert_int_equal(strncmp(reply.body, head, sizeof head - 1), 0);
    const char *line = reply.body + sizeof head - 1;
    uint64_t count = 0;
    for (; *line; count++) {
        uint64_t tick;
        double level;
        int used = 0;
        assert_int_equal(
            sscanf(line, "%*16[0-9a-f],%" SCNu64 ",%*u,%*u,%lf,%n", &tick, &level, &used), 2);
        assert_int_equal(tick, count + 1);
        assert_true(level == (double)count + 0.5);
        assert_int_equal(strncmp(line + used, tail, sizeof tail - 1), 0);
        line += (size_t)used + sizeof tail - 1;
    }
    assert_int_equal(count, MANY);
    omni_publisher_close(publisher);
    reply_free(&reply);
}

static void a_history_is_cut_to_its_seconds(void **state) {
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", thing_schema());
    struct thing thing = {.level = 1};
    struct omni_time now = omni_time_now();
    for (uint64_t i = 10; i > 0; i--) { /* ten ticks, 100 s apart, the newest 50 s old */
        struct omni_time then = {.monotonic_ns = now.monotonic_ns - (i * 100 - 50) * 1000000000,
                                 .wall_ns = now.wall_ns - (i * 100 - 50) * 1000000000};
        omni_publish_at(publisher, &thing, then);
    }
    await_tick(server, "thing", 10);
    static const struct {
        const char *request;
        int rows;
    } cases[] = {{GET("/api/history"), 1},
                 {GET("/api/history?seconds=1"), 0},
                 {GET("/api/history?seconds=300.5"), 3},
                 {GET("/api/history?seconds=1e300"), 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply reply = exchange(server, cases[i].request);
        char *start = strchr(reply.body, '{');
        char *end = strrchr(reply.body, '}');
        int rows = 0;
        assert_non_null(start);
        assert_non_null(end);
        for (const char *row = start; (row = strstr(row, "\n[\"")); row++)
            rows++;
        print_message("%.40s\n", cases[i].request);
        assert_int_equal(rows, cases[i].rows);
        reply_free(&reply);
    }
    omni_publisher_close(publisher);
}

static void publish_wide(struct omni_publisher *publisher, unsigned count) {
    struct wide wide = {.wide = {0}};
    for (size_t i = 0; i < sizeof wide.wide / sizeof wide.wide[0]; i++)
        wide.wide[i] = 1.0 / (double)(i + 3);
    for (unsigned i = 0; i < count; i++)
        omni_publish(publisher, &wide);
}

/* Turns the loop until the source has a field of that name. */
static void await_field(struct server *server, const char *name, const char *field) {
    uint64_t deadline = now_ms() + WAIT_MS;
    for (;;) {
        const struct source *source = sources_find(server->sources, name);
        if (source && omni_table_find(source->table, field))
            return;
        server_turn(server);
        assert_true(now_ms() < deadline);
    }
}

/* The client reads a little and stops (what it has not read is more than the kernel keeps for it);
 * then the source comes back with another schema. What was sent cannot be made whole any more, and
 * must not look whole. */
static void a_history_that_breaks_does_not_look_whole(void **state) {
    static const char *const requests[] = {
        "GET /api/history?seconds=1e9 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
        "GET /api/history?seconds=1e9&format=csv HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"};
    struct server *server = *state;
    for (size_t i = 0; i < 2; i++) {
        struct omni_publisher *publisher = publish(server, "thing", wide_schema());
        publish_wide(publisher, 3500);
        await_tick(server, "thing", 3500);
        int client = client_connect_with(server, 32768);
        client_say(client, requests[i]);
        struct reply begun = client_hear(server, client, "instance");
        assert_int_equal(begun.status, 200);
        assert_false(begun.ended);
        omni_publisher_close(publisher);
        publisher = publish(server, "thing", other_schema());
        omni_publish(publisher, &(struct other){.other = 1});
        await_field(server, "thing", "other");
        struct reply rest = client_hear(server, client, NULL);
        assert_true(rest.ended);
        if (!rest.reset) { /* the last chunk would be the sign of a whole answer */
            assert_true(rest.bytes >= 5);
            assert_memory_not_equal(rest.text + rest.bytes - 5, "0\r\n\r\n", 5);
        }
        omni_publisher_close(publisher);
        close(client);
        reply_free(&begun);
        reply_free(&rest);
    }
}

/* What one turn of the loop may write to somebody who takes everything is bounded: else the others
 * would wait for him. */
static void a_long_history_lets_others_in(void **state) {
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", wide_schema());
    publish_wide(publisher, 2000);
    await_tick(server, "thing", 2000);
    struct reply whole = {0};
    size_t most = 0;
    int client = client_connect_with(server, 4 << 20);
    client_say(client,
               "GET /api/history?seconds=1e9 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    uint64_t deadline = now_ms() + WAIT_MS;
    for (bool more = true; more; assert_true(now_ms() < deadline)) {
        size_t before = whole.bytes;
        server_turn(server);
        while ((more = reply_receive(&whole, client)) && !reply_is_drained(client))
            continue;
        most = whole.bytes - before > most ? whole.bytes - before : most;
    }
    assert_true(whole.bytes > 2000000);
    assert_in_range(most, 1, 200000);
    omni_publisher_close(publisher);
    close(client);
    reply_free(&whole);
}

static void the_observer_tells_of_itself(void **state) {
    struct reply reply = exchange(*state, GET("/api/observer"));
    cJSON *json = json_of(&reply);
    assert_int_equal(reply.status, 200);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "process")) == (double)getpid());
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "memory")) > 100000);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "cpu")) > 0);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "http_connections")) == 1);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "http_requests")) == 1);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "clients")) == 0);
    cJSON_Delete(json);
    reply_free(&reply);
}

/* ---- Abuse ---- */

static void an_oversized_request_is_refused(void **state) {
    static const char *const heads[] = {"GET /healthz HTTP/1.1\r\n" HOST "X-Large: ", "GET /"};
    struct server *server = *state;
    char *padding = malloc(60000 + 1);
    assert_non_null(padding);
    memset(padding, 'a', 60000);
    padding[60000] = '\0';
    for (size_t i = 0; i < 2; i++) {
        int client = client_connect(server);
        client_say(client, heads[i]);
        client_say(client, padding);
        struct reply reply = client_hear(server, client, NULL);
        assert_true(reply.ended);
        if (!reply.reset)
            assert_in_range(reply.status, 400, 499);
        close(client);
        reply_free(&reply);
    }
    free(padding);
    struct reply after = exchange(server, GET("/healthz"));
    assert_int_equal(after.status, 200);
    reply_free(&after);
}

static void an_endless_body_is_cut_off(void **state) {
    static const char *const methods[] = {"GET", "PATCH"};
    struct server *server = *state;
    char block[8192];
    memset(block, 'a', sizeof block);
    for (size_t i = 0; i < 2; i++) {
        int client = client_connect(server);
        client_say(client, methods[i]);
        client_say(client, " /healthz HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\n\r\n");
        size_t sent = 0;
        for (uint64_t deadline = now_ms() + WAIT_MS; now_ms() < deadline;) {
            ssize_t count = send(client, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count < 0 && errno != EAGAIN)
                break;
            sent += count > 0 ? (size_t)count : 0;
            server_turn(server);
        }
        assert_in_range(sent, 1, 50000000);
        close(client);
    }
}

/* An upload is refused before it was sent. */
static void an_upload_is_answered_before_its_body(void **state) {
    static const char *const methods[] = {"POST", "PUT"};
    struct server *server = *state;
    for (size_t i = 0; i < 2; i++) {
        int client = client_connect(server);
        client_say(client, methods[i]);
        client_say(client, " / HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\n\r\n");
        struct reply reply = client_hear(server, client, NULL);
        assert_int_equal(reply.status, 405);
        close(client);
        reply_free(&reply);
    }
}

/* One byte of header at a time, each long before any time-out for silence, and all of them far
 * fewer than a header may have. */
static void a_request_that_drips_is_ended(void **state) {
    struct server *server = *state;
    int client = client_connect(server);
    bool ended = false;
    unsigned sent = 0;
    uint64_t deadline = now_ms() + WAIT_MS;
    client_say(client, "GET /healthz HTTP/1.1\r\nX: ");
    for (uint64_t next = now_ms(); !ended && next < deadline; next += 50) {
        char byte;
        while (now_ms() < next)
            server_turn(server);
        ssize_t count = recv(client, &byte, 1, MSG_DONTWAIT);
        ended =
            count == 0 || (count < 0 && errno != EAGAIN) || send(client, "a", 1, MSG_NOSIGNAL) < 0;
        sent++;
    }
    assert_true(ended);
    assert_in_range(sent, 10, WAIT_MS / 50);
    close(client);
}

static void an_idle_connection_is_ended(void **state) {
    struct server *server = *state;
    int client = client_connect(server);
    client_say(client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    struct reply reply = client_hear(server, client, NULL);
    assert_int_equal(reply.status, 200);
    assert_true(reply.ended);
    close(client);
    reply_free(&reply);
}

static void who_waits_longest_makes_room(void **state) {
    struct server *server = *state;
    int clients[4];
    for (size_t i = 0; i < 4; i++) {
        clients[i] = client_connect(server);
        client_say(clients[i], "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
        struct reply reply = client_hear(server, clients[i], "\"ok\"");
        assert_false(reply.ended);
        reply_free(&reply);
    }
    struct reply fifth = exchange(server, GET("/api/observer"));
    assert_int_equal(fifth.status, 200);
    assert_contains(fifth.body, "\"http_connections\":4,");
    struct reply first = client_hear(server, clients[0], NULL);
    assert_true(first.ended);
    assert_int_equal(first.bytes, 0);
    for (size_t i = 0; i < 4; i++)
        close(clients[i]);
    reply_free(&fifth);
    reply_free(&first);
}

/* Half requests fill all places: whoever asks is answered all the same. */
static void half_requests_make_room_first(void **state) {
    struct server *server = *state;
    int resting = client_connect(server);
    int halves[3];
    client_say(resting, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    struct reply first = client_hear(server, resting, "\"ok\"");
    for (size_t i = 0; i < 3; i++) {
        halves[i] = client_connect(server);
        client_say(halves[i], "GET /healthz HTTP/1.1\r\n");
        server_turn(server);
        server_turn(server);
    }
    struct reply asked = exchange(server, GET("/api/observer"));
    assert_int_equal(asked.status, 200);
    assert_contains(asked.body, "\"http_connections\":4,");
    struct reply half = client_hear(server, halves[0], NULL);
    assert_true(half.ended);
    client_say(resting, GET("/healthz"));
    struct reply again = client_hear(server, resting, NULL);
    assert_int_equal(again.status, 200);
    for (size_t i = 0; i < 3; i++)
        close(halves[i]);
    close(resting);
    reply_free(&first);
    reply_free(&asked);
    reply_free(&half);
    reply_free(&again);
}

/* ---- Answers that nobody reads ---- */

#define LONG_HISTORY "GET /api/history?seconds=1e9 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"

enum { SIP_BYTES = 256 };

/* Asks for more than the kernel keeps, and takes only the beginning. */
static int ask_and_stop(struct server *server) {
    int client = client_connect_with(server, 32768);
    client_say(client, LONG_HISTORY);
    struct reply reply = client_hear(server, client, "instance");
    assert_int_equal(reply.status, 200);
    assert_false(reply.ended);
    reply_free(&reply);
    return client;
}

/* Slow, but not nothing. */
static void sip(int client, struct reply *reply) {
    reply->text = realloc(reply->text, reply->bytes + SIP_BYTES + 1);
    assert_non_null(reply->text);
    ssize_t got = recv(client, reply->text + reply->bytes, SIP_BYTES, MSG_DONTWAIT);
    assert_true(got > 0 || errno == EAGAIN);
    reply->bytes += got > 0 ? (size_t)got : 0;
    reply->text[reply->bytes] = '\0';
}

/* Comes ten times a second until there is an answer; meanwhile the reader goes on reading. */
static void come_in(struct server *server, int reader, struct reply *taken) {
    uint64_t deadline = now_ms() + WAIT_MS;
    for (int status = 0; status != 200; assert_true(now_ms() < deadline)) {
        struct reply reply = {0};
        int client = client_connect(server);
        bool heard = false;
        client_say(client, GET("/healthz"));
        for (uint64_t next = now_ms() + 100; !heard || now_ms() < next;) {
            server_turn(server);
            sip(reader, taken);
            heard = heard || !reply_receive(&reply, client);
            assert_true(now_ms() < deadline);
        }
        reply_parse(&reply);
        status = reply.status;
        close(client);
        reply_free(&reply);
    }
}

/* All places are taken by long answers: those that are not read make room, the one that is read
 * comes to its end. */
static void answers_that_nobody_reads_make_room(void **state) {
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", wide_schema());
    publish_wide(publisher, 3500);
    await_tick(server, "thing", 3500);
    int mute[3];
    struct reply taken = {0};
    int reader = ask_and_stop(server);
    for (size_t i = 0; i < 3; i++)
        mute[i] = ask_and_stop(server);
    come_in(server, reader, &taken);
    int fourth = ask_and_stop(server); /* which takes the place that was made */
    come_in(server, reader, &taken);
    struct reply rest = client_hear(server, reader, NULL);
    assert_true(rest.ended);
    assert_false(rest.reset);
    assert_true(rest.bytes >= 5);
    assert_memory_equal(rest.text + rest.bytes - 5, "0\r\n\r\n", 5);
    omni_publisher_close(publisher);
    for (size_t i = 0; i < 3; i++)
        close(mute[i]);
    close(fourth);
    close(reader);
    reply_free(&taken);
    reply_free(&rest);
}

static void an_answer_that_nobody_takes_is_ended(void **state) {
    struct server *server = *state;
    struct omni_publisher *publisher = publish(server, "thing", wide_schema());
    publish_wide(publisher, 3500);
    await_tick(server, "thing", 3500);
    int mute = ask_and_stop(server);
    uint64_t deadline = now_ms() + WAIT_MS;
    for (bool alone = false; !alone; assert_true(now_ms() < deadline)) {
        struct reply asked = exchange(server, GET("/api/observer"));
        alone = strstr(asked.body, "\"http_connections\":1,") != NULL;
        reply_free(&asked);
    }
    omni_publisher_close(publisher);
    close(mute);
}

static void nonsense_is_survived(void **state) {
    static const char *const cases[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n" HOST "\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
        "GET /?%00%zz&&==&token=%00 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    struct server *server = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int client = client_connect(server);
        client_say(client, cases[i]);
        assert_int_equal(shutdown(client, SHUT_WR), 0);
        struct reply reply = client_hear(server, client, NULL);
        assert_true(reply.ended);
        close(client);
        reply_free(&reply);
        struct reply after = exchange(server, GET("/healthz"));
        assert_int_equal(after.status, 200);
        reply_free(&after);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_answer_is_strict, start, stop),
        cmocka_unit_test_setup_teardown(the_page_comes_as_it_is_and_zipped, start, stop),
        cmocka_unit_test_setup_teardown(every_asset_is_served, start, stop),
        cmocka_unit_test_setup_teardown(what_is_known_is_not_sent_again, start, stop),
        cmocka_unit_test_setup_teardown(head_is_get_without_the_body, start, stop),
        cmocka_unit_test_setup_teardown(other_paths_and_methods_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_connection_serves_more_than_once, start, stop),
        cmocka_unit_test_setup_teardown(proxies_keep_no_connection, start, stop),
        cmocka_unit_test_setup_teardown(without_a_token_only_health_is_shown, start_guarded, stop),
        cmocka_unit_test_setup_teardown(the_link_gives_a_cookie_that_opens, start_guarded, stop),
        cmocka_unit_test_setup_teardown(who_comes_from_another_site_is_asked_again, start_guarded,
                                        stop),
        cmocka_unit_test_setup_teardown(a_foreign_host_gets_no_cookie, start_guarded, stop),
        cmocka_unit_test_setup_teardown(without_a_source_the_api_says_so, start, stop),
        cmocka_unit_test_setup_teardown(a_source_without_a_tick_is_not_ready, start, stop),
        cmocka_unit_test_setup_teardown(sources_and_status_are_told, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_name_is_answered_with_the_right_ones, start, stop),
        cmocka_unit_test_setup_teardown(wrong_parameters_are_explained, start, stop),
        cmocka_unit_test_setup_teardown(a_history_is_whole, start, stop),
        cmocka_unit_test_setup_teardown(a_history_comes_as_csv_too, start, stop),
        cmocka_unit_test_setup_teardown(a_history_is_cut_to_its_seconds, start, stop),
        cmocka_unit_test_setup_teardown(a_history_that_breaks_does_not_look_whole, start, stop),
        cmocka_unit_test_setup_teardown(a_long_history_lets_others_in, start, stop),
        cmocka_unit_test_setup_teardown(the_observer_tells_of_itself, start, stop),
        cmocka_unit_test_setup_teardown(an_oversized_request_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(an_endless_body_is_cut_off, start, stop),
        cmocka_unit_test_setup_teardown(an_upload_is_answered_before_its_body, start, stop),
        cmocka_unit_test_setup_teardown(a_request_that_drips_is_ended, start_impatient, stop),
        cmocka_unit_test_setup_teardown(an_idle_connection_is_ended, start_restless, stop),
        cmocka_unit_test_setup_teardown(who_waits_longest_makes_room, start_crowded, stop),
        cmocka_unit_test_setup_teardown(half_requests_make_room_first, start_crowded, stop),
        cmocka_unit_test_setup_teardown(answers_that_nobody_reads_make_room, start_besieged, stop),
        cmocka_unit_test_setup_teardown(an_answer_that_nobody_takes_is_ended, start_restless, stop),
        cmocka_unit_test_setup_teardown(nonsense_is_survived, start_restless, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
