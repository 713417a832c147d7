/*
 * main.c - omni-robot: options, signals, start and stop
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <omni/publish.h>
#include <omni/region.h>

#include "board.h"
#include "clock.h"
#include "lockstep.h"
#include "loop.h"
#include "options.h"
#include "realtime.h"
#include "self_test.h"
#include "sensor.h"
#include "service/notify.h"
#include "service/say.h"
#include "service/standard.h"
#include "status.h"
#include "vigil.h"
#include "watchdog.h"

enum { EXIT_STOPPED = 0, EXIT_BROKEN = 1, EXIT_REFUSED = 2 };

/* For those who look at a run in lockstep without taking turns: they have to keep up with a loop that
 * does not wait for them. */
#define LOCKSTEP_SLOTS 4096u

/* A signal handler has no other way to reach the loop. */
static volatile sig_atomic_t stop;

static void ask_to_stop(int signal) {
    (void)signal;
    stop = 1;
}

static void catch_signals(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    /* No SA_RESTART: the sleep until the next tick must end. */
    struct sigaction action = {.sa_handler = ask_to_stop};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], &action, NULL);
    /* Nobody reads what it says any more, or waits for it to be ready: it drives on. */
    (void)signal(SIGPIPE, SIG_IGN);
    /* Who ignores it, and lets its children inherit that, cannot wait for its own. */
    (void)signal(SIGCHLD, SIG_DFL);
}

/* Everything that runs, from start to stop. */
struct session {
    struct sensor sensor; /* first: it has cache lines of its own */
    const struct options *options;
    const struct board_kind *kind;
    const char *board_argument;
    int cpu;        /* that the loop is kept on */
    cpu_set_t cpus; /* that this thread may use else */
    struct omni_publisher *publisher;
    struct lockstep lockstep;
    struct notify notify;
    struct watchdog watchdog;
    struct board *board;
    struct loop loop;
};

static int refuse(const char *text) {
    say(SAY_ERROR, "%s", text);
    return EXIT_REFUSED;
}

static int refuse_errno(const char *what, int error) {
    say(SAY_ERROR, "%s: %s.", what, strerror(-error));
    return EXIT_REFUSED;
}

static uint64_t period_ns(const struct options *options) {
    return CLOCK_NS_A_SECOND / options->tick_hz;
}

/* ---- the service manager ---- */

/* A watchdog that no tick could feed in time would end a robot that is well. */
static int check_watchdog(const struct session *session) {
    const struct options *options = session->options;
    uint64_t watchdog_ns = session->notify.watchdog_ns;
    if (watchdog_ns == 0)
        return 0;
    if (options->lockstep)
        return refuse("--lockstep waits for its consumer as long as that takes, and the service "
                      "manager's watchdog does not: set WatchdogSec=0 in the unit");
    if (watchdog_ns >= 2 * period_ns(options))
        return 0;
    say(SAY_ERROR,
        "The watchdog's %.3f s are too short for %llu ticks a second: set WatchdogSec= "
        "to two periods at least, or a higher --tick-hz",
        (double)watchdog_ns / CLOCK_NS_A_SECOND, (unsigned long long)options->tick_hz);
    return EXIT_REFUSED;
}

static int open_notify(struct session *session) {
    const struct options *options = session->options;
    struct omni_problem problem;
    if (notify_open(&session->notify, &problem) < 0)
        say(SAY_WARNING, "%s", problem.text);
    notify_describe(&session->notify, "%s: %llu ticks a second, board %s", options->name,
                    (unsigned long long)options->tick_hz, options->board);
    return check_watchdog(session);
}

/* ---- opening ---- */

/* Returns 0 also where a signal came while it waited for the region: then there is no publisher. */
static int open_publisher(struct session *session) {
    const struct options *options = session->options;
    struct omni_publisher_options how = {
        .directory = options->directory,
        .region = options->region,
        /* In lockstep ticks come when they are taken. */
        .period_ns = options->lockstep ? 0 : period_ns(options),
        .steady = options->lockstep,
        .slot_count = options->lockstep ? LOCKSTEP_SLOTS : 0,
        .stop = &stop,
    };
    struct omni_problem problem;
    int error = omni_publisher_open(&session->publisher, options->name, robot_status_schema(), &how,
                                    &problem);
    if (error == -ECANCELED) {
        say(SAY_INFO, "Robot \"%s\" was %s.", options->name, problem.text);
        return EXIT_STOPPED;
    }
    return error < 0 ? refuse(problem.text) : 0;
}

