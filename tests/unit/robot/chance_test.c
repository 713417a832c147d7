/* Seeded chances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/chance.h"

/* The generator is SplitMix64. These are the first three numbers that its authors' program gives
 * for the seed 1234567. */
static void the_numbers_are_those_of_splitmix64(void **state) {
    (void)state;
    struct chance chance = {1234567};
    assert_true(chance_bits(&chance) == 6457827717110365317u);
    assert_true(chance_bits(&chance) == 3203168211198807973u);
    assert_true(chance_bits(&chance) == 9817491932198370423u);
}

static void numbers_lie_in_their_bounds_and_fill_them(void **state) {
    (void)state;
    struct chance chance = chance_from(3);
    unsigned tenth[10] = {0};
    for (int i = 0; i < 100000; i++) {
        double number = chance_between(&chance, -5, 5);
        assert_true(number >= -5 && number < 5);
        tenth[(int)(number + 5)]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(tenth[i], 9500, 10500);
}

static void a_seed_gives_its_own_numbers(void **state) {
    (void)state;
    struct chance first = chance_from(0);
    struct chance again = chance_from(0);
    struct chance next = chance_from(1);
    uint64_t bits = chance_bits(&first);
    assert_true(bits == chance_bits(&again));
    assert_true(bits != chance_bits(&next));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_those_of_splitmix64),
        cmocka_unit_test(numbers_lie_in_their_bounds_and_fill_them),
        cmocka_unit_test(a_seed_gives_its_own_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
