/* The slot protocol on plain memory: whole slots or nothing, and nobody spins for ever. The last
 * tests run a writer and readers as threads on the same bytes, so that ThreadSanitizer sees them.
 */
#include "support.h"

#include <pthread.h>

#include "shared/atomics.h"

/* ---- versions ---- */

static void versions_wrap_and_skip_zero(void **state) {
    (void)state;
    assert_int_equal(omni_version_after(0), 1);
    assert_int_equal(omni_version_after(1), 2);
    assert_int_equal(omni_version_after(UINT32_MAX - 1), UINT32_MAX);
    assert_int_equal(omni_version_after(UINT32_MAX), 1);
    assert_int_equal(omni_version_distance(0, 0), 0);
    assert_int_equal(omni_version_distance(0, 1), 1);
    assert_int_equal(omni_version_distance(7, 7), 0);
    assert_int_equal(omni_version_distance(7, 9), 2);
    assert_int_equal(omni_version_distance(UINT32_MAX, 1), 1);
    assert_int_equal(omni_version_distance(UINT32_MAX - 1, 2), 3);
}

static void distance_counts_steps(void **state) {
    static const uint32_t starts[] = {1, 2, 1000, UINT32_MAX - 20, UINT32_MAX - 1, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        uint32_t at = starts[i];
        for (uint32_t steps = 0; steps < 40; steps++, at = omni_version_after(at)) {
            assert_int_not_equal(at, 0);
            assert_int_equal(omni_version_distance(starts[i], at), steps);
        }
    }
}

static void slots_are_whole_cache_lines(void **state) {
    (void)state;
    assert_int_equal(omni_slot_bytes(8), 64);
    assert_int_equal(omni_slot_bytes(32), 64);
    assert_int_equal(omni_slot_bytes(40), 128);
    assert_int_equal(omni_slot_bytes(4096), 4160);
    assert_int_equal(omni_slot_bytes(OMNI_PAYLOAD_BYTES_MAX), 65600);
}

/* ---- a ring in plain memory ---- */

struct bare {
    struct omni_ring ring;
    uint32_t version;
    size_t words; /* of a payload */
};

static void bare_make(struct bare *bare, uint32_t slots, uint32_t payload_bytes) {
    uint32_t slot_bytes = omni_slot_bytes(payload_bytes);
    bare->version = 0;
    bare->words = payload_bytes / sizeof(uint64_t);
    bare->ring = (struct omni_ring){.slots = aligned_alloc(64, (size_t)slots * slot_bytes),
                                    .version = &bare->version,
                                    .slot_count = slots,
                                    .slot_bytes = slot_bytes,
                                    .payload_bytes = payload_bytes};
    assert_non_null(bare->ring.slots);
    memset(bare->ring.slots, 0, (size_t)slots * slot_bytes);
}

static void bare_free(struct bare *bare) {
    free(bare->ring.slots);
}

static uint64_t word_of(uint64_t tick, size_t index) {
    return tick * 0x9E3779B97F4A7C15u + index;
}

static void write_tick(struct bare *bare, uint32_t version, uint64_t tick, uint64_t *words) {
    for (size_t i = 0; i < bare->words; i++)
        words[i] = word_of(tick, i);
    omni_ring_write(&bare->ring, version, tick, (struct omni_time){tick, ~tick}, words);
}

static bool is_tick(const struct bare *bare, const struct omni_stamp *stamp,
                    const uint64_t *words) {
    bool whole = stamp->time.monotonic_ns == stamp->tick && stamp->time.wall_ns == ~stamp->tick;
    for (size_t i = 0; i < bare->words; i++)
        whole = whole && words[i] == word_of(stamp->tick, i);
    return whole;
}

static void nothing_is_there_at_first(void **state) {
    struct bare bare;
    struct omni_stamp stamp = {.version = 77};
    uint64_t words[4] = {0};
    (void)state;
    bare_make(&bare, 4, sizeof words);
    assert_int_equal(omni_ring_version(&bare.ring), 0);
    assert_int_equal(omni_ring_newest(&bare.ring, &stamp, words), -EAGAIN);
    assert_int_equal(omni_ring_read(&bare.ring, 0, &stamp, words), -EAGAIN);
    assert_int_equal(omni_ring_read(&bare.ring, 4, &stamp, words), -EAGAIN);
    assert_false(omni_ring_holds(&bare.ring, 0));
    assert_false(omni_ring_holds(&bare.ring, 4));
    assert_int_equal(stamp.version, 77);
    bare_free(&bare);
}