/* On one kernel a lock tells that this robot lives. */
static void begin_vigil(struct vigil *vigil, const struct session *session) {
    const struct options *options = session->options;
    vigil_begin(vigil, options->region != NULL ? session->publisher : NULL,
                realtime_priorities(options->realtime).vigil);
}

static struct board_setup board_setup(const struct session *session) {
    const struct options *options = session->options;
    return (struct board_setup){
        .seed = options->seed,
        .period_ns = period_ns(options),
        .priority = realtime_priorities(options->realtime),
        .argument = session->board_argument,
        .board_config = options->board_config,
        .driver_config = options->driver_config,
        .driver_host = options->driver_host,
        .isolate_driver = options->isolate_driver,
        .stop = &stop,
    };
}

/* Before the publisher is opened: that of a robot which cannot start would wipe out what the last
 * run has left. */
static int check_board(const struct session *session) {
    struct board_setup setup = board_setup(session);
    struct omni_problem problem;
    if (session->kind->check == NULL || session->kind->check(&setup, &problem) == 0)
        return 0;
    return refuse(problem.text);
}

/* Returns 0 also where a signal came before the board was open: then there is none. */
static int open_board(struct session *session) {
    struct board_setup setup = board_setup(session);
    struct omni_problem problem;
    struct vigil vigil;
    begin_vigil(&vigil, session);
    int error = session->kind->open(&session->board, &setup, &problem);
    vigil_end(&vigil);
    if (error == -ECANCELED)
        return EXIT_STOPPED;
    return error < 0 ? refuse(problem.text) : 0;
}

static void close_board(struct session *session) {
    struct vigil vigil;
    begin_vigil(&vigil, session);
    session->kind->close(session->board);
    vigil_end(&vigil);
}

/* shm: is as good as none: that it has the robot's own name is checked where it is opened. */
static int check_region(const char *region, struct omni_problem *problem) {
    struct omni_address address = {.place = OMNI_PLACE_SHM};
    int error = region != NULL ? omni_address_parse(&address, region, problem) : 0;
    if (error < 0 || address.place == OMNI_PLACE_SHM)
        return error;
    (void)snprintf(problem->text, sizeof problem->text,
                   "--lockstep needs a kernel that both sides share, and %.100s is memory between "
                   "machines: leave --region out",
                   region);
    return -EINVAL;
}

static int open_lockstep(struct session *session) {
    const struct options *options = session->options;
    struct omni_problem problem;
    if (!options->lockstep)
        return 0;
    if (session->kind->step == NULL) {
        say(SAY_ERROR, "--lockstep: the board %s lives in real time; --board sim is simulated",
            session->kind->name);
        return EXIT_REFUSED;
    }
    int error = check_region(options->region, &problem);
    if (error < 0)
        return refuse(problem.text);
    error = lockstep_open(&session->lockstep, options->directory, options->name, &problem);
    return error < 0 ? refuse(problem.text) : 0;
}

static void explain_end(const struct session *session, int error) {
    if (session->loop.end == LOOP_END_TAKEN_OVER)
        say(SAY_ERROR,
            "Another publisher has taken over %s, because this one showed no sign of life "
            "for two seconds (was it paused?): it ends, its motors are off.",
            session->options->region);
    else if (session->loop.end == LOOP_END_BOARD)
        say(SAY_ERROR, "The board %s refused the motors' powers: %s.", session->kind->name,
            strerror(-error));
}

static bool has_sensor_thread(const struct session *session) {
    return !session->options->lockstep && session->kind->sense == NULL;
}

static uint64_t microseconds(uint64_t ns) {
    return (ns + CLOCK_NS_A_MICROSECOND - 1) / CLOCK_NS_A_MICROSECOND;
}

