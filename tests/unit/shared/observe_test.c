/* The reader's side: attach in states, every tick or the newest, what was missed, and whether
 * there is still somebody at the other end. */
#include "support.h"

#include <omni/guard.h>
#include <omni/region.h>

static void attach_fails(const struct scratch *scratch, const char *name, int expected,
                         const char *says) {
    struct omni_observer *observer = NULL;
    struct omni_problem problem = {""};
    int before = open_files();
    assert_int_equal(try_attach(scratch, name, &observer, &problem), expected);
    assert_null(observer);
    assert_int_equal(open_files(), before);
    if (strstr(problem.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, says);
    assert_int_equal(try_attach(scratch, name, &observer, NULL), expected);
}

/* ---- attaching ---- */

static void what_is_no_segment_is_told(void **state) {
    const struct scratch *scratch = *state;
    char path[PATH_MAX], other[PATH_MAX];
    scratch_path(scratch, "omni.name", path, sizeof path);
    scratch_path(scratch, "omni.other", other, sizeof other);
    attach_fails(scratch, "name", -ENOENT, "is its publisher running?");
    attach_fails(scratch, "../name", -EINVAL, "../name is a path: write file:../name");
    write_file(path, "", 0);
    attach_fails(scratch, "name", -EBADMSG, "too small");
    write_file(path, "OMNISTAT", 8);
    attach_fails(scratch, "name", -EBADMSG, "too small");
    char garbage[4096];
    memset(garbage, 'x', sizeof garbage);
    write_file(path, garbage, sizeof garbage);
    attach_fails(scratch, "name", -EBADMSG, "no status segment");
    unlink(path);
    assert_int_equal(mkfifo(path, 0644), 0);
    attach_fails(scratch, "name", -EINVAL, "not a segment");
    unlink(path);
    assert_int_equal(mkdir(path, 0755), 0);
    attach_fails(scratch, "name", -EINVAL, "not a segment");
    rmdir(path);
    struct omni_publisher *publisher =
        must_open(scratch, "other", parcel_schema(), (struct omni_publisher_options){0});
    assert_int_equal(symlink(other, path), 0);
    attach_fails(scratch, "name", -ELOOP, "not a segment");
    unlink(path);
    assert_int_equal(link(other, path), 0);
    attach_fails(scratch, "name", -EBADMSG, "the name inside");
    omni_publisher_close(publisher);
}

static void segments_of_others_are_not_believed(void **state) {
    SKIP_UNLESS_ROOT();
    const struct scratch *scratch = *state;
    const uid_t trusted[] = {65534};
    char path[PATH_MAX];
    struct omni_observer *observer = NULL;
    struct omni_observer_options options = {
        .directory = scratch->directory, .trusted = trusted, .trusted_count = 1};
    omni_publisher_close(
        must_open(scratch, "name", parcel_schema(), (struct omni_publisher_options){0}));
    scratch_path(scratch, "omni.name", path, sizeof path);
    assert_int_equal(chown(path, 65534, 65534), 0);
    attach_fails(scratch, "name", -EPERM, "belongs to user 65534, who is not trusted");
    attach_fails(scratch, "name", -EPERM, "--trust 65534, or OMNI_TRUST=65534)");
    assert_int_equal(omni_observer_attach(&observer, "name", &options, NULL), 0);
    assert_int_equal(omni_observer_facts(observer)->owner, 65534);
    omni_observer_detach(observer);
}

static void unreadable_segment_is_told(void **state) {
    SKIP_UNLESS_ROOT();
    const struct scratch *scratch = *state;
    struct omni_publisher_options options = {.mode = 0600};
    omni_publisher_close(must_open(scratch, "name", parcel_schema(), options));
    assert_int_equal(chmod(scratch->directory, 0755), 0);
    struct omni_observer *observer = NULL;
    struct omni_problem problem = {""};
    assert_int_equal(seteuid(65534), 0);
    int error = try_attach(scratch, "name", &observer, &problem);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, -EACCES);
    assert_non_null(strstr(problem.text, "may not be read by this user"));
}

