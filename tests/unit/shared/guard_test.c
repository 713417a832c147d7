/* A file that is cut short under a mapping, at every length: the process lives, and the reader is
 * told. Each case runs in a process of its own: a signal handler is for the whole process. */
#include "support.h"

#include <pthread.h>

#include <omni/guard.h>

struct cut {
    const struct scratch *scratch;
    off_t length;     /* that the file gets */
    bool all_is_read; /* before it is cut */
    bool newest;      /* read by omni_observer_newest() */
};

/* Where stamp and payload go, as a program has them that shows the last ones that it got. */
struct shown {
    struct omni_stamp stamp;
    struct parcel parcel;
};

enum { UNTOUCHED = 0xA5 };

static bool is_untouched(const struct shown *shown) {
    const unsigned char *bytes = (const void *)shown;
    size_t count = 0;
    while (count < sizeof *shown && bytes[count] == UNTOUCHED)
        count++;
    return count == sizeof *shown;
}

static int read_one(const struct cut *cut, struct omni_observer *observer, struct shown *shown) {
    return cut->newest ? omni_observer_newest(observer, &shown->stamp, &shown->parcel)
                       : omni_observer_next(observer, &shown->stamp, &shown->parcel);
}

/* 0, or what is wrong. Nothing but whole payloads, then -ESTALE, again and again. */
static int is_told(const struct cut *cut, struct omni_observer *observer) {
    struct shown shown;
    memset(&shown, UNTOUCHED, sizeof shown);
    for (int i = 0; i < 2; i++)
        if (read_one(cut, observer, &shown) != -ESTALE)
            return 10 + i;
    if (!is_untouched(&shown))
        return 13;
    omni_observer_life(observer);
    omni_observer_version(observer);
    return omni_observer_is_replaced(observer) ? 0 : 12;
}

static int cut_while_mapped(void *context) {
    const struct cut *cut = context;
    struct omni_publisher_options options = {.directory = cut->scratch->directory,
                                             .slot_count = 256};
    struct omni_observer_options where = {.directory = cut->scratch->directory};
    struct omni_publisher *publisher;
    struct omni_observer *observer;
    char path[PATH_MAX];
    scratch_path(cut->scratch, "omni.name", path, sizeof path);
    if (omni_guard_install() < 0 ||
        omni_publisher_open(&publisher, "name", parcel_schema(), &options, NULL) < 0 ||
        omni_observer_attach(&observer, "name", &where, NULL) < 0)
        return 20;
    publish_parcels(publisher, 200);
    struct shown shown;
    while (cut->all_is_read && read_one(cut, observer, &shown) == 0 && !cut->newest)
        continue;
    if (truncate(path, cut->length) < 0)
        return 21;
    int told = is_told(cut, observer);
    struct omni_observer *again = NULL;
    struct omni_problem problem = {""};
    if (omni_observer_attach(&again, "name", &where, &problem) != -EBADMSG || again != NULL ||
        problem.text[0] == '\0')
        return 22;
    omni_observer_detach(observer);
    return told;
}

static off_t segment_bytes(const struct scratch *scratch) {
    struct omni_publisher_options options = {.slot_count = 256};
    omni_publisher_close(must_open(scratch, "name", parcel_schema(), options));
    char path[PATH_MAX];
    struct stat facts;
    scratch_path(scratch, "omni.name", path, sizeof path);
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_size;
}

static void cut_at(struct cut cut) {
    int status = in_child(cut_while_mapped, &cut);
    if (!WIFEXITED(status))
        fail_msg("cut to %ld bytes: ended by signal %d", (long)cut.length, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        fail_msg("cut to %ld bytes, %s, %s: wrong %d", (long)cut.length,
                 cut.all_is_read ? "all is read" : "nothing is read",
                 cut.newest ? "newest" : "next", WEXITSTATUS(status));
}

static void cut_at_every_interesting_length(void **state) {
    const off_t header = sizeof(struct omni_header), page = sysconf(_SC_PAGESIZE);
    const off_t whole = segment_bytes(*state);
    const off_t lengths[] = {0,
                             1,
                             8,
                             9,
                             64,
                             128,
                             191,
                             192,
                             195,
                             196,
                             197,
                             200,
                             header - 1,
                             header,
                             header + 1,
                             1000,
                             page - 1,
                             page,
                             page + 1,
                             2 * page,
                             whole / 2,
                             whole - page,
                             whole - 4096,
                             whole - 65,
                             whole - 64,
                             whole - 63,
                             whole - 61};
    assert_true(whole > 4 * page);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (unsigned how = 0; how < 4; how++)
            cut_at((struct cut){*state, lengths[i], (how & 1) != 0, (how & 2) != 0});
}

/* Behind the mark nothing is left to lose: such a file is refused at attach, and read on. */
static void cut_behind_the_mark_loses_nothing(void **state) {
    const off_t whole = segment_bytes(*state);
    struct cut cut = {*state, whole - 1, false, false};
    assert_exit(in_child(cut_while_mapped, &cut), 10);
}

/* ---- faults that are not ours ---- */

static unsigned char *map_nothing(void) {
    int file = memfd_create("empty", MFD_CLOEXEC);
    unsigned char *bytes = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    return bytes;
}

static int touch(void *context) {
    (void)context;
    volatile unsigned char *bytes = map_nothing();
    for (int twice = 0; twice < 2; twice++)
        if (omni_guard_install() < 0)
            return 2;
    return bytes[0] == 0 ? 0 : 1;
}

static void other_faults_still_end_the_process(void **state) {
    (void)state;
    int status = in_child(touch, NULL);
    assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGBUS);
}

