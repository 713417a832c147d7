/*
 * host_process.h - the host program for a driver: where it is, starting it, ending it
 *
 * Purpose
 *   A driver for another CPU needs a program for that CPU (omni-driver-host, host/main.c), and
 *   perhaps an emulator to run it. This module knows where they are and how a child process is
 *   started and waited for; what is said to it is driver_remote.h's.
 *
 * Calling sequence
 *     struct host_program program;
 *     error = host_find(&program, cpu, is_own_cpu, NULL, &problem);    // once
 *     struct host_process process;
 *     error = host_start(&process, &program, arguments, file, &problem);
 *     ... host_has_ended(&process), host_set_priority(&process, priority) ...
 *     host_ask_to_end(&process);
 *     host_end(&process);
 *
 * Where it is looked for, <cpu> being cpu.h's name
 *   --driver-host FILE; else, seen from the folder of the running robot: omni-driver-host beside it
 *   (for its own CPU), ../<cpu>/ (a build tree), ../lib/omniscient/<cpu>/ (installed).
 *
 * Which libraries
 *   Under an emulator a program needs its CPU's libraries: $QEMU_LD_PREFIX where the user set it,
 *   else ../sysroot/<cpu> (a build tree), else /usr/<triplet> (Debian's cross libraries), where
 *   these exist; else those of the system (multiarch).
 *
 * Not for the control loop: files are opened, memory is allocated, processes are waited for.
 */
#ifndef ROBOT_HOST_PROCESS_H
#define ROBOT_HOST_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cpu.h"

struct host_program {
    char file[PATH_MAX];
    char libraries[PATH_MAX]; /* "": nothing is said to the emulator */
    const struct cpu *cpu;
    bool emulated; /* the kernel refused to run it directly */
};

struct host_process {
    pid_t id;   /* 0: there is none */
    int status; /* as of waitpid(), once it has ended */
};

/* What the program is given, in this order. */
enum { HOST_ARGUMENTS = 3 };

/* Finds the program for `cpu`. `file`: the user's choice, or NULL.
 * Returns 0, or -errno with a sentence that says what to do, *program untouched. */
int host_find(struct host_program *program, const struct cpu *cpu, bool is_own_cpu,
              const char *file, struct omni_problem *problem);

/* Starts it; under the emulator where the kernel cannot run it, or finds no libraries for it while
 * the emulator would (then program->emulated is set). It leads a process group of its own, so that
 * the terminal's Ctrl-C is the robot's alone, and never has the caller's real-time scheduling. Its
 * effective user and group are the caller's real ones: privileges of the robot's file end here.
 * The calling thread is its parent: it has to live as long (PR_SET_PDEATHSIG).
 * `file` becomes its descriptor DRIVER_CALL_FILE (driver_call.h); the caller's stays open.
 * Returns 0, or -errno with a sentence: nothing was started. */
int host_start(struct host_process *process, struct host_program *program,
               const char *const arguments[HOST_ARGUMENTS], int file, struct omni_problem *problem);

/* Puts it under SCHED_FIFO: its first thread, and what that starts from now on. Returns 0 or
 * -errno. */
int host_set_priority(const struct host_process *process, int priority);

/* True where the process has ended (or there is none). Does not wait. Whatever else it has started
 * in its group is ended with it. */
bool host_has_ended(struct host_process *process);

/* Waits at most `patience_ns` for its end. Returns whether it has ended. */
bool host_await_end(struct host_process *process, uint64_t patience_ns);

/* SIGTERM, at which it stops the motors and closes its driver. Does not wait. */
void host_ask_to_end(const struct host_process *process);

/* Ends it: after 150 ms, for what it was asked, with SIGKILL, which its whole group gets. Returns
 * whether it has ended, after waiting a second for that: a process that hangs in the kernel has
 * not. */
bool host_end(struct host_process *process);

/* How it ended, for a sentence: "ended with status 3", "was killed by signal 9". */
void host_describe_end(const struct host_process *process, char *text, size_t size);

/* What execve() could not run, of a child whose start cannot say so itself (as under an emulator):
 * shells and libc agree on this status. */
#define HOST_STATUS_NOT_RUN 127

/* Whether host_start() succeeds even where nothing can be run, and the child ends with that status:
 * so it is where this robot itself runs under an emulator. Starts something that is not there. */
bool host_failure_is_hidden(void);

#endif
