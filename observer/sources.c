#include "sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <omni/publish.h>
#include <omni/region.h>
#include <omni/wait.h>

#include "bell.h"
#include "budget.h"
#include "clock.h"
#include "service/say.h"
#include "silence.h"

enum {
    EVENTS_KEPT = 4096,
    IDLE_MS = 250, /* between looks while nobody wants to know */
    IDLE_WITHOUT_PERIOD_MS = 50
};

/* A source with what is needed to follow it; `shown` comes first so that one can be had from the
 * other. */
struct follower {
    struct source shown;
    struct sources *owner;
    struct omni_observer *reader;
    struct omni_table table; /* a copy: outlives the reader when the publisher comes back */
    struct omni_pacer pacer;
    const struct sources_bell *doorbell; /* NULL: none */
    struct bell bell;
    const char *region;   /* its address; NULL: a segment of the directory */
    uint64_t interval_ns; /* what the hub wants */
    uint64_t told_ns;     /* the stamp of the newest tick, all instances: one history, in order */
    uv_poll_t poll;       /* of the timer */
    int timer;            /* timerfd: precise, unlike the loop's own timers */
    bool seen;            /* by the scan under way */
    bool stale;           /* the file was truncated */
    bool behind;          /* drain() left something */
};

struct refusal {
    char name[OMNI_PATH_BYTES]; /* or an address */
    struct omni_problem problem;
    bool seen;
};

struct sources {
    uv_loop_t *loop;
    struct sources_options options;
    struct sources_listener listener;
    struct follower *followers[SOURCES_MAX];
    size_t count;
    struct refusal refusals[SOURCES_MAX];
    size_t refusal_count;
    uv_timer_t scan_timer;
    uint64_t scan_again_ms; /* not before that, of the loop's time */
    uv_fs_event_t watch;
    bool watching;
    bool told_full;
    uint64_t complaint_second;
    unsigned complaints; /* lines in the log, less one for each second since */
    unsigned handles;    /* open ones that point here */
    bool closing;
};

/* ---- states ---- */

static uint64_t newest_ns(const struct source *source) {
    return foreign_clock_newest(&source->clock, &source->stamp, source->heard_ns);
}

static bool is_fresh(const struct follower *follower, uint64_t now_ns) {
    const struct source *source = &follower->shown;
    return source->stamp.version != 0 &&
           foreign_clock_vouches(&source->clock, source->facts.period_ns, now_ns) &&
           !silence_has_come(&source->facts, newest_ns(source), now_ns);
}

static const char *reason_now(const struct follower *follower, uint64_t now_ns) {
    switch (omni_observer_life(follower->reader)) {
    case OMNI_LIFE_CLOSED:
        return "closed";
    case OMNI_LIFE_DIED:
        return "died";
    case OMNI_LIFE_OPEN:
        break;
    }
    return is_fresh(follower, now_ns) ? "" : "silent";
}

static void set_reason(struct follower *follower, const char *reason) {
    struct source *source = &follower->shown;
    if (strcmp(source->reason, reason) == 0)
        return;
    const struct sources_listener *listener = &follower->owner->listener;
    source->reason = reason;
    source->live = reason[0] == '\0';
    listener->changed(listener->context, source);
}

/* ---- reading ---- */

struct event_route {
    const struct sources_listener *listener;
    struct source *source;
};

static void pass_event(void *context, const struct event *event) {
    struct event_route *route = context;
    route->listener->event(route->listener->context, route->source, event);
}

static void take(struct follower *follower, const struct omni_stamp *fresh, uint64_t now_ns) {
    struct source *source = &follower->shown;
    struct event_route route = {&follower->owner->listener, source};
    struct omni_stamp stamp = *fresh;
    stamp.time.monotonic_ns =
        foreign_clock_translate(&source->clock, stamp.time.monotonic_ns, follower->told_ns, now_ns);
    follower->told_ns = stamp.time.monotonic_ns;
    source->stamp = stamp;
    source->ticks++;
    source->lost += stamp.missed;
    history_push(source->history, source->facts.instance, &stamp, source->payload);
    transitions_feed(source->transitions, source->facts.instance, &stamp, source->payload,
                     pass_event, &route);
}

/* Before the drain: of what it finds only the newest tick is known to be new. */
static void compare_clocks(struct follower *follower) {
    struct source *source = &follower->shown;
    struct omni_stamp newest;
    if (source->clock.foreign && omni_observer_glance(follower->reader, &newest) == 0)
        foreign_clock_see(&source->clock, &newest, source->facts.period_ns, omni_time_now());
}

