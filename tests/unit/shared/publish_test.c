/* The writer's side: how a segment comes to be, who may have a name, and what a publish costs. */
#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define NOBODY 65534

/* ---- opening ---- */

static uint32_t slots_for(const struct scratch *scratch, uint64_t period_ns, uint32_t asked) {
    struct omni_publisher_options options = {.period_ns = period_ns, .slot_count = asked};
    struct omni_publisher *publisher = must_open(scratch, "slots", parcel_schema(), options);
    struct omni_observer *observer = must_attach(scratch, "slots");
    uint32_t slots = omni_observer_facts(observer)->slot_count;
    assert_int_equal(omni_observer_facts(observer)->period_ns, period_ns);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
    return slots;
}

static void ring_holds_two_seconds(void **state) {
    assert_int_equal(slots_for(*state, 0, 0), 256);
    assert_int_equal(slots_for(*state, 10000000, 0), 256);     /* 100 Hz: 201 */
    assert_int_equal(slots_for(*state, 1000000, 0), 2048);     /* 1 kHz: 2,001 */
    assert_int_equal(slots_for(*state, 1000000000, 0), 64);    /* at least */
    assert_int_equal(slots_for(*state, 3600000000000, 0), 64); /* an hour */
    assert_int_equal(slots_for(*state, 10000000, 1), 2);
    assert_int_equal(slots_for(*state, 10000000, 2), 2);
    assert_int_equal(slots_for(*state, 10000000, 3), 4);
    assert_int_equal(slots_for(*state, 10000000, 1000), 1024);
    assert_int_equal(slots_for(*state, 0, 65536), 65536);
}

