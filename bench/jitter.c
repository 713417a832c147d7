/*
 * jitter - do observers make the robot's ticks come later?
 *
 * The real omni-robot at 500 Hz: alone, with the real omni-observer following it, and with 100
 * dashboards (WebSocket clients at 60 Hz) on that observer. Five rounds of two seconds each, in
 * turns; how late half and 99 % of a round's ticks came, the robot itself says at its end
 * (histogram.h: an eighth of an octave). Ordinary scheduling, then --realtime where it is permitted.
 * The robot has a core, observer and clients have the other: dashboards are on other machines.
 * Noise is what five rounds of the robot alone differ by.
 *
 *     jitter BUILD
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parts/crowd.h"
#include "parts/process.h"
#include "parts/service.h"

enum { ROUNDS = 5, HZ = 500, SECONDS = 2, CLIENTS = 100, TEXT_BYTES = 4096 };

enum company { ALONE, OBSERVED, CROWDED, COMPANIES };

struct lateness {
    double half_us[ROUNDS];
    double most_us[ROUNDS]; /* 99 % */
    double worst_us;        /* of all rounds */
};

/* ---- one run of the robot ---- */

static pid_t start_robot(const char *build, unsigned seconds, bool realtime, int *out) {
    char program[512];
    char ticks[16];
    snprintf(program, sizeof program, "%s/omni-robot", build);
    snprintf(ticks, sizeof ticks, "%u", seconds * HZ);
    /* It reports on standard error. The last option counts; so there is one in any case. */
    const char *const arguments[] = {"/bin/sh",
                                     "-c",
                                     "exec \"$@\" 2>&1",
                                     "sh",
                                     program,
                                     "--name",
                                     "bench",
                                     "--tick-hz",
                                     "500",
                                     "--directory",
                                     process_directory(),
                                     "--ticks",
                                     ticks,
                                     realtime ? "--realtime" : "--seed=1",
                                     NULL};
    return process_start(CORE_ROBOT, arguments, out);
}

static void read_all(int file, char text[TEXT_BYTES]) {
    size_t held = 0;
    ssize_t count;
    while (held < TEXT_BYTES - 1 && (count = read(file, text + held, TEXT_BYTES - 1 - held)) > 0)
        held += (size_t)count;
    text[held] = '\0';
    close(file);
}

/* Returns whether it said how late its ticks came. */
static bool note(struct lateness *lateness, unsigned round, const char *text) {
    unsigned long long worst;
    unsigned long long half;
    unsigned long long most;
    const char *said = strstr(text, "worst jitter");
    /* NOLINTNEXTLINE(cert-err34-c): what it prints is known */
    if (said == NULL || sscanf(said,
                               "worst jitter %llu µs (half of the ticks within %llu µs, "
                               "99 %% within %llu µs)",
                               &worst, &half, &most) != 3)
        return false;
    lateness->half_us[round] = (double)half;
    lateness->most_us[round] = (double)most;
    if ((double)worst > lateness->worst_us)
        lateness->worst_us = (double)worst;
    return true;
}

static void measure(const char *build, enum company company, bool realtime, unsigned round,
                    struct lateness *lateness) {
    char text[TEXT_BYTES];
    struct service service = {0};
    struct crowd *crowd = NULL;
    int out = -1;
    if (company >= OBSERVED)
        service = service_start(build, NULL);
    if (company >= CROWDED) {
        struct crowd_options options = {
            .port = service.port, .clients = CLIENTS, .subscribe = CROWD_RATE("60")};
        crowd = crowd_open(&options);
        crowd_run(crowd, SECOND_NS / 2, NULL);
        crowd_forget(crowd);
    }
    pid_t robot = start_robot(build, SECONDS, realtime, &out);
    if (crowd != NULL)
        crowd_run(crowd, SECONDS * SECOND_NS, NULL);
    read_all(out, text);
    if (process_wait(robot) != 0 || !note(lateness, round, text))
        measure_give_up("the robot did not say how late its ticks came: %s", text);
    if (crowd != NULL && crowd_messages(crowd) < (uint64_t)CLIENTS * SECONDS * 30)
        measure_give_up("only %llu messages reached the dashboards",
                        (unsigned long long)crowd_messages(crowd));
    if (crowd != NULL)
        crowd_close(crowd);
    if (company >= OBSERVED)
        service_end(&service);
}

/* ---- the rows ---- */

static double greatest(const double values[ROUNDS]) {
    double most = values[0];
    for (unsigned i = 1; i < ROUNDS; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

static void say(const char *with, const char *how, struct lateness *lateness,
                const struct lateness *alone) {
    char claim[128];
    struct row row = {.claim = claim, .bound = "no worse than the worst round alone"};
    struct lateness reference = *alone;
    double half = median_of(lateness->half_us, ROUNDS);
    double most = median_of(lateness->most_us, ROUNDS);
    double half_alone = median_of(reference.half_us, ROUNDS);
    double most_alone = median_of(reference.most_us, ROUNDS);
    snprintf(claim, sizeof claim, "lateness of the robot's ticks, %s, %s", with, how);
    row_measured(&row, "p50 %.2f ×, p99 %.2f × alone", half / half_alone, most / most_alone);
    row_beside(&row,
               "p50 %.0f, p99 %.0f, worst %.0f µs; alone %.0f (to %.0f), %.0f (to %.0f), %.0f µs",
               half, most, lateness->worst_us, half_alone, greatest(reference.half_us), most_alone,
               greatest(reference.most_us), reference.worst_us);
    row_met(&row, half <= greatest(reference.half_us) && most <= greatest(reference.most_us));
    row_print(&row);
}

static void compare(const char *build, bool realtime) {
    struct lateness lateness[COMPANIES] = {{.worst_us = 0}};
    const char *how = realtime ? "--realtime" : "ordinary";
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < COMPANIES; i++) /* every other round backwards */
            measure(build, round % 2 == 0 ? i : COMPANIES - 1 - i, realtime, round,
                    &lateness[round % 2 == 0 ? i : COMPANIES - 1 - i]);
    say("one observer", how, &lateness[OBSERVED], &lateness[ALONE]);
    say("100 dashboards", how, &lateness[CROWDED], &lateness[ALONE]);
}

/* A first, short life also leaves the source that clients ask for before the robot is there. */
static bool runs(const char *build, bool realtime) {
    char text[TEXT_BYTES];
    int out = -1;
    pid_t robot = start_robot(build, 1, realtime, &out);
    read_all(out, text);
    return process_wait(robot) == 0;
}

int main(int count, char **arguments) {
    if (count != 2)
        measure_give_up("usage: jitter BUILD");
    process_directory();
    measure_pin(CORE_OBSERVER);
    if (!runs(arguments[1], false))
        measure_give_up("omni-robot does not run");
    compare(arguments[1], false);
    if (runs(arguments[1], true)) {
        compare(arguments[1], true);
        return 0;
    }
    struct row row = {.claim = "lateness of the robot's ticks with observers, --realtime",
                      .bound = "no worse than the worst round alone",
                      .met = ROW_OPEN};
    row_measured(&row, "not here");
    row_beside(&row, "SCHED_FIFO is not permitted");
    row_print(&row);
    return 0;
}
