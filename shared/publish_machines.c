#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "atomics.h"
#include "claim.h"
#include "problem.h"
#include "publisher_internal.h"
#include "ring_inside.h"

enum {
    DOORBELL_WORD = 3,     /* the register that rings, counted in 32-bit words */
    PAGE_BYTES = 4096,     /* a file is made of whole ones, for whoever gives it to a machine */
    LOOKED_AT_BYTES = 4096 /* of what a region holds before it is written over */
};

/* The words of the header that change: those of the other lines are constant while they can be
 * read. */
#define CHANGING_FROM offsetof(struct omni_header, version)

/* ---- what lies there ---- */

static bool is_zero(const unsigned char *bytes, size_t from, size_t to) {
    while (from < to && bytes[from] == 0)
        from++;
    return from == to;
}

static int refuse_content(const struct omni_address *address, const char *what,
                          struct omni_problem *problem) {
    return omni_problem(problem, -EEXIST,
                        "%.100s holds %s: choose another region, or clear it first "
                        "(truncate, dd if=/dev/zero)",
                        address->text, what);
}

/* Nothing may be written over but what was a region before, or never held anything: an address has
 * a typing error sooner than one thinks. */
static int check_content(const struct omni_region *region, const struct omni_address *address,
                         struct omni_problem *problem) {
    union {
        unsigned char bytes[LOOKED_AT_BYTES];
        struct omni_header header;
    } there = {.bytes = {0}};
    size_t count = region->size < sizeof there.bytes ? region->size / 8 * 8 : sizeof there.bytes;
    omni_copy_out(there.bytes, region->bytes, count);
    const struct omni_header *header = &there.header;
    if (memcmp(header->magic, OMNI_MAGIC, sizeof header->magic) != 0) {
        /* The last line of the header may be another publisher's claim to an empty region. */
        if (is_zero(there.bytes, 0, CHANGING_FROM) && is_zero(there.bytes, sizeof *header, count))
            return 0;
        return refuse_content(address, "something that is no segment", problem);
    }
    if (header->layout_version != 0 && header->layout_version != OMNI_LAYOUT_VERSION)
        return refuse_content(address, "a segment of another release", problem);
    if (header->layout_version != 0 && header->scope != OMNI_SCOPE_MACHINES)
        return refuse_content(address, "a segment of one kernel (shm:)", problem);
    return 0;
}

/* ---- room ---- */

static int fit(struct omni_header *header, const struct omni_table *table, uint64_t room,
               bool may_shrink, const struct omni_address *address, struct omni_problem *problem) {
    struct omni_header tried = *header;
    while (may_shrink && tried.segment_bytes > room && tried.slot_count > OMNI_SLOTS_MIN)
        omni_publisher_lay_out(&tried, table, tried.slot_count / 2);
    if (tried.segment_bytes > room)
        return omni_problem(problem, -ENOSPC,
                            "%.100s has %llu bytes, this source needs %llu for %u slots: give it "
                            "a larger region%s",
                            address->text, (unsigned long long)room,
                            (unsigned long long)tried.segment_bytes, tried.slot_count,
                            may_shrink ? "" : ", or ask for fewer slots");
    *header = tried;
    return 0;
}

static int open_region(struct omni_publisher *publisher, const struct omni_address *address,
                       uint64_t bytes, uint32_t mode, struct omni_problem *problem) {
    struct omni_region_options options = {
        .bytes_if_missing = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES, .mode = mode};
    return omni_region_open_shared(&publisher->segment, address, OMNI_ACCESS_WRITE, &options,
                                   problem);
}

/* ---- owning it ---- */

static int refuse_second(struct omni_header *there, const struct omni_address *address,
                         struct omni_problem *problem) {
    char name[OMNI_NAME_BYTES];
    omni_copy_out(name, there->name, sizeof name);
    bool told = memchr(name, '\0', sizeof name) != NULL && omni_name_is_valid(name);
    return omni_problem(problem, -EBUSY,
                        "%.100s is in use, \"%s\" is published there and its publisher lives: stop "
                        "it, or choose another region",
                        address->text, told ? name : "something");
}

static int own_region(struct omni_publisher *publisher, const struct omni_address *address,
                      struct omni_problem *problem) {
    struct omni_header *there = (void *)publisher->segment.bytes;
    int error = omni_claim_take(&there->owner, &there->heartbeat, &publisher->id);
    if (error < 0)
        return refuse_second(there, address, problem);
    publisher->heartbeat = omni_load_relaxed(&there->heartbeat);
    return 0;
}

bool omni_machines_is_owner(const struct omni_publisher *publisher) {
    return publisher->id != 0 && omni_load_relaxed(&publisher->header->owner) == publisher->id;
}

/* What is lost is lost for good: by now somebody else has built another segment here. */
static bool may_write(struct omni_publisher *publisher) {
    bool mine = omni_machines_is_owner(publisher);
    if (!mine)
        publisher->id = 0;
    return mine;
}

static void beat(struct omni_publisher *publisher) {
    omni_store_relaxed(&publisher->header->heartbeat, ++publisher->heartbeat);
}

void omni_machines_beat(struct omni_publisher *publisher) {
    if (may_write(publisher))
        beat(publisher);
}

/* ---- the bell ---- */

