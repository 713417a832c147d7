#include "alsa.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <alsa/asoundlib.h>

enum {
    FRAMES = 512, /* a piece on its way */
    CHANNELS_MAX = 2,
    BUFFER_US = 200000,
    FAILURES_MAX = 8, /* in a row, with nothing played between them */
    BREATH_MS = 1
};

void alsa_forget(void) {
    (void)snd_config_update_free_global();
}

/* ---- words ---- */

__attribute__((format(printf, 5, 6))) static void
say_nothing(const char *file, int line, const char *function, int error, const char *format, ...) {
    (void)file;
    (void)line;
    (void)function;
    (void)error;
    (void)format;
}

void alsa_hush(void) {
    (void)snd_lib_error_set_handler(say_nothing);
}

const char *alsa_explain(int error) {
    static const struct {
        int error;
        const char *words;
    } known[] = {
        {-ENOENT, "there is none of that name"},
        {-ENODEV, "it is not there, or not any more"},
        {-ENXIO, "it is not there, or not any more"},
        {-EBUSY, "another program is using it"},
        {-EACCES, "this user may not use it (is it in the group audio?)"},
        {-EPERM, "this user may not use it (is it in the group audio?)"},
        {-ETIMEDOUT, "it takes no sound"},
        {-ESTRPIPE, "it is suspended"},
        {-EINVAL, "it cannot play this rate or number of channels, or its configuration is wrong"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].error == error)
            return known[i].words;
    return snd_strerror(error);
}

void alsa_devices(void (*tell)(void *context, const char *name), void *context) {
    void **hints = NULL;
    if (snd_device_name_hint(-1, "pcm", &hints) < 0)
        return;
    for (void **hint = hints; *hint != NULL; hint++) {
        char *name = snd_device_name_get_hint(*hint, "NAME");
        char *way = snd_device_name_get_hint(*hint, "IOID"); /* NULL: both */
        if (name != NULL && (way == NULL || strcmp(way, "Output") == 0))
            tell(context, name);
        free(name);
        free(way);
    }
    (void)snd_device_name_free_hint(hints);
}

/* ---- opening ---- */

struct playing {
    const struct alsa *alsa;
    snd_pcm_t *pcm;
    unsigned failures; /* since something was taken */
    unsigned waited_ms;
};

static int open_as(snd_pcm_t **pcm, const char *name, const struct clip *clip) {
    snd_pcm_t *made = NULL;
    /* Without SND_PCM_NONBLOCK it would wait for as long as another program uses the device. */
    int error = snd_pcm_open(&made, name, SND_PCM_STREAM_PLAYBACK, SND_PCM_NONBLOCK);
    if (error < 0)
        return error;
    error = snd_pcm_set_params(made, SND_PCM_FORMAT_S16, SND_PCM_ACCESS_RW_INTERLEAVED,
                               clip->channels, clip->rate_hz, 1, BUFFER_US);
    if (error < 0) {
        (void)snd_pcm_close(made);
        return error;
    }
    *pcm = made;
    return 0;
}

/* Bare hardware takes what it takes; behind alsa-lib's plug it takes everything. */
static int open_device(snd_pcm_t **pcm, const char *device, const struct clip *clip) {
    char plugged[256];
    int error = open_as(pcm, device, clip);
    int length = snprintf(plugged, sizeof plugged, "plug:SLAVE='%s'", device);
    bool fits = length > 0 && (size_t)length < sizeof plugged && strchr(device, '\'') == NULL;
    if (error == -EINVAL && fits && open_as(pcm, plugged, clip) == 0)
        return 0;
    return error;
}

int alsa_probe(const struct alsa *alsa) {
    const struct clip usual = {.rate_hz = CHICKEN_RATE_HZ, .channels = 1};
    snd_pcm_t *pcm = NULL;
    int error = open_device(&pcm, alsa->device, &usual);
    if (error == 0)
        (void)snd_pcm_close(pcm);
    return error;
}

/* ---- what devices do ---- */

