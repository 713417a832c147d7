#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <omni/guard.h>
#include <omni/lock.h>
#include <omni/observe.h>
#include <omni/publish.h>
#include <omni/region.h>

#include "atomics.h"
#include "observer_internal.h"
#include "problem.h"

/* How often in a row the writer may take the wanted slot away before the reader leaps to the
 * newest. */
enum { NEXT_TRIES = 8 };

/* And how often a segment between machines may be rebuilt while it is attached to. */
enum { BELIEVE_TRIES = 4 };

/* So much of the time since the last look at a heartbeat counts as watched, at most. */
#define LOOK_COUNTS_NS (OMNI_OWNER_DEAD_NS / 4)

/* Bits of incompatible_flags that this reader knows: none so far. */
#define KNOWN_INCOMPATIBLE_FLAGS 0u

/* ---- checking a header as if an enemy wrote it ---- */

static int check_kind(const struct omni_header *header, struct omni_problem *problem) {
    if (memcmp(header->magic, OMNI_MAGIC, sizeof header->magic) != 0)
        return omni_problem(problem, -EBADMSG, "it is no status segment (its magic is wrong)");
    /* Before anything that is built later. */
    if (header->layout_version == 0)
        return omni_problem(problem, -EAGAIN, "it is still being built");
    if (header->byte_order != OMNI_BYTE_ORDER)
        return omni_problem(problem, -EPROTO,
                            "its publisher has another byte order (%08x, expected %08x): run "
                            "publisher and observer on CPUs of the same byte order",
                            header->byte_order, OMNI_BYTE_ORDER);
    if (header->layout_version != OMNI_LAYOUT_VERSION)
        return omni_problem(problem, -EPROTO,
                            "it has layout version %u, this program reads %u: build both from the "
                            "same release",
                            header->layout_version, OMNI_LAYOUT_VERSION);
    if ((header->incompatible_flags & ~KNOWN_INCOMPATIBLE_FLAGS) != 0)
        return omni_problem(problem, -EPROTO,
                            "it uses features that this program does not know (flags %08x): "
                            "update the observer",
                            header->incompatible_flags);
    return 0;
}

/* Each number of the header with the bounds between which it must lie; in the order of the header.
 */
static int check_numbers(const struct omni_header *h, size_t file_bytes,
                         struct omni_problem *problem) {
    const struct {
        const char *name;
        uint64_t value, low, high, multiple;
    } numbers[] = {
        {"header_bytes", h->header_bytes, sizeof *h, sizeof *h, 1},
        {"scope", h->scope, OMNI_SCOPE_KERNEL, OMNI_SCOPE_MACHINES, 1},
        {"segment_bytes", h->segment_bytes, sizeof *h, file_bytes, OMNI_CACHE_LINE_BYTES},
        {"instance", h->instance, 1, UINT64_MAX, 1},
        {"period_ns", h->period_ns, 0, 3600000000000u, 1},
        {"field_offset", h->field_offset, sizeof *h, h->segment_bytes, 8},
        {"field_count", h->field_count, 1, OMNI_FIELDS_MAX, 1},
        {"field_bytes", h->field_bytes, sizeof(struct omni_field), sizeof(struct omni_field), 1},
        {"text_offset", h->text_offset,
         h->field_offset + h->field_count * (uint64_t)sizeof(struct omni_field), h->segment_bytes,
         1},
        {"text_bytes", h->text_bytes, 1, OMNI_TEXT_BYTES_MAX, 1},
        {"ring_offset", h->ring_offset, (uint64_t)h->text_offset + h->text_bytes, h->segment_bytes,
         OMNI_CACHE_LINE_BYTES},
        {"slot_count", h->slot_count, OMNI_SLOTS_MIN, OMNI_SLOTS_MAX, 1},
        {"payload_bytes", h->payload_bytes, 8, OMNI_PAYLOAD_BYTES_MAX, 8},
        {"slot_bytes", h->slot_bytes, sizeof(struct omni_slot) + (uint64_t)h->payload_bytes,
         2 * (uint64_t)OMNI_PAYLOAD_BYTES_MAX, OMNI_CACHE_LINE_BYTES},
        {"state", h->state, OMNI_STATE_OPEN, OMNI_STATE_CLOSED, 1},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].value < numbers[i].low || numbers[i].value > numbers[i].high ||
            numbers[i].value % numbers[i].multiple != 0)
            return omni_problem(
                problem, -EBADMSG,
                "its header is corrupt: %s is %llu, expected %llu to %llu in steps of %llu",
                numbers[i].name, (unsigned long long)numbers[i].value,
                (unsigned long long)numbers[i].low, (unsigned long long)numbers[i].high,
                (unsigned long long)numbers[i].multiple);
    return 0;
}

