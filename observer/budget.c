#include "budget.h"

#include "clock.h"

enum {
    SCAN_SOON_MS = 20,
    SCAN_SHARE = 10,
    DRAIN_TICKS_MAX = 4096,
    DRAIN_MS = 10,
};

static uint64_t greater(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

uint64_t budget_rest_ms(uint64_t scan_took_ns) {
    return scan_took_ns * SCAN_SHARE / CLOCK_NS_A_MILLISECOND;
}

uint64_t budget_scan_ms(uint64_t rest_ms) {
    return greater(rest_ms, BUDGET_SCAN_MS);
}

uint64_t budget_soon_ms(uint64_t now_ms, uint64_t again_ms) {
    return greater(again_ms > now_ms ? again_ms - now_ms : 0, SCAN_SOON_MS);
}

bool budget_drains(unsigned ticks, uint64_t spent_ns) {
    return ticks == 0 || (ticks < DRAIN_TICKS_MAX && spent_ns < DRAIN_MS * CLOCK_NS_A_MILLISECOND);
}
