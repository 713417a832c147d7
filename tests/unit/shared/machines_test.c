/* Memory that machines share: who may write, who is dead, what a reader may believe while a segment
 * is built under its eyes, and who is woken. Two kernels are not needed for any of it: what the
 * library does on file: is what it does on a PCI device. */
#include "support.h"

#include <linux/magic.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include <omni/guard.h>
#include <omni/wait.h>

#include "shared/atomics.h"
#include "shared/publisher_internal.h"

#define MILLISECOND_NS 1000000u

enum { OWNER_AT = 200, HEARTBEAT_AT = 204, EPOCH_AT = 208, BELL_AT = 212 };

/* ---- what is published: two sources with different layouts, both of which tell whether they are
 * whole ---- */

enum { CHEST_WORDS = 61 };
#define CHEST(FIELD)                                                                               \
    FIELD(number, u64, serial, "", 1, NAN, "Counts the publications")                              \
    FIELD(numbers, u64, drawers, CHEST_WORDS, "", 0, NAN, "Each follows from the serial number")
OMNI_STATUS(chest, CHEST)

static uint64_t chest_word(uint64_t serial, unsigned index) {
    return (serial + index) * 0x9E3779B97F4A7C15u;
}

static void chest_fill(struct chest *chest, uint64_t serial) {
    chest->serial = serial;
    for (unsigned i = 0; i < CHEST_WORDS; i++)
        chest->drawers[i] = chest_word(serial, i);
}

static bool chest_is_whole(const struct chest *chest, uint64_t serial) {
    bool whole = chest->serial == serial;
    for (unsigned i = 0; i < CHEST_WORDS; i++)
        whole = whole && chest->drawers[i] == chest_word(serial, i);
    return whole;
}

/* ---- a region of one's own ---- */

struct place {
    char path[PATH_MAX];
    char address[PATH_MAX + 8];
};

static struct place place_in(const struct scratch *scratch) {
    struct place place;
    scratch_path(scratch, "region", place.path, sizeof place.path);
    snprintf(place.address, sizeof place.address, "file:%s", place.path);
    return place;
}

enum { SPINS = 20000 };

/* For what another thread does next. Where both run at once that is within the spins, and they meet at
 * any moment; where they don't, it needs the processor. */
static void give_way(unsigned *spins) {
    if (++*spins > SPINS)
        sleep_us(20);
}

static int open_at(const struct place *place, struct omni_publisher **publisher,
                   struct omni_publisher_options options, struct omni_problem *problem) {
    options.region = place->address;
    return omni_publisher_open(publisher, "twin", parcel_schema(), &options, problem);
}

static struct omni_publisher *must_open_at(const struct place *place) {
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    if (open_at(place, &publisher, (struct omni_publisher_options){.period_ns = 0}, &problem) < 0)
        fail_msg("cannot publish at %s: %s", place->address, problem.text);
    return publisher;
}

static struct omni_observer *must_attach_at(const struct place *place, bool bell) {
    struct omni_observer *observer = NULL;
    struct omni_problem problem = {""};
    struct omni_observer_options options = {.writable_bell = bell};
    if (omni_observer_attach(&observer, place->address, &options, &problem) < 0)
        fail_msg("cannot attach to %s: %s", place->address, problem.text);
    return observer;
}

static uint32_t word_at(const struct place *place, size_t offset) {
    struct bytes file = read_file(place->path);
    uint32_t word;
    assert_true(file.count >= offset + sizeof word);
    memcpy(&word, file.at + offset, sizeof word);
    free(file.at);
    return word;
}

static void refuse_at(const struct place *place, struct omni_publisher_options options, int error,
                      const char *hint) {
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem = {""};
    int got = open_at(place, &publisher, options, &problem);
    if (got != error || strstr(problem.text, hint) == NULL)
        fail_msg("%d, expected %d with \"%s\": %s", got, error, hint, problem.text);
    assert_null(publisher);
}

/* ---- the bytes ---- */

static void a_region_is_one_file_without_companions(void **state) {
    const struct scratch *scratch = *state;
    struct place place = place_in(scratch);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, false);
    struct omni_stamp stamp;
    struct parcel parcel;
    publish_parcels(publisher, 3);
    for (uint64_t tick = 1; tick <= 3; tick++) {
        assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
        assert_int_equal(stamp.tick, tick);
        assert_true(parcel_is_whole(&parcel, tick));
    }
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), -EAGAIN);
    assert_string_equal(omni_observer_facts(observer)->name, "twin");
    assert_int_equal(omni_observer_facts(observer)->scope, OMNI_SCOPE_MACHINES);
    assert_int_equal(omni_wait_version(observer, 3, 1), -EOPNOTSUPP);
    assert_int_equal(scratch_count(scratch, ""), 1);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
    assert_int_equal(scratch_count(scratch, ""), 1);
}

static void the_four_words_say_what_the_layout_says(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    uint32_t owner = word_at(&place, OWNER_AT);
    uint32_t heartbeat = word_at(&place, HEARTBEAT_AT);
    uint32_t epoch = word_at(&place, EPOCH_AT);
    assert_int_not_equal(owner, 0);
    publish_parcel(publisher);
    assert_int_not_equal(word_at(&place, HEARTBEAT_AT), heartbeat);
    heartbeat = word_at(&place, HEARTBEAT_AT);
    omni_publisher_beat(publisher);
    assert_int_not_equal(word_at(&place, HEARTBEAT_AT), heartbeat);
    assert_int_equal(word_at(&place, OWNER_AT), owner);
    omni_publisher_close(publisher);
    /* Free at once for the next one. */
    assert_int_equal(word_at(&place, OWNER_AT), 0);
    publisher = must_open_at(&place);
    assert_int_not_equal(word_at(&place, OWNER_AT), 0);
    assert_int_not_equal(word_at(&place, EPOCH_AT), epoch);
    omni_publisher_close(publisher);
}

static void on_one_kernel_they_are_zero(void **state) {
    static const char zeros[64 - 8];
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    struct omni_publisher *publisher =
        must_open(scratch, "alone", parcel_schema(), (struct omni_publisher_options){.mode = 0});
    publish_parcel(publisher);
    omni_publisher_beat(publisher);
    assert_true(omni_publisher_is_owner(publisher));
    scratch_path(scratch, "omni.alone", path, sizeof path);
    struct bytes file = read_file(path);
    assert_memory_equal(file.at + OWNER_AT, zeros, sizeof zeros);
    free(file.at);
    omni_publisher_close(publisher);
}

/* ---- room, and what lies there ---- */