static bool is_reserved_space_zero(const struct omni_header *header) {
    static const uint8_t zeros[sizeof header->reserved_version];
    bool alone = header->scope != OMNI_SCOPE_KERNEL ||
                 (header->owner | header->heartbeat | header->epoch | header->bell) == 0;
    return alone && header->reserved_where == 0 &&
           memcmp(header->reserved_name, zeros, sizeof header->reserved_name) == 0 &&
           memcmp(header->reserved_version, zeros, sizeof header->reserved_version) == 0;
}

static int check_shape(const struct omni_header *header, struct omni_problem *problem) {
    if ((header->slot_count & (header->slot_count - 1)) != 0)
        return omni_problem(problem, -EBADMSG,
                            "its header is corrupt: slot_count %u is no power of two",
                            header->slot_count);
    uint64_t ring_bytes = (uint64_t)header->slot_count * header->slot_bytes;
    if (header->segment_bytes - header->ring_offset < ring_bytes + sizeof(struct omni_end))
        return omni_problem(problem, -EBADMSG,
                            "its header is corrupt: %u slots of %u bytes and the end do not fit "
                            "behind ring_offset %u in segment_bytes %llu",
                            header->slot_count, header->slot_bytes, header->ring_offset,
                            (unsigned long long)header->segment_bytes);
    if (!is_reserved_space_zero(header))
        return omni_problem(problem, -EBADMSG,
                            "its header is corrupt: reserved bytes are not zero");
    return 0;
}

/* `name` NULL: what stands in the header is the name. */
static int check_name(const struct omni_header *header, const char *name,
                      struct omni_problem *problem) {
    bool ends = memchr(header->name, '\0', sizeof header->name) != NULL;
    if (name == NULL && (!ends || !omni_name_is_valid(header->name)))
        return omni_problem(problem, -EBADMSG,
                            "its header is corrupt: the name inside cannot name a source");
    if (name != NULL && (!ends || strcmp(header->name, name) != 0))
        return omni_problem(problem, -EBADMSG,
                            "its header is corrupt: the name inside is not that of the file");
    return 0;
}

/* What a region between machines must be besides: its text is copied in whole words. */
static int check_region(const struct omni_header *header, struct omni_problem *problem) {
    if (header->scope != OMNI_SCOPE_MACHINES)
        return omni_problem(problem, -EPROTO,
                            "it is a segment of one kernel: name it without file: or with shm:");
    if (header->text_offset % 8 != 0)
        return omni_problem(problem, -EBADMSG,
                            "its header is corrupt: text_offset %u is no multiple of 8",
                            header->text_offset);
    return 0;
}

static int check_header(const struct omni_header *header, size_t file_bytes, const char *name,
                        struct omni_problem *problem) {
    int error = check_kind(header, problem);
    if (error == 0)
        error = check_numbers(header, file_bytes, problem);
    if (error == 0)
        error = check_shape(header, problem);
    if (error == 0)
        error = check_name(header, name, problem);
    if (error == 0 && name == NULL)
        error = check_region(header, problem);
    return error;
}

/* ---- attaching ---- */

static int explain_open(int error, const char *path, uid_t owner, struct omni_problem *problem) {
    switch (error) {
    case -ENOENT:
        return omni_problem(problem, error, "there is no %s: is its publisher running?", path);
    case -EPERM:
        return omni_problem(problem, error,
                            "%s belongs to user %ld, who is not trusted: trust that user "
                            "(omni-observer --trust %ld, or OMNI_TRUST=%ld), or remove the file",
                            path, (long)owner, (long)owner, (long)owner);
    case -EACCES:
        return omni_problem(problem, error, "%s may not be read by this user", path);
    case -EINVAL:
    case -ELOOP:
        return omni_problem(problem, error,
                            "%s is a link, a directory, a pipe or a device, not a segment: have "
                            "it removed",
                            path);
    case -ENODATA:
        return omni_problem(problem, -EBADMSG, "%s is too small for a status segment", path);
    default:
        return omni_problem(problem, error, "cannot open %s: %s", path, strerror(-error));
    }
}

