/*
 * Two sides of a hand-off in two processes: turns, numbers, life and death, and what may lie at its
 * path. The bytes are looked at in the file, at literal offsets: another CPU has the same.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <omni/handoff.h>

#include "support.h"

enum {
    MEMORY = 100,
    HEAD = 192,
    ASKED_AT = 64,
    ANSWERED_AT = 128,
    TURNS = 20000,
    LONG_NS = 30000000 /* of a wait that is to end in vain */
};

#define PATIENT_NS 20000000000u /* of one that is not */

static const enum omni_handoff_side ASKER = OMNI_HANDOFF_ASKER, ANSWERER = OMNI_HANDOFF_ANSWERER;

static const char *path_in(const struct scratch *scratch) {
    static char path[PATH_MAX];
    scratch_path(scratch, "turns", path, sizeof path);
    return path;
}

static struct omni_handoff *must_take(const char *path, enum omni_handoff_side side) {
    struct omni_handoff *handoff = NULL;
    struct omni_problem problem = {""};
    if (omni_handoff_open(&handoff, path, side, MEMORY, &problem) < 0)
        fail_msg("cannot open %s: %s", path, problem.text);
    return handoff;
}

static void assert_refused(const char *path, enum omni_handoff_side side, uint32_t memory,
                           int expected, const char *sentence) {
    struct omni_handoff *handoff = NULL;
    struct omni_problem problem = {""};
    int files = open_files();
    assert_int_equal(omni_handoff_open(&handoff, path, side, memory, &problem), expected);
    assert_null(handoff);
    assert_int_equal(open_files(), files);
    if (strstr(problem.text, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, sentence);
}

static uint32_t word_at(const char *path, off_t at) {
    uint32_t word = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(file, &word, sizeof word, at), sizeof word);
    close(file);
    return word;
}

static void set_word(const char *path, off_t at, uint32_t word) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(file, &word, sizeof word, at), sizeof word);
    close(file);
}

/* Of a file that nobody is at. */
static void set_numbers(const char *path, uint32_t number) {
    omni_handoff_close(must_take(path, ASKER));
    set_word(path, ASKED_AT, number);
    set_word(path, ANSWERED_AT, number);
}

/* ---- another process ---- */

/* Runs act(path) in a child that ends with it; its exit status is what act returns. */
static pid_t start_other(int (*act)(const char *path), const char *path) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        die_of_faults();
        die_with_parent();
        _exit(act(path));
    }
    assert_true(child > 0);
    return child;
}

static int end_of(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void kill_other(pid_t child) {
    kill(child, SIGKILL);
    end_of(child);
}

static struct omni_handoff *open_in_child(const char *path, enum omni_handoff_side side) {
    struct omni_handoff *handoff = NULL;
    while (omni_handoff_open(&handoff, path, side, MEMORY, NULL) < 0)
        sleep_us(1000);
    return handoff;
}

static void await_connection(const struct omni_handoff *handoff, int expected) {
    while (omni_handoff_is_connected(handoff) != expected)
        sleep_us(1000);
}

/* ---- turns ---- */

static int triple_until_gone(const char *path) {
    struct omni_handoff *handoff = open_in_child(path, ANSWERER);
    volatile uint32_t *memory = omni_handoff_memory(handoff);
    int error;
    while ((error = omni_handoff_await_request(handoff, PATIENT_NS)) == 0 || error == -ENOTCONN) {
        if (error < 0)
            continue;
        memory[1] = 3 * memory[0];
        memory[2]++;
        if (omni_handoff_answer(handoff) < 0)
            return 2;
    }
    omni_handoff_close(handoff);
    return error == -EPIPE ? 0 : 3;
}

/* More turns than could be made by waiting for time-outs, over the wrap of the numbers. */
static void each_request_has_one_answer(void **state) {
    const char *path = path_in(*state);
    const uint32_t first = UINT32_MAX - TURNS / 2;
    set_numbers(path, first);
    struct omni_handoff *asker = must_take(path, ASKER);
    volatile uint32_t *memory = omni_handoff_memory(asker);
    pid_t other = start_other(triple_until_gone, path);
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        memory[0] = turn;
        assert_int_equal(omni_handoff_ask(asker), 0);
        assert_int_equal(omni_handoff_await_answer(asker, PATIENT_NS), 0);
        assert_int_equal(memory[1], 3 * turn);
        assert_int_equal(memory[2], turn);
    }
    assert_int_equal(word_at(path, ASKED_AT), first + TURNS);
    assert_int_equal(word_at(path, ANSWERED_AT), first + TURNS);
    omni_handoff_close(asker);
    assert_exit(end_of(other), 0);
}

