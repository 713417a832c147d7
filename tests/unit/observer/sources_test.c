/* Sources with a real loop and real segments: they come, tick, fall silent, close, die, come back
 * and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omni/guard.h>
#include <omni/publish.h>

#include "observer/sources.h"

#define MODES(LABEL) LABEL(MODE_REST, "rest") LABEL(MODE_GO, "go")
#define THING(FIELD)                                                                               \
    FIELD(number, u64, count, "", 0, 1e9, "counts")                                                \
    FIELD(choice, mode, MODES, "changes now and then")
#define OTHER(FIELD) FIELD(number, f64, other, "m", 0, 1, "another layout")
OMNI_ENUM(mode, MODES)
OMNI_STATUS(thing, THING)
OMNI_STATUS(other, OTHER)

#define PERIOD_NS 5000000u

struct fixture {
    char directory[64];
    const char *region; /* where the publisher publishes; NULL: in the directory */
    uv_loop_t loop;
    struct sources *sources;
    struct omni_publisher *publisher;
    unsigned came, went, changed, ticked, events;
    uint64_t told; /* ticks of the source when it was told of last */
    uint64_t most; /* that one drain read */
    struct event event;
    uv_timer_t alarm;
    bool late;
    bool listens_to_the_future; /* stamps may lie ahead of now */
    pid_t child;
};

static void on_came(void *context, struct source *source) {
    assert_non_null(source->table);
    ((struct fixture *)context)->came++;
}
static void on_went(void *context, struct source *source) {
    (void)source;
    ((struct fixture *)context)->went++;
}
static void on_changed(void *context, struct source *source) {
    (void)source;
    ((struct fixture *)context)->changed++;
}
static void on_ticked(void *context, struct source *source, uint64_t now_ns) {
    struct fixture *fixture = context;
    assert_true(fixture->listens_to_the_future || now_ns >= source->stamp.time.monotonic_ns);
    fixture->ticked++;
    uint64_t read = source->ticks - fixture->told;
    fixture->told = source->ticks;
    fixture->most = read > fixture->most ? read : fixture->most;
}
static void on_event(void *context, struct source *source, const struct event *event) {
    (void)source;
    struct fixture *fixture = context;
    fixture->events++;
    fixture->event = *event;
}

static void start(struct fixture *fixture) {
    /* Here and not in set_up: the test framework puts its own handler in front for each test. */
    assert_int_equal(omni_guard_install(), 0);
    const struct sources_listener listener = {fixture,    on_came,   on_went,
                                              on_changed, on_ticked, on_event};
    const struct sources_options options = {.directory = fixture->directory,
                                            .regions = &fixture->region,
                                            .region_count = fixture->region != NULL ? 1 : 0,
                                            .history_bytes = 65536};
    assert_int_equal(sources_open(&fixture->sources, &fixture->loop, &options, &listener), 0);
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/dev/shm/sources-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    uv_timer_init(&fixture->loop, &fixture->alarm);
    fixture->alarm.data = fixture;
    *state = fixture;
    return 0;
}