static size_t whole_words(size_t bytes) {
    return (bytes + 7) / 8 * 8;
}

/* Between machines in whole words of their own size: a CPU may map a device so that it bears nothing
 * else. The words end before the ring does, because it begins at a multiple of them. */
static void copy(const struct omni_observer *observer, void *to, size_t from, size_t bytes) {
    if (observer->ring.machines)
        omni_copy_out(to, observer->region.bytes + from, whole_words(bytes));
    else
        memcpy(to, observer->region.bytes + from, bytes);
}

/* The copy is what counts: whoever changes the header or the table later changes nothing for us. */
static int copy_table(struct omni_observer *observer, const struct omni_header *header,
                      struct omni_problem *problem) {
    struct omni_table *table = &observer->table;
    table->fields = calloc(header->field_count, sizeof *table->fields);
    table->text = malloc(whole_words(header->text_bytes));
    observer->read = malloc(header->payload_bytes);
    if (table->fields == NULL || table->text == NULL || observer->read == NULL)
        return omni_problem(problem, -ENOMEM, "no memory for the table of fields");
    table->field_count = header->field_count;
    table->text_bytes = header->text_bytes;
    table->payload_bytes = header->payload_bytes;
    table->hash = header->schema_hash;
    copy(observer, table->fields, header->field_offset,
         header->field_count * sizeof *table->fields);
    copy(observer, table->text, header->text_offset, header->text_bytes);
    return omni_table_check(table, problem);
}

static void remember(struct omni_observer *observer, const struct omni_header *header) {
    unsigned char *bytes = observer->region.bytes;
    observer->header = (void *)bytes;
    observer->end = (void *)(bytes + header->segment_bytes - sizeof *observer->end);
    observer->ring =
        (struct omni_ring){.slots = bytes + header->ring_offset,
                           .version = (void *)(bytes + offsetof(struct omni_header, version)),
                           .slot_count = header->slot_count,
                           .slot_bytes = header->slot_bytes,
                           .payload_bytes = header->payload_bytes,
                           .machines = header->scope == OMNI_SCOPE_MACHINES};
    struct omni_source_facts *facts = &observer->facts;
    memcpy(facts->name, header->name, sizeof facts->name);
    facts->instance = header->instance;
    facts->period_ns = header->period_ns;
    facts->steady = (header->compatible_flags & OMNI_COMPATIBLE_STEADY) != 0;
    facts->started_monotonic_ns = header->started_monotonic_ns;
    facts->started_wall_ns = header->started_wall_ns;
    facts->process_id = header->process_id;
    facts->slot_count = header->slot_count;
    facts->scope = (enum omni_scope)header->scope;
}

static int open_segment(struct omni_observer *observer, const char *name,
                        const struct omni_observer_options *options, struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    uid_t owner = 0;
    if (options->writable_bell)
        return omni_problem(problem, -EOPNOTSUPP,
                            "%s is of this kernel: no bell is needed to wait for it", name);
    int error = omni_region_path(path, options->directory, OMNI_FILE_SEGMENT, name);
    if (error < 0)
        return omni_problem(problem, error, "\"%.64s\" cannot name a source", name);
    error =
        omni_region_open(&observer->region, path, options->trusted, options->trusted_count, &owner);
    if (error < 0)
        return explain_open(error, path, owner, problem) == -EBADMSG ? -EBADMSG : error;
    observer->facts.owner = owner;
    return omni_region_path(observer->sleepers_path, options->directory, OMNI_FILE_SLEEPERS, name);
}

static int open_region(struct omni_observer *observer, const struct omni_address *address,
                       const struct omni_observer_options *options, struct omni_problem *problem) {
    struct omni_region_options how = {.trusted = options->trusted,
                                      .trusted_count = options->trusted_count};
    int error =
        omni_region_open_shared(&observer->region, address, OMNI_ACCESS_READ, &how, problem);
    if (error == 0 && options->writable_bell)
        error = omni_region_open_shared(&observer->bell, address, OMNI_ACCESS_BELL, &how, problem);
    observer->facts.owner = how.owner;
    observer->ring.machines = true;
    return error == -ENODATA ? -EBADMSG : error;
}

