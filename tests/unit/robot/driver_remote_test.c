/* A driver in a real host process, from the loop's side: answers, lateness, death, restart. */
#include <errno.h>
#include <signal.h>

#include "driver_place.h"
#include "robot/clock.h"
#include "robot/driver_remote.h"

#define PERIOD_NS   (10 * CLOCK_NS_A_MILLISECOND)
#define PATIENCE_NS (20 * CLOCK_NS_A_SECOND)

struct remote {
    struct place place;
    char driver[PATH_MAX + 64];
    char handoff[128];
    struct driver_remote *remote;
    uint64_t ticks;
    uint64_t next_ns;
};

static int try_open(struct remote *it, struct omni_problem *problem) {
    const struct cpu *own = NULL;
    struct host_program program;
    (void)snprintf(it->driver, sizeof it->driver, "%s",
                   place_path(&it->place, true, "tests/drivers/recorder.so"));
    (void)snprintf(it->handoff, sizeof it->handoff, "%s/handoff", it->place.folder);
    struct driver_keeper_settings settings = {
        .driver = it->driver, .config = it->place.folder, .handoff = it->handoff};
    assert_int_equal(cpu_of_file("/proc/self/exe", &own, NULL), 0);
    int error =
        host_find(&program, own, true, place_path(&it->place, true, "omni-driver-host"), problem);
    if (error < 0)
        fail_msg("%s", problem->text);
    it->ticks = 0;
    it->next_ns = clock_now_ns();
    return driver_remote_open(&it->remote, &settings, PERIOD_NS, &program, problem);
}

static void must_open(struct remote *it) {
    struct omni_problem problem = {""};
    place_open(&it->place);
    if (try_open(it, &problem) < 0)
        fail_msg("%s", problem.text);
}

/* One tick as the loop makes it. Returns what the reading came to. */
static int tick(struct remote *it, struct omni_driver_reading *reading) {
    uint64_t read_ns = 0;
    uint64_t began_ns = clock_now_ns();
    int error = driver_remote_read(it->remote, reading, &read_ns);
    if (error == 0)
        assert_in_range(read_ns, began_ns - CLOCK_NS_A_SECOND, clock_now_ns());
    int8_t power = (int8_t)(++it->ticks % 100);
    assert_int_equal(driver_remote_drive(it->remote, (struct omni_driver_powers){{power, 0, 0}, 0}),
                     0);
    it->next_ns += PERIOD_NS;
    (void)clock_sleep_until(it->next_ns);
    return error;
}

static void tick_until_it_answers(struct remote *it, bool answers) {
    struct omni_driver_reading reading;
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    while ((tick(it, &reading) == 0) != answers)
        if (clock_now_ns() > bound)
            fail_msg("it %s", answers ? "does not answer" : "answers still");
}

/* The process that the newest line of the recorder's log names. */
static pid_t host_of(const struct remote *it) {
    char line[128] = "";
    long id = 0;
    FILE *log = fopen(place_path(&it->place, false, "log"), "re");
    assert_non_null(log);
    while (fgets(line, sizeof line, log) != NULL)
        id = strtol(line, NULL, 10);
    (void)fclose(log);
    assert_true(id > 0 && id != getpid());
    return (pid_t)id;
}

static void finish(struct remote *it) {
    driver_remote_close(it->remote);
    assert_int_equal(access(it->handoff, F_OK), -1);
    place_close(&it->place);
}