static void facts_are_the_publishers(void **state) {
    struct omni_publisher_options options = {.period_ns = 5000000, .slot_count = 128};
    struct omni_publisher *publisher = must_open(*state, "facts", probe_schema(), options);
    struct omni_observer *observer = must_attach(*state, "facts");
    const struct omni_source_facts *facts = omni_observer_facts(observer);
    assert_string_equal(facts->name, "facts");
    assert_int_equal(facts->period_ns, 5000000);
    assert_int_equal(facts->slot_count, 128);
    assert_int_equal(facts->process_id, getpid());
    assert_int_equal(facts->scope, OMNI_SCOPE_KERNEL);
    assert_int_equal(facts->owner, geteuid());
    assert_int_equal(omni_observer_payload_bytes(observer), sizeof(struct probe));
    struct omni_table table = {0};
    assert_int_equal(omni_schema_pack(&table, probe_schema(), NULL), 0);
    assert_int_equal(omni_observer_table(observer)->hash, table.hash);
    assert_int_equal(omni_observer_table(observer)->field_count, table.field_count);
    assert_memory_equal(omni_observer_table(observer)->text, table.text, table.text_bytes);
    omni_table_free(&table);
    omni_observer_detach(observer);
    omni_observer_detach(NULL);
    omni_publisher_close(publisher);
}

static void values_arrive_as_they_were_sent(void **state) {
    const struct probe sent = {.level = 12.5,
                               .balance = INT64_MIN,
                               .total = UINT64_MAX,
                               .temperature = {-0.0f, NAN},
                               .turns = -7,
                               .steps = UINT32_MAX,
                               .sensors = {1, 2, 3, 4, 65535},
                               .tilt = -90,
                               .power = {-100, 0, 100},
                               .gear = 5,
                               .mode = PROBE_ODD,
                               .plan = {PROBE_ON, PROBE_OFF},
                               .leaking = true,
                               .doors = {true, false, true},
                               .note = "h\xC3\xBChner"};
    struct probe got;
    struct omni_stamp stamp;
    struct omni_publisher *publisher =
        must_open(*state, "probe", probe_schema(), (struct omni_publisher_options){0});
    struct omni_observer *observer = must_attach(*state, "probe");
    omni_publish(publisher, &sent);
    assert_int_equal(omni_observer_newest(observer, &stamp, &got), 0);
    assert_memory_equal(&got, &sent, sizeof sent);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* ---- every tick, and what was missed ---- */

static void expect_next(struct omni_observer *observer, uint64_t tick, uint64_t missed) {
    struct omni_stamp stamp;
    struct parcel parcel;
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
    assert_int_equal(stamp.tick, tick);
    assert_int_equal(stamp.missed, missed);
    assert_true(parcel_is_whole(&parcel, tick));
}

static void expect_newest(struct omni_observer *observer, uint64_t tick, uint64_t missed) {
    struct omni_stamp stamp;
    struct parcel parcel;
    assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
    assert_int_equal(stamp.tick, tick);
    assert_int_equal(stamp.missed, missed);
    assert_int_equal(stamp.version, omni_observer_version(observer));
    assert_true(parcel_is_whole(&parcel, tick));
}

static void expect_nothing(struct omni_observer *observer) {
    struct omni_stamp stamp = {.tick = 77};
    struct parcel parcel;
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), -EAGAIN);
    assert_int_equal(stamp.tick, 77);
}

static void every_tick_is_given_once(void **state) {
    struct omni_publisher_options options = {.slot_count = 8};
    struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
    struct omni_observer *observer = must_attach(*state, "name");
    struct omni_stamp stamp;
    struct parcel parcel;
    assert_int_equal(omni_observer_version(observer), 0);
    expect_nothing(observer);
    assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), -EAGAIN);
    for (uint64_t tick = 1; tick < 100;) {
        unsigned burst = (unsigned)(tick % 6) + 1; /* up to 6: the ring keeps 7 for sure */
        publish_parcels(publisher, burst);
        for (unsigned i = 0; i < burst; i++)
            expect_next(observer, tick++, 0);
        expect_nothing(observer);
    }
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