static void a_file_that_is_there_keeps_its_size(void **state) {
    static const size_t sizes[] = {1 << 20, 65536, 3000};
    struct place place = place_in(*state);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *zeros = calloc(1, sizes[i]);
        assert_non_null(zeros);
        write_file(place.path, zeros, sizes[i]);
        free(zeros);
        struct omni_publisher *publisher = must_open_at(&place);
        struct omni_observer *observer = must_attach_at(&place, false);
        publish_parcels(publisher, 1000);
        struct omni_stamp stamp;
        struct parcel parcel;
        assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
        assert_true(parcel_is_whole(&parcel, 1000));
        /* As many as fit, up to what it would be anywhere. */
        uint32_t slots = omni_observer_facts(observer)->slot_count;
        assert_true(sizes[i] > 65535 ? slots == 256 : slots == 16);
        omni_observer_detach(observer);
        omni_publisher_close(publisher);
        struct bytes file = read_file(place.path);
        assert_int_equal(file.count, sizes[i]);
        free(file.at);
    }
}

static void too_small_a_region_says_how_much_is_needed(void **state) {
    static const char zeros[1024];
    struct place place = place_in(*state);
    write_file(place.path, zeros, 700);
    refuse_at(&place, (struct omni_publisher_options){.mode = 0}, -ENOSPC, "for 2 slots");
    refuse_at(&place, (struct omni_publisher_options){.slot_count = 1024}, -ENOSPC, "fewer slots");
    write_file(place.path, zeros, 100);
    refuse_at(&place, (struct omni_publisher_options){.mode = 0}, -ENODATA, "too small");
}

/* Of what a publisher makes where there is nothing yet. */
static size_t segment_bytes(const struct place *place) {
    omni_publisher_close(must_open_at(place));
    uint32_t bytes = word_at(place, offsetof(struct omni_header, segment_bytes));
    unlink(place->path);
    return bytes;
}

/* A typing error must not cost somebody's file. */
static void what_is_no_region_is_not_written_over(void **state) {
    const struct scratch *scratch = *state;
    struct place place = place_in(scratch);
    struct omni_publisher_options none = {.mode = 0};
    size_t bytes = segment_bytes(&place);
    char *prose = calloc(1, bytes + 100);
    assert_non_null(prose);
    const size_t marks[] = {0, 3, 4, 100, 191, 256, 4095, 4096, 32768, bytes - 1};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        assert_true(marks[i] < bytes);
        prose[marks[i]] = 'x';
        write_file(place.path, prose, bytes + 100);
        refuse_at(&place, none, -EEXIST, "no segment");
        struct bytes file = read_file(place.path);
        assert_int_equal(file.count, bytes + 100);
        assert_memory_equal(file.at, prose, bytes + 100);
        free(file.at);
        prose[marks[i]] = 0;
    }
    /* In a file that is smaller than the segment would be the last byte counts, too. */
    size_t fewer = bytes / 16 * 8;
    prose[fewer - 1] = 'x';
    write_file(place.path, prose, fewer);
    refuse_at(&place, none, -EEXIST, "no segment");
    free(prose);
    struct omni_publisher *publisher = must_open(scratch, "alone", parcel_schema(), none);
    char path[PATH_MAX];
    scratch_path(scratch, "omni.alone", path, sizeof path);
    scratch_path(scratch, "another-name", place.path, sizeof place.path);
    assert_int_equal(link(path, place.path), 0);
    snprintf(place.address, sizeof place.address, "file:%s", path);
    refuse_at(&place, none, -EINVAL, "only a source of one kernel");
    snprintf(place.address, sizeof place.address, "file:%s", place.path);
    refuse_at(&place, none, -EEXIST, "one kernel");
    struct omni_observer *observer = NULL;
    struct omni_problem problem;
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, &problem), -EPROTO);
    omni_publisher_close(publisher);
}

static void an_empty_region_is_no_error_but_not_yet(void **state) {
    struct place place = place_in(*state);
    struct omni_observer *observer = NULL;
    struct omni_problem problem;
    static const char zeros[8192];
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, &problem), -ENOENT);
    write_file(place.path, zeros, sizeof zeros);
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, &problem), -EAGAIN);
    assert_non_null(strstr(problem.text, "nothing has been published"));
    assert_null(observer);
}

/* ---- what is there while it is made ---- */

struct watch {
    const char *path;
    _Atomic bool stop;
    uint64_t seen, half;
};

static void *watch_file(void *context) {
    struct watch *watch = context;
    while (!watch->stop) {
        struct stat facts;
        if (stat(watch->path, &facts) < 0)
            continue;
        watch->seen++;
        watch->half += facts.st_size < 4096 || (facts.st_mode & 0777) != 0644;
    }
    return NULL;
}

static void a_file_appears_whole(void **state) {
    const struct scratch *scratch = *state;
    struct place place = place_in(scratch);
    struct watch watch = {.path = place.path};
    pthread_t watcher;
    assert_int_equal(pthread_create(&watcher, NULL, watch_file, &watch), 0);
    for (int i = 0; i < 20; i++) {
        omni_publisher_close(must_open_at(&place));
        assert_int_equal(scratch_count(scratch, ""), 1);
        unlink(place.path);
    }
    watch.stop = true;
    pthread_join(watcher, NULL);
    assert_true(watch.seen > 0);
    assert_int_equal(watch.half, 0);
}

/* Made by somebody who died before there was anything in it, or by touch. */
static void an_empty_file_is_as_good_as_none(void **state) {
    struct place place = place_in(*state);
    struct omni_observer *observer = NULL;
    struct omni_problem problem;
    write_file(place.path, "", 0);
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, &problem), -EAGAIN);
    assert_non_null(strstr(problem.text, "nothing has been published"));
    struct omni_publisher *publisher = must_open_at(&place);
    publish_parcel(publisher);
    omni_observer_detach(must_attach_at(&place, false));
    omni_publisher_close(publisher);
}

/* A page of a disk's file is taken away from its writer each time that it goes to the disk. */
static void a_file_on_a_disk_is_refused(void **state) {
    static const char *const directories[] = {".", "/var/tmp", "/"};
    struct omni_publisher_options none = {.mode = 0};
    struct place place;
    (void)state;
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        struct statfs facts;
        if (statfs(directories[i], &facts) < 0 || access(directories[i], W_OK) < 0 ||
            (uint32_t)facts.f_type == TMPFS_MAGIC || (uint32_t)facts.f_type == RAMFS_MAGIC)
            continue;
        snprintf(place.path, sizeof place.path, "%s/omni-test-%ld.region", directories[i],
                 (long)getpid());
        snprintf(place.address, sizeof place.address, "file:%s", place.path);
        refuse_at(&place, none, -EOPNOTSUPP, "/dev/shm");
        assert_int_equal(access(place.path, F_OK), -1);
        static const char zeros[65536];
        write_file(place.path, zeros, sizeof zeros);
        refuse_at(&place, none, -EOPNOTSUPP, "/dev/shm");
        unlink(place.path);
        return;
    }
    SKIP_BECAUSE("every directory that may be written here is one of memory");
}

/* ---- huge pages ---- */

enum { HUGE_PAGES = 2, NO_MOUNT = 70, NO_MAPPING = 71 };
#define HUGE_COUNT "/proc/sys/vm/nr_hugepages"

