/* The machine's own conditions, read from trees of the shape that /proc and /sys have. */
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "observer/host_reader.h"

#define FIRMWARE "sys/devices/platform/soc/soc:firmware/get_throttled"
#define TIMES    "cpu  100 0 50 800 50 0 0 0 0 0\n"

static char root[] = "/tmp/omni-host-test.XXXXXX";
static struct host_reader reader;
static struct host_status status;

/* ---- the tree ---- */

static void make_parents(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
}

static void put(const char *path, const char *text) {
    char whole[512];
    assert_true(snprintf(whole, sizeof whole, "%s/%s", root, path) < (int)sizeof whole);
    make_parents(whole);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)facts;
    (void)kind;
    return place->level > 0 ? remove(path) : 0;
}

static int empty_tree(void **state) {
    (void)state;
    reader = (struct host_reader){.root = root};
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int make_tree(void **state) {
    (void)state;
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_tree(void **state) {
    (void)empty_tree(state);
    return rmdir(root);
}

static void look(void) {
    memset(&status, 0x5A, sizeof status);
    host_reader_read(&reader, &status);
}

static void assert_near(float value, double expected) {
    if (!(fabs((double)value - expected) < 1e-3))
        fail_msg("%g, expected %g", (double)value, expected);
}

/* ---- nothing there ---- */

static void assert_all_absent(void) {
    assert_true(isnan(status.temperature));
    assert_true(isnan(status.busy));
    for (size_t i = 0; i < 3; i++)
        assert_true(isnan(status.load[i]));
    assert_true(isnan(status.wifi_signal));
    assert_int_equal(status.under_voltage, HOST_NO_READING);
    assert_int_equal(status.frequency_capped, HOST_NO_READING);
    assert_int_equal(status.throttled, HOST_NO_READING);
    assert_int_equal(status.soft_temperature_limit, HOST_NO_READING);
}

static void what_is_not_there_is_absent(void **state) {
    (void)state;
    look();
    assert_all_absent();
    reader.root = "/nowhere/at/all";
    look();
    assert_all_absent();
}

static void nonsense_is_absent(void **state) {
    (void)state;
    put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put("sys/class/thermal/thermal_zone0/temp", "warm\n");
    put("proc/loadavg", "");
    put("proc/stat", "cpu  1 2 three\n");
    put("proc/net/wireless", "head\nhead\n wlan0 0000 -40\n wlan1: x\n");
    put(FIRMWARE, "0x5 apples\n");
    look();
    look();
    assert_all_absent();
    put("proc/loadavg", "0.25 half 0.75 1/2 3\n");
    look();
    assert_near(status.load[0], 0.25);
    assert_true(isnan(status.load[1]));
    assert_true(isnan(status.load[2]));
}

/* ---- temperature ---- */

/* What is no temperature, no load and no number of bits. */
static void what_cannot_be_is_absent(void **state) {
    (void)state;
    static const char *const temperatures[] = {"-274000\n", "1000001\n", "99999999999999999999\n",
                                               "-99999999999999999999\n"};
    static const char *const loads[] = {"inf inf inf 1/2 3\n", "nan 1 1\n", "1e400 1 1\n",
                                        "-1 1 1\n"};
    put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put(FIRMWARE, "fffffffffffffffff\n");
    for (size_t i = 0; i < sizeof temperatures / sizeof temperatures[0]; i++) {
        put("sys/class/thermal/thermal_zone0/temp", temperatures[i]);
        put("proc/loadavg", loads[i]);
        look();
        assert_all_absent();
    }
    put("sys/class/hwmon/hwmon3/name", "k10temp\n");
    put("sys/class/hwmon/hwmon3/temp1_input", "45125\n");
    look();
    assert_near(status.temperature, 45.125);
}

static void the_processor_s_zone_is_found_by_its_type(void **state) {
    (void)state;
    put("sys/class/thermal/cooling_device0/type", "x86_pkg_temp\n");
    put("sys/class/thermal/thermal_zone0/type", "acpitz\n");
    put("sys/class/thermal/thermal_zone0/temp", "27800\n");
    look();
    assert_true(isnan(status.temperature));
    put("sys/class/thermal/thermal_zone10/type", "x86_pkg_temp\n");
    put("sys/class/thermal/thermal_zone10/temp", "71000\n");
    put("sys/class/thermal/thermal_zone9/type", "x86_pkg_temp\n");
    put("sys/class/thermal/thermal_zone9/temp", "61500\n");
    look();
    assert_near(status.temperature, 61.5);
    put("sys/class/thermal/thermal_zone11/type", "cpu-thermal\n");
    put("sys/class/thermal/thermal_zone11/temp", "-4250\n");
    look();
    assert_near(status.temperature, -4.25);
}

static void a_sensor_chip_stands_in_for_a_zone(void **state) {
    (void)state;
    put("sys/class/hwmon/hwmon0/name", "nvme\n");
    put("sys/class/hwmon/hwmon0/temp1_input", "33000\n");
    put("sys/class/hwmon/hwmon3/name", "k10temp\n");
    put("sys/class/hwmon/hwmon3/temp1_input", "45125\n");
    look();
    assert_near(status.temperature, 45.125);
}

/* ---- load ---- */

static void load_and_busy_are_the_kernel_s(void **state) {
    (void)state;
    put("proc/loadavg", "1.50 0.75 12.25 3/456 7890\n");
    put("proc/stat", TIMES "cpu0 1 2 3\n");
    look();
    assert_near(status.load[0], 1.5);
    assert_near(status.load[1], 0.75);
    assert_near(status.load[2], 12.25);
    assert_true(isnan(status.busy)); /* since when? */
    /* 30 of 100 ticks; what ran in guests is counted in user already. */
    put("proc/stat", "cpu  110 5 55 850 70 3 4 3 7 0\n");
    look();
    assert_near(status.busy, 30);
    look(); /* no time has gone by */
    assert_true(isnan(status.busy));
}

/* ---- Wi-Fi ---- */

#define WIRELESS_HEAD                                                                              \
    "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"           \
    " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"

static void the_strongest_signal_counts(void **state) {
    (void)state;
    put("proc/net/wireless", WIRELESS_HEAD);
    look();
    assert_true(isnan(status.wifi_signal));
    put("proc/net/wireless", WIRELESS_HEAD
        " wlan0: 0000   49.  -61.  -256        0      0      0      0      0        0\n"
        " wlan1: 0000   70.  -40.  -256        0      0      0      0      0        0\n"
        " wlan2: 0000   12.  -83.  -256        0      0      0      0      0        0\n");
    look();
    assert_near(status.wifi_signal, -40);
}

static void a_level_without_unit_is_none(void **state) {
    (void)state;
    put("proc/net/wireless", WIRELESS_HEAD
        " wlan0: 0000   55.   58.    0.       0      0      0      0      0        0\n"
        " wlan1: 0000    0  -256  -256        0      0      0      0      0        0\n");
    look();
    assert_true(isnan(status.wifi_signal));
}

/* ---- conditions ---- */

static void the_firmware_s_bits_become_words(void **state) {
    (void)state;
    put(FIRMWARE, "50005\n"); /* as the kernel writes it: no 0x */
    look();
    assert_int_equal(status.under_voltage, HOST_NOW);
    assert_int_equal(status.frequency_capped, HOST_NEVER);
    assert_int_equal(status.throttled, HOST_NOW);
    assert_int_equal(status.soft_temperature_limit, HOST_NEVER);
    put(FIRMWARE, "20008\n");
    look();
    assert_int_equal(status.under_voltage, HOST_EARLIER); /* the firmware has forgotten it */
    assert_int_equal(status.frequency_capped, HOST_EARLIER);
    assert_int_equal(status.throttled, HOST_EARLIER);
    assert_int_equal(status.soft_temperature_limit, HOST_NOW);
}

static void newer_chips_have_an_address_in_their_name(void **state) {
    (void)state;
    put("sys/devices/platform/alarmtimer.0/x", "");
    put("sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "0\n");
    look();
    assert_int_equal(status.under_voltage, HOST_NEVER);
    assert_int_equal(status.soft_temperature_limit, HOST_NEVER);
}

static void the_voltage_alarm_stands_in_for_the_firmware(void **state) {
    (void)state;
    put("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
    put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    look();
    assert_int_equal(status.under_voltage, HOST_NEVER);
    assert_int_equal(status.frequency_capped, HOST_NO_READING);
    assert_int_equal(status.throttled, HOST_NO_READING);
    put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    look();
    assert_int_equal(status.under_voltage, HOST_NOW);
    put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    look();
    assert_int_equal(status.under_voltage, HOST_EARLIER);
}

static void x86_counts_how_often_it_slowed_down(void **state) {
    static const char count[] =
        "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
    (void)state;
    put(count, "0\n");
    look();
    assert_int_equal(status.throttled, HOST_NEVER);
    put(count, "2\n");
    look();
    assert_int_equal(status.throttled, HOST_NOW);
    look();
    assert_int_equal(status.throttled, HOST_EARLIER);
    assert_int_equal(status.under_voltage, HOST_NO_READING);
    reader = (struct host_reader){.root = root}; /* one that begins later */
    look();
    assert_int_equal(status.throttled, HOST_EARLIER);
}

#define TEST(name) cmocka_unit_test_setup(name, empty_tree)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_there_is_absent),
        TEST(nonsense_is_absent),
        TEST(what_cannot_be_is_absent),
        TEST(the_processor_s_zone_is_found_by_its_type),
        TEST(a_sensor_chip_stands_in_for_a_zone),
        TEST(load_and_busy_are_the_kernel_s),
        TEST(the_strongest_signal_counts),
        TEST(a_level_without_unit_is_none),
        TEST(the_firmware_s_bits_become_words),
        TEST(newer_chips_have_an_address_in_their_name),
        TEST(the_voltage_alarm_stands_in_for_the_firmware),
        TEST(x86_counts_how_often_it_slowed_down),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
