/*
 * The kernel's PWM through files, in a folder of the same shape: no PWM chip is needed, and none is
 * simulated. What the kernel would refuse, and that it would make pwm1/ when "export" is written,
 * these files do not know; the files that are there are written as the kernel wants them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/pwm_sysfs.h"

static const char *const names[] = {"export", "pwm1/duty_cycle", "pwm1/enable", "pwm1/period",
                                    "pwm1/polarity"};

enum { NAMES = sizeof names / sizeof names[0] };

static void path_of(char path[128], const char *chip, const char *name) {
    (void)snprintf(path, 128, "%s/%s", chip, name);
}

static int make_chip(void **state) {
    static char chip[] = "/tmp/omni-pwm-XXXXXX";
    char path[128];
    (void)snprintf(chip, sizeof chip, "/tmp/omni-pwm-XXXXXX");
    if (mkdtemp(chip) == NULL)
        return -1;
    path_of(path, chip, "pwm1");
    if (mkdir(path, 0700) < 0)
        return -1;
    for (int i = 0; i < NAMES; i++) {
        path_of(path, chip, names[i]);
        FILE *file = fopen(path, "w");
        if (file == NULL)
            return -1;
        (void)fclose(file);
    }
    *state = chip;
    return 0;
}

static int remove_chip(void **state) {
    char path[128];
    for (int i = 0; i < NAMES; i++) {
        path_of(path, *state, names[i]);
        (void)unlink(path);
    }
    path_of(path, *state, "pwm1");
    (void)rmdir(path);
    return rmdir(*state);
}

/* ---- a chip whose channel is another's ---- */

enum busy { FREE, ANOTHERS, JUST_EXPORTED };
static enum busy busy;
static const char *busy_chip;

static bool is_export(int file) {
    char link[64];
    char path[128] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 7 && strcmp(path + length - 7, "/export") == 0;
}

/* Instead of the C library's: no plain file refuses what the kernel's would. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the library's are its own. */
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    if (busy == FREE || !is_export(file))
        return lseek(file, offset, SEEK_SET) < 0 ? -1 : write(file, bytes, count);
    char hidden[128];
    char path[128];
    path_of(hidden, busy_chip, "hidden");
    path_of(path, busy_chip, "pwm1");
    if (busy == JUST_EXPORTED)
        assert_int_equal(rename(hidden, path), 0);
    errno = EBUSY;
    return -1;
}

static void hide_channel(const char *chip, bool hides) {
    char hidden[128];
    char path[128];
    path_of(hidden, chip, "hidden");
    path_of(path, chip, "pwm1");
    assert_int_equal(hides ? rename(path, hidden) : rename(hidden, path), 0);
    busy_chip = chip;
}

/* The first line of a file: a shorter number leaves the rest of a longer one behind it, where the
 * kernel's file would not. */
static long number_in(const char *chip, const char *name) {
    char path[128];
    char text[32] = "";
    path_of(path, chip, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    return strtol(text, NULL, 10);
}

static void a_channel_has_a_period_and_pulses(void **state) {
    struct pwm_sysfs pwm;
    struct omni_problem problem = {""};
    if (pwm_sysfs_open(&pwm, *state, 1, 20000, &problem) < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(number_in(*state, "pwm1/period"), 50000);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 0);
    assert_int_equal(number_in(*state, "pwm1/enable"), 1);
    assert_int_equal(pwm_sysfs_set(&pwm, -50), 0);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 25000);
    assert_int_equal(pwm_sysfs_set(&pwm, 7), 0);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 3500);
    assert_int_equal(pwm_sysfs_off(&pwm), 0);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 0);
    assert_int_equal(pwm_sysfs_set(&pwm, 100), 0);
    pwm_sysfs_close(&pwm);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 0);
    assert_int_equal(number_in(*state, "pwm1/enable"), 0);
}