static long read_number(const char *path) {
    char text[32] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    return length > 0 ? strtol(text, NULL, 10) : -1;
}

static void write_number(const char *path, long number) {
    char text[32];
    int length = snprintf(text, sizeof text, "%ld", number);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    (void)!write(file, text, (size_t)length);
    close(file);
}

/* Mounts them for this process alone. Returns the size of one; 0 where that cannot be. */
static size_t mount_huge_pages(const char *directory) {
    struct statfs facts;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mkdir(directory, 0700) < 0 || mount("none", directory, "hugetlbfs", 0, NULL) < 0 ||
        statfs(directory, &facts) < 0)
        return 0;
    return (size_t)facts.f_bsize;
}

/* An emulator may choose an address that does not suit them. */
static bool maps_huge_pages(const char *path, size_t size) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *bytes =
        file < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    unlink(path);
    return bytes != MAP_FAILED && munmap(bytes, size) == 0;
}

static int mappings_of(const char *path) {
    char line[PATH_MAX + 128];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, path) != NULL;
    if (maps != NULL)
        fclose(maps);
    return count;
}

/* 0, or what is wrong. */
static int come_and_go(const struct place *place, size_t size) {
    struct omni_stamp stamp;
    struct parcel parcel;
    struct stat facts;
    struct omni_publisher *publisher = must_open_at(place);
    publish_parcels(publisher, 3);
    if (stat(place->path, &facts) < 0 || (size_t)facts.st_size % size != 0)
        return 1;
    for (int i = 0; i < 3; i++) {
        struct omni_observer *observer = must_attach_at(place, true);
        if (omni_observer_next(observer, &stamp, &parcel) < 0 || !parcel_is_whole(&parcel, 1))
            return 2;
        omni_observer_detach(observer);
        if (mappings_of(place->path) != 1)
            return 3;
    }
    omni_publisher_close(publisher);
    if (mappings_of(place->path) != 0)
        return 4;
    struct omni_observer *observer = must_attach_at(place, true);
    if (truncate(place->path, 0) < 0)
        return 5;
    if (omni_observer_next(observer, &stamp, &parcel) != -ESTALE ||
        omni_observer_ask_bell(observer, 3, 1) != -ESTALE)
        return 6;
    omni_observer_detach(observer);
    return mappings_of(place->path) == 0 ? 0 : 7;
}

static int use_huge_pages(void *context) {
    struct place *place = context;
    char directory[PATH_MAX];
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* its parent hears nothing until this ends */
    alarm(60);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(place->path, '/') - place->path),
             place->path);
    size_t size = mount_huge_pages(directory);
    if (size == 0)
        return NO_MOUNT;
    if (!maps_huge_pages(place->path, size))
        return NO_MAPPING;
    if (omni_guard_install() < 0)
        return 20;
    int error = come_and_go(place, size);
    /* Empty now, as if somebody had touched it. */
    return error == 0 ? come_and_go(place, size) : 10 + error;
}

static const int enders[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};

/* The machine's own number: no two tests change it at a time. Returns whether there were enough. */
static bool with_huge_pages(struct place *place, int *status) {
    int lock = open(HUGE_COUNT, O_RDONLY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        close(lock);
        return false;
    }
    /* Whoever ends this test must not leave the machine with fewer pages. */
    sigset_t ends;
    sigset_t mask;
    sigemptyset(&ends);
    for (size_t i = 0; i < sizeof enders / sizeof enders[0]; i++)
        sigaddset(&ends, enders[i]);
    sigprocmask(SIG_BLOCK, &ends, &mask);
    long before = read_number(HUGE_COUNT);
    write_number(HUGE_COUNT, before + HUGE_PAGES);
    bool given = read_number(HUGE_COUNT) >= before + HUGE_PAGES;
    if (given)
        *status = in_child(use_huge_pages, place);
    write_number(HUGE_COUNT, before);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(lock);
    return given;
}

static void a_region_of_huge_pages_is_let_go_whole(void **state) {
    struct place place;
    int status = 0;
    scratch_path(*state, "huge/region", place.path, sizeof place.path);
    snprintf(place.address, sizeof place.address, "file:%s", place.path);
    bool given = with_huge_pages(&place, &status);
    if (!given || (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNT))
        SKIP_BECAUSE("this machine gives no huge pages");
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MAPPING)
        SKIP_BECAUSE("huge pages cannot be mapped here");
    assert_exit(status, 0);
}

static void who_may_write_is_bounded(void **state) {
    struct place place = place_in(*state);
    struct stat facts;
    struct omni_publisher *publisher = NULL;
    struct omni_publisher_options group = {.mode = 0660};
    assert_int_equal(open_at(&place, &publisher, group, NULL), 0);
    assert_int_equal(stat(place.path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0660);
    omni_publisher_close(publisher);
    refuse_at(&place, (struct omni_publisher_options){.mode = 0662}, -EINVAL, "mode 662");
    group.directory = ((const struct scratch *)*state)->directory;
    assert_int_equal(omni_publisher_open(&publisher, "twin", parcel_schema(), &group, NULL),
                     -EINVAL);
}

/* Each state that a first build goes through: magic, maybe in two pieces, then the rest from front to
 * back, last of all the layout version. */
static void every_prefix_of_a_first_build_is_not_yet(void **state) {
    struct place place = place_in(*state);
    omni_publisher_close(must_open_at(&place));
    struct bytes whole = read_file(place.path);
    unsigned char *begun = calloc(1, whole.count);
    assert_non_null(begun);
    memcpy(begun + EPOCH_AT, whole.at + EPOCH_AT, 4);
    for (size_t at = 0; at < 4096; at += 4) {
        if (at == 8 || (at >= OWNER_AT && at < 256)) /* the layout version; what changes */
            continue;
        memcpy(begun + at, whole.at + at, 4);
        write_file(place.path, begun, whole.count);
        struct omni_observer *observer = NULL;
        struct omni_problem problem;
        int error = omni_observer_attach(&observer, place.address, NULL, &problem);
        if (error != -EAGAIN)
            fail_msg("built up to byte %zu: %d, %s", at + 4, error, problem.text);
        /* And its builder may have died there. */
        if (at > 16 && at != 60 && at != 128 && at != 1024)
            continue;
        omni_publisher_close(must_open_at(&place));
    }
    free(begun);
    free(whole.at);
}

/* Its builder died, or is not done yet. */
static void half_a_segment_is_not_believed(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = NULL;
    struct omni_problem problem;
    omni_store_relaxed(&publisher->header->layout_version, 0);
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, &problem), -EAGAIN);
    assert_non_null(strstr(problem.text, "still being built"));
    omni_publisher_close(publisher);
    /* And it is no reason for anybody not to build there. */
    publisher = must_open_at(&place);
    omni_observer_detach(must_attach_at(&place, false));
    omni_publisher_close(publisher);
}

