#include "host_source.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <omni/lock.h>
#include <omni/observe.h>
#include <omni/publish.h>
#include <omni/region.h>

#include "clock.h"
#include "host_reader.h"
#include "service/say.h"
#include "thread.h"

/* The thread's alone, from its start on. */
struct worker {
    int line; /* closed by the other side: the end */
    struct host_source_options options;
    struct omni_publisher *publisher; /* NULL: somebody else publishes it */
    struct host_reader reader;
    bool has_told; /* that the name is taken */
};

struct host_source {
    int line; /* closed by the thread, last of all */
    pthread_t thread;
};

static void free_worker(struct worker *worker) {
    int line = worker->line;
    omni_publisher_close(worker->publisher);
    free(worker);
    if (line >= 0)
        (void)close(line);
}

/* ---- the name ---- */

/* Since the first version they have these, whatever else has changed. */
static bool is_host(const struct omni_table *table) {
    static const char *const fields[] = {"temperature", "busy", "load"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (omni_table_find(table, fields[i]) == NULL)
            return false;
    return true;
}

bool host_source_is_taken(const char *name, const char *directory) {
    const struct omni_observer_options how = {.directory = directory};
    struct omni_observer *reader = NULL;
    int error = omni_observer_attach(&reader, name, &how, NULL);
    bool is_taken = error < 0 ? error == -EPROTO : !is_host(omni_observer_table(reader));
    omni_observer_detach(reader);
    return is_taken;
}

static void explain_taken(const struct host_source_options *options, struct omni_problem *problem) {
    (void)snprintf(
        problem->text, sizeof problem->text,
        "the segment \"%s\" holds no machine's conditions, but a robot's, it seems: it is "
        "left alone, as long as it is there (--host-source=NAME for another name)",
        options->name);
}

static void explain_second(const struct host_source_options *options,
                           struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    char who[48] = "another process";
    int error = omni_region_path(path, options->directory, OMNI_FILE_LOCK, options->name);
    pid_t owner = error == 0 ? omni_lock_owner(path) : 0;
    if (owner > 0)
        (void)snprintf(who, sizeof who, "process %ld", (long)owner);
    (void)snprintf(problem->text, sizeof problem->text,
                   "\"%s\" is published by %s already: that one is shown, and this observer's when "
                   "it ends (--host-source=NAME for another name)",
                   options->name, who);
}

/* -EBUSY: somebody publishes it; -EEXIST: it is taken. */
static int open_publisher(struct worker *worker, struct omni_problem *problem) {
    const struct host_source_options *options = &worker->options;
    const struct omni_publisher_options how = {.directory = options->directory,
                                               .period_ns = HOST_SOURCE_PERIOD_NS};
    if (host_source_is_taken(options->name, options->directory)) {
        explain_taken(options, problem);
        return -EEXIST;
    }
    int error =
        omni_publisher_open(&worker->publisher, options->name, host_status_schema(), &how, problem);
    if (error == -EBUSY)
        explain_second(options, problem);
    return error;
}

/* ---- the thread ---- */

/* Sleeps until then; false where it is the end. */
static bool wait_until(const struct worker *worker, uint64_t then_ns) {
    struct pollfd line = {.fd = worker->line, .events = POLLIN};
    for (uint64_t now = clock_now_ns(); now < then_ns; now = clock_now_ns()) {
        int ms = (int)((then_ns - now) / CLOCK_NS_A_MILLISECOND) + 1;
        if (poll(&line, 1, ms) > 0)
            return false;
    }
    return true;
}

/* Whoever published it may have ended. */
static void take_over(struct worker *worker) {
    struct omni_problem problem = {.text = ""};
    int error = open_publisher(worker, &problem);
    if (error == 0)
        say(SAY_INFO, "host source: \"%s\" is published by this observer now",
            worker->options.name);
    else if (error == -EEXIST && !worker->has_told)
        say(SAY_WARNING, "host source: %s", problem.text);
    worker->has_told = worker->has_told || error == -EEXIST;
}

static void publish(struct worker *worker) {
    struct host_status status;
    host_reader_read(&worker->reader, &status);
    omni_publish(worker->publisher, &status);
}

static void *run(void *context) {
    struct worker *worker = context;
    uint64_t next_ns = clock_now_ns();
    while (wait_until(worker, next_ns)) {
        if (worker->publisher == NULL)
            take_over(worker);
        if (worker->publisher != NULL)
            publish(worker);
        /* What blocked for longer is not made up for. */
        for (uint64_t now = clock_now_ns(); next_ns <= now;)
            next_ns += HOST_SOURCE_PERIOD_NS;
    }
    free_worker(worker);
    return NULL;
}

/* ---- the loop's side ---- */

/* -EBUSY, -EEXIST: made, and waits for its turn. */
static int make_worker(struct worker **worker, const struct host_source_options *options,
                       struct omni_problem *problem) {
    struct worker *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->line = -1;
    made->options = *options;
    made->reader.root = options->root;
    int error = open_publisher(made, problem);
    made->has_told = error == -EEXIST;
    if (error < 0 && error != -EBUSY && error != -EEXIST)
        free_worker(made);
    else
        *worker = made;
    return error;
}

/* Owns `worker`. */
static int start(struct host_source *source, struct worker *worker) {
    int ends[2];
    int error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
    if (error < 0)
        goto no_line;
    source->line = ends[0];
    worker->line = ends[1];
    error = thread_start(&source->thread, run, worker);
    if (error == 0)
        return 0;
    (void)close(source->line);
no_line:
    free_worker(worker);
    return error;
}

int host_source_open(struct host_source **source, const struct host_source_options *options,
                     struct omni_problem *problem) {
    struct worker *worker = NULL;
    problem->text[0] = '\0';
    struct host_source *made = calloc(1, sizeof *made);
    int error = made == NULL ? -ENOMEM : make_worker(&worker, options, problem);
    int failure = worker != NULL ? start(made, worker) : error;
    if (failure == 0) {
        *source = made;
        return error == -EEXIST ? -EBUSY : error;
    }
    if (failure != error || problem->text[0] == '\0')
        (void)snprintf(problem->text, sizeof problem->text, "%s", strerror(-failure));
    free(made);
    return failure;
}

bool host_source_close(struct host_source *source) {
    char nothing;
    if (source == NULL)
        return true;
    struct pollfd line = {.fd = source->line, .events = POLLIN};
    (void)shutdown(source->line, SHUT_WR);
    bool is_over = poll(&line, 1, HOST_SOURCE_STOP_MS) > 0 &&
                   recv(source->line, &nothing, sizeof nothing, MSG_DONTWAIT) == 0;
    if (!is_over)
        say(SAY_WARNING, "a file in /proc or /sys blocks: its thread is left behind");
    (void)(is_over ? pthread_join(source->thread, NULL) : pthread_detach(source->thread));
    (void)close(source->line);
    free(source);
    return is_over;
}

uint64_t host_source_hash(void) {
    struct omni_table table = {0};
    if (omni_schema_pack(&table, host_status_schema(), NULL) < 0)
        return 0;
    uint64_t hash = table.hash;
    omni_table_free(&table);
    return hash;
}
