/*
 * calls.h - counts the system calls of a publishing loop
 *
 * Purpose
 *   From calls_count() on, every system call of this process other than the loop's own sleep is not
 *   carried out but counted (a seccomp filter; a clock that the kernel maps into the process needs
 *   none, nor does a page fault). It cannot be taken back: fork first.
 */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stdint.h>

/* Begins. Returns 0, or -errno where this kernel has no filters. */
int calls_count(void);

/* So many calls other than clock_nanosleep and exit since then. */
uint64_t calls_counted(void);

#endif