static void refuse(const struct scratch *scratch, const char *name,
                   struct omni_publisher_options options, int expected, const char *says) {
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    if (options.directory == NULL)
        options.directory = scratch->directory;
    int error = omni_publisher_open(&publisher, name, parcel_schema(), &options, &problem);
    assert_int_equal(error, expected);
    assert_null(publisher);
    if (strstr(problem.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, says);
    assert_int_equal(omni_publisher_open(&publisher, name, parcel_schema(), &options, NULL),
                     expected);
}

static void names_and_options_are_checked(void **state) {
    static const char *const names[] = {
        "",    ".hidden", "a/b",           "../up",
        "a b", "a\n",     "h\xC3\xBChner", "x23456789012345678901234567890123456789012345678"};
    const struct scratch *scratch = *state;
    struct omni_publisher_options none = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        refuse(scratch, names[i], none, -EINVAL, "cannot name a source");
    refuse(scratch, "x", (struct omni_publisher_options){.period_ns = 3600000000001}, -EINVAL,
           "more than an hour");
    refuse(scratch, "x", (struct omni_publisher_options){.slot_count = OMNI_SLOTS_MAX + 1}, -EINVAL,
           "1048577 slots");
    refuse(scratch, "x", (struct omni_publisher_options){.mode = 0666}, -EINVAL, "mode 666");
    refuse(scratch, "x", (struct omni_publisher_options){.mode = 04644}, -EINVAL, "mode 4644");
    assert_int_equal(scratch_count(scratch, ""), 0);
}

static void nothing_new_is_left_behind(void **state) {
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    scratch_path(scratch, "omni.name", path, sizeof path);
    assert_int_equal(mkdir(path, 0700), 0);
    refuse(scratch, "name", (struct omni_publisher_options){0}, -EISDIR, path);
    assert_int_equal(scratch_count(scratch, "omni-new."), 0);
    rmdir(path);
    omni_publisher_close(
        must_open(scratch, "name", parcel_schema(), (struct omni_publisher_options){0}));
}

static void longest_name_is_taken(void **state) {
    const struct scratch *scratch = *state;
    const char *name = "x2345678901234567890123456789012345678901234567";
    assert_int_equal(strlen(name), 47);
    omni_publisher_close(
        must_open(scratch, name, parcel_schema(), (struct omni_publisher_options){0}));
    struct omni_observer *observer = must_attach(scratch, name);
    assert_string_equal(omni_observer_facts(observer)->name, name);
    omni_observer_detach(observer);
}

static void too_large_a_segment_is_refused(void **state) {
    static const struct omni_declaration field = {
        .name = "x", .unit = "", .type = OMNI_TYPE_u8, .count = 1, .bytes = 1};
    const struct omni_schema schema = {&field, 1, OMNI_PAYLOAD_BYTES_MAX};
    const struct scratch *scratch = *state;
    struct omni_publisher_options options = {.directory = scratch->directory,
                                             .slot_count = OMNI_SLOTS_MAX};
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    assert_int_equal(omni_publisher_open(&publisher, "x", &schema, &options, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "ask for fewer slots"));
    assert_int_equal(scratch_count(scratch, "omni."), 0);
    assert_int_equal(scratch_count(scratch, "omni-new."), 0);
}

static void wrong_schema_is_refused(void **state) {
    static const struct omni_declaration field = {
        .name = "x", .unit = "", .type = 99, .count = 1, .bytes = 1};
    const struct omni_schema schema = {&field, 1, 8};
    const struct scratch *scratch = *state;
    struct omni_publisher_options options = {.directory = scratch->directory};
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    assert_int_equal(omni_publisher_open(&publisher, "x", &schema, &options, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "unknown type 99"));
    assert_int_equal(scratch_count(scratch, ""), 0);
}

static void directory_is_missing(void **state) {
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    scratch_path(scratch, "missing", path, sizeof path);
    refuse(scratch, "x", (struct omni_publisher_options){.directory = path}, -ENOENT, path);
    char far[OMNI_NAME_BYTES + 600];
    memset(far, 'x', sizeof far);
    far[sizeof far - 1] = '\0';
    refuse(scratch, "x", (struct omni_publisher_options){.directory = far}, -ENAMETOOLONG,
           "too long");
}

static mode_t mode_of(const struct scratch *scratch, const char *file) {
    char path[PATH_MAX];
    struct stat facts;
    scratch_path(scratch, file, path, sizeof path);
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_mode & 07777;
}

static void modes_do_not_depend_on_the_umask(void **state) {
    const struct scratch *scratch = *state;
    struct omni_publisher_options secret = {.mode = 0600};
    mode_t before = umask(0077);
    struct omni_publisher *one =
        must_open(scratch, "one", parcel_schema(), (struct omni_publisher_options){0});
    umask(0);
    struct omni_publisher *two = must_open(scratch, "two", parcel_schema(), secret);
    umask(before);
    assert_int_equal(mode_of(scratch, "omni.one"), 0644);
    assert_int_equal(mode_of(scratch, "omni.two"), 0600);
    assert_int_equal(mode_of(scratch, "omni-lock.two"), 0600);
    assert_int_equal(mode_of(scratch, "omni-sleepers.two"), 0600);
    omni_publisher_close(one);
    omni_publisher_close(two);
    omni_publisher_close(NULL);
}

/* Mapped files of the test, and pages that nobody may touch: what publishers are made of. */
static int mappings(const struct scratch *scratch) {
    char line[PATH_MAX + 100];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, scratch->directory) != NULL ||
            strstr(line, "---p 00000000 00:00 0") != NULL)
            count++;
    (void)fclose(maps);
    return count;
}

static void nothing_leaks(void **state) {
    const struct scratch *scratch = *state;
    struct omni_publisher_options none = {0};
    struct omni_publisher *first = must_open(scratch, "name", parcel_schema(), none);
    char path[PATH_MAX];
    scratch_path(scratch, "omni-new.blocked", path, sizeof path);
    assert_int_equal(mkdir(path, 0700), 0);
    int before = open_files();
    int mapped = mappings(scratch);
    for (int i = 0; i < 20; i++) {
        refuse(scratch, "name", none, -EBUSY, "name");
        refuse(scratch, "blocked", none, -EISDIR, path);
        struct omni_publisher *publisher = must_open(scratch, "other", parcel_schema(), none);
        struct omni_observer *observer = must_attach(scratch, "other");
        publish_parcel(publisher);
        omni_observer_detach(observer);
        omni_publisher_close(publisher);
    }
    assert_int_equal(open_files(), before);
    assert_int_equal(mappings(scratch), mapped);
    omni_publisher_close(first);
    assert_int_equal(open_files(), before - 3);
    assert_int_equal(mappings(scratch), mapped - 2);
}

