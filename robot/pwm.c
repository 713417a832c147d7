#include "pwm.h"

#include <stdlib.h>
#include <string.h>

uint64_t pwm_on_ns(int percent, uint64_t period_ns) {
    unsigned size = (unsigned)abs(percent);
    return period_ns * (size < 100 ? size : 100) / 100;
}

static void put_step(struct pwm_plan *plan, uint64_t at_ns, uint32_t line) {
    uint32_t place = 0;
    while (place < plan->steps && plan->step[place].at_ns < at_ns)
        place++;
    if (place < plan->steps && plan->step[place].at_ns == at_ns) {
        plan->step[place].off |= line;
        return;
    }
    memmove(&plan->step[place + 1], &plan->step[place],
            (plan->steps - place) * sizeof plan->step[0]);
    plan->step[place].at_ns = at_ns;
    plan->step[place].off = line;
    plan->steps++;
}

struct pwm_plan pwm_plan(const int8_t percent[DRIVE_WHEELS], uint64_t period_ns) {
    struct pwm_plan plan = {0};
    for (uint32_t i = 0; i < DRIVE_WHEELS; i++) {
        uint32_t line = UINT32_C(1) << i;
        uint64_t on_ns = pwm_on_ns(percent[i], period_ns);
        if (on_ns > 0)
            plan.on_first |= line;
        if (on_ns > 0 && on_ns < period_ns)
            put_step(&plan, on_ns, line);
    }
    return plan;
}
