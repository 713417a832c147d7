#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <omni/guard.h>
#include <omni/lock.h>
#include <omni/publish.h>
#include <omni/region.h>

#include "atomics.h"
#include "futex.h"
#include "problem.h"
#include "publisher_internal.h"
#include "ring_inside.h"

enum {
    SLOTS_AT_LEAST = 64,
    SLOTS_WITHOUT_PERIOD = 256,
    RING_SECONDS = 2,
    MODE_EVERYBODY_LOOKS = 0644
};
#define SECOND_NS     1000000000u
#define PERIOD_NS_MAX (3600ull * SECOND_NS)
#define PERMISSIONS   0777u

/* ---- the layout of a new segment ---- */

static size_t page_bytes(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t round_up(uint64_t bytes, uint64_t to) {
    return (bytes + to - 1) / to * to;
}

static uint32_t power_of_two(uint64_t at_least) {
    uint32_t power = OMNI_SLOTS_MIN;
    while (power < at_least && power < OMNI_SLOTS_MAX)
        power *= 2;
    return power;
}

static uint32_t slot_count(const struct omni_publisher_options *options) {
    if (options->slot_count > 0)
        return power_of_two(options->slot_count);
    if (options->period_ns == 0)
        return SLOTS_WITHOUT_PERIOD;
    /* One slot more: the one that is being written is no longer readable. */
    uint64_t ticks =
        ((uint64_t)RING_SECONDS * SECOND_NS + options->period_ns - 1) / options->period_ns + 1;
    return power_of_two(ticks > SLOTS_AT_LEAST ? ticks : SLOTS_AT_LEAST);
}

void omni_publisher_lay_out(struct omni_header *header, const struct omni_table *table,
                            uint32_t slots) {
    uint64_t at = sizeof *header;
    header->field_offset = (uint32_t)at;
    header->field_count = table->field_count;
    header->field_bytes = sizeof(struct omni_field);
    at += table->field_count * sizeof(struct omni_field);
    header->text_offset = (uint32_t)at;
    header->text_bytes = table->text_bytes;
    at = round_up(at + table->text_bytes, OMNI_CACHE_LINE_BYTES);
    header->ring_offset = (uint32_t)at;
    header->slot_count = slots;
    header->slot_bytes = omni_slot_bytes(table->payload_bytes);
    header->payload_bytes = table->payload_bytes;
    at += (uint64_t)header->slot_count * header->slot_bytes;
    header->segment_bytes = at + sizeof(struct omni_end);
}

static uint64_t make_instance(struct omni_time now) {
    uint64_t instance = 0;
    if (getrandom(&instance, sizeof instance, GRND_NONBLOCK) != sizeof instance || instance == 0)
        instance = (now.wall_ns ^ (uint64_t)getpid() << 48) | 1;
    return instance;
}

static void describe(struct omni_header *header, const char *name, const struct omni_table *table,
                     const struct omni_publisher_options *options) {
    struct omni_time now = omni_time_now();
    memcpy(header->magic, OMNI_MAGIC, sizeof header->magic);
    header->byte_order = OMNI_BYTE_ORDER;
    header->header_bytes = sizeof *header;
    header->scope = OMNI_SCOPE_KERNEL;
    header->schema_hash = table->hash;
    header->instance = make_instance(now);
    header->period_ns = options->period_ns;
    header->compatible_flags = options->steady ? OMNI_COMPATIBLE_STEADY : 0;
    header->process_id = (uint32_t)getpid();
    header->started_monotonic_ns = now.monotonic_ns;
    header->started_wall_ns = now.wall_ns;
    memcpy(header->name, name, strlen(name) + 1);
    header->state = OMNI_STATE_OPEN;
}

/* ---- opening, step by step ---- */

static int check_options(const char *name, const struct omni_publisher_options *options,
                         struct omni_problem *problem) {
    if (!omni_name_is_valid(name))
        return omni_problem(problem, -EINVAL,
                            "\"%.64s\" cannot name a source: use 1 to %u of A-Z a-z 0-9 . _ - and "
                            "no dot in front",
                            name, OMNI_NAME_BYTES - 1);
    if (options->period_ns > PERIOD_NS_MAX)
        return omni_problem(problem, -EINVAL, "a period of more than an hour between ticks");
    if (options->slot_count > OMNI_SLOTS_MAX)
        return omni_problem(problem, -EINVAL, "%u slots: the ring may have up to %u",
                            options->slot_count, OMNI_SLOTS_MAX);
    return 0;
}

/* QEMU, of a user of its own, writes into the file that it gives to a machine. */
static int check_mode(uint32_t mode, enum omni_place place, struct omni_problem *problem) {
    uint32_t others = place == OMNI_PLACE_FILE ? 002 : 022;
    if ((mode & ~PERMISSIONS) == 0 && (mode & others) == 0)
        return 0;
    return omni_problem(problem, -EINVAL, "mode %o: nobody but the publisher's user%s may write %s",
                        mode, place == OMNI_PLACE_FILE ? " and group" : "",
                        place == OMNI_PLACE_FILE ? "a region" : "a segment");
}

static int check_size(uint64_t bytes, struct omni_problem *problem) {
    if (bytes <= OMNI_SEGMENT_BYTES_MAX)
        return 0;
    return omni_problem(problem, -EINVAL,
                        "the segment would have %llu bytes, at most %llu are allowed: ask for "
                        "fewer slots",
                        (unsigned long long)bytes, OMNI_SEGMENT_BYTES_MAX);
}

static int refuse_second(const char *name, pid_t first, struct omni_problem *problem) {
    char who[48] = "another process";
    if (first > 0)
        snprintf(who, sizeof who, "process %ld", (long)first);
    return omni_problem(problem, -EBUSY,
                        "\"%s\" is published already, by %s: stop it, or choose another name", name,
                        who);
}

/* All its files at once: who removes one alone is refused because of the next. */
static int refuse_foreign(const char *path, const char *name, struct omni_problem *problem) {
    int folder = (int)(strrchr(path, '/') - path);
    return omni_problem(problem, -EPERM,
                        "%s belongs to another user: choose another name, or, if no publisher of "
                        "that user runs: sudo rm -f %.*s/omni{,-lock,-sleepers,-step}.%s",
                        path, folder, path, name);
}

static int own_name(struct omni_publisher *publisher, const char *name, const char *directory,
                    struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    int error = omni_region_path(path, directory, OMNI_FILE_LOCK, name);
    if (error < 0)
        return omni_problem(problem, error, "the path of %s is too long", name);
    int lock = omni_lock_own(path);
    if (lock == -EBUSY)
        return refuse_second(name, omni_lock_owner(path), problem);
    if (lock == -EPERM)
        return refuse_foreign(path, name, problem);
    if (lock < 0)
        return omni_problem(problem, lock, "cannot make %s: %s", path, strerror(-lock));
    publisher->lock = lock;
    return 0;
}

static int no_room(uint64_t bytes, const char *path, struct omni_problem *problem) {
    return omni_problem(problem, -ENOSPC,
                        "no room for %llu bytes at %s: free some (df -h shows what is full)",
                        (unsigned long long)bytes, path);
}

/* Into the publisher's own neighbourhood. */
static int settle(struct omni_region *region, void *address) {
    int error = omni_region_move(region, address);
    if (error < 0)
        omni_region_close(region);
    return error;
}

static int map_sleepers(struct omni_publisher *publisher, const char *name, const char *directory,
                        struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    int error = omni_region_path(path, directory, OMNI_FILE_SLEEPERS, name);
    if (error == 0)
        error = omni_region_open_word(&publisher->sleepers_region, path, true);
    if (error == -ENOSPC)
        return no_room(OMNI_CACHE_LINE_BYTES, path, problem);
    if (error == -EPERM)
        return refuse_foreign(path, name, problem);
    if (error < 0)
        return omni_problem(problem, error, "cannot make %s: %s", path, strerror(-error));
    error = settle(&publisher->sleepers_region, &publisher->sleepers);
    if (error < 0)
        return omni_problem(problem, error, "cannot map %s: %s", path, strerror(-error));
    return 0;
}

static int create_segment(struct omni_publisher *publisher, const char *path, uint64_t bytes,
                          struct omni_problem *problem) {
    int error = omni_region_create(&publisher->segment, path, (size_t)bytes);
    if (error == -ENOSPC || error == -ENOMEM)
        return no_room(bytes, path, problem);
    if (error < 0)
        return omni_problem(problem, error, "cannot make %s: %s", path, strerror(-error));
    error = settle(&publisher->segment, (unsigned char *)&publisher->sleepers + page_bytes());
    if (error < 0) {
        unlink(path);
        return omni_problem(problem, error, "cannot map %s: %s", path, strerror(-error));
    }
    return 0;
}

void omni_publisher_settle(struct omni_publisher *publisher, unsigned char *bytes,
                           const struct omni_header *header) {
    publisher->header = (void *)bytes;
    publisher->instance = header->instance;
    publisher->ring = (struct omni_ring){.slots = bytes + header->ring_offset,
                                         .version = &publisher->header->version,
                                         .slot_count = header->slot_count,
                                         .slot_bytes = header->slot_bytes,
                                         .payload_bytes = header->payload_bytes,
                                         .machines = header->scope == OMNI_SCOPE_MACHINES};
}

static void fill_segment(struct omni_publisher *publisher, const struct omni_header *header,
                         const struct omni_table *table) {
    unsigned char *bytes = publisher->segment.bytes;
    memcpy(bytes, header, sizeof *header);
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a packed table has fields. */
    memcpy(bytes + header->field_offset, table->fields,
           table->field_count * sizeof(struct omni_field));
    memcpy(bytes + header->text_offset, table->text, table->text_bytes);
    struct omni_end *end = (void *)(bytes + header->segment_bytes - sizeof *end);
    end->mark = OMNI_END_MARK;
    omni_publisher_settle(publisher, bytes, header);
}

/* Locked before anybody can open it, whole before anybody can see it. */
static int reveal(struct omni_publisher *publisher, const char *from, const char *name,
                  const struct omni_publisher_options *options, struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    int file = publisher->segment.file;
    mode_t mode = options->mode != 0 ? options->mode : MODE_EVERYBODY_LOOKS;
    omni_store_release(&publisher->header->layout_version, OMNI_LAYOUT_VERSION);
    int error = omni_region_path(path, options->directory, OMNI_FILE_SEGMENT, name);
    if (error == 0)
        error = omni_lock_take(file);
    if (error == 0 && fchmod(file, mode) < 0)
        error = -errno;
    if (error == 0 && rename(from, path) < 0)
        error = -errno;
    if (error == -EPERM || error == -EACCES)
        return refuse_foreign(path, name, problem);
    if (error < 0)
        return omni_problem(problem, error, "cannot make %s: %s", path, strerror(-error));
    return 0;
}

static int build(struct omni_publisher *publisher, const struct omni_header *header,
                 const struct omni_table *table, const struct omni_publisher_options *options,
                 struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    int error = omni_region_path(path, options->directory, OMNI_FILE_NEW, header->name);
    if (error < 0)
        return omni_problem(problem, error, "the path of %s is too long", header->name);
    error = create_segment(publisher, path, header->segment_bytes, problem);
    if (error < 0)
        return error;
    fill_segment(publisher, header, table);
    error = reveal(publisher, path, header->name, options, problem);
    if (error < 0)
        unlink(path);
    return error;
}

/* Memory that machines share stays where the kernel mapped it. */
static bool is_at_home(const struct omni_publisher *publisher, const unsigned char *bytes) {
    return bytes >= publisher->home && bytes < publisher->home + publisher->home_bytes;
}

/* All pages at once: between two calls another thread could map something into the first gap. */
static void release(struct omni_publisher *publisher) {
    omni_guard_drop(publisher->guard);
    omni_guard_drop(publisher->sleepers_guard);
    omni_region_close(&publisher->doorbell_region);
    if (!is_at_home(publisher, publisher->segment.bytes))
        omni_region_close(&publisher->segment);
    const int files[] = {publisher->segment.file, publisher->sleepers_region.file, publisher->lock};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i] >= 0)
            close(files[i]);
    munmap(publisher->home, publisher->home_bytes);
}

