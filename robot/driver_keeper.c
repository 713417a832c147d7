#include "driver_keeper.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "service/say.h"
#include "thread.h"

#define PAUSE_LEAST_NS (100 * CLOCK_NS_A_MILLISECOND)
#define PAUSE_MOST_NS  (5 * CLOCK_NS_A_SECOND)
#define START_NS       (DRIVER_KEEPER_START_SECONDS * CLOCK_NS_A_SECOND)

/* A host that serves for so long has recovered. */
#define RECOVERED_NS PAUSE_MOST_NS

/* Between two looks while a first answer is awaited: at the child, at the word that stops. */
#define LOOK_NS (10 * CLOCK_NS_A_MILLISECOND)

/* For a driver's close(), and for a host that is to end by itself. */
#define PATIENCE_NS CLOCK_NS_A_SECOND

/* From a host's goodbye to its end as a process. */
#define FALLING_NS (200 * CLOCK_NS_A_MILLISECOND)

/* How a start may fail: with a sentence, which the next try will most likely repeat; or without. */
enum outcome { OUTCOME_OPEN, OUTCOME_REFUSED, OUTCOME_FAILED };

static void tell(const struct driver_keeper *keeper, const char *what) {
    if (keeper->pause_ns == 0)
        say(SAY_WARNING, "Driver %s: %s; next try at once.", keeper->settings.driver, what);
    else
        say(SAY_WARNING, "Driver %s: %s; next try in %.1f s.", keeper->settings.driver, what,
            (double)keeper->pause_ns / CLOCK_NS_A_SECOND);
}

static void tell_open(const struct driver_keeper *keeper) {
    const struct cpu *cpu = keeper->program.cpu;
    say(SAY_INFO, "Driver %s: open in process %ld (%s%s%s).", keeper->settings.driver,
        (long)keeper->process.id, cpu->name, keeper->program.emulated ? ", " : "",
        keeper->program.emulated ? cpu->emulator : "");
}

/* ---- sleeping ---- */

static struct timespec at(uint64_t moment_ns) {
    return (struct timespec){.tv_sec = (time_t)(moment_ns / CLOCK_NS_A_SECOND),
                             .tv_nsec = (long)(moment_ns % CLOCK_NS_A_SECOND)};
}

/* Until somebody wants something, or that moment. */
static void sleep_until_wanted(struct driver_keeper *keeper, uint64_t moment_ns) {
    struct timespec moment = at(moment_ns);
    while (sem_clockwait(&keeper->wanted, CLOCK_MONOTONIC, &moment) < 0 && errno == EINTR) {
    }
}

static void rest(struct driver_keeper *keeper) {
    uint64_t end = clock_now_ns() + keeper->pause_ns;
    while (!keeper->stop && clock_now_ns() < end)
        sleep_until_wanted(keeper, end);
    if (keeper->pause_ns == 0)
        keeper->pause_ns = PAUSE_LEAST_NS;
    else if (keeper->pause_ns < PAUSE_MOST_NS / 2)
        keeper->pause_ns *= 2;
    else
        keeper->pause_ns = PAUSE_MOST_NS;
}

/* ---- starting ---- */

static void close_handoff(struct driver_keeper *keeper) {
    omni_handoff_close(keeper->handoff);
    keeper->handoff = NULL;
    keeper->call = NULL;
}

/* A new one for each host: whatever the one before left in it is gone with it. */
static int open_handoff(struct driver_keeper *keeper, int *file, struct omni_problem *problem) {
    int error = omni_handoff_make(&keeper->handoff, sizeof *keeper->call, file, problem);
    if (error < 0)
        return error;
    keeper->call = omni_handoff_memory(keeper->handoff);
    keeper->call->version = DRIVER_CALL_VERSION;
    return 0;
}

