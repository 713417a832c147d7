/*
 * publisher_internal.h - what a publisher holds, and its half for memory that machines share (not
 * installed)
 *
 * publish.c has what both worlds need and the publisher of one kernel; publish_machines.c the one
 * between machines, which omni_publisher_open() and the other calls hand over to.
 */
#ifndef OMNI_PUBLISHER_INTERNAL_H
#define OMNI_PUBLISHER_INTERNAL_H

#include <stdalign.h>

#include <omni/publish.h>
#include <omni/region.h>

/* Stands at the end of a page; the sleepers' file is mapped to the page behind it and the segment
 * to the pages behind that. A control loop comes back from its sleep to caches that have forgotten
 * everything: what a tick costs then is how many lines and pages it has to ask for, and one after
 * the other. Neighbours are found together, and an address that follows from the publisher's own
 * can be asked for at once (see omni_publish_at). */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what follows is another page. */
struct omni_publisher {
    /* Between machines. In front, so that the rest lies as near to the page's end as it can. */
    uint32_t id; /* what the owner word holds while this publisher owns the region; 0: it never did,
                    or does no more */
    uint32_t heartbeat;
    uint32_t *doorbell; /* the register that interrupts another machine; NULL: none */
    struct omni_region doorbell_region;
    /* What every tick needs: one cache line. */
    alignas(OMNI_CACHE_LINE_BYTES) struct omni_ring ring;
    uint64_t tick;
    uint32_t version;
    bool certain_wake;
    /* What opening and closing need. */
    struct omni_header *header;
    uint64_t instance;
    struct omni_region segment;
    struct omni_region sleepers_region;
    unsigned char *home; /* all the pages */
    size_t home_bytes;
    int lock;
    int guard; /* places of omni_guard_add(): of the segment, */
    int sleepers_guard;
    /* Another page, another file. */
    alignas(OMNI_CACHE_LINE_BYTES) uint32_t sleepers;
};

static_assert(offsetof(struct omni_publisher, header) - offsetof(struct omni_publisher, ring) <=
                  OMNI_CACHE_LINE_BYTES,
              "what every tick needs fits in one cache line");

/* Says in `header` where everything lies, with a ring of that many slots (a power of two). */
void omni_publisher_lay_out(struct omni_header *header, const struct omni_table *table,
                            uint32_t slots);

/* Points the publisher at its segment, which `header` describes. */
void omni_publisher_settle(struct omni_publisher *publisher, unsigned char *bytes,
                           const struct omni_header *header);

/* Opens the region, owns it, and builds the segment in place. `header` is laid out for as many slots
 * as were asked for; where no number was asked for the ring gets as many as the region has room for.
 * Returns as omni_publisher_open(); on failure what was opened is still to be released. */
int omni_machines_open(struct omni_publisher *publisher, const struct omni_address *address,
                       struct omni_header *header, const struct omni_table *table,
                       const struct omni_publisher_options *options, struct omni_problem *problem);
/* Builds the segment that `header` describes in the publisher's region, which it owns. Shows signs of
 * life meanwhile. Returns 0; -EBUSY where somebody else has taken the region over before it was
 * done. */
int omni_machines_build(struct omni_publisher *publisher, const struct omni_header *header,
                        const struct omni_table *table);
void omni_machines_publish(struct omni_publisher *publisher, const void *status,
                           struct omni_time time);
void omni_machines_beat(struct omni_publisher *publisher);
bool omni_machines_is_owner(const struct omni_publisher *publisher);
/* Says goodbye and gives the region free, if it is still this publisher's. */
void omni_machines_leave(struct omni_publisher *publisher);

#endif
