#include "silence.h"

#include "clock.h"

enum { PERIODS = 5 };
#define LEAST_NS (500 * CLOCK_NS_A_MILLISECOND)

uint64_t silence_newest(const struct omni_stamp *newest, uint64_t heard_ns) {
    uint64_t stamped_ns = newest->time.monotonic_ns;
    return stamped_ns < heard_ns ? stamped_ns : heard_ns;
}

uint64_t silence_limit(uint64_t period_ns) {
    uint64_t periods = period_ns < UINT64_MAX / PERIODS ? PERIODS * period_ns : UINT64_MAX;
    return periods > LEAST_NS ? periods : LEAST_NS;
}

bool silence_has_come(const struct omni_source_facts *facts, uint64_t newest_ns, uint64_t now_ns) {
    return (facts->period_ns != 0 || facts->steady) && now_ns > newest_ns &&
           now_ns - newest_ns >= silence_limit(facts->period_ns);
}