static void slots_are_kept_until_overwritten(void **state) {
    (void)state;
    for (uint32_t slots = 2; slots <= 64; slots *= 2) {
        struct bare bare;
        struct omni_stamp stamp;
        uint64_t words[3];
        bare_make(&bare, slots, sizeof words);
        for (uint32_t version = 1; version <= 3 * slots; version++) {
            write_tick(&bare, version, version, words);
            assert_int_equal(omni_ring_version(&bare.ring), version);
            for (uint32_t old = 1; old <= version; old++) {
                int expected = old + slots > version ? 0 : -EAGAIN;
                assert_int_equal(omni_ring_read(&bare.ring, old, &stamp, words), expected);
                assert_int_equal(omni_ring_holds(&bare.ring, old), expected == 0);
                if (expected == 0) {
                    assert_int_equal(stamp.version, old);
                    assert_int_equal(stamp.tick, old);
                    assert_true(is_tick(&bare, &stamp, words));
                }
            }
        }
        bare_free(&bare);
    }
}

static void dead_writer_leaves_the_slot_before(void **state) {
    struct bare bare;
    struct omni_stamp stamp;
    uint64_t words[4];
    (void)state;
    bare_make(&bare, 4, sizeof words);
    for (uint32_t version = 1; version <= 6; version++)
        write_tick(&bare, version, version, words);
    /* It died inside the write of version 7: the mark is down, half of the payload is new. */
    struct omni_slot *slot = (void *)(bare.ring.slots + 3 * (size_t)bare.ring.slot_bytes);
    slot->sequence = 0;
    memset(slot + 1, 0xAA, sizeof words / 2);
    assert_int_equal(omni_ring_newest(&bare.ring, &stamp, words), 0);
    assert_int_equal(stamp.version, 6);
    assert_true(is_tick(&bare, &stamp, words));
    assert_int_equal(omni_ring_read(&bare.ring, 7, &stamp, words), -EAGAIN);
    assert_int_equal(omni_ring_read(&bare.ring, 3, &stamp, words), -EAGAIN);
    bare_free(&bare);
}

static void dead_writer_at_the_wrap_of_two_slots(void **state) {
    struct bare bare;
    struct omni_stamp stamp;
    uint64_t words[4];
    (void)state;
    bare_make(&bare, 2, sizeof words);
    write_tick(&bare, UINT32_MAX - 1, 1, words);
    write_tick(&bare, UINT32_MAX, 2, words);
    /* Version 1 lies where the newest one lies: 0 was skipped. */
    struct omni_slot *slot = (void *)(bare.ring.slots + bare.ring.slot_bytes);
    slot->sequence = 0;
    assert_int_equal(omni_ring_newest(&bare.ring, &stamp, words), 0);
    assert_int_equal(stamp.version, UINT32_MAX - 1);
    assert_true(is_tick(&bare, &stamp, words));
    bare_free(&bare);
}

static void garbage_in_the_counter_gives_nothing(void **state) {
    struct bare bare;
    struct omni_stamp stamp;
    uint64_t words[4];
    (void)state;
    bare_make(&bare, 4, sizeof words);
    write_tick(&bare, 1, 1, words);
    for (uint32_t garbage = 3; garbage != 0; garbage <<= 1) {
        bare.version = garbage;
        assert_int_equal(omni_ring_newest(&bare.ring, &stamp, words), -EAGAIN);
    }
    bare_free(&bare);
}

/* ---- a writer and readers at the same time, on the same bytes ---- */

struct race {
    struct bare bare;
    uint64_t ticks;
    uint32_t first;  /* version of tick 1 */
    bool every;      /* the readers ask for each version, not for the newest */
    uint32_t dawdle; /* so many rounds of nothing between two looks */
    uint32_t done;   /* the writer has ended; also the readers' start */
    uint32_t started;
};

struct reader {
    struct race *race;
    uint64_t read, torn, backwards, empty;
};

static void *write_all(void *context) {
    struct race *race = context;
    uint64_t *words = malloc(race->bare.ring.payload_bytes);
    uint32_t version = race->first;
    for (uint64_t tick = 1; words != NULL && tick <= race->ticks; tick++) {
        write_tick(&race->bare, version, tick, words);
        version = omni_version_after(version);
    }
    free(words);
    omni_store_release(&race->done, 1);
    return NULL;
}

/* Never ahead of the counter: a slot is whole a moment before the counter says so. */
static int look(const struct race *race, uint32_t last, struct omni_stamp *stamp, uint64_t *words) {
    const struct omni_ring *ring = &race->bare.ring;
    if (race->every && last != 0 && omni_ring_version(ring) != last &&
        omni_ring_read(ring, omni_version_after(last), stamp, words) == 0)
        return 0;
    return omni_ring_newest(ring, stamp, words);
}

