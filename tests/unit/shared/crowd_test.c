/* Many readers in threads come and go while publishers start, end and start again. */
#include "support.h"

#include <pthread.h>

enum { READERS = 8, STARTS = 300, STARTS_IF_CHECKED = 60, TICKS_PER_START = 200 };

struct crowd {
    const struct scratch *scratch;
    _Atomic bool stop;
    _Atomic uint64_t attached; /* by all readers */
};

struct reader {
    struct crowd *crowd;
    uint64_t seed, read, torn, misnumbered, wrong;
};

static void look_around(struct reader *reader, struct omni_observer *observer) {
    struct omni_stamp stamp;
    struct parcel parcel;
    uint64_t last = 0, looks = chance(&reader->seed) % 100;
    for (uint64_t i = 0; i < looks; i++) {
        bool newest = chance(&reader->seed) % 4 == 0;
        int error = newest ? omni_observer_newest(observer, &stamp, &parcel)
                           : omni_observer_next(observer, &stamp, &parcel);
        if (error < 0) {
            reader->wrong += error != -EAGAIN;
            continue;
        }
        reader->read++;
        reader->torn += !parcel_is_whole(&parcel, stamp.tick);
        bool again = newest && stamp.tick == last && stamp.missed == 0;
        reader->misnumbered += last != 0 && !again && stamp.tick != last + stamp.missed + 1;
        last = stamp.tick;
    }
    omni_observer_life(observer);
    omni_observer_is_replaced(observer);
}

static void *come_and_go(void *context) {
    struct reader *reader = context;
    struct omni_observer_options options = {.directory = reader->crowd->scratch->directory};
    while (!reader->crowd->stop) {
        struct omni_observer *observer;
        if (omni_observer_attach(&observer, "name", &options, NULL) < 0) {
            reader->wrong++;
            continue;
        }
        reader->crowd->attached++;
        look_around(reader, observer);
        omni_observer_detach(observer);
    }
    return NULL;
}

static void readers_come_and_go_while_publishers_restart(void **state) {
    const int starts = checked_build ? STARTS_IF_CHECKED : STARTS;
    struct crowd crowd = {.scratch = *state};
    struct reader readers[READERS];
    pthread_t threads[READERS];
    struct omni_publisher_options options = {.slot_count = 16};
    struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
    int before = open_files();
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.crowd = &crowd, .seed = (uint64_t)i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &readers[i]), 0);
    }
    for (int start = 0; start < starts; start++) {
        uint64_t attached = crowd.attached;
        for (int i = 0; i < TICKS_PER_START || crowd.attached == attached; i++)
            publish_parcel(publisher);
        omni_publisher_close(publisher);
        publisher = must_open(*state, "name", parcel_schema(), options);
    }
    crowd.stop = true;
    uint64_t read = 0;
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].torn, 0);
        assert_int_equal(readers[i].misnumbered, 0);
        assert_int_equal(readers[i].wrong, 0);
        read += readers[i].read;
    }
    assert_int_equal(open_files(), before);
    print_message("        %d starts, attached %llu times, %llu whole statuses\n", starts,
                  (unsigned long long)crowd.attached, (unsigned long long)read);
    assert_true(read > 0);
    omni_publisher_close(publisher);
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(readers_come_and_go_while_publishers_restart)};
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
