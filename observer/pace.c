#include "pace.h"

#include "clock.h"

uint64_t pace_setback(struct pace *pace, uint64_t now_ns) {
    uint64_t seconds = 1;
    if (now_ns - pace->last_ns >= PACE_CALM_S * CLOCK_NS_A_SECOND)
        pace->setbacks = 0;
    pace->last_ns = now_ns;
    pace->setbacks++;
    for (unsigned i = PACE_FREE; i < pace->setbacks && seconds < PACE_MOST_S; i++)
        seconds *= 2;
    return (seconds < PACE_MOST_S ? seconds : PACE_MOST_S) * CLOCK_NS_A_SECOND;
}
