/*
 * main.c - omni-driver-host: loads a driver and calls it for a robot (driver_call.h)
 *
 *     omni-driver-host DRIVER CONFIG ROBOT
 *   ROBOT: the process id of the robot, which started this. Descriptor DRIVER_CALL_FILE is the
 *   hand-off's memory.
 *
 * Made for the driver's CPU, which need not be the robot's. Started by omni-robot only.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <omni/handoff.h>

#include "../driver.h"
#include "../driver_call.h"
#include "../realtime.h"
#include "service/say.h"

/* A signal that comes just before the sleep is found after it. */
#define BETWEEN_LOOKS_NS 1000000000u

/* Between two looks whether the robot lives; and what a driver has after its death to stop the motors
 * and to close. */
#define BETWEEN_QUESTIONS_NS 500000000
#define LAST_SECONDS         1

/* Of a core, without sleeping, under real-time scheduling: no call of a driver is worth more. */
#define REALTIME_US 1000000u

static volatile sig_atomic_t stop;

static void end_soon(int signal) {
    (void)signal;
    stop = 1;
}

/* ---- living no longer than the robot ---- */

/* The robot's death is told by SIGTERM, so that the driver can still stop the motors: that of its
 * thread which made this process, to be exact, so the robot may be there for a moment yet. Returns
 * false where the robot died before this was asked for. */
static bool live_no_longer_than(pid_t robot) {
    /* No SA_RESTART: the wait must end. */
    struct sigaction action = {.sa_handler = end_soon};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == robot;
}

/* With what the driver has started, as far as that is in the group which the robot made for it. */
static void end_all(void) {
    if (getpgrp() == getpid())
        (void)kill(0, SIGKILL);
    (void)kill(getpid(), SIGKILL);
}

/* Ends what the driver has started, but not this process, whose status is to tell how it ended: that
 * moves to the robot's group before. Where the robot is gone, there is nobody to tell. */
static void end_others(pid_t robot) {
    pid_t group = getpgrp();
    if (group == getpid() && setpgid(0, getpgid(robot)) == 0)
        (void)kill(-group, SIGKILL);
    else if (getppid() != robot)
        end_all();
}

/* Signals and descriptors are a driver's to take or to close, and its calls need not return. This
 * depends on none of them. */
static void *end_after(void *argument) {
    const pid_t *robot = argument;
    while (getppid() == *robot)
        (void)nanosleep(&(struct timespec){.tv_nsec = BETWEEN_QUESTIONS_NS}, NULL);
    (void)nanosleep(&(struct timespec){.tv_sec = LAST_SECONDS}, NULL);
    end_all();
    return NULL;
}

/* Signals stay with the thread that makes the calls: they have to end. Returns 0 or an errno. */
static int start_watching(pid_t *robot) {
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, end_after, robot);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* ---- real time ---- */

static void bound(int resource, rlim_t most) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return;
    if (limit.rlim_max > most)
        limit.rlim_max = most;
    if (limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(resource, &limit);
}

/* Before the driver's code runs: what spins in real time starves everything else on its core, and
 * nothing of a driver comes before the thread that ends it. */
static void bound_realtime(void) {
    bound(RLIMIT_RTTIME, REALTIME_US);
    bound(RLIMIT_RTPRIO, REALTIME_SENSOR_PRIORITY - 1);
}

/* ---- calls ---- */

struct host {
    struct omni_handoff *handoff;
    struct driver_call *call;
    const char *path;
    const char *config;
    struct driver driver;
    pid_t robot;
    bool is_open;
    bool ends;
};

static int do_open(struct host *host) {
    if (host->is_open)
        return -EALREADY;
    if (host->call->version != DRIVER_CALL_VERSION) {
        (void)snprintf(host->call->problem.text, sizeof host->call->problem.text,
                       "omni-driver-host is of another release than the robot (%u, expected %u): "
                       "install both from the same",
                       DRIVER_CALL_VERSION, host->call->version);
        return -EPROTO;
    }
    int error = driver_open(&host->driver, host->path, host->config, &host->call->problem);
    host->is_open = error == 0;
    return error;
}

static int do_read(struct host *host) {
    return host->is_open ? driver_read(&host->driver, &host->call->reading) : -ENODEV;
}

static int do_drive(struct host *host) {
    return host->is_open ? driver_drive(&host->driver, host->call->powers) : -ENODEV;
}

static void close_driver(struct host *host) {
    if (host->is_open)
        driver_close(&host->driver);
    host->is_open = false;
}

static int do_close(struct host *host) {
    close_driver(host);
    host->ends = true;
    return 0;
}

typedef int wish_function(struct host *host);

static wish_function *const wishes[CALL_WISHES] = {
    [CALL_OPEN] = do_open,
    [CALL_READ] = do_read,
    [CALL_DRIVE] = do_drive,
    [CALL_CLOSE] = do_close,
};

static int serve_one(struct host *host) {
    uint32_t wish = host->call->wish;
    host->call->result = wish < CALL_WISHES ? wishes[wish](host) : -ENOSYS;
    return omni_handoff_answer(host->handoff);
}

static bool goes_on(int error) {
    return error == -ETIMEDOUT || error == -EINTR;
}

static void serve(struct host *host) {
    int error = 0;
    while (!host->ends && stop == 0 && (error == 0 || goes_on(error))) {
        error = omni_handoff_await_request(host->handoff, BETWEEN_LOOKS_NS);
        if (error == 0 && stop == 0)
            error = serve_one(host);
    }
}

static int work(struct host *host) {
    struct omni_problem problem;
    int error =
        omni_handoff_join(&host->handoff, DRIVER_CALL_FILE, sizeof(struct driver_call), &problem);
    if (error < 0) {
        say(SAY_ERROR, "omni-driver-host: %s", problem.text);
        return 1;
    }
    host->call = omni_handoff_memory(host->handoff);
    host->call->has_arrived = 1; /* what fails from here on may work the next time */
    error = start_watching(&host->robot);
    if (error != 0) {
        say(SAY_ERROR, "omni-driver-host: no thread to look for the robot: %s", strerror(error));
        return 1;
    }
    serve(host);
    close_driver(host);
    omni_handoff_close(host->handoff);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        say(SAY_ERROR, "omni-driver-host is started by omni-robot --board driver:PATH.so");
        return 2;
    }
    static struct host host; /* the thread that looks for the robot may outlive this function */
    host = (struct host){
        .path = argv[1], .config = argv[2], .robot = (pid_t)strtol(argv[3], NULL, 10)};
    if (!live_no_longer_than(host.robot))
        return 1;
    bound_realtime();
    int status = work(&host);
    if (!host.ends)
        end_others(host.robot);
    return status;
}
