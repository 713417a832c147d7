#include "chicken.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "dice.h"

#define PI 3.14159265358979323846

enum { FORMANTS = 3, CONTROL_FRAMES = 64 /* between two looks at where the throat is */ };

static const char *const words[] = {
#define WORD_(name, word, prose) word,
    CHICKEN_KINDS(WORD_)
#undef WORD_
};
static const char *const proses[] = {
#define PROSE_(name, word, prose) prose,
    CHICKEN_KINDS(PROSE_)
#undef PROSE_
};

const char *chicken_word(enum chicken kind) {
    return words[kind];
}

const char *chicken_prose(enum chicken kind) {
    return proses[kind];
}

/* ---- syllables ---- */

struct span {
    double low, high;
};

/* What a syllable of a sort may be like. */
struct sort {
    struct span seconds;
    struct span pitch; /* Hz, at its start */
    struct span rise;  /* to its highest pitch, as a factor */
    struct span fall;  /* from the start's pitch to the end's */
    struct span peak;  /* where the highest pitch is: 0 the start, 1 the end */
    struct span breath;
    struct span rough;  /* how deep the throat's flutter is */
    struct span throat; /* factor of the formants: a small throat sounds higher */
    struct span level;
    struct span rest; /* seconds of silence after it */
};

/* clang-format off */
static const struct sort bok = {
    .seconds = {0.09, 0.15}, .pitch = {300, 400}, .rise = {1.15, 1.45}, .fall = {0.55, 0.75},
    .peak = {0.2, 0.35}, .breath = {0.02, 0.06}, .rough = {0.0, 0.1}, .throat = {0.65, 0.8},
    .level = {0.8, 1}, .rest = {0.07, 0.13}};
static const struct sort buk = {
    .seconds = {0.06, 0.1}, .pitch = {400, 480}, .rise = {1.2, 1.5}, .fall = {0.6, 0.8},
    .peak = {0.2, 0.4}, .breath = {0.05, 0.12}, .rough = {0.0, 0.2}, .throat = {0.85, 1},
    .level = {0.55, 0.7}, .rest = {0.06, 0.11}};
static const struct sort gawk = {
    .seconds = {0.42, 0.62}, .pitch = {480, 600}, .rise = {1.6, 2.1}, .fall = {0.75, 1},
    .peak = {0.3, 0.5}, .breath = {0.2, 0.35}, .rough = {0.35, 0.6}, .throat = {1.15, 1.35},
    .level = {0.95, 1}, .rest = {0.08, 0.14}};
/* clang-format on */

/* A syllable that was drawn. */
struct syllable {
    size_t frames;
    double pitch, rise, fall, peak, breath, rough, rough_hz, throat, level;
};

static double draw(struct dice *dice, struct span span) {
    return dice_between(dice, span.low, span.high);
}

static struct syllable draw_syllable(struct dice *dice, const struct sort *sort) {
    struct syllable drawn = {.frames = (size_t)(draw(dice, sort->seconds) * CHICKEN_RATE_HZ)};
    drawn.pitch = draw(dice, sort->pitch);
    drawn.rise = draw(dice, sort->rise);
    drawn.fall = draw(dice, sort->fall);
    drawn.peak = draw(dice, sort->peak);
    drawn.breath = draw(dice, sort->breath);
    drawn.rough = draw(dice, sort->rough);
    drawn.rough_hz = dice_between(dice, 45, 80);
    drawn.throat = draw(dice, sort->throat);
    drawn.level = draw(dice, sort->level);
    return drawn;
}

/* From 0 to 1 without a corner. */
static double ease(double along) {
    return 0.5 - 0.5 * cos(PI * along);
}

static double pitch_at(const struct syllable *syllable, double along) {
    if (along < syllable->peak)
        return syllable->pitch * (1 + (syllable->rise - 1) * ease(along / syllable->peak));
    double back = ease((along - syllable->peak) / (1 - syllable->peak));
    return syllable->pitch * (syllable->rise + (syllable->fall - syllable->rise) * back);
}

static double loudness_at(double along) {
    const double attack = 0.08;
    const double decay = 0.35;
    if (along < attack)
        return ease(along / attack);
    return along > 1 - decay ? ease((1 - along) / decay) : 1;
}

/* ---- the throat: one resonance ---- */

struct formant {
    double gain, feedback, feedback_2; /* of this moment */
    double last, before;
};

static void formant_tune(struct formant *formant, double hz, double bandwidth_hz) {
    double radius = exp(-PI * bandwidth_hz / CHICKEN_RATE_HZ);
    formant->feedback = 2 * radius * cos(2 * PI * hz / CHICKEN_RATE_HZ);
    formant->feedback_2 = -radius * radius;
    formant->gain = 1 - radius;
}

static double formant_pass(struct formant *formant, double in) {
    double out = formant->gain * in + formant->feedback * formant->last +
                 formant->feedback_2 * formant->before;
    formant->before = formant->last;
    formant->last = out;
    return out;
}

