#include "foreign_clock.h"

#include <omni/publish.h>

#include "clock.h"
#include "silence.h"

#define WINDOW_NS (10 * CLOCK_NS_A_SECOND)
#define STEP_NS   CLOCK_NS_A_SECOND /* more than any delay between a tick and a look at it */

/* After that nobody was looking: this process was stopped, or its machine. */
static bool was_away(const struct foreign_clock *clock, uint64_t period_ns, uint64_t now_ns) {
    return clock->tick != 0 && now_ns - clock->looked_ns > STEP_NS + period_ns;
}

/* Of numbers modulo 2^64 that are near each other: the earlier one. */
static uint64_t earlier(uint64_t a, uint64_t b) {
    return (int64_t)(a - b) < 0 ? a : b;
}

void foreign_clock_start(struct foreign_clock *clock, bool foreign, uint64_t now_ns) {
    *clock = (struct foreign_clock){.foreign = foreign, .started_ns = now_ns};
}

/* As old as the wall clocks say, if they agree; but it came after the last look, which found another. */
static void guess(struct foreign_clock *clock, const struct omni_stamp *newest, uint64_t oldest_ns,
                  struct omni_time now) {
    uint64_t age_ns = now.wall_ns > newest->time.wall_ns ? now.wall_ns - newest->time.wall_ns : 0;
    if (age_ns > oldest_ns)
        age_ns = oldest_ns;
    clock->offset_ns = now.monotonic_ns - age_ns - newest->time.monotonic_ns;
}

static void begin(struct foreign_clock *clock, uint64_t difference_ns, uint64_t now_ns) {
    clock->least_ns = clock->before_ns = difference_ns;
    clock->window_ns = now_ns;
    clock->met = true;
}

static void measure(struct foreign_clock *clock, uint64_t difference_ns, uint64_t period_ns,
                    uint64_t now_ns) {
    int64_t step = (int64_t)(difference_ns - clock->offset_ns);
    if (!clock->met || step > (int64_t)(STEP_NS + period_ns))
        begin(clock, difference_ns, now_ns);
    if (now_ns - clock->window_ns >= WINDOW_NS) {
        clock->before_ns = clock->least_ns;
        clock->least_ns = difference_ns;
        clock->window_ns = now_ns;
    }
    clock->least_ns = earlier(clock->least_ns, difference_ns);
    clock->offset_ns = earlier(clock->least_ns, clock->before_ns);
}

void foreign_clock_see(struct foreign_clock *clock, const struct omni_stamp *newest,
                       uint64_t period_ns, struct omni_time now) {
    if (!clock->foreign)
        return;
    uint64_t unseen_ns = clock->tick != 0 ? now.monotonic_ns - clock->looked_ns : UINT64_MAX;
    bool away = was_away(clock, period_ns, now.monotonic_ns);
    clock->looked_ns = now.monotonic_ns;
    if (away) {
        clock->met = false;
        clock->started_ns = now.monotonic_ns;
    }
    if (newest->tick == clock->tick)
        return;
    if (clock->tick == 0 || away)
        guess(clock, newest, unseen_ns, now);
    else
        measure(clock, now.monotonic_ns - newest->time.monotonic_ns, period_ns, now.monotonic_ns);
    clock->tick = newest->tick;
}

uint64_t foreign_clock_translate(const struct foreign_clock *clock, uint64_t monotonic_ns,
                                 uint64_t earliest_ns, uint64_t now_ns) {
    if (!clock->foreign)
        return monotonic_ns;
    int64_t age = (int64_t)(now_ns - (monotonic_ns + clock->offset_ns));
    if (age <= 0)
        return now_ns;
    uint64_t told_ns = (uint64_t)age < now_ns ? now_ns - (uint64_t)age : 0;
    return told_ns > earliest_ns ? told_ns : earliest_ns;
}

uint64_t foreign_clock_newest(const struct foreign_clock *clock, const struct omni_stamp *newest,
                              uint64_t heard_ns) {
    return clock->foreign && clock->met ? heard_ns : silence_newest(newest, heard_ns);
}

bool foreign_clock_vouches(const struct foreign_clock *clock, uint64_t period_ns, uint64_t now_ns) {
    if (!clock->foreign || clock->met)
        return true;
    return period_ns == 0 && now_ns - clock->started_ns >= OMNI_OWNER_DEAD_NS;
}
