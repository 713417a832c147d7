/* When to look next. The pacer is tried in simulated time: a source with its own phase, drift,
 * jitter and delay, a reader that sleeps a little too long. Futex waiting is tried for real, by
 * readers that do not look again by themselves, so that a wake that is lost is missed; that they
 * do look again is tried in goodbye_test.c. */
#include "support.h"

#include <pthread.h>

#include <omni/guard.h>

#define LOOK_AGAIN_NS UINT64_MAX
#include "../../../shared/wait.c" /* NOLINT(bugprone-suspicious-include) */

#define MS  1000000.0
#define US  1000.0
#define SEC 1000000000.0

/* ---- a simulated source and a simulated reader ---- */

struct world {
    double period;                 /* as announced; 0: none */
    double real;                   /* as it is */
    double phase;                  /* stamp of tick 0 */
    double jitter;                 /* stamps lie this much around the grid, at most */
    double delay;                  /* from a stamp to being visible */
    double late_wake;              /* how much too late the reader wakes, at most */
    double paused_from, paused_to; /* no ticks are made in between; the grid goes on after it */
    uint64_t seed;
    struct omni_pacer pacer;
    double now;
    uint64_t seen; /* tick */
};

/* What happened from one moment to another. */
struct account {
    unsigned looks, hits, passed_over;
    double age_sum, age_worst, span, gap_worst;
};

static double noise(uint64_t key) {
    uint64_t seed = key * 0x9E3779B97F4A7C15u | 1;
    chance(&seed);
    return (double)(chance(&seed) >> 11) / 9007199254740992.0;
}

static double stamp_of(const struct world *world, uint64_t tick) {
    double at = world->phase + (double)tick * world->real;
    return at + world->jitter * (2 * noise(tick ^ world->seed) - 1);
}

static bool is_made(const struct world *world, uint64_t tick) {
    double at = world->phase + (double)tick * world->real;
    return at < world->paused_from || at >= world->paused_to;
}

/* The newest tick that can be seen at `now`; 0: none. */
static uint64_t newest_at(const struct world *world, double now) {
    double ticks = (now - world->delay + world->jitter - world->phase) / world->real;
    uint64_t tick = ticks < 1 ? 0 : (uint64_t)ticks;
    while (tick > 0 && (!is_made(world, tick) || stamp_of(world, tick) + world->delay > now))
        tick--;
    return tick;
}

static void begin(struct world *world, double wanted) {
    world->now = world->now > 0 ? world->now : 1000 * SEC;
    world->phase += world->now - 5 * world->real;
    world->real = world->real > 0 ? world->real : world->period;
    omni_pacer_start(&world->pacer, (uint64_t)world->period, (uint64_t)wanted,
                     (uint64_t)world->now);
}

static bool look(struct world *world, struct account *account) {
    uint64_t tick = newest_at(world, world->now);
    account->looks++;
    if (tick <= world->seen) {
        omni_pacer_looked(&world->pacer, (uint64_t)world->now, NULL);
        return false;
    }
    struct omni_stamp stamp = {
        .version = (uint32_t)tick, .tick = tick, .time = {(uint64_t)stamp_of(world, tick), 0}};
    double age = world->now - stamp_of(world, tick) - world->delay;
    account->hits++;
    account->passed_over += (unsigned)(tick - world->seen - 1);
    account->age_sum += age;
    account->age_worst = fmax(account->age_worst, age);
    world->seen = tick;
    omni_pacer_looked(&world->pacer, (uint64_t)world->now, &stamp);
    return true;
}

static struct account run(struct world *world, double span) {
    struct account account = {.span = span};
    double end = world->now + span;
    while (world->now < end) {
        double next = (double)omni_pacer_next(&world->pacer);
        if (account.looks > 0 && next <= world->now)
            fail_msg("the next look is not later than this one: %f", next - world->now);
        account.gap_worst = fmax(account.gap_worst, next - world->now);
        world->now = fmax(world->now, next) + world->late_wake * noise((uint64_t)next);
        look(world, &account);
    }
    return account;
}

