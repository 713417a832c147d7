#include "self_test.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#include "clock.h"
#include "pace.h"
#include "realtime.h"

#define CLOCK_SOURCE   "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define GOVERNOR       "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor"
#define THROTTLE_TIME  "/proc/sys/kernel/sched_rt_runtime_us"
#define THROTTLE_CYCLE "/proc/sys/kernel/sched_rt_period_us"

enum {
    CLOCK_TRIES = 1000,
    FINE_CLOCK_NS = 1000,  /* coarser: no high-resolution timers, ticks come when the kernel's do */
    CHEAP_CLOCK_NS = 1000, /* dearer: each reading is a system call */
    BAR_WIDTH = 40,
    LAST_ROW_US = 1 << 20
};

static struct self_test_finding finding(enum self_test_verdict verdict, const char *remedy) {
    struct self_test_finding made = {.verdict = verdict};
    (void)snprintf(made.remedy, sizeof made.remedy, "%s", remedy);
    return made;
}

#define describe(made, ...) ((void)snprintf((made).text, sizeof(made).text, __VA_ARGS__))

/* ---- judgements ---- */

struct self_test_finding self_test_judge_clock(const char *source, uint64_t resolution_ns,
                                               uint64_t cost_ns) {
    struct self_test_finding made = finding(SELF_TEST_WELL, "");
    if (resolution_ns > FINE_CLOCK_NS)
        made = finding(SELF_TEST_MISSING, "boot without highres=off, or take a kernel "
                                          "with CONFIG_HIGH_RES_TIMERS");
    else if (cost_ns > CHEAP_CLOCK_NS)
        made =
            finding(SELF_TEST_NOTE,
                    "boot with clocksource=NAME, one of those in /sys/devices/system/clocksource/"
                    "clocksource0/available_clocksource: with this one a reading is a system call");
    describe(made, "%s, resolution %llu ns, reading it takes %llu ns",
             source[0] != '\0' ? source : "unnamed", (unsigned long long)resolution_ns,
             (unsigned long long)cost_ns);
    return made;
}

struct self_test_finding self_test_judge_throttling(long runtime_us, long period_us) {
    struct self_test_finding made = finding(SELF_TEST_WELL, "");
    if (runtime_us < 0 || runtime_us >= period_us) {
        made = finding(SELF_TEST_NOTE, "sudo sysctl kernel.sched_rt_runtime_us=950000");
        describe(made,
                 "none: a real-time loop that never sleeps would never let anything else run");
    } else if (runtime_us == 0) {
        made = finding(SELF_TEST_MISSING, "sudo sysctl kernel.sched_rt_runtime_us=950000");
        describe(made, "real-time threads may not run at all");
    } else {
        describe(made, "real-time threads may have %ld of every %ld ms", runtime_us / 1000,
                 period_us / 1000);
    }
    return made;
}

struct self_test_finding self_test_judge_governor(const char *governor, int cpu) {
    struct self_test_finding made = finding(SELF_TEST_WELL, "");
    if (governor[0] == '\0') {
        describe(made, "nothing here changes the frequency of CPU %d", cpu);
    } else if (strcmp(governor, "performance") == 0) {
        describe(made, "CPU %d keeps its highest frequency (performance)", cpu);
    } else {
        made.verdict = SELF_TEST_NOTE;
        describe(made, "CPU %d slows down when it rests (%.40s)", cpu, governor);
        (void)snprintf(made.remedy, sizeof made.remedy,
                       "echo performance | sudo tee /sys/devices/system/cpu/cpu%d/cpufreq/"
                       "scaling_governor",
                       cpu);
    }
    return made;
}

struct self_test_finding self_test_judge_kernel(const char *version) {
    struct self_test_finding made = finding(SELF_TEST_WELL, "");
    if (strstr(version, "PREEMPT_RT") != NULL) {
        describe(made, "fully preemptible (PREEMPT_RT)");
        return made;
    }
    made =
        finding(SELF_TEST_NOTE, "for bounds that hold under load, on a Debian with its own kernel "
                                "(not on Raspberry Pi OS): "
                                "sudo apt install linux-image-rt-$(dpkg --print-architecture)");
    describe(made, "%s: it may keep a tick waiting for some hundred µs, seldom for ms",
             strstr(version, "PREEMPT") != NULL ? "preemptible, not PREEMPT_RT"
                                                : "not preemptible");
    return made;
}

static unsigned long long rounded_up_us(uint64_t ns) {
    return (ns + CLOCK_NS_A_MICROSECOND - 1) / CLOCK_NS_A_MICROSECOND;
}