static void the_regions_name_must_be_the_sources(void **state) {
    (void)state;
    struct omni_publisher *publisher = NULL;
    struct omni_problem problem;
    struct omni_publisher_options options = {.region = "shm:other"};
    assert_int_equal(omni_publisher_open(&publisher, "twin", parcel_schema(), &options, &problem),
                     -EINVAL);
    assert_non_null(strstr(problem.text, "same name"));
}

static void links_and_strangers_are_refused(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher_options none = {.mode = 0};
    assert_int_equal(symlink("/dev/null", place.path), 0);
    refuse_at(&place, none, -ELOOP, "a link");
    unlink(place.path);
    assert_int_equal(mkfifo(place.path, 0600), 0);
    refuse_at(&place, none, -EINVAL, "a pipe");
    struct omni_observer *observer = NULL;
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, NULL), -EINVAL);
    unlink(place.path);
    SKIP_UNLESS_ROOT();
    omni_publisher_close(must_open_at(&place));
    assert_int_equal(chown(place.path, 12345, 12345), 0);
    assert_int_equal(omni_observer_attach(&observer, place.address, NULL, NULL), -EPERM);
    const uid_t trusted[] = {12345};
    struct omni_observer_options trusting = {.trusted = trusted, .trusted_count = 1};
    assert_int_equal(omni_observer_attach(&observer, place.address, &trusting, NULL), 0);
    assert_int_equal(omni_observer_facts(observer)->owner, 12345);
    omni_observer_detach(observer);
}

/* ---- building, and whose it is meanwhile ---- */

enum { LARGE_RING = 1 << 17, BEATS_FOR_IT = LARGE_RING / 1024 };

/* A signal handler has nothing but globals. */
static struct {
    unsigned char *page;
    size_t bytes;
    uint32_t *owner;
} thief;

static void steal(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    (void)context;
    omni_store_relaxed(thief.owner, 77);
    (void)mprotect(thief.page, thief.bytes, PROT_READ | PROT_WRITE);
}

/* The builder comes to the last page of the ring, and somebody takes its place there and then. */
static void steal_at_the_end(struct omni_publisher *publisher) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t last = (size_t)(publisher->header->segment_bytes - 1) / page * page;
    thief.page = publisher->segment.bytes + last;
    thief.bytes = page;
    thief.owner = &publisher->header->owner;
    assert_int_equal(mprotect(thief.page, page, PROT_NONE), 0);
}

static void a_builder_shows_that_it_lives_and_sees_that_it_was_replaced(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = NULL;
    struct omni_publisher_options large = {.slot_count = LARGE_RING};
    assert_int_equal(open_at(&place, &publisher, large, NULL), 0);
    struct omni_header *there = publisher->header;
    struct omni_header header;
    struct omni_table table;
    memcpy(&header, there, sizeof header);
    header.layout_version = 0;
    assert_int_equal(omni_schema_pack(&table, parcel_schema(), NULL), 0);
    publish_parcels(publisher, 3);
    uint32_t heartbeat = there->heartbeat;
    assert_int_equal(omni_machines_build(publisher, &header, &table), 0);
    assert_true(there->heartbeat - heartbeat >= BEATS_FOR_IT);
    struct omni_observer *observer = must_attach_at(&place, false);
    struct omni_stamp stamp;
    struct parcel parcel;
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), -EAGAIN);
    omni_observer_detach(observer);
    /* Replaced while it builds. */
    struct sigaction stealing = {.sa_sigaction = steal, .sa_flags = SA_SIGINFO};
    struct sigaction before_that;
    assert_int_equal(sigaction(SIGSEGV, &stealing, &before_that), 0);
    steal_at_the_end(publisher);
    int error = omni_machines_build(publisher, &header, &table);
    sigaction(SIGSEGV, &before_that, NULL);
    assert_int_equal(error, -EBUSY);
    assert_int_equal(there->layout_version, 0);
    assert_int_equal(there->owner, 77);
    /* And before it begins. */
    struct bytes before = read_file(place.path);
    publisher->id = 5;
    assert_int_equal(omni_machines_build(publisher, &header, &table), -EBUSY);
    publish_parcel(publisher);
    omni_publisher_close(publisher);
    struct bytes after = read_file(place.path);
    assert_memory_equal(after.at, before.at, before.count);
    free(before.at);
    free(after.at);
    omni_table_free(&table);
}

struct newcomer {
    struct place place;
    _Atomic uint64_t refused, accused;
    _Atomic bool stop;
    char accusation[256];
};

static void *come_again_and_again(void *context) {
    struct newcomer *newcomer = context;
    while (!newcomer->stop) {
        struct omni_publisher *publisher = NULL;
        struct omni_problem problem = {""};
        int error = open_at(&newcomer->place, &publisher,
                            (struct omni_publisher_options){.mode = 0}, &problem);
        newcomer->refused += error == -EBUSY;
        if (error != 0 && error != -EBUSY && newcomer->accused++ == 0)
            memcpy(newcomer->accusation, problem.text, sizeof newcomer->accusation);
        omni_publisher_close(publisher);
    }
    return NULL;
}

/* Zeros again, from back to front: at each moment a region, or nothing. */
static void empty(const struct omni_publisher *publisher) {
    uint64_t *words = (void *)publisher->segment.bytes;
    omni_store_relaxed(&publisher->header->layout_version, 0);
    omni_store_relaxed(&publisher->header->epoch, publisher->header->epoch + 1);
    omni_fence_machines();
    for (size_t i = publisher->segment.size / 8; i-- > 256 / 8;)
        omni_store_long_relaxed(&words[i], 0);
    for (size_t i = 192 / 8; i-- > 0;)
        omni_store_long_relaxed(&words[i], 0);
    omni_fence_machines();
}

/* What a second publisher finds there while the first one builds is no reason to tell anybody to
 * clear it. */
static void who_comes_while_it_is_built_is_told_that_it_is_in_use(void **state) {
    static struct newcomer newcomer;
    struct omni_header header;
    struct omni_table table;
    pthread_t thread;
    memset(&newcomer, 0, sizeof newcomer);
    newcomer.place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&newcomer.place);
    memcpy(&header, publisher->header, sizeof header);
    header.layout_version = 0;
    assert_int_equal(omni_schema_pack(&table, parcel_schema(), NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, come_again_and_again, &newcomer), 0);
    while (newcomer.refused < 2000 && newcomer.accused == 0) {
        /* Whoever was kept from running for two seconds has been replaced: it comes back. */
        publisher->id = 77;
        omni_store_relaxed(&publisher->header->owner, publisher->id);
        empty(publisher);
        (void)omni_machines_build(publisher, &header, &table);
        publish_parcel(publisher);
    }
    newcomer.stop = true;
    for (int i = 0; i < 200; i++, sleep_us(1000)) /* the last one, too, is refused */
        omni_publisher_beat(publisher);
    pthread_join(thread, NULL);
    if (newcomer.accused != 0)
        fail_msg("%s", newcomer.accusation);
    omni_publisher_close(publisher);
    omni_table_free(&table);
}