/* Everything that is new, into history and transitions. Returns how many ticks, or -ESTALE. */
static int drain(struct follower *follower) {
    const uint64_t start_ns = uv_hrtime();
    struct omni_stamp stamp;
    int ticks = 0;
    int error = 0;
    compare_clocks(follower);
    while (budget_drains((unsigned)ticks, uv_hrtime() - start_ns) &&
           (error = omni_observer_next(follower->reader, &stamp, follower->shown.payload)) == 0) {
        take(follower, &stamp, uv_hrtime());
        ticks++;
    }
    follower->behind = error == 0;
    return error == -ESTALE ? -ESTALE : ticks;
}

static void arm(struct follower *follower, uint64_t at_ns) {
    /* Setting a timer also takes back an expiry that was not read: no read() is needed. */
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / CLOCK_NS_A_SECOND),
                                           .tv_nsec = (long)(at_ns % CLOCK_NS_A_SECOND)}};
    timerfd_settime(follower->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Soon, not now: a scan may drop the very source that is being looked at. */
static void ask_for_scan(struct sources *sources);

/* A publisher that is gone cannot tick: what comes in its place is found by the scan. */
static bool is_over(const struct source *source) {
    static const char *const ends[] = {"closed", "died", "replaced"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(source->reason, ends[i]) == 0)
            return true;
    return false;
}

static void look_why(struct follower *follower, uint64_t now_ns) {
    if (follower->stale || omni_observer_is_replaced(follower->reader))
        ask_for_scan(follower->owner);
    else if (follower->pacer.misses > 1 || follower->bell.is_asked)
        set_reason(follower, reason_now(follower, now_ns));
}

static uint64_t next_look(const struct follower *follower, uint64_t now_ns) {
    /* There is more, but others have their turn first. */
    if (follower->behind)
        return now_ns + CLOCK_NS_A_MILLISECOND;
    return is_over(&follower->shown) ? now_ns + CLOCK_NS_A_SECOND
                                     : omni_pacer_next(&follower->pacer);
}

/* Asks for a ring, and sleeps. Returns false where that is not the thing to do: there is news. */
static bool sleep_by_bell(struct follower *follower, uint64_t now_ns) {
    const struct sources_bell *doorbell = follower->doorbell;
    if (doorbell == NULL || follower->behind || is_over(&follower->shown) ||
        !bell_should_ask(&follower->bell, now_ns))
        return false;
    doorbell->listen(doorbell->context);
    int error = omni_observer_ask_bell(follower->reader, doorbell->peer, doorbell->vector);
    bell_asked(&follower->bell, error < 0, now_ns);
    if (error < 0)
        return false;
    arm(follower, bell_next(&follower->bell, next_look(follower, now_ns), now_ns));
    return true;
}

static void rest(struct follower *follower, uint64_t now_ns) {
    if (sleep_by_bell(follower, now_ns))
        return;
    uint64_t next_ns = next_look(follower, now_ns);
    if (follower->doorbell != NULL && !follower->behind && !is_over(&follower->shown))
        next_ns = bell_next(&follower->bell, next_ns, now_ns);
    arm(follower, next_ns);
}

static void look(struct follower *follower, enum bell_cause cause) {
    struct sources *sources = follower->owner;
    struct source *source = &follower->shown;
    uint64_t began_ns = uv_hrtime();
    int ticks = drain(follower);
    uint64_t now_ns = uv_hrtime();
    source->looks++;
    omni_pacer_looked(&follower->pacer, now_ns, ticks > 0 ? &source->stamp : NULL);
    if (ticks > 0) {
        /* Not now: who is stopped in the middle of a look must not take what it finds for new. */
        source->heard_ns = began_ns;
        if (is_fresh(follower, now_ns))
            set_reason(follower, "");
        else if (!follower->behind)
            set_reason(follower, reason_now(follower, now_ns));
        sources->listener.ticked(sources->listener.context, source, now_ns);
    } else {
        follower->stale = ticks == -ESTALE;
        look_why(follower, now_ns);
    }
    bell_looked(&follower->bell, cause, ticks > 0, now_ns);
    source->is_ringing = follower->bell.is_proven;
    rest(follower, now_ns);
}

static void on_timer(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct follower *follower = poll->data;
    if (!follower->bell.is_proven || !sleep_by_bell(follower, uv_hrtime()))
        look(follower, BELL_TIME);
}

void sources_look(struct sources *sources, struct source *source) {
    (void)sources;
    look((struct follower *)source, BELL_OTHER);
}

void sources_rang(struct sources *sources, const struct sources_bell *bell) {
    for (size_t i = 0; i < sources->count; i++) {
        struct follower *follower = sources->followers[i];
        if (follower->doorbell != bell || !follower->bell.is_asked)
            continue;
        follower->shown.rings++;
        look(follower, BELL_RANG);
        return;
    }
}

/* ---- how often ---- */

static uint64_t longest_interval(const struct follower *follower) {
    const struct omni_source_facts *facts = &follower->shown.facts;
    uint64_t idle = IDLE_MS * CLOCK_NS_A_MILLISECOND;
    uint64_t half_ring = facts->slot_count * facts->period_ns / 2;
    if (facts->period_ns == 0)
        return IDLE_WITHOUT_PERIOD_MS * CLOCK_NS_A_MILLISECOND;
    return half_ring < idle ? half_ring : idle;
}

static uint64_t effective_interval(const struct follower *follower) {
    uint64_t longest = longest_interval(follower);
    return follower->interval_ns < longest ? follower->interval_ns : longest;
}

void sources_want(struct sources *sources, struct source *source, uint64_t interval_ns) {
    (void)sources;
    struct follower *follower = (struct follower *)source;
    if (follower->interval_ns == interval_ns)
        return;
    follower->interval_ns = interval_ns;
    uint64_t now_ns = uv_hrtime();
    omni_pacer_want(&follower->pacer, effective_interval(follower), now_ns);
    bell_want(&follower->bell, effective_interval(follower), now_ns);
    /* Who waits for the next tick already cannot hear of it sooner. */
    if (!follower->bell.is_proven || !follower->bell.is_asked)
        arm(follower, bell_next(&follower->bell, omni_pacer_next(&follower->pacer), now_ns));
}

/* ---- coming and going ---- */

static void handle_closed(struct sources *sources) {
    sources->handles--;
    if (sources->closing && sources->handles == 0)
        free(sources);
}

static void free_follower(struct follower *follower) {
    encoder_close(follower->shown.encoder);
    history_close(follower->shown.history);
    transitions_close(follower->shown.transitions);
    omni_observer_detach(follower->reader);
    omni_table_free(&follower->table);
    free(follower->shown.payload);
    if (follower->timer >= 0)
        close(follower->timer);
    free(follower);
}

static void on_poll_closed(uv_handle_t *handle) {
    struct follower *follower = handle->data;
    struct sources *sources = follower->owner;
    free_follower(follower);
    handle_closed(sources);
}

static int equip(struct follower *follower, struct omni_observer *reader) {
    struct source *source = &follower->shown;
    struct sources *sources = follower->owner;
    uint32_t payload_bytes = omni_observer_payload_bytes(reader);
    source->payload = calloc(1, payload_bytes);
    follower->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int error = source->payload == NULL ? -ENOMEM : follower->timer < 0 ? -errno : 0;
    if (error == 0)
        error = omni_table_copy(&follower->table, omni_observer_table(reader));
    if (error == 0)
        error = encoder_open(&source->encoder, source->table);
    if (error == 0)
        error = history_open(&source->history, sources->options.history_bytes, payload_bytes);
    if (error == 0)
        error = transitions_open(&source->transitions, source->table, EVENTS_KEPT);
    if (error == 0)
        error = uv_poll_init(sources->loop, &follower->poll, follower->timer);
    return error;
}

static enum source_kind kind_of(const struct sources *sources, const struct omni_observer *reader) {
    const struct omni_source_facts *facts = omni_observer_facts(reader);
    if (omni_observer_table(reader)->hash == sources->options.host_hash)
        return SOURCE_MACHINE;
    return facts->period_ns != 0 || facts->steady ? SOURCE_ROBOT : SOURCE_EVENTS;
}

/* The reader belongs to the follower from then on; on failure it stays the caller's. */
static int make_follower(struct sources *sources, struct omni_observer *reader,
                         struct follower **follower) {
    struct follower *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->owner = sources;
    made->interval_ns = UINT64_MAX;
    made->shown.facts = *omni_observer_facts(reader);
    made->shown.table = &made->table;
    made->shown.reason = "silent";
    made->shown.kind = kind_of(sources, reader);
    memcpy(made->shown.name, made->shown.facts.name, sizeof made->shown.name);
    int error = equip(made, reader);
    if (error < 0) {
        free_follower(made);
        return error;
    }
    made->reader = reader;
    made->poll.data = made;
    sources->handles++;
    *follower = made;
    return 0;
}

/* Who looks without saying at what wants to see a robot. */
static bool comes_before(const struct source *one, const struct source *other) {
    if (one->kind != other->kind)
        return one->kind < other->kind;
    return strcmp(one->name, other->name) < 0;
}

static void insert(struct sources *sources, struct follower *follower) {
    size_t at = sources->count++;
    while (at > 0 && comes_before(&follower->shown, &sources->followers[at - 1]->shown)) {
        sources->followers[at] = sources->followers[at - 1];
        at--;
    }
    sources->followers[at] = follower;
}

static void start_following(struct follower *follower) {
    struct source *source = &follower->shown;
    foreign_clock_start(&source->clock, source->facts.scope == OMNI_SCOPE_MACHINES, uv_hrtime());
    omni_pacer_start(&follower->pacer, source->facts.period_ns, effective_interval(follower),
                     uv_hrtime());
    bell_start(&follower->bell, effective_interval(follower), uv_hrtime());
    look(follower, BELL_OTHER);
}

static void refuse(struct sources *sources, const char *name, const struct omni_problem *problem);

/* `region` NULL, or one without a bell: NULL. */
static const struct sources_bell *doorbell_of(const struct sources *sources, const char *region) {
    for (size_t i = 0; region != NULL && i < sources->options.bell_count; i++)
        if (strcmp(sources->options.bells[i]->address, region) == 0)
            return sources->options.bells[i]->listen != NULL ? sources->options.bells[i] : NULL;
    return NULL;
}

static void come(struct sources *sources, struct omni_observer *reader, const char *region) {
    struct follower *follower = NULL;
    struct omni_problem problem;
    int error = make_follower(sources, reader, &follower);
    if (error < 0) {
        (void)snprintf(problem.text, sizeof problem.text, "cannot follow it: %s",
                       error == -EMSGSIZE ? "its status is too large to be shown"
                                          : strerror(-error));
        refuse(sources, region != NULL ? region : omni_observer_facts(reader)->name, &problem);
        omni_observer_detach(reader);
        return;
    }
    follower->seen = true;
    follower->region = region;
    follower->doorbell = doorbell_of(sources, region);
    insert(sources, follower);
    uv_poll_start(&follower->poll, UV_READABLE, on_timer);
    sources->listener.came(sources->listener.context, &follower->shown);
    start_following(follower);
}

static void go(struct sources *sources, size_t index) {
    struct follower *follower = sources->followers[index];
    sources->count--;
    memmove(&sources->followers[index], &sources->followers[index + 1],
            (sources->count - index) * sizeof sources->followers[0]);
    if (!sources->closing)
        sources->listener.went(sources->listener.context, &follower->shown);
    uv_close((uv_handle_t *)&follower->poll, on_poll_closed);
}

/* The publisher came back with the same schema: history and transitions go on. */
static void come_back(struct follower *follower, struct omni_observer *reader) {
    struct source *source = &follower->shown;
    const struct sources_listener *listener = &follower->owner->listener;
    omni_observer_detach(follower->reader);
    follower->reader = reader;
    follower->stale = false;
    source->facts = *omni_observer_facts(reader);
    source->stamp = (struct omni_stamp){0};
    source->reason = "silent";
    source->live = false;
    listener->changed(listener->context, source);
    start_following(follower);
}

/* ---- scanning ---- */

static size_t index_of(const struct sources *sources, const char *name) {
    size_t index = 0;
    while (index < sources->count && strcmp(sources->followers[index]->shown.name, name) != 0)
        index++;
    return index;
}

static struct refusal *refusal_of(struct sources *sources, const char *name) {
    for (size_t i = 0; i < sources->refusal_count; i++)
        if (strcmp(sources->refusals[i].name, name) == 0)
            return &sources->refusals[i];
    return NULL;
}

/* Every segment that may be refused at a time has its line at once; in the long run it is one a
 * second: whoever can make files must not fill the log. */
static void complain(struct sources *sources, const char *name,
                     const struct omni_problem *problem) {
    uint64_t second = uv_hrtime() / CLOCK_NS_A_SECOND;
    uint64_t forgiven = second - sources->complaint_second;
    sources->complaints -=
        forgiven < sources->complaints ? (unsigned)forgiven : sources->complaints;
    sources->complaint_second = second;
    if (sources->complaints >= SOURCES_MAX)
        return;
    sources->complaints++;
    say(SAY_WARNING, "source %s cannot be shown: %s", name, problem->text);
}

static void refuse(struct sources *sources, const char *name, const struct omni_problem *problem) {
    struct refusal *refusal = refusal_of(sources, name);
    if (refusal == NULL) {
        if (sources->refusal_count == SOURCES_MAX)
            return;
        refusal = &sources->refusals[sources->refusal_count++];
        *refusal = (struct refusal){0};
        snprintf(refusal->name, sizeof refusal->name, "%s", name);
    }
    refusal->seen = true;
    if (strcmp(refusal->problem.text, problem->text) == 0)
        return;
    refusal->problem = *problem;
    complain(sources, name, problem);
}

/* A segment that is not there, or half there, in the directory comes at the next scan. An address was
 * typed by somebody, who wants to know what is wrong with it. */
static int attach(struct sources *sources, const char *name, bool is_region,
                  struct omni_observer **reader) {
    struct omni_observer_options options = {.directory = sources->options.directory,
                                            .trusted = sources->options.trusted,
                                            .trusted_count = sources->options.trusted_count,
                                            .writable_bell = doorbell_of(sources, name) != NULL};
    struct omni_problem problem = {""};
    int error = omni_observer_attach(reader, name, &options, &problem);
    if (error < 0 && (is_region || (error != -ENOENT && error != -EAGAIN)))
        refuse(sources, name, &problem);
    return error;
}

static void refuse_namesake(struct sources *sources, const char *name,
                            const struct follower *first) {
    struct omni_problem problem;
    (void)snprintf(problem.text, sizeof problem.text,
                   "another source is named \"%s\", %.120s: give one of their publishers another "
                   "--name",
                   first->shown.name, first->region != NULL ? first->region : "in the directory");
    refuse(sources, name, &problem);
}

/* What is in a region has the name that its publisher gave it. */
static void come_if_new(struct sources *sources, struct omni_observer *reader, const char *region) {
    size_t index = index_of(sources, omni_observer_facts(reader)->name);
    if (index == sources->count) {
        come(sources, reader, region);
        return;
    }
    refuse_namesake(sources, region, sources->followers[index]);
    omni_observer_detach(reader);
}

/* What the old one left in its ring still counts: all of it, which is at most a ring full. */
static void drain_remains(struct follower *follower) {
    uint64_t end = follower->shown.ticks + follower->shown.facts.slot_count;
    do
        drain(follower);
    while (follower->behind && follower->shown.ticks < end);
}

/* Of the same segment; or, in a region, of whatever is published there now. */
static void succeed(struct sources *sources, size_t index, struct omni_observer *reader) {
    struct follower *follower = sources->followers[index];
    const struct source *source = &follower->shown;
    const char *region = follower->region;
    if (strcmp(omni_observer_facts(reader)->name, source->name) == 0 &&
        omni_observer_table(reader)->hash == source->table->hash) {
        come_back(follower, reader);
    } else {
        go(sources, index);
        come_if_new(sources, reader, region);
    }
}

static void meet_known(struct sources *sources, size_t index) {
    struct follower *follower = sources->followers[index];
    const char *region = follower->region;
    struct omni_observer *reader = NULL;
    follower->seen = true;
    if (!follower->stale && !omni_observer_is_replaced(follower->reader))
        return;
    drain_remains(follower);
    int error =
        attach(sources, region != NULL ? region : follower->shown.name, region != NULL, &reader);
    if (error == 0)
        succeed(sources, index, reader);
    else if (error == -EMFILE || error == -ENFILE || error == -ENOMEM)
        return; /* says nothing about the source: the next scan tries again */
    else if (region == NULL || error != -EAGAIN)
        follower->seen = false;
    else if (!is_over(&follower->shown))
        set_reason(follower, "replaced"); /* it is built just now: the next scan will tell */
}

static bool has_room(struct sources *sources, const char *name) {
    if (sources->count < SOURCES_MAX)
        return true;
    if (!sources->told_full)
        say(SAY_WARNING, "more than %u sources: %s and later ones are not shown", SOURCES_MAX,
            name);
    sources->told_full = true;
    return false;
}

static void meet_new(struct sources *sources, const char *name) {
    struct omni_observer *reader = NULL;
    if (has_room(sources, name) && attach(sources, name, false, &reader) == 0)
        come(sources, reader, NULL);
}

static int meet(void *context, const char *name) {
    struct sources *sources = context;
    size_t index = index_of(sources, name);
    if (index == sources->count)
        meet_new(sources, name);
    else if (sources->followers[index]->region == NULL)
        meet_known(sources, index);
    else
        refuse_namesake(sources, name, sources->followers[index]);
    return 0;
}

/* The same address may have been given twice. */
static bool is_region(const struct follower *follower, const char *region) {
    return follower->region != NULL && strcmp(follower->region, region) == 0;
}

static size_t index_of_region(const struct sources *sources, const char *region) {
    size_t index = 0;
    while (index < sources->count && !is_region(sources->followers[index], region))
        index++;
    return index;
}

static void meet_region(struct sources *sources, const char *region) {
    struct omni_observer *reader = NULL;
    size_t index = index_of_region(sources, region);
    if (index < sources->count)
        meet_known(sources, index);
    else if (has_room(sources, region) && attach(sources, region, true, &reader) == 0)
        come_if_new(sources, reader, region);
}

/* `scanned`: the directory was read, so that who is not in it is gone. */
static void forget_unseen(struct sources *sources, bool scanned) {
    for (size_t i = sources->count; i-- > 0;)
        if (!sources->followers[i]->seen && (scanned || sources->followers[i]->region != NULL))
            go(sources, i);
    if (!scanned)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < sources->refusal_count; i++)
        if (sources->refusals[i].seen)
            sources->refusals[kept++] = sources->refusals[i];
    sources->refusal_count = kept;
}

