/* Which reading and which command a tick gets, to the letter: the other end of the hand-off answers
 * when, and what, a test says. In the keeper's place there is one that keeps nothing. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "driver_place.h"
#include "robot/clock.h"
#include "robot/driver_remote.h"

#define PERIOD_NS   (10 * CLOCK_NS_A_MILLISECOND)
#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)

enum { MOST_ANSWERS = 8 };

/* ---- a keeper that keeps nothing ---- */

static struct driver_keeper *kept;
static int hosts_file; /* of the hand-off that is lent */

static void lend(struct driver_keeper *keeper) {
    struct omni_problem problem;
    if (omni_handoff_make(&keeper->handoff, sizeof *keeper->call, &hosts_file, &problem) < 0)
        fail_msg("%s", problem.text);
    keeper->call = omni_handoff_memory(keeper->handoff);
    keeper->borrower = BORROWER_LOOP;
}

int driver_keeper_start(struct driver_keeper *keeper, const struct driver_keeper_settings *settings,
                        const struct host_program *program, struct omni_problem *problem) {
    (void)program;
    (void)problem;
    *keeper = (struct driver_keeper){.settings = *settings};
    kept = keeper;
    lend(keeper);
    return 0;
}

bool driver_keeper_lends(const struct driver_keeper *keeper) {
    return keeper->borrower == BORROWER_LOOP;
}

void driver_keeper_take_back(struct driver_keeper *keeper, int reason) {
    keeper->reason = reason;
    keeper->borrower = BORROWER_NONE;
}

void driver_keeper_stop(struct driver_keeper *keeper) {
    omni_handoff_close(keeper->handoff);
}

/* ---- a host that answers as it is told ---- */

struct answer {
    bool held; /* until release() */
    int32_t result;
    uint16_t range_mm;
};

struct scene {
    struct driver_remote *remote;
    struct omni_handoff *handoff;
    pthread_t thread;
    sem_t released;
    sem_t given; /* counts answers */
    const struct answer *answers;
    int count;
    _Atomic uint32_t wishes[MOST_ANSWERS];
    int8_t powers[MOST_ANSWERS];
};

static void *answer_all(void *argument) {
    struct scene *scene = argument;
    volatile struct driver_call *call = omni_handoff_memory(scene->handoff);
    for (int i = 0; i < scene->count; i++) {
        const struct answer *answer = &scene->answers[i];
        int error;
        while ((error = omni_handoff_await_request(scene->handoff, PATIENCE_NS)) == -EINTR) {
        }
        if (error < 0)
            return NULL;
        if (answer->held)
            (void)sem_wait(&scene->released);
        scene->wishes[i] = call->wish;
        scene->powers[i] = call->powers.percent[0];
        call->result = answer->result;
        for (int s = 0; s < OMNI_DRIVER_SENSORS; s++)
            call->reading.range_mm[s] = answer->range_mm;
        (void)omni_handoff_answer(scene->handoff);
        (void)sem_post(&scene->given);
    }
    return NULL;
}