static void the_instance_is_its_own_for_good(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    uint64_t instance = omni_publisher_instance(publisher);
    assert_true(instance == publisher->header->instance && instance != 0);
    publisher->header->instance++; /* another's, who has taken over */
    assert_true(omni_publisher_instance(publisher) == instance);
    omni_publisher_close(publisher);
}

/* ---- one owner at a time ---- */

/* What a child does: publishes each millisecond until it is ended. */
static int publish_for_ever(void *context) {
    const struct place *place = context;
    struct omni_publisher *publisher = NULL;
    die_with_parent();
    if (open_at(place, &publisher, (struct omni_publisher_options){.mode = 0}, NULL) < 0)
        return 2;
    for (;; sleep_us(1000))
        publish_parcel(publisher);
}

static pid_t start(int (*work)(void *context), void *context) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        die_of_faults();
        _exit(work(context));
    }
    assert_true(child > 0);
    return child;
}

static void await_tick(const struct place *place, uint64_t tick) {
    struct omni_observer *observer = NULL;
    struct omni_stamp stamp = {.tick = 0};
    while (omni_observer_attach(&observer, place->address, NULL, NULL) < 0)
        sleep_us(1000);
    while (omni_observer_glance(observer, &stamp) < 0 || stamp.tick < tick)
        sleep_us(1000);
    omni_observer_detach(observer);
}

static int end(pid_t child, int signal) {
    int status = 0;
    if (signal != 0)
        kill(child, signal);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_second_one_is_refused_while_the_first_lives(void **state) {
    struct place place = place_in(*state);
    pid_t first = start(publish_for_ever, &place);
    await_tick(&place, 3);
    uint32_t owner = word_at(&place, OWNER_AT);
    refuse_at(&place, (struct omni_publisher_options){.mode = 0}, -EBUSY, "\"twin\"");
    assert_int_equal(word_at(&place, OWNER_AT), owner);
    end(first, SIGKILL);
}

static uint64_t processor_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

/* The stated time, no less; and while it waits the contender leaves the processor to others. */
static void a_killed_ones_place_is_taken_after_the_stated_time(void **state) {
    struct place place = place_in(*state);
    pid_t first = start(publish_for_ever, &place);
    await_tick(&place, 3);
    end(first, SIGKILL);
    uint64_t begin_ns = now_ns(), work_ns = processor_ns();
    struct omni_publisher *publisher = must_open_at(&place);
    uint64_t passed_ns = now_ns() - begin_ns;
    work_ns = processor_ns() - work_ns;
    print_message("taken over after %llu ms, with %llu ms of processor time\n",
                  (unsigned long long)(passed_ns / MILLISECOND_NS),
                  (unsigned long long)(work_ns / MILLISECOND_NS));
    assert_true(passed_ns >= OMNI_OWNER_DEAD_NS);
    assert_true(work_ns < passed_ns / 4);
    publish_parcel(publisher);
    struct omni_observer *observer = must_attach_at(&place, false);
    struct omni_stamp stamp;
    struct parcel parcel;
    assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
    assert_int_equal(stamp.tick, 1);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* Stops itself between two ticks, as a machine is paused; goes on as if nothing had been. Ends with
 * 42 where it learned that it owns nothing any more. */
static int pause_and_go_on(void *context) {
    struct omni_publisher *publisher = NULL;
    die_with_parent();
    if (open_at(context, &publisher, (struct omni_publisher_options){.mode = 0}, NULL) < 0)
        return 2;
    publish_parcels(publisher, 5);
    raise(SIGSTOP);
    publish_parcels(publisher, 5);
    omni_publisher_beat(publisher);
    int code = omni_publisher_is_owner(publisher) || omni_publisher_tick(publisher) != 5 ? 1 : 42;
    omni_publisher_close(publisher);
    return code;
}

static void who_was_paused_and_replaced_writes_nothing_more(void **state) {
    struct place place = place_in(*state);
    int status = 0;
    pid_t paused = start(pause_and_go_on, &place);
    assert_int_equal(waitpid(paused, &status, WUNTRACED), paused);
    assert_true(WIFSTOPPED(status));
    struct omni_publisher *publisher = must_open_at(&place);
    publish_parcels(publisher, 3);
    struct bytes before = read_file(place.path);
    kill(paused, SIGCONT);
    assert_exit(end(paused, 0), 42);
    struct bytes after = read_file(place.path);
    assert_int_equal(after.count, before.count);
    assert_memory_equal(after.at, before.at, before.count);
    assert_true(omni_publisher_is_owner(publisher));
    free(before.at);
    free(after.at);
    omni_publisher_close(publisher);
}

/* A pause that is shorter, or that nobody used, costs nothing. */
static void who_was_paused_and_not_replaced_goes_on(void **state) {
    struct place place = place_in(*state);
    int status = 0;
    pid_t paused = start(pause_and_go_on, &place);
    assert_int_equal(waitpid(paused, &status, WUNTRACED), paused);
    kill(paused, SIGCONT);
    assert_exit(end(paused, 0), 1);
    assert_int_equal(word_at(&place, OWNER_AT), 0);
}

enum { WON = 10, REFUSED = 11, LOST = 12 };

enum { CONTENDERS = 6, CONTEST_SECONDS = 30 };

struct contest {
    struct place place;
    _Atomic bool *over; /* all processes see it */
};

/* Publishes until told to end, if it may at all. */
static int contend(void *context) {
    const struct contest *contest = context;
    struct omni_publisher *publisher = NULL;
    die_with_parent();
    int error =
        open_at(&contest->place, &publisher, (struct omni_publisher_options){.mode = 0}, NULL);
    if (error < 0)
        return error == -EBUSY ? REFUSED : 2;
    while (!*contest->over && omni_publisher_is_owner(publisher)) {
        publish_parcel(publisher);
        sleep_us(1000);
    }
    /* Killed, not closed: the others must not find the place free. */
    return omni_publisher_is_owner(publisher) ? WON : LOST;
}

static void await_ends(const pid_t *children, size_t count) {
    uint64_t bound_ns = now_ns() + CONTEST_SECONDS * UINT64_C(1000000000);
    for (size_t ended = 0; ended < count && now_ns() < bound_ns; sleep_us(1000)) {
        ended = 0;
        for (size_t i = 0; i < CONTENDERS; i++) {
            siginfo_t end = {.si_pid = 0};
            assert_int_equal(waitid(P_PID, (id_t)children[i], &end, WEXITED | WNOHANG | WNOWAIT),
                             0);
            ended += end.si_pid != 0;
        }
    }
}

/* The winner publishes until all others know that they may not. */
static void hold(struct contest *contest) {
    pid_t contenders[CONTENDERS];
    int count[LOST + 1] = {0};
    *contest->over = false;
    for (size_t i = 0; i < CONTENDERS; i++)
        contenders[i] = start(contend, contest);
    await_ends(contenders, CONTENDERS - 1);
    *contest->over = true;
    for (size_t i = 0; i < CONTENDERS; i++) {
        int status = end(contenders[i], 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= LOST);
        count[WEXITSTATUS(status)]++;
    }
    print_message("won %d, refused %d, lost %d\n", count[WON], count[REFUSED], count[LOST]);
    assert_int_equal(count[WON], 1);
    assert_int_equal(count[WON] + count[REFUSED] + count[LOST], CONTENDERS);
}

static void of_many_at_once_one_wins(void **state) {
    struct contest contest = {.place = place_in(*state)};
    contest.over =
        mmap(NULL, sizeof *contest.over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(contest.over != MAP_FAILED);
    hold(&contest); /* an empty region */
    hold(&contest); /* and one whose owner is dead */
    munmap(contest.over, sizeof *contest.over);
}

/* ---- life, as a reader sees it ---- */

static void await_life(struct omni_observer *observer, enum omni_life life) {
    while (omni_observer_life(observer) != life)
        sleep_us(10000);
}

static void life_is_told_by_the_heartbeat(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, false);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    uint64_t begin_ns = now_ns();
    await_life(observer, OMNI_LIFE_DIED);
    assert_true(now_ns() - begin_ns >= (uint64_t)OMNI_OWNER_DEAD_NS / 10 * 9);
    /* It was only slow. */
    omni_publisher_beat(publisher);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    omni_publisher_close(publisher);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_CLOSED);
    assert_false(omni_observer_is_replaced(observer));
    omni_observer_detach(observer);
}

/* As if this machine had been paused, and the publisher's with it. */
static void who_did_not_look_has_seen_no_silence(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, false);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    sleep_us((long)(OMNI_OWNER_DEAD_NS / 1000 / 10 * 11));
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    await_life(observer, OMNI_LIFE_DIED);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* Who shows the last tick of the old segment shows it still: none of the new one's values under its
 * stamp. */
static void must_be_stale(struct omni_observer *observer, struct omni_stamp *stamp,
                          struct parcel *parcel) {
    struct omni_stamp stamp_before;
    struct parcel parcel_before;
    memcpy(&stamp_before, stamp, sizeof stamp_before);
    memcpy(&parcel_before, parcel, sizeof parcel_before);
    assert_int_equal(omni_observer_next(observer, stamp, parcel), -ESTALE);
    assert_memory_equal(stamp, &stamp_before, sizeof *stamp);
    assert_memory_equal(parcel, &parcel_before, sizeof *parcel);
    assert_int_equal(omni_observer_newest(observer, stamp, parcel), -ESTALE);
    assert_int_equal(omni_observer_glance(observer, stamp), -ESTALE);
    assert_memory_equal(stamp, &stamp_before, sizeof *stamp);
    assert_memory_equal(parcel, &parcel_before, sizeof *parcel);
    assert_true(omni_observer_is_replaced(observer));
}

static void a_segment_that_is_built_anew_is_stale(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_stamp stamp;
    struct parcel parcel;
    publish_parcels(publisher, 4);
    struct omni_observer *observer = must_attach_at(&place, false);
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
    omni_publisher_close(publisher);
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
    publisher = must_open_at(&place);
    publish_parcels(publisher, 9);
    must_be_stale(observer, &stamp, &parcel);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_DIED);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* Nobody looked while one died, and the next one began, ticked and closed. */
static void a_successors_goodbye_is_not_the_predecessors(void **state) {
    struct place place = place_in(*state);
    pid_t first = start(publish_for_ever, &place);
    await_tick(&place, 3);
    struct omni_observer *observer = must_attach_at(&place, true);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_OPEN);
    end(first, SIGKILL);
    struct omni_publisher *second = must_open_at(&place);
    publish_parcel(second);
    omni_publisher_close(second);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_DIED);
    assert_true(omni_observer_is_replaced(observer));
    assert_int_equal(omni_observer_ask_bell(observer, 1, 0), -ESTALE);
    omni_observer_detach(observer);
    /* Its own goodbye it is to its own readers. */
    observer = must_attach_at(&place, false);
    assert_int_equal(omni_observer_life(observer), OMNI_LIFE_CLOSED);
    omni_observer_detach(observer);
}

