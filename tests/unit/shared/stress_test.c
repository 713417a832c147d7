/* A reader checks 100 million ticks of a free-running writer in another process: no torn read, and
 * what it read and what it was told to have missed add up to what was published, exactly.
 *   OMNI_STRESS_TICKS   another number of ticks to check
 * Under a sanitizer it is fewer, and the output says how many. */
#include "support.h"

#define TICKS_TO_CHECK   100000000u
#define TICKS_IF_CHECKED 500000u

static uint64_t ticks_to_check(void) {
    const char *asked = getenv("OMNI_STRESS_TICKS");
    if (asked != NULL)
        return strtoull(asked, NULL, 10);
    return checked_build ? TICKS_IF_CHECKED : TICKS_TO_CHECK;
}

/* What the two processes tell each other, beside the segment. */
struct talk {
    _Atomic bool go, stop;
    _Atomic uint64_t published;
};

static struct talk *talk_make(void) {
    struct talk *talk =
        mmap(NULL, sizeof *talk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(talk, MAP_FAILED);
    return talk;
}

static pid_t start_writer(struct talk *talk, struct omni_publisher *publisher) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    die_with_parent();
    /* Tick 1 first, and on only when the reader has it: from then on each one counts. */
    publish_parcel(publisher);
    while (!talk->go)
        sleep_us(20);
    struct parcel parcel = {0};
    uint64_t serial = 1;
    while (!talk->stop)
        for (int i = 0; i < 256; i++) {
            parcel_fill(&parcel, ++serial);
            omni_publish_at(publisher, &parcel, (struct omni_time){serial, serial});
        }
    talk->published = serial;
    _exit(0);
}

struct tally {
    uint64_t read, missed, torn, misnumbered, last;
};

static void count_tick(struct tally *tally, const struct omni_stamp *stamp,
                       const struct parcel *parcel) {
    tally->read++;
    tally->missed += stamp->missed;
    tally->torn += !parcel_is_whole(parcel, stamp->tick);
    tally->misnumbered += stamp->tick != tally->last + stamp->missed + 1;
    tally->last = stamp->tick;
}

static void read_first(struct omni_observer *observer, struct tally *tally) {
    struct omni_stamp stamp;
    struct parcel parcel;
    while (omni_observer_next(observer, &stamp, &parcel) == -EAGAIN)
        sleep_us(20);
    count_tick(tally, &stamp, &parcel);
    assert_int_equal(stamp.tick, 1);
}

static void drain(struct omni_observer *observer, struct tally *tally, uint64_t enough) {
    struct omni_stamp stamp;
    struct parcel parcel;
    while (tally->read < enough && omni_observer_next(observer, &stamp, &parcel) == 0)
        count_tick(tally, &stamp, &parcel);
}

/* Where the two share a core the writer needs it. (Who yields among busy processes instead of
 * sleeping may wait for very long.) */
static void read_on(struct omni_observer *observer, struct tally *tally, uint64_t enough) {
    uint64_t before = tally->read;
    drain(observer, tally, enough);
    if (tally->read == before)
        sleep_us(1);
}

static void check_ticks(const struct scratch *scratch, uint64_t enough, uint32_t slots,
                        uint32_t first_version) {
    struct talk *talk = talk_make();
    struct omni_publisher_options options = {.slot_count = slots, .first_version = first_version};
    struct omni_publisher *publisher = must_open(scratch, "storm", parcel_schema(), options);
    struct omni_observer *observer = must_attach(scratch, "storm");
    struct tally tally = {0};
    prctl(PR_SET_TIMERSLACK, 1);
    pid_t writer = start_writer(talk, publisher);
    read_first(observer, &tally);
    talk->go = true;
    while (tally.read < enough)
        read_on(observer, &tally, enough);
    talk->stop = true;
    int status = 0;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_exit(status, 0);
    drain(observer, &tally, UINT64_MAX);
    print_message("        %u slots: %llu ticks checked, %llu missed, %llu published%s%s\n", slots,
                  (unsigned long long)tally.read, (unsigned long long)tally.missed,
                  (unsigned long long)talk->published, checked_build ? ", fewer: sanitizer " : "",
                  SANITIZER);
    if (first_version != 0)
        assert_in_range(omni_observer_version(observer), 1, first_version - 1); /* it wrapped */
    assert_int_equal(tally.torn, 0);
    assert_int_equal(tally.misnumbered, 0);
    assert_int_equal(tally.last, talk->published);
    assert_int_equal(tally.read + tally.missed, talk->published);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
    munmap(talk, sizeof *talk);
}

static void hundred_million_ticks(void **state) {
    check_ticks(*state, ticks_to_check(), 8192, 0);
}

static void two_slots(void **state) {
    check_ticks(*state, ticks_to_check() / 500, 2, 0);
}

static void four_slots_across_the_wrap(void **state) {
    check_ticks(*state, ticks_to_check() / 500, 4, UINT32_MAX - 500);
}

static void many_slots_across_the_wrap(void **state) {
    check_ticks(*state, ticks_to_check() / 50, 1024, UINT32_MAX - 500);
}

int main(void) {
    alarm(PATIENCE_SECONDS);
    const struct CMUnitTest tests[] = {
        TEST(two_slots),
        TEST(four_slots_across_the_wrap),
        TEST(many_slots_across_the_wrap),
        TEST(hundred_million_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