static void reader_that_was_lapped_knows_how_many(void **state) {
    struct omni_publisher_options options = {.slot_count = 8};
    struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
    struct omni_observer *observer = must_attach(*state, "name");
    publish_parcels(publisher, 3);
    expect_next(observer, 1, 0);
    publish_parcels(publisher, 97); /* 100 in all; 94 to 100 are the last seven */
    expect_next(observer, 94, 92);
    for (uint64_t tick = 95; tick <= 100; tick++)
        expect_next(observer, tick, 0);
    expect_nothing(observer);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

static void first_call_begins_with_the_oldest(void **state) {
    struct omni_publisher_options options = {.slot_count = 8};
    struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
    publish_parcels(publisher, 3);
    struct omni_observer *early = must_attach(*state, "name");
    expect_next(early, 1, 0);
    publish_parcels(publisher, 97);
    struct omni_observer *late = must_attach(*state, "name");
    expect_next(late, 94, 0); /* what left the ring before is not missed */
    expect_next(late, 95, 0);
    struct omni_observer *newest = must_attach(*state, "name");
    expect_newest(newest, 100, 0);
    expect_nothing(newest);
    omni_observer_detach(early);
    omni_observer_detach(late);
    omni_observer_detach(newest);
    omni_publisher_close(publisher);
}

static void every_ring_is_begun_at_its_oldest(void **state) {
    static const uint32_t firsts[] = {0, UINT32_MAX - 20}; /* and across the wrap */
    for (uint32_t slots = 2; slots <= 32; slots *= 2)
        for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
            struct omni_publisher_options options = {.slot_count = slots,
                                                     .first_version = firsts[i]};
            struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
            for (uint64_t tick = 1; tick <= 3 * (uint64_t)slots; tick++) {
                publish_parcels(publisher, 1);
                struct omni_observer *observer = must_attach(*state, "name");
                for (uint64_t held = tick < slots ? 1 : tick - slots + 2; held <= tick; held++)
                    expect_next(observer, held, 0);
                expect_nothing(observer);
                omni_observer_detach(observer);
            }
            omni_publisher_close(publisher);
        }
}

static void newest_passes_over_and_counts(void **state) {
    struct omni_publisher_options options = {.slot_count = 8};
    struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
    struct omni_observer *observer = must_attach(*state, "name");
    publish_parcels(publisher, 5);
    expect_next(observer, 1, 0);
    expect_newest(observer, 5, 3);
    expect_newest(observer, 5, 0);
    expect_nothing(observer);
    publish_parcels(publisher, 2);
    expect_next(observer, 6, 0);
    expect_newest(observer, 7, 0);
    publish_parcels(publisher, 1000);
    expect_newest(observer, 1007, 999);
    expect_nothing(observer);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* Random bursts and random ways to read: what was read and what was missed always add up. */
static void account(const struct scratch *scratch, uint32_t slots, uint32_t first_version,
                    uint64_t seed) {
    struct omni_publisher_options options = {.slot_count = slots, .first_version = first_version};
    struct omni_publisher *publisher = must_open(scratch, "name", parcel_schema(), options);
    struct omni_observer *observer = must_attach(scratch, "name");
    uint64_t accounted = 1, last = 1;
    publish_parcel(publisher);
    expect_next(observer, 1, 0);
    while (omni_publisher_tick(publisher) < 400) {
        struct omni_stamp stamp;
        struct parcel parcel;
        unsigned reads = (unsigned)(chance(&seed) % 4);
        bool newest = chance(&seed) % 8 == 0;
        for (unsigned i = 0; i < reads; i++) {
            int error = newest ? omni_observer_newest(observer, &stamp, &parcel)
                               : omni_observer_next(observer, &stamp, &parcel);
            if (last == omni_publisher_tick(publisher) && !newest)
                assert_int_equal(error, -EAGAIN);
            else
                assert_int_equal(error, 0);
            if (error < 0 || (newest && stamp.tick == last))
                continue;
            assert_true(parcel_is_whole(&parcel, stamp.tick));
            assert_int_equal(stamp.tick, last + stamp.missed + 1);
            last = stamp.tick;
            accounted += 1 + stamp.missed;
        }
        assert_int_equal(accounted, last);
        publish_parcels(publisher, (unsigned)(chance(&seed) % (2 * (uint64_t)slots)));
    }
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

static void read_and_missed_add_up(void **state) {
    for (uint32_t slots = 2; slots <= 64; slots *= 2)
        for (uint64_t seed = 1; seed <= 20; seed++)
            account(*state, slots, 0, seed);
}

static void read_and_missed_add_up_across_the_wrap(void **state) {
    for (uint32_t slots = 2; slots <= 64; slots *= 2)
        for (uint32_t before = 1; before <= 60; before++)
            account(*state, slots, UINT32_MAX - 5 * before + 1, before);
}

static void each_tick_is_given_across_the_wrap(void **state) {
    for (uint32_t slots = 2; slots <= 16; slots *= 2) {
        struct omni_publisher_options options = {.slot_count = slots,
                                                 .first_version = UINT32_MAX - 9};
        struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
        struct omni_observer *observer = must_attach(*state, "name");
        struct omni_observer *watcher = must_attach(*state, "name");
        for (uint64_t tick = 1; tick <= 30; tick++) {
            publish_parcel(publisher);
            uint32_t version = tick <= 10 ? UINT32_MAX - 10 + (uint32_t)tick : (uint32_t)tick - 10;
            assert_int_equal(omni_observer_version(observer), version);
            expect_next(observer, tick, 0);
            expect_newest(watcher, tick, 0);
        }
        omni_observer_detach(observer);
        omni_observer_detach(watcher);
        omni_publisher_close(publisher);
    }
}

static void reader_far_behind_the_wrap_catches_up(void **state) {
    for (uint64_t behind = 1; behind <= 40; behind++) {
        struct omni_publisher_options options = {.slot_count = 8, .first_version = UINT32_MAX - 9};
        struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), options);
        struct omni_observer *observer = must_attach(*state, "name");
        publish_parcel(publisher);
        expect_next(observer, 1, 0);
        publish_parcels(publisher, (unsigned)behind);
        uint64_t first = behind > 7 ? behind + 1 - 6 : 2;
        expect_next(observer, first, first - 2);
        for (uint64_t tick = first + 1; tick <= behind + 1; tick++)
            expect_next(observer, tick, 0);
        expect_nothing(observer);
        omni_observer_detach(observer);
        omni_publisher_close(publisher);
    }
}