struct self_test_finding self_test_judge_jitter(const struct histogram *lateness, uint64_t left_out,
                                                uint64_t period_ns, bool is_realtime) {
    struct self_test_finding made = finding(SELF_TEST_WELL, "");
    if (left_out > 0)
        made = finding(SELF_TEST_MISSING, is_realtime ? "end what else runs here, take a lower "
                                                        "--tick-hz, or another kernel (above)"
                                                      : "permit --realtime (above), and see again");
    else if (lateness->worst_ns > period_ns / 10)
        made = finding(SELF_TEST_NOTE, is_realtime ? "" : "permit --realtime (above)");
    describe(
        made,
        "worst %llu µs, half of %llu ticks within %llu µs, 99 %% within %llu µs, %llu left out",
        rounded_up_us(lateness->worst_ns), (unsigned long long)lateness->count,
        rounded_up_us(histogram_within(lateness, 0.5)),
        rounded_up_us(histogram_within(lateness, 0.99)), (unsigned long long)left_out);
    return made;
}

/* ---- what this machine says ---- */

/* The first line of a file, without its end; "" where there is none. */
static void first_line(char *line, size_t bytes, const char *path) {
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(line, (int)bytes, file) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    (void)fclose(file);
}

static struct self_test_finding from_problem(int error, const struct omni_problem *problem,
                                             const char *text, const char *in_a_unit) {
    struct self_test_finding made = finding(error < 0 ? SELF_TEST_MISSING : SELF_TEST_WELL, "");
    describe(made, "%s", text);
    const char *typed = error < 0 ? strstr(problem->text, "sudo ") : NULL;
    if (typed != NULL)
        (void)snprintf(made.remedy, sizeof made.remedy, "%s (a systemd unit: %s)", typed,
                       in_a_unit);
    return made;
}

static struct self_test_finding try_scheduling(bool *is_realtime) {
    struct omni_problem problem;
    struct rlimit limit = {0};
    char text[128];
    char setting[32];
    int error = realtime_schedule(&problem);
    *is_realtime = error == 0;
    (void)getrlimit(RLIMIT_RTPRIO, &limit);
    if (error == 0)
        (void)snprintf(text, sizeof text, "SCHED_FIFO, priorities up to %d, is permitted",
                       REALTIME_HIGHEST_PRIORITY);
    else
        (void)snprintf(text, sizeof text,
                       "SCHED_FIFO is refused: no CAP_SYS_NICE, and priorities only up to %llu",
                       (unsigned long long)limit.rlim_cur);
    (void)snprintf(setting, sizeof setting, "LimitRTPRIO=%d", REALTIME_HIGHEST_PRIORITY);
    return from_problem(error, &problem, text, setting);
}

static struct self_test_finding try_locking(void) {
    struct omni_problem problem;
    struct rlimit limit = {0};
    char text[128];
    int error = realtime_lock(&problem);
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    if (error == 0)
        (void)snprintf(text, sizeof text, "all of it may be locked");
    else
        (void)snprintf(text, sizeof text, "no CAP_IPC_LOCK, and only %llu KiB may be locked",
                       (unsigned long long)limit.rlim_cur / 1024);
    return from_problem(error, &problem, text, "LimitMEMLOCK=infinity");
}

static struct self_test_finding try_cpu(int cpu) {
    struct omni_problem problem;
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    struct self_test_finding made = finding(SELF_TEST_WELL, "");
    if (cpu == REALTIME_ANY_CPU) {
        describe(made, "%d may be used, the scheduler chooses", count);
    } else if (realtime_pin(cpu, &problem) < 0) {
        made = finding(SELF_TEST_MISSING, "choose another one: --realtime-cpu");
        describe(made, "%.150s", problem.text);
    } else {
        describe(made, "%d may be used, the loop is kept on CPU %d", count, cpu);
    }
    return made;
}

static struct self_test_finding look_at_clock(void) {
    char source[64];
    struct timespec resolution = {0};
    uint64_t started = clock_now_ns();
    for (int i = 0; i < CLOCK_TRIES; i++)
        (void)clock_now_ns();
    uint64_t cost = (clock_now_ns() - started) / CLOCK_TRIES;
    (void)clock_getres(CLOCK_MONOTONIC, &resolution);
    first_line(source, sizeof source, CLOCK_SOURCE);
    return self_test_judge_clock(
        source, (uint64_t)resolution.tv_sec * CLOCK_NS_A_SECOND + (uint64_t)resolution.tv_nsec,
        cost);
}

