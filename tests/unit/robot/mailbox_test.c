/* The newest value between two threads. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "robot/mailbox.h"

#define PUTS 300000u

/* As long as a mailbox takes; every word of value n is n. */
struct value {
    uint64_t word[MAILBOX_VALUE_BYTES / 8];
};

static struct value value_of(uint64_t number) {
    struct value value;
    for (size_t i = 0; i < sizeof value.word / sizeof value.word[0]; i++)
        value.word[i] = number;
    return value;
}

static void an_empty_mailbox_says_so(void **state) {
    (void)state;
    struct mailbox mailbox;
    mailbox_init(&mailbox, 5);
    char value[5] = "same";
    struct omni_time time = {1, 2};
    assert_int_equal(mailbox_newest(&mailbox, value, &time), -EAGAIN);
    assert_string_equal(value, "same");
    assert_int_equal(time.monotonic_ns, 1);
}

static void the_newest_value_wins(void **state) {
    (void)state;
    struct mailbox mailbox;
    mailbox_init(&mailbox, 5);
    struct omni_time time = {0};
    char value[6] = "-----";
    mailbox_put(&mailbox, "first", (struct omni_time){10, 20});
    mailbox_put(&mailbox, "later", (struct omni_time){30, 40});
    for (int again = 0; again < 2; again++) {
        assert_int_equal(mailbox_newest(&mailbox, value, &time), 0);
        assert_string_equal(value, "later");
        assert_int_equal(time.monotonic_ns, 30);
        assert_int_equal(time.wall_ns, 40);
    }
}

static void *put_many(void *argument) {
    for (uint64_t number = 1; number <= PUTS; number++) {
        struct value value = value_of(number);
        mailbox_put(argument, &value, (struct omni_time){number, 0});
    }
    return NULL;
}

static void two_threads_never_see_a_mixture(void **state) {
    (void)state;
    static struct mailbox mailbox;
    mailbox_init(&mailbox, sizeof(struct value));
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, put_many, &mailbox), 0);
    uint64_t before = 0;
    unsigned got = 0;
    while (before < PUTS) {
        struct value value;
        struct omni_time time;
        if (mailbox_newest(&mailbox, &value, &time) < 0)
            continue;
        struct value whole = value_of(time.monotonic_ns);
        assert_memory_equal(&value, &whole, sizeof value);
        assert_true(time.monotonic_ns >= before);
        before = time.monotonic_ns;
        got++;
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(got > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_mailbox_says_so),
        cmocka_unit_test(the_newest_value_wins),
        cmocka_unit_test(two_threads_never_see_a_mixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