/* ---- one name, two publishers ---- */

struct rival {
    const struct scratch *scratch;
    int ready[2], end[2];
    pid_t process;
};

/* A process that opens `name`, says so, and stays until it is told or killed. */
static void start_rival(struct rival *rival, const struct scratch *scratch) {
    rival->scratch = scratch;
    assert_int_equal(pipe(rival->ready), 0);
    assert_int_equal(pipe(rival->end), 0);
    fflush(NULL);
    rival->process = fork();
    assert_true(rival->process >= 0);
    if (rival->process == 0) {
        struct omni_publisher_options options = {.directory = scratch->directory};
        struct omni_publisher *publisher;
        char word = 'r';
        die_with_parent();
        close(rival->end[1]);
        if (omni_publisher_open(&publisher, "name", parcel_schema(), &options, NULL) < 0)
            _exit(2);
        publish_parcel(publisher);
        if (write(rival->ready[1], &word, 1) != 1 || read(rival->end[0], &word, 1) < 0)
            _exit(3);
        omni_publisher_close(publisher);
        _exit(0);
    }
    char word = 0;
    close(rival->ready[1]);
    assert_int_equal(read(rival->ready[0], &word, 1), 1);
    close(rival->ready[0]);
    close(rival->end[0]);
}

static void end_rival(struct rival *rival, bool kill_it) {
    int status = 0;
    if (kill_it)
        kill(rival->process, SIGKILL);
    close(rival->end[1]);
    assert_int_equal(waitpid(rival->process, &status, 0), rival->process);
    if (!kill_it)
        assert_exit(status, 0);
}

static void second_publisher_is_refused(void **state) {
    struct omni_publisher_options none = {0};
    for (int killed = 0; killed < 2; killed++) {
        struct rival rival;
        char process[32];
        start_rival(&rival, *state);
        snprintf(process, sizeof process, "process %ld:", (long)rival.process);
        refuse(*state, "name", none, -EBUSY, process);
        refuse(*state, "name", none, -EBUSY, "\"name\" is published already");
        /* The refused one did not touch the first one's segment. */
        struct omni_observer *observer = must_attach(*state, "name");
        struct omni_stamp stamp;
        struct parcel parcel;
        assert_int_equal(omni_observer_facts(observer)->process_id, rival.process);
        assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
        assert_true(parcel_is_whole(&parcel, 1));
        assert_false(omni_observer_is_replaced(observer));
        end_rival(&rival, killed);
        /* Dead, with or without a word: the name is free at once. */
        struct omni_publisher *publisher = must_open(*state, "name", parcel_schema(), none);
        assert_true(omni_observer_is_replaced(observer));
        omni_observer_detach(observer);
        omni_publisher_close(publisher);
    }
}

static void same_process_is_refused_too(void **state) {
    struct omni_publisher_options none = {0};
    struct omni_publisher *first = must_open(*state, "name", parcel_schema(), none);
    refuse(*state, "name", none, -EBUSY, "published already");
    omni_publisher_close(first);
    omni_publisher_close(must_open(*state, "name", parcel_schema(), none));
}

static void lock_without_a_process_id_still_counts(void **state) {
    struct omni_publisher_options none = {0};
    struct omni_publisher *first = must_open(*state, "name", parcel_schema(), none);
    char path[PATH_MAX];
    scratch_path(*state, "omni-lock.name", path, sizeof path);
    assert_int_equal(truncate(path, 0), 0);
    refuse(*state, "name", none, -EBUSY, "another process");
    omni_publisher_close(first);
}