static void calls_reach_the_driver_in_its_process(void **state) {
    (void)state;
    struct remote it = {0};
    char log[2048];
    unsigned before = 0;
    must_open(&it);
    for (int i = 0; i < 20; i++) {
        struct omni_driver_reading reading;
        if (tick(&it, &reading) < 0)
            continue;
        unsigned n = reading.range_mm[0] - 100u;
        assert_true(i == 0 || n >= before);
        for (unsigned s = 0; s < OMNI_DRIVER_SENSORS; s++)
            assert_int_equal(reading.range_mm[s], n + 100 * (s + 1));
        before = n;
    }
    assert_true(before > 0);
    assert_int_equal(driver_remote_facts(it.remote).restarts, 0);
    driver_remote_close(it.remote);
    it.remote = NULL;
    place_log(&it.place, log, sizeof log);
    assert_int_equal(strncmp(log, "open;motors ", 12), 0);
    const char *end = "motors 0 0 0;close;";
    assert_string_equal(log + strlen(log) - strlen(end), end);
    if (strstr(log, "motors 20 0 0;") == NULL && strstr(log, "motors 19 0 0;") == NULL)
        fail_msg("the last commands did not arrive: %s", log);
    finish(&it);
}

static void a_dead_hosts_place_is_taken_by_another(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    pid_t first = host_of(&it);
    assert_int_equal(kill(first, SIGKILL), 0);
    tick_until_it_answers(&it, false);
    tick_until_it_answers(&it, true);
    assert_true(host_of(&it) != first);
    struct driver_remote_facts facts = driver_remote_facts(it.remote);
    assert_int_equal(facts.restarts, 1);
    assert_true(facts.silent > 0);
    finish(&it);
}

static void a_hung_host_is_ended_and_replaced(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    pid_t first = host_of(&it);
    assert_int_equal(kill(first, SIGSTOP), 0);
    tick_until_it_answers(&it, false);
    assert_int_equal(kill(first, 0), 0); /* it gets some time */
    tick_until_it_answers(&it, true);
    assert_true(host_of(&it) != first);
    assert_int_equal(driver_remote_facts(it.remote).restarts, 1);
    finish(&it);
}

/* A short pause is none of the keeper's business; what was asked meanwhile is not mixed up. */
static void a_late_host_is_kept(void **state) {
    (void)state;
    struct remote it = {0};
    must_open(&it);
    tick_until_it_answers(&it, true);
    pid_t host = host_of(&it);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill(host, SIGSTOP), 0);
        tick_until_it_answers(&it, false);
        assert_int_equal(kill(host, SIGCONT), 0);
        tick_until_it_answers(&it, true);
    }
    if (driver_remote_facts(it.remote).restarts == 0) /* this machine was fast enough */
        assert_int_equal(host_of(&it), host);
    finish(&it);
}

static void what_the_driver_refuses_is_told_and_nothing_is_left(void **state) {
    (void)state;
    struct remote it = {0};
    struct omni_problem problem = {""};
    place_open(&it.place);
    place_shall(&it.place, "fail-open");
    assert_int_equal(try_open(&it, &problem), -ENODEV);
    assert_null(it.remote);
    if (strstr(problem.text, "cannot open its hardware: Input/output error") == NULL)
        fail_msg("%s", problem.text);
    place_shall_not(&it.place, "fail-open");
    driver_remote_close(NULL);
    finish(&it);
}

static void a_refused_command_is_told(void **state) {
    (void)state;
    struct remote it = {0};
    struct omni_driver_reading reading;
    uint64_t read_ns;
    must_open(&it);
    tick_until_it_answers(&it, true);
    place_shall(&it.place, "refuse");
    uint64_t bound = clock_now_ns() + PATIENCE_NS;
    int error = 0;
    while (error == 0 && clock_now_ns() < bound) {
        (void)driver_remote_read(it.remote, &reading, &read_ns);
        error = driver_remote_drive(it.remote, (struct omni_driver_powers){{1, 1, 1}, 0});
    }
    assert_int_equal(error, -EIO);
    place_shall_not(&it.place, "refuse");
    finish(&it);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_reach_the_driver_in_its_process),
        cmocka_unit_test(a_dead_hosts_place_is_taken_by_another),
        cmocka_unit_test(a_hung_host_is_ended_and_replaced),
        cmocka_unit_test(a_late_host_is_kept),
        cmocka_unit_test(what_the_driver_refuses_is_told_and_nothing_is_left),
        cmocka_unit_test(a_refused_command_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