/* ---- a segment that stands still in an impossible state ---- */

static void poke(const struct scratch *scratch, const char *file, off_t offset, uint32_t value) {
    char path[PATH_MAX];
    scratch_path(scratch, file, path, sizeof path);
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(descriptor, &value, sizeof value, offset), sizeof value);
    close(descriptor);
}

/* The counter names a slot that is marked unstable, and always will be: a reader that drains must
 * come to an end, and must not get the one before over and over. */
static void unreadable_newest_does_not_trap_a_drain(void **state) {
    const struct scratch *scratch = *state;
    struct omni_publisher_options options = {.slot_count = 4};
    struct omni_publisher *publisher = must_open(scratch, "name", parcel_schema(), options);
    struct omni_observer *observer = must_attach(scratch, "name");
    publish_parcels(publisher, 3);
    expect_next(observer, 1, 0);
    poke(scratch, "omni.name", offsetof(struct omni_header, version), 4);
    for (uint64_t tick = 2; tick <= 3; tick++)
        expect_next(observer, tick, 0);
    expect_nothing(observer);
    expect_nothing(observer);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* Two slots at the wrap: version 1 lies where the newest one lies. While it is being written only
 * an older tick can be read, and that is no reason to count one twice, or as missed. */
static void no_step_back_at_the_wrap_of_two_slots(void **state) {
    const struct scratch *scratch = *state;
    struct omni_publisher_options options = {.slot_count = 2, .first_version = UINT32_MAX - 1};
    struct omni_publisher *publisher = must_open(scratch, "name", parcel_schema(), options);
    struct omni_observer *observer = must_attach(scratch, "name");
    struct omni_stamp stamp;
    struct parcel parcel;
    publish_parcel(publisher);
    expect_next(observer, 1, 0);
    publish_parcel(publisher);
    expect_next(observer, 2, 0);
    char path[PATH_MAX];
    scratch_path(scratch, "omni.name", path, sizeof path);
    struct bytes file = read_file(path);
    uint32_t ring, slot_bytes;
    memcpy(&ring, file.at + offsetof(struct omni_header, ring_offset), sizeof ring);
    memcpy(&slot_bytes, file.at + offsetof(struct omni_header, slot_bytes), sizeof slot_bytes);
    free(file.at);
    poke(scratch, "omni.name", (off_t)ring + slot_bytes, 0);
    expect_nothing(observer);
    assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
    assert_int_equal(stamp.tick, 1);
    assert_int_equal(stamp.missed, 0);
    expect_nothing(observer);
    publish_parcel(publisher);
    expect_next(observer, 3, 0);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* ---- life and death ---- */

static int publish_and_end(void *context) {
    const struct scratch *scratch = context;
    struct omni_publisher_options options = {.directory = scratch->directory};
    struct omni_publisher *publisher;
    if (omni_publisher_open(&publisher, "name", parcel_schema(), &options, NULL) < 0)
        return 2;
    publish_parcels(publisher, 5);
    return 0; /* without a word */
}

static void open_closed_and_died_are_told_apart(void **state) {
    struct omni_publisher *publisher =
        must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
    publish_parcels(publisher, 5);
    struct omni_observer *observer = must_attach(*state, "name");
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    assert_false(omni_observer_is_replaced(observer));
    omni_publisher_close(publisher);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_CLOSED);
    assert_false(omni_observer_is_replaced(observer));
    expect_newest(observer, 5, 0); /* what it last knew can still be read */
    struct omni_observer *later = must_attach(*state, "name");
    assert_int_equal(omni_observer_life(later), OMNI_LIFE_CLOSED);
    expect_next(later, 1, 0);
    omni_observer_detach(later);

    assert_exit(in_child(publish_and_end, *state), 0);
    assert_true(omni_observer_is_replaced(observer));
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_CLOSED);
    omni_observer_detach(observer);
    observer = must_attach(*state, "name");
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_DIED);
    assert_false(omni_observer_is_replaced(observer));
    expect_newest(observer, 5, 0);

    publisher = must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
    assert_true(omni_observer_is_replaced(observer));
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_DIED); /* of the old one */
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

