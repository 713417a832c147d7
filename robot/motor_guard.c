#include "motor_guard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"

#define LOOK_NS CLOCK_NS_A_MILLISECOND

/* ---- the guard's own process ----------------------------------------------------------------- */

static void close_all(const struct motor_guard_files *files) {
    for (int i = 0; i < MOTOR_GUARD_FILES; i++) {
        if ((files->open[i / 64] & UINT64_C(1) << (i % 64)) != 0)
            (void)close(i);
    }
}

static bool beat_is_missing(const struct mailbox *beats, uint64_t limit_ns, uint64_t *left_ns) {
    uint64_t beat_ns = 0;
    struct omni_time time;
    *left_ns = limit_ns;
    if (mailbox_newest(beats, &beat_ns, &time) < 0)
        return false;
    uint64_t now_ns = clock_now_ns();
    if (now_ns >= beat_ns + limit_ns)
        return true;
    *left_ns = beat_ns + limit_ns - now_ns;
    return false;
}

/* Whether the robot is gone, after at most so long. */
static bool robot_ended(int life, uint64_t wait_ns) {
    struct pollfd end = {.fd = life, .events = POLLIN};
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / CLOCK_NS_A_SECOND),
                            .tv_nsec = (long)(wait_ns % CLOCK_NS_A_SECOND)};
    return ppoll(&end, 1, &wait, NULL) > 0;
}

static void tell_look(struct motor_guard_shared *shared) {
    uint64_t now_ns = clock_now_ns();
    mailbox_put(&shared->looks, &now_ns, (struct omni_time){.monotonic_ns = now_ns});
}

/* While beats are missing it says "off" again and again: the loop may be about to switch on. */
static void watch(struct motor_guard_shared *shared, struct motors *motors, uint64_t limit_ns,
                  int life) {
    uint64_t wait_ns = limit_ns;
    uint64_t offs = 0;
    for (tell_look(shared); !robot_ended(life, wait_ns); tell_look(shared)) {
        if (!beat_is_missing(&shared->beats, limit_ns, &wait_ns))
            continue;
        /* Told first: a loop that has not seen it after driving is switched off after that. */
        offs++;
        mailbox_put(&shared->offs, &offs, (struct omni_time){0});
        motors_off(motors);
    }
    motors_off(motors);
}

/* So that who ends all that is called omni-robot (pidof, killall) does not end the guard as well:
 * that is what glibc's pointer to argv[0] is good for. Both names are equally long. */
static void take_its_own_name(void) {
    static const char robot[] = "omni-robot";
    static const char guard[] = "omni-guard";
    static_assert(sizeof robot == sizeof guard, "one name fits where the other was");
    size_t length = strlen(program_invocation_name);
    (void)prctl(PR_SET_NAME, guard);
    if (length < strlen(robot))
        return;
    char *end = program_invocation_name + length - strlen(robot);
    if (strcmp(end, robot) == 0)
        memcpy(end, guard, sizeof guard);
}

static _Noreturn void guard_motors(struct motor_guard_shared *shared, struct motors *motors,
                                   const struct motor_guard_settings *settings, int life) {
    close_all(settings->before);
    (void)setsid();
    take_its_own_name();
    /* Where it may: it has to act while the machine is short of memory, too. */
    (void)mlockall(MCL_CURRENT);
    watch(shared, motors, settings->limit_ns, life);
    _exit(0);
}

/* ---- the robot's side ------------------------------------------------------------------------ */

void motor_guard_note(struct motor_guard_files *files) {
    memset(files, 0, sizeof *files);
    for (int i = 0; i < MOTOR_GUARD_FILES; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            files->open[i / 64] |= UINT64_C(1) << (i % 64);
    }
}

/* The guard inherits blocked signals: none may reach it with the robot's handlers. */
static pid_t fork_without_signals(void) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t process = fork();
    if (process != 0) {
        int error = errno;
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        errno = error;
    }
    return process;
}

