/*
 * old_clock.c - a machine whose clock was never set: what a board without battery and network says
 *
 *     LD_PRELOAD=.../old_clock.so omni-observer doctor
 *
 * Only the date is another one, 2000-01-01; all other clocks are the machine's.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's are its own. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, clock, now);
    *now = (struct timespec){.tv_sec = 946684800};
    return 0;
}