static void a_late_answer_is_not_the_next_ones(void **state) {
    const char *path = path_in(*state);
    set_numbers(path, UINT32_MAX - 1);
    struct omni_handoff *asker = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(omni_handoff_ask(asker), 0);
        assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ETIMEDOUT);
        assert_int_equal(omni_handoff_ask(asker), -EBUSY);
        assert_int_equal(omni_handoff_withdraw(asker), -EBUSY);
        assert_int_equal(omni_handoff_await_request(answerer, 0), 0);
        assert_int_equal(omni_handoff_await_request(answerer, 0), 0); /* the same */
        assert_int_equal(omni_handoff_answer(answerer), 0);
        assert_int_equal(omni_handoff_answer(answerer), -EINVAL);
        assert_int_equal(omni_handoff_await_answer(asker, 0), 0);
        assert_int_equal(omni_handoff_await_answer(asker, 0), 0); /* none stands */
        assert_int_equal(omni_handoff_await_request(answerer, 0), -ETIMEDOUT);
    }
    omni_handoff_close(asker);
    omni_handoff_close(answerer);
}

/* ---- waiting ---- */

static double used_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void nobody_spins(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    const uint64_t second_ns = 1000000000u;
    assert_int_equal(omni_handoff_ask(asker), 0);
    double before = used_seconds();
    uint64_t start = now_ns();
    assert_int_equal(omni_handoff_await_answer(asker, second_ns), -ETIMEDOUT);
    assert_int_equal(omni_handoff_await_request(answerer, 0), 0);
    assert_int_equal(omni_handoff_answer(answerer), 0);
    assert_int_equal(omni_handoff_await_request(answerer, second_ns), -ETIMEDOUT);
    assert_true(now_ns() - start >= 2 * second_ns);
    double used = used_seconds() - before;
    if (used > 0.1)
        fail_msg("waiting for 2 s took %.3f s of a core", used);
    omni_handoff_close(asker);
    omni_handoff_close(answerer);
}

static void on_alarm(int signal) {
    (void)signal;
}

static void a_signal_ends_the_wait(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER);
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval soon = {.it_interval = {0, 10000}, .it_value = {0, 10000}}, never = {0};
    assert_int_equal(omni_handoff_ask(asker), 0);
    sigaction(SIGVTALRM, &action, &before);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(omni_handoff_await_answer(asker, OMNI_HANDOFF_FOREVER), -EINTR);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    alarm(PATIENCE_SECONDS);
    omni_handoff_close(asker);
}

/* A word of the file that a broken other side changes without end. */
struct restless {
    _Atomic uint32_t *word;
    _Atomic bool stop;
    pthread_t thread;
};

/* Never a number that the test has. */
#define FAR (1u << 31)

static void *change_for_ever(void *argument) {
    struct restless *restless = argument;
    uint32_t number = 0;
    while (!restless->stop)
        *restless->word = ++number | FAR;
    return NULL;
}

static void begin_to_change(struct restless *restless, const struct omni_handoff *handoff, int at) {
    char *head = (char *)omni_handoff_memory(handoff) - HEAD;
    *restless = (struct restless){.word = (_Atomic uint32_t *)(void *)(head + at)};
    uint32_t before = *restless->word;
    assert_int_equal(pthread_create(&restless->thread, NULL, change_for_ever, restless), 0);
    while (*restless->word == before)
        sleep_us(1000);
}

