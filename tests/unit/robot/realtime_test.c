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

/* What comes before the loop has to; and no more is asked for than what is granted. */
static void priorities_have_an_order(void **state) {
    (void)state;
    const struct realtime_priorities all = realtime_priorities(true);
    assert_true(all.guard > all.pwm);
    assert_true(all.pwm > REALTIME_LOOP_PRIORITY);
    assert_true(all.vigil > REALTIME_LOOP_PRIORITY);
    assert_true(REALTIME_LOOP_PRIORITY > all.sensor);
    assert_int_equal(all.guard, REALTIME_HIGHEST_PRIORITY);
    const struct realtime_priorities none = realtime_priorities(false);
    assert_int_equal(none.guard + none.pwm + none.vigil + none.sensor, 0);
}

__attribute__((format(printf, 2, 3))) static void assert_says(const char *path, const char *format,
                                                              ...) {
    char words[80];
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    const char *found = strstr(text, words);
    if (found == NULL || strchr("0123456789", found[strlen(words)]) != NULL)
        fail_msg("%s does not say \"%s\"", path, words);
}

/* Those who cannot include a header. */
static void whoever_names_a_priority_names_the_right_one(void **state) {
    (void)state;
    const int highest = REALTIME_HIGHEST_PRIORITY;
    assert_says("packaging/systemd/omni-robot.service", "\nLimitRTPRIO=%d", highest);
    assert_says("packaging/s6/omni-robot/run", "&& ulimit -r %d", highest);
    assert_says("packaging/s6/omni-robot/run", "(ulimit -r %d", highest);
    assert_says("nix/module.nix", "LimitRTPRIO = %d", highest);
    assert_says("docs/services.md", "LimitRTPRIO=%d", highest);
    assert_says("docs/services.md", "priority up to %d", highest);
    assert_says("docs/services.md", "%d for the guard", REALTIME_GUARD_PRIORITY);
    assert_says("docs/services.md", "%d for the thread of the software PWM", REALTIME_PWM_PRIORITY);
    assert_says("docs/services.md", "%d for the loop", REALTIME_LOOP_PRIORITY);
    assert_says("docs/services.md", "%d for the thread that reads", REALTIME_SENSOR_PRIORITY);
    assert_says("docs/gpio.md", "(priorities %d, %d, %d)", REALTIME_GUARD_PRIORITY,
                REALTIME_PWM_PRIORITY, REALTIME_LOOP_PRIORITY);
    assert_says("docs/drivers.md", "SCHED_FIFO, priority %d", REALTIME_LOOP_PRIORITY);
    assert_says("docs/man/omni-robot.1", "LimitRTPRIO=%d", highest);
    assert_says("docs/man/omni-robot.1", "priority %d for the loop", REALTIME_LOOP_PRIORITY);
    assert_says("docs/man/omni-robot.1", "%d for the thread that reads", REALTIME_SENSOR_PRIORITY);
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
        cmocka_unit_test(priorities_have_an_order),
        cmocka_unit_test(whoever_names_a_priority_names_the_right_one),
        cmocka_unit_test(a_cpu_is_chosen_and_nothing_is_changed_by_that),
        cmocka_unit_test(with_one_cpu_there_is_no_choice),
        cmocka_unit_test(what_is_no_cpu_is_refused),
        cmocka_unit_test(a_thread_is_kept_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
