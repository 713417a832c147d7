#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "observer/history.h"

#define PAYLOAD_BYTES 24u
#define RECORD_BYTES  (48u + PAYLOAD_BYTES)

/* Tick n of a 100 Hz robot: everything in it can be told from n. */
static void push_tick(struct history *history, uint64_t n) {
    struct omni_stamp stamp = {(uint32_t)n, n, n % 3, {n * 10000000, n * 10000000 + 5}};
    uint64_t payload[PAYLOAD_BYTES / 8] = {n, ~n, n * n};
    history_push(history, 0xABC + n / 1000, &stamp, payload);
}

static void assert_tick(const struct history *history, uint64_t ordinal, uint64_t n) {
    struct history_record record;
    uint64_t payload[PAYLOAD_BYTES / 8];
    assert_int_equal(history_get(history, ordinal, &record), 0);
    assert_int_equal(record.ordinal, ordinal);
    assert_int_equal(record.instance, 0xABC + n / 1000);
    assert_int_equal(record.stamp.version, (uint32_t)n);
    assert_int_equal(record.stamp.tick, n);
    assert_int_equal(record.stamp.missed, n % 3);
    assert_int_equal(record.stamp.time.monotonic_ns, n * 10000000);
    assert_int_equal(record.stamp.time.wall_ns, n * 10000000 + 5);
    assert_int_equal((uintptr_t)record.payload % 8, 0);
    memcpy(payload, record.payload, sizeof payload);
    assert_int_equal(payload[0], n);
    assert_int_equal(payload[1], ~n);
    assert_int_equal(payload[2], n * n);
}

static void assert_gone(const struct history *history, uint64_t ordinal) {
    struct history_record record = {.ordinal = 77};
    assert_int_equal(history_get(history, ordinal, &record), -ENOENT);
    assert_int_equal(record.ordinal, 77);
}

static struct history *open_history(size_t records) {
    struct history *history = NULL;
    assert_int_equal(history_open(&history, records * RECORD_BYTES, PAYLOAD_BYTES), 0);
    return history;
}

static void an_empty_history_has_nothing(void **state) {
    (void)state;
    struct history *history = open_history(100);
    assert_int_equal(history_begin(history), 0);
    assert_int_equal(history_end(history), 0);
    assert_int_equal(history_since(history, 0), 0);
    assert_int_equal(history_since(history, UINT64_MAX), 0);
    assert_gone(history, 0);
    assert_gone(history, UINT64_MAX);
    history_close(history);
    history_close(NULL);
}

static void keeps_all_while_there_is_room(void **state) {
    (void)state;
    struct history *history = open_history(100);
    for (uint64_t n = 0; n < 100; n++)
        push_tick(history, n);
    assert_int_equal(history_begin(history), 0);
    assert_int_equal(history_end(history), 100);
    for (uint64_t n = 0; n < 100; n++)
        assert_tick(history, n, n);
    assert_gone(history, 100);
    history_close(history);
}

static void drops_the_oldest_when_full(void **state) {
    (void)state;
    struct history *history = open_history(100);
    for (uint64_t n = 0; n < 5000; n++) {
        push_tick(history, n);
        assert_int_equal(history_end(history), n + 1);
        assert_int_equal(history_begin(history), n < 100 ? 0 : n - 99);
        assert_tick(history, history_begin(history), history_begin(history));
        assert_tick(history, n, n);
        if (n >= 100)
            assert_gone(history, n - 100);
    }
    for (uint64_t n = 4900; n < 5000; n++)
        assert_tick(history, n, n);
    history_close(history);
}

static void keeps_a_minimum_whatever_the_bound(void **state) {
    (void)state;
    struct history *history = NULL;
    assert_int_equal(history_open(&history, 0, 65536), 0);
    static const unsigned char payload[65536] = {1};
    for (uint64_t n = 0; n < 100; n++) {
        struct omni_stamp stamp = {.tick = n};
        history_push(history, 1, &stamp, payload);
    }
    assert_int_equal(history_end(history) - history_begin(history), HISTORY_RECORDS_MIN);
    history_close(history);
}