static void rest(unsigned ms) {
    struct timespec pause = {.tv_nsec = (long)ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* Time went by and nothing was taken. */
static int wait_longer(struct playing *playing, unsigned ms, int error) {
    playing->waited_ms += ms;
    return playing->waited_ms >= ALSA_PATIENCE_MS ? error : 0;
}

static int resume(struct playing *playing) {
    int error = snd_pcm_resume(playing->pcm);
    if (error == -EAGAIN) {
        playing->failures = 0; /* it is the time that counts */
        rest(ALSA_PIECE_MS);
        return wait_longer(playing, ALSA_PIECE_MS, -ESTRPIPE);
    }
    /* Many devices cannot resume, but begin anew; some plugins say that they did and did not. */
    bool is_awake = error == 0 && snd_pcm_state(playing->pcm) != SND_PCM_STATE_SUSPENDED;
    return is_awake ? 0 : snd_pcm_prepare(playing->pcm);
}

/* Returns 0 where playing may go on. */
static int mend(struct playing *playing, int error) {
    if (error != -EINTR && error != -ESTRPIPE && error != -EPIPE)
        return error;
    if (++playing->failures > FAILURES_MAX)
        return -EIO;
    if (error == -ESTRPIPE)
        return resume(playing);
    return error == -EPIPE ? snd_pcm_prepare(playing->pcm) : 0;
}

static int wait_for_room(struct playing *playing) {
    int result = snd_pcm_wait(playing->pcm, ALSA_PIECE_MS);
    if (result < 0)
        return mend(playing, result);
    if (result == 0)
        return wait_longer(playing, ALSA_PIECE_MS, -ETIMEDOUT);
    /* It said that there is room before there was any: not in a tight loop. */
    if (playing->waited_ms > 0)
        rest(BREATH_MS);
    return wait_longer(playing, BREATH_MS, -ETIMEDOUT);
}

static int put(struct playing *playing, const int16_t *samples, size_t frames, unsigned channels) {
    while (frames > 0) {
        const struct alsa *alsa = playing->alsa;
        if (alsa->go_on != NULL && !alsa->go_on(alsa->context))
            return -ECANCELED;
        snd_pcm_sframes_t taken = snd_pcm_writei(playing->pcm, samples, frames);
        int error = 0;
        if (taken > 0) {
            samples += (size_t)taken * channels;
            frames -= (size_t)taken;
            playing->failures = 0;
            playing->waited_ms = 0;
        } else if (taken == 0 || taken == -EAGAIN) {
            error = wait_for_room(playing);
        } else {
            error = mend(playing, (int)taken);
        }
        if (error < 0)
            return error;
    }
    return 0;
}

/* ---- playing ---- */

static int put_clip(struct playing *playing, struct clip *clip) {
    float samples[FRAMES * CHANNELS_MAX];
    int16_t words[FRAMES * CHANNELS_MAX];
    size_t frames;
    int error = 0;
    while (error == 0 && (frames = clip_read(clip, samples, FRAMES)) > 0) {
        for (size_t i = 0; i < frames * clip->channels; i++)
            words[i] = (int16_t)lrintf(samples[i] * playing->alsa->volume * INT16_MAX);
        error = put(playing, words, frames, clip->channels);
    }
    return error;
}

/* As much silence as the device buffers: once it has taken that, it has played what came before.
 * Unlike snd_pcm_drain() this waits in pieces on every kind of device. */
static int put_silence(struct playing *playing, unsigned channels) {
    static const int16_t silence[FRAMES * CHANNELS_MAX] = {0};
    snd_pcm_uframes_t left = 0;
    snd_pcm_uframes_t period = 0;
    int error = snd_pcm_get_params(playing->pcm, &left, &period);
    while (error == 0 && left > 0) {
        size_t frames = left < FRAMES ? left : FRAMES;
        error = put(playing, silence, frames, channels);
        left -= frames;
    }
    return error;
}

int alsa_play(const struct alsa *alsa, struct clip *clip) {
    struct playing playing = {.alsa = alsa};
    int error = open_device(&playing.pcm, alsa->device, clip);
    if (error < 0)
        return error;
    error = put_clip(&playing, clip);
    if (error == 0)
        error = put_silence(&playing, clip->channels);
    (void)snd_pcm_close(playing.pcm); /* at once: what it still buffers is dropped */
    return error;
}
