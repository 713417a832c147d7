/*
 * process.h - the other processes of a measurement, and the private directory for their segments
 *
 * Every child dies with the program that started it (PR_SET_PDEATHSIG), also where that is killed.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "measure.h"

/* A new directory under /dev/shm, removed with the files in it however the program ends. */
const char *process_directory(void);
/* Removes what earlier publishers left there, so that no reader finds the wrong one. */
void process_clear_directory(void);

/* Runs run(context) in a child, on that core, and ends the child when it returns. */
pid_t process_fork(enum measure_core core, void (*run)(void *context), void *context);

/* Starts a program on that core. `out`: gets the descriptor of its stdout; NULL: its stdout is
 * thrown away. Its stderr is thrown away unless BENCH_VERBOSE is set in the environment. */
pid_t process_start(enum measure_core core, const char *const *arguments, int *out);

/* Waits for a child that ends by itself. Returns 0 where it ended with exit status 0. */
int process_wait(pid_t child);
/* Ends a child (SIGTERM) and waits for it. 0 is no child: fine. */
void process_end(pid_t child);

/* CPU time that the process has used so far, all threads, in nanoseconds. */
uint64_t process_cpu_ns(pid_t process);
/* A line of /proc/PID/status in KiB: "VmRSS", "VmHWM", "RssAnon", … ; 0 where there is none. */
unsigned long process_memory_kib(pid_t process, const char *line);

/* The number at the end of the first line that comes out of `file`, after the last ':' - "http://
 * 127.0.0.1:8080/" or "8080" - for servers that print where they listen. 0: none came. Reads no
 * further than that line. */
uint16_t process_port(int file);

/* Allows as many open files as this process may have; children inherit it. Returns the limit. */
unsigned long process_open_files_max(void);

#endif
