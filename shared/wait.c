#include <errno.h>
#include <math.h>
#include <time.h>

#include <omni/wait.h>

#include "atomics.h"
#include "futex.h"
#include "observer_internal.h"

/* Nanoseconds, all found by measuring bench/latency: see docs/adr/0005. */
#define MARGIN_START_NS   20000u
#define MARGIN_STEP_NS    400u   /* the least by which the margin moves */
#define RETRY_NS          30000u /* the first look after one that came too early */
#define RETRY_SLOWEST_NS  100000000u
#define NO_PERIOD_NS      2000000u /* between looks at a source of events */
#define NO_PERIOD_SLOW_NS 50000000u

enum {
    PHASE_GAIN = 8,   /* noise of one stamp moves the expected phase by an eighth of it */
    PERIOD_GAIN = 64, /* and the learned period by a sixty-fourth */
    MARGIN_UP = 4,    /* four steps up for a look that was early, one down for one that was not: */
    MARGIN_DOWN = 1,  /* settles where four looks of five find their tick at once, */
    MARGIN_UP_STALE = 128, /* and where hardly any look finds only the tick before */
    LATE_PERIODS = 4,      /* so long a tick may be late before looking slows down */
    SILENCE_SHARE = 8      /* then looks are an eighth of the silence apart */
};

/* ---- phase and period ---- */

static void lock_on(struct omni_pacer *pacer, const struct omni_stamp *stamp) {
    pacer->expected_ns = (double)stamp->time.monotonic_ns;
    pacer->expected_tick = stamp->tick;
    pacer->learned_ns = (double)pacer->period_ns;
}

static void follow(struct omni_pacer *pacer, const struct omni_stamp *stamp) {
    double ticks = (double)(stamp->tick - pacer->expected_tick);
    double predicted = pacer->expected_ns + ticks * pacer->learned_ns;
    double error = (double)stamp->time.monotonic_ns - predicted;
    double nominal = (double)pacer->period_ns;
    if (fabs(error) > nominal / 2) {
        lock_on(pacer, stamp);
        return;
    }
    pacer->expected_ns = predicted + error / PHASE_GAIN;
    pacer->expected_tick = stamp->tick;
    double learned = pacer->learned_ns + error / ticks / PERIOD_GAIN;
    pacer->learned_ns = fmin(fmax(learned, nominal * 0.9), nominal * 1.1);
}

static void learn_phase(struct omni_pacer *pacer, const struct omni_stamp *stamp) {
    if (pacer->expected_tick == 0 || stamp->tick <= pacer->expected_tick)
        lock_on(pacer, stamp);
    else
        follow(pacer, stamp);
}

/* ---- the margin: how long after its expected stamp a tick is worth a look ---- */

static uint64_t margin_step(const struct omni_pacer *pacer) {
    return pacer->margin_ns / 64 + MARGIN_STEP_NS;
}

static void look_later(struct omni_pacer *pacer, uint64_t steps) {
    uint64_t most = pacer->period_ns / 2;
    pacer->margin_ns += steps * margin_step(pacer);
    if (pacer->margin_ns > most)
        pacer->margin_ns = most;
}

static void look_sooner(struct omni_pacer *pacer) {
    uint64_t step = margin_step(pacer) * MARGIN_DOWN;
    pacer->margin_ns -= pacer->margin_ns > step ? step : 0;
}

/* Who looks less often than the source ticks finds something at each look: when it comes too early
 * for the tick that it was aimed at, that is the tick before, a whole period old. */
static void learn_margin(struct omni_pacer *pacer, bool first_look, uint64_t found_tick) {
    if (found_tick > pacer->expected_tick && found_tick < pacer->aimed_tick)
        look_later(pacer, MARGIN_UP_STALE);
    else if (first_look)
        look_sooner(pacer);
}

/* ---- when next ---- */