static int start(struct motor_guard *guard, struct motors *motors,
                 const struct motor_guard_settings *settings) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        return -errno;
    guard->process = fork_without_signals();
    if (guard->process == 0) {
        (void)close(pipe_ends[1]);
        guard_motors(guard->shared, motors, settings, pipe_ends[0]);
    }
    int error = guard->process < 0 ? -errno : 0;
    (void)close(pipe_ends[0]);
    if (error == 0)
        guard->life = pipe_ends[1];
    else
        (void)close(pipe_ends[1]);
    return error;
}

/* Collected, by us or by somebody else. */
static bool has_ended(pid_t process) {
    pid_t collected = waitpid(process, NULL, WNOHANG);
    return collected == process || (collected < 0 && errno != EINTR);
}

static bool ends_soon(pid_t process) {
    uint64_t give_up_ns = clock_now_ns() + MOTOR_GUARD_PATIENCE_NS;
    while (!has_ended(process)) {
        if (clock_now_ns() >= give_up_ns)
            return false;
        (void)clock_sleep_until(clock_now_ns() + LOOK_NS);
    }
    return true;
}

/* Suspended, or held by a driver, it would keep the robot from ending. It is our child, so its number
 * is nobody else's. */
static void end(const struct motor_guard *guard) {
    (void)close(guard->life);
    if (!ends_soon(guard->process)) {
        (void)kill(guard->process, SIGKILL);
        (void)ends_soon(guard->process);
    }
}

/* The robot's side does it, so that it knows whether it is so before anything moves. */
static int schedule(const struct motor_guard *guard, int priority) {
    struct sched_param fifo = {.sched_priority = priority};
    if (priority > 0 && sched_setscheduler(guard->process, SCHED_FIFO, &fifo) < 0)
        return -errno;
    return 0;
}

int motor_guard_start(struct motor_guard *guard, struct motors *motors,
                      const struct motor_guard_settings *settings, struct omni_problem *problem) {
    struct motor_guard_shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return complain(problem, -errno, "no memory for the motors' guard");
    struct motor_guard made = {.shared = shared,
                               .looked_ns = clock_now_ns(),
                               .patience_ns = settings->limit_ns + MOTOR_GUARD_SILENCE_NS};
    mailbox_init(&shared->beats, sizeof(uint64_t));
    mailbox_init(&shared->offs, sizeof(uint64_t));
    mailbox_init(&shared->looks, sizeof(uint64_t));
    int error = start(&made, motors, settings);
    if (error == 0) {
        error = schedule(&made, settings->priority);
        if (error < 0)
            end(&made);
    }
    if (error < 0) {
        (void)munmap(shared, sizeof *shared);
        return complain(problem, error, "the process that guards the motors cannot be started: %s",
                        strerror(-error));
    }
    *guard = made;
    return 0;
}

void motor_guard_beat(struct motor_guard *guard, uint64_t now_ns) {
    mailbox_put(&guard->shared->beats, &now_ns, (struct omni_time){.monotonic_ns = now_ns});
}

static uint64_t newest_offs(const struct motor_guard *guard) {
    uint64_t offs = guard->offs;
    struct omni_time time;
    (void)mailbox_newest(&guard->shared->offs, &offs, &time); /* none yet: it never did */
    return offs;
}

bool motor_guard_acts(const struct motor_guard *guard) {
    return newest_offs(guard) != guard->offs;
}

bool motor_guard_acted(struct motor_guard *guard) {
    uint64_t offs = newest_offs(guard);
    bool acted = offs != guard->offs;
    guard->offs = offs;
    return acted;
}

bool motor_guard_is_alive(const struct motor_guard *guard) {
    struct pollfd end = {.fd = guard->life, .events = 0};
    return poll(&end, 1, 0) <= 0 || (end.revents & POLLERR) == 0;
}

bool motor_guard_looks(struct motor_guard *guard, uint64_t now_ns) {
    struct omni_time time;
    (void)mailbox_newest(&guard->shared->looks, &guard->looked_ns, &time); /* else what was known */
    return now_ns < guard->looked_ns + guard->patience_ns;
}

void motor_guard_stop(struct motor_guard *guard) {
    end(guard);
    (void)munmap(guard->shared, sizeof *guard->shared);
}