static double mean_age(const struct account *account) {
    return account->age_sum / (account->hits > 0 ? account->hits : 1);
}

static void assert_below(const char *what, double value, double limit) {
    if (!(value < limit))
        fail_msg("%s is %g, expected less than %g", what, value, limit);
}

/* Every tick is found at once, with hardly a look in vain. */
static void assert_locked(const struct account *account, const struct world *world, double age) {
    assert_below("mean age of what was found (ns)", mean_age(account), age);
    assert_below("ticks passed over", account->passed_over, 0.01 * account->hits + 1);
    assert_below("looks a tick", (double)account->looks / account->hits, 1.6);
    assert_below("periods a tick", account->span / account->hits / world->real, 1.02);
}

static void first_look_is_at_once(void **state) {
    struct omni_pacer pacer;
    (void)state;
    omni_pacer_start(&pacer, 10000000, 0, 12345);
    assert_int_equal(omni_pacer_next(&pacer), 12345);
    omni_pacer_start(&pacer, 0, 0, 12345);
    assert_int_equal(omni_pacer_next(&pacer), 12345);
}

static void locks_on_whatever_the_phase(void **state) {
    static const double periods[] = {1 * MS, 10 * MS, 16.667 * MS, 100 * MS, 1000 * MS};
    (void)state;
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++)
        for (int part = 0; part < 16; part++) {
            struct world world = {.period = periods[i],
                                  .phase = periods[i] * part / 16,
                                  .delay = 3 * US,
                                  .late_wake = 60 * US};
            begin(&world, 0);
            run(&world, 100 * periods[i]);
            struct account account = run(&world, 400 * periods[i]);
            assert_locked(&account, &world, 100 * US);
        }
}

static void learns_drift(void **state) {
    static const double drifts[] = {-0.05, -0.01, -1e-3, -1e-5, 1e-5, 1e-3, 0.01, 0.05};
    (void)state;
    for (size_t i = 0; i < sizeof drifts / sizeof drifts[0]; i++) {
        struct world world = {.period = 10 * MS,
                              .real = 10 * MS * (1 + drifts[i]),
                              .delay = 3 * US,
                              .late_wake = 60 * US};
        begin(&world, 0);
        run(&world, 20 * SEC);
        struct account account = run(&world, 20 * SEC);
        assert_locked(&account, &world, 150 * US);
        assert_below("error of the learned period", fabs(world.pacer.learned_ns / world.real - 1),
                     1e-3);
    }
}

static void follows_jitter(void **state) {
    static const double jitters[] = {10 * US, 50 * US, 200 * US, 1 * MS};
    (void)state;
    for (size_t i = 0; i < sizeof jitters / sizeof jitters[0]; i++) {
        struct world world = {.period = 10 * MS,
                              .jitter = jitters[i],
                              .delay = 3 * US,
                              .late_wake = 60 * US,
                              .seed = 7};
        begin(&world, 0);
        run(&world, 5 * SEC);
        struct account account = run(&world, 20 * SEC);
        /* Looking just after the late ones means looking that much after the middle. */
        assert_below("mean age (ns)", mean_age(&account), 2 * jitters[i] + 100 * US);
        assert_below("looks a tick", (double)account.looks / account.hits, 2.0);
        assert_below("ticks passed over", account.passed_over, 0.02 * account.hits + 1);
    }
}

/* ---- the pace that the caller wants ---- */

static void assert_near(const char *what, double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s is %g, expected %g give or take %g", what, value, expected, tolerance);
}