static void report_end(const struct session *session) {
    const struct loop *loop = &session->loop;
    char shares[128] = "";
    if (!session->options->lockstep)
        (void)snprintf(shares, sizeof shares,
                       " (half of the ticks within %llu µs, 99 %% within %llu µs)",
                       (unsigned long long)microseconds(histogram_within(&loop->lateness, 0.5)),
                       (unsigned long long)microseconds(histogram_within(&loop->lateness, 0.99)));
    say(SAY_INFO, "Robot \"%s\" stopped: %llu ticks, %llu overruns, worst jitter %llu µs%s.",
        session->options->name, (unsigned long long)loop->ticks,
        (unsigned long long)loop->pace.overruns,
        (unsigned long long)(loop->pace.worst_ns / CLOCK_NS_A_MICROSECOND), shares);
}

/* After all other threads and processes have been started: they would inherit it. */
static int enter_cpu(struct session *session) {
    struct omni_problem problem;
    (void)sched_getaffinity(0, sizeof session->cpus, &session->cpus);
    return realtime_pin(session->cpu, &problem) < 0 ? refuse(problem.text) : 0;
}

/* What shows life while the board closes must not share one CPU with a driver that never sleeps. */
static void leave_cpu(const struct session *session) {
    if (session->cpu != REALTIME_ANY_CPU)
        (void)sched_setaffinity(0, sizeof session->cpus, &session->cpus);
}

static int run_loop(struct session *session) {
    const struct options *options = session->options;
    struct loop_settings settings = {
        .period_ns = period_ns(options),
        .ticks = options->ticks,
        .seed = options->seed,
        .kind = session->kind,
        .board = session->board,
        .sensor = has_sensor_thread(session) ? &session->sensor : NULL,
        .lockstep = options->lockstep ? &session->lockstep : NULL,
        .watchdog = &session->watchdog,
        .publisher = session->publisher,
        .notify = &session->notify,
        .stop = &stop,
    };
    struct loop *loop = &session->loop;
    say(SAY_INFO, "Robot \"%s\" runs%s: %llu ticks a second, board %s, process %ld.", options->name,
        options->lockstep ? " in lockstep" : "", (unsigned long long)options->tick_hz,
        options->board, (long)getpid());
    loop_init(loop, &settings);
    int error = loop_run(loop);
    notify_stopping(&session->notify);
    explain_end(session, error);
    report_end(session);
    return error < 0 ? EXIT_BROKEN : EXIT_STOPPED;
}

/* The machine's watchdog bites from here on: what opens and closes the board may take its time. */
static int run_watched(struct session *session) {
    struct omni_problem problem;
    const struct watchdog_options how = {.device = session->options->watchdog,
                                         .system = "/sys",
                                         .period_ns = period_ns(session->options)};
    if (watchdog_open(&session->watchdog, &how, &problem) < 0)
        return refuse(problem.text);
    if (session->watchdog.stays)
        say(SAY_WARNING,
            "--watchdog %s cannot be stopped any more (its driver's nowayout): %u s after this "
            "robot ends, however it ends, it resets the machine.",
            how.device, session->watchdog.timeout_s);
    int status = run_loop(session);
    watchdog_close(&session->watchdog);
    return status;
}

static int start_sensor(struct session *session) {
    if (!has_sensor_thread(session))
        return 0;
    return sensor_start(&session->sensor, session->kind, session->board,
                        realtime_priorities(session->options->realtime).sensor);
}

/* The name is taken before the board is touched, and kept until it is closed: a second robot must not
 * move the first one's motors. */
