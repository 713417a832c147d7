#include "driver_keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"

#define STACK_BYTES ((size_t)256 * 1024)

#define PAUSE_LEAST_NS (100 * CLOCK_NS_A_MILLISECOND)
#define PAUSE_MOST_NS  (5 * CLOCK_NS_A_SECOND)
#define START_NS       (DRIVER_KEEPER_START_SECONDS * CLOCK_NS_A_SECOND)

/* A host that serves for so long has recovered. */
#define RECOVERED_NS PAUSE_MOST_NS

/* Between two looks at the child while its first answer is awaited. */
#define LOOK_NS (10 * CLOCK_NS_A_MILLISECOND)

/* For a driver's close(), and for a host that is to end by itself. */
#define PATIENCE_NS CLOCK_NS_A_SECOND

/* From a host's goodbye to its end as a process. */
#define FALLING_NS (200 * CLOCK_NS_A_MILLISECOND)

/* How a start may fail: with a sentence, which the next try will most likely repeat; or without. */
enum outcome { OUTCOME_OPEN, OUTCOME_REFUSED, OUTCOME_FAILED };

static void tell(const struct driver_keeper *keeper, const char *what) {
    (void)fprintf(stderr, "Driver %s: %s; next try in %.1f s.\n", keeper->settings.driver, what,
                  (double)keeper->pause_ns / CLOCK_NS_A_SECOND);
}

static void tell_open(const struct driver_keeper *keeper) {
    const struct cpu *cpu = keeper->program.cpu;
    (void)fprintf(stderr, "Driver %s: open in process %ld (%s%s%s).\n", keeper->settings.driver,
                  (long)keeper->process.id, cpu->name, keeper->program.emulated ? ", " : "",
                  keeper->program.emulated ? cpu->emulator : "");
}

/* ---- sleeping ---- */

/* Until somebody wants something, or that moment. */
static void sleep_until_wanted(struct driver_keeper *keeper, uint64_t moment_ns) {
    struct timespec moment = {.tv_sec = (time_t)(moment_ns / CLOCK_NS_A_SECOND),
                              .tv_nsec = (long)(moment_ns % CLOCK_NS_A_SECOND)};
    while (sem_clockwait(&keeper->wanted, CLOCK_MONOTONIC, &moment) < 0 && errno == EINTR) {
    }
}

static void rest(struct driver_keeper *keeper) {
    uint64_t end = clock_now_ns() + keeper->pause_ns;
    while (!keeper->stop && clock_now_ns() < end)
        sleep_until_wanted(keeper, end);
    keeper->pause_ns = keeper->pause_ns < PAUSE_MOST_NS / 2 ? 2 * keeper->pause_ns : PAUSE_MOST_NS;
}

/* ---- starting ---- */

static void close_handoff(struct driver_keeper *keeper) {
    omni_handoff_close(keeper->handoff);
    keeper->handoff = NULL;
    keeper->call = NULL;
    (void)unlink(keeper->settings.handoff);
}

/* A new one for each host: whatever the one before left in it is gone with it. */
static int open_handoff(struct driver_keeper *keeper, struct omni_problem *problem) {
    (void)unlink(keeper->settings.handoff);
    int error = omni_handoff_open(&keeper->handoff, keeper->settings.handoff, OMNI_HANDOFF_ASKER,
                                  sizeof *keeper->call, problem);
    if (error < 0)
        return error;
    keeper->call = omni_handoff_memory(keeper->handoff);
    keeper->call->version = DRIVER_CALL_VERSION;
    return 0;
}

static int start_process(struct driver_keeper *keeper, struct omni_problem *problem) {
    const struct driver_keeper_settings *settings = &keeper->settings;
    char own_id[24];
    (void)snprintf(own_id, sizeof own_id, "%ld", (long)getpid());
    const char *const arguments[HOST_ARGUMENTS] = {settings->handoff, settings->driver,
                                                   settings->config, own_id};
    return host_start(&keeper->process, &keeper->program, arguments,
                      settings->priority > 0 ? settings->priority - 1 : 0, problem);
}

static int ask(struct driver_keeper *keeper, enum driver_call_wish wish) {
    keeper->call->wish = wish;
    return omni_handoff_ask(keeper->handoff);
}

/* Returns 0; -ETIMEDOUT; -EPIPE where the process has ended; -EINTR where all is to stop. */
static int await_first_answer(struct driver_keeper *keeper) {
    uint64_t bound = clock_now_ns() + START_NS;
    for (;;) {
        if (omni_handoff_await_answer(keeper->handoff, LOOK_NS) == 0)
            return 0;
        if (host_has_ended(&keeper->process))
            return -EPIPE;
        if (keeper->stop)
            return -EINTR;
        if (clock_now_ns() > bound)
            return -ETIMEDOUT;
    }
}

static bool could_not_be_run(const struct driver_keeper *keeper) {
    const struct host_process *process = &keeper->process;
    return process->id == 0 && WIFEXITED(process->status) &&
           WEXITSTATUS(process->status) == HOST_STATUS_NOT_RUN;
}

