/*
 * Claim: encoding a status of 25 fields, floats included, is at least 10 times faster than building
 * and printing a cJSON tree, and exact where cJSON is not (64-bit values).
 *
 * All variants write the same statuses, made up from random values as sensors give them, as the
 * same JSON object. Rounds alternate between the variants; medians of the rounds. Then three 64-bit
 * integers, as each writes them.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <omni/schema.h>

#include "observer/encode.h"
#include "parts/measure.h"

#define MODES(LABEL) LABEL(IDLE, "idle") LABEL(WANDER, "wander") LABEL(TURN, "turn")
#define STATUS(FIELD)                                                                              \
    FIELD(number, f64, latitude, "deg", -90, 90, "")                                               \
    FIELD(number, f64, longitude, "deg", -180, 180, "")                                            \
    FIELD(number, u64, distance, "um", 0, 1e18, "")                                                \
    FIELD(number, f32, direction, "deg", 0, 360, "")                                               \
    FIELD(number, f32, turn, "deg/s", -360, 360, "")                                               \
    FIELD(number, f32, power_left, "%", -100, 100, "")                                             \
    FIELD(number, f32, power_right, "%", -100, 100, "")                                            \
    FIELD(number, f32, power_back, "%", -100, 100, "")                                             \
    FIELD(number, f32, range_left, "mm", 0, 4000, "")                                              \
    FIELD(number, f32, range_front_left, "mm", 0, 4000, "")                                        \
    FIELD(number, f32, range_front, "mm", 0, 4000, "")                                             \
    FIELD(number, f32, range_front_right, "mm", 0, 4000, "")                                       \
    FIELD(number, f32, range_right, "mm", 0, 4000, "")                                             \
    FIELD(number, f32, voltage, "V", 0, 20, "")                                                    \
    FIELD(number, f32, period, "ms", 0, 1000, "")                                                  \
    FIELD(number, f32, jitter, "us", 0, 1000, "")                                                  \
    FIELD(number, u32, overruns, "", 0, 1e9, "")                                                   \
    FIELD(number, u32, publish_cost, "ns", 0, 1e9, "")                                             \
    FIELD(number, i32, encoder, "", -1e9, 1e9, "")                                                 \
    FIELD(flag, obstacle, "")                                                                      \
    FIELD(flag, go_left, "")                                                                       \
    FIELD(flag, go_right, "")                                                                      \
    FIELD(choice, bot_mode, MODES, "")                                                             \
    FIELD(choice, obstacle_mode, MODES, "")                                                        \
    FIELD(choice, sensor_mode, MODES, "")

OMNI_ENUM(mode, MODES)
OMNI_STATUS(status, STATUS)

#define STATUSES 256u
#define ROUNDS   41u /* median_of() takes up to 64 */

struct bench {
    struct omni_table table;
    struct encoder *encoder;
    struct text text;
    struct status statuses[STATUSES];
    uint64_t bytes; /* written: keeps the compiler from leaving out what nobody reads */
};

/* ---- statuses -------------------------------------------------------------------------------- */

static double between(double low, double high, double step) {
    double value = low + (high - low) * drand48();
    return step > 0 ? (double)(int64_t)(value / step) * step : value;
}

static struct status make_status(void) {
    return (struct status){
        .latitude = between(-90, 90, 0),
        .longitude = between(-180, 180, 0),
        .distance = (uint64_t)between(0, 1e12, 1),
        .direction = (float)between(0, 360, 0),
        .turn = (float)between(-360, 360, 0),
        .power_left = (float)between(-100, 100, 0.1),
        .power_right = (float)between(-100, 100, 0.1),
        .power_back = (float)between(-100, 100, 0.1),
        .range_left = (float)between(0, 4000, 0),
        .range_front_left = (float)between(0, 4000, 0),
        .range_front = (float)between(0, 4000, 0),
        .range_front_right = (float)between(0, 4000, 0),
        .range_right = (float)between(0, 4000, 1),
        .voltage = (float)between(0, 20, 0.01),
        .period = (float)between(9.9, 10.1, 0),
        .jitter = (float)between(0, 1000, 0),
        .overruns = (uint32_t)between(0, 1000, 1),
        .publish_cost = (uint32_t)between(0, 5000, 1),
        .encoder = (int32_t)between(-1e6, 1e6, 1),
        .obstacle = drand48() < 0.3,
        .go_left = drand48() < 0.5,
        .go_right = drand48() < 0.5,
        .bot_mode = (uint8_t)between(0, 3, 1),
        .obstacle_mode = (uint8_t)between(0, 3, 1),
        .sensor_mode = (uint8_t)between(0, 3, 1),
    };
}

/* ---- variants -------------------------------------------------------------------------------- */

static void with_ours(struct bench *bench, const struct status *status) {
    text_clear(&bench->text);
    encode_values(&bench->text, bench->encoder, status);
    bench->bytes += bench->text.length;
}

static const char *label_of(const struct bench *bench, const char *field, uint8_t value) {
    return omni_table_label(&bench->table, omni_table_find(&bench->table, field), value);
}