/* Pages for the publisher, the sleepers' word and the segment (0 bytes: it lies elsewhere); so far
 * only the first is usable. */
static struct omni_publisher *allocate(uint64_t segment_bytes) {
    size_t page = page_bytes();
    size_t bytes = 2 * page + (size_t)round_up(segment_bytes, page);
    unsigned char *home =
        mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (home == MAP_FAILED)
        return NULL;
    if (mprotect(home, page, PROT_READ | PROT_WRITE) < 0) {
        munmap(home, bytes);
        return NULL;
    }
    struct omni_publisher *publisher =
        (void *)(home + page - offsetof(struct omni_publisher, sleepers));
    publisher->segment = publisher->sleepers_region = OMNI_REGION_CLOSED;
    publisher->doorbell_region = OMNI_REGION_CLOSED;
    publisher->home = home;
    publisher->home_bytes = bytes;
    publisher->lock = publisher->guard = publisher->sleepers_guard = -1;
    return publisher;
}

static uint32_t version_before_first(const struct omni_publisher_options *options) {
    return options->first_version > 1 ? options->first_version - 1 : 0;
}

static int open_on_one_kernel(struct omni_publisher *publisher, const struct omni_header *header,
                              const struct omni_table *table,
                              const struct omni_publisher_options *options,
                              struct omni_problem *problem) {
    int error = own_name(publisher, header->name, options->directory, problem);
    if (error == 0)
        error = map_sleepers(publisher, header->name, options->directory, problem);
    if (error == 0)
        error = build(publisher, header, table, options, problem);
    if (error < 0)
        return error;
    /* Where a guard is installed: whoever cuts the files short ends a source, not this program. */
    publisher->guard = omni_guard_add(publisher->segment.bytes, publisher->segment.size, true);
    publisher->sleepers_guard =
        omni_guard_add(publisher->sleepers_region.bytes, publisher->sleepers_region.size, true);
    return 0;
}

