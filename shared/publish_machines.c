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
    DOORBELL_WORD = 3,  /* the register that rings, counted in 32-bit words */
    PAGE_BYTES = 4096,  /* a file is made of whole ones, for whoever gives it to a machine */
    LOOK_BYTES = 4096,  /* of what lies there, at a time */
    LOOK_TRIES = 4,     /* how often that may change while it is looked at */
    SLOTS_A_BEAT = 1024 /* so many are cleared between two signs of life */
};

/* The words of the header that change: those of the other lines are constant while they can be
 * read. */
#define CHANGING_FROM offsetof(struct omni_header, version)

/* ---- what lies there ---- */

static bool is_zero(const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    while (count > 0 && at[count - 1] == 0)
        count--;
    return count == 0;
}

static bool is_zero_there(const struct omni_region *region, size_t from, size_t to) {
    unsigned char piece[LOOK_BYTES];
    for (size_t at = from; at < to; at += sizeof piece) {
        size_t count = to - at < sizeof piece ? to - at : sizeof piece;
        omni_copy_out(piece, region->bytes + at, count);
        if (!is_zero(piece, count))
            return false;
    }
    return true;
}

/* Nothing yet, or the first store of a CPU that needs two for the mark. */
static bool may_become_mark(const uint8_t magic[8]) {
    return is_zero(magic, 8) || (memcmp(magic, OMNI_MAGIC, 4) == 0 && is_zero(magic + 4, 4));
}

static int refuse_content(const struct omni_address *address, const char *what,
                          struct omni_problem *problem) {
    return omni_problem(problem, -EEXIST,
                        "%.100s holds %s: choose another region, or clear it first "
                        "(truncate, dd if=/dev/zero)",
                        address->text, what);
}

static int judge(const struct omni_region *region, size_t bytes, const struct omni_address *address,
                 struct omni_problem *problem) {
    struct omni_header there;
    omni_copy_out(&there, region->bytes, sizeof there);
    if (memcmp(there.magic, OMNI_MAGIC, sizeof there.magic) != 0) {
        /* The last line of the header may be another publisher's claim to an empty region. */
        if (may_become_mark(there.magic) &&
            is_zero(&there.layout_version,
                    CHANGING_FROM - offsetof(struct omni_header, layout_version)) &&
            is_zero_there(region, sizeof there, bytes))
            return 0;
        return refuse_content(address, "something that is no segment", problem);
    }
    if (there.layout_version != 0 && there.layout_version != OMNI_LAYOUT_VERSION)
        return refuse_content(address, "a segment of another release", problem);
    if (there.layout_version != 0 && there.scope != OMNI_SCOPE_MACHINES)
        return refuse_content(address, "a segment of one kernel (shm:)", problem);
    return 0;
}

/* What a builder changes first. */
struct glimpse {
    uint64_t magic, epoch;
};

static struct glimpse glimpse(const struct omni_region *region) {
    const struct omni_header *there = (void *)region->bytes;
    struct glimpse seen = {.magic = 0};
    omni_fence_machines();
    omni_copy_out(&seen.magic, there->magic, sizeof seen.magic);
    seen.epoch = omni_load_relaxed(&there->epoch);
    omni_fence_machines();
    return seen;
}

/* Nothing may be written over but what was a region before, or never held anything: an address has
 * a typing error sooner than one thinks. What was found while somebody built is a mixture. */