static void *read_all(void *context) {
    struct reader *reader = context;
    struct race *race = reader->race;
    uint64_t *words = malloc(race->bare.ring.payload_bytes), last = 0;
    struct omni_stamp stamp = {0};
    for (bool done = false; words != NULL && !done;) {
        done = omni_load_acquire(&race->done) != 0;
        if (look(race, stamp.version, &stamp, words) < 0) {
            reader->empty++;
            continue;
        }
        reader->read++;
        reader->torn += !is_tick(&race->bare, &stamp, words);
        reader->backwards += stamp.tick < last;
        last = stamp.tick;
        for (volatile uint32_t i = 0; i < race->dawdle; i++)
            continue;
    }
    free(words);
    return NULL;
}

static void run_race(uint32_t slots, uint32_t payload_bytes, uint32_t first, bool every,
                     uint32_t dawdle) {
    uint64_t bytes = checked_build ? 3u << 20 : 100u << 20;
    struct race race = {.first = first, .every = every, .dawdle = dawdle};
    struct reader readers[2] = {{.race = &race}, {.race = &race}};
    pthread_t writer, threads[2];
    bare_make(&race.bare, slots, payload_bytes);
    race.ticks = bytes / (payload_bytes + 64u);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &race), 0);
    pthread_join(writer, NULL);
    uint64_t read = 0;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].torn, 0);
        /* Only at the wrap of two slots does the fallback lead back, by one. */
        if (slots > 2 || first == 1)
            assert_int_equal(readers[i].backwards, 0);
        read += readers[i].read;
    }
    /* The last look comes after the writer's last word: it always finds something. */
    assert_true(read >= 2);
    print_message("        %u slots of %u bytes, %s: %llu ticks, %llu whole reads\n", slots,
                  payload_bytes, every ? "every" : "newest", (unsigned long long)race.ticks,
                  (unsigned long long)read);
    bare_free(&race.bare);
}

/* A writer may die at any moment: what the counter names must be whole before it is named. */
static void *look_at_what_is_named(void *context) {
    struct reader *reader = context;
    struct race *race = reader->race;
    const struct omni_ring *ring = &race->bare.ring;
    while (omni_load_acquire(&race->done) == 0) {
        uint32_t version = omni_ring_version(ring);
        bool holds = version == 0 || omni_ring_holds(ring, version);
        bool lapped = omni_version_distance(version, omni_ring_version(ring)) > 100;
        reader->read++;
        reader->torn += !holds && !lapped;
    }
    return NULL;
}

static void counter_names_whole_slots_only(void **state) {
    struct race race = {.first = 1, .ticks = checked_build ? 30000 : 3000000};
    struct reader reader = {.race = &race};
    pthread_t writer, thread;
    (void)state;
    bare_make(&race.bare, 256, 64);
    assert_int_equal(pthread_create(&thread, NULL, look_at_what_is_named, &reader), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &race), 0);
    pthread_join(writer, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(reader.torn, 0);
    bare_free(&race.bare);
}

static void no_torn_read_whatever_the_shape(void **state) {
    static const uint32_t slots[] = {2, 4, 256}, payloads[] = {8, 64, 264, 4096};
    (void)state;
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++)
        for (size_t k = 0; k < sizeof payloads / sizeof payloads[0]; k++)
            for (int every = 0; every < 2; every++)
                run_race(slots[i], payloads[k], 1, every, 0);
}

static void no_torn_read_by_a_slow_reader(void **state) {
    (void)state;
    run_race(2, 64, 1, false, 2000);
    run_race(64, 264, 1, true, 2000);
}

static void no_torn_read_across_the_wrap(void **state) {
    (void)state;
    run_race(2, 64, UINT32_MAX - 5000, false, 0);
    run_race(2, 64, UINT32_MAX - 5000, true, 0);
    run_race(64, 264, UINT32_MAX - 5000, true, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_wrap_and_skip_zero),
        cmocka_unit_test(distance_counts_steps),
        cmocka_unit_test(slots_are_whole_cache_lines),
        cmocka_unit_test(nothing_is_there_at_first),
        cmocka_unit_test(slots_are_kept_until_overwritten),
        cmocka_unit_test(dead_writer_leaves_the_slot_before),
        cmocka_unit_test(dead_writer_at_the_wrap_of_two_slots),
        cmocka_unit_test(garbage_in_the_counter_gives_nothing),
        cmocka_unit_test(counter_names_whole_slots_only),
        cmocka_unit_test(no_torn_read_whatever_the_shape),
        cmocka_unit_test(no_torn_read_by_a_slow_reader),
        cmocka_unit_test(no_torn_read_across_the_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