static void watch_directory(struct sources *sources);

static void scan(struct sources *sources) {
    for (size_t i = 0; i < sources->count; i++)
        sources->followers[i]->seen = false;
    for (size_t i = 0; i < sources->refusal_count; i++)
        sources->refusals[i].seen = false;
    for (size_t i = 0; i < sources->options.region_count; i++)
        meet_region(sources, sources->options.regions[i]);
    for (size_t i = 0; i < sources->options.bell_count; i++)
        meet_region(sources, sources->options.bells[i]->address);
    int error = omni_sources_each(sources->options.directory, meet, sources);
    /* A directory that is not there has no sources; it may come. One that cannot be read for the
     * moment (no descriptor is left) says nothing about them. */
    forget_unseen(sources, error == 0 || error == -ENOENT || error == -ENOTDIR);
    if (!sources->watching)
        watch_directory(sources);
}

static void on_scan(uv_timer_t *timer) {
    struct sources *sources = timer->data;
    /* The processor's time, not the wall's: what others take of it must not keep robots waiting. */
    uint64_t start_ns = clock_worked_ns();
    scan(sources);
    uint64_t rest_ms = budget_rest_ms(clock_worked_ns() - start_ns);
    uv_update_time(sources->loop);
    sources->scan_again_ms = uv_now(sources->loop) + rest_ms;
    uv_timer_start(timer, on_scan, budget_scan_ms(rest_ms), BUDGET_SCAN_MS);
}

