#include "speaker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "service/say.h"

enum { WATCH_MS = 1000 };

/* A source that the rules have something to say about. */
struct robot {
    struct robot *next;
    struct speaker *speaker;
    const struct source *source;
    struct sound_fields fields;
    struct sound sound;
};

struct speaker {
    uv_loop_t *loop;
    struct speaker_options options;
    struct sources_listener next;
    void (*told)(void *context);
    void *context;
    struct robot *robots;
    struct dice dice;
    struct player player;
    bool on;
    bool asked_on; /* what the player was last told */
    bool is_stuck;
    char reason[sizeof(((struct player_report *)0)->reason)];
    uint64_t told_ns;
    uv_poll_t line;    /* the player's reports */
    uv_timer_t cluck;  /* when a rule wants to look again */
    uv_timer_t watch;  /* whether the player still hears */
    uv_timer_t teller; /* when to say what changed */
    bool has_line;
    unsigned handles;
};

/* ---- what is to be seen ---- */

struct speaker_view speaker_view(const struct speaker *speaker) {
    if (speaker == NULL || !speaker->on)
        return (struct speaker_view){false, "off", ""};
    if (speaker->is_stuck)
        return (struct speaker_view){true, "no-device", "the sound device blocks"};
    return (struct speaker_view){true, speaker->reason[0] != '\0' ? "no-device" : "on",
                                 speaker->reason};
}

void speaker_encode(struct text *text, const struct speaker *speaker) {
    struct speaker_view view = speaker_view(speaker);
    text_format(text, "\"on\":%s,\"state\":\"%s\",\"reason\":", view.on ? "true" : "false",
                view.state);
    text_json_string(text, view.reason, strlen(view.reason));
}

static void on_tell(uv_timer_t *timer) {
    struct speaker *speaker = timer->data;
    speaker->told_ns = uv_hrtime();
    if (speaker->told != NULL)
        speaker->told(speaker->context);
}

static void tell_soon(struct speaker *speaker) {
    uint64_t since_ms = (uv_hrtime() - speaker->told_ns) / CLOCK_NS_A_MILLISECOND;
    if (!uv_is_active((uv_handle_t *)&speaker->teller))
        uv_timer_start(&speaker->teller, on_tell,
                       since_ms < SPEAKER_TELL_MS ? SPEAKER_TELL_MS - since_ms : 0, 0);
}

/* ---- the player ---- */

static void on_watch(uv_timer_t *timer) {
    struct speaker *speaker = timer->data;
    const struct player *player = &speaker->player;
    if (player->unheard == 0 && !speaker->on) {
        uv_timer_stop(timer);
    } else if (player->unheard == 0) {
        (void)player_nudge(&speaker->player);
    } else if (!speaker->is_stuck &&
               uv_hrtime() - player->oldest_ns > SPEAKER_STUCK_MS * CLOCK_NS_A_MILLISECOND) {
        speaker->is_stuck = true;
        say(SAY_WARNING, "the sound device \"%s\" blocks; nothing is played until it lets go",
            speaker->options.player.device);
        tell_soon(speaker);
    }
}

static void keep_watch(struct speaker *speaker) {
    bool is_needed = speaker->on || speaker->player.unheard > 0;
    if (is_needed && speaker->has_line && !uv_is_active((uv_handle_t *)&speaker->watch))
        uv_timer_start(&speaker->watch, on_watch, WATCH_MS, WATCH_MS);
}

static void ask_player(struct speaker *speaker) {
    if (speaker->asked_on != speaker->on && player_switch(&speaker->player, speaker->on))
        speaker->asked_on = speaker->on;
    keep_watch(speaker);
}

static void on_line(uv_poll_t *line, int status, int events) {
    struct speaker *speaker = line->data;
    struct player_report report;
    (void)status;
    (void)events;
    while (player_read(&speaker->player, &report)) {
        bool is_new = speaker->is_stuck || strcmp(speaker->reason, report.reason) != 0;
        speaker->is_stuck = false;
        memcpy(speaker->reason, report.reason, sizeof speaker->reason);
        if (is_new)
            tell_soon(speaker);
    }
    ask_player(speaker);
}

