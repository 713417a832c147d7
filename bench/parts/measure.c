#include "measure.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

uint64_t measure_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* ---- samples ---- */

static size_t samples_bytes(size_t capacity) {
    return sizeof(struct samples) + capacity * sizeof(uint64_t);
}

struct samples *samples_open(size_t capacity) {
    struct samples *samples = mmap(NULL, samples_bytes(capacity), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (samples == MAP_FAILED)
        measure_give_up("no memory for %zu samples", capacity);
    samples->capacity = capacity;
    return samples;
}

void samples_close(struct samples *samples) {
    if (samples != NULL)
        munmap(samples, samples_bytes(samples->capacity));
}

void samples_add(struct samples *samples, uint64_t value) {
    if (samples->count < samples->capacity)
        samples->values[samples->count++] = value;
}

static int compare_values(const void *left, const void *right) {
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

uint64_t samples_percentile(struct samples *samples, double share) {
    if (samples->count == 0)
        return 0;
    qsort(samples->values, samples->count, sizeof samples->values[0], compare_values);
    return samples->values[(size_t)(share * (double)(samples->count - 1))];
}

static int compare_doubles(const void *left, const void *right) {
    const double *a = left;
    const double *b = right;
    return (*a > *b) - (*a < *b);
}

double median_of(double *values, size_t count) {
    if (count == 0)
        return 0;
    qsort(values, count, sizeof values[0], compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* ---- cores and pace ---- */

void measure_pin(enum measure_core core) {
    static cpu_set_t allowed; /* as the program found it: a child may be pinned already */
    static bool known;
    size_t cores[2] = {0};
    size_t found = 0;
    if (!known && sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return;
    known = true;
    for (size_t i = 0; i < CPU_SETSIZE && found < 2; i++)
        if (CPU_ISSET(i, &allowed))
            cores[found++] = i;
    if (found < 2)
        return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cores[core], &one);
    sched_setaffinity(0, sizeof one, &one);
}

void measure_sleep_until(uint64_t moment_ns) {
    struct timespec moment = {.tv_sec = (time_t)(moment_ns / SECOND_NS),
                              .tv_nsec = (long)(moment_ns % SECOND_NS)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) != 0) {
    }
}

static void spin_until(uint64_t moment_ns) {
    while (measure_now() < moment_ns)
        continue;
}

void pace_wait(struct pace *pace) {
    uint64_t now_ns = measure_now();
    pace->next_ns += pace->period_ns;
    if (pace->next_ns + pace->period_ns < now_ns)
        pace->next_ns = now_ns + pace->period_ns;
    if (pace->spins)
        spin_until(pace->next_ns);
    else
        measure_sleep_until(pace->next_ns);
}

/* ---- rows ---- */

void row_measured(struct row *row, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->measured, sizeof row->measured, format, arguments);
    va_end(arguments);
}

void row_beside(struct row *row, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->beside, sizeof row->beside, format, arguments);
    va_end(arguments);
}

void row_met(struct row *row, bool met) {
    row->met = met ? ROW_YES : ROW_NO;
}

void row_print(const struct row *row) {
    static const char *const words[] = {[ROW_OPEN] = "-", [ROW_YES] = "yes", [ROW_NO] = "no"};
    printf("row\t%s\t%s\t%s\t%s\t%s\n", row->claim, row->bound != NULL ? row->bound : "",
           row->measured, row->beside, words[row->met]);
    fflush(stdout);
}

void measure_give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}