static void remains_of_a_crash_are_swept(void **state) {
    const struct scratch *scratch = *state;
    char stale[PATH_MAX], segment[PATH_MAX];
    scratch_path(scratch, "omni-new.name", stale, sizeof stale);
    scratch_path(scratch, "omni.name", segment, sizeof segment);
    write_file(stale, "half of a segment", 17);
    write_file(segment, "garbage", 7);
    struct omni_publisher *publisher =
        must_open(scratch, "name", parcel_schema(), (struct omni_publisher_options){0});
    assert_int_equal(access(stale, F_OK), -1);
    omni_observer_detach(must_attach(scratch, "name"));
    omni_publisher_close(publisher);
}

static void each_start_is_another_instance(void **state) {
    uint64_t before = 0;
    for (int i = 0; i < 5; i++) {
        struct omni_publisher *publisher =
            must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
        struct omni_observer *observer = must_attach(*state, "name");
        uint64_t instance = omni_observer_facts(observer)->instance;
        assert_int_not_equal(instance, 0);
        assert_int_not_equal(instance, before);
        before = instance;
        omni_observer_detach(observer);
        omni_publisher_close(publisher);
    }
}

static void file_of_another_user_is_left_alone(void **state) {
    SKIP_UNLESS_ROOT();
    static const char *const files[] = {"omni-lock.name", "omni-sleepers.name", "omni-new.name",
                                        "omni.name"};
    const struct scratch *scratch = *state;
    /* Like /dev/shm: everybody may create, only the owner may remove. */
    assert_int_equal(chmod(scratch->directory, 01777), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[PATH_MAX];
        scratch_path(scratch, files[i], path, sizeof path);
        write_file(path, "root's", 6);
        assert_int_equal(seteuid(NOBODY), 0);
        struct omni_publisher *publisher = NULL;
        struct omni_problem problem = {""};
        struct omni_publisher_options options = {.directory = scratch->directory};
        int error = omni_publisher_open(&publisher, "name", parcel_schema(), &options, &problem);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(error, -EPERM);
        assert_null(publisher);
        assert_non_null(strstr(problem.text, path));
        struct bytes left = read_file(path);
        assert_int_equal(left.count, 6);
        assert_memory_equal(left.at, "root's", 6);
        free(left.at);
        unlink(path);
    }
}

/* ---- no room ---- */

static int write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    close(file);
    return written ? 0 : -1;
}

/* Who is not root becomes root of a user namespace. */
static int enter_namespace(void) {
    char users[32], groups[32];
    snprintf(users, sizeof users, "0 %ld 1", (long)geteuid());
    snprintf(groups, sizeof groups, "0 %ld 1", (long)getegid());
    if (unshare(CLONE_NEWNS) == 0)
        return 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_text("/proc/self/setgroups", "deny") < 0)
        return -1;
    return write_text("/proc/self/uid_map", users) + write_text("/proc/self/gid_map", groups);
}