static int run(struct session *session) {
    int status = open_notify(session);
    if (status == 0)
        status = check_board(session);
    if (status == 0)
        status = open_lockstep(session);
    if (status != 0)
        goto close_notify;
    status = open_publisher(session);
    if (session->publisher == NULL)
        goto close_lockstep;
    status = open_board(session);
    if (session->board == NULL)
        goto close_publisher;
    /* The loop's ticks are signs of life; what comes before the first one may take its time. */
    omni_publisher_beat(session->publisher);
    int error = start_sensor(session);
    if (error < 0) {
        status = refuse_errno("The sensor thread cannot be started", error);
        goto close_board;
    }
    omni_publisher_beat(session->publisher);
    status = enter_cpu(session);
    if (status == 0)
        status = run_watched(session);
    leave_cpu(session);
    if (has_sensor_thread(session))
        sensor_stop(&session->sensor);
close_board:
    close_board(session);
close_publisher:
    omni_publisher_close(session->publisher);
close_lockstep:
    lockstep_close(&session->lockstep);
close_notify:
    notify_close(&session->notify);
    return status;
}

static int enter_realtime(struct session *session) {
    const struct options *options = session->options;
    struct omni_problem problem;
    session->cpu = REALTIME_ANY_CPU;
    if (!options->realtime && options->realtime_cpu != NULL)
        return refuse("--realtime-cpu needs --realtime; try: omni-robot --help");
    if (!options->realtime)
        return 0;
    if (realtime_choose_cpu(&session->cpu, options->realtime_cpu, &problem) < 0 ||
        realtime_enter(&problem) < 0)
        return refuse(problem.text);
    return 0;
}

/* Who writes what is wired where, and forgets which board it is for, would look at a simulated robot
 * and take it for the own one. */
static int check_board_options(const struct options *options, const struct board_kind *kind) {
    const struct {
        const char *option;
        const char *board; /* that it is for, and how that is written */
        const char *written;
        bool is_given;
    } rules[] = {
        {"--board-config", "gpio", "gpio", options->board_config != NULL},
        {"--driver-config", "driver", "driver:PATH.so", options->driver_config[0] != '\0'},
        {"--isolate-driver", "driver", "driver:PATH.so", options->isolate_driver},
        {"--driver-host", "driver", "driver:PATH.so", options->driver_host != NULL},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!rules[i].is_given || strcmp(rules[i].board, kind->name) == 0)
            continue;
        say(SAY_ERROR, "%s is not for --board %s: write --board %s, or leave it out",
            rules[i].option, kind->name, rules[i].written);
        return EXIT_REFUSED;
    }
    return 0;
}

/* Needs no robot: not its name, not its board. */
static int test_machine(const struct options *options) {
    struct omni_problem problem;
    struct self_test_options how = {
        .tick_hz = options->tick_hz, .seconds = options->self_test_seconds, .stop = &stop};
    if (realtime_choose_cpu(&how.cpu, options->realtime_cpu, &problem) < 0)
        return refuse(problem.text);
    catch_signals();
    return self_test_run(&how, stdout) > 0 ? EXIT_BROKEN : EXIT_STOPPED;
}

int main(int argc, char **argv) {
    struct options options;
    struct omni_problem problem;
    if (standard_keep() < 0)
        return EXIT_BROKEN; /* there is nowhere to say it */
    if (options_parse(&options, argc, argv, &problem) < 0)
        return refuse(problem.text);
    if (options.help) {
        options_print_help(stdout);
        return EXIT_STOPPED;
    }
    if (options.version) {
        (void)printf("omni-robot %s\n", OMNI_VERSION);
        return EXIT_STOPPED;
    }
    if (options.self_test)
        return test_machine(&options);
    struct session session = {.options = &options};
    session.kind = board_find(options.board, &session.board_argument);
    if (session.kind == NULL) {
        say(SAY_ERROR, "--board %s: no such board; there are: %s", options.board, BOARD_NAMES);
        return EXIT_REFUSED;
    }
    if (check_board_options(&options, session.kind) != 0)
        return EXIT_REFUSED;
    if (options.lockstep && options.realtime)
        return refuse("--lockstep and --realtime exclude each other: in lockstep time is "
                      "simulated, and each tick waits for its consumer; leave one of them out");
    if (options.lockstep && options.watchdog != NULL)
        return refuse("--lockstep and --watchdog exclude each other: each tick waits for its "
                      "consumer, and the watchdog does not; leave one of them out");
    catch_signals();
    int status = enter_realtime(&session);
    return status != 0 ? status : run(&session);
}