static void ask_for_scan(struct sources *sources) {
    /* Not later than asked before: a storm of files must not put it off for ever. And not at once:
     * a timer that its own callback starts with 0 keeps libuv 1.44 from everything else. */
    uint64_t wait_ms = budget_soon_ms(uv_now(sources->loop), sources->scan_again_ms);
    if (uv_timer_get_due_in(&sources->scan_timer) > wait_ms)
        uv_timer_start(&sources->scan_timer, on_scan, wait_ms, BUDGET_SCAN_MS);
}

static void on_directory_change(uv_fs_event_t *watch, const char *file_name, int events,
                                int status) {
    (void)events;
    struct sources *sources = watch->data;
    if (status == 0 && file_name != NULL && omni_name_of_file(file_name) == NULL)
        return;
    ask_for_scan(sources);
}

static void watch_directory(struct sources *sources) {
    const char *directory = sources->options.directory;
    sources->watching =
        uv_fs_event_start(&sources->watch, on_directory_change,
                          directory != NULL ? directory : OMNI_DIRECTORY_DEFAULT, 0) == 0;
}

/* ---- opening and closing ---- */

int sources_open(struct sources **sources, uv_loop_t *loop, const struct sources_options *options,
                 const struct sources_listener *listener) {
    struct sources *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->loop = loop;
    made->options = *options;
    made->listener = *listener;
    made->scan_timer.data = made->watch.data = made;
    uv_timer_init(loop, &made->scan_timer);
    uv_fs_event_init(loop, &made->watch);
    made->handles = 2;
    uv_timer_start(&made->scan_timer, on_scan, BUDGET_SCAN_MS, BUDGET_SCAN_MS);
    *sources = made;
    scan(made);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    handle_closed(handle->data);
}

