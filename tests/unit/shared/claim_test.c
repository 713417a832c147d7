/* Owning a word by loads and stores: it ends, whatever the word does. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "shared/atomics.h"
#include "shared/claim.h"

#define MILLISECOND_NS 1000000u

struct words {
    uint32_t owner, heartbeat;
    _Atomic bool stop;
};

static struct omni_claim claim_of(struct words *words, uint64_t patience_ms) {
    return (struct omni_claim){&words->owner, &words->heartbeat, patience_ms * MILLISECOND_NS,
                               NULL};
}

static void a_free_word_is_taken(void **state) {
    struct words words = {.owner = 0};
    const struct omni_claim claim = claim_of(&words, 1000);
    uint32_t mine = 0;
    (void)state;
    assert_int_equal(omni_claim_take(&claim, &mine), 0);
    assert_int_not_equal(mine, 0);
    assert_int_equal(words.owner, mine);
}

static void a_dead_ones_word_is_taken_after_the_stated_time(void **state) {
    struct words words = {.owner = 7, .heartbeat = 9};
    const struct omni_claim claim = claim_of(&words, 10000);
    uint32_t mine = 0;
    (void)state;
    uint64_t begin_ns = now_ns();
    assert_int_equal(omni_claim_take(&claim, &mine), 0);
    assert_true(now_ns() - begin_ns >= OMNI_OWNER_DEAD_NS);
    assert_int_equal(words.owner, mine);
}

static void who_has_less_patience_than_that_disturbs_nobody(void **state) {
    struct words words = {.owner = 7, .heartbeat = 9};
    const struct omni_claim claim = claim_of(&words, 300);
    uint32_t mine = 3;
    (void)state;
    assert_int_equal(omni_claim_take(&claim, &mine), -EBUSY);
    assert_int_equal(words.owner, 7);
    assert_int_equal(mine, 3);
}

static volatile sig_atomic_t stop;

static void ask_to_stop(int signal) {
    (void)signal;
    stop = 1;
}

/* While the owner before may still be alive; who owns it already is not told. */
static void a_signal_ends_the_wait(void **state) {
    struct words words = {.owner = 7, .heartbeat = 9};
    struct omni_claim claim = claim_of(&words, 3600000);
    uint32_t mine = 3;
    (void)state;
    claim.stop = &stop;
    const struct sigaction action = {.sa_handler = ask_to_stop};
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    const struct itimerval soon = {.it_value = {.tv_usec = 100000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(omni_claim_take(&claim, &mine), -ECANCELED);
    assert_int_equal(words.owner, 7);
    assert_int_equal(mine, 3);
    words.owner = 0;
    assert_int_equal(omni_claim_take(&claim, &mine), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    alarm(PATIENCE_SECONDS);
}

/* ---- others who write there, until they are told to stop ---- */

static void *beat(void *context) {
    struct words *words = context;
    for (uint32_t n = 0; !words->stop; sleep_us(1000))
        omni_store_relaxed(&words->heartbeat, ++n);
    return NULL;
}

/* As memory that does not keep what is written would look. */
static void *forget(void *context) {
    struct words *words = context;
    for (; !words->stop; sleep_us(20))
        omni_store_relaxed(&words->owner, 0);
    return NULL;
}

static void *come_and_go(void *context) {
    struct words *words = context;
    for (uint32_t n = 1; !words->stop; sleep_us(100))
        omni_store_relaxed(&words->owner, ++n % 2);
    return NULL;
}

static void *overtake(void *context) {
    struct words *words = context;
    for (uint32_t n = 1; !words->stop; sleep_us(100))
        omni_store_relaxed(&words->owner, 2 * ++n);
    return NULL;
}

static int take_beside(void *(*work)(void *context), uint64_t patience_ms) {
    struct words words = {.owner = work == beat ? 7 : 0};
    const struct omni_claim claim = claim_of(&words, patience_ms);
    pthread_t other;
    uint32_t mine = 3;
    assert_int_equal(pthread_create(&other, NULL, work, &words), 0);
    int error = omni_claim_take(&claim, &mine);
    words.stop = true;
    pthread_join(other, NULL);
    assert_int_equal(mine, 3);
    if (work == beat)
        assert_int_equal(words.owner, 7);
    return error;
}

static void a_living_one_is_left_alone(void **state) {
    (void)state;
    assert_int_equal(take_beside(beat, 10000), -EBUSY);
}

static void memory_that_keeps_nothing_is_told(void **state) {
    (void)state;
    assert_int_equal(take_beside(forget, 3600000), -EIO);
}

static void whatever_others_write_it_ends(void **state) {
    (void)state;
    int error = take_beside(come_and_go, 500);
    assert_true(error == -EBUSY || error == -EIO);
    assert_int_equal(take_beside(overtake, 500), -EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_word_is_taken),
        cmocka_unit_test(a_dead_ones_word_is_taken_after_the_stated_time),
        cmocka_unit_test(who_has_less_patience_than_that_disturbs_nobody),
        cmocka_unit_test(a_signal_ends_the_wait),
        cmocka_unit_test(a_living_one_is_left_alone),
        cmocka_unit_test(memory_that_keeps_nothing_is_told),
        cmocka_unit_test(whatever_others_write_it_ends),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