/* The old one was read far; the tries that come after the first find ticks of the new one. */
static void a_new_ring_that_is_young_is_stale_for_who_was_far(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, false);
    struct omni_stamp stamp;
    struct parcel parcel;
    publish_parcels(publisher, 500);
    assert_int_equal(omni_observer_newest(observer, &stamp, &parcel), 0);
    assert_int_equal(stamp.version, 500);
    omni_publisher_close(publisher);
    publisher = must_open_at(&place);
    publish_parcels(publisher, 12);
    must_be_stale(observer, &stamp, &parcel);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* The builder died before it cleared the ring: ticks of the old one are in it that nobody has read. */
static void a_ring_that_nobody_cleared_is_stale(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, false);
    struct omni_stamp stamp;
    struct parcel parcel;
    publish_parcels(publisher, 2);
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
    omni_store_relaxed(&publisher->header->layout_version, 0);
    omni_store_relaxed(&publisher->header->epoch, publisher->header->epoch + 1);
    must_be_stale(observer, &stamp, &parcel);
    omni_observer_detach(observer);
    omni_publisher_close(publisher);
}

/* ---- readers while it is built all the time ---- */

enum { LOOKS = 64 };

struct yard {
    struct place place;
    struct omni_publisher *publisher;
    const struct omni_header *header; /* in the region */
    struct omni_header headers[2];
    struct omni_table tables[2];
    _Atomic bool stop;
    uint64_t builds;
    uint32_t distance; /* from a segment's epoch to its instance: both count the builds */
    _Atomic uint64_t read[2], torn, stale, not_yet, accused, looked, mixed;
    char accusation[256];
};

static bool is_whole(const struct yard *yard, size_t which, const struct omni_stamp *stamp,
                     const void *payload) {
    (void)yard;
    return which == 0 ? parcel_is_whole(payload, stamp->tick)
                      : chest_is_whole(payload, stamp->tick);
}

static void read_until_stale(struct yard *yard, struct omni_observer *observer) {
    size_t which = omni_observer_payload_bytes(observer) == sizeof(struct parcel) ? 0 : 1;
    uint64_t payload[sizeof(struct chest) / 8];
    struct omni_stamp stamp;
    for (int error = 0; error != -ESTALE && !yard->stop;) {
        error = omni_observer_next(observer, &stamp, payload);
        if (error == 0) {
            yard->read[which]++;
            yard->torn += !is_whole(yard, which, &stamp, payload);
        }
    }
    yard->stale++;
}