static void removed_segment_is_noticed(void **state) {
    char path[PATH_MAX];
    struct omni_publisher *publisher =
        must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
    struct omni_observer *observer = must_attach(*state, "name");
    scratch_path(*state, "omni.name", path, sizeof path);
    unlink(path);
    assert_true(omni_observer_is_replaced(observer));
    publish_parcel(publisher);
    expect_next(observer, 1, 0); /* the memory is still there */
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* ---- another layout ---- */

#define FOUR(FIELD) FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Four of them")
#define FIVE(FIELD) FIELD(numbers, u16, sensors, 5, "mm", 0, 4000, "Five of them")
#define FEET(FIELD) FIELD(numbers, u16, sensors, 4, "ft", 0, 4000, "Four of them")
#define TOLD(FIELD) FIELD(numbers, u16, sensors, 4, "mm", 0, 4000, "Told in other words")
OMNI_STATUS(four, FOUR)
OMNI_STATUS(five, FIVE)
OMNI_STATUS(feet, FEET)
OMNI_STATUS(told, TOLD)

static void another_layout_is_named(void **state) {
    const struct {
        const struct omni_schema *schema;
        const char *says;
    } cases[] = {{four_schema(), NULL},
                 {told_schema(), NULL},
                 {five_schema(), "\"sensors\" is u16[5] here, u16[4] there"},
                 {feet_schema(), "\"sensors\" is in \"ft\" here, \"mm\" there"}};
    struct omni_publisher *publisher =
        must_open(*state, "name", four_schema(), (struct omni_publisher_options){0});
    struct omni_observer *observer = must_attach(*state, "name");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_problem problem = {""};
        int error = omni_observer_expect(observer, cases[i].schema, &problem);
        assert_int_equal(error, cases[i].says == NULL ? 0 : -EPROTO);
        if (cases[i].says != NULL && strstr(problem.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", problem.text, cases[i].says);
    }
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* ---- all of them ---- */

struct list {
    char text[256];
    int stop_after;
};

static int note_name(void *context, const char *name) {
    struct list *list = context;
    size_t length = strlen(list->text);
    snprintf(list->text + length, sizeof list->text - length, "%s ", name);
    return --list->stop_after == 0 ? 7 : 0;
}

static void sources_are_listed(void **state) {
    static const char *const files[] = {"omni.b",          "omni.a", "omni-lock.a", "omni-new.c",
                                        "omni..d",         "other",  "omni.x y",    "omni.",
                                        "omni-sleepers.a", "omni.c"};
    const struct scratch *scratch = *state;
    struct list all = {.stop_after = 0}, some = {.stop_after = 2};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[PATH_MAX];
        scratch_path(scratch, files[i], path, sizeof path);
        write_file(path, "", 0);
    }
    assert_int_equal(omni_sources_each(scratch->directory, note_name, &all), 0);
    assert_string_equal(all.text, "a b c ");
    assert_int_equal(omni_sources_each(scratch->directory, note_name, &some), 7);
    assert_string_equal(some.text, "a b ");
    assert_int_equal(omni_sources_each("/nowhere/at/all", note_name, &all), -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_segment_is_told),
        TEST(segments_of_others_are_not_believed),
        TEST(unreadable_segment_is_told),
        TEST(facts_are_the_publishers),
        TEST(values_arrive_as_they_were_sent),
        TEST(every_tick_is_given_once),
        TEST(reader_that_was_lapped_knows_how_many),
        TEST(first_call_begins_with_the_oldest),
        TEST(every_ring_is_begun_at_its_oldest),
        TEST(newest_passes_over_and_counts),
        TEST(read_and_missed_add_up),
        TEST(read_and_missed_add_up_across_the_wrap),
        TEST(each_tick_is_given_across_the_wrap),
        TEST(reader_far_behind_the_wrap_catches_up),
        TEST(unreadable_newest_does_not_trap_a_drain),
        TEST(no_step_back_at_the_wrap_of_two_slots),
        TEST(open_closed_and_died_are_told_apart),
        TEST(removed_segment_is_noticed),
        TEST(another_layout_is_named),
        TEST(sources_are_listed),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