static int open_where(struct omni_publisher **publisher, struct omni_header *header,
                      const struct omni_table *table, const struct omni_address *address,
                      const struct omni_publisher_options *options, struct omni_problem *problem) {
    bool here = address->place == OMNI_PLACE_SHM;
    struct omni_publisher *made = allocate(here ? header->segment_bytes : 0);
    if (made == NULL)
        return omni_problem(problem, -ENOMEM, "no memory for a publisher");
    made->certain_wake = options->certain_wake;
    made->version = version_before_first(options);
    int error = here ? open_on_one_kernel(made, header, table, options, problem)
                     : omni_machines_open(made, address, header, table, options, problem);
    if (error < 0)
        release(made);
    else
        *publisher = made;
    return error;
}

static int parse_region(struct omni_address *address, const char *region, const char *name,
                        struct omni_problem *problem) {
    int error = omni_address_parse(address, region != NULL ? region : name, problem);
    if (error == 0 && address->place == OMNI_PLACE_SHM && strcmp(address->path, name) != 0)
        return omni_problem(problem, -EINVAL,
                            "the region shm:%s is that of a source of another name than \"%s\": "
                            "give both the same name",
                            address->path, name);
    return error;
}

int omni_publisher_open(struct omni_publisher **publisher, const char *name,
                        const struct omni_schema *schema,
                        const struct omni_publisher_options *options,
                        struct omni_problem *problem) {
    static const struct omni_publisher_options defaults;
    struct omni_table table = {0};
    struct omni_address address;
    options = options != NULL ? options : &defaults;
    int error = check_options(name, options, problem);
    if (error == 0)
        error = parse_region(&address, options->region, name, problem);
    if (error == 0)
        error = check_mode(options->mode, address.place, problem);
    if (error == 0)
        error = omni_schema_pack(&table, schema, problem);
    if (error < 0)
        return error;
    struct omni_header header = {0};
    describe(&header, name, &table, options);
    omni_publisher_lay_out(&header, &table, slot_count(options));
    error = check_size(header.segment_bytes, problem);
    if (error == 0)
        error = open_where(publisher, &header, &table, &address, options, problem);
    omni_table_free(&table);
    return error;
}