static enum outcome fail_to_open(struct driver_keeper *keeper, int error,
                                 struct omni_problem *problem) {
    char end[80];
    if (error == -ETIMEDOUT) {
        complain_write(problem, "its host did not open it within %d s",
                       DRIVER_KEEPER_START_SECONDS);
        return OUTCOME_FAILED;
    }
    host_describe_end(&keeper->process, end, sizeof end);
    complain_write(problem, "its host %s before it was open", end);
    return OUTCOME_FAILED;
}

/* The sentence comes from another process. */
static enum outcome refuse_to_open(struct driver_keeper *keeper, struct omni_problem *problem) {
    struct omni_problem *told = &keeper->call->problem;
    told->text[sizeof told->text - 1] = '\0';
    *problem = *told;
    return OUTCOME_REFUSED;
}

static enum outcome start_and_open(struct driver_keeper *keeper, struct omni_problem *problem) {
    if (open_handoff(keeper, problem) < 0 || start_process(keeper, problem) < 0)
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
    if (outcome == OUTCOME_FAILED && !keeper->program.emulated && could_not_be_run(keeper)) {
        close_handoff(keeper);
        keeper->program.emulated = true;
        outcome = start_and_open(keeper, problem);
        if (outcome == OUTCOME_FAILED && could_not_be_run(keeper)) {
            const struct cpu *cpu = keeper->program.cpu;
            complain_write(problem,
                           "this CPU cannot run programs for %s, and there is no %s: install it "
                           "(Debian: qemu-user)",
                           cpu->name, cpu->emulator);
            outcome = OUTCOME_REFUSED;
        }
    }
    if (outcome != OUTCOME_OPEN)
        end_host(keeper);
    return outcome;
}

/* ---- ending ---- */

/* Never two at the hardware at once: the next start has to wait for a process that hangs in the
 * kernel. */
static void end_host(struct driver_keeper *keeper) {
    bool told = false;
    while (!host_kill(&keeper->process) && !keeper->stop) {
        if (!told)
            (void)fprintf(stderr,
                          "Driver %s: its host (process %ld) hangs in the kernel and cannot be "
                          "ended yet.\n",
                          keeper->settings.driver, (long)keeper->process.id);
        told = true;
    }
    close_handoff(keeper);
}

static void tell_why(struct driver_keeper *keeper) {
    char end[80];
    char what[160];
    if (keeper->reason == -ETIMEDOUT && !host_has_ended(&keeper->process)) {
        tell(keeper, "its host did not answer and is ended");
        return;
    }
    if (!host_await_end(&keeper->process, FALLING_NS)) {
        tell(keeper, "its host gave up its place and is ended");
        return;
    }
    host_describe_end(&keeper->process, end, sizeof end);
    (void)snprintf(what, sizeof what, "its host %s", end);
    tell(keeper, what);
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
        keeper->pause_ns = PAUSE_LEAST_NS;
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
        tell_open(keeper);
        lend(keeper);
        if (keeper->stop)
            return false;
        tell_why(keeper);
        end_host(keeper);
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
        (void)fprintf(stderr, "Driver %s: its host did not close it in time and is ended.\n",
                      keeper->settings.driver);
    end_host(keeper);
    return NULL;
}

static int describe_thread(pthread_attr_t *attributes, int priority) {
    struct sched_param parameter = {.sched_priority = priority};
    int error = pthread_attr_setstacksize(attributes, STACK_BYTES);
    if (error == 0)
        error = pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
    if (error == 0)
        error = pthread_attr_setschedpolicy(attributes, priority > 0 ? SCHED_FIFO : SCHED_OTHER);
    if (error == 0)
        error = pthread_attr_setschedparam(attributes, &parameter);
    return error;
}

/* Signals stay with the loop's thread. */
static int create_thread(struct driver_keeper *keeper) {
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    sigfillset(&all);
    error = describe_thread(&attributes, keeper->settings.priority);
    if (error == 0) {
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&keeper->thread, &attributes, keep, keeper);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    return -error;
}

static void await(sem_t *semaphore) {
    while (sem_wait(semaphore) < 0 && errno == EINTR) {
    }
}

static void release(struct driver_keeper *keeper) {
    (void)sem_destroy(&keeper->wanted);
    (void)sem_destroy(&keeper->tried);
}

int driver_keeper_start(struct driver_keeper *keeper, const struct driver_keeper_settings *settings,
                        const struct host_program *program, struct omni_problem *problem) {
    *keeper = (struct driver_keeper){
        .settings = *settings, .program = *program, .pause_ns = PAUSE_LEAST_NS};
    (void)sem_init(&keeper->wanted, 0, 0);
    (void)sem_init(&keeper->tried, 0, 0);
    int error = create_thread(keeper);
    if (error < 0) {
        release(keeper);
        return complain(problem, error, "the thread that keeps the driver's host: %s",
                        strerror(-error));
    }
    await(&keeper->tried);
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
