/* One publisher after the other under one name, each killed with SIGKILL: for tests of a thousand
 * deaths, for which starting a program each time would take too long. Publishes checksummed
 * statuses (parcel.h).
 *   phoenix DIRECTORY NAME    does what standard input says, a line each:
 *     born PERIOD_NS    a process that publishes at that pace; 0: as fast as it can
 *     kill AFTER_US     ends it at that distance from the order
 * Says of each life "born PROCESS STARTED" before it opens anything and "dead PROCESS ENDED TICKS",
 * times in monotonic nanoseconds: it has published TICKS times, or once more. Ends with its input. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <omni/publish.h>

#include "parcel.h"

#define MICROSECOND_NS 1000u
#define SECOND_NS      1000000000u

struct phoenix {
    const char *directory;
    const char *name;
    _Atomic uint64_t *ticks; /* published in this life; shared with it */
    pid_t life;              /* 0: none */
};

static void sleep_until(uint64_t monotonic_ns) {
    struct timespec until = {(time_t)(monotonic_ns / SECOND_NS), (long)(monotonic_ns % SECOND_NS)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static void say(const char *what, pid_t process, uint64_t time_ns) {
    printf("%s %ld %" PRIu64, what, (long)process, time_ns);
}

static void end_line(void) {
    puts("");
    fflush(stdout);
}

/* ---- a life ---- */

_Noreturn static void live(const struct phoenix *phoenix, uint64_t period_ns) {
    struct omni_publisher_options options = {.directory = phoenix->directory,
                                             .period_ns = period_ns};
    struct omni_publisher *publisher;
    struct omni_problem problem;
    struct parcel parcel = {0};
    if (omni_publisher_open(&publisher, phoenix->name, parcel_schema(), &options, &problem) < 0) {
        fprintf(stderr, "%s\n", problem.text);
        _exit(2);
    }
    uint64_t start_ns = omni_time_now().monotonic_ns;
    for (uint64_t serial = 1;; serial++) {
        parcel_fill(&parcel, serial);
        if (period_ns > 0)
            sleep_until(start_ns + serial * period_ns);
        omni_publish(publisher, &parcel);
        *phoenix->ticks = serial;
    }
}

static bool give_birth(struct phoenix *phoenix, uint64_t period_ns) {
    uint64_t now_ns = omni_time_now().monotonic_ns;
    pid_t parent = getpid();
    if (phoenix->life > 0)
        return false;
    *phoenix->ticks = 0;
    phoenix->life = fork();
    if (phoenix->life == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            live(phoenix, period_ns);
        _exit(2);
    }
    say("born", phoenix->life, now_ns);
    end_line();
    return phoenix->life > 0;
}

static bool end_life(struct phoenix *phoenix, uint64_t after_us) {
    int status = 0;
    sleep_until(omni_time_now().monotonic_ns + after_us * MICROSECOND_NS);
    if (phoenix->life <= 0)
        return false;
    kill(phoenix->life, SIGKILL);
    if (waitpid(phoenix->life, &status, 0) < 0 || !WIFSIGNALED(status))
        return false;
    say("dead", phoenix->life, omni_time_now().monotonic_ns);
    printf(" %" PRIu64, *phoenix->ticks);
    end_line();
    phoenix->life = 0;
    return true;
}

/* ---- orders ---- */

static bool obey(struct phoenix *phoenix, const char *order) {
    uint64_t number;
    if (sscanf(order, "born %" SCNu64, &number) == 1)
        return give_birth(phoenix, number);
    if (sscanf(order, "kill %" SCNu64, &number) == 1)
        return end_life(phoenix, number);
    return false;
}

int main(int count, char **arguments) {
    char order[64];
    if (count != 3) {
        fprintf(stderr, "usage: %s DIRECTORY NAME\n", arguments[0]);
        return 2;
    }
    struct phoenix phoenix = {.directory = arguments[1], .name = arguments[2]};
    phoenix.ticks = mmap(NULL, sizeof *phoenix.ticks, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (phoenix.ticks == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    while (fgets(order, sizeof order, stdin) != NULL)
        if (!obey(&phoenix, order)) {
            fprintf(stderr, "could not: %s", order);
            return 2;
        }
    return 0;
}