static void end_changing(struct restless *restless) {
    restless->stop = true;
    pthread_join(restless->thread, NULL);
}

/* Without a bound of its own, the wait would end only with this test's alarm. */
static void a_word_that_changes_for_ever_ends_the_wait_in_time(void **state) {
    const char *path = path_in(*state);
    struct restless restless;
    struct omni_handoff *asker = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    assert_int_equal(omni_handoff_ask(asker), 0);
    begin_to_change(&restless, asker, ANSWERED_AT);
    assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ETIMEDOUT);
    assert_int_equal(omni_handoff_await_answer(asker, 0), -ETIMEDOUT);
    end_changing(&restless);
    omni_handoff_close(asker);
    begin_to_change(&restless, answerer, ASKED_AT);
    int error = omni_handoff_await_request(answerer, LONG_NS);
    assert_true(error == -ENOTCONN || error == -EPIPE);
    assert_int_equal(omni_handoff_await_request(answerer, LONG_NS), -ENOTCONN);
    end_changing(&restless);
    omni_handoff_close(answerer);
}

/* ---- life and death ---- */

static int take_and_hang(const char *path) {
    struct omni_handoff *handoff = open_in_child(path, ANSWERER);
    int error;
    while ((error = omni_handoff_await_request(handoff, PATIENT_NS)) == -ENOTCONN) {
    }
    if (error == 0)
        for (;;)
            pause();
    return 2;
}

static int ask_and_hang(const char *path) {
    struct omni_handoff *handoff = open_in_child(path, ASKER);
    if (omni_handoff_ask(handoff) == 0)
        for (;;)
            pause();
    return 2;
}

static int answer_one(const char *path) {
    struct omni_handoff *handoff = open_in_child(path, ANSWERER);
    while (omni_handoff_await_request(handoff, PATIENT_NS) == -ENOTCONN) {
    }
    int error = omni_handoff_answer(handoff);
    omni_handoff_close(handoff);
    return error == 0 ? 0 : 2;
}

static void the_answerers_death_is_told_once_and_the_next_one_serves(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ENOTCONN);
    pid_t other = start_other(take_and_hang, path);
    await_connection(asker, 1);
    assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ETIMEDOUT);
    kill(other, SIGKILL);
    assert_int_equal(omni_handoff_await_answer(asker, OMNI_HANDOFF_FOREVER), -EPIPE);
    end_of(other);
    assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ENOTCONN);
    other = start_other(answer_one, path);
    assert_int_equal(omni_handoff_await_answer(asker, PATIENT_NS), 0);
    assert_exit(end_of(other), 0);
    omni_handoff_close(asker);
}

static void a_stopped_answerer_is_waited_for(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER);
    pid_t other = start_other(triple_until_gone, path);
    await_connection(asker, 1);
    kill(other, SIGSTOP);
    assert_int_equal(waitpid(other, NULL, WUNTRACED), other);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_answer(asker, 300000000), -ETIMEDOUT);
    kill(other, SIGCONT);
    assert_int_equal(omni_handoff_await_answer(asker, PATIENT_NS), 0);
    omni_handoff_close(asker);
    assert_exit(end_of(other), 0);
}

static void a_dead_askers_request_is_void(void **state) {
    const char *path = path_in(*state);
    pid_t other = start_other(ask_and_hang, path);
    struct omni_handoff *answerer = open_in_child(path, ANSWERER);
    await_connection(answerer, 1);
    while (word_at(path, ASKED_AT) != 1)
        sleep_us(1000);
    kill_other(other);
    assert_int_equal(omni_handoff_await_request(answerer, LONG_NS), -ENOTCONN);
    struct omni_handoff *asker = must_take(path, ASKER);
    assert_int_equal(omni_handoff_await_request(answerer, 0), -ETIMEDOUT);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_request(answerer, 0), 0);
    omni_handoff_close(asker);
    omni_handoff_close(answerer);
}

