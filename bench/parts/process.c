#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the directory ---- */

static char directory[64];

/* NOLINTNEXTLINE(misc-no-recursion): folders in it have none themselves */
static void clear(const char *folder) {
    char path[512];
    DIR *list = opendir(folder);
    if (list == NULL)
        return;
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        snprintf(path, sizeof path, "%.200s/%s", folder, entry->d_name);
        if (entry->d_type != DT_DIR) {
            unlink(path);
        } else if (entry->d_name[0] != '.') {
            clear(path);
            rmdir(path);
        }
    }
    closedir(list);
}

void process_clear_directory(void) {
    if (directory[0] != '\0')
        clear(directory);
}

/* Outlives the program and its children, however they ended: until then somebody holds the pipe's
 * other end. */
static void tidy_up_later(const int ends[2]) {
    char nothing;
    if (fork() != 0)
        return;
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    close(ends[1]);
    close(STDOUT_FILENO);
    (void)!read(ends[0], &nothing, 1);
    process_clear_directory();
    rmdir(directory);
    _exit(EXIT_SUCCESS);
}

const char *process_directory(void) {
    int ends[2];
    if (directory[0] != '\0')
        return directory;
    strcpy(directory, "/dev/shm/omni-bench.XXXXXX");
    if (mkdtemp(directory) == NULL)
        measure_give_up("cannot make a directory under /dev/shm: %s", strerror(errno));
    if (pipe2(ends, O_CLOEXEC) < 0)
        measure_give_up("cannot make a pipe: %s", strerror(errno));
    tidy_up_later(ends);
    close(ends[0]);
    return directory;
}

/* ---- children ---- */

static pid_t fork_child(enum measure_core core) {
    pid_t parent = getpid();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        measure_give_up("cannot start a process: %s", strerror(errno));
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    measure_pin(core);
    return 0;
}

pid_t process_fork(enum measure_core core, void (*run)(void *context), void *context) {
    pid_t child = fork_child(core);
    if (child > 0)
        return child;
    run(context);
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}

static void redirect(int from, int to) {
    dup2(from, to);
    close(from);
}

pid_t process_start(enum measure_core core, const char *const *arguments, int *out) {
    int ends[2] = {-1, -1};
    if (out != NULL && pipe2(ends, O_CLOEXEC) < 0)
        measure_give_up("cannot make a pipe: %s", strerror(errno));
    pid_t child = fork_child(core);
    if (child == 0) {
        redirect(out != NULL ? ends[1] : open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
        if (getenv("BENCH_VERBOSE") == NULL)
            redirect(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    if (out != NULL) {
        close(ends[1]);
        *out = ends[0];
    }
    return child;
}

int process_wait(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

void process_end(pid_t child) {
    if (child <= 0)
        return;
    kill(child, SIGTERM);
    process_wait(child);
}

/* ---- what they cost ---- */

uint64_t process_cpu_ns(pid_t process) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) < 0)
        measure_give_up("process %ld is gone", (long)process);
    return (uint64_t)used.tv_sec * SECOND_NS + (uint64_t)used.tv_nsec;
}

unsigned long process_memory_kib(pid_t process, const char *line) {
    char path[64];
    char text[256];
    unsigned long kib = 0;
    size_t length = strlen(line);
    snprintf(path, sizeof path, "/proc/%ld/status", (long)process);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(text, sizeof text, file) != NULL)
        if (strncmp(text, line, length) == 0 && text[length] == ':')
            kib = strtoul(text + length + 1, NULL, 10);
    fclose(file);
    return kib;
}

uint16_t process_port(int file) {
    char line[256];
    size_t length = 0;
    while (length < sizeof line - 1 && read(file, line + length, 1) == 1 && line[length] != '\n')
        length++;
    line[length] = '\0';
    const char *colon = strrchr(line, ':');
    return (uint16_t)strtoul(colon != NULL ? colon + 1 : line, NULL, 10);
}

unsigned long process_open_files_max(void) {
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return 0;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return (unsigned long)files.rlim_cur;
}