/* Inside a mount namespace of its own: 0, or 77 where that is not permitted. */
static int mount_small(const char *directory) {
    if (enter_namespace() < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", directory, "tmpfs", 0, "size=64k,mode=0700") < 0)
        return 77;
    return 0;
}

static int count_in(const char *directory, const char *prefix) {
    struct scratch scratch;
    snprintf(scratch.directory, sizeof scratch.directory, "%s", directory);
    return scratch_count(&scratch, prefix);
}

static bool is_refused_for_room(const char *directory, uint32_t slots) {
    struct omni_publisher_options options = {.directory = directory, .slot_count = slots};
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    int before = open_files();
    int error = omni_publisher_open(&publisher, "name", parcel_schema(), &options, &problem);
    bool right = error == -ENOSPC && publisher == NULL && strstr(problem.text, "no room for") &&
                 strstr(problem.text, directory) && strstr(problem.text, "df -h") &&
                 count_in(directory, "omni.") == 0 && count_in(directory, "omni-new.") == 0 &&
                 open_files() == before;
    if (!right)
        fprintf(stderr, "error %d, \"%s\"\n", error, problem.text);
    omni_publisher_close(publisher);
    return right;
}

static int open_in_a_full_place(void *context) {
    const struct scratch *scratch = context;
    char path[PATH_MAX], page[4096] = {1};
    int error = mount_small(scratch->directory);
    if (error != 0)
        return error;
    /* 1. Larger than what is left. */
    if (!is_refused_for_room(scratch->directory, 4096))
        return 1;
    /* 2. Full already: not even the small files fit. */
    scratch_path(scratch, "filler", path, sizeof path);
    int filler = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(filler, page, sizeof page) > 0)
        continue;
    scratch_path(scratch, "omni-sleepers.name", path, sizeof path);
    unlink(path);
    if (!is_refused_for_room(scratch->directory, 64))
        return 2;
    /* 3. Once there is room again, it works. */
    if (ftruncate(filler, 0) < 0)
        return 3;
    struct omni_publisher_options options = {.directory = scratch->directory, .slot_count = 64};
    struct omni_publisher *publisher = NULL;
    if (omni_publisher_open(&publisher, "name", parcel_schema(), &options, NULL) < 0)
        return 4;
    /* 4. What is open goes on publishing when the place is full again: its memory is all there. */
    while (write(filler, page, sizeof page) > 0)
        continue;
    publish_parcels(publisher, 1000);
    omni_publisher_close(publisher);
    return 0;
}

static void full_place_is_told(void **state) {
    int status = in_child(open_in_a_full_place, *state);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP_BECAUSE("may not mount in a namespace of its own");
    assert_exit(status, 0);
}

/* ---- what a publish costs ---- */

/* Ends the process at any system call but the one that ends it well. */
static int forbid_system_calls(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}

struct quiet {
    const struct scratch *scratch;
    bool certain_wake, somebody_sleeps;
};

static int publish_quietly(void *context) {
    const struct quiet *quiet = context;
    struct omni_publisher_options options = {.directory = quiet->scratch->directory,
                                             .certain_wake = quiet->certain_wake};
    struct omni_publisher *publisher;
    if (omni_publisher_open(&publisher, "name", parcel_schema(), &options, NULL) < 0)
        return 2;
    if (quiet->somebody_sleeps) {
        char path[PATH_MAX];
        scratch_path(quiet->scratch, "omni-sleepers.name", path, sizeof path);
        int word = open(path, O_WRONLY | O_CLOEXEC);
        if (write(word, "\1", 1) != 1)
            return 3;
    }
    if (forbid_system_calls() < 0)
        return 77;
    struct parcel parcel = {0};
    for (uint64_t serial = 1; serial <= 1000000; serial++) {
        parcel.serial = serial;
        omni_publish_at(publisher, &parcel, (struct omni_time){serial, serial});
    }
    /* At once: a sanitizer's _exit() looks around first. */
    syscall(SYS_exit_group, omni_publisher_tick(publisher) == 1000000 ? 0 : 4);
    return 5;
}

static void publishing_makes_no_system_call(void **state) {
    struct quiet cases[] = {
        {*state, false, false}, {*state, true, false}, {*state, false, true}, {*state, true, true}};
    if (strcmp(SANITIZER, "thread") == 0)
        SKIP_BECAUSE("ThreadSanitizer makes system calls of its own");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = in_child(publish_quietly, &cases[i]);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            SKIP_BECAUSE("no seccomp here");
        /* The control: where somebody sleeps, there is a wake, and the filter ends the process. */
        if (cases[i].somebody_sleeps)
            assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGSYS);
        else
            assert_exit(status, 0);
    }
}

#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
static unsigned long allocations;