static void the_askers_death_is_told_once(void **state) {
    const char *path = path_in(*state);
    pid_t other = start_other(ask_and_hang, path);
    struct omni_handoff *answerer = open_in_child(path, ANSWERER);
    assert_int_equal(omni_handoff_await_request(answerer, PATIENT_NS), 0);
    assert_int_equal(omni_handoff_answer(answerer), 0);
    kill(other, SIGKILL);
    assert_int_equal(omni_handoff_await_request(answerer, OMNI_HANDOFF_FOREVER), -EPIPE);
    end_of(other);
    assert_int_equal(omni_handoff_await_request(answerer, LONG_NS), -ENOTCONN);
    omni_handoff_close(answerer);
}

static void what_a_dead_one_began_is_ended_before_the_next_is_asked(void **state) {
    const char *path = path_in(*state);
    pid_t other = start_other(ask_and_hang, path);
    struct omni_handoff *answerer = open_in_child(path, ANSWERER);
    assert_int_equal(omni_handoff_await_request(answerer, PATIENT_NS), 0);
    kill_other(other);
    struct omni_handoff *asker = must_take(path, ASKER);
    assert_int_equal(omni_handoff_ask(asker), -EBUSY);
    assert_int_equal(omni_handoff_answer(answerer), 0);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_answer(asker, 0), -ETIMEDOUT);
    omni_handoff_close(answerer);
    omni_handoff_close(asker);
}

static void a_goodbye_is_told(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    assert_int_equal(omni_handoff_await_request(answerer, 0), -ETIMEDOUT);
    omni_handoff_close(asker);
    assert_int_equal(omni_handoff_await_request(answerer, OMNI_HANDOFF_FOREVER), -EPIPE);
    omni_handoff_close(answerer);
    omni_handoff_close(NULL);
}

/* Who was never looked at, but answered, was there. */
static void the_end_of_one_who_was_only_heard_is_told(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_request(answerer, 0), 0);
    assert_int_equal(omni_handoff_answer(answerer), 0);
    omni_handoff_close(answerer);
    assert_int_equal(omni_handoff_await_answer(asker, 0), 0);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_answer(asker, PATIENT_NS), -EPIPE);
    assert_int_equal(omni_handoff_await_answer(asker, 0), -ENOTCONN);
    omni_handoff_close(asker);
}

static void what_nobody_can_answer_is_withdrawn(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER);
    assert_int_equal(omni_handoff_withdraw(asker), 0);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_withdraw(asker), 0);
    assert_int_equal(omni_handoff_await_answer(asker, 0), 0);
    struct omni_handoff *answerer = must_take(path, ANSWERER); /* the place is free again */
    assert_int_equal(omni_handoff_await_request(answerer, 0), -ETIMEDOUT);
    omni_handoff_close(answerer);
    omni_handoff_close(asker);
}

static void one_of_each_at_a_time(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    assert_refused(path, ASKER, MEMORY, -EBUSY, "another process asks");
    assert_refused(path, ANSWERER, MEMORY, -EBUSY, "another process answers");
    omni_handoff_close(asker);
    omni_handoff_close(must_take(path, ASKER));
    omni_handoff_close(answerer);
}

/* ---- the file ---- */

static void the_bytes_are_where_they_are_said_to_be(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = must_take(path, ASKER);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    struct bytes file = read_file(path);
    assert_int_equal(file.count, HEAD + MEMORY);
    assert_memory_equal(file.at, "OMNIHAND", 8);
    for (size_t i = HEAD; i < file.count; i++)
        assert_int_equal(file.at[i], 0);
    free(file.at);
    assert_int_equal(word_at(path, 8), 1);
    assert_int_equal(word_at(path, 12), 0x01020304);
    assert_int_equal(word_at(path, 16), HEAD);
    assert_int_equal(word_at(path, 20), MEMORY);
    struct omni_handoff *answerer = must_take(path, ANSWERER);
    assert_int_equal(omni_handoff_memory_bytes(answerer), MEMORY);
    memset(omni_handoff_memory(asker), 7, MEMORY);
    assert_memory_equal(omni_handoff_memory(asker), omni_handoff_memory(answerer), MEMORY);
    assert_int_equal(word_at(path, HEAD), 0x07070707);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(word_at(path, ASKED_AT), 1);
    assert_int_equal(word_at(path, ANSWERED_AT), 0);
    omni_handoff_close(asker);
    omni_handoff_close(answerer);
}

