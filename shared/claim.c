#include "claim.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <omni/publish.h>

#include "atomics.h"

#define PAUSE_FIRST_NS 100000u
#define PAUSE_MOST_NS  50000000u
#define BACK_OFF_NS    100000000u /* the longest, for who was overtaken */

static uint64_t now_ns(void) {
    return omni_time_now().monotonic_ns;
}

static void rest(uint64_t ns) {
    const struct timespec pause = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    (void)nanosleep(&pause, NULL);
}

static uint32_t chance(void) {
    uint32_t number = 0;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (uint32_t)now_ns() * 2654435761u ^ (uint32_t)getpid();
    return number;
}

/* Rests, and returns how long: but no longer than was meant. Who was kept from running (a machine
 * that was paused, and perhaps the owner with it) has seen nothing meanwhile, so that time says
 * nothing about the owner. */
static uint64_t watchful_rest(uint64_t *pause_ns) {
    uint64_t meant = *pause_ns;
    uint64_t start = now_ns();
    rest(meant);
    uint64_t passed = now_ns() - start;
    *pause_ns = 2 * meant < PAUSE_MOST_NS ? 2 * meant : PAUSE_MOST_NS;
    return passed < 2 * meant ? passed : 2 * meant;
}

/* Until nobody owns the word, or its owner has shown no sign of life for long enough. */
static int await_vacancy(const uint32_t *owner, const uint32_t *heartbeat, uint64_t end_ns) {
    uint64_t pause_ns = PAUSE_FIRST_NS;
    uint64_t silent_ns = 0;
    uint32_t who = omni_load_relaxed(owner);
    uint32_t beat = omni_load_relaxed(heartbeat);
    while (who != 0 && silent_ns < OMNI_OWNER_DEAD_NS) {
        if (now_ns() >= end_ns)
            return -EBUSY;
        silent_ns += watchful_rest(&pause_ns);
        bool same = omni_load_relaxed(owner) == who;
        if (same && omni_load_relaxed(heartbeat) != beat)
            return -EBUSY;
        if (!same)
            silent_ns = 0;
        who = omni_load_relaxed(owner);
        beat = omni_load_relaxed(heartbeat);
    }
    return 0;
}

/* Whoever looked before my number was visible has stored its own long before this time is over. */
static bool still_stands(const uint32_t *owner, uint32_t mine) {
    uint64_t pause_ns = PAUSE_FIRST_NS;
    uint64_t end_ns = now_ns() + OMNI_OWNER_SETTLE_NS;
    while (now_ns() < end_ns) {
        (void)watchful_rest(&pause_ns);
        if (omni_load_relaxed(owner) != mine)
            return false;
    }
    return true;
}

int omni_claim_take(uint32_t *owner, const uint32_t *heartbeat, uint32_t *mine) {
    uint64_t end_ns = now_ns() + OMNI_CLAIM_NS;
    uint32_t number = chance() | 1;
    for (;;) {
        int error = await_vacancy(owner, heartbeat, end_ns);
        if (error < 0)
            return error;
        omni_store_relaxed(owner, number);
        omni_fence_machines();
        if (still_stands(owner, number)) {
            *mine = number;
            return 0;
        }
        rest(chance() % BACK_OFF_NS);
    }
}
