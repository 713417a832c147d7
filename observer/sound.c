#include "sound.h"

#include <string.h>

#define SECOND_NS 1e9

/* ---- what a schema has ---- */

static bool find_label(const struct omni_table *table, const struct omni_field *field,
                       const char *label, uint32_t *number) {
    for (uint32_t i = 0; i < field->label_count; i++)
        if (strcmp(omni_table_label(table, field, i), label) == 0) {
            *number = i;
            return true;
        }
    return false;
}

static const struct omni_field *find_scalar(const struct omni_table *table, const char *name,
                                            uint32_t type) {
    const struct omni_field *field = omni_table_find(table, name);
    bool fits = field != NULL && field->type == type && field->count == 1;
    return fits ? field : NULL;
}

struct sound_fields sound_find(const struct omni_table *table) {
    struct sound_fields fields = {
        .mode = find_scalar(table, "bot_mode", OMNI_TYPE_enum),
        .obstacle = find_scalar(table, "obstacle", OMNI_TYPE_bool),
    };
    if (fields.mode != NULL && !find_label(table, fields.mode, "wandering", &fields.wandering))
        fields.mode = NULL;
    return fields;
}

bool sound_is_robot(const struct sound_fields *fields) {
    return fields->mode != NULL || fields->obstacle != NULL;
}

struct sound_facts sound_read(const struct sound_fields *fields, const void *payload) {
    const unsigned char *bytes = payload;
    return (struct sound_facts){
        .wandering = fields->mode != NULL && bytes[fields->mode->offset] == fields->wandering,
        .obstacle = fields->obstacle != NULL && bytes[fields->obstacle->offset] != 0,
    };
}

/* ---- the rules ---- */

struct moment {
    const struct sound_facts *before;
    const struct sound_facts *now;
    uint64_t now_ns;
};

static bool stopped(const struct sound *sound, const struct moment *moment) {
    (void)sound;
    return moment->before->live && !moment->now->live;
}

static bool obstacle_appeared(const struct sound *sound, const struct moment *moment) {
    bool rose = moment->now->obstacle && !moment->before->obstacle;
    return rose && moment->before->live && moment->now->live && moment->now_ns >= sound->squawk_ns;
}

static bool wanders_on(const struct sound *sound, const struct moment *moment) {
    return moment->now->live && moment->now->wandering && moment->now_ns >= sound->cluck_ns;
}

/* The first that applies wins. */
static const struct rule {
    bool (*applies)(const struct sound *sound, const struct moment *moment);
    enum chicken call;
} in_order[] = {
    {stopped, CHICKEN_ALARM},
    {obstacle_appeared, CHICKEN_SQUAWK},
    {wanders_on, CHICKEN_CLUCK},
};

/* A cluck whose time comes while the robot does something else is not made up for: the next one has
 * its own time. */
static void plan_cluck(struct sound *sound, uint64_t now_ns) {
    double seconds =
        dice_between(&sound->dice, sound->rules.low_seconds, sound->rules.high_seconds);
    sound->cluck_ns = now_ns + (uint64_t)(seconds * SECOND_NS);
}

struct sound sound_start(const struct sound_rules *rules, uint64_t seed, uint64_t now_ns) {
    struct sound sound = {.rules = *rules, .dice = dice_from(seed)};
    plan_cluck(&sound, now_ns);
    return sound;
}

bool sound_step(struct sound *sound, const struct sound_facts *facts, uint64_t now_ns,
                enum chicken *call) {
    const struct sound_facts before = sound->before;
    const struct moment moment = {.before = &before, .now = facts, .now_ns = now_ns};
    const struct rule *rule = in_order;
    const struct rule *end = in_order + sizeof in_order / sizeof in_order[0];
    while (rule < end && !rule->applies(sound, &moment))
        rule++;
    sound->before = *facts;
    if (now_ns >= sound->cluck_ns)
        plan_cluck(sound, now_ns);
    if (rule == end)
        return false;
    if (rule->call == CHICKEN_SQUAWK)
        sound->squawk_ns = now_ns + SOUND_SQUAWK_GAP_NS;
    *call = rule->call;
    return true;
}