static void what_is_no_handoff_is_refused(void **state) {
    const char *path = path_in(*state);
    char garbage[HEAD + MEMORY];
    assert_refused(path, ANSWERER, MEMORY, -ENOENT, "has the other side started");
    write_file(path, "", 0);
    assert_refused(path, ANSWERER, MEMORY, -EAGAIN, "still being made");
    memset(garbage, 'x', sizeof garbage);
    for (size_t bytes = 1; bytes <= sizeof garbage; bytes += 97) {
        write_file(path, garbage, bytes);
        assert_refused(path, ASKER, MEMORY, -EBADMSG, "its magic is wrong");
        assert_refused(path, ANSWERER, MEMORY, -EBADMSG, "its magic is wrong");
    }
    assert_refused(path, ASKER, 0, -EINVAL, "not 0");
    assert_refused(path, ANSWERER, OMNI_HANDOFF_MEMORY_BYTES_MAX + 1, -EINVAL, "1 to 16777216");
}

static void what_is_no_private_file_is_refused(void **state) {
    const char *path = path_in(*state);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, ANSWERER, MEMORY, -EPERM, "no plain file");
    unlink(path);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_refused(path, ASKER, MEMORY, -ELOOP, "cannot open");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(path, ASKER, MEMORY, -EISDIR, "cannot open");
    rmdir(path);
    omni_handoff_close(must_take(path, ASKER));
    chmod(path, 0620);
    assert_refused(path, ASKER, MEMORY, -EPERM, "others may write it");
    assert_refused(path, ANSWERER, MEMORY, -EPERM, "others may write it");
}

static void another_users_file_is_refused(void **state) {
    SKIP_UNLESS_ROOT();
    const char *path = path_in(*state);
    omni_handoff_close(must_take(path, ASKER));
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_refused(path, ASKER, MEMORY, -EPERM, "no plain file of this user's");
    omni_handoff_close(must_take(path, ANSWERER)); /* root may answer anybody */
}

/* The answering side says what it found; the asking side makes a new one in its place. */
static void what_another_release_left_is_made_anew(void **state) {
    static const struct {
        off_t at;
        uint32_t word;
        int error;
        const char *sentence;
    } others[] = {
        {8, 2, -EPROTO, "layout version 2"},
        {8, 0, -EAGAIN, "still being made"}, /* its maker died at it */
        {12, 0x04030201, -EPROTO, "another byte order (04030201, expected 01020304)"},
        {16, 64, -EBADMSG, "corrupt"},
        {20, MEMORY + 1, -EPROTO, "101 bytes of memory, this side expects 100"},
    };
    const char *path = path_in(*state);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        omni_handoff_close(must_take(path, ASKER));
        struct omni_handoff *old = must_take(path, ANSWERER);
        set_word(path, others[i].at, others[i].word);
        omni_handoff_close(old);
        assert_refused(path, ANSWERER, MEMORY, others[i].error, others[i].sentence);
        struct omni_handoff *asker = must_take(path, ASKER);
        omni_handoff_close(must_take(path, ANSWERER));
        omni_handoff_close(asker);
    }
    assert_int_equal(truncate(path, HEAD + MEMORY - 1), 0);
    assert_refused(path, ANSWERER, MEMORY, -EBADMSG, "cut short");
    omni_handoff_close(must_take(path, ASKER));
    omni_handoff_close(must_take(path, ANSWERER));
}