static int check_content(const struct omni_region *region, size_t bytes,
                         const struct omni_address *address, struct omni_problem *problem) {
    for (int tries = 0; tries < LOOK_TRIES; tries++) {
        struct glimpse before = glimpse(region);
        int error = judge(region, bytes, address, problem);
        struct glimpse after = glimpse(region);
        if (error == 0 || (before.magic == after.magic && before.epoch == after.epoch))
            return error;
    }
    return omni_problem(problem, -EBUSY,
                        "%.100s is being built by another publisher: stop it, or choose another "
                        "region",
                        address->text);
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

/* As much of the region as a segment of that size could fill. */
static size_t most_to_write(const struct omni_publisher *publisher,
                            const struct omni_header *header) {
    size_t room = publisher->segment.size / 8 * 8;
    return header->segment_bytes < room ? (size_t)header->segment_bytes : room;
}

static int reserve(struct omni_publisher *publisher, const struct omni_address *address,
                   size_t bytes, struct omni_problem *problem) {
    int error = omni_region_reserve(&publisher->segment, address, bytes);
    if (error < 0)
        return omni_problem(problem, error, "no room for %zu bytes at %.100s: %s", bytes,
                            address->text, strerror(-error));
    return 0;
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
                      const volatile sig_atomic_t *stop, struct omni_problem *problem) {
    struct omni_header *there = (void *)publisher->segment.bytes;
    const struct omni_claim claim = {&there->owner, &there->heartbeat, OMNI_CLAIM_NS, stop};
    int error = omni_claim_take(&claim, &publisher->id);
    if (error == -ECANCELED)
        return omni_problem(problem, error,
                            "told to stop while it waited whether the publisher of %.100s is dead: "
                            "nothing was published there",
                            address->text);
    if (error == -EIO)
        return omni_problem(problem, error,
                            "%.100s: the memory does not keep what is written there: is it "
                            "writable memory, and does nobody else write to it?",
                            address->text);
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

/* The fence behind it empties what a CPU may keep back for long: the buffers of write-combining
 * memory. So it comes last of all that is stored at a time. */
static void beat(struct omni_publisher *publisher) {
    omni_store_relaxed(&publisher->header->heartbeat, ++publisher->heartbeat);
    omni_fence_machines();
}

static bool beat_if_mine(struct omni_publisher *publisher) {
    bool mine = may_write(publisher);
    if (mine)
        beat(publisher);
    return mine;
}

void omni_machines_beat(struct omni_publisher *publisher) {
    (void)beat_if_mine(publisher);
}

/* ---- the bell ---- */

/* The register only exists on a machine that can ring. */
static void open_doorbell(struct omni_publisher *publisher, const struct omni_address *address) {
    if (omni_region_open_doorbell(&publisher->doorbell_region, address) == 0)
        publisher->doorbell = (uint32_t *)(void *)publisher->doorbell_region.bytes + DOORBELL_WORD;
}

/* After a fence: what there is to see is visible before I look who sleeps (pairs with
 * omni_observer_ask_bell). Takes the word down first, and visibly: a sleeper that asks anew meanwhile
 * may lose its word by that, but is woken by the ring that follows. */
static void ring_bell(struct omni_publisher *publisher) {
    if (publisher->doorbell == NULL)
        return;
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

/* Of each slot the word that makes it unreadable, and nothing else: a large ring in uncached memory
 * would take longer than an owner may be silent. */
static bool clear_ring(struct omni_publisher *publisher, const struct omni_header *header) {
    unsigned char *ring = publisher->segment.bytes + header->ring_offset;
    for (uint32_t i = 0; i < header->slot_count; i++) {
        struct omni_slot *slot = (void *)(ring + (size_t)i * header->slot_bytes);
        if (i % SLOTS_A_BEAT == 0 && !beat_if_mine(publisher))
            return false;
        omni_clear(slot, offsetof(struct omni_slot, tick));
    }
    return true;
}

int omni_machines_build(struct omni_publisher *publisher, const struct omni_header *header,
                        const struct omni_table *table) {
    unsigned char *bytes = publisher->segment.bytes;
    struct omni_header *there = (void *)bytes;
    if (!beat_if_mine(publisher))
        return -EBUSY;
    tear_down(there);
    omni_copy_in(there, header, CHANGING_FROM);
    omni_clear(there->reserved_version, sizeof there->reserved_version);
    omni_copy_in(bytes + header->field_offset, table->fields,
                 table->field_count * sizeof(struct omni_field));
    put_text(bytes + header->text_offset, table);
    if (!clear_ring(publisher, header))
        return -EBUSY;
    struct omni_end *end = (void *)(bytes + header->segment_bytes - sizeof *end);
    omni_clear(end, sizeof *end);
    omni_store_relaxed(&end->mark, OMNI_END_MARK);
    omni_store_relaxed(&there->version, 0);
    omni_store_relaxed(&there->state, OMNI_STATE_OPEN);
    /* The fence of the beat: all that was built is visible before the word that says so. */
    if (!beat_if_mine(publisher))
        return -EBUSY;
    omni_store_release(&there->layout_version, OMNI_LAYOUT_VERSION);
    omni_fence_machines();
    ring_bell(publisher);
    return 0;
}

static int build(struct omni_publisher *publisher, const struct omni_address *address,
                 const struct omni_header *header, const struct omni_table *table,
                 struct omni_problem *problem) {
    int error = omni_machines_build(publisher, header, table);
    if (error < 0)
        return omni_problem(problem, error,
                            "%.100s was taken over by another publisher while this one built its "
                            "segment there (was it paused?): start it again, or choose another "
                            "region",
                            address->text);
    return 0;
}

int omni_machines_open(struct omni_publisher *publisher, const struct omni_address *address,
                       struct omni_header *header, const struct omni_table *table,
                       const struct omni_publisher_options *options, struct omni_problem *problem) {
    bool may_shrink = options->slot_count == 0;
    int error = open_region(publisher, address, header->segment_bytes, options->mode, problem);
    if (error < 0)
        return error;
    size_t bytes = most_to_write(publisher, header);
    error = reserve(publisher, address, bytes, problem);
    if (error == 0)
        error = check_content(&publisher->segment, bytes, address, problem);
    if (error == 0)
        error = fit(header, table, publisher->segment.size, may_shrink, address, problem);
    if (error == 0)
        error = own_region(publisher, address, options->stop, problem);
    if (error < 0)
        return error;
    header->scope = OMNI_SCOPE_MACHINES;
    omni_publisher_settle(publisher, publisher->segment.bytes, header);
    open_doorbell(publisher, address);
    return build(publisher, address, header, table, problem);
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
    /* Once more: to set a living successor's region free would let in a third. */
    if (may_write(publisher))
        omni_store_release(&publisher->header->owner, 0);
    omni_fence_machines();
    publisher->id = 0;
    ring_bell(publisher);
}