static long number_in(const char *path, long otherwise) {
    char line[32];
    long value;
    first_line(line, sizeof line, path);
    return sscanf(line, "%ld", &value) == 1 ? value : otherwise; /* NOLINT(cert-err34-c) */
}

static struct self_test_finding look_at_throttling(void) {
    return self_test_judge_throttling(number_in(THROTTLE_TIME, 950000),
                                      number_in(THROTTLE_CYCLE, 1000000));
}

static struct self_test_finding look_at_governor(int cpu) {
    char path[80];
    char governor[64];
    int one = cpu == REALTIME_ANY_CPU ? 0 : cpu;
    (void)snprintf(path, sizeof path, GOVERNOR, one);
    first_line(governor, sizeof governor, path);
    return self_test_judge_governor(governor, one);
}

static struct self_test_finding look_at_kernel(void) {
    struct utsname name;
    return self_test_judge_kernel(uname(&name) == 0 ? name.version : "");
}

/* ---- the report ---- */

struct report {
    FILE *file;
    unsigned missing;
};

static void tell(struct report *report, const char *what, const struct self_test_finding *made) {
    static const char *const words[] = {
        [SELF_TEST_WELL] = "well", [SELF_TEST_NOTE] = "note", [SELF_TEST_MISSING] = "missing"};
    (void)fprintf(report->file, "%-8s %-11s %s\n", words[made->verdict], what, made->text);
    if (made->remedy[0] != '\0')
        (void)fprintf(report->file, "%-8s %-11s do: %s\n", "", "", made->remedy);
    report->missing += made->verdict == SELF_TEST_MISSING;
    (void)fflush(report->file);
}

static void draw(FILE *file, const struct histogram *lateness) {
    static const char bar[] = "########################################";
    uint64_t before = 0;
    for (uint64_t us = 1; us <= LAST_ROW_US && before < lateness->count; us *= 2) {
        uint64_t below = us < LAST_ROW_US ? histogram_below(lateness, us) : lateness->count;
        uint64_t here = below - before;
        int width = (int)((here * BAR_WIDTH + lateness->count - 1) / lateness->count);
        if (here > 0 || before > 0)
            (void)fprintf(file, "%14s %7llu µs %8llu %.*s\n",
                          us < LAST_ROW_US ? "less than" : "longer than",
                          (unsigned long long)(us < LAST_ROW_US ? us : us / 2),
                          (unsigned long long)here, width, bar);
        before = below;
    }
}

static void measure(struct histogram *lateness, uint64_t *left_out,
                    const struct self_test_options *options) {
    struct pace pace = pace_start(CLOCK_NS_A_SECOND / options->tick_hz,
                                  clock_now_ns() + CLOCK_NS_A_SECOND / options->tick_hz);
    for (uint64_t i = 0; i < options->seconds * options->tick_hz && *options->stop == 0;
         i = lateness->count + pace.overruns) {
        if (clock_sleep_until(pace.deadline_ns) != 0)
            continue;
        pace_woke(&pace, clock_now_ns());
        histogram_add(lateness, pace.lateness_ns);
    }
    *left_out = pace.overruns;
}

unsigned self_test_run(const struct self_test_options *options, FILE *file) {
    struct report report = {.file = file};
    struct histogram lateness = {0};
    uint64_t left_out = 0;
    bool is_realtime = false;
    (void)fprintf(file, "What --realtime --tick-hz %llu gets on this machine:\n",
                  (unsigned long long)options->tick_hz);
    const struct {
        const char *what;
        struct self_test_finding made;
    } findings[] = {
        {"scheduling", try_scheduling(&is_realtime)},
        {"memory", try_locking()},
        {"CPUs", try_cpu(options->cpu)},
        {"kernel", look_at_kernel()},
        {"clock", look_at_clock()},
        {"throttling", look_at_throttling()},
        {"frequency", look_at_governor(options->cpu)},
    };
    for (size_t i = 0; i < sizeof findings / sizeof findings[0]; i++)
        tell(&report, findings[i].what, &findings[i].made);
    (void)fprintf(file, "... measuring for %llu s\n", (unsigned long long)options->seconds);
    (void)fflush(file);
    measure(&lateness, &left_out, options);
    struct self_test_finding jitter = self_test_judge_jitter(
        &lateness, left_out, CLOCK_NS_A_SECOND / options->tick_hz, is_realtime);
    tell(&report, "jitter", &jitter);
    draw(file, &lateness);
    return report.missing;
}
