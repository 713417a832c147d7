/* A switch that bounces, with times made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/debounce.h"

#define MS UINT64_C(1000000)

static void an_open_switch_is_open_from_the_start(void **state) {
    (void)state;
    struct debounce contact = {.quiet_ns = 20 * MS};
    assert_false(debounce_is_closed(&contact, 5 * MS));
    debounce_saw(&contact, false, 6 * MS);
    assert_false(debounce_is_closed(&contact, 7 * MS));
}

static void it_closes_at_the_first_touch(void **state) {
    (void)state;
    struct debounce contact = {.quiet_ns = 20 * MS};
    debounce_saw(&contact, true, 100 * MS);
    assert_true(debounce_is_closed(&contact, 100 * MS));
    assert_true(debounce_is_closed(&contact, 10000 * MS));
}

static void while_it_bounces_it_stays_closed(void **state) {
    (void)state;
    struct debounce contact = {.quiet_ns = 20 * MS};
    for (uint64_t i = 0; i < 10; i++) {
        debounce_saw(&contact, i % 2 == 0, (100 + 3 * i) * MS);
        assert_true(debounce_is_closed(&contact, (102 + 3 * i) * MS));
    }
    /* Open since 127 ms. */
    assert_true(debounce_is_closed(&contact, 147 * MS - 1));
    assert_false(debounce_is_closed(&contact, 147 * MS));
}

/* Looks at the level come between the edges: they must not make an open switch bounce for ever. */
static void looks_at_an_open_switch_do_not_keep_it_closed(void **state) {
    (void)state;
    struct debounce contact = {.quiet_ns = 20 * MS};
    debounce_saw(&contact, true, 100 * MS);
    debounce_saw(&contact, false, 110 * MS);
    debounce_saw(&contact, false, 125 * MS);
    assert_false(debounce_is_closed(&contact, 131 * MS));
}

/* The kernel's stamp is from before the look that came first. */
static void a_late_edge_does_not_shorten_the_quiet(void **state) {
    (void)state;
    struct debounce contact = {.quiet_ns = 20 * MS};
    debounce_saw(&contact, true, 100 * MS);
    debounce_saw(&contact, false, 110 * MS);
    debounce_saw(&contact, true, 104 * MS);
    debounce_saw(&contact, false, 105 * MS);
    assert_true(debounce_is_closed(&contact, 129 * MS));
    assert_false(debounce_is_closed(&contact, 130 * MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_switch_is_open_from_the_start),
        cmocka_unit_test(it_closes_at_the_first_touch),
        cmocka_unit_test(while_it_bounces_it_stays_closed),
        cmocka_unit_test(looks_at_an_open_switch_do_not_keep_it_closed),
        cmocka_unit_test(a_late_edge_does_not_shorten_the_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
