#include "echo.h"

#define SOUND_MM_A_SECOND UINT64_C(343000)
#define NS_A_SECOND       UINT64_C(1000000000)

/* Longer pulses are out of reach anyway; and the product below stays within 64 bits. */
#define PULSE_MOST_NS UINT64_C(1000000000)

uint16_t echo_range_mm(uint64_t pulse_ns) {
    if (pulse_ns > PULSE_MOST_NS)
        return ECHO_RANGE_MAX_MM;
    uint64_t mm = (pulse_ns * SOUND_MM_A_SECOND / 2 + NS_A_SECOND / 2) / NS_A_SECOND;
    if (mm < ECHO_RANGE_MIN_MM)
        return ECHO_RANGE_MIN_MM;
    return mm > ECHO_RANGE_MAX_MM ? ECHO_RANGE_MAX_MM : (uint16_t)mm;
}

bool echo_may_trigger(const struct echo *echo) {
    return !echo->is_high;
}

void echo_triggered(struct echo *echo, uint64_t now_ns) {
    echo->triggered_ns = now_ns;
    echo->rose_ns = 0;
    echo->waits = true;
}

static void answer(struct echo *echo, uint16_t range_mm, uint64_t at_ns) {
    echo->range_mm = range_mm;
    echo->answered_ns = at_ns;
    echo->waits = false;
}

void echo_edge(struct echo *echo, bool rising, uint64_t at_ns) {
    echo->is_high = rising;
    if (!echo->waits || at_ns < echo->triggered_ns)
        return;
    if (rising && echo->rose_ns == 0)
        echo->rose_ns = at_ns;
    else if (!rising && echo->rose_ns != 0)
        answer(echo, echo_range_mm(at_ns - echo->rose_ns), at_ns);
}

void echo_level(struct echo *echo, bool is_high) {
    echo->is_high = is_high;
}

void echo_slot_ends(struct echo *echo, uint64_t now_ns) {
    bool goes_on = echo->rose_ns != 0 && echo->is_high;
    if (echo->waits && goes_on && now_ns - echo->rose_ns >= ECHO_REACH_NS)
        answer(echo, ECHO_RANGE_MAX_MM, now_ns);
    echo->waits = false;
}
