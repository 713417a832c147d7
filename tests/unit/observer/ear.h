/*
 * ear.h - tells by listening what was played, and whether it is fit for a loudspeaker
 *
 * Silence before and after does not count. Include it once.
 */
#ifndef EAR_H
#define EAR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "observer/chicken.h"

struct heard {
    double seconds;
    double peak;   /* 1: full scale */
    double mean;   /* 0: no direct current */
    double power;  /* root of the mean square */
    double colour; /* Hz: root of the mean square of the frequency */
};

static inline struct heard hear(const float *samples, size_t frames, double rate) {
    struct heard heard = {0};
    double steps = 0;
    double squares = 0;
    const double audible = 0.001;
    while (frames > 0 && fabs((double)samples[frames - 1]) < audible)
        frames--;
    while (frames > 0 && fabs((double)samples[0]) < audible) {
        samples++;
        frames--;
    }
    for (size_t i = 0; i < frames; i++) {
        double sample = samples[i];
        double step = i > 0 ? sample - samples[i - 1] : 0;
        heard.peak = fmax(heard.peak, fabs(sample));
        heard.mean += sample / (double)frames;
        squares += sample * sample;
        steps += step * step;
    }
    heard.seconds = (double)frames / rate;
    heard.power = frames > 0 ? sqrt(squares / (double)frames) : 0;
    heard.colour = squares > 0 ? sqrt(steps / squares) * rate / (2 * acos(-1)) : 0;
    return heard;
}

/* A person would take it for that. */
static inline enum chicken recognise(const struct heard *heard) {
    if (heard->seconds > 1.4)
        return CHICKEN_ALARM;
    return heard->colour > 850 ? CHICKEN_SQUAWK : CHICKEN_CLUCK;
}

static inline bool is_fit(const struct heard *heard, double loudest) {
    return heard->peak <= loudest && heard->power > 0.1 * loudest && fabs(heard->mean) < 0.002;
}

#endif