/* The register only exists on a machine that can ring. */
static void open_doorbell(struct omni_publisher *publisher, const struct omni_address *address) {
    if (omni_region_open_doorbell(&publisher->doorbell_region, address) == 0)
        publisher->doorbell = (uint32_t *)(void *)publisher->doorbell_region.bytes + DOORBELL_WORD;
}

/* Takes the word down first, and visibly: a sleeper that asks anew meanwhile may lose its word by
 * that, but is woken by the ring that follows. */
static void ring_bell(struct omni_publisher *publisher) {
    if (publisher->doorbell == NULL)
        return;
    /* What there is to see is visible before I look who sleeps: pairs with omni_observer_ask_bell. */
    omni_fence_machines();
    uint32_t bell = omni_load_relaxed(&publisher->header->bell);
    if ((bell & OMNI_BELL_ASKED) == 0)
        return;
    omni_store_relaxed(&publisher->header->bell, 0);
    omni_fence_machines();
    omni_store_relaxed(publisher->doorbell, bell & ~OMNI_BELL_ASKED);
    omni_fence_machines();
}

/* ---- building in place ---- */

static uint32_t next_epoch(const struct omni_header *there, bool first) {
    uint32_t epoch = omni_load_relaxed(&there->epoch);
    /* A region that was cleared must not count from the beginning: a reader may remember that. */
    if (first && getrandom(&epoch, sizeof epoch, GRND_NONBLOCK) != sizeof epoch)
        epoch = (uint32_t)omni_time_now().wall_ns;
    return epoch + 1;
}

/* From here on nobody takes anything for a tick of the segment that was here, nor attaches: who finds
 * the new epoch finds, after it, no layout version until all is built. The mark comes next: a
 * publisher that dies in here must leave something that the next one may write over. */
static void tear_down(struct omni_header *there) {
    char magic[sizeof there->magic];
    omni_copy_out(magic, there->magic, sizeof magic);
    bool first = memcmp(magic, OMNI_MAGIC, sizeof magic) != 0;
    omni_store_relaxed(&there->layout_version, 0);
    omni_fence_machines();
    omni_store_relaxed(&there->epoch, next_epoch(there, first));
    omni_fence_machines();
    omni_copy_in(there->magic, OMNI_MAGIC, sizeof there->magic);
    omni_fence_machines();
}

/* Words of eight bytes: the last ones are filled up with zeros. */
static void put_text(unsigned char *to, const struct omni_table *table) {
    uint32_t whole = table->text_bytes / 8 * 8;
    char rest[8] = {0};
    memcpy(rest, table->text + whole, table->text_bytes - whole);
    omni_copy_in(to, table->text, whole);
    if (whole < table->text_bytes)
        omni_copy_in(to + whole, rest, sizeof rest);
}

void omni_machines_build(struct omni_publisher *publisher, const struct omni_header *header,
                         const struct omni_table *table) {
    unsigned char *bytes = publisher->segment.bytes;
    struct omni_header *there = (void *)bytes;
    tear_down(there);
    omni_copy_in(there, header, CHANGING_FROM);
    omni_clear(there->reserved_version, sizeof there->reserved_version);
    omni_copy_in(bytes + header->field_offset, table->fields,
                 table->field_count * sizeof(struct omni_field));
    put_text(bytes + header->text_offset, table);
    omni_clear(bytes + header->ring_offset, (size_t)header->segment_bytes - header->ring_offset);
    struct omni_end *end = (void *)(bytes + header->segment_bytes - sizeof *end);
    omni_store_relaxed(&end->mark, OMNI_END_MARK);
    omni_store_relaxed(&there->version, 0);
    omni_store_relaxed(&there->state, OMNI_STATE_OPEN);
    beat(publisher);
    omni_fence_machines();
    omni_store_release(&there->layout_version, OMNI_LAYOUT_VERSION);
    ring_bell(publisher);
}

int omni_machines_open(struct omni_publisher *publisher, const struct omni_address *address,
                       struct omni_header *header, const struct omni_table *table, uint32_t mode,
                       bool may_shrink, struct omni_problem *problem) {
    int error = open_region(publisher, address, header->segment_bytes, mode, problem);
    if (error == 0)
        error = check_content(&publisher->segment, address, problem);
    if (error == 0)
        error = fit(header, table, publisher->segment.size, may_shrink, address, problem);
    if (error == 0)
        error = own_region(publisher, address, problem);
    if (error < 0)
        return error;
    header->scope = OMNI_SCOPE_MACHINES;
    omni_publisher_settle(publisher, publisher->segment.bytes, header);
    open_doorbell(publisher, address);
    omni_machines_build(publisher, header, table);
    return 0;
}

/* ---- every tick ---- */

void omni_machines_publish(struct omni_publisher *publisher, const void *status,
                           struct omni_time time) {
    if (!may_write(publisher))
        return;
    publisher->version = ring_version_after(publisher->version);
    publisher->tick++;
    ring_write_between_machines(&publisher->ring, publisher->version, publisher->tick, time,
                                status);
    beat(publisher);
    ring_bell(publisher);
}

void omni_machines_leave(struct omni_publisher *publisher) {
    if (!may_write(publisher))
        return;
    omni_fence_machines();
    omni_store_release(&publisher->header->state, OMNI_STATE_CLOSED);
    omni_fence_machines();
    omni_store_release(&publisher->header->owner, 0);
    publisher->id = 0;
    ring_bell(publisher);
}
