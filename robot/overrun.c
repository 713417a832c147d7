#include "overrun.h"

bool overrun_tick(struct overrun *rule, uint64_t now_ns, bool seen) {
    bool late = seen || (rule->tick_ns != 0 && now_ns - rule->tick_ns > rule->limit_ns);
    rule->tick_ns = now_ns;
    if (late)
        rule->until_ns = now_ns + OVERRUN_PROBATION_NS;
    if (now_ns >= rule->until_ns)
        rule->until_ns = 0;
    return rule->until_ns != 0;
}