static bool is_gone(const struct omni_observer *observer) {
    /* Zeros were put in the place of a truncated file, or it was cut inside its last page. */
    if (omni_load_relaxed(&observer->end->mark) != OMNI_END_MARK)
        return true;
    /* Built anew, in the same place. What was copied before the fence that came before this look
     * is of the old segment where the epoch still is. */
    return observer->ring.machines &&
           omni_load_relaxed(&observer->header->epoch) != observer->epoch;
}

static int say_empty(const struct omni_header *header, struct omni_problem *problem) {
    static const uint8_t zeros[sizeof header->magic];
    /* A CPU of 32 bits stores the mark in two pieces. */
    bool half = memcmp(header->magic, OMNI_MAGIC, sizeof zeros / 2) == 0;
    size_t from = half ? sizeof zeros / 2 : 0;
    if (header->layout_version != 0 ||
        memcmp(header->magic + from, zeros + from, sizeof zeros - from) != 0)
        return 0;
    return omni_problem(problem, -EAGAIN, "nothing has been published there yet");
}

/* `name` NULL: a region between machines. */
static int believe(struct omni_observer *observer, const char *name, struct omni_problem *problem) {
    struct omni_header header;
    /* Acquire: a builder across kernels stores layout_version last. */
    uint32_t built = omni_load_acquire(
        (const uint32_t *)(const void *)(observer->region.bytes +
                                         offsetof(struct omni_header, layout_version)));
    if (name == NULL)
        omni_fence_machines();
    copy(observer, &header, 0, sizeof header);
    header.layout_version = built;
    int error = name == NULL ? say_empty(&header, problem) : 0;
    if (error == 0)
        error = check_header(&header, observer->region.size, name, problem);
    if (error == 0)
        error = copy_table(observer, &header, problem);
    if (error < 0)
        return error;
    observer->epoch = header.epoch;
    observer->heartbeat = header.heartbeat;
    observer->silent_ns = 0;
    observer->looked_ns = omni_time_now().monotonic_ns;
    remember(observer, &header);
    if (is_gone(observer))
        return omni_problem(problem, -EBADMSG, "its end is missing: it was cut short");
    return 0;
}

static void forget(struct omni_observer *observer) {
    omni_table_free(&observer->table);
    free(observer->read);
    observer->read = NULL;
}

/* What was read while somebody built is a mixture, and so is what was found wrong with it. */
static int believe_region(struct omni_observer *observer, struct omni_problem *problem) {
    const struct omni_header *header = (void *)observer->region.bytes;
    for (int tries = 0; tries < BELIEVE_TRIES; tries++) {
        uint32_t epoch = omni_load_relaxed(&header->epoch);
        /* The epoch is older than the layout version that I find; see tear_down(). */
        omni_fence_machines();
        int error = believe(observer, NULL, problem);
        omni_fence_machines();
        if (omni_load_relaxed(&header->epoch) == epoch)
            return error;
        forget(observer);
    }
    return omni_problem(problem, -EAGAIN, "it is built again and again");
}

static int attach(struct omni_observer *made, const struct omni_address *address,
                  const struct omni_observer_options *options, struct omni_problem *problem) {
    bool here = address->place == OMNI_PLACE_SHM;
    int error = here ? open_segment(made, address->path, options, problem)
                     : open_region(made, address, options, problem);
    if (error < 0)
        return error;
    made->guard = omni_guard_add(made->region.bytes, made->region.size, false);
    if (made->guard >= 0 && made->bell.bytes != NULL)
        made->bell_guard = omni_guard_add(made->bell.bytes, made->bell.size, true);
    if (made->guard < 0 || made->bell_guard == -EMFILE)
        return omni_problem(problem, -EMFILE, "too many segments are attached already");
    return here ? believe(made, address->path, problem) : believe_region(made, problem);
}

int omni_observer_attach(struct omni_observer **observer, const char *name,
                         const struct omni_observer_options *options,
                         struct omni_problem *problem) {
    static const struct omni_observer_options defaults;
    struct omni_address address;
    int error = omni_address_parse(&address, name, problem);
    if (error < 0)
        return error;
    struct omni_observer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return omni_problem(problem, -ENOMEM, "no memory for an observer");
    made->guard = made->bell_guard = -1;
    made->region = made->sleepers = made->bell = OMNI_REGION_CLOSED;
    error = attach(made, &address, options != NULL ? options : &defaults, problem);
    if (error < 0)
        omni_observer_detach(made);
    else
        *observer = made;
    return error;
}