static int start_process(struct driver_keeper *keeper, struct omni_problem *problem) {
    const struct driver_keeper_settings *settings = &keeper->settings;
    char own_id[24];
    int file = -1;
    (void)snprintf(own_id, sizeof own_id, "%ld", (long)getpid());
    const char *const arguments[HOST_ARGUMENTS] = {settings->driver, settings->config, own_id};
    int error = open_handoff(keeper, &file, problem);
    if (error < 0)
        return error;
    error = host_start(&keeper->process, &keeper->program, arguments, file, problem);
    (void)close(file); /* the host's alone: its end is told by that */
    return error;
}

static int ask(struct driver_keeper *keeper, enum driver_call_wish wish) {
    keeper->call->wish = wish;
    return omni_handoff_ask(keeper->handoff);
}

/* Returns 0; -ETIMEDOUT; -EPIPE where the process has ended; -EINTR where all is to stop. */
static int await_first_answer(struct driver_keeper *keeper) {
    uint64_t bound = clock_now_ns() + START_NS;
    for (;;) {
        int error = omni_handoff_await_answer(keeper->handoff, LOOK_NS);
        if (error == 0)
            return 0;
        if (host_has_ended(&keeper->process))
            return -EPIPE;
        if (keeper->stop)
            return -EINTR;
        if (clock_now_ns() > bound)
            return -ETIMEDOUT;
    }
}

/* Whether a program ended in order, but was no host, or none that could begin. */
static bool has_not_begun(const struct driver_keeper *keeper) {
    return keeper->call != NULL && keeper->call->has_arrived == 0 && keeper->process.id == 0 &&
           WIFEXITED(keeper->process.status);
}

static bool could_not_be_run(const struct driver_keeper *keeper) {
    return has_not_begun(keeper) && WEXITSTATUS(keeper->process.status) == HOST_STATUS_NOT_RUN &&
           host_failure_is_hidden();
}

/* What it said itself stands on stderr: the loader's words, or the emulator's. */
static enum outcome refuse_program(const struct driver_keeper *keeper,
                                   struct omni_problem *problem) {
    const struct host_program *program = &keeper->program;
    int status = WEXITSTATUS(keeper->process.status);
    if (program->emulated || status == HOST_STATUS_NOT_RUN)
        complain_write(problem,
                       "%s ended with status %d before it began: are the libraries of %s there "
                       "(Debian: libc6 of that architecture; for an emulator, QEMU_LD_PREFIX "
                       "names their folder)?",
                       program->file, status, program->cpu->name);
    else
        complain_write(problem,
                       "%s ended with status %d before it began: is it the omni-driver-host of "
                       "this robot's release?",
                       program->file, status);
    return OUTCOME_REFUSED;
}

static enum outcome fail_to_open(struct driver_keeper *keeper, int error,
                                 struct omni_problem *problem) {
    char end[80];
    if (error == -ETIMEDOUT) {
        complain_write(problem, "its host did not open it within %d s",
                       DRIVER_KEEPER_START_SECONDS);
        return OUTCOME_FAILED;
    }
    if (has_not_begun(keeper))
        return refuse_program(keeper, problem);
    host_describe_end(&keeper->process, end, sizeof end);
    complain_write(problem, "its host %s before it was open", end);
    return OUTCOME_FAILED;
}

/* The sentence comes from another process, which may write still, and goes to a terminal. Bytes of
 * UTF-8 stay, but for the control characters among them (C2 80 to C2 9F). */
static enum outcome refuse_to_open(struct driver_keeper *keeper, struct omni_problem *problem) {
    *problem = keeper->call->problem;
    problem->text[sizeof problem->text - 1] = '\0';
    if (problem->text[0] == '\0')
        complain_write(problem, "its host refused to open it, and did not say why");
    for (char *at = problem->text; *at != '\0'; at++) {
        if ((unsigned char)at[0] == 0xc2 && (unsigned char)at[1] >= 0x80 &&
            (unsigned char)at[1] < 0xa0)
            at[0] = at[1] = '?';
        else if (iscntrl((unsigned char)*at))
            *at = '?';
    }
    return OUTCOME_REFUSED;
}