/* Hz, width in Hz and share of a throat of middling size. */
static const double throat[FORMANTS][3] = {{950, 160, 1}, {2050, 260, 0.7}, {3500, 420, 0.4}};

static void throat_tune(struct formant formants[FORMANTS], double size) {
    for (unsigned i = 0; i < FORMANTS; i++)
        formant_tune(&formants[i], throat[i][0] * size, throat[i][1] * size);
}

static double throat_pass(struct formant formants[FORMANTS], double in) {
    double sum = 0;
    for (unsigned i = 0; i < FORMANTS; i++)
        sum += throat[i][2] * formant_pass(&formants[i], in);
    return sum;
}

/* ---- the source ---- */

/* Smooths the step of a sawtooth, so that what lies above half the rate does not fold back. */
static double step_correction(double phase, double step) {
    if (phase < step) {
        double past = phase / step;
        return past + past - past * past - 1;
    }
    if (phase > 1 - step) {
        double ahead = (phase - 1) / step;
        return ahead * ahead + ahead + ahead + 1;
    }
    return 0;
}

static double buzz(double *phase, double hz) {
    double step = hz / CHICKEN_RATE_HZ;
    *phase += step;
    *phase -= floor(*phase);
    return 2 * *phase - 1 - step_correction(*phase, step);
}

static void render_syllable(float *samples, const struct syllable *syllable, struct dice *dice) {
    struct formant formants[FORMANTS] = {0};
    double phase = 0;
    double wobble = 1; /* no throat holds a pitch */
    for (size_t i = 0; i < syllable->frames; i++) {
        double along = (double)i / (double)syllable->frames;
        double seconds = (double)i / CHICKEN_RATE_HZ;
        double loudness = loudness_at(along) * syllable->level;
        if (i % CONTROL_FRAMES == 0) {
            wobble += dice_between(dice, -0.006, 0.006) + 0.1 * (1 - wobble);
            throat_tune(formants, syllable->throat * (0.85 + 0.2 * loudness_at(along)));
        }
        double flutter = 1 - syllable->rough * ease(2 * seconds * syllable->rough_hz);
        double voice = buzz(&phase, pitch_at(syllable, along) * wobble);
        double breath = syllable->breath * dice_between(dice, -1, 1);
        samples[i] = (float)(loudness * throat_pass(formants, voice * flutter + breath));
    }
}

/* ---- phrases ---- */

struct phrase {
    float *samples;
    size_t frames;
    struct dice dice;
};

static void say(struct phrase *phrase, const struct sort *sort) {
    struct syllable syllable = draw_syllable(&phrase->dice, sort);
    size_t rest = (size_t)(draw(&phrase->dice, sort->rest) * CHICKEN_RATE_HZ);
    if (phrase->frames + syllable.frames + rest > CHICKEN_FRAMES_MAX)
        return;
    float *at = phrase->samples + phrase->frames;
    render_syllable(at, &syllable, &phrase->dice);
    memset(at + syllable.frames, 0, rest * sizeof *at);
    phrase->frames += syllable.frames + rest;
}

static bool perhaps(struct phrase *phrase) {
    return (dice_bits(&phrase->dice) & 1) != 0;
}

static void say_cluck(struct phrase *phrase) {
    say(phrase, &bok);
    if (perhaps(phrase))
        say(phrase, &bok);
}

static void say_squawk(struct phrase *phrase) {
    say(phrase, &gawk);
}

static void say_alarm(struct phrase *phrase) {
    for (unsigned time = 0; time < 2; time++) {
        unsigned buks = perhaps(phrase) ? 4 : 3;
        for (unsigned i = 0; i < buks; i++)
            say(phrase, &buk);
        say(phrase, &gawk);
    }
}

static void (*const sayers[CHICKEN_COUNT])(struct phrase *phrase) = {
    [CHICKEN_CLUCK] = say_cluck,
    [CHICKEN_SQUAWK] = say_squawk,
    [CHICKEN_ALARM] = say_alarm,
};

/* ---- finishing ---- */

/* A loudspeaker has no use for what does not swing around zero. */
static void remove_offset(float *samples, size_t frames) {
    const double keep = exp(-2 * PI * 60 / CHICKEN_RATE_HZ);
    double in = 0;
    double out = 0;
    for (size_t i = 0; i < frames; i++) {
        out = samples[i] - in + keep * out;
        in = samples[i];
        samples[i] = (float)out;
    }
}

static void set_peak(float *samples, size_t frames) {
    float peak = 0;
    for (size_t i = 0; i < frames; i++)
        peak = fmaxf(peak, fabsf(samples[i]));
    for (size_t i = 0; i < frames && peak > 0; i++)
        samples[i] *= (float)CHICKEN_PEAK / peak;
}

size_t chicken_render(float *samples, enum chicken kind, uint64_t seed) {
    struct phrase phrase = {.samples = samples,
                            .dice = dice_from(seed * CHICKEN_COUNT + (uint64_t)kind)};
    sayers[kind](&phrase);
    remove_offset(samples, phrase.frames);
    set_peak(samples, phrase.frames);
    return phrase.frames;
}