static void attach_and_read(struct yard *yard) {
    struct omni_observer *observer = NULL;
    struct omni_problem problem;
    int error = omni_observer_attach(&observer, yard->place.address, NULL, &problem);
    if (error == 0)
        read_until_stale(yard, observer);
    else if (error == -EAGAIN)
        yard->not_yet++;
    else if (yard->accused++ == 0)
        memcpy(yard->accusation, problem.text, sizeof yard->accusation);
    omni_observer_detach(observer);
}

/* What an attach relies on: who finds an epoch and, after it, a layout version finds that segment and
 * no other behind them. */
static void look_at_the_header(struct yard *yard) {
    const struct omni_header *header = yard->header;
    uint32_t epoch = omni_load_relaxed(&header->epoch);
    omni_fence_machines();
    uint32_t built = omni_load_relaxed(&header->layout_version);
    omni_fence_machines();
    uint32_t instance = omni_load_relaxed((const uint32_t *)&header->instance);
    omni_fence_machines();
    if (built == 0 || omni_load_relaxed(&header->epoch) != epoch)
        return;
    yard->looked++;
    yard->mixed += instance - epoch != yard->distance;
}

/* One thread beside the builder: more than there are processors would only keep each other from
 * running, and the builder, too. Who has just found a segment stale looks while the next one is
 * built. */
static void *look_on(void *context) {
    struct yard *yard = context;
    while (!yard->stop) {
        attach_and_read(yard);
        for (int i = 0; i < LOOKS && !yard->stop; i++)
            look_at_the_header(yard);
    }
    return NULL;
}

static uint64_t progress(const struct yard *yard) {
    return yard->read[0] + yard->read[1] + yard->stale + yard->not_yet + yard->accused;
}

static void publish_either(struct yard *yard, size_t which) {
    union {
        struct parcel parcel;
        struct chest chest;
    } status = {.chest = {.serial = 0}};
    uint64_t serial = omni_publisher_tick(yard->publisher) + 1;
    if (which == 0)
        parcel_fill(&status.parcel, serial);
    else
        chest_fill(&status.chest, serial);
    omni_publish(yard->publisher, &status);
}

static void rebuild(struct yard *yard, size_t which) {
    yard->headers[which].instance = ++yard->builds;
    yard->publisher->tick = 0;
    yard->publisher->version = 0;
    omni_publisher_settle(yard->publisher, yard->publisher->segment.bytes, &yard->headers[which]);
    assert_int_equal(
        omni_machines_build(yard->publisher, &yard->headers[which], &yard->tables[which]), 0);
}

/* One publisher for both sources: owning the region anew each time would take 50 ms. */
static void open_yard(struct yard *yard, const struct scratch *scratch) {
    yard->place = place_in(scratch);
    const struct omni_schema *schemas[] = {chest_schema(), parcel_schema()};
    for (size_t i = 0; i < 2; i++) {
        struct omni_publisher_options options = {.region = yard->place.address, .slot_count = 4};
        omni_publisher_close(yard->publisher);
        assert_int_equal(omni_publisher_open(&yard->publisher, "twin", schemas[i], &options, NULL),
                         0);
        memcpy(&yard->headers[1 - i], yard->publisher->header, sizeof yard->headers[0]);
        yard->headers[1 - i].layout_version = 0;
        assert_int_equal(omni_schema_pack(&yard->tables[1 - i], schemas[i], NULL), 0);
    }
}

static void nobody_takes_one_segment_for_another(void **state) {
    static struct yard yard;
    pthread_t reader;
    memset(&yard, 0, sizeof yard);
    open_yard(&yard, *state);
    rebuild(&yard, 0);
    yard.header = yard.publisher->header;
    yard.distance = (uint32_t)yard.builds - yard.publisher->header->epoch;
    assert_int_equal(pthread_create(&reader, NULL, look_on, &yard), 0);
    uint64_t seed = 7;
    /* Until there was enough of everything; slow machines take longer. */
    while (yard.read[0] < 20000 || yard.read[1] < 20000 || yard.stale < 2000 ||
           yard.builds < 4000 || yard.looked < 20000) {
        size_t which = yard.builds % 2;
        bool together = yard.builds % 4 < 2;
        uint64_t before = progress(&yard);
        rebuild(&yard, which);
        for (uint64_t n = chance(&seed) % 400 + together; n > 0; n--)
            publish_either(&yard, which);
        /* Builds that nobody is there to see show nothing. */
        for (unsigned spins = 0; together && progress(&yard) == before;)
            give_way(&spins);
    }
    yard.stop = true;
    pthread_join(reader, NULL);
    print_message("%llu builds, %llu + %llu ticks read, %llu times stale, %llu not yet\n",
                  (unsigned long long)yard.builds, (unsigned long long)yard.read[0],
                  (unsigned long long)yard.read[1], (unsigned long long)yard.stale,
                  (unsigned long long)yard.not_yet);
    assert_int_equal(yard.torn, 0);
    assert_int_equal(yard.mixed, 0);
    if (yard.accused != 0)
        fail_msg("called corrupt %llu times: %s", (unsigned long long)yard.accused,
                 yard.accusation);
    for (size_t i = 0; i < 2; i++)
        omni_table_free(&yard.tables[i]);
    omni_publisher_close(yard.publisher);
}

/* ---- the bell ---- */

static void the_bell_rings_once_for_each_time_of_asking(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, true);
    uint32_t device = 0;
    struct omni_stamp stamp;
    struct parcel parcel;
    publisher->doorbell = &device;
    publish_parcel(publisher);
    assert_int_equal(device, 0); /* nobody sleeps */
    assert_int_equal(omni_observer_ask_bell(observer, 3, 1), -EAGAIN);
    assert_int_equal(word_at(&place, BELL_AT), 0x80030001);
    assert_int_equal(omni_observer_next(observer, &stamp, &parcel), 0);
    assert_int_equal(omni_observer_ask_bell(observer, 3, 1), 0);
    publish_parcel(publisher);
    assert_int_equal(device, 0x00030001);
    assert_int_equal(word_at(&place, BELL_AT), 0);
    device = 0;
    publish_parcel(publisher);
    assert_int_equal(device, 0);
    while (omni_observer_next(observer, &stamp, &parcel) == 0)
        continue;
    assert_int_equal(omni_observer_ask_bell(observer, OMNI_BELL_PEER_MAX, OMNI_BELL_VECTOR_MAX), 0);
    omni_publisher_close(publisher);
    assert_int_equal(device, 0x7FFFFFFF);
    assert_int_equal(omni_observer_ask_bell(observer, 0, 0), -EPIPE);
    /* Who comes next in this place wakes the sleeper, too: the word outlives the publisher. */
    assert_int_equal(word_at(&place, BELL_AT), 0x80000000);
    assert_int_equal(omni_observer_ask_bell(observer, OMNI_BELL_PEER_MAX + 1, 0), -EINVAL);
    assert_int_equal(omni_observer_ask_bell(observer, 0, OMNI_BELL_VECTOR_MAX + 1), -EINVAL);
    publisher = must_open_at(&place);
    assert_int_equal(omni_observer_ask_bell(observer, 1, 0), -ESTALE);
    omni_publisher_close(publisher);
    omni_observer_detach(observer);
}