static enum outcome start_and_open(struct driver_keeper *keeper, struct omni_problem *problem) {
    keeper->process = (struct host_process){.id = 0};
    if (start_process(keeper, problem) < 0)
        return OUTCOME_REFUSED;
    int error = ask(keeper, CALL_OPEN);
    if (error == 0)
        error = await_first_answer(keeper);
    if (error < 0)
        return fail_to_open(keeper, error, problem);
    return keeper->call->result < 0 ? refuse_to_open(keeper, problem) : OUTCOME_OPEN;
}

static void end_host(struct driver_keeper *keeper);

static enum outcome start(struct driver_keeper *keeper, struct omni_problem *problem) {
    enum outcome outcome = start_and_open(keeper, problem);
    /* Where this robot itself runs under an emulator, a kernel's refusal is told by the child only. */
    if (!keeper->program.emulated && could_not_be_run(keeper)) {
        close_handoff(keeper);
        keeper->program.emulated = true;
        outcome = start_and_open(keeper, problem);
        if (could_not_be_run(keeper)) {
            const struct cpu *cpu = keeper->program.cpu;
            complain_write(problem,
                           "this CPU cannot run programs for %s, and there is no %s: install it "
                           "(Debian: qemu-user)",
                           cpu->name, cpu->emulator);
            outcome = OUTCOME_REFUSED;
        }
        keeper->program.emulated = outcome == OUTCOME_OPEN;
    }
    if (outcome != OUTCOME_OPEN)
        end_host(keeper);
    return outcome;
}

/* ---- ending ---- */

/* Asked twice: by the signal, which ends a driver's call where it can; and by the hand-off's end, for
 * a driver that has taken the signal for itself. In this order: a signal must not disturb a host that
 * is at closing already.
 * Never two at the hardware at once: the next start has to wait for a process that hangs in the
 * kernel. */
static void end_host(struct driver_keeper *keeper) {
    bool told = false;
    host_ask_to_end(&keeper->process);
    close_handoff(keeper);
    while (!host_end(&keeper->process) && !keeper->stop) {
        if (!told)
            say(SAY_ERROR,
                "Driver %s: its host (process %ld) hangs in the kernel and cannot be "
                "ended yet.",
                keeper->settings.driver, (long)keeper->process.id);
        told = true;
    }
}

/* Why it was given back. */
static void describe_why(struct driver_keeper *keeper, char *what, size_t size) {
    char end[80];
    if (keeper->reason == -ETIMEDOUT && !host_has_ended(&keeper->process)) {
        (void)snprintf(what, size, "its host did not answer and is ended");
        return;
    }
    if (!host_await_end(&keeper->process, FALLING_NS)) {
        (void)snprintf(what, size, "its host gave up its place and is ended");
        return;
    }
    host_describe_end(&keeper->process, end, sizeof end);
    (void)snprintf(what, size, "its host %s", end);
}

/* In order: what stands is answered, the driver closes, the host ends by itself. */
static bool say_goodbye(struct driver_keeper *keeper) {
    return keeper->handoff != NULL &&
           omni_handoff_await_answer(keeper->handoff, PATIENCE_NS) == 0 &&
           ask(keeper, CALL_CLOSE) == 0 &&
           omni_handoff_await_answer(keeper->handoff, PATIENCE_NS) == 0 &&
           host_await_end(&keeper->process, PATIENCE_NS);
}

/* ---- the thread ---- */

/* Lends the hand-off until the host has failed or all ends. */
static void lend(struct driver_keeper *keeper) {
    uint64_t since = clock_now_ns();
    keeper->borrower = BORROWER_LOOP;
    while (keeper->borrower == BORROWER_LOOP && !keeper->stop)
        sleep_until_wanted(keeper, UINT64_C(1) << 62);
    if (clock_now_ns() - since >= RECOVERED_NS)
        keeper->pause_ns = 0;
}

