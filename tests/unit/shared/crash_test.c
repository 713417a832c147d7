/* kill -9 of a publisher at random moments, a thousand times, while a reader in another process
 * follows all of its lives: never a torn or half-old status, the name free at once, the last words
 * of the dead readable. */
#include "support.h"

enum {
    LIVES = 1250, /* a fifth of them ends while it still opens: 1,000 while publishing */
    LIVES_IF_CHECKED = 250,
    LONGEST_LIFE_US = 2500,
    ATTENDED = 25 /* every so many lives the reader is waited for */
};

static int lives(void) {
    return checked_build ? LIVES_IF_CHECKED : LIVES;
}

/* What the processes tell each other, beside the segment. */
struct talk {
    _Atomic bool stop;
    _Atomic uint64_t opened;   /* instances, by their publishers */
    _Atomic uint64_t followed; /* instance that the reader has read from last */
    _Atomic uint64_t instances, read, missed, torn, misnumbered, refused;
};

/* ---- the publisher: lives until it is killed ---- */

static uint64_t instance_of(const char *directory) {
    struct omni_observer_options options = {.directory = directory};
    struct omni_observer *observer;
    if (omni_observer_attach(&observer, "storm", &options, NULL) < 0)
        return 0;
    uint64_t instance = omni_observer_facts(observer)->instance;
    omni_observer_detach(observer);
    return instance;
}

static void publish_until_killed(const char *directory, struct talk *talk) {
    struct omni_publisher_options options = {.directory = directory, .slot_count = 16};
    struct omni_publisher *publisher;
    struct omni_problem problem;
    die_with_parent();
    if (omni_publisher_open(&publisher, "storm", parcel_schema(), &options, &problem) < 0) {
        fprintf(stderr, "%s\n", problem.text);
        _exit(2);
    }
    talk->opened++;
    for (;;)
        publish_parcel(publisher);
}

/* ---- the reader: sees all of it ---- */

static void follow(struct omni_observer *observer, struct talk *talk) {
    struct omni_stamp stamp;
    struct parcel parcel;
    uint64_t last = 0;
    for (bool last_look = false; !last_look;) {
        last_look = talk->stop || omni_observer_is_replaced(observer);
        for (int i = 0; i < 1000 && omni_observer_next(observer, &stamp, &parcel) == 0; i++) {
            talk->torn += !parcel_is_whole(&parcel, stamp.tick);
            talk->misnumbered += last != 0 && stamp.tick != last + stamp.missed + 1;
            talk->missed += stamp.missed;
            talk->read++;
            last = stamp.tick;
            talk->followed = omni_observer_facts(observer)->instance;
        }
    }
}

static void follow_all_lives(const char *directory, struct talk *talk) {
    struct omni_observer_options options = {.directory = directory};
    die_with_parent();
    while (!talk->stop) {
        struct omni_observer *observer;
        int error = omni_observer_attach(&observer, "storm", &options, NULL);
        /* Nothing is there before the first; from then on there is always something whole. */
        if (error < 0) {
            talk->refused += error != -ENOENT || talk->instances > 0;
            sleep_us(20);
            continue;
        }
        talk->instances++;
        follow(observer, talk);
        omni_observer_detach(observer);
    }
    _exit(0);
}

/* ---- the killer ---- */

static void wait_for_reader(const struct scratch *scratch, struct talk *talk) {
    uint64_t instance = instance_of(scratch->directory);
    assert_int_not_equal(instance, 0);
    while (talk->followed != instance)
        sleep_us(100);
}

/* One life. Some are killed while they still open, the others while they publish. */
static bool live_and_die(const struct scratch *scratch, struct talk *talk, int life,
                         uint64_t *seed) {
    uint64_t opened_before = talk->opened;
    int status = 0;
    fflush(NULL);
    pid_t publisher = fork();
    if (publisher == 0)
        publish_until_killed(scratch->directory, talk);
    assert_true(publisher > 0);
    bool early = life % 5 == 4;
    while (!early && talk->opened == opened_before && waitpid(publisher, &status, WNOHANG) == 0)
        sleep_us(20);
    if (life % ATTENDED == 0)
        wait_for_reader(scratch, talk);
    sleep_us((long)(chance(seed) % (early ? 500 : LONGEST_LIFE_US)));
    kill(publisher, SIGKILL);
    waitpid(publisher, &status, 0);
    if (!WIFSIGNALED(status))
        fail_msg("life %d ended by itself: %d", life, WEXITSTATUS(status));
    return talk->opened != opened_before;
}

/* What the dead left behind is whole, and known to be dead. */
static void look_at_the_remains(const struct scratch *scratch) {
    struct omni_observer *observer = must_attach(scratch, "storm");
    struct omni_stamp stamp;
    struct parcel parcel;
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_DIED);
    if (omni_observer_version(observer) != 0) {
        assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
        assert_true(parcel_is_whole(&parcel, stamp.tick));
        assert_int_equal(stamp.version, omni_observer_version(observer));
    }
    omni_observer_detach(observer);
}

static void killed_a_thousand_times(void **state) {
    const struct scratch *scratch = *state;
    struct talk *talk =
        mmap(NULL, sizeof *talk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(talk, MAP_FAILED);
    uint64_t seed = now_ns() | 1;
    int status = 0, born = 0;
    fflush(NULL);
    pid_t reader = fork();
    if (reader == 0)
        follow_all_lives(scratch->directory, talk);
    for (int life = 0; life < lives(); life++) {
        born += live_and_die(scratch, talk, life, &seed);
        if (born > 0)
            look_at_the_remains(scratch);
    }
    /* One that says goodbye: the place is clean afterwards. */
    omni_publisher_close(
        must_open(scratch, "storm", parcel_schema(), (struct omni_publisher_options){0}));
    assert_int_equal(scratch_count(scratch, "omni-new."), 0);
    assert_int_equal(scratch_count(scratch, ""), 3);
    talk->stop = true;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_exit(status, 0);
    print_message("        %d lives, %d of them published, %llu followed; %llu statuses read, %llu "
                  "missed%s%s\n",
                  lives(), born, (unsigned long long)talk->instances,
                  (unsigned long long)talk->read, (unsigned long long)talk->missed,
                  checked_build ? "; fewer lives: sanitizer " : "", SANITIZER);
    assert_int_equal(talk->torn, 0);
    assert_int_equal(talk->misnumbered, 0);
    assert_int_equal(talk->refused, 0);
    /* At least those that were waited for. */
    assert_in_range(talk->instances, lives() / ATTENDED, lives() + 1);
    assert_in_range(born, lives() * 4 / 5, lives());
    munmap(talk, sizeof *talk);
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(killed_a_thousand_times)};
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