static int start_player(struct speaker *speaker) {
    int error = player_start(&speaker->player, &speaker->options.player);
    if (error < 0)
        return error;
    error = uv_poll_init(speaker->loop, &speaker->line, speaker->player.line);
    if (error < 0) {
        (void)player_stop(&speaker->player);
        return error;
    }
    speaker->line.data = speaker;
    speaker->has_line = true;
    speaker->handles++;
    (void)uv_poll_start(&speaker->line, UV_READABLE, on_line); /* fails only while it is closing */
    return 0;
}

/* ---- the rules ---- */

static struct sound_facts facts_of(const struct robot *robot) {
    struct sound_facts facts = {.live = false};
    if (robot->source->stamp.version != 0)
        facts = sound_read(&robot->fields, robot->source->payload);
    facts.live = robot->source->live;
    return facts;
}

static void consider(struct robot *robot, const struct sound_facts *facts, uint64_t now_ns) {
    struct speaker *speaker = robot->speaker;
    enum chicken call;
    if (!sound_step(&robot->sound, facts, now_ns, &call))
        return;
    /* Where the player has no time for it, it is not made up for. */
    (void)player_play(&speaker->player, call);
    keep_watch(speaker);
}

static void on_cluck(uv_timer_t *timer);

static void plan_clucks(struct speaker *speaker, uint64_t now_ns) {
    uint64_t soonest = UINT64_MAX;
    for (const struct robot *robot = speaker->robots; robot != NULL; robot = robot->next)
        if (robot->sound.cluck_ns < soonest)
            soonest = robot->sound.cluck_ns;
    if (soonest == UINT64_MAX || !speaker->on)
        uv_timer_stop(&speaker->cluck);
    else
        uv_timer_start(&speaker->cluck, on_cluck,
                       soonest > now_ns ? (soonest - now_ns) / CLOCK_NS_A_MILLISECOND + 1 : 1, 0);
}

static void on_cluck(uv_timer_t *timer) {
    struct speaker *speaker = timer->data;
    uint64_t now_ns = uv_hrtime();
    for (struct robot *robot = speaker->robots; robot != NULL; robot = robot->next) {
        struct sound_facts facts = facts_of(robot);
        consider(robot, &facts, now_ns);
    }
    plan_clucks(speaker, now_ns);
}

/* From now on; what is so already is not news. */
static void follow_from_now(struct robot *robot, uint64_t now_ns) {
    struct speaker *speaker = robot->speaker;
    robot->sound = sound_start(&speaker->options.rules, dice_bits(&speaker->dice), now_ns);
    robot->sound.before = facts_of(robot);
}

/* ---- the switch ---- */

void speaker_switch(struct speaker *speaker, bool on) {
    uint64_t now_ns = uv_hrtime();
    if (on == speaker->on)
        return;
    speaker->on = on;
    speaker->reason[0] = '\0';
    int error = on && speaker->player.line < 0 ? start_player(speaker) : 0;
    if (error < 0)
        (void)snprintf(speaker->reason, sizeof speaker->reason,
                       "the sound thread cannot be started: %s", uv_strerror(error));
    for (struct robot *robot = speaker->robots; on && robot != NULL; robot = robot->next)
        follow_from_now(robot, now_ns);
    plan_clucks(speaker, now_ns);
    ask_player(speaker);
    tell_soon(speaker);
}

/* ---- what the sources tell ---- */

static void on_came(void *context, struct source *source) {
    struct speaker *speaker = context;
    struct sound_fields fields = sound_find(source->table);
    source->speaker = NULL;
    struct robot *robot = sound_is_robot(&fields) ? calloc(1, sizeof *robot) : NULL;
    if (robot != NULL) {
        *robot = (struct robot){
            .next = speaker->robots, .speaker = speaker, .source = source, .fields = fields};
        speaker->robots = robot;
        source->speaker = robot;
        follow_from_now(robot, uv_hrtime());
        plan_clucks(speaker, uv_hrtime());
    }
    speaker->next.came(speaker->next.context, source);
}