static void odd_payloads_stay_apart(void **state) {
    (void)state;
    struct history *history = NULL;
    assert_int_equal(history_open(&history, 10000, 5), 0);
    for (unsigned n = 0; n < 50; n++) {
        unsigned char payload[5] = {(unsigned char)n, 1, 2, 3, (unsigned char)(n + 1)};
        struct omni_stamp stamp = {.tick = n};
        history_push(history, 1, &stamp, payload);
    }
    for (unsigned n = 0; n < 50; n++) {
        struct history_record record;
        assert_int_equal(history_get(history, n, &record), 0);
        const unsigned char expected[5] = {(unsigned char)n, 1, 2, 3, (unsigned char)(n + 1)};
        assert_memory_equal(record.payload, expected, 5);
        assert_int_equal((uintptr_t)record.payload % 8, 0);
    }
    history_close(history);
}

static void finds_the_first_at_or_after_a_time(void **state) {
    (void)state;
    struct history *history = open_history(100);
    for (uint64_t pushed = 1; pushed <= 333; pushed++) {
        push_tick(history, pushed - 1);
        uint64_t begin = history_begin(history), end = history_end(history);
        assert_int_equal(history_since(history, 0), begin);
        assert_int_equal(history_since(history, UINT64_MAX), end);
        for (uint64_t n = begin; n < end; n += 7) {
            assert_int_equal(history_since(history, n * 10000000), n);
            assert_int_equal(history_since(history, n * 10000000 + 1), n + 1);
        }
        if (begin > 0)
            assert_int_equal(history_since(history, (begin - 1) * 10000000), begin);
    }
    history_close(history);
}

static void equal_times_give_the_first_of_them(void **state) {
    (void)state;
    struct history *history = open_history(100);
    for (uint64_t n = 0; n < 90; n++) {
        struct omni_stamp stamp = {.time = {.monotonic_ns = n / 10}};
        history_push(history, 1, &stamp, (uint64_t[PAYLOAD_BYTES / 8]){n});
    }
    for (uint64_t time = 0; time < 9; time++)
        assert_int_equal(history_since(history, time), time * 10);
    history_close(history);
}

static void lying_times_are_harmless(void **state) {
    (void)state;
    struct history *history = open_history(100);
    uint32_t seed = 99;
    for (unsigned n = 0; n < 1000; n++) {
        seed = seed * 1664525 + 1013904223;
        struct omni_stamp stamp = {.time = {.monotonic_ns = (uint64_t)seed << 32 | ~seed}};
        history_push(history, 1, &stamp, (uint64_t[PAYLOAD_BYTES / 8]){n});
        uint64_t found = history_since(history, (uint64_t)seed << 31);
        assert_in_range(found, history_begin(history), history_end(history));
    }
    history_close(history);
}

/* Pages of this process that are in memory. */
static size_t resident_pages(void) {
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return resident;
}

static void memory_is_used_as_records_come(void **state) {
    (void)state;
    const size_t records = 3000000; /* 216 MB */
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t before = resident_pages();
    struct history *history = open_history(records);
    for (uint64_t n = 0; n < 1000; n++)
        push_tick(history, n);
    size_t used = (resident_pages() - before) * page;
    if (used > records * RECORD_BYTES / 10)
        fail_msg("%zu bytes in memory for 1000 records of %u bytes", used, RECORD_BYTES);
    history_close(history);
}

static void no_address_space_is_an_error(void **state) {
    (void)state;
    struct history *history = NULL;
    assert_int_equal(history_open(&history, SIZE_MAX, PAYLOAD_BYTES), -ENOMEM);
    assert_null(history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_history_has_nothing),
        cmocka_unit_test(keeps_all_while_there_is_room),
        cmocka_unit_test(drops_the_oldest_when_full),
        cmocka_unit_test(keeps_a_minimum_whatever_the_bound),
        cmocka_unit_test(odd_payloads_stay_apart),
        cmocka_unit_test(finds_the_first_at_or_after_a_time),
        cmocka_unit_test(equal_times_give_the_first_of_them),
        cmocka_unit_test(lying_times_are_harmless),
        cmocka_unit_test(memory_is_used_as_records_come),
        cmocka_unit_test(no_address_space_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
