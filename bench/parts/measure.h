/*
 * measure.h - clocks, medians, cores, and the rows of the table
 *
 * Purpose
 *   What every program here needs to measure and to say what it measured. A program prints one line
 *   per row on stdout, columns separated by tabs, for scripts/bench to put into one table:
 *     row <TAB> claim <TAB> bound <TAB> measured <TAB> beside <TAB> yes|no|-
 *   What a person wants to know meanwhile goes to stderr.
 *
 * Cores
 *   With two cores or more the publisher is kept on one and whoever reads on another, so that
 *   neither waits for the other and the scheduler does not move them. With one core nothing is
 *   pinned.
 *
 * Failure
 *   A program that cannot run says why on stderr and exits with status 1. No figure fails it.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MICROSECOND_NS 1000ull
#define MILLISECOND_NS 1000000ull
#define SECOND_NS      1000000000ull

/* CLOCK_MONOTONIC, now, in nanoseconds. */
uint64_t measure_now(void);

/* ---- samples ---- */

/* Values in memory that forked children share: a child may fill them, the parent reads them when
 * the child has ended. */
struct samples {
    size_t count;
    size_t capacity; /* further values are left out */
    uint64_t values[];
};

/* Never NULL: no memory ends the program. */
struct samples *samples_open(size_t capacity);
void samples_close(struct samples *samples);
void samples_add(struct samples *samples, uint64_t value);

/* Sorts. The value below which `share` (0 to 1) of the samples lie; 0 where there are none. */
uint64_t samples_percentile(struct samples *samples, double share);

/* The median of a few numbers, at most 64; sorts them. */
double median_of(double *values, size_t count);

/* ---- cores and pace ---- */

enum measure_core {
    CORE_ROBOT,   /* publishers, and the load clients */
    CORE_OBSERVER /* readers and servers */
};

/* Keeps the calling process on that core. */
void measure_pin(enum measure_core core);

/* An absolute-deadline loop: sleeps until the next deadline, or keeps the core busy until then. A
 * deadline that was missed by more than a period is let go. */
struct pace {
    uint64_t period_ns;
    bool spins;
    uint64_t next_ns; /* 0: begin now */
};
void pace_wait(struct pace *pace);

/* Sleeps until that moment of CLOCK_MONOTONIC. */
void measure_sleep_until(uint64_t moment_ns);

/* ---- rows ---- */

enum row_met { ROW_OPEN, ROW_YES, ROW_NO }; /* open: there is nothing to be met */

struct row {
    const char *claim;
    const char *bound;
    enum row_met met;
    char measured[160];
    char beside[240];
};

void row_measured(struct row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
void row_beside(struct row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
void row_met(struct row *row, bool met);
void row_print(const struct row *row);

/* Says why this program cannot run and ends it with status 1. */
_Noreturn void measure_give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