/* Not before its driver is open: that may take long, and all the while nothing is urgent. */
static void make_realtime(const struct driver_keeper *keeper) {
    int priority = keeper->settings.priority - 1;
    int error = priority > 0 ? host_set_priority(&keeper->process, priority) : 0;
    if (error < 0)
        say(SAY_WARNING, "Driver %s: its host runs without real-time scheduling: %s.",
            keeper->settings.driver, strerror(-error));
}

/* Returns whether there is to be another one. */
static bool live_one_life(struct driver_keeper *keeper) {
    struct omni_problem problem = {""};
    bool first = !keeper->ever_started;
    keeper->ever_started = true;
    if (!first)
        keeper->restarts++;
    enum outcome outcome = start(keeper, &problem);
    if (first) {
        keeper->refusal = outcome == OUTCOME_REFUSED ? -ENODEV : 0;
        keeper->problem = problem;
        (void)sem_post(&keeper->tried);
        if (outcome == OUTCOME_REFUSED)
            return false;
    }
    if (outcome == OUTCOME_OPEN) {
        char what[160];
        make_realtime(keeper);
        tell_open(keeper);
        lend(keeper);
        if (keeper->stop)
            return false;
        describe_why(keeper, what, sizeof what);
        end_host(keeper); /* before anything is said: that may block, and its motors may run */
        tell(keeper, what);
    } else if (!keeper->stop) {
        tell(keeper, problem.text);
    }
    return !keeper->stop;
}

static void *keep(void *argument) {
    struct driver_keeper *keeper = argument;
    while (live_one_life(keeper)) {
        rest(keeper);
        if (keeper->stop)
            break;
    }
    if (keeper->process.id != 0 && !say_goodbye(keeper))
        say(SAY_WARNING, "Driver %s: its host did not close it in time and is ended.",
            keeper->settings.driver);
    end_host(keeper);
    return NULL;
}

/* Returns 0; -ECANCELED where the stop word was set before. */
static int await_first_try(struct driver_keeper *keeper) {
    const struct driver_keeper_settings *settings = &keeper->settings;
    while (sem_trywait(&keeper->tried) < 0) {
        if (settings->stop != NULL && *settings->stop != 0)
            return -ECANCELED;
        (void)clock_sleep_until(clock_now_ns() + LOOK_NS);
    }
    return 0;
}

static void release(struct driver_keeper *keeper) {
    (void)sem_destroy(&keeper->wanted);
    (void)sem_destroy(&keeper->tried);
}

int driver_keeper_start(struct driver_keeper *keeper, const struct driver_keeper_settings *settings,
                        const struct host_program *program, struct omni_problem *problem) {
    *keeper = (struct driver_keeper){.settings = *settings, .program = *program};
    (void)sem_init(&keeper->wanted, 0, 0);
    (void)sem_init(&keeper->tried, 0, 0);
    int error = thread_start(&keeper->thread, keep, keeper, keeper->settings.priority);
    if (error < 0) {
        release(keeper);
        return complain(problem, error, "the thread that keeps the driver's host: %s",
                        strerror(-error));
    }
    if (await_first_try(keeper) < 0) {
        driver_keeper_stop(keeper);
        return complain(problem, -ECANCELED, "told to stop before the driver was open");
    }
    if (keeper->refusal == 0)
        return 0;
    (void)pthread_join(keeper->thread, NULL);
    release(keeper);
    return complain(problem, keeper->refusal, "%s", keeper->problem.text);
}

bool driver_keeper_lends(const struct driver_keeper *keeper) {
    return keeper->borrower == BORROWER_LOOP;
}

void driver_keeper_take_back(struct driver_keeper *keeper, int reason) {
    keeper->reason = reason;
    keeper->borrower = BORROWER_NONE;
    (void)sem_post(&keeper->wanted);
}

void driver_keeper_stop(struct driver_keeper *keeper) {
    keeper->stop = true;
    (void)sem_post(&keeper->wanted);
    (void)pthread_join(keeper->thread, NULL);
    release(keeper);
}