/* Another process may have written since: a guard that switched it off. */
static void each_power_is_written_anew(void **state) {
    struct pwm_sysfs pwm;
    struct pwm_sysfs guards;
    assert_int_equal(pwm_sysfs_open(&pwm, *state, 1, 20000, NULL), 0);
    guards = pwm; /* as after a fork() */
    assert_int_equal(pwm_sysfs_set(&pwm, 50), 0);
    assert_int_equal(pwm_sysfs_off(&guards), 0);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 0);
    assert_int_equal(pwm_sysfs_set(&pwm, 50), 0);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 25000);
    assert_int_equal(pwm_sysfs_off(&guards), 0);
    assert_int_equal(pwm_sysfs_set(&pwm, 0), 0);
    assert_int_equal(number_in(*state, "pwm1/duty_cycle"), 0);
    pwm_sysfs_close(&pwm);
}

static void a_channel_that_is_turned_round_is_not_touched(void **state) {
    struct pwm_sysfs pwm;
    struct omni_problem problem = {""};
    struct stat status;
    char path[128];
    path_of(path, *state, "pwm1/polarity");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("inversed\n", file) >= 0);
    (void)fclose(file);
    assert_int_equal(pwm_sysfs_open(&pwm, *state, 1, 20000, &problem), -ENOTSUP);
    assert_non_null(strstr(problem.text, "inversed"));
    path_of(path, *state, "pwm1/enable");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 0);
}

static void a_channel_that_is_anothers_is_not_called_missing(void **state) {
    struct pwm_sysfs pwm;
    struct omni_problem problem = {""};
    hide_channel(*state, true);
    busy = ANOTHERS;
    int error = pwm_sysfs_open(&pwm, *state, 1, 20000, &problem);
    busy = FREE;
    hide_channel(*state, false);
    assert_int_equal(error, -EBUSY);
    assert_non_null(strstr(problem.text, "another driver or program holds it"));
    assert_null(strstr(problem.text, "dtoverlay"));
}

static void a_channel_that_another_exports_meanwhile_is_taken(void **state) {
    struct pwm_sysfs pwm;
    hide_channel(*state, true);
    busy = JUST_EXPORTED;
    int error = pwm_sysfs_open(&pwm, *state, 1, 20000, NULL);
    busy = FREE;
    assert_int_equal(error, 0);
    assert_int_equal(number_in(*state, "pwm1/enable"), 1);
    pwm_sysfs_close(&pwm);
}

static void a_chip_that_is_not_there_is_named(void **state) {
    (void)state;
    struct pwm_sysfs pwm;
    struct omni_problem problem = {""};
    assert_int_equal(pwm_sysfs_open(&pwm, "/tmp/omni-no-pwmchip", 3, 20000, &problem), -ENOENT);
    assert_non_null(strstr(problem.text, "/tmp/omni-no-pwmchip:3"));
    assert_non_null(strstr(problem.text, "ls /sys/class/pwm shows which chips there are"));
}

static void who_may_not_is_told_of_the_group(void **state) {
    struct pwm_sysfs pwm;
    struct omni_problem problem = {""};
    char path[128];
    bool is_root = geteuid() == 0;
    path_of(path, *state, "export");
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    int error = pwm_sysfs_open(&pwm, *state, 0, 20000, &problem);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(error, -EACCES);
    assert_non_null(strstr(problem.text, "sudo usermod -aG gpio USER"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_channel_has_a_period_and_pulses, make_chip, remove_chip),
        cmocka_unit_test_setup_teardown(who_may_not_is_told_of_the_group, make_chip, remove_chip),
        cmocka_unit_test_setup_teardown(each_power_is_written_anew, make_chip, remove_chip),
        cmocka_unit_test_setup_teardown(a_channel_that_is_turned_round_is_not_touched, make_chip,
                                        remove_chip),
        cmocka_unit_test_setup_teardown(a_channel_that_is_anothers_is_not_called_missing, make_chip,
                                        remove_chip),
        cmocka_unit_test_setup_teardown(a_channel_that_another_exports_meanwhile_is_taken,
                                        make_chip, remove_chip),
        cmocka_unit_test(a_chip_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