static void on_went(void *context, struct source *source) {
    struct speaker *speaker = context;
    struct robot *robot = source->speaker;
    if (robot != NULL) {
        const struct sound_facts gone = {.live = false};
        struct robot **link = &speaker->robots;
        if (speaker->on)
            consider(robot, &gone, uv_hrtime());
        while (*link != robot)
            link = &(*link)->next;
        *link = robot->next;
        source->speaker = NULL;
        free(robot);
        plan_clucks(speaker, uv_hrtime());
    }
    speaker->next.went(speaker->next.context, source);
}

static void apply_rules(struct speaker *speaker, const struct source *source, uint64_t now_ns) {
    struct robot *robot = source->speaker;
    if (robot == NULL || !speaker->on)
        return;
    struct sound_facts facts = facts_of(robot);
    consider(robot, &facts, now_ns);
}

static void on_changed(void *context, struct source *source) {
    struct speaker *speaker = context;
    apply_rules(speaker, source, uv_hrtime());
    speaker->next.changed(speaker->next.context, source);
}

static void on_ticked(void *context, struct source *source, uint64_t now_ns) {
    struct speaker *speaker = context;
    apply_rules(speaker, source, now_ns);
    speaker->next.ticked(speaker->next.context, source, now_ns);
}

/* Between two looks an obstacle may come and go again: only its event tells. The payload is that of
 * the event's tick. */
static void on_event(void *context, struct source *source, const struct event *event) {
    struct speaker *speaker = context;
    apply_rules(speaker, source, uv_hrtime());
    speaker->next.event(speaker->next.context, source, event);
}

struct sources_listener speaker_listener(struct speaker *speaker, struct sources_listener next) {
    speaker->next = next;
    return (struct sources_listener){.context = speaker,
                                     .came = on_came,
                                     .went = on_went,
                                     .changed = on_changed,
                                     .ticked = on_ticked,
                                     .event = on_event};
}

/* ---- opening and closing ---- */

static void open_timer(struct speaker *speaker, uv_timer_t *timer) {
    uv_timer_init(speaker->loop, timer);
    timer->data = speaker;
    speaker->handles++;
}

int speaker_open(struct speaker **speaker, uv_loop_t *loop, const struct speaker_options *options) {
    struct speaker *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->loop = loop;
    made->options = *options;
    made->dice = dice_from(options->player.seed);
    made->player.line = -1;
    open_timer(made, &made->cluck);
    open_timer(made, &made->watch);
    open_timer(made, &made->teller);
    if (options->on)
        speaker_switch(made, true);
    *speaker = made;
    return 0;
}

void speaker_attach(struct speaker *speaker, void (*told)(void *context), void *context) {
    speaker->told = told;
    speaker->context = context;
}

static void on_closed(uv_handle_t *handle) {
    struct speaker *speaker = handle->data;
    if (--speaker->handles == 0)
        free(speaker);
}

bool speaker_close(struct speaker *speaker) {
    if (speaker == NULL)
        return true;
    while (speaker->robots != NULL) {
        struct robot *robot = speaker->robots;
        speaker->robots = robot->next;
        free(robot);
    }
    if (speaker->has_line)
        uv_close((uv_handle_t *)&speaker->line, on_closed);
    bool is_over = player_stop(&speaker->player);
    if (!is_over)
        say(SAY_WARNING, "the sound device blocks: its thread is left behind");
    uv_close((uv_handle_t *)&speaker->cluck, on_closed);
    uv_close((uv_handle_t *)&speaker->watch, on_closed);
    uv_close((uv_handle_t *)&speaker->teller, on_closed);
    return is_over;
}
