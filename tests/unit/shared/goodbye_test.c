/* A reader that sleeps hears that its publisher closes, at whatever moment that is. */
#include "support.h"

#include <pthread.h>

#include <omni/wait.h>

#define LONG_NS ((uint64_t)60000000000u) /* nobody waits for it but a test that fails */

struct sleeper {
    const struct scratch *scratch;
    int error;
};

static void *sleep_once(void *context) {
    struct sleeper *sleeper = context;
    struct omni_observer *observer = NULL;
    sleeper->error = try_attach(sleeper->scratch, "name", &observer, NULL);
    if (sleeper->error == 0)
        sleeper->error = omni_wait_version(observer, 1, LONG_NS);
    omni_observer_detach(observer);
    return NULL;
}

static void wait_for_flag(const struct scratch *scratch) {
    char path[PATH_MAX];
    uint32_t word = 0;
    scratch_path(scratch, "omni-sleepers.name", path, sizeof path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    while (word == 0)
        assert_int_equal(pread(file, &word, sizeof word, 0), sizeof word);
    close(file);
}

/* Closes some loops of nothing after a reader has said that it goes to sleep. */
static void close_after(const struct scratch *scratch, uint64_t loops) {
    struct omni_publisher_options options = {.certain_wake = true};
    struct sleeper sleeper = {.scratch = scratch};
    pthread_t thread;
    struct omni_publisher *publisher = must_open(scratch, "name", parcel_schema(), options);
    publish_parcel(publisher);
    assert_int_equal(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
    wait_for_flag(scratch);
    for (volatile uint64_t left = loops; left > 0; left--)
        continue;
    uint64_t start = now_ns();
    omni_publisher_close(publisher);
    pthread_join(thread, NULL);
    assert_int_equal(sleeper.error, -EPIPE);
    assert_true(now_ns() - start < LONG_NS / 2); /* noticed, not timed out */
}

/* Closing leaves the word on which a reader sleeps as it is: a goodbye between the reader's last
 * look and its sleep wakes nobody. That moment is hit within some hundred rounds. */
static void goodbye_is_not_slept_through(void **state) {
    uint64_t seed = now_ns() | 1;
    for (int rounds = checked_build ? 200 : 1000; rounds > 0; rounds--)
        close_after(*state, chance(&seed) % 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(goodbye_is_not_slept_through),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
