/* What --self-test makes of a machine: its judgements. The whole: realtime.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "robot/clock.h"
#include "robot/self_test.h"

#define MS CLOCK_NS_A_MILLISECOND

static void assert_finding(const struct self_test_finding *made, enum self_test_verdict verdict,
                           const char *text, const char *remedy) {
    if (made->verdict != verdict || strstr(made->text, text) == NULL ||
        (remedy == NULL ? made->remedy[0] != '\0' : strstr(made->remedy, remedy) == NULL))
        fail_msg("%d: \"%s\", \"%s\"", made->verdict, made->text, made->remedy);
}

static void clocks(void **state) {
    (void)state;
    struct self_test_finding made = self_test_judge_clock("tsc", 1, 25);
    assert_finding(&made, SELF_TEST_WELL, "tsc, resolution 1 ns, reading it takes 25 ns", NULL);
    made = self_test_judge_clock("", 1, 25);
    assert_finding(&made, SELF_TEST_WELL, "unnamed", NULL);
    made = self_test_judge_clock("acpi_pm", 1, 1700);
    assert_finding(&made, SELF_TEST_NOTE, "acpi_pm", "clocksource=");
    made = self_test_judge_clock("jiffies", 4 * MS, 25);
    assert_finding(&made, SELF_TEST_MISSING, "4000000 ns", "highres");
}

static void throttling(void **state) {
    (void)state;
    struct self_test_finding made = self_test_judge_throttling(950000, 1000000);
    assert_finding(&made, SELF_TEST_WELL, "950 of every 1000 ms", NULL);
    made = self_test_judge_throttling(-1, 1000000);
    assert_finding(&made, SELF_TEST_NOTE, "never let anything else run", "sysctl");
    made = self_test_judge_throttling(1000000, 1000000);
    assert_finding(&made, SELF_TEST_NOTE, "none", "sysctl");
    made = self_test_judge_throttling(0, 1000000);
    assert_finding(&made, SELF_TEST_MISSING, "not run at all", "sysctl");
}

static void frequencies(void **state) {
    (void)state;
    struct self_test_finding made = self_test_judge_governor("performance", 3);
    assert_finding(&made, SELF_TEST_WELL, "CPU 3 keeps", NULL);
    made = self_test_judge_governor("", 0);
    assert_finding(&made, SELF_TEST_WELL, "nothing here changes", NULL);
    made = self_test_judge_governor("ondemand", 3);
    assert_finding(&made, SELF_TEST_NOTE, "(ondemand)", "cpu3/cpufreq");
}

static void kernels(void **state) {
    (void)state;
    struct self_test_finding made = self_test_judge_kernel("#1 SMP PREEMPT_RT Debian 6.1.1");
    assert_finding(&made, SELF_TEST_WELL, "PREEMPT_RT", NULL);
    made = self_test_judge_kernel("#1 SMP PREEMPT_DYNAMIC Debian 6.1.1");
    assert_finding(&made, SELF_TEST_NOTE, "preemptible, not PREEMPT_RT",
                   "not on Raspberry Pi OS): sudo apt install linux-image-rt");
    made = self_test_judge_kernel("#1 SMP Debian 6.1.1");
    assert_finding(&made, SELF_TEST_NOTE, "not preemptible", "linux-image-rt");
}

static void jitter(void **state) {
    (void)state;
    struct histogram lateness = {0};
    for (int i = 0; i < 99; i++)
        histogram_add(&lateness, 8 * CLOCK_NS_A_MICROSECOND - 1);
    histogram_add(&lateness, 400 * CLOCK_NS_A_MICROSECOND);
    struct self_test_finding made = self_test_judge_jitter(&lateness, 0, 10 * MS, true);
    assert_finding(&made, SELF_TEST_WELL,
                   "worst 400 µs, half of 100 ticks within 8 µs, 99 % within 8 µs, 0 left out",
                   NULL);
    made = self_test_judge_jitter(&lateness, 0, 1 * MS, true);
    assert_finding(&made, SELF_TEST_NOTE, "worst 400 µs", NULL);
    made = self_test_judge_jitter(&lateness, 0, 1 * MS, false);
    assert_finding(&made, SELF_TEST_NOTE, "worst 400 µs", "permit --realtime");
    made = self_test_judge_jitter(&lateness, 3, 10 * MS, false);
    assert_finding(&made, SELF_TEST_MISSING, "3 left out", "permit --realtime");
    made = self_test_judge_jitter(&lateness, 3, 10 * MS, true);
    assert_finding(&made, SELF_TEST_MISSING, "3 left out", "--tick-hz");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks),  cmocka_unit_test(throttling), cmocka_unit_test(frequencies),
        cmocka_unit_test(kernels), cmocka_unit_test(jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