static void looks_as_often_as_wanted(void **state) {
    static const struct {
        double hertz, wanted, expected;
    } cases[] = {{100, 60, 60},    {100, 100, 100}, {100, 1000, 100}, {100, 50, 50},
                 {100, 33, 33},    {100, 7, 7},     {100, 1, 1},      {1000, 60, 60},
                 {1000, 999, 999}, {60, 50, 50},    {100, 99, 99},    {25, 60, 25}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world = {.period = SEC / cases[i].hertz,
                              .delay = 3 * US,
                              .late_wake = 60 * US,
                              .jitter = 10 * US};
        begin(&world, SEC / cases[i].wanted);
        run(&world, 10 * SEC);
        struct account account = run(&world, 60 * SEC);
        assert_near("finds a second", account.hits / 60.0, cases[i].expected,
                    0.02 * cases[i].expected + 0.04);
        /* And each just after a tick, hardly ever just before it (when it finds the one before). */
        assert_below("mean age (ns)", mean_age(&account), 300 * US);
        assert_below("looks a find", (double)account.looks / account.hits, 1.7);
    }
}

static void another_pace_counts_at_once(void **state) {
    struct world world = {.period = 10 * MS, .delay = 3 * US, .late_wake = 20 * US};
    (void)state;
    begin(&world, SEC);
    run(&world, 10 * SEC);
    omni_pacer_want(&world.pacer, 0, (uint64_t)world.now);
    assert_below("next look (ns)", (double)omni_pacer_next(&world.pacer) - world.now, 12 * MS);
    struct account account = run(&world, 5 * SEC);
    assert_near("finds a second", account.hits / 5.0, 100, 2);
    omni_pacer_want(&world.pacer, (uint64_t)(SEC / 2), (uint64_t)world.now);
    run(&world, SEC);
    account = run(&world, 20 * SEC);
    assert_near("finds a second", account.hits / 20.0, 2, 0.1);
    uint64_t next = omni_pacer_next(&world.pacer);
    omni_pacer_want(&world.pacer, (uint64_t)(SEC / 2), (uint64_t)world.now);
    assert_int_equal(omni_pacer_next(&world.pacer), next); /* the same again: nothing changes */
}

/* ---- silence ---- */

static void backs_off_in_silence_and_comes_back(void **state) {
    (void)state;
    struct world world = {.period = 10 * MS,
                          .delay = 3 * US,
                          .late_wake = 20 * US,
                          .paused_from = 1005 * SEC,
                          .paused_to = 1035.0037 * SEC};
    begin(&world, 0);
    run(&world, 5 * SEC);
    struct account early = run(&world, 1 * SEC), late = run(&world, 28 * SEC);
    /* Looks get rare, but never rarer than ten a second: a robot that comes back is seen soon. */
    assert_below("looks in the first second of silence", early.looks, 80);
    assert_in_range(late.looks, 28 * 9, 28 * 12);
    assert_below("longest pause (ns)", late.gap_worst, 100 * MS + 1);
    assert_int_equal(late.hits, 0);
    struct account back = run(&world, 2 * SEC);
    assert_below("age of the first find (ns)", back.age_worst, 101 * MS);
    struct account again = run(&world, 5 * SEC);
    assert_locked(&again, &world, 100 * US);
}

/* A robot that starts anew, or that stood still, or that slipped: one stamp is enough. */
static void another_grid_is_taken_up_at_once(void **state) {
    static const struct {
        uint64_t tick, monotonic_ns;
    } cases[] = {{1, 5003000000u}, {1001, 35006000000u}, {1001, 5016000000u}, {1004, 5046000000u}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct omni_pacer pacer;
        struct omni_stamp stamp = {.tick = 1000, .time = {5000000000u, 0}};
        uint64_t at = cases[i].monotonic_ns;
        omni_pacer_start(&pacer, 10000000, 0, 5000001000u);
        omni_pacer_looked(&pacer, 5000001000u, &stamp);
        stamp = (struct omni_stamp){.tick = cases[i].tick, .time = {at, 0}};
        omni_pacer_looked(&pacer, at + 1000, &stamp);
        assert_in_range(omni_pacer_next(&pacer), at + 10000000, at + 10000000 + 100000);
    }
}

