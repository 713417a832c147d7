#include "host_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "driver_call.h"

#define PROGRAM   "omni-driver-host"
#define LIBRARIES "QEMU_LD_PREFIX"

#define BETWEEN_LOOKS_NS (2 * CLOCK_NS_A_MILLISECOND)

/* For a host to stop the motors and close its driver. */
#define GRACE_NS (150 * CLOCK_NS_A_MILLISECOND)

/* ---- where things are ---- */

/* The folder of the running program, without the slash. */
static int own_folder(char folder[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0)
        return -errno;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

static bool is_there(const char *path, mode_t kind) {
    struct stat facts;
    return stat(path, &facts) == 0 && (facts.st_mode & S_IFMT) == kind;
}

/* Formats a path into `place`; whether there is such a thing. Too long is not there. */
static bool try_path(char place[PATH_MAX], mode_t kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool try_path(char place[PATH_MAX], mode_t kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(place, PATH_MAX, format, arguments);
    va_end(arguments);
    if (length > 0 && length < PATH_MAX && is_there(place, kind))
        return true;
    place[0] = '\0';
    return false;
}

static int find_file(char file[PATH_MAX], const char *folder, const struct cpu *cpu,
                     bool is_own_cpu, struct omni_problem *problem) {
    if ((is_own_cpu && try_path(file, S_IFREG, "%s/" PROGRAM, folder)) ||
        try_path(file, S_IFREG, "%s/../%s/" PROGRAM, folder, cpu->name) ||
        try_path(file, S_IFREG, "%s/../lib/omniscient/%s/" PROGRAM, folder, cpu->name))
        return 0;
    return complain(problem, -ENOENT,
                    "the driver is for %s, and there is no " PROGRAM
                    " for that CPU: type make install-driver-host ARCH=%s where this robot was "
                    "built, or name one with --driver-host",
                    cpu->name, cpu->name);
}

static void find_libraries(char libraries[PATH_MAX], const char *folder, const struct cpu *cpu) {
    const char *chosen = getenv(LIBRARIES);
    if (chosen != NULL && chosen[0] != '\0') {
        libraries[0] = '\0'; /* it is in the environment already */
        return;
    }
    if (!try_path(libraries, S_IFDIR, "%s/../sysroot/%s", folder, cpu->name))
        (void)try_path(libraries, S_IFDIR, "/usr/%s", cpu->triplet);
}

int host_find(struct host_program *program, const struct cpu *cpu, bool is_own_cpu,
              const char *file, struct omni_problem *problem) {
    struct host_program found = {.cpu = cpu};
    char folder[PATH_MAX] = "";
    int error = own_folder(folder);
    if (error < 0)
        return complain(problem, error, "cannot find this program's own folder: %s",
                        strerror(-error));
    if (file == NULL)
        error = find_file(found.file, folder, cpu, is_own_cpu, problem);
    else if (!try_path(found.file, S_IFREG, "%s", file))
        error = complain(problem, -ENOENT, "--driver-host: there is no program %s", file);
    if (error < 0)
        return error;
    const struct cpu *made_for = NULL;
    error = cpu_of_file(found.file, &made_for, problem);
    if (error < 0)
        return error;
    if (made_for != cpu)
        return complain(problem, -ENOEXEC, "the driver is for %s, but the host program for %s: %s",
                        cpu->name, made_for->name, found.file);
    find_libraries(found.libraries, folder, cpu);
    *program = found;
    return 0;
}

/* ---- starting ---- */

/* Only asked of the thread that starts the child. */
static bool is_realtime(void) {
    int policy = sched_getscheduler(0);
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* What the child is: no blocked signals, none ignored, a group of its own, ordinary scheduling; and
 * where the robot's file is set-user-id or set-group-id, its caller's: an exec keeps effective ids. */
static int describe(posix_spawnattr_t *attributes) {
    sigset_t none;
    sigset_t all;
    struct sched_param parameter = {.sched_priority = 0};
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                  POSIX_SPAWN_RESETIDS;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_init(attributes);
    if (error != 0)
        return -error;
    (void)posix_spawnattr_setpgroup(attributes, 0);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    if (is_realtime()) {
        flags |= POSIX_SPAWN_SETSCHEDULER;
        (void)posix_spawnattr_setschedpolicy(attributes, SCHED_OTHER);
        (void)posix_spawnattr_setschedparam(attributes, &parameter);
    }
    (void)posix_spawnattr_setflags(attributes, flags);
    return 0;
}

/* The robot's environment and, first, where the emulator finds libraries. The caller frees the
 * list, and `variable` has to live as long. NULL: no memory. */
static char **environment(char *variable) {
    size_t count = 0;
    size_t at = 0;
    while (environ[count] != NULL)
        count++;
    char **made = calloc(count + 2, sizeof *made);
    if (made == NULL)
        return NULL;
    if (variable[0] != '\0')
        made[at++] = variable;
    memcpy(&made[at], environ, count * sizeof *made);
    return made;
}

/* What the child has open. To a descriptor that has the number already, nothing is done but that it
 * stays open. */
static int describe_files(posix_spawn_file_actions_t *files, int file) {
    int error = -posix_spawn_file_actions_init(files);
    if (error < 0)
        return error;
    (void)posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (file >= 0)
        (void)posix_spawn_file_actions_adddup2(files, file, DRIVER_CALL_FILE);
    return 0;
}

/* `words` are not changed: posix_spawn() only lacks a const. `file`: -1 where the child needs none. */
static int spawn(pid_t *id, const char *const *words, const char *libraries, int file) {
    char variable[sizeof LIBRARIES + 1 + PATH_MAX] = "";
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    if (libraries[0] != '\0')
        (void)snprintf(variable, sizeof variable, LIBRARIES "=%s", libraries);
    char **variables = environment(variable);
    if (variables == NULL)
        return -ENOMEM;
    int error = describe(&attributes);
    if (error == 0 && (error = describe_files(&files, file)) < 0)
        (void)posix_spawnattr_destroy(&attributes);
    if (error == 0) {
        /* With p: an emulator is searched for, a path is not. */
        error = -posix_spawnp(id, words[0], &files, &attributes, (char *const *)(uintptr_t)words,
                              variables);
        (void)posix_spawn_file_actions_destroy(&files);
        (void)posix_spawnattr_destroy(&attributes);
    }
    free(variables);
    return error;
}

static int refuse(const struct host_program *program, int error, struct omni_problem *problem) {
    const struct cpu *cpu = program->cpu;
    if (program->emulated && error == -ENOENT)
        return complain(problem, error,
                        "this CPU cannot run programs for %s, and there is no %s: install it "
                        "(Debian: qemu-user)",
                        cpu->name, cpu->emulator);
    if (!program->emulated && error == -ENOENT)
        return complain(problem, error,
                        "the libraries of %s are missing (Debian: libc6 of that architecture): "
                        "cannot run %s",
                        cpu->name, program->file);
    return complain(problem, error, "cannot start %s: %s", program->file, strerror(-error));
}

/* That the kernel finds no interpreter for the program says nothing about an emulator that has
 * libraries of its own. */
static bool knows_libraries(const struct host_program *program) {
    return program->libraries[0] != '\0' || getenv(LIBRARIES) != NULL;
}

int host_start(struct host_process *process, struct host_program *program,
               const char *const arguments[HOST_ARGUMENTS], int file,
               struct omni_problem *problem) {
    const char *words[HOST_ARGUMENTS + 3] = {program->cpu->emulator, program->file};
    memcpy(&words[2], arguments, HOST_ARGUMENTS * sizeof words[0]);
    pid_t id = 0;
    bool was_emulated = program->emulated;
    int error = -ENOEXEC;
    if (!was_emulated)
        error = spawn(&id, &words[1], program->libraries, file);
    if (error == -ENOEXEC) {
        program->emulated = true;
        error = spawn(&id, words, program->libraries, file);
    } else if (error == -ENOENT && knows_libraries(program) &&
               spawn(&id, words, program->libraries, file) == 0) {
        program->emulated = true;
        error = 0;
    }
    if (error < 0) {
        error = refuse(program, error, problem);
        program->emulated = was_emulated;
        return error;
    }
    *process = (struct host_process){.id = id};
    return 0;
}

int host_set_priority(const struct host_process *process, int priority) {
    struct sched_param parameter = {.sched_priority = priority};
    return sched_setscheduler(process->id, SCHED_FIFO, &parameter) < 0 ? -errno : 0;
}

bool host_failure_is_hidden(void) {
    static const char *const words[] = {"/dev/null/nothing", NULL};
    pid_t id = 0;
    if (spawn(&id, words, "", -1) < 0)
        return false;
    (void)waitpid(id, NULL, 0);
    return true;
}

/* ---- ending ---- */

/* The group is ended while the process has not been waited for: until then its number is nobody
 * else's. */
bool host_has_ended(struct host_process *process) {
    siginfo_t end = {0};
    if (process->id == 0)
        return true;
    if (waitid(P_PID, (id_t)process->id, &end, WEXITED | WNOHANG | WNOWAIT) < 0) {
        /* No child any more: where SIGCHLD is ignored, the kernel waits for them itself. */
        if (errno == ECHILD)
            process->id = 0;
    } else if (end.si_pid == process->id) {
        (void)kill(-process->id, SIGKILL);
        (void)waitpid(process->id, &process->status, 0);
        process->id = 0;
    }
    return process->id == 0;
}

bool host_await_end(struct host_process *process, uint64_t patience_ns) {
    uint64_t bound = clock_now_ns() + patience_ns;
    while (!host_has_ended(process)) {
        if (clock_now_ns() > bound)
            return false;
        (void)clock_sleep_until(clock_now_ns() + BETWEEN_LOOKS_NS);
    }
    return true;
}

void host_ask_to_end(const struct host_process *process) {
    /* Not waited for yet, so the id is nobody else's. */
    if (process->id != 0)
        (void)kill(process->id, SIGTERM);
}

bool host_end(struct host_process *process) {
    if (!host_await_end(process, GRACE_NS)) {
        (void)kill(-process->id, SIGKILL);
        (void)kill(process->id, SIGKILL);
    }
    return host_await_end(process, CLOCK_NS_A_SECOND);
}

void host_describe_end(const struct host_process *process, char *text, size_t size) {
    if (WIFSIGNALED(process->status))
        (void)snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(process->status),
                       strsignal(WTERMSIG(process->status)));
    else
        (void)snprintf(text, size, "ended with status %d", WEXITSTATUS(process->status));
}
