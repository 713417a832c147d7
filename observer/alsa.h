/*
 * alsa.h - one call through one ALSA device
 *
 * Purpose
 *   Opens the device, plays a clip at the clip's own rate and channels (alsa-lib converts where the
 *   hardware cannot), closes the device again: between two calls it is free for others, and may
 *   vanish and come back.
 *
 * Calling sequence
 *     alsa_hush(); // once, before anything else of ALSA
 *     struct alsa alsa = {.device = "default", .volume = 0.8F, .go_on = go_on, .context = context};
 *     int error = alsa_play(&alsa, &clip);
 *     if (error < 0) ... alsa_explain(error) ...
 *     alsa_forget(); // when no sound is wanted for long
 *
 * What devices do
 *   Underruns (EPIPE) are begun again, a suspended device (ESTRPIPE) is resumed; a device that is
 *   busy, vanishes (ENODEV) or takes nothing for ALSA_PATIENCE_MS is given up. All waiting is done
 *   in pieces of ALSA_PIECE_MS, between which `go_on` is asked. But a driver or plugin may block in
 *   the middle of it for as long as it likes, which nobody can help here: only for a thread that
 *   others do not wait for.
 */
#ifndef OBSERVER_ALSA_H
#define OBSERVER_ALSA_H

#include <stdbool.h>

#include "clips.h"

#define ALSA_PATIENCE_MS 3000
#define ALSA_PIECE_MS    50

struct alsa {
    const char *device; /* as ALSA names it */
    float volume;       /* factor, 0 to 1 */
    bool (*go_on)(void *context);
    void *context;
};

/* alsa-lib prints no errors of its own to stderr any more. */
void alsa_hush(void);
/* Plays it to its end. Returns 0; -ECANCELED where go_on() said no; else -errno. */
int alsa_play(const struct alsa *alsa, struct clip *clip);
/* Opens and closes. Returns 0 or -errno. */
int alsa_probe(const struct alsa *alsa);
/* What such an error means, in words. */
const char *alsa_explain(int error);
/* Frees what alsa-lib keeps (its configuration, some hundred KiB). */
void alsa_forget(void);

/* The names of devices that alsa-lib knows of, one call each. */
void alsa_devices(void (*tell)(void *context, const char *name), void *context);

#endif