/* In the place of the C library's. (The parameters are called what it calls them.) */
void *malloc(size_t __size) {
    allocations++;
    return __libc_malloc(__size);
}
void *calloc(size_t __nmemb, size_t __size) {
    allocations++;
    return __libc_calloc(__nmemb, __size);
}
void *realloc(void *__ptr, size_t __size) {
    allocations++;
    return __libc_realloc(__ptr, __size);
}
#endif

static void publishing_and_reading_allocate_nothing(void **state) {
#ifdef COUNTS_ALLOCATIONS
    unsigned long before = allocations;
    struct omni_publisher *publisher =
        must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
    struct omni_observer *observer = must_attach(*state, "name");
    assert_true(allocations > before); /* the control: opening does */
    struct omni_stamp stamp;
    struct parcel parcel;
    before = allocations;
    for (int i = 0; i < 1000; i++) {
        publish_parcels(publisher, 3);
        while (omni_observer_next(observer, &stamp, &parcel) == 0)
            continue;
        omni_observer_newest(observer, &stamp, &parcel);
        omni_observer_life(observer);
    }
    assert_int_equal(allocations, before);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
#else
    (void)state;
    SKIP_BECAUSE("the sanitizer has an allocator of its own");
#endif
}

/* ---- time ---- */

static void steps_of_the_wall_clock_change_nothing(void **state) {
    static const int64_t steps[] = {0, 3600, -7200, 31536000, -1892160000, 1};
    struct omni_publisher *publisher =
        must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
    struct omni_observer *observer = must_attach(*state, "name");
    uint64_t monotonic = 1000, wall = 1700000000u * (uint64_t)1000000000u;
    for (uint64_t tick = 1; tick <= 600; tick++) {
        struct parcel parcel;
        struct omni_stamp stamp;
        parcel_fill(&parcel, tick);
        monotonic += 10;
        wall += (uint64_t)steps[tick % 6] * 1000000000u;
        omni_publish_at(publisher, &parcel, (struct omni_time){monotonic, wall});
        assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
        assert_int_equal(stamp.tick, tick);
        assert_int_equal(stamp.missed, 0);
        assert_int_equal(stamp.time.monotonic_ns, monotonic);
        assert_int_equal(stamp.time.wall_ns, wall);
        assert_true(parcel_is_whole(&parcel, tick));
    }
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

static void stamps_are_the_clocks(void **state) {
    struct omni_publisher *publisher =
        must_open(*state, "name", parcel_schema(), (struct omni_publisher_options){0});
    struct omni_observer *observer = must_attach(*state, "name");
    struct omni_stamp stamp;
    struct parcel parcel;
    struct omni_time before = omni_time_now();
    publish_parcel(publisher);
    struct omni_time after = omni_time_now();
    assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
    assert_in_range(stamp.time.monotonic_ns, before.monotonic_ns, after.monotonic_ns);
    assert_true(stamp.time.wall_ns > 1600000000u * (uint64_t)1000000000u);
    assert_in_range(omni_observer_facts(observer)->started_monotonic_ns, 1, before.monotonic_ns);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(ring_holds_two_seconds),
        TEST(names_and_options_are_checked),
        TEST(nothing_new_is_left_behind),
        TEST(longest_name_is_taken),
        TEST(too_large_a_segment_is_refused),
        TEST(wrong_schema_is_refused),
        TEST(directory_is_missing),
        TEST(modes_do_not_depend_on_the_umask),
        TEST(nothing_leaks),
        TEST(second_publisher_is_refused),
        TEST(same_process_is_refused_too),
        TEST(lock_without_a_process_id_still_counts),
        TEST(remains_of_a_crash_are_swept),
        TEST(each_start_is_another_instance),
        TEST(file_of_another_user_is_left_alone),
        TEST(full_place_is_told),
        TEST(publishing_makes_no_system_call),
        TEST(publishing_and_reading_allocate_nothing),
        TEST(steps_of_the_wall_clock_change_nothing),
        TEST(stamps_are_the_clocks),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