static uint64_t at_least(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t at_most(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* The grid of the caller's own rate, so that 60 looks a second of a 100 Hz source are 60, not 50.
 */
static void advance_due(struct omni_pacer *pacer, uint64_t now_ns) {
    pacer->due_ns += pacer->wanted_ns;
    if (pacer->due_ns + pacer->wanted_ns < now_ns || pacer->due_ns > now_ns + pacer->wanted_ns)
        pacer->due_ns = now_ns + pacer->wanted_ns;
}

static uint64_t aim(struct omni_pacer *pacer, uint64_t now_ns) {
    double from = (double)at_least(pacer->due_ns, now_ns) - (double)pacer->margin_ns;
    double ticks = fmax(ceil((from - pacer->expected_ns) / pacer->learned_ns), 1);
    double at = pacer->expected_ns + ticks * pacer->learned_ns;
    pacer->aimed_tick = pacer->expected_tick + (uint64_t)ticks;
    uint64_t next = (uint64_t)at + pacer->margin_ns;
    return at_least(next, now_ns + RETRY_NS);
}

static uint64_t pause_without_period(const struct omni_pacer *pacer, uint64_t silence) {
    uint64_t pause = at_most(at_least(NO_PERIOD_NS, silence / SILENCE_SHARE), NO_PERIOD_SLOW_NS);
    return at_least(pause, pacer->wanted_ns);
}

static uint64_t pause_after_miss(const struct omni_pacer *pacer, uint64_t silence) {
    uint64_t doublings = at_most(pacer->misses - 1, 16);
    uint64_t pause =
        at_most((uint64_t)RETRY_NS << doublings, at_least(pacer->period_ns / 4, RETRY_NS));
    if (silence > LATE_PERIODS * pacer->period_ns)
        pause = at_least(pause, silence / SILENCE_SHARE);
    /* Who wants to look seldom has no hurry. */
    pause = at_least(pause, pacer->wanted_ns / SILENCE_SHARE);
    return at_most(pause, RETRY_SLOWEST_NS);
}

void omni_pacer_start(struct omni_pacer *pacer, uint64_t period_ns, uint64_t wanted_ns,
                      uint64_t now_ns) {
    *pacer = (struct omni_pacer){.period_ns = period_ns,
                                 .wanted_ns = wanted_ns,
                                 .learned_ns = (double)period_ns,
                                 .margin_ns = at_most(MARGIN_START_NS, period_ns / 2),
                                 .next_ns = now_ns,
                                 .due_ns = now_ns,
                                 .heard_ns = now_ns};
}

void omni_pacer_want(struct omni_pacer *pacer, uint64_t wanted_ns, uint64_t now_ns) {
    if (wanted_ns == pacer->wanted_ns)
        return;
    pacer->wanted_ns = wanted_ns;
    pacer->due_ns = now_ns;
    if (pacer->expected_tick != 0 && pacer->period_ns != 0 && pacer->misses == 0)
        pacer->next_ns = aim(pacer, now_ns);
    else
        pacer->next_ns = now_ns;
}

/* A stamp from the future is of another clock (another machine's, a simulation's): no grid can be
 * laid by it, or the next look would never come. Then what counts is when it was seen. */
static struct omni_stamp credible(const struct omni_pacer *pacer, uint64_t now_ns,
                                  const struct omni_stamp *newest) {
    struct omni_stamp stamp = *newest;
    stamp.time.monotonic_ns = at_most(stamp.time.monotonic_ns, now_ns + pacer->period_ns);
    return stamp;
}

static void found(struct omni_pacer *pacer, uint64_t now_ns, const struct omni_stamp *newest) {
    bool first_look = pacer->misses == 0;
    pacer->misses = 0;
    pacer->heard_ns = now_ns;
    if (pacer->period_ns == 0) {
        pacer->next_ns = now_ns + pause_without_period(pacer, 0);
        return;
    }
    struct omni_stamp stamp = credible(pacer, now_ns, newest);
    learn_margin(pacer, first_look, stamp.tick);
    learn_phase(pacer, &stamp);
    advance_due(pacer, now_ns);
    pacer->next_ns = aim(pacer, now_ns);
}

static void found_nothing(struct omni_pacer *pacer, uint64_t now_ns) {
    uint64_t silence = now_ns > pacer->heard_ns ? now_ns - pacer->heard_ns : 0;
    pacer->misses += pacer->misses < UINT32_MAX;
    if (pacer->period_ns == 0) {
        pacer->next_ns = now_ns + pause_without_period(pacer, silence);
        return;
    }
    if (pacer->misses == 1)
        look_later(pacer, MARGIN_UP);
    pacer->next_ns = now_ns + pause_after_miss(pacer, silence);
}

void omni_pacer_looked(struct omni_pacer *pacer, uint64_t now_ns, const struct omni_stamp *newest) {
    if (newest != NULL)
        found(pacer, now_ns, newest);
    else
        found_nothing(pacer, now_ns);
}

uint64_t omni_pacer_next(const struct omni_pacer *pacer) {
    return pacer->next_ns;
}

/* ---- futex ---- */

/* A goodbye does not change the version, on which a reader sleeps: one that falls between its look
 * at the state and its sleep wakes nobody. Nor does a publisher that is killed. A test that
 * must miss a wake sets it to for ever. */
#ifndef LOOK_AGAIN_NS
#define LOOK_AGAIN_NS 250000000u
#endif

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int open_sleepers(struct omni_observer *observer) {
    if (observer->facts.scope != OMNI_SCOPE_KERNEL)
        return -EOPNOTSUPP;
    if (observer->sleepers.bytes != NULL)
        return 0;
    return omni_region_open_word(&observer->sleepers, observer->sleepers_path, false);
}

int omni_wait_version(struct omni_observer *observer, uint32_t seen, uint64_t timeout_ns) {
    int error = open_sleepers(observer);
    if (error < 0)
        return error;
    uint64_t start = monotonic_ns();
    for (uint64_t passed = 0; passed < timeout_ns; passed = monotonic_ns() - start) {
        omni_store_relaxed((void *)observer->sleepers.bytes, 1);
        /* My flag is up before I look: pairs with the publisher's exchange. */
        omni_fence_full();
        if (omni_observer_version(observer) != seen)
            return 0;
        if (omni_load_acquire(&observer->header->state) == OMNI_STATE_CLOSED)
            return -EPIPE;
        error = omni_futex_wait(&observer->header->version, seen,
                                at_most(timeout_ns - passed, LOOK_AGAIN_NS));
        /* Woken, too late to sleep, or time to look again. Anything else would only repeat itself.
         */
        if (error < 0 && error != -EAGAIN && error != -ETIMEDOUT)
            return error;
    }
    return omni_observer_version(observer) != seen ? 0 : -ETIMEDOUT;
}
