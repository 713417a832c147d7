/*
 * fanout - what does it cost a server to give everybody the same message?
 *
 * CPU time of the server's process per delivered message of about 500 bytes at 60 Hz, for 1, 100
 * and 1,000 clients: the real omni-observer (which also reads the ticks and encodes them), the bare
 * epoll server of bare_server.c, and Node's `ws` (ws_server.mjs). All write messages of the same
 * length to the same load client, which says the same to each. They take turns, five rounds, every
 * other one backwards; the table shows medians.
 *
 *     fanout BUILD
 */
#include <stdio.h>
#include <unistd.h>

#include "parts/crowd.h"
#include "parts/process.h"
#include "parts/robot.h"
#include "parts/service.h"

enum { HZ = 60, ROUNDS = 5, SERVERS = 3 };

enum server_id { OBSERVER, BARE, NODE };

struct trial {
    const char *build;
    char bytes[16]; /* of a message; "" until the observer's are known */
    unsigned clients;
    unsigned seconds;
};

struct result {
    double cost_us[ROUNDS]; /* per message; 0: not here */
    double delivered;       /* share of what should have been */
};

/* ---- the servers ---- */

static struct service start_observer(const struct trial *trial) {
    static const char *const options[] = {"--max-clients", "1000", NULL};
    return service_start(trial->build, options);
}

static struct service start_other(const char *const *arguments) {
    int out = -1;
    struct service service = {.process = process_start(CORE_OBSERVER, arguments, &out)};
    service.port = process_port(out);
    close(out);
    if (service.port == 0)
        service_end(&service);
    return service;
}

static struct service start_bare(const struct trial *trial) {
    char program[512];
    snprintf(program, sizeof program, "%s/bench/bare_server", trial->build);
    return start_other((const char *const[]){program, trial->bytes, "60", NULL});
}

static struct service start_node(const struct trial *trial) {
    return start_other(
        (const char *const[]){"node", "bench/ws_server.mjs", trial->bytes, "60", NULL});
}

static struct service (*const starters[SERVERS])(const struct trial *trial) = {
    [OBSERVER] = start_observer, [BARE] = start_bare, [NODE] = start_node};

/* ---- one trial ---- */

static double run_trial(struct trial *trial, enum server_id which, double *delivered) {
    struct service service = starters[which](trial);
    if (service.process == 0)
        return 0;
    struct crowd_options options = {
        .port = service.port,
        .clients = trial->clients,
        .subscribe = CROWD_RATE("60"), /* the others read it too */
        .lingers = true,
    };
    struct crowd *crowd = crowd_open(&options);
    crowd_run(crowd, SECOND_NS, NULL);
    crowd_forget(crowd);
    uint64_t used_ns = process_cpu_ns(service.process);
    crowd_run(crowd, trial->seconds * SECOND_NS, NULL);
    used_ns = process_cpu_ns(service.process) - used_ns;
    double messages = (double)crowd_messages(crowd);
    if (trial->bytes[0] == '\0')
        snprintf(trial->bytes, sizeof trial->bytes, "%.0f", (double)crowd_bytes(crowd) / messages);
    *delivered = messages / (double)(HZ * trial->seconds * trial->clients);
    crowd_close(crowd);
    service_end(&service);
    return (double)used_ns / 1000 / messages;
}

/* ---- rows ---- */

/* Of the observer's cost in a round to the bare server's in the same round. */
static void find_ratios(const struct result results[SERVERS], double ratios[ROUNDS]) {
    for (size_t round = 0; round < ROUNDS; round++)
        ratios[round] = results[OBSERVER].cost_us[round] / results[BARE].cost_us[round];
    median_of(ratios, ROUNDS);
}

static void say(const struct trial *trial, struct result results[SERVERS]) {
    char claim[128];
    double ratios[ROUNDS];
    find_ratios(results, ratios);
    double observer = median_of(results[OBSERVER].cost_us, ROUNDS);
    double bare = median_of(results[BARE].cost_us, ROUNDS);
    double node = median_of(results[NODE].cost_us, ROUNDS);
    struct row row = {.claim = claim};
    snprintf(claim, sizeof claim, "CPU per message of %s bytes, %u client%s at %d Hz", trial->bytes,
             trial->clients, trial->clients == 1 ? "" : "s", HZ);
    if (trial->clients == 1000) {
        row.bound = "≤ 1.15 × bare epoll server";
        row_met(&row, observer <= 1.15 * bare);
    }
    row_measured(&row, "%.2f µs, %.2f × (rounds %.2f to %.2f)", observer, observer / bare,
                 ratios[0], ratios[ROUNDS - 1]);
    if (node > 0)
        row_beside(&row, "bare %.2f, Node's ws %.2f µs; delivered %.0f, %.0f, %.0f %%", bare, node,
                   results[OBSERVER].delivered * 100, results[BARE].delivered * 100,
                   results[NODE].delivered * 100);
    else
        row_beside(&row, "bare %.2f µs, Node's ws not here; delivered %.0f, %.0f %%", bare,
                   results[OBSERVER].delivered * 100, results[BARE].delivered * 100);
    row_print(&row);
}

static void measure(struct trial *trial) {
    struct result results[SERVERS] = {{.delivered = 0}};
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t turn = 0; turn < SERVERS; turn++) {
            size_t which = round % 2 == 0 ? turn : SERVERS - 1 - turn;
            results[which].cost_us[round] =
                run_trial(trial, (enum server_id)which, &results[which].delivered);
        }
    say(trial, results);
}

int main(int count, char **arguments) {
    static const unsigned crowds[] = {1, 100, 1000};
    struct trial trial = {.build = count == 2 ? arguments[1] : NULL, .seconds = 2};
    if (count != 2)
        measure_give_up("usage: fanout BUILD");
    measure_pin(CORE_ROBOT);
    pid_t robot = robot_start(SECOND_NS / HZ);
    for (size_t i = 0; i < sizeof crowds / sizeof crowds[0]; i++) {
        trial.clients = crowds[i];
        measure(&trial);
    }
    process_end(robot);
    return 0;
}