/* Widths that read back: 9 digits for a float, 17 for a double. */
static void with_snprintf(struct bench *bench, const struct status *s) {
    static const char *const labels[] = {"idle", "wander", "turn"};
    static const char *const flags[] = {"false", "true"};
    char out[2048];
    int length = snprintf(
        out, sizeof out,
        "{\"latitude\":%.17g,\"longitude\":%.17g,\"distance\":%" PRIu64
        ",\"direction\":%.9g,\"turn\":%.9g,\"power_left\":%.9g,\"power_right\":%.9g,"
        "\"power_back\":%.9g,\"range_left\":%.9g,\"range_front_left\":%.9g,\"range_front\":%.9g,"
        "\"range_front_right\":%.9g,\"range_right\":%.9g,\"voltage\":%.9g,\"period\":%.9g,"
        "\"jitter\":%.9g,\"overruns\":%" PRIu32 ",\"publish_cost\":%" PRIu32 ",\"encoder\":%" PRId32
        ",\"obstacle\":%s,\"go_left\":%s,\"go_right\":%s,\"bot_mode\":\"%s\","
        "\"obstacle_mode\":\"%s\",\"sensor_mode\":\"%s\"}",
        s->latitude, s->longitude, s->distance, (double)s->direction, (double)s->turn,
        (double)s->power_left, (double)s->power_right, (double)s->power_back, (double)s->range_left,
        (double)s->range_front_left, (double)s->range_front, (double)s->range_front_right,
        (double)s->range_right, (double)s->voltage, (double)s->period, (double)s->jitter,
        s->overruns, s->publish_cost, s->encoder, flags[s->obstacle], flags[s->go_left],
        flags[s->go_right], labels[s->bot_mode], labels[s->obstacle_mode], labels[s->sensor_mode]);
    bench->bytes += (uint64_t)length;
}

#define ADD_number(type, name, unit, low, high, prose)                                             \
    cJSON_AddNumberToObject(tree, #name, (double)s->name);
#define ADD_flag(name, prose) cJSON_AddBoolToObject(tree, #name, s->name);
#define ADD_choice(name, LIST, prose)                                                              \
    cJSON_AddStringToObject(tree, #name, label_of(bench, #name, s->name));
#define ADD(kind, ...) ADD_##kind(__VA_ARGS__)

static void with_cjson(struct bench *bench, const struct status *s) {
    cJSON *tree = cJSON_CreateObject();
    STATUS(ADD)
    char *printed = cJSON_PrintUnformatted(tree);
    bench->bytes += strlen(printed);
    cJSON_free(printed);
    cJSON_Delete(tree);
}

/* ---- measuring ------------------------------------------------------------------------------- */

enum variant_id { OURS, SNPRINTF, CJSON, VARIANTS };

static const struct variant {
    void (*encode)(struct bench *bench, const struct status *status);
    unsigned repeats; /* a round is some milliseconds */
} variants[VARIANTS] = {
    [OURS] = {with_ours, 40},
    [SNPRINTF] = {with_snprintf, 8},
    [CJSON] = {with_cjson, 4},
};

static double round_ns(struct bench *bench, const struct variant *variant) {
    uint64_t start = measure_now();
    for (unsigned repeat = 0; repeat < variant->repeats; repeat++)
        for (unsigned i = 0; i < STATUSES; i++)
            variant->encode(bench, &bench->statuses[i]);
    return (double)(measure_now() - start) / (variant->repeats * STATUSES);
}

static void print_speeds(struct bench *bench) {
    double rounds[VARIANTS][ROUNDS];
    double medians[VARIANTS];
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < VARIANTS; i++)
            rounds[i][round] = round_ns(bench, &variants[i]);
    for (size_t i = 0; i < VARIANTS; i++)
        medians[i] = median_of(rounds[i], ROUNDS);
    struct row row = {.claim = "encoding a status of 25 fields",
                      .bound = "≥ 10 × faster than cJSON"};
    row_met(&row, medians[CJSON] >= 10 * medians[OURS]);
    row_measured(&row, "%.0f ns, %.1f × faster", medians[OURS], medians[CJSON] / medians[OURS]);
    row_beside(&row, "cJSON tree %.0f ns, snprintf %.0f ns", medians[CJSON], medians[SNPRINTF]);
    row_print(&row);
}

/* ---- exactness ------------------------------------------------------------------------------- */

static bool reads_back(const char *written, size_t length, uint64_t value) {
    char digits[32];
    size_t quote = length > 0 && written[0] == '"';
    char *end = NULL;
    snprintf(digits, sizeof digits, "%.*s", (int)(length - quote), written + quote);
    return strtoull(digits, &end, 10) == value && (*end == '\0' || *end == '"');
}

static void print_exactness(struct text *text) {
    static const uint64_t values[] = {9007199254740991, 9007199254740993, 1790000000123456789};
    enum { VALUES = sizeof values / sizeof values[0] };
    struct row row = {.claim = "… and 64-bit values come back exactly", .bound = "all"};
    unsigned ours = 0;
    unsigned theirs = 0;
    for (size_t i = 0; i < VALUES; i++) {
        text_clear(text);
        encode_u64(text, values[i]);
        ours += reads_back(text_bytes(text), text->length, values[i]);
        cJSON *number = cJSON_CreateNumber((double)values[i]);
        char *printed = cJSON_PrintUnformatted(number);
        theirs += reads_back(printed, strlen(printed), values[i]);
        row_beside(&row, "cJSON %u of %d: %" PRIu64 " becomes %s", theirs, VALUES, values[i],
                   printed);
        cJSON_free(printed);
        cJSON_Delete(number);
    }
    row_met(&row, ours == VALUES);
    row_measured(&row, "%u of %d", ours, VALUES);
    row_print(&row);
}

int main(void) {
    static struct bench bench;
    struct omni_problem problem;
    if (omni_schema_pack(&bench.table, status_schema(), &problem) < 0)
        measure_give_up("%s", problem.text);
    if (encoder_open(&bench.encoder, &bench.table) < 0)
        measure_give_up("no memory for the encoder");
    text_open(&bench.text, 0);
    srand48(1);
    for (size_t i = 0; i < STATUSES; i++)
        bench.statuses[i] = make_status();
    print_speeds(&bench);
    print_exactness(&bench.text);
    text_close(&bench.text);
    encoder_close(bench.encoder);
    omni_table_free(&bench.table);
    return 0;
}