static void begin_to_answer(struct scene *scene, const struct answer *answers, int count) {
    struct omni_problem problem;
    scene->answers = answers;
    scene->count = count;
    (void)sem_init(&scene->released, 0, 0);
    (void)sem_init(&scene->given, 0, 0);
    if (omni_handoff_join(&scene->handoff, hosts_file, sizeof(struct driver_call), &problem) < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(pthread_create(&scene->thread, NULL, answer_all, scene), 0);
}

static void end_answering(struct scene *scene) {
    (void)pthread_join(scene->thread, NULL);
    omni_handoff_close(scene->handoff);
    (void)sem_destroy(&scene->released);
    (void)sem_destroy(&scene->given);
}

static void open_scene(struct scene *scene, const struct answer *answers, int count) {
    struct host_program program = {.cpu = NULL};
    struct omni_problem problem;
    struct driver_keeper_settings settings = {.driver = "none"};
    assert_int_equal(driver_remote_open(&scene->remote, &settings, PERIOD_NS, &program, &problem),
                     0);
    begin_to_answer(scene, answers, count);
}

static void close_scene(struct scene *scene) {
    end_answering(scene);
    driver_remote_close(scene->remote);
}

/* Lets the answer that is held come, and waits until it has. */
static void release(struct scene *scene) {
    (void)sem_post(&scene->released);
    (void)sem_wait(&scene->given);
}

/* A range, or -errno. */
static int read_one(struct scene *scene) {
    struct omni_driver_reading reading = {{0}, {0}};
    uint64_t read_ns = 0;
    int error = driver_remote_read(scene->remote, &reading, &read_ns);
    return error < 0 ? error : reading.range_mm[0];
}

static int drive(struct scene *scene, int8_t power) {
    return driver_remote_drive(scene->remote, (struct omni_driver_powers){{power, 0, 0}, 0});
}

/* ---- tests ---- */

/* It came between two ticks; what is asked next has nothing newer. */
static void a_late_reading_outlives_an_answer_without_one(void **state) {
    static const struct answer answers[] = {{true, 0, 1111}, {false, 0, 0}, {false, -EAGAIN, 0}};
    struct scene scene = {.remote = NULL};
    (void)state;
    open_scene(&scene, answers, 3);
    assert_int_equal(read_one(&scene), -ETIMEDOUT);
    assert_int_equal(drive(&scene, 1), 0);
    release(&scene);
    assert_int_equal(read_one(&scene), 1111);
    for (uint64_t end = clock_now_ns() + PATIENCE_NS; scene.wishes[2] == 0 && clock_now_ns() < end;)
        assert_true(read_one(&scene) < 0); /* told once */
    close_scene(&scene);
    assert_int_equal(scene.wishes[1], CALL_DRIVE);
}

/* It came between the two calls of a tick, so it is the command that finds it. */
static void a_reading_that_the_command_finds_is_the_next_ticks(void **state) {
    static const struct answer answers[] = {
        {true, 0, 1111}, {false, 0, 0}, {true, 0, 2222}, {false, -EAGAIN, 0}};
    struct scene scene = {.remote = NULL};
    (void)state;
    open_scene(&scene, answers, 4);
    assert_int_equal(read_one(&scene), -ETIMEDOUT);
    release(&scene);
    assert_int_equal(drive(&scene, 1), 0);
    (void)sem_wait(&scene.given);
    assert_int_equal(read_one(&scene), 1111); /* the next one is asked for, and held */
    assert_int_equal(read_one(&scene), -ETIMEDOUT);
    release(&scene);
    assert_int_equal(read_one(&scene), 2222);
    close_scene(&scene);
}

/* Each answer is held until the tick has given up on it: the next one finds it. */
static void what_a_host_says_is_not_believed_unchecked(void **state) {
    static const struct answer answers[] = {
        {true, 0, 0}, {true, 0, 65535}, {true, 1, 1234}, {true, INT32_MIN, 1}, {true, 0, 0}};
    static const int read[] = {20, 4000, 1234, -EIO};
    struct scene scene = {.remote = NULL};
    (void)state;
    open_scene(&scene, answers, 5);
    assert_int_equal(read_one(&scene), -ETIMEDOUT);
    for (int i = 0; i < 4; i++) {
        release(&scene);
        assert_int_equal(read_one(&scene), read[i]);
    }
    release(&scene);
    close_scene(&scene);
}

/* What the old one was to do last is no wish of anybody's any more. */
static void a_new_host_is_not_told_the_old_ones_command(void **state) {
    static const struct answer first[] = {{false, 0, 1111}};
    static const struct answer second[] = {{false, 0, 2222}, {false, 0, 0}};
    struct scene scene = {.remote = NULL};
    (void)state;
    open_scene(&scene, first, 1);
    (void)read_one(&scene);
    (void)sem_wait(&scene.given);
    end_answering(&scene);
    assert_int_equal(drive(&scene, 77), 0);
    while (driver_keeper_lends(kept))
        (void)read_one(&scene);
    assert_int_equal(drive(&scene, 78), 0); /* to nobody */
    omni_handoff_close(kept->handoff);
    lend(kept);
    begin_to_answer(&scene, second, 2);
    (void)read_one(&scene);
    (void)sem_wait(&scene.given);
    assert_int_equal(drive(&scene, 5), 0);
    (void)sem_wait(&scene.given);
    assert_int_equal(scene.wishes[0], CALL_READ);
    assert_int_equal(scene.wishes[1], CALL_DRIVE);
    assert_int_equal(scene.powers[1], 5);
    close_scene(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_reading_outlives_an_answer_without_one),
        cmocka_unit_test(a_reading_that_the_command_finds_is_the_next_ticks),
        cmocka_unit_test(what_a_host_says_is_not_believed_unchecked),
        cmocka_unit_test(a_new_host_is_not_told_the_old_ones_command),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