void omni_observer_detach(struct omni_observer *observer) {
    if (observer == NULL)
        return;
    omni_guard_drop(observer->guard);
    omni_guard_drop(observer->bell_guard);
    omni_region_close(&observer->region);
    omni_region_close(&observer->sleepers);
    omni_region_close(&observer->bell);
    forget(observer);
    free(observer);
}

/* ---- reading ---- */

static int nothing(const struct omni_observer *observer) {
    return is_gone(observer) ? -ESTALE : -EAGAIN;
}

/* What the ring gave may come from behind the cut, or from a segment that was built meanwhile: the
 * caller, who may be showing its payload to others, gets it only where that is ruled out. */
static int hand_out(const struct omni_observer *observer, void *payload) {
    if (is_gone(observer))
        return -ESTALE;
    memcpy(payload, observer->read, observer->ring.payload_bytes);
    return 0;
}

static int take(struct omni_observer *observer, const struct omni_stamp *fresh,
                struct omni_stamp *stamp, void *payload) {
    int error = hand_out(observer, payload);
    if (error < 0)
        return error;
    uint64_t expected = observer->tick + 1;
    bool counts = observer->started && fresh->tick > expected;
    uint64_t missed = counts ? fresh->tick - expected : 0;
    observer->started = true;
    observer->version = fresh->version;
    observer->tick = fresh->tick;
    *stamp = *fresh;
    stamp->missed = missed;
    return 0;
}

static uint32_t version_back(uint32_t version, uint32_t steps) {
    return version > steps ? version - steps : version - steps - 1;
}

/* Where a reader begins that has read nothing yet: as far back as the ring goes. Found by halving,
 * because a ring has up to a million slots, and each look at one between machines is two full fences:
 * whoever builds such rings again and again must not own the reader's loop. A publisher leaves no
 * holes; in a ring of somebody else's it does not matter at which of them the search ends. */
static uint32_t oldest_held(const struct omni_observer *observer, uint32_t newest) {
    uint32_t held = 0; /* steps back */
    uint32_t lost = observer->ring.slot_count - 1;
    while (lost - held > 1) {
        uint32_t middle = held + (lost - held) / 2;
        if (omni_ring_holds(&observer->ring, version_back(newest, middle)))
            held = middle;
        else
            lost = middle;
    }
    return version_back(newest, held);
}

/* The version to read next. A reader that was lapped leaps to the oldest that should still be
 * there; each failed try makes it leap further, away from the writer's pen. */
static uint32_t wanted(const struct omni_observer *observer, uint32_t newest, unsigned tries) {
    uint32_t reach = (observer->ring.slot_count - 1) >> tries;
    if (reach == 0)
        return newest;
    if (!observer->started && tries == 0)
        return oldest_held(observer, newest);
    if (omni_version_distance(observer->version, newest) > reach)
        return version_back(newest, reach - 1);
    return omni_version_after(observer->version);
}

int omni_observer_next(struct omni_observer *observer, struct omni_stamp *stamp, void *payload) {
    struct omni_stamp fresh;
    for (unsigned tries = 0; tries < NEXT_TRIES; tries++) {
        uint32_t newest = omni_ring_version(&observer->ring);
        if (newest == 0 || newest == observer->version)
            return nothing(observer);
        uint32_t version = wanted(observer, newest, tries);
        if (omni_ring_read(&observer->ring, version, &fresh, observer->read) == 0)
            return take(observer, &fresh, stamp, payload);
    }
    /* The one before the newest may be the one that was read last: once is enough. */
    if (omni_ring_newest(&observer->ring, &fresh, observer->read) == 0 &&
        fresh.version != observer->version)
        return take(observer, &fresh, stamp, payload);
    return nothing(observer);
}

int omni_observer_newest(struct omni_observer *observer, struct omni_stamp *stamp, void *payload) {
    struct omni_stamp fresh;
    if (omni_ring_newest(&observer->ring, &fresh, observer->read) < 0)
        return nothing(observer);
    /* Where the counter wraps, the one before the newest may be older than what was read: there is
     * no step back, else a tick would be counted as missed that was not. */
    if (observer->started && fresh.tick < observer->tick) {
        int error = hand_out(observer, payload);
        if (error == 0) {
            *stamp = fresh;
            stamp->missed = 0;
        }
        return error;
    }
    return take(observer, &fresh, stamp, payload);
}

