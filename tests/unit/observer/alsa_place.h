/*
 * alsa_place.h - real alsa-lib without a sound card: devices that write what is played to files
 *
 * Devices are made by configuration, in a directory of the test's own, which alsa-lib reads anew
 * whenever it has changed. Captured files of "good" are WAV, one for each opening. Include it once;
 * link with libsndfile.
 */
#ifndef ALSA_PLACE_H
#define ALSA_PLACE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sndfile.h>

#include "ear.h"

static char alsa_directory[] = "/tmp/omni-alsa-test.XXXXXX";

static const char *alsa_path(const char *name) {
    static char paths[4][300];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", alsa_directory, name);
    return path;
}

/* Replaced in one go, so that alsa-lib never reads half of it. */
static void alsa_configure(const char *format, ...) {
    va_list arguments;
    FILE *file = fopen(alsa_path("new"), "w");
    assert_non_null(file);
    va_start(arguments, format);
    assert_true(vfprintf(file, format, arguments) >= 0);
    va_end(arguments);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(alsa_path("new"), alsa_path("asound.conf")), 0);
}

/* What the tests' plugin needs in front of its devices. */
static void alsa_moody_type(char *type, size_t bytes) {
    const char *build = getenv("OMNI_BUILD");
    if (build == NULL)
        fail_msg("OMNI_BUILD does not say where the plugin is: OMNI_BUILD=build/$(uname -m)");
    char *whole = realpath(build, NULL);
    assert_non_null(whole);
    (void)snprintf(type, bytes, "pcm_type.moody { lib \"%s/tests/plugins/moody.so\" }", whole);
    free(whole);
}

#define ALSA_GOOD                                                                                  \
    "pcm.null { type null }\n"                                                                     \
    "pcm.good { type file slave.pcm null file \"%s/good.wav\" format wav truncate false }\n"

static int alsa_make_place(void **state) {
    (void)state;
    if (mkdtemp(alsa_directory) == NULL)
        return -1;
    return setenv("ALSA_CONFIG_PATH", alsa_path("asound.conf"), 1);
}

static int alsa_empty_place(void **state) {
    char command[300];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s/*", alsa_directory);
    return system(command); /* NOLINT(cert-env33-c) */
}

static int alsa_remove_place(void **state) {
    int error = alsa_empty_place(state);
    return rmdir(alsa_directory) < 0 ? -1 : error;
}

/* The device's own way of counting files. */
static const char *alsa_captured(unsigned number) {
    char name[32];
    (void)snprintf(name, sizeof name, number == 0 ? "good.wav" : "good.wav.%04u", number);
    return alsa_path(name);
}

struct recording {
    float *samples;
    size_t frames;
    unsigned rate;
    unsigned channels;
};

static struct recording alsa_read(const char *path) {
    SF_INFO info = {.format = 0};
    SNDFILE *file = sf_open(path, SFM_READ, &info);
    if (file == NULL)
        fail_msg("%s: %s", path, sf_strerror(NULL));
    struct recording recording = {.frames = (size_t)info.frames,
                                  .rate = (unsigned)info.samplerate,
                                  .channels = (unsigned)info.channels};
    recording.samples = calloc(recording.frames * recording.channels + 1, sizeof(float));
    assert_non_null(recording.samples);
    assert_int_equal(sf_readf_float(file, recording.samples, info.frames), info.frames);
    sf_close(file);
    return recording;
}

/* Which call it was; fails where it is silent, clipped or at another rate than the synthesiser's.
 */
static inline enum chicken alsa_recognise(const char *path, double volume) {
    struct recording recording = alsa_read(path);
    assert_int_equal(recording.rate, CHICKEN_RATE_HZ);
    assert_int_equal(recording.channels, 1);
    struct heard heard = hear(recording.samples, recording.frames, recording.rate);
    if (!is_fit(&heard, CHICKEN_PEAK * volume * 1.001))
        fail_msg("%s: peak %g, mean %g, power %g", path, heard.peak, heard.mean, heard.power);
    free(recording.samples);
    return recognise(&heard);
}

#endif