/* ---- every tick ---- */

/* Takes the flag down, too: garbage written there costs one wake, not one every tick. Look and
 * taking down are one exchange, else a flag that goes up in between would be lost. */
static bool somebody_sleeps(struct omni_publisher *publisher) {
    /* Without the full barrier the look may happen before the version is visible, and a reader that
     * went to sleep in between is found at its time-out only: fine for all but hand-offs. */
    if (!publisher->certain_wake && omni_load_relaxed(&publisher->sleepers) == 0)
        return false;
    return omni_exchange(&publisher->sleepers, 0) != 0;
}

/* The last two lines that a tick needs: on their way while the first ones are waited for. */
static inline void ask_ahead(const struct omni_publisher *publisher) {
    __builtin_prefetch(&publisher->sleepers);
    __builtin_prefetch(publisher->ring.version, 1);
}

/* On lines of its own: see ring_inside.h. Hot: in one page with the clocks, which a loop reads just
 * before. */
__attribute__((hot, aligned(64))) void omni_publish_at(struct omni_publisher *publisher,
                                                       const void *status, struct omni_time time) {
    /* First of all: one comparison costs nothing here, and a fifth of a tight loop's publication
     * behind the prefetches (bench/publish). */
    if (publisher->ring.machines) {
        omni_machines_publish(publisher, status, time);
        return;
    }
    ask_ahead(publisher);
    publisher->version = ring_version_after(publisher->version);
    publisher->tick++;
    ring_write(&publisher->ring, publisher->version, publisher->tick, time, status);
    if (somebody_sleeps(publisher))
        omni_futex_wake(publisher->ring.version);
}

