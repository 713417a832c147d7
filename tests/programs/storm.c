/* Publishes checksummed statuses (parcel.h) as fast as it can, or at a pace: for tests that kill
 * it at any moment and look whether a reader ever gets half a status.
 *   storm DIRECTORY NAME [TICKS [PERIOD_NS]]    TICKS 0: until killed; PERIOD_NS 0: no pause
 * Says "ready" on standard output once the segment is there. Exits 0 after TICKS, 2 on errors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <omni/publish.h>

#include "parcel.h"

static uint64_t number(const char *text) {
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void sleep_until(uint64_t monotonic_ns) {
    struct timespec until = {(time_t)(monotonic_ns / 1000000000u),
                             (long)(monotonic_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

int main(int count, char **arguments) {
    if (count < 3 || count > 5) {
        fprintf(stderr, "usage: %s DIRECTORY NAME [TICKS [PERIOD_NS]]\n", arguments[0]);
        return 2;
    }
    uint64_t ticks = count > 3 ? number(arguments[3]) : 0;
    uint64_t period_ns = count > 4 ? number(arguments[4]) : 0;
    struct omni_publisher_options options = {.directory = arguments[1], .period_ns = period_ns};
    struct omni_publisher *publisher;
    struct omni_problem problem;
    if (omni_publisher_open(&publisher, arguments[2], parcel_schema(), &options, &problem) < 0) {
        fprintf(stderr, "%s\n", problem.text);
        return 2;
    }
    puts("ready");
    fflush(stdout);
    uint64_t start = omni_time_now().monotonic_ns;
    struct parcel parcel = {0};
    for (uint64_t serial = 1; ticks == 0 || serial <= ticks; serial++) {
        parcel_fill(&parcel, serial);
        if (period_ns > 0)
            sleep_until(start + serial * period_ns);
        omni_publish(publisher, &parcel);
    }
    omni_publisher_close(publisher);
    return 0;
}
