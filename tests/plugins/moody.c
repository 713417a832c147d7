/*
 * moody.c - an ALSA device with moods, for alsa-lib to load: what a cable, a laptop's lid or a busy
 * driver do to a sound card
 *
 *     pcm_type.moody { lib "/.../moody.so" }
 *     pcm.test { type moody moods "..u.s" capture "/.../heard.raw" }
 *
 * Each character is what happens when samples are handed over, one character after the other, the
 * last one for ever:
 *     .  they are taken           s  suspended (ESTRPIPE)
 *     u  an underrun (EPIPE)      z  the same, and can only be begun anew
 *     d  gone (ENODEV)            f  full: never again ready, but always said to be
 *     e  EIO                      w  suspended, and never awake again
 * With `only_hz` it takes that rate alone, as bare hardware does. What it took is in the capture: raw
 * 16-bit samples.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>

struct moody {
    snd_pcm_ioplug_t io;
    char *moods;
    size_t at;
    int capture;
    unsigned resumes_in_vain;
    bool underran;
    bool full;
    snd_pcm_uframes_t taken;
};

static int do_start(snd_pcm_ioplug_t *io) {
    (void)io;
    return 0;
}

static int do_stop(snd_pcm_ioplug_t *io) {
    (void)io;
    return 0;
}

static snd_pcm_sframes_t do_pointer(snd_pcm_ioplug_t *io) {
    struct moody *moody = io->private_data;
    if (moody->underran)
        return -EPIPE;
    return (snd_pcm_sframes_t)(moody->taken % io->buffer_size);
}

static char next_mood(struct moody *moody) {
    char mood = moody->moods[moody->at];
    if (moody->moods[moody->at + 1] != '\0')
        moody->at++;
    return mood;
}

static snd_pcm_sframes_t take(struct moody *moody, const snd_pcm_channel_area_t *areas,
                              snd_pcm_uframes_t offset, snd_pcm_uframes_t frames) {
    size_t frame_bytes = moody->io.channels * sizeof(int16_t);
    const char *bytes = (const char *)areas->addr + areas->first / 8 + offset * areas->step / 8;
    if (write(moody->capture, bytes, frames * frame_bytes) != (ssize_t)(frames * frame_bytes))
        return -EIO;
    if (!moody->full)
        moody->taken += frames;
    return (snd_pcm_sframes_t)frames;
}

static snd_pcm_sframes_t do_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                     snd_pcm_uframes_t offset, snd_pcm_uframes_t frames) {
    struct moody *moody = io->private_data;
    switch (next_mood(moody)) {
    case 'u':
        moody->underran = true;
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
        return -EPIPE;
    case 's':
        moody->resumes_in_vain = 2;
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_SUSPENDED);
        return -ESTRPIPE;
    case 'w':
        moody->resumes_in_vain = UINT_MAX;
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_SUSPENDED);
        return -ESTRPIPE;
    case 'z':
        moody->resumes_in_vain = 0;
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_SUSPENDED);
        return -ESTRPIPE;
    case 'd':
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
        return -ENODEV;
    case 'e':
        return -EIO;
    case 'f':
        moody->full = true;
        break;
    default:
        break;
    }
    return take(moody, areas, offset, frames);
}

static int do_prepare(snd_pcm_ioplug_t *io) {
    struct moody *moody = io->private_data;
    moody->underran = false;
    moody->taken = 0;
    return 0;
}

static int do_resume(snd_pcm_ioplug_t *io) {
    struct moody *moody = io->private_data;
    if (moody->resumes_in_vain == 0)
        return -ENOSYS;

    if (--moody->resumes_in_vain > 0)
        return -EAGAIN;
    snd_pcm_ioplug_set_state(io, SND_PCM_STATE_PREPARED);
    return 0;
}

static int do_close(snd_pcm_ioplug_t *io) {
    struct moody *moody = io->private_data;
    if (moody->capture >= 0)
        close(moody->capture);
    if (io->poll_fd >= 0)
        close(io->poll_fd);
    free(moody->moods);
    free(moody);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = do_start,
    .stop = do_stop,
    .pointer = do_pointer,
    .transfer = do_transfer,
    .prepare = do_prepare,
    .resume = do_resume,
    .close = do_close,
};

static int limit(snd_pcm_ioplug_t *io, unsigned only_hz) {
    static const unsigned formats[] = {SND_PCM_FORMAT_S16};
    static const unsigned accesses[] = {SND_PCM_ACCESS_RW_INTERLEAVED,
                                        SND_PCM_ACCESS_MMAP_INTERLEAVED};
    unsigned least_hz = only_hz != 0 ? only_hz : 8000;
    unsigned most_hz = only_hz != 0 ? only_hz : 192000;
    int error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
    if (error >= 0)
        error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);
    if (error >= 0)
        error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, least_hz, most_hz);
    if (error >= 0)
        error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, 1, 2);
    if (error >= 0)
        error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 512, 1 << 20);
    if (error >= 0)
        error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024);
    return error;
}

struct wishes {
    const char *moods;
    const char *capture;
    long only_hz;
};

static struct wishes read_wishes(const snd_config_t *config) {
    struct wishes wishes = {.moods = ".", .capture = "/dev/null"};
    snd_config_iterator_t at;
    snd_config_iterator_t next;
    snd_config_for_each(at, next, config) {
        const snd_config_t *entry = snd_config_iterator_entry(at);
        const char *id = "";
        (void)snd_config_get_id(entry, &id);
        if (strcmp(id, "moods") == 0)
            (void)snd_config_get_string(entry, &wishes.moods);
        else if (strcmp(id, "capture") == 0)
            (void)snd_config_get_string(entry, &wishes.capture);
        else if (strcmp(id, "only_hz") == 0)
            (void)snd_config_get_integer(entry, &wishes.only_hz);
    }
    return wishes;
}

SND_PCM_PLUGIN_DEFINE_FUNC(moody);
SND_PCM_PLUGIN_DEFINE_FUNC(moody) {
    (void)root;
    const struct wishes wishes = read_wishes(conf);
    struct moody *moody = calloc(1, sizeof *moody);
    if (moody == NULL)
        return -ENOMEM;
    moody->moods = strdup(wishes.moods);
    moody->capture = open(wishes.capture, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    moody->io = (snd_pcm_ioplug_t){.version = SND_PCM_IOPLUG_VERSION,
                                   .name = "A device with moods",
                                   .callback = &callbacks,
                                   .private_data = moody,
                                   .poll_fd = eventfd(0, EFD_CLOEXEC),
                                   .poll_events = POLLOUT};
    int error = snd_pcm_ioplug_create(&moody->io, name, stream, mode);
    if (error < 0) {
        (void)do_close(&moody->io);
        return error;
    }
    error = limit(&moody->io, (unsigned)wishes.only_hz);
    if (error < 0) {
        (void)snd_pcm_ioplug_delete(&moody->io);
        return error;
    }
    *pcmp = moody->io.pcm;
    return 0;
}
/* Its semicolon is in the macro. */
SND_PCM_PLUGIN_SYMBOL(moody)