void sources_close(struct sources *sources) {
    if (sources == NULL)
        return;
    sources->closing = true;
    while (sources->count > 0)
        go(sources, sources->count - 1);
    uv_close((uv_handle_t *)&sources->scan_timer, on_handle_closed);
    uv_close((uv_handle_t *)&sources->watch, on_handle_closed);
}

/* ---- looking at them ---- */

struct source *sources_at(const struct sources *sources, size_t index) {
    return index < sources->count ? &sources->followers[index]->shown : NULL;
}

struct source *sources_find(const struct sources *sources, const char *name) {
    return sources_at(sources, index_of(sources, name));
}

struct source *sources_default(const struct sources *sources) {
    struct source *source;
    for (size_t i = 0; (source = sources_at(sources, i)) != NULL; i++)
        if (source->live)
            return source;
    return sources_at(sources, 0);
}

bool sources_refusal(const struct sources *sources, size_t index, const char **name,
                     const char **problem) {
    if (index >= sources->refusal_count)
        return false;
    *name = sources->refusals[index].name;
    *problem = sources->refusals[index].problem.text;
    return true;
}

/* ---- as JSON ---- */

static void encode_age(struct text *text, const struct source *source, uint64_t now_ns) {
    uint64_t newest = newest_ns(source);
    text_string(text, ",\"age\":");
    if (source->stamp.version == 0)
        text_string(text, "null");
    else
        encode_microseconds(text, now_ns > newest ? now_ns - newest : 0);
}

