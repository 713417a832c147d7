#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sndfile.h>

#include "ear.h"
#include "observer/clips.h"

enum { PATH_BYTES = 300, TONE_FRAMES = 4800 };

/* libsndfile 1.2 loses what it knew of an Ogg file whose header turns out to be broken. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libvorbis.so";
}

/* ---- a directory of files ---- */

static char directory[] = "/tmp/omni-clips-test.XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_all(const char *what) {
    char command[PATH_BYTES];
    (void)snprintf(command, sizeof command, "rm -rf %s%s", directory, what);
    return system(command); /* NOLINT(cert-env33-c) */
}

static int empty_directory(void **state) {
    (void)state;
    return remove_all("/*");
}

static int remove_directory(void **state) {
    (void)state;
    return remove_all("");
}

static const char *path_of(const char *name) {
    static char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

struct kind {
    const char *name;
    int format;
    int rate;
    int channels;
};

/* A tone: left at half of full scale, right silent. */
static void write_tone(const struct kind *kind) {
    SF_INFO info = {.samplerate = kind->rate, .channels = kind->channels, .format = kind->format};
    SNDFILE *file = sf_open(path_of(kind->name), SFM_WRITE, &info);
    if (file == NULL)
        fail_msg("%s: %s", kind->name, sf_strerror(NULL));
    for (int i = 0; i < TONE_FRAMES; i++) {
        float frame[2] = {(float)(0.5 * sin(2 * acos(-1) * 440 * i / kind->rate)), 0};
        assert_int_equal(sf_writef_float(file, frame, 1), 1);
    }
    sf_close(file);
}

static void write_bytes(const char *name, const void *bytes, size_t length) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static size_t read_bytes(const char *name, unsigned char *bytes, size_t most) {
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    size_t length = fread(bytes, 1, most, file);
    assert_int_equal(fclose(file), 0);
    return length;
}

#define WAV16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

static const struct kind kinds[] = {
    {"cluck.wav", WAV16, 48000, 1},
    {"cluck-2.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 2},
    {"cluck-3.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 96000, 2},
    {"cluck-4.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8000, 1},
    {"cluck.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 22050, 1},
    {"cluck.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 2},
    {"cluck.opus.ogg", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 1},
};

/* All of it, as many as there are. */
static size_t read_whole(struct clip *clip, float **samples) {
    size_t room = clip->frames_left + 1;
    size_t frames = 0;
    size_t got;
    *samples = calloc(room * clip->channels + 1, sizeof **samples);
    assert_non_null(*samples);
    while ((got = clip_read(clip, *samples + frames * clip->channels, 100)) > 0) {
        frames += got;
        assert_true(frames < room);
    }
    assert_int_equal(clip_read(clip, *samples, 100), 0);
    return frames;
}

/* ---- good files ---- */

static void check_tone(const struct kind *kind) {
    struct clip clip;
    const char *why = "";
    float *samples;
    write_tone(kind);
    if (clip_open_file(&clip, path_of(kind->name), &why) < 0)
        fail_msg("%s: %s", kind->name, why);
    assert_int_equal(clip.rate_hz, kind->rate);
    assert_int_equal(clip.channels, kind->channels);
    assert_int_equal(clip.frames_left, TONE_FRAMES);
    assert_int_equal(read_whole(&clip, &samples), TONE_FRAMES);
    /* In the middle: lossy codecs overshoot at both ends, by as much as their release likes. */
    float peak = 0;
    for (size_t i = TONE_FRAMES / 4; i < TONE_FRAMES * 3 / 4; i++)
        peak = fmaxf(peak, fabsf(samples[i * clip.channels]));
    if (fabsf(peak - 0.5f) > 0.25f)
        fail_msg("%s: peak %g", kind->name, (double)peak);
    free(samples);
    clip_close(&clip);
    clip_close(&clip);
}

static void test_wav_flac_and_ogg_are_read_at_their_own_rate(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        check_tone(&kinds[i]);
}

static void test_a_long_file_is_played_in_part(void **state) {
    (void)state;
    struct clip clip;
    const char *why = "";
    SF_INFO info = {.samplerate = 8000, .channels = 1, .format = WAV16};
    SNDFILE *file = sf_open(path_of("cluck.wav"), SFM_WRITE, &info);
    static const short silence[8000];
    for (int i = 0; i < 60; i++)
        sf_writef_short(file, silence, 8000);
    sf_close(file);
    assert_int_equal(clip_open_file(&clip, path_of("cluck.wav"), &why), 0);
    float *samples;
    assert_int_equal(read_whole(&clip, &samples), CLIPS_SECONDS_MAX * 8000);
    free(samples);
    clip_close(&clip);
}

static void test_samples_that_are_no_numbers_become_harmless(void **state) {
    (void)state;
    const float wild[] = {NAN, INFINITY, -INFINITY, 17, -17, 0.25F};
    SF_INFO info = {.samplerate = 48000, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    SNDFILE *file = sf_open(path_of("cluck.wav"), SFM_WRITE, &info);
    sf_writef_float(file, wild, 6);
    sf_close(file);
    struct clip clip;
    const char *why = "";
    float *samples;
    const float tame[] = {0, 0, 0, 1, -1, 0.25F};
    assert_int_equal(clip_open_file(&clip, path_of("cluck.wav"), &why), 0);
    assert_int_equal(read_whole(&clip, &samples), 6);
    for (size_t i = 0; i < 6; i++)
        assert_float_equal(samples[i], tame[i], 1e-6);
    free(samples);
    clip_close(&clip);
}

/* ---- hostile files ---- */

static void refuse(const char *name, int expected, const char *piece) {
    struct clip clip = {.rate_hz = 4711};
    const char *why = "";
    assert_int_equal(clip_open_file(&clip, path_of(name), &why), expected);
    assert_int_equal(clip.rate_hz, 4711);
    if (strstr(why, piece) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", name, why, piece);
}

static void test_what_is_no_sound_is_refused(void **state) {
    (void)state;
    write_bytes("empty.wav", "", 0);
    refuse("empty.wav", -EINVAL, "neither WAV");
    write_bytes("short.wav", "RIF", 3);
    refuse("short.wav", -EINVAL, "neither WAV");
    write_bytes("text.wav", "cluck cluck cluck", 17);
    refuse("text.wav", -EINVAL, "neither WAV");
    write_bytes("magic.wav", "RIFF\xff\xff\xff\xffWAVE", 12);
    refuse("magic.wav", -EINVAL, "");
    write_bytes("magic.flac", "fLaC\0\0\0\x22", 8);
    refuse("magic.flac", -EINVAL, "damaged");
    write_bytes("magic.ogg", "OggS\0\2", 6);
    refuse("magic.ogg", -EINVAL, "damaged");
    write_tone(&(struct kind){"x.au", SF_FORMAT_AU | SF_FORMAT_PCM_16, 8000, 1});
    refuse("x.au", -EINVAL, "neither WAV");
    refuse("absent.wav", -ENOENT, "No such file");
}

static void test_what_is_no_file_is_refused_without_waiting(void **state) {
    (void)state;
    char path[PATH_BYTES];
    assert_int_equal(mkdir(path_of("directory.wav"), 0700), 0);
    refuse("directory.wav", -EINVAL, "regular");
    assert_int_equal(mkfifo(path_of("fifo.wav"), 0600), 0);
    refuse("fifo.wav", -EINVAL, "regular");
    assert_int_equal(symlink("/dev/zero", path_of("zero.wav")), 0);
    refuse("zero.wav", -EINVAL, "regular");
    (void)snprintf(path, sizeof path, "%s", path_of("a.wav"));
    assert_int_equal(symlink(path, path_of("b.wav")), 0);
    assert_int_equal(symlink("b.wav", path_of("a.wav")), 0);
    refuse("a.wav", -ELOOP, "symbolic links");
    assert_int_equal(symlink("nowhere", path_of("dangling.wav")), 0);
    refuse("dangling.wav", -ENOENT, "No such file");
}

static void test_too_many_channels_odd_rates_and_giants_are_refused(void **state) {
    (void)state;
    SF_INFO info = {.samplerate = 48000, .channels = 6, .format = WAV16};
    SNDFILE *file = sf_open(path_of("six.wav"), SFM_WRITE, &info);
    const short frame[6] = {0};
    sf_writef_short(file, frame, 1);
    sf_close(file);
    refuse("six.wav", -EINVAL, "channels");
    write_tone(&(struct kind){"slow.wav", WAV16, 100, 1});
    refuse("slow.wav", -EINVAL, "rate");
    write_tone(&(struct kind){"fast.wav", WAV16, 1000000, 1});
    refuse("fast.wav", -EINVAL, "rate");
    write_tone(&(struct kind){"giant.wav", WAV16, 48000, 1});
    assert_int_equal(truncate(path_of("giant.wav"), CLIPS_FILE_BYTES_MAX + 1), 0);
    refuse("giant.wav", -EINVAL, "64 MiB");
}

/* Opens what may be anything; if it is taken, its samples are tame and it comes to an end. */
static void survive(const char *name) {
    struct clip clip;
    const char *why = "";
    if (clip_open_file(&clip, path_of(name), &why) < 0) {
        assert_string_not_equal(why, "");
        return;
    }
    assert_in_range(clip.channels, 1, 2);
    assert_in_range(clip.rate_hz, 8000, 192000);
    float samples[512 * 2];
    size_t frames = 0;
    size_t got;
    while ((got = clip_read(&clip, samples, 512)) > 0) {
        frames += got;
        for (size_t i = 0; i < got * clip.channels; i++)
            assert_true(fabsf(samples[i]) <= 1);
    }
    assert_true(frames <= (size_t)CLIPS_SECONDS_MAX * clip.rate_hz);
    clip_close(&clip);
}

static void test_truncated_files_come_to_an_end(void **state) {
    (void)state;
    static unsigned char bytes[1 << 17];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_tone(&kinds[i]);
        size_t length = read_bytes(kinds[i].name, bytes, sizeof bytes);
        for (size_t cut = 0; cut < length; cut += 1 + length / 97) {
            write_bytes(kinds[i].name, bytes, cut);
            survive(kinds[i].name);
        }
    }
}

static void test_headers_may_claim_what_they_like(void **state) {
    (void)state;
    static unsigned char bytes[1 << 17];
    const size_t head = 128;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_tone(&kinds[i]);
        size_t length = read_bytes(kinds[i].name, bytes, sizeof bytes);
        for (size_t at = 4; at < head && at < length; at++) {
            unsigned char kept = bytes[at];
            static const unsigned char claims[] = {0x7f, 0xff};
            for (size_t claim = 0; claim < sizeof claims; claim++) {
                bytes[at] = claims[claim];
                write_bytes(kinds[i].name, bytes, length);
                survive(kinds[i].name);
            }
            bytes[at] = kept;
        }
    }
}

/* ---- a directory ---- */

static unsigned complaints;

static void count_complaint(void *context, const char *sentence) {
    (void)context;
    complaints++;
    if (strstr(sentence, directory) == NULL)
        fail_msg("%s", sentence);
}

static struct clips *open_clips(const char *where) {
    struct clips *clips = NULL;
    complaints = 0;
    assert_int_equal(clips_open(&clips, where, 1, count_complaint, NULL), 0);
    return clips;
}

static void take_any(struct clips *clips, enum chicken call, char *name, size_t bytes) {
    struct clip clip;
    assert_int_equal(clips_take(clips, call, &clip), 0);
    (void)snprintf(name, bytes, "%s", clip.name != NULL ? clip.name : "");
    clip_close(&clip);
}

static void expect_synthesised(struct clips *clips, enum chicken call) {
    struct clip clip;
    float *samples;
    assert_int_equal(clips_take(clips, call, &clip), 0);
    assert_null(clip.name);
    assert_int_equal(clip.rate_hz, CHICKEN_RATE_HZ);
    assert_int_equal(clip.channels, 1);
    size_t frames = read_whole(&clip, &samples);
    struct heard heard = hear(samples, frames, CHICKEN_RATE_HZ);
    assert_string_equal(chicken_word(recognise(&heard)), chicken_word(call));
    free(samples);
    clip_close(&clip);
}

static void test_without_files_the_synthesiser_plays(void **state) {
    (void)state;
    const char *const places[] = {NULL, directory};
    for (size_t i = 0; i < 2; i++) {
        struct clips *clips = open_clips(places[i]);
        clips_prepare(clips);
        for (unsigned call = 0; call < CHICKEN_COUNT; call++) {
            assert_int_equal(clips_files(clips, (enum chicken)call), 0);
            expect_synthesised(clips, (enum chicken)call);
            expect_synthesised(clips, (enum chicken)call);
        }
        clips_close(clips);
        assert_int_equal(complaints, 0);
    }
    clips_close(NULL);
}

static void test_no_two_synthesised_calls_are_the_same(void **state) {
    (void)state;
    struct clips *clips = open_clips(NULL);
    struct clip one;
    struct clip other;
    assert_int_equal(clips_take(clips, CHICKEN_CLUCK, &one), 0);
    assert_int_equal(clips_take(clips, CHICKEN_CLUCK, &other), 0);
    size_t both = one.frames_left < other.frames_left ? one.frames_left : other.frames_left;
    assert_memory_not_equal(one.samples, other.samples, both * sizeof(float));
    clip_close(&one);
    clip_close(&other);
    clips_close(clips);
}

static void test_names_tell_what_a_file_is_for(void **state) {
    (void)state;
    char name[64];
    write_tone(&(struct kind){"cluck.wav", WAV16, 48000, 1});
    write_tone(&(struct kind){"Cluck at noon.wav", WAV16, 48000, 1});
    write_tone(&(struct kind){"SQUAWK.wav", WAV16, 48000, 1});
    write_tone(&(struct kind){"my cluck.wav", WAV16, 48000, 1});
    write_bytes("readme.txt", "hens", 4);
    write_bytes("cluck.txt", "hens", 4);
    write_bytes("cluck.wav~", "hens", 4);
    struct clips *clips = open_clips(directory);
    assert_int_equal(clips_files(clips, CHICKEN_CLUCK), 2);
    assert_int_equal(clips_files(clips, CHICKEN_SQUAWK), 1);
    assert_int_equal(clips_files(clips, CHICKEN_ALARM), 0);
    unsigned noon = 0;
    for (unsigned i = 0; i < 64; i++) {
        take_any(clips, CHICKEN_CLUCK, name, sizeof name);
        noon += strcmp(name, "Cluck at noon.wav") == 0;
        assert_true(noon == 0 || strcmp(name, "cluck.wav") == 0 ||
                    strcmp(name, "Cluck at noon.wav") == 0);
    }
    assert_in_range(noon, 10, 54);
    take_any(clips, CHICKEN_SQUAWK, name, sizeof name);
    assert_string_equal(name, "SQUAWK.wav");
    expect_synthesised(clips, CHICKEN_ALARM);
    clips_close(clips);
    assert_int_equal(complaints, 0);
}

static void test_bad_files_are_told_once_and_left_out(void **state) {
    (void)state;
    char name[64];
    write_bytes("alarm-1.wav", "not a sound", 11);
    assert_int_equal(mkfifo(path_of("alarm-2.ogg"), 0600), 0);
    assert_int_equal(mkdir(path_of("alarm.wav"), 0700), 0);
    write_tone(&(struct kind){"squawk.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 48000, 1});
    write_bytes("squawk-1.flac", "fLaC", 4);
    struct clips *clips = open_clips(directory);
    assert_int_equal(clips_files(clips, CHICKEN_ALARM), 3);
    for (unsigned i = 0; i < 5; i++)
        expect_synthesised(clips, CHICKEN_ALARM);
    assert_int_equal(complaints, 3);
    for (unsigned i = 0; i < 20; i++) {
        take_any(clips, CHICKEN_SQUAWK, name, sizeof name);
        assert_string_equal(name, "squawk.flac");
    }
    assert_int_equal(complaints, 4);
    assert_int_equal(clips_files(clips, CHICKEN_SQUAWK), 1);
    clips_close(clips);
}

static void test_a_file_that_the_device_refuses_is_left_out(void **state) {
    (void)state;
    struct clip clip;
    write_tone(&(struct kind){"cluck.wav", WAV16, 48000, 1});
    struct clips *clips = open_clips(directory);
    assert_int_equal(clips_take(clips, CHICKEN_CLUCK, &clip), 0);
    assert_string_equal(clip.name, "cluck.wav");
    clips_reject(clips, CHICKEN_CLUCK, &clip, "it cannot");
    assert_null(clip.name);
    assert_int_equal(complaints, 1);
    clips_reject(clips, CHICKEN_CLUCK, &clip, "it cannot");
    assert_int_equal(complaints, 1);
    clip_close(&clip);
    expect_synthesised(clips, CHICKEN_CLUCK);
    clips_close(clips);
}

static void test_files_that_go_while_it_runs_are_left_out(void **state) {
    (void)state;
    write_tone(&(struct kind){"cluck.wav", WAV16, 48000, 1});
    struct clips *clips = open_clips(directory);
    assert_int_equal(unlink(path_of("cluck.wav")), 0);
    expect_synthesised(clips, CHICKEN_CLUCK);
    assert_int_equal(complaints, 1);
    clips_close(clips);
}

static void test_more_files_than_it_can_know_do_no_harm(void **state) {
    (void)state;
    char name[64];
    for (unsigned i = 0; i < CLIPS_FILES_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "cluck-%u.wav", i);
        write_bytes(name, "x", 1);
    }
    struct clips *clips = open_clips(directory);
    assert_int_equal(clips_files(clips, CHICKEN_CLUCK), CLIPS_FILES_MAX);
    expect_synthesised(clips, CHICKEN_CLUCK);
    assert_int_equal(complaints, CLIPS_FILES_MAX);
    clips_close(clips);
}

static void test_a_directory_that_is_not_there_is_an_error(void **state) {
    (void)state;
    struct clips *clips = NULL;
    assert_int_equal(clips_open(&clips, path_of("absent"), 1, NULL, NULL), -ENOENT);
    assert_null(clips);
    write_bytes("file", "x", 1);
    assert_int_equal(clips_open(&clips, path_of("file"), 1, NULL, NULL), -ENOTDIR);
    assert_null(clips);
}

static void test_the_library_tells_its_version(void **state) {
    (void)state;
    char version[64] = "";
    assert_true(clips_library_version(version, sizeof version));
    assert_string_equal(version, sf_version_string());
}

int main(void) {
#define CLEANED(test) cmocka_unit_test_teardown(test, empty_directory)
    const struct CMUnitTest tests[] = {
        CLEANED(test_wav_flac_and_ogg_are_read_at_their_own_rate),
        CLEANED(test_a_long_file_is_played_in_part),
        CLEANED(test_samples_that_are_no_numbers_become_harmless),
        CLEANED(test_what_is_no_sound_is_refused),
        CLEANED(test_what_is_no_file_is_refused_without_waiting),
        CLEANED(test_too_many_channels_odd_rates_and_giants_are_refused),
        CLEANED(test_truncated_files_come_to_an_end),
        CLEANED(test_headers_may_claim_what_they_like),
        CLEANED(test_without_files_the_synthesiser_plays),
        CLEANED(test_no_two_synthesised_calls_are_the_same),
        CLEANED(test_names_tell_what_a_file_is_for),
        CLEANED(test_bad_files_are_told_once_and_left_out),
        CLEANED(test_a_file_that_the_device_refuses_is_left_out),
        CLEANED(test_files_that_go_while_it_runs_are_left_out),
        CLEANED(test_more_files_than_it_can_know_do_no_harm),
        CLEANED(test_a_directory_that_is_not_there_is_an_error),
        CLEANED(test_the_library_tells_its_version),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