/* ---- sources without a period, and stamps that make no sense ---- */

static void events_are_looked_for(void **state) {
    (void)state;
    struct world world = {.period = 0, .real = 300 * MS, .delay = 3 * US, .late_wake = 20 * US};
    begin(&world, 0);
    struct account account = run(&world, 30 * SEC);
    assert_near("finds a second", account.hits / 30.0, 1000 / 300.0, 0.1);
    assert_below("worst age (ns)", account.age_worst, 51 * MS);
    assert_below("looks a second", account.looks / 30.0, 510);
    assert_int_equal(account.passed_over, 4);
    /* Silence: not rarer than 20 a second, not more often either. */
    world.paused_from = world.now;
    world.paused_to = 1e18;
    run(&world, 5 * SEC);
    account = run(&world, 30 * SEC);
    assert_near("looks a second", account.looks / 30.0, 20, 1);
    omni_pacer_want(&world.pacer, (uint64_t)SEC, (uint64_t)world.now);
    run(&world, SEC);
    account = run(&world, 30 * SEC);
    assert_near("looks a second", account.looks / 30.0, 1, 0.1);
}

/* Stamps of another clock, or an enemy's: looking goes on at about the period. */
static void senseless_stamps_do_not_stop_looking(void **state) {
    static const uint64_t stamps[] = {0,
                                      1,
                                      1700000000000000000u, /* the wall clock, by mistake */
                                      1u << 31,
                                      (uint64_t)1 << 53,
                                      UINT64_MAX / 2,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};
    static const uint64_t ticks[] = {0, 1, 2, 1000, UINT64_MAX / 2, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof stamps / sizeof stamps[0]; i++)
        for (size_t k = 0; k < sizeof ticks / sizeof ticks[0]; k++) {
            struct omni_pacer pacer;
            uint64_t now = 1000000000000u, seed = i * 100 + k + 1;
            omni_pacer_start(&pacer, 10000000, 0, now);
            for (int look = 0; look < 200; look++) {
                struct omni_stamp stamp = {.tick = ticks[k] + (uint64_t)(look / 4 % 2),
                                           .time = {stamps[i] + chance(&seed) % 3, 0}};
                bool found = chance(&seed) % 4 != 0;
                omni_pacer_looked(&pacer, now, found ? &stamp : NULL);
                uint64_t next = omni_pacer_next(&pacer);
                assert_in_range(next - now, 1, 110000000);
                now = next;
            }
        }
}

/* A publisher that stamps with another clock of the same pace is found each tick all the same. */
static void clock_of_the_future_is_survived(void **state) {
    struct omni_pacer pacer;
    uint64_t now = 1000000000000u, tick = 0, looks = 0;
    (void)state;
    omni_pacer_start(&pacer, 10000000, 0, now);
    for (; now < 1010000000000u; looks++) {
        uint64_t newest = (now - 1000000000000u) / 10000000 + 1;
        struct omni_stamp stamp = {.tick = newest, .time = {now + 500000000000000000u, 0}};
        omni_pacer_looked(&pacer, now, newest > tick ? &stamp : NULL);
        tick = newest;
        now = omni_pacer_next(&pacer);
    }
    assert_in_range(looks, 300, 5000);
}

/* ---- futex, for real ---- */

#define LONG_NS ((uint64_t)60000000000u) /* nobody waits for it but a test that fails */

struct sleeper {
    const struct scratch *scratch;
    _Atomic pid_t thread;
    _Atomic bool ended;
    int error;
    uint32_t seen;
};

static void *sleep_once(void *context) {
    struct sleeper *sleeper = context;
    struct omni_observer *observer = NULL;
    sleeper->thread = gettid();
    sleeper->error = try_attach(sleeper->scratch, "name", &observer, NULL);
    if (sleeper->error == 0)
        sleeper->error = omni_wait_version(observer, sleeper->seen, LONG_NS);
    sleeper->ended = true;
    omni_observer_detach(observer);
    return NULL;
}