static void encode_waiting(struct text *text, const struct source *source) {
    text_format(text, ",\"wait\":\"%s\",\"looks\":", source->is_ringing ? "bell" : "poll");
    encode_u64(text, source->looks);
    text_string(text, ",\"rings\":");
    encode_u64(text, source->rings);
}

void source_encode(struct text *text, const struct source *source, uint64_t now_ns,
                   bool with_schema) {
    /* The name is of [A-Za-z0-9._-]: nothing to escape. */
    text_format(text, "{\"name\":\"%s\",\"state\":\"%s\",\"reason\":\"%s\"", source->name,
                source->live ? "live" : "stopped", source->reason);
    encode_age(text, source, now_ns);
    text_format(text, ",\"instance\":\"%016" PRIx64 "\",\"period\":", source->facts.instance);
    encode_microseconds(text, source->facts.period_ns);
    text_format(text, ",\"process\":%" PRIu32 ",\"version\":%" PRIu32 ",\"tick\":",
                source->facts.process_id, source->stamp.version);
    encode_u64(text, source->stamp.tick);
    text_string(text, ",\"ticks\":");
    encode_u64(text, source->ticks);
    text_string(text, ",\"lost\":");
    encode_u64(text, source->lost);
    if (source->facts.scope == OMNI_SCOPE_MACHINES)
        encode_waiting(text, source);
    if (source->kind == SOURCE_EVENTS)
        text_string(text, ",\"occasional\":true");
    if (source->kind == SOURCE_MACHINE)
        text_string(text, ",\"host\":true");
    if (with_schema) {
        text_string(text, ",\"schema\":");
        encode_schema(text, source->table);
    }
    text_string(text, "}");
}

void source_encode_status(struct text *text, const struct source *source, uint64_t now_ns) {
    if (source->stamp.version == 0)
        return;
    text_string(text, "{\"op\":\"status\",\"source\":\"");
    text_string(text, source->name);
    text_string(text, "\",\"version\":");
    encode_u64(text, source->stamp.version);
    text_string(text, ",");
    encode_stamp(text, &source->stamp);
    encode_age(text, source, now_ns);
    text_string(text, ",\"lost\":");
    encode_u64(text, source->lost);
    text_string(text, ",\"values\":");
    encode_values(text, source->encoder, source->payload);
    text_string(text, "}");
}