int omni_observer_glance(const struct omni_observer *observer, struct omni_stamp *stamp) {
    struct omni_ring heads = observer->ring;
    struct omni_stamp fresh;
    heads.payload_bytes = 0;
    if (omni_ring_newest(&heads, &fresh, NULL) < 0)
        return nothing(observer);
    if (is_gone(observer))
        return -ESTALE;
    *stamp = fresh;
    stamp->missed = 0;
    return 0;
}

uint32_t omni_observer_version(const struct omni_observer *observer) {
    return omni_ring_version(&observer->ring);
}

/* ---- the publisher's life ---- */

/* Who was kept from looking (a machine that was paused, and perhaps the publisher's with it) has seen
 * no silence meanwhile. */
static bool is_beating(struct omni_observer *observer) {
    uint32_t heartbeat = omni_load_relaxed(&observer->header->heartbeat);
    uint64_t now_ns = omni_time_now().monotonic_ns;
    uint64_t watched_ns = now_ns - observer->looked_ns;
    observer->silent_ns += watched_ns < LOOK_COUNTS_NS ? watched_ns : LOOK_COUNTS_NS;
    if (heartbeat != observer->heartbeat)
        observer->silent_ns = 0;
    observer->heartbeat = heartbeat;
    observer->looked_ns = now_ns;
    return observer->silent_ns < OMNI_OWNER_DEAD_NS && !is_gone(observer);
}

/* Between machines the word may be a successor's, which has built, published and closed since the last
 * look: where the epoch is the old one still, behind the fence, the goodbye was this publisher's. */
static bool has_said_goodbye(const struct omni_observer *observer) {
    if (omni_load_acquire(&observer->header->state) != OMNI_STATE_CLOSED)
        return false;
    if (!observer->ring.machines)
        return true;
    omni_fence_machines();
    return !is_gone(observer);
}

enum omni_life omni_observer_life(struct omni_observer *observer) {
    bool lives = observer->ring.machines ? is_beating(observer)
                                         : omni_lock_is_held(observer->region.file) == 1;
    /* Asked in this order: a publisher says goodbye before it lets go. */
    if (has_said_goodbye(observer))
        return OMNI_LIFE_CLOSED;
    return lives ? OMNI_LIFE_OPEN : OMNI_LIFE_DIED;
}

bool omni_observer_is_replaced(const struct omni_observer *observer) {
    return omni_region_is_orphan(&observer->region) || is_gone(observer);
}

/* ---- the bell ---- */

int omni_observer_ask_bell(struct omni_observer *observer, uint32_t peer, uint32_t vector) {
    if (observer->bell.bytes == NULL)
        return -EOPNOTSUPP;
    if (peer > OMNI_BELL_PEER_MAX || vector > OMNI_BELL_VECTOR_MAX)
        return -EINVAL;
    struct omni_header *header = (void *)observer->bell.bytes;
    omni_store_relaxed(&header->bell, OMNI_BELL_ASKED | peer << OMNI_BELL_PEER_SHIFT | vector);
    /* My word is there before I look: pairs with the publisher's fence before it looks. */
    omni_fence_machines();
    bool news = omni_observer_version(observer) != observer->version;
    bool closed = omni_load_acquire(&observer->header->state) == OMNI_STATE_CLOSED;
    /* All that was looked at is of this segment where the epoch still is. */
    omni_fence_machines();
    if (is_gone(observer))
        return -ESTALE;
    if (news)
        return -EAGAIN;
    return closed ? -EPIPE : 0;
}

/* ---- facts ---- */

const struct omni_table *omni_observer_table(const struct omni_observer *observer) {
    return &observer->table;
}

const struct omni_source_facts *omni_observer_facts(const struct omni_observer *observer) {
    return &observer->facts;
}

uint32_t omni_observer_payload_bytes(const struct omni_observer *observer) {
    return observer->table.payload_bytes;
}

int omni_observer_expect(const struct omni_observer *observer, const struct omni_schema *schema,
                         struct omni_problem *problem) {
    return omni_schema_compare(schema, &observer->table, problem);
}

static int is_segment(const struct dirent *entry) {
    return omni_name_of_file(entry->d_name) != NULL;
}

int omni_sources_each(const char *directory, int (*found)(void *context, const char *name),
                      void *context) {
    struct dirent **entries;
    int result = 0;
    int count = scandir(directory != NULL ? directory : OMNI_DIRECTORY_DEFAULT, &entries,
                        is_segment, alphasort);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = found(context, omni_name_of_file(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return result;
}
