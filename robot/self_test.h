/*
 * self_test.h - what this machine can give a real-time loop: omni-robot --self-test
 *
 * Purpose
 *   Tries what --realtime asks for, looks at what the kernel says of clocks and CPUs, and then lets
 *   the robot's own rhythm run without a robot: how late do its ticks come? Each finding is a line;
 *   where something is missing, the line below says what to type. No board, no segment: it can run
 *   beside a robot, but then measures both.
 *
 * Calling sequence
 *     struct self_test_options options = {.tick_hz = 100, .seconds = 10, .cpu = 1, .stop = &stop};
 *     int missing = self_test_run(&options, stdout);
 *
 * It changes its process for good (scheduling, locked memory, CPU): run it, then exit.
 */
#ifndef ROBOT_SELF_TEST_H
#define ROBOT_SELF_TEST_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "histogram.h"

struct self_test_options {
    uint64_t tick_hz;
    uint64_t seconds;
    int cpu;                           /* realtime_choose_cpu()'s */
    const volatile sig_atomic_t *stop; /* ends the measuring early */
};

/* Writes the report. Returns how much is missing: 0 where --realtime gets all that it asks for and
 * no tick was left out. */
unsigned self_test_run(const struct self_test_options *options, FILE *file);

/* ---- its judgements, which are pure ---- */

enum self_test_verdict {
    SELF_TEST_WELL,
    SELF_TEST_NOTE,   /* could be better; nothing that --realtime asks for is missing */
    SELF_TEST_MISSING /* counts */
};

struct self_test_finding {
    enum self_test_verdict verdict;
    char text[160];
    char remedy[240]; /* what to type; "" where there is nothing to do */
};

/* How precise the clock is and what it costs to read it. `source`: the kernel's name for it. */
struct self_test_finding self_test_judge_clock(const char *source, uint64_t resolution_ns,
                                               uint64_t cost_ns);
/* What of a period real-time threads may have of a CPU, in µs; runtime -1: all. */
struct self_test_finding self_test_judge_throttling(long runtime_us, long period_us);
/* How the frequency of the CPU is chosen; `governor` "" where the kernel does not say. */
struct self_test_finding self_test_judge_governor(const char *governor, int cpu);
/* What uname(2) calls the version: it names the kind of preemption. */
struct self_test_finding self_test_judge_kernel(const char *version);
/* How late the ticks came. */
struct self_test_finding self_test_judge_jitter(const struct histogram *lateness, uint64_t left_out,
                                                uint64_t period_ns, bool is_realtime);

#endif