static int send_it(void *context) {
    (void)context;
    if (omni_guard_install() < 0)
        return 2;
    raise(SIGBUS);
    return 1;
}

static void sent_signal_still_ends_the_process(void **state) {
    (void)state;
    int status = in_child(send_it, NULL);
    assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGBUS);
}

static void leave(int signal) {
    (void)signal;
    _exit(42);
}

static void leave_with_facts(int signal, siginfo_t *facts, void *context) {
    (void)signal;
    (void)context;
    _exit(facts->si_code == BUS_ADRERR ? 43 : 44);
}

static int touch_with_handler(void *context) {
    (void)context;
    signal(SIGBUS, leave);
    return touch(NULL);
}

static int touch_with_handler_of_facts(void *context) {
    struct sigaction action = {.sa_sigaction = leave_with_facts, .sa_flags = SA_SIGINFO};
    (void)context;
    sigaction(SIGBUS, &action, NULL);
    return touch(NULL);
}

static void handler_that_was_there_is_asked(void **state) {
    (void)state;
    assert_exit(in_child(touch_with_handler, NULL), 42);
    assert_exit(in_child(touch_with_handler_of_facts, NULL), 43);
}

/* ---- places ---- */

static int fill_places(void *context) {
    static unsigned char bytes[4096];
    (void)context;
    for (int i = 0; i < 256; i++)
        if (omni_guard_add(bytes, sizeof bytes, false) != i)
            return 1;
    if (omni_guard_add(bytes, sizeof bytes, false) != -EMFILE)
        return 2;
    omni_guard_drop(100);
    omni_guard_drop(-EMFILE);
    if (omni_guard_add(bytes, sizeof bytes, false) != 100)
        return 3;
    return 0;
}

static void places_are_bounded_and_reused(void **state) {
    (void)state;
    assert_exit(in_child(fill_places, NULL), 0);
}

static int attach_many(void *context) {
    const struct scratch *scratch = context;
    struct omni_observer_options where = {.directory = scratch->directory};
    static struct omni_observer *observers[257];
    struct omni_problem problem = {""};
    for (int i = 0; i < 256; i++)
        if (omni_observer_attach(&observers[i], "name", &where, NULL) < 0)
            return 1;
    int before = open_files();
    if (omni_observer_attach(&observers[256], "name", &where, &problem) != -EMFILE ||
        strstr(problem.text, "too many segments") == NULL || open_files() != before)
        return 2;
    for (int i = 0; i < 256; i++)
        omni_observer_detach(observers[i]);
    return omni_observer_attach(&observers[0], "name", &where, NULL) < 0 ? 3 : 0;
}

static void too_many_observers_are_told(void **state) {
    omni_publisher_close(
        must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0}));
    assert_exit(in_child(attach_many, *state), 0);
}

/* ---- faults in one thread while others attach and detach ---- */

struct busy {
    const struct scratch *scratch;
    char name[8];
    uint64_t rounds;
    int wrong;
};

static void *attach_and_be_cut(void *context) {
    struct busy *busy = context;
    char path[PATH_MAX], file[24];
    struct omni_observer_options where = {.directory = busy->scratch->directory};
    struct omni_publisher_options options = {.directory = busy->scratch->directory,
                                             .slot_count = 64};
    snprintf(file, sizeof file, "omni.%s", busy->name);
    scratch_path(busy->scratch, file, path, sizeof path);
    for (uint64_t i = 0; i < busy->rounds && busy->wrong == 0; i++) {
        struct omni_publisher *publisher;
        struct omni_observer *observer;
        struct omni_stamp stamp;
        struct parcel parcel;
        if (omni_publisher_open(&publisher, busy->name, parcel_schema(), &options, NULL) < 0 ||
            omni_observer_attach(&observer, busy->name, &where, NULL) < 0) {
            busy->wrong = 1;
            break;
        }
        publish_parcels(publisher, 10);
        if (omni_observer_next(observer, &stamp, &parcel) != 0 || !parcel_is_whole(&parcel, 1))
            busy->wrong = 2;
        if (truncate(path, 0) < 0 || omni_observer_next(observer, &stamp, &parcel) != -ESTALE)
            busy->wrong = 3;
        omni_observer_detach(observer);
        /* The publisher has no guard: it needs its header back to say goodbye. */
        if (truncate(path, 1 << 20) < 0)
            busy->wrong = 4;
        omni_publisher_close(publisher);
    }
    return NULL;
}

static int be_cut_in_threads(void *context) {
    struct busy busy[4];
    pthread_t threads[4];
    if (omni_guard_install() < 0)
        return 2;
    for (int i = 0; i < 4; i++) {
        busy[i] = (struct busy){.scratch = context, .rounds = 300};
        snprintf(busy[i].name, sizeof busy[i].name, "name%d", i);
        if (pthread_create(&threads[i], NULL, attach_and_be_cut, &busy[i]) != 0)
            return 3;
    }
    int wrong = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        wrong = wrong == 0 ? busy[i].wrong : wrong;
    }
    return wrong == 0 ? 0 : 10 + wrong;
}

static void faults_in_many_threads(void **state) {
    assert_exit(in_child(be_cut_in_threads, *state), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(cut_at_every_interesting_length),
        TEST(cut_behind_the_mark_loses_nothing),
        cmocka_unit_test(other_faults_still_end_the_process),
        cmocka_unit_test(sent_signal_still_ends_the_process),
        cmocka_unit_test(handler_that_was_there_is_asked),
        cmocka_unit_test(places_are_bounded_and_reused),
        TEST(too_many_observers_are_told),
        TEST(faults_in_many_threads),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
