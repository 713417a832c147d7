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

enum { LOST_MOST = 8 }; /* so often in a row what was written may be gone */

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

static bool is_stopped(const struct omni_claim *claim) {
    return claim->stop != NULL && *claim->stop != 0;
}

/* What the two words said at one look. */
struct sight {
    uint32_t who, beat;
};

static struct sight look(const struct omni_claim *claim) {
    return (struct sight){omni_load_relaxed(claim->owner), omni_load_relaxed(claim->heartbeat)};
}

/* Until nobody owns the word, or its owner has shown no sign of life for long enough. The last look
 * is the last thing that happens in here: the caller stores its own number at once. */
static int await_vacancy(const struct omni_claim *claim, uint64_t end_ns) {
    uint64_t pause_ns = PAUSE_FIRST_NS;
    uint64_t silent_ns = 0;
    struct sight seen = look(claim);
    while (seen.who != 0 && silent_ns < OMNI_OWNER_DEAD_NS) {
        if (is_stopped(claim))
            return -ECANCELED;
        if (now_ns() >= end_ns)
            return -EBUSY;
        silent_ns += watchful_rest(&pause_ns);
        struct sight next = look(claim);
        if (next.who == seen.who && next.beat != seen.beat)
            return -EBUSY;
        if (next.who != seen.who)
            silent_ns = 0;
        seen = next;
    }
    return 0;
}

/* Whoever looked before my number was visible has stored its own long before this time is over.
 * Gets into *found what stood there last. */
static bool still_stands(const struct omni_claim *claim, uint32_t mine, uint32_t *found) {
    uint64_t pause_ns = PAUSE_FIRST_NS;
    uint64_t end_ns = now_ns() + OMNI_OWNER_SETTLE_NS;
    do {
        *found = omni_load_relaxed(claim->owner);
        if (*found != mine)
            return false;
        (void)watchful_rest(&pause_ns);
    } while (now_ns() < end_ns);
    *found = omni_load_relaxed(claim->owner);
    return *found == mine;
}

int omni_claim_take(const struct omni_claim *claim, uint32_t *mine) {
    uint64_t end_ns = now_ns() + claim->patience_ns;
    uint32_t number = chance() | 1;
    unsigned lost = 0;
    do {
        uint32_t found = 0;
        int error = await_vacancy(claim, end_ns);
        if (error < 0)
            return error;
        omni_store_relaxed(claim->owner, number);
        omni_fence_machines();
        if (still_stands(claim, number, &found)) {
            *mine = number;
            return 0;
        }
        /* Another publisher leaves its number there, not nothing. */
        lost = found == 0 ? lost + 1 : 0;
        if (lost == LOST_MOST)
            return -EIO;
        rest(chance() % BACK_OFF_NS);
    } while (now_ns() < end_ns);
    return -EBUSY;
}