static void who_is_left_in_a_file_without_a_name_is_told(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *old = must_take(path, ASKER), *answerer = must_take(path, ANSWERER);
    unlink(path);
    assert_int_equal(omni_handoff_await_request(answerer, 0), -ETIMEDOUT); /* both are still here */
    omni_handoff_close(old);
    struct omni_handoff *asker = must_take(path, ASKER);
    assert_int_equal(omni_handoff_await_request(answerer, PATIENT_NS), -EPIPE);
    assert_int_equal(omni_handoff_await_request(answerer, PATIENT_NS), -ESTALE);
    omni_handoff_close(answerer);
    omni_handoff_close(must_take(path, ANSWERER));
    omni_handoff_close(asker);
}

/* ---- without a name ---- */

/* A child that is there before the hand-off is, so that it has nothing of its asker's; what it is to
 * join is sent to it. */
struct guest {
    pid_t id;
    int socket;
};

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr head;
};

static void send_file(int socket, int file) {
    char nothing = 0;
    union control control = {{0}};
    struct iovec part = {&nothing, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof file);
    memcpy(CMSG_DATA(head), &file, sizeof file);
    assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static int receive_file(int socket) {
    int file = -1;
    char nothing;
    union control control = {{0}};
    struct iovec part = {&nothing, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL)
        memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof file);
    return file;
}

static struct guest invite(int (*act)(int file)) {
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        die_of_faults();
        die_with_parent();
        _exit(act(receive_file(sockets[1])));
    }
    assert_true(child > 0);
    close(sockets[1]);
    return (struct guest){child, sockets[0]};
}

/* A hand-off with that guest. */
static struct omni_handoff *make_with(const struct guest *guest) {
    struct omni_handoff *asker = NULL;
    struct omni_problem problem = {""};
    int file = -1;
    if (omni_handoff_make(&asker, MEMORY, &file, &problem) < 0)
        fail_msg("%s", problem.text);
    send_file(guest->socket, file);
    close(file);
    close(guest->socket);
    return asker;
}

/* Tries whatever could take memory away from under the asker, then answers until that is gone. */
static int harm_and_serve(int file) {
    struct omni_handoff *handoff = NULL;
    char path[40];
    int error;
    if (omni_handoff_join(&handoff, file, MEMORY, NULL) < 0)
        return 2;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (ftruncate(file, 0) == 0 || ftruncate(file, HEAD) == 0 || truncate(path, 0) == 0 ||
        ftruncate(file, 1 << 20) == 0 || open(path, O_RDWR | O_TRUNC | O_CLOEXEC) >= 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == 0)
        return 3;
    volatile uint32_t *memory = omni_handoff_memory(handoff);
    while ((error = omni_handoff_await_request(handoff, PATIENT_NS)) == 0) {
        memory[1] = 3 * memory[0];
        if (omni_handoff_answer(handoff) < 0)
            return 4;
    }
    omni_handoff_close(handoff);
    return error == -EPIPE ? 0 : 5;
}

static void memory_without_a_name_cannot_be_cut_short(void **state) {
    (void)state;
    int files = open_files();
    struct guest guest = invite(harm_and_serve);
    struct omni_handoff *asker = make_with(&guest);
    volatile uint32_t *memory = omni_handoff_memory(asker);
    for (uint32_t turn = 1; turn <= 100; turn++) {
        int error;
        memory[0] = turn;
        assert_int_equal(omni_handoff_ask(asker), 0);
        while ((error = omni_handoff_await_answer(asker, PATIENT_NS)) == -ENOTCONN) {
        }
        assert_int_equal(error, 0);
        assert_int_equal(memory[1], 3 * turn);
    }
    omni_handoff_close(asker);
    assert_exit(end_of(guest.id), 0);
    assert_int_equal(open_files(), files);
}

static int join_and_hang(int file) {
    struct omni_handoff *handoff = NULL;
    if (omni_handoff_join(&handoff, file, MEMORY, NULL) == 0)
        for (;;)
            pause();
    return 2;
}

