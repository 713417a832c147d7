/* Which CPU the loop is kept on. What --realtime does to a process: realtime.test.mjs. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "robot/realtime.h"

static cpu_set_t affinity(void) {
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    return set;
}

static int last_of(const cpu_set_t *set) {
    int last = -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, set))
            last = i;
    return last;
}

static void lists_of_the_kernel_are_read(void **state) {
    (void)state;
    const struct {
        const char *list;
        int last;
    } cases[] = {{"", -1},   {"\n", -1},   {"0\n", 0},      {"3\n", 3},
                 {"1-3", 3}, {"1,3\n", 3}, {"2-3,1\n", 3},  {"0-1,4-7,9\n", 9},
                 {"x", -1},  {"-1", -1},   {"99999\n", -1}, {"2,", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (realtime_last_of(cases[i].list) != cases[i].last)
            fail_msg("\"%s\": %d", cases[i].list, realtime_last_of(cases[i].list));
}

static void a_cpu_is_chosen_and_nothing_is_changed_by_that(void **state) {
    (void)state;
    cpu_set_t before = affinity();
    struct omni_problem problem;
    int automatic = -2;
    int unsaid = -2;
    int any = -2;
    int named = -2;
    char text[16];
    assert_int_equal(realtime_choose_cpu(&automatic, "auto", &problem), 0);
    assert_int_equal(realtime_choose_cpu(&unsaid, NULL, &problem), 0);
    assert_int_equal(realtime_choose_cpu(&any, "any", &problem), 0);
    (void)snprintf(text, sizeof text, "%d", last_of(&before));
    assert_int_equal(realtime_choose_cpu(&named, text, &problem), 0);
    assert_int_equal(unsaid, automatic);
    assert_int_equal(any, REALTIME_ANY_CPU);
    assert_int_equal(named, last_of(&before));
    if (CPU_COUNT(&before) > 1)
        assert_true(automatic >= 0);
    cpu_set_t after = affinity();
    assert_true(CPU_EQUAL(&before, &after));
}

static void with_one_cpu_there_is_no_choice(void **state) {
    (void)state;
    cpu_set_t before = affinity();
    cpu_set_t one;
    struct omni_problem problem;
    int cpu = -2;
    CPU_ZERO(&one);
    CPU_SET((size_t)last_of(&before), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    int error = realtime_choose_cpu(&cpu, NULL, &problem);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(error, 0);
    assert_int_equal(cpu, REALTIME_ANY_CPU);
}

static void what_is_no_cpu_is_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "", "-1", "1 ", "one", "1-2", "1023", "99999999999999999999"};
    cpu_set_t before = affinity();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_problem problem = {.text = ""};
        int cpu = -2;
        assert_int_equal(realtime_choose_cpu(&cpu, cases[i], &problem), -EINVAL);
        assert_int_equal(cpu, -2);
        assert_non_null(strstr(problem.text, "--realtime-cpu"));
    }
    cpu_set_t after = affinity();
    assert_true(CPU_EQUAL(&before, &after));
}

static void a_thread_is_kept_there(void **state) {
    (void)state;
    cpu_set_t before = affinity();
    struct omni_problem problem;
    assert_int_equal(realtime_pin(REALTIME_ANY_CPU, &problem), 0);
    cpu_set_t after = affinity();
    assert_true(CPU_EQUAL(&before, &after));
    assert_int_equal(realtime_pin(last_of(&before), &problem), 0);
    after = affinity();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(CPU_COUNT(&after), 1);
    assert_int_equal(last_of(&after), last_of(&before));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_the_kernel_are_read),
        cmocka_unit_test(a_cpu_is_chosen_and_nothing_is_changed_by_that),
        cmocka_unit_test(with_one_cpu_there_is_no_choice),
        cmocka_unit_test(what_is_no_cpu_is_refused),
        cmocka_unit_test(a_thread_is_kept_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
