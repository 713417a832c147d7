/* Drivers loaded into this process: what is called, with what, and what is refused before it. */
#include <errno.h>

#include "driver_place.h"
#include "robot/driver.h"

static struct driver must_open(const struct place *place) {
    struct driver driver = {0};
    struct omni_problem problem = {""};
    if (driver_open(&driver, place_path(place, true, "tests/drivers/recorder.so"), place->folder,
                    &problem) < 0)
        fail_msg("%s", problem.text);
    return driver;
}

static void calls_reach_the_driver(void **state) {
    (void)state;
    struct place place;
    char log[1024];
    place_open(&place);
    struct driver driver = must_open(&place);
    for (unsigned n = 0; n < 3; n++) {
        struct omni_driver_reading reading = {{0}, {0}};
        assert_int_equal(driver_read(&driver, &reading), 0);
        for (unsigned i = 0; i < OMNI_DRIVER_SENSORS; i++)
            assert_int_equal(reading.range_mm[i], n + 100 * (i + 1));
    }
    assert_int_equal(driver_drive(&driver, (struct omni_driver_powers){{-100, 7, 100}, 0}), 0);
    driver_close(&driver);
    place_log(&place, log, sizeof log);
    assert_string_equal(log, "open;motors -100 7 100;motors 0 0 0;close;");
    place_close(&place);
}

static void errors_are_the_drivers_own(void **state) {
    (void)state;
    struct place place;
    place_open(&place);
    struct driver driver = must_open(&place);
    struct omni_driver_reading reading = {{77}, {0}};
    place_shall(&place, "quiet");
    assert_int_equal(driver_read(&driver, &reading), -EAGAIN);
    assert_int_equal(reading.range_mm[0], 77);
    place_shall_not(&place, "quiet");
    place_shall(&place, "refuse");
    assert_int_equal(driver_drive(&driver, (struct omni_driver_powers){{1, 2, 3}, 0}), -EIO);
    place_shall_not(&place, "refuse");
    driver_close(&driver);
    place_close(&place);
}

static void ranges_are_kept_within_their_bounds(void **state) {
    (void)state;
    struct place place;
    const uint16_t expected[OMNI_DRIVER_SENSORS] = {20, 20, 20, 4000, 4000};
    place_open(&place);
    struct driver driver = must_open(&place);
    struct omni_driver_reading reading;
    place_shall(&place, "wild");
    assert_int_equal(driver_read(&driver, &reading), 0);
    assert_memory_equal(reading.range_mm, expected, sizeof expected);
    place_shall_not(&place, "wild");
    driver_close(&driver);
    place_close(&place);
}

static void assert_refused(const char *path, const char *config, int expected, const char *said) {
    struct driver driver = {.state = &driver};
    struct omni_problem problem = {""};
    assert_int_equal(driver_open(&driver, path, config, &problem), expected);
    assert_int_equal(driver_open(&driver, path, config, NULL), expected);
    assert_ptr_equal(driver.state, &driver);
    assert_null(driver.library);
    if (strstr(problem.text, said) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, said);
}

static void what_is_no_driver_is_refused_before_it_is_called(void **state) {
    (void)state;
    struct place place;
    place_open(&place);
    assert_refused(place_path(&place, true, "tests/drivers/other_version.so"), "", -EPROTO,
                   "is a driver of version 7, this robot takes version 1: ");
    assert_refused(place_path(&place, true, "tests/drivers/half.so"), "", -ELIBBAD,
                   "a function is missing");
    assert_refused("/dev/null", "", -ELIBBAD,
                   "cannot load the driver /dev/null: file too short: ldd ");
    assert_refused("libm.so.6", "", -ELIBBAD, "has no symbol omni_driver");
    place_shall(&place, "fail-open");
    assert_refused(place_path(&place, true, "tests/drivers/recorder.so"), place.folder, -EIO,
                   "cannot open its hardware: Input/output error");
    place_shall_not(&place, "fail-open");
    place_close(&place);
}

/* The one that the documentation shows. */
static void the_example_works(void **state) {
    (void)state;
    struct place place;
    struct driver driver;
    struct omni_driver_reading reading;
    place_open(&place);
    const char *path = place_path(&place, true, "examples/driver_loopback.so");
    assert_int_equal(driver_open(&driver, path, "900", NULL), 0);
    assert_int_equal(driver_read(&driver, &reading), 0);
    assert_int_equal(reading.range_mm[2], 900);
    assert_int_equal(driver_drive(&driver, (struct omni_driver_powers){{10, -60, 0}, 0}), 0);
    assert_int_equal(driver_read(&driver, &reading), 0);
    assert_int_equal(reading.range_mm[2], 840);
    driver_close(&driver);
    assert_refused(path, "5", -EINVAL, "cannot open its hardware: Invalid argument");
    place_close(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_reach_the_driver),
        cmocka_unit_test(errors_are_the_drivers_own),
        cmocka_unit_test(ranges_are_kept_within_their_bounds),
        cmocka_unit_test(what_is_no_driver_is_refused_before_it_is_called),
        cmocka_unit_test(the_example_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