__attribute__((hot)) void omni_publish(struct omni_publisher *publisher, const void *status) {
    ask_ahead(publisher);
    omni_publish_at(publisher, status, omni_time_now());
}

uint64_t omni_publisher_tick(const struct omni_publisher *publisher) {
    return publisher->tick;
}

uint64_t omni_publisher_instance(const struct omni_publisher *publisher) {
    return publisher->instance;
}

void omni_publisher_beat(struct omni_publisher *publisher) {
    if (publisher->ring.machines)
        omni_machines_beat(publisher);
}

bool omni_publisher_is_owner(const struct omni_publisher *publisher) {
    return !publisher->ring.machines || omni_machines_is_owner(publisher);
}

static void leave_on_one_kernel(const struct omni_publisher *publisher) {
    omni_store_release(&publisher->header->state, OMNI_STATE_CLOSED);
    omni_futex_wake(publisher->ring.version);
}

void omni_publisher_close(struct omni_publisher *publisher) {
    if (publisher == NULL)
        return;
    if (publisher->ring.machines)
        omni_machines_leave(publisher);
    else
        leave_on_one_kernel(publisher);
    release(publisher);
}

__attribute__((hot)) static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

__attribute__((hot)) struct omni_time omni_time_now(void) {
    return (struct omni_time){nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_REALTIME)};
}
