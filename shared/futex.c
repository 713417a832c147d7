#include "futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What SYS_futex takes on every architecture, whatever size time_t has in the C library. */
struct kernel_timespec {
    long seconds;
    long nanoseconds;
};

/* 32-bit seconds end somewhere: who waits longer than eleven days just looks again. */
#define TIMEOUT_SECONDS_MAX 1000000u

int omni_futex_wait(const uint32_t *word, uint32_t value, uint64_t timeout_ns) {
    uint64_t seconds = timeout_ns / 1000000000u;
    struct kernel_timespec timeout = {
        (long)(seconds < TIMEOUT_SECONDS_MAX ? seconds : TIMEOUT_SECONDS_MAX),
        (long)(timeout_ns % 1000000000u)};
    if (syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0) == 0)
        return 0;
    return -errno;
}

void omni_futex_wake(const uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