static void a_death_is_told_without_a_name_too(void **state) {
    (void)state;
    struct guest guest = invite(join_and_hang);
    struct omni_handoff *asker = make_with(&guest);
    await_connection(asker, 1);
    assert_int_equal(omni_handoff_ask(asker), 0);
    assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ETIMEDOUT);
    kill_other(guest.id);
    assert_int_equal(omni_handoff_await_answer(asker, PATIENT_NS), -EPIPE);
    assert_int_equal(omni_handoff_await_answer(asker, LONG_NS), -ENOTCONN);
    assert_int_equal(omni_handoff_withdraw(asker), 0);
    omni_handoff_close(asker);
}

static void assert_not_joined(int file, uint32_t memory, int expected, const char *sentence) {
    struct omni_handoff *handoff = NULL;
    struct omni_problem problem = {""};
    int files = open_files();
    assert_int_equal(omni_handoff_join(&handoff, file, memory, &problem), expected);
    assert_null(handoff);
    assert_int_equal(open_files(), files);
    if (strstr(problem.text, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, sentence);
}

static void what_is_no_such_memory_is_not_joined(void **state) {
    const char *path = path_in(*state);
    struct omni_handoff *asker = NULL;
    struct omni_handoff *answerer = NULL;
    int file = -1;
    assert_int_equal(omni_handoff_make(&asker, 0, &file, NULL), -EINVAL);
    assert_int_equal(omni_handoff_make(&asker, OMNI_HANDOFF_MEMORY_BYTES_MAX + 1, &file, NULL),
                     -EINVAL);
    assert_int_equal(file, -1);
    omni_handoff_close(must_take(path, ASKER));
    int plain = open(path, O_RDWR | O_CLOEXEC);
    int open_to_changes = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_not_joined(-1, MEMORY, -EBADMSG, "no sealed memory");
    assert_not_joined(plain, MEMORY, -EBADMSG, "no sealed memory");
    assert_not_joined(open_to_changes, MEMORY, -EBADMSG, "no sealed memory");
    assert_not_joined(empty, MEMORY, -EBADMSG, "it is empty");
    close(plain);
    close(open_to_changes);
    close(empty);

    assert_int_equal(omni_handoff_make(&asker, MEMORY, &file, NULL), 0);
    assert_not_joined(file, MEMORY + 1, -EPROTO, "100 bytes of memory, this side expects 101");
    assert_int_equal(omni_handoff_join(&answerer, file, MEMORY, NULL), 0);
    assert_int_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char again[40];
    (void)snprintf(again, sizeof again, "/proc/self/fd/%d", file);
    int second = open(again, O_RDWR | O_CLOEXEC);
    assert_not_joined(second, MEMORY, -EBUSY, "another process answers");
    close(second);
    omni_handoff_close(answerer);
    omni_handoff_close(asker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_request_has_one_answer),
        TEST(a_late_answer_is_not_the_next_ones),
        TEST(nobody_spins),
        TEST(a_signal_ends_the_wait),
        TEST(a_word_that_changes_for_ever_ends_the_wait_in_time),
        TEST(the_answerers_death_is_told_once_and_the_next_one_serves),
        TEST(a_stopped_answerer_is_waited_for),
        TEST(a_dead_askers_request_is_void),
        TEST(the_askers_death_is_told_once),
        TEST(what_a_dead_one_began_is_ended_before_the_next_is_asked),
        TEST(a_goodbye_is_told),
        TEST(the_end_of_one_who_was_only_heard_is_told),
        TEST(what_nobody_can_answer_is_withdrawn),
        TEST(one_of_each_at_a_time),
        TEST(the_bytes_are_where_they_are_said_to_be),
        TEST(what_is_no_handoff_is_refused),
        TEST(what_is_no_private_file_is_refused),
        TEST(another_users_file_is_refused),
        TEST(what_another_release_left_is_made_anew),
        TEST(who_is_left_in_a_file_without_a_name_is_told),
        TEST(memory_without_a_name_cannot_be_cut_short),
        TEST(a_death_is_told_without_a_name_too),
        TEST(what_is_no_such_memory_is_not_joined),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