static void garbage_in_the_word_costs_one_ring(void **state) {
    struct place place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&place);
    uint32_t device = 0;
    publisher->doorbell = &device;
    publisher->header->bell = 0x7FFFFFFF; /* without the bit that says that somebody sleeps */
    publish_parcel(publisher);
    assert_int_equal(device, 0);
    publisher->header->bell = 0xDEADBEEF;
    publish_parcel(publisher);
    assert_int_equal(device, 0x5EADBEEF);
    device = 0;
    publish_parcel(publisher);
    assert_int_equal(device, 0);
    omni_publisher_close(publisher);
}

static void only_who_asked_for_it_may_write_the_bell(void **state) {
    const struct scratch *scratch = *state;
    struct place place = place_in(scratch);
    struct omni_publisher *publisher = must_open_at(&place);
    struct omni_observer *observer = must_attach_at(&place, false);
    assert_int_equal(omni_observer_ask_bell(observer, 1, 0), -EOPNOTSUPP);
    omni_observer_detach(observer);
    struct omni_publisher *alone =
        must_open(scratch, "alone", parcel_schema(), (struct omni_publisher_options){.mode = 0});
    struct omni_observer_options options = {.directory = scratch->directory, .writable_bell = true};
    assert_int_equal(omni_observer_attach(&observer, "alone", &options, NULL), -EOPNOTSUPP);
    omni_publisher_close(alone);
    omni_publisher_close(publisher);
}

static const volatile char *beyond_the_end;

static void tell_whether_it_is_there(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    _exit(info->si_addr == (const void *)(uintptr_t)beyond_the_end ? 0 : 1);
}

/* Not so under qemu-arm, where a program's addresses are others than the machine's: the guard then
 * does not know whose fault it is. */
static int fault_where_it_is_told(void *context) {
    const struct place *place = context;
    struct sigaction action = {.sa_sigaction = tell_whether_it_is_there, .sa_flags = SA_SIGINFO};
    int file = open(place->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    beyond_the_end = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    if (sigaction(SIGBUS, &action, NULL) < 0 || beyond_the_end == MAP_FAILED)
        return 2;
    (void)*beyond_the_end;
    return 3;
}

static int ask_behind_the_cut(void *context) {
    const struct place *place = context;
    if (omni_guard_install() < 0)
        return 2;
    struct omni_observer *observer = must_attach_at(place, true);
    if (truncate(place->path, 0) < 0)
        return 3;
    return omni_observer_ask_bell(observer, 3, 1) == -ESTALE ? 0 : 4;
}

static void a_file_that_was_cut_short_has_no_bell(void **state) {
    struct place place = place_in(*state);
    int told = in_child(fault_where_it_is_told, &place);
    if (WIFEXITED(told) && WEXITSTATUS(told) == 1)
        SKIP_BECAUSE("here a fault has an address of the emulator, not of the program");
    assert_exit(told, 0);
    omni_publisher_close(must_open_at(&place));
    assert_exit(in_child(ask_behind_the_cut, &place), 0);
}

enum { RINGS = 20000 };

struct hall {
    struct place place;
    _Atomic uint32_t device;
    _Atomic uint64_t taken;
};

/* Sleeps until it is rung: no time-out would save it from a ring that got lost. */
static void *sleep_for_rings(void *context) {
    struct hall *hall = context;
    struct omni_observer *observer = must_attach_at(&hall->place, true);
    struct omni_stamp stamp;
    struct parcel parcel;
    for (;;) {
        while (omni_observer_next(observer, &stamp, &parcel) == 0)
            hall->taken++;
        if (hall->taken == RINGS)
            break;
        if (omni_observer_ask_bell(observer, 5, 0) != 0)
            continue;
        for (unsigned spins = 0; hall->device == 0;)
            give_way(&spins);
        hall->device = 0;
    }
    omni_observer_detach(observer);
    return NULL;
}

static void no_ring_is_lost(void **state) {
    static struct hall hall;
    pthread_t sleeper;
    memset(&hall, 0, sizeof hall);
    hall.place = place_in(*state);
    struct omni_publisher *publisher = must_open_at(&hall.place);
    publisher->doorbell = (uint32_t *)(uintptr_t)&hall.device;
    assert_int_equal(pthread_create(&sleeper, NULL, sleep_for_rings, &hall), 0);
    for (uint64_t tick = 1; tick <= RINGS; tick++) {
        publish_parcel(publisher);
        for (unsigned spins = 0; hall.taken < tick;)
            give_way(&spins);
    }
    pthread_join(sleeper, NULL);
    omni_publisher_close(publisher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_region_is_one_file_without_companions),
        TEST(the_four_words_say_what_the_layout_says),
        TEST(on_one_kernel_they_are_zero),
        TEST(a_file_that_is_there_keeps_its_size),
        TEST(too_small_a_region_says_how_much_is_needed),
        TEST(what_is_no_region_is_not_written_over),
        TEST(an_empty_region_is_no_error_but_not_yet),
        TEST(a_file_appears_whole),
        TEST(an_empty_file_is_as_good_as_none),
        TEST(a_file_on_a_disk_is_refused),
        TEST(a_region_of_huge_pages_is_let_go_whole),
        TEST(who_may_write_is_bounded),
        TEST(every_prefix_of_a_first_build_is_not_yet),
        TEST(half_a_segment_is_not_believed),
        TEST(the_regions_name_must_be_the_sources),
        TEST(links_and_strangers_are_refused),
        TEST(a_builder_shows_that_it_lives_and_sees_that_it_was_replaced),
        TEST(who_comes_while_it_is_built_is_told_that_it_is_in_use),
        TEST(the_instance_is_its_own_for_good),
        TEST(a_second_one_is_refused_while_the_first_lives),
        TEST(a_killed_ones_place_is_taken_after_the_stated_time),
        TEST(who_was_paused_and_replaced_writes_nothing_more),
        TEST(who_was_paused_and_not_replaced_goes_on),
        TEST(of_many_at_once_one_wins),
        TEST(life_is_told_by_the_heartbeat),
        TEST(who_did_not_look_has_seen_no_silence),
        TEST(a_segment_that_is_built_anew_is_stale),
        TEST(a_successors_goodbye_is_not_the_predecessors),
        TEST(a_new_ring_that_is_young_is_stale_for_who_was_far),
        TEST(a_ring_that_nobody_cleared_is_stale),
        TEST(nobody_takes_one_segment_for_another),
        TEST(the_bell_rings_once_for_each_time_of_asking),
        TEST(garbage_in_the_word_costs_one_ring),
        TEST(only_who_asked_for_it_may_write_the_bell),
        TEST(a_file_that_was_cut_short_has_no_bell),
        TEST(no_ring_is_lost),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