/* Until the flag says that it sleeps, or is about to. */
static void wait_for_flag(const struct scratch *scratch) {
    char path[PATH_MAX];
    uint32_t word = 0;
    scratch_path(scratch, "omni-sleepers.name", path, sizeof path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    while (word == 0) {
        assert_int_equal(pread(file, &word, sizeof word, 0), sizeof word);
        sleep_us(100);
    }
    close(file);
}

static struct omni_publisher *open_hand_off(const struct scratch *scratch) {
    return must_open(scratch, "name", parcel_schema(),
                     (struct omni_publisher_options){.certain_wake = true});
}

static void sleeping_thread_is_woken(void **state) {
    struct omni_publisher *publisher = open_hand_off(*state);
    publish_parcel(publisher);
    for (int round = 0; round < 20; round++) {
        struct sleeper sleeper = {.scratch = *state, .seen = (uint32_t)round + 1};
        pthread_t thread;
        uint64_t start = now_ns();
        assert_int_equal(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
        wait_for_flag(*state);
        assert_false(sleeper.ended);
        publish_parcel(publisher);
        pthread_join(thread, NULL);
        assert_int_equal(sleeper.error, 0);
        assert_true(now_ns() - start < LONG_NS / 2); /* woken, not timed out */
    }
    omni_publisher_close(publisher);
}

/* Once its flag is up, the futex is all that a reader sleeps for. */
static bool is_asleep(pid_t thread) {
    char path[64];
    char line[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    const char *name_end = strrchr(line, ')');
    return name_end != NULL && name_end[2] == 'S';
}

static void goodbye_wakes_too(void **state) {
    struct sleeper sleeper = {.scratch = *state, .seen = 1};
    pthread_t thread;
    struct omni_publisher *publisher = open_hand_off(*state);
    publish_parcel(publisher);
    uint64_t start = now_ns();
    assert_int_equal(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
    wait_for_flag(*state);
    while (!is_asleep(sleeper.thread))
        sleep_us(100);
    omni_publisher_close(publisher);
    pthread_join(thread, NULL);
    assert_int_equal(sleeper.error, -EPIPE);
    assert_true(now_ns() - start < LONG_NS / 2);
}

static int sleep_in_child(void *context) {
    struct sleeper *sleeper = context;
    struct omni_observer_options options = {.directory = sleeper->scratch->directory};
    struct omni_observer *observer;
    uint64_t start = now_ns();
    die_with_parent();
    if (omni_observer_attach(&observer, "name", &options, NULL) < 0)
        return 100;
    int error = omni_wait_version(observer, sleeper->seen, LONG_NS);
    omni_observer_detach(observer);
    return now_ns() - start > LONG_NS / 2 ? 101 : -error;
}

static pid_t start_child(struct sleeper *sleeper) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(sleep_in_child(sleeper));
    assert_true(child > 0);
    return child;
}

static void sleeping_process_is_woken(void **state) {
    struct sleeper sleeper = {.scratch = *state, .seen = 1};
    struct omni_publisher *publisher = open_hand_off(*state);
    int status = 0;
    publish_parcel(publisher);
    pid_t child = start_child(&sleeper);
    wait_for_flag(*state);
    publish_parcel(publisher);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_exit(status, 0);
    omni_publisher_close(publisher);
}

static uint32_t flag_of(const struct scratch *scratch) {
    char path[PATH_MAX];
    uint32_t word = 77;
    scratch_path(scratch, "omni-sleepers.name", path, sizeof path);
    struct bytes bytes = read_file(path);
    assert_true(bytes.count >= sizeof word);
    memcpy(&word, bytes.at, sizeof word);
    free(bytes.at);
    return word;
}

static void what_is_there_is_not_waited_for(void **state) {
    struct omni_publisher *publisher = open_hand_off(*state);
    struct omni_observer *observer = must_attach(*state, "name");
    publish_parcel(publisher);
    assert_int_equal(omni_wait_version(observer, 0, LONG_NS), 0);
    assert_int_equal(omni_wait_version(observer, 77, LONG_NS), 0);
    assert_int_equal(omni_wait_version(observer, 0, UINT64_MAX), 0);
    assert_int_equal(omni_wait_version(observer, 0, 0), 0);
    assert_int_equal(omni_wait_version(observer, 1, 0), -ETIMEDOUT);
    uint64_t start = now_ns();
    assert_int_equal(omni_wait_version(observer, 1, 30000000), -ETIMEDOUT);
    assert_true(now_ns() - start >= 30000000);
    omni_publisher_close(publisher);
    assert_int_equal(omni_wait_version(observer, 0, LONG_NS), 0); /* the last words first */
    assert_int_equal(omni_wait_version(observer, 1, LONG_NS), -EPIPE);
    omni_observer_detach(observer);
}

static void ignore_it(int signal) {
    (void)signal;
}

static void signal_ends_the_wait(void **state) {
    struct sigaction action = {.sa_handler = ignore_it}, before;
    struct omni_publisher *publisher = open_hand_off(*state);
    struct omni_observer *observer = must_attach(*state, "name");
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 20000000}, {0, 20000000}};
    publish_parcel(publisher);
    sigaction(SIGUSR1, &action, &before);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
    assert_int_equal(omni_wait_version(observer, 1, LONG_NS), -EINTR);
    timer_delete(timer);
    sigaction(SIGUSR1, &before, NULL);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

static int wait_as_nobody(void *context) {
    const struct scratch *scratch = context;
    struct omni_observer_options options = {.directory = scratch->directory};
    struct omni_observer *observer;
    if (setegid(65534) < 0 || seteuid(65534) < 0)
        return 100;
    if (omni_observer_attach(&observer, "name", &options, NULL) < 0)
        return 101;
    return -omni_wait_version(observer, 0, LONG_NS);
}

static void another_user_may_not_ask_for_a_wake(void **state) {
    SKIP_UNLESS_ROOT();
    const struct scratch *scratch = *state;
    struct omni_publisher *publisher = open_hand_off(scratch);
    assert_int_equal(chmod(scratch->directory, 0755), 0);
    assert_exit(in_child(wait_as_nobody, *state), EPERM);
    omni_publisher_close(publisher);
}

static void garbage_in_the_flag_costs_one_wake(void **state) {
    static const uint32_t garbage[] = {1, 2, 0x80000000, UINT32_MAX};
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    scratch_path(scratch, "omni-sleepers.name", path, sizeof path);
    for (int certain = 0; certain < 2; certain++) {
        struct omni_publisher_options options = {.certain_wake = certain != 0};
        struct omni_publisher *publisher = must_open(scratch, "name", parcel_schema(), options);
        for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
            int file = open(path, O_WRONLY | O_CLOEXEC);
            assert_int_equal(pwrite(file, &garbage[i], 4, 0), 4);
            close(file);
            publish_parcel(publisher);
            assert_int_equal(flag_of(scratch), 0);
        }
        omni_publisher_close(publisher);
    }
}

/* ---- hand-off: no wake may be lost ---- */

struct hand_off {
    const struct scratch *scratch;
    _Atomic uint32_t taken[2]; /* the version that each reader has taken last */
    _Atomic unsigned refused;
    uint32_t rounds;
};

struct taker {
    struct hand_off *hand_off;
    int number;
};

static void *take_each(void *context) {
    struct taker *taker = context;
    struct hand_off *hand_off = taker->hand_off;
    struct omni_observer *observer = NULL;
    if (try_attach(hand_off->scratch, "name", &observer, NULL) < 0) {
        hand_off->refused++;
        return NULL;
    }
    for (uint32_t seen = 0; seen < hand_off->rounds;) {
        /* Who is not woken sleeps for so long that it is missed. */
        omni_wait_version(observer, seen, LONG_NS);
        seen = omni_observer_version(observer);
        hand_off->taken[taker->number] = seen;
    }
    omni_observer_detach(observer);
    return NULL;
}

static bool have_taken(const struct hand_off *hand_off, uint32_t round) {
    return hand_off->taken[0] >= round && hand_off->taken[1] >= round;
}

/* False where somebody still sleeps when everybody else would long be awake, however busy the
 * machine is. Nobody yields here: among busy processes the scheduler lets who yields wait longer
 * and longer. */
static bool wait_for_takers(const struct hand_off *hand_off, uint32_t round) {
    for (unsigned looks = 0; looks < 10000; looks++)
        if (have_taken(hand_off, round))
            return true;
    uint64_t end = now_ns() + LONG_NS / 2;
    while (!have_taken(hand_off, round)) {
        if (now_ns() > end || hand_off->refused > 0)
            return false;
        sleep_us(1);
    }
    return true;
}

/* In lockstep: the next one is published when both have this one, the moment when they go to
 * sleep again. */
static void hand_off_to(const struct scratch *scratch, int count) {
    struct hand_off hand_off = {.scratch = scratch, .rounds = checked_build ? 5000 : 100000};
    struct taker takers[2] = {{&hand_off, 0}, {&hand_off, 1}};
    pthread_t threads[2];
    struct omni_publisher *publisher = open_hand_off(scratch);
    uint64_t seed = now_ns() | 1;
    uint32_t lost = 0; /* the version of which the wake was */
    uint32_t done = 0;
    prctl(PR_SET_TIMERSLACK, 1);
    if (count < 2)
        hand_off.taken[1] = UINT32_MAX;
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_each, &takers[i]), 0);
    /* All of them take a second; a machine that has other work does fewer. */
    uint64_t end = now_ns() + LONG_NS;
    for (uint32_t round = 1; round <= hand_off.rounds && lost == 0 && now_ns() < end; round++) {
        publish_parcel(publisher);
        done = round;
        if (!wait_for_takers(&hand_off, round))
            lost = round;
        /* Now they go to sleep: hit each moment of it. */
        for (volatile uint64_t spin = chance(&seed) % 256; spin > 0; spin--)
            continue;
    }
    while (omni_publisher_tick(publisher) < hand_off.rounds)
        publish_parcel(publisher);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (done < hand_off.rounds)
        print_message("        %u of %u hand-offs\n", done, hand_off.rounds);
    assert_int_equal(hand_off.refused, 0);
    assert_int_equal(lost, 0);
    omni_publisher_close(publisher);
}

static void certain_wake_is_certain(void **state) {
    hand_off_to(*state, 1);
    hand_off_to(*state, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_look_is_at_once),
        cmocka_unit_test(locks_on_whatever_the_phase),
        cmocka_unit_test(learns_drift),
        cmocka_unit_test(follows_jitter),
        cmocka_unit_test(looks_as_often_as_wanted),
        cmocka_unit_test(another_pace_counts_at_once),
        cmocka_unit_test(backs_off_in_silence_and_comes_back),
        cmocka_unit_test(another_grid_is_taken_up_at_once),
        cmocka_unit_test(events_are_looked_for),
        cmocka_unit_test(senseless_stamps_do_not_stop_looking),
        cmocka_unit_test(clock_of_the_future_is_survived),
        TEST(sleeping_thread_is_woken),
        TEST(sleeping_process_is_woken),
        TEST(goodbye_wakes_too),
        TEST(what_is_there_is_not_waited_for),
        TEST(signal_ends_the_wait),
        TEST(another_user_may_not_ask_for_a_wake),
        TEST(garbage_in_the_flag_costs_one_wake),
        TEST(certain_wake_is_certain),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