static void end_child(struct fixture *fixture) {
    if (fixture->child <= 0)
        return;
    kill(fixture->child, SIGKILL);
    waitpid(fixture->child, NULL, 0);
    fixture->child = 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    char command[128];
    end_child(fixture);
    omni_publisher_close(fixture->publisher);
    sources_close(fixture->sources);
    uv_close((uv_handle_t *)&fixture->alarm, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static struct omni_publisher *publish_as(struct fixture *fixture,
                                         const struct omni_schema *schema) {
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    const struct omni_publisher_options options = {
        .directory = fixture->directory, .region = fixture->region, .period_ns = PERIOD_NS};
    if (omni_publisher_open(&publisher, "thing", schema, &options, &problem) < 0)
        fail_msg("%s", problem.text);
    return publisher;
}

static void tick(struct omni_publisher *publisher, uint64_t count, enum mode mode) {
    const struct thing thing = {.count = count, .mode = (uint8_t)mode};
    omni_publish(publisher, &thing);
}

static void on_alarm(uv_timer_t *timer) {
    struct fixture *fixture = timer->data;
    fixture->late = true;
}

/* Turns the loop until the condition holds; gives up after ten seconds. */
#define run_until(fixture, condition)                                                              \
    do {                                                                                           \
        uv_timer_start(&(fixture)->alarm, on_alarm, 10000, 0);                                     \
        while (!(condition) && !(fixture)->late)                                                   \
            uv_run(&(fixture)->loop, UV_RUN_ONCE);                                                 \
        uv_timer_stop(&(fixture)->alarm);                                                          \
        if ((fixture)->late)                                                                       \
            fail_msg("never came true: %s", #condition);                                           \
    } while (0)

static struct source *only(struct fixture *fixture) {
    struct source *source = sources_at(fixture->sources, 0);
    assert_non_null(source);
    return source;
}

static void finds_what_is_there_and_what_comes(void **state) {
    struct fixture *fixture = *state;
    start(fixture);
    assert_int_equal(fixture->came, 0);
    fixture->publisher = publish_as(fixture, thing_schema());
    run_until(fixture, fixture->came == 1);
    tick(fixture->publisher, 1, MODE_REST);
    run_until(fixture, only(fixture)->live);
    assert_int_equal(only(fixture)->stamp.tick, 1);
    assert_string_equal(only(fixture)->name, "thing");
    assert_ptr_equal(sources_find(fixture->sources, "thing"), only(fixture));
    assert_null(sources_find(fixture->sources, "nothing"));
}

static void reads_what_the_ring_still_holds(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    for (uint64_t i = 1; i <= 50; i++)
        tick(fixture->publisher, i, MODE_REST);
    start(fixture);
    run_until(fixture, only(fixture)->ticks == 50);
    assert_int_equal(only(fixture)->lost, 0);
    assert_int_equal(history_end(only(fixture)->history), 50);
}

/* However much is there: others have their turn in between, and nothing is left out. */
static void one_drain_is_bounded(void **state) {
    enum { TICKS = 20000, SLOTS = 32768, MOST = 4096 };
    struct fixture *fixture = *state;
    const struct omni_publisher_options options = {
        .directory = fixture->directory, .period_ns = PERIOD_NS, .slot_count = SLOTS};
    assert_int_equal(
        omni_publisher_open(&fixture->publisher, "thing", thing_schema(), &options, NULL), 0);
    for (uint64_t i = 1; i <= TICKS; i++)
        tick(fixture->publisher, i, MODE_REST);
    start(fixture);
    assert_in_range(only(fixture)->ticks, 1, MOST);
    run_until(fixture, only(fixture)->ticks == TICKS);
    assert_int_equal(only(fixture)->lost, 0);
    assert_in_range(fixture->most, 1, MOST);
}

/* More than one drain takes, just before the publisher is replaced. */
static void reads_all_that_the_last_one_left(void **state) {
    enum { TICKS = 20000, SLOTS = 32768 };
    struct fixture *fixture = *state;
    const struct omni_publisher_options options = {
        .directory = fixture->directory, .period_ns = PERIOD_NS, .slot_count = SLOTS};
    assert_int_equal(
        omni_publisher_open(&fixture->publisher, "thing", thing_schema(), &options, NULL), 0);
    start(fixture);
    tick(fixture->publisher, 1, MODE_REST);
    run_until(fixture, only(fixture)->ticks == 1);
    uint64_t instance = only(fixture)->facts.instance;
    for (uint64_t i = 2; i <= TICKS; i++)
        tick(fixture->publisher, i, MODE_REST);
    omni_publisher_close(fixture->publisher);
    fixture->publisher = publish_as(fixture, thing_schema());
    run_until(fixture, only(fixture)->facts.instance != instance);
    assert_int_equal(only(fixture)->ticks, TICKS);
    assert_int_equal(only(fixture)->lost, 0);
}

static void counts_what_it_missed(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    start(fixture);
    run_until(fixture, only(fixture)->ticks == 1);
    uint64_t published = 5 * (uint64_t)only(fixture)->facts.slot_count;
    for (uint64_t i = 2; i <= published; i++)
        tick(fixture->publisher, i, MODE_REST);
    run_until(fixture, only(fixture)->stamp.tick == published);
    assert_int_equal(only(fixture)->ticks + only(fixture)->lost, published);
    assert_true(only(fixture)->lost > 0);
}

static void passes_each_transition_once(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    start(fixture);
    run_until(fixture, fixture->came == 1);
    for (uint64_t i = 0; i < 40; i++)
        tick(fixture->publisher, i, i % 10 == 9 ? MODE_GO : MODE_REST);
    run_until(fixture, only(fixture)->ticks == 40);
    /* Up and down at 9, 19, 29; up at 39. */
    assert_int_equal(fixture->events, 7);
    assert_int_equal(fixture->event.sequence, 7);
    assert_int_equal(fixture->event.stamp.tick, 40);
    assert_int_equal(fixture->event.to, MODE_GO);
}

static void says_closed(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    start(fixture);
    run_until(fixture, only(fixture)->live);
    tick(fixture->publisher, 2, MODE_REST);
    omni_publisher_close(fixture->publisher);
    fixture->publisher = NULL;
    run_until(fixture, !only(fixture)->live);
    assert_string_equal(only(fixture)->reason, "closed");
    assert_int_equal(only(fixture)->stamp.tick, 2);
}

static void says_died_and_comes_back(void **state) {
    struct fixture *fixture = *state;
    fixture->child = fork();
    if (fixture->child == 0) {
        struct omni_publisher *publisher = publish_as(fixture, thing_schema());
        for (uint64_t i = 1;; i++) {
            tick(publisher, i, MODE_REST);
            usleep(PERIOD_NS / 1000);
        }
    }
    start(fixture);
    run_until(fixture, sources_at(fixture->sources, 0) != NULL && only(fixture)->live);
    end_child(fixture);
    run_until(fixture, !only(fixture)->live);
    assert_string_equal(only(fixture)->reason, "died");

    uint64_t ticks = only(fixture)->ticks;
    uint64_t instance = only(fixture)->facts.instance;
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    run_until(fixture, only(fixture)->live);
    assert_int_equal(fixture->came, 1);
    assert_int_equal(fixture->went, 0);
    assert_true(only(fixture)->facts.instance != instance);
    assert_int_equal(only(fixture)->ticks, ticks + 1);
    assert_int_equal(history_end(only(fixture)->history), ticks + 1);
}

static void says_silent(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    start(fixture);
    run_until(fixture, only(fixture)->live);
    run_until(fixture, !only(fixture)->live);
    assert_string_equal(only(fixture)->reason, "silent");
    tick(fixture->publisher, 2, MODE_REST);
    run_until(fixture, only(fixture)->live);
}

/* A clock that runs ahead must not make the last number look live for ever. */
static void stamps_from_the_future_fall_silent_too(void **state) {
    struct fixture *fixture = *state;
    fixture->listens_to_the_future = true;
    fixture->publisher = publish_as(fixture, thing_schema());
    struct omni_time time = omni_time_now();
    time.monotonic_ns += UINT64_C(3600000000000);
    start(fixture);
    run_until(fixture, fixture->came == 1);
    omni_publish_at(fixture->publisher, &(struct thing){.count = 1}, time);
    run_until(fixture, only(fixture)->live);
    run_until(fixture, !only(fixture)->live);
    assert_string_equal(only(fixture)->reason, "silent");
    struct text text;
    text_open(&text, 0);
    source_encode(&text, only(fixture), uv_hrtime(), false);
    text_append(&text, "", 1);
    assert_null(strstr(text_bytes(&text), "\"age\":0,"));
    text_close(&text);
}

static void another_layout_is_another_source(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    start(fixture);
    run_until(fixture, only(fixture)->live);
    omni_publisher_close(fixture->publisher);
    fixture->publisher = publish_as(fixture, other_schema());
    omni_publish(fixture->publisher, &(struct other){.other = 0.5});
    run_until(fixture, fixture->came == 2 && only(fixture)->live);
    assert_int_equal(fixture->went, 1);
    assert_string_equal(only(fixture)->table->fields[0].name, "other");
    assert_int_equal(history_end(only(fixture)->history), 1);
}

static void path_of(const struct fixture *fixture, const char *file, char path[128]) {
    snprintf(path, 128, "%s/%s", fixture->directory, file);
}

static void forgets_what_was_removed(void **state) {
    struct fixture *fixture = *state;
    char path[128];
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    start(fixture);
    run_until(fixture, only(fixture)->live);
    path_of(fixture, "omni.thing", path);
    assert_int_equal(unlink(path), 0);
    run_until(fixture, fixture->went == 1);
    assert_null(sources_at(fixture->sources, 0));
}

/* Through some scans. */
static void run_without_descriptors(struct fixture *fixture) {
    struct rlimit before;
    int next = dup(STDERR_FILENO);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(open(fixture->directory, O_RDONLY | O_CLOEXEC), -1);
    /* A scan comes every second, and the loop calls timers in the order of their time. */
    uv_timer_start(&fixture->alarm, on_alarm, 2500, 0);
    while (!fixture->late)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    fixture->late = false;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Not even the folder can be read then, which says nothing about what is in it. */
static void keeps_sources_while_no_descriptor_is_left(void **state) {
    struct fixture *fixture = *state;
    fixture->publisher = publish_as(fixture, thing_schema());
    start(fixture);
    run_until(fixture, fixture->came == 1);
    run_without_descriptors(fixture);
    assert_int_equal(fixture->went, 0);
    tick(fixture->publisher, 1, MODE_REST);
    run_until(fixture, only(fixture)->live);
    assert_int_equal(fixture->came, 1);
}

/* Its next publisher cannot be read then, which does not say that there is none. */
static void keeps_a_region_while_no_descriptor_is_left(void **state) {
    struct fixture *fixture = *state;
    char region[160];
    snprintf(region, sizeof region, "file:%s/region", fixture->directory);
    fixture->region = region;
    fixture->publisher = publish_as(fixture, thing_schema());
    start(fixture);
    tick(fixture->publisher, 1, MODE_REST);
    run_until(fixture, only(fixture)->ticks == 1);
    omni_publisher_close(fixture->publisher);
    fixture->publisher = publish_as(fixture, thing_schema());
    run_without_descriptors(fixture);
    assert_int_equal(fixture->went, 0);
    tick(fixture->publisher, 2, MODE_REST);
    run_until(fixture,
              only(fixture)->facts.instance == omni_publisher_instance(fixture->publisher));
    assert_int_equal(fixture->came, 1);
    sources_close(fixture->sources); /* while the region's address is there */
    fixture->sources = NULL;
}

static void refuses_rubbish_and_lives_on(void **state) {
    struct fixture *fixture = *state;
    char path[128];
    const char *name;
    const char *problem;
    path_of(fixture, "omni.rubbish", path);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(file, 4096), 0);
    close(file);
    start(fixture);
    fixture->publisher = publish_as(fixture, thing_schema());
    tick(fixture->publisher, 1, MODE_REST);
    run_until(fixture, sources_at(fixture->sources, 0) != NULL && only(fixture)->live);
    assert_true(sources_refusal(fixture->sources, 0, &name, &problem));
    assert_string_equal(name, "rubbish");
    assert_non_null(strstr(problem, "magic"));
    assert_int_equal(unlink(path), 0);
    run_until(fixture, !sources_refusal(fixture->sources, 0, &name, &problem));
}

static void survives_truncation(void **state) {
    struct fixture *fixture = *state;
    char path[128];
    fixture->child = fork();
    if (fixture->child == 0) {
        struct omni_publisher *publisher = publish_as(fixture, thing_schema());
        for (uint64_t i = 1; i < 100; i++)
            tick(publisher, i, MODE_REST);
        pause();
    }
    start(fixture);
    run_until(fixture, sources_at(fixture->sources, 0) != NULL && only(fixture)->ticks == 99);
    path_of(fixture, "omni.thing", path);
    assert_int_equal(truncate(path, 0), 0);
    run_until(fixture, fixture->went == 1);
    end_child(fixture);
}

static void follows_at_the_pace_that_is_wanted(void **state) {
    struct fixture *fixture = *state;
    fixture->child = fork();
    if (fixture->child == 0) {
        struct omni_publisher *publisher = publish_as(fixture, thing_schema());
        for (uint64_t i = 1;; i++) {
            tick(publisher, i, MODE_REST);
            usleep(PERIOD_NS / 1000);
        }
    }
    start(fixture);
    run_until(fixture, sources_at(fixture->sources, 0) != NULL && only(fixture)->live);
    /* Nobody cares: many ticks a look. Somebody wants every tick: hardly more than one. */
    unsigned looks = fixture->ticked;
    uint64_t ticks = only(fixture)->ticks;
    run_until(fixture, only(fixture)->ticks >= ticks + 200);
    assert_true(fixture->ticked - looks < 50);
    sources_want(fixture->sources, only(fixture), 0);
    /* It must have a processor as often as the publisher has one. */
    unsigned most = 0;
    for (unsigned attempt = 0; attempt < 100 && most <= 25; attempt++) {
        looks = fixture->ticked;
        ticks = only(fixture)->ticks;
        run_until(fixture, only(fixture)->ticks >= ticks + 50);
        most = fixture->ticked - looks;
    }
    assert_in_range(most, 26, 50);
    assert_int_equal(only(fixture)->lost, 0);
    end_child(fixture);
}

static void keeps_them_sorted_those_with_events_behind(void **state) {
    struct fixture *fixture = *state;
    const char *const names[] = {"m", "a", "z", "b"};
    const struct omni_publisher_options options[] = {
        {.directory = fixture->directory, .period_ns = PERIOD_NS},
        {.directory = fixture->directory},
        {.directory = fixture->directory},
        {.directory = fixture->directory, .steady = true},
    };
    struct omni_publisher *publishers[4];
    start(fixture);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            omni_publisher_open(&publishers[i], names[i], thing_schema(), &options[i], NULL), 0);
    run_until(fixture, sources_at(fixture->sources, 3) != NULL);
    assert_string_equal(sources_at(fixture->sources, 0)->name, "b");
    assert_string_equal(sources_at(fixture->sources, 1)->name, "m");
    assert_string_equal(sources_at(fixture->sources, 2)->name, "a");
    assert_string_equal(sources_at(fixture->sources, 3)->name, "z");
    assert_null(sources_at(fixture->sources, 4));
    for (size_t i = 0; i < 4; i++)
        omni_publisher_close(publishers[i]);
}

static void means_a_live_one_where_none_is_named(void **state) {
    struct fixture *fixture = *state;
    const char *const names[] = {"c", "a", "b"};
    const struct omni_publisher_options options = {.directory = fixture->directory};
    struct omni_publisher *publishers[3];
    start(fixture);
    assert_null(sources_default(fixture->sources));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            omni_publisher_open(&publishers[i], names[i], thing_schema(), &options, NULL), 0);
        tick(publishers[i], 1, MODE_REST);
    }
    run_until(fixture, sources_at(fixture->sources, 2) != NULL);
    for (size_t i = 0; i < 3; i++)
        run_until(fixture, sources_at(fixture->sources, i)->live);
    assert_string_equal(sources_default(fixture->sources)->name, "a");
    omni_publisher_close(publishers[1]);
    run_until(fixture, !sources_find(fixture->sources, "a")->live);
    assert_string_equal(sources_default(fixture->sources)->name, "b");
    omni_publisher_close(publishers[0]);
    omni_publisher_close(publishers[2]);
    run_until(fixture, !sources_find(fixture->sources, "b")->live &&
                           !sources_find(fixture->sources, "c")->live);
    assert_string_equal(sources_default(fixture->sources)->name, "a");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(finds_what_is_there_and_what_comes),
        TEST(reads_what_the_ring_still_holds),
        TEST(one_drain_is_bounded),
        TEST(reads_all_that_the_last_one_left),
        TEST(counts_what_it_missed),
        TEST(passes_each_transition_once),
        TEST(says_closed),
        TEST(says_died_and_comes_back),
        TEST(says_silent),
        TEST(stamps_from_the_future_fall_silent_too),
        TEST(another_layout_is_another_source),
        TEST(forgets_what_was_removed),
        TEST(keeps_sources_while_no_descriptor_is_left),
        TEST(keeps_a_region_while_no_descriptor_is_left),
        TEST(refuses_rubbish_and_lives_on),
        TEST(survives_truncation),
        TEST(follows_at_the_pace_that_is_wanted),
        TEST(keeps_them_sorted_those_with_events_behind),
        TEST(means_a_live_one_where_none_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
