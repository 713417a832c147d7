/* Real alsa-lib: its file plugin as a device that works, the tests' own plugin as one that does
 * not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "alsa_place.h"
#include "observer/alsa.h"

enum { CHUNK = 512, BUFFER_HZ_PART = 5 /* the device buffers a fifth of a second */ };

/* alsa-lib takes a new file with an old inode for the old one. */
static int forget_place(void **state) {
    alsa_forget();
    return alsa_empty_place(state);
}

static void configure_moody(const char *moods, const char *more) {
    char type[400];
    alsa_moody_type(type, sizeof type);
    alsa_configure("%s\npcm.moody { type moody moods \"%s\" capture \"%s\" %s }\n", type, moods,
                   alsa_path("heard.raw"), more);
}

static struct clip take(enum chicken call) {
    struct clips *clips = NULL;
    struct clip clip;
    assert_int_equal(clips_open(&clips, NULL, 1, NULL, NULL), 0);
    assert_int_equal(clips_take(clips, call, &clip), 0);
    clips_close(clips);
    return clip;
}

static int play_with(const struct alsa *alsa, enum chicken call) {
    struct clip clip = take(call);
    int error = alsa_play(alsa, &clip);
    clip_close(&clip);
    return error;
}

static int play(const char *device, enum chicken call) {
    const struct alsa alsa = {.device = device, .volume = 1};
    return play_with(&alsa, call);
}

/* ---- a device that works ---- */

static void test_three_kinds_are_heard_as_such(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    for (unsigned call = 0; call < CHICKEN_COUNT; call++) {
        assert_int_equal(play("good", (enum chicken)call), 0);
        assert_string_equal(chicken_word(alsa_recognise(alsa_captured(call), 1)),
                            chicken_word((enum chicken)call));
    }
}

static void test_every_sample_arrives_and_then_silence(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct clip clip = take(CHICKEN_SQUAWK);
    size_t frames = clip.frames_left;
    const struct alsa alsa = {.device = "good", .volume = 1};
    assert_int_equal(alsa_play(&alsa, &clip), 0);
    struct recording recording = alsa_read(alsa_captured(0));
    assert_int_equal(recording.frames, frames + CHICKEN_RATE_HZ / BUFFER_HZ_PART);
    for (size_t i = 0; i < frames; i++)
        assert_float_equal(recording.samples[i], clip.samples[i], 1e-4);
    for (size_t i = frames; i < recording.frames; i++)
        assert_float_equal(recording.samples[i], 0, 0);
    free(recording.samples);
    clip_close(&clip);
}

static void test_the_volume_is_a_factor(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    const float volumes[] = {1, 0.5F, 0.1F};
    for (unsigned i = 0; i < 3; i++) {
        const struct alsa alsa = {.device = "good", .volume = volumes[i]};
        assert_int_equal(play_with(&alsa, CHICKEN_CLUCK), 0);
        struct recording recording = alsa_read(alsa_captured(i));
        struct heard heard = hear(recording.samples, recording.frames, recording.rate);
        assert_float_equal((float)heard.peak, volumes[i] * (float)CHICKEN_PEAK, 0.001);
        free(recording.samples);
    }
}

static void test_a_file_is_played_at_its_own_rate_and_channels(void **state) {
    (void)state;
    enum { FRAMES = 4410 };
    SF_INFO info = {
        .samplerate = 44100, .channels = 2, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(alsa_path("cluck.flac"), SFM_WRITE, &info);
    for (int i = 0; i < FRAMES; i++) {
        const float frame[2] = {(float)i / FRAMES, -0.25F};
        assert_int_equal(sf_writef_float(file, frame, 1), 1);
    }
    sf_close(file);
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct clip clip;
    const char *why = "";
    const struct alsa alsa = {.device = "good", .volume = 1};
    assert_int_equal(clip_open_file(&clip, alsa_path("cluck.flac"), &why), 0);
    assert_int_equal(alsa_play(&alsa, &clip), 0);
    clip_close(&clip);
    struct recording recording = alsa_read(alsa_captured(0));
    assert_int_equal(recording.rate, 44100);
    assert_int_equal(recording.channels, 2);
    for (size_t i = 0; i < FRAMES; i++) {
        assert_float_equal(recording.samples[2 * i], (double)i / FRAMES, 1e-3);
        assert_float_equal(recording.samples[2 * i + 1], -0.25, 1e-3);
    }
    free(recording.samples);
}

static void test_bare_hardware_is_played_through_a_plug(void **state) {
    (void)state;
    char type[400];
    alsa_moody_type(type, sizeof type);
    alsa_configure("%s\n"
                   "pcm.bare { type moody only_hz 44100 capture \"%s\" }\n"
                   "pcm.plug { @args [ SLAVE ] @args.SLAVE { type string } type plug slave.pcm "
                   "$SLAVE }\n",
                   type, alsa_path("heard.raw"));
    assert_int_equal(play("bare", CHICKEN_SQUAWK), 0);
    struct stat facts;
    assert_int_equal(stat(alsa_path("heard.raw"), &facts), 0);
    assert_true(facts.st_size > 44100 / 2);
}

static void test_bare_hardware_without_a_plug_is_an_error(void **state) {
    (void)state;
    configure_moody(".", "only_hz 44100");
    assert_int_equal(play("moody", CHICKEN_SQUAWK), -EINVAL);
}

static void test_probing_plays_nothing(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    const struct alsa good = {.device = "good"};
    assert_int_equal(alsa_probe(&good), 0);
    struct recording recording = alsa_read(alsa_captured(0));
    assert_int_equal(recording.frames, 0);
    free(recording.samples);
    const struct alsa absent = {.device = "absent"};
    assert_int_equal(alsa_probe(&absent), -ENOENT);
}

/* ---- devices that do not ---- */

static void test_a_name_that_is_not_there(void **state) {
    (void)state;
    const char *const names[] = {"absent", "", "hw:77", "'", "plug:'x'", "good:1,2,{", "{"};
    alsa_configure(ALSA_GOOD, alsa_directory);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int error = play(names[i], CHICKEN_CLUCK);
        if (error >= 0)
            fail_msg("\"%s\" was played to", names[i]);
        assert_string_not_equal(alsa_explain(error), "");
    }
}

static void test_no_configuration_at_all(void **state) {
    (void)state;
    assert_true(play("default", CHICKEN_CLUCK) < 0);
    alsa_forget();
    alsa_configure("pcm.default { this is { not");
    assert_true(play("default", CHICKEN_CLUCK) < 0);
}

/* What arrived, and what should have, in bytes. */
static long heard_bytes(void) {
    struct stat facts;
    assert_int_equal(stat(alsa_path("heard.raw"), &facts), 0);
    return (long)facts.st_size;
}

/* Faults cost at most what was under way; after each of them it goes on. */
static void check_recovery(const char *moods, unsigned faults) {
    struct clip clip = take(CHICKEN_ALARM);
    long whole = (long)(clip.frames_left + CHICKEN_RATE_HZ / BUFFER_HZ_PART) * 2;
    const struct alsa alsa = {.device = "moody", .volume = 1};
    alsa_forget();
    configure_moody(moods, "");
    (void)unlink(alsa_path("heard.raw"));
    int error = alsa_play(&alsa, &clip);
    clip_close(&clip);
    if (error < 0)
        fail_msg("%s: %s", moods, alsa_explain(error));
    if (heard_bytes() < whole - (long)(faults * CHUNK * 2) || heard_bytes() > whole)
        fail_msg("%s: heard %ld of %ld bytes", moods, heard_bytes(), whole);
}

static void test_an_underrun_is_begun_again(void **state) {
    (void)state;
    check_recovery("u.", 1);
    check_recovery("...u...u..uu.", 4);
}

static void test_a_suspended_device_is_resumed(void **state) {
    (void)state;
    check_recovery("s.", 1);
    check_recovery("..s..", 1);
}

static void test_a_device_that_cannot_resume_is_begun_again(void **state) {
    (void)state;
    check_recovery("..z..z.", 2);
    check_recovery("..zu.s.", 3);
}

static void test_a_device_that_fails_for_ever_is_given_up(void **state) {
    (void)state;
    static const struct {
        const char *moods;
        int error;
    } cases[] = {{"...u", -EIO}, {"...e", -EIO},     {"e", -EIO},
                 {"d", -ENODEV}, {"....d", -ENODEV}, {"..w", -EIO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        alsa_forget();
        configure_moody(cases[i].moods, "");
        assert_int_equal(play("moody", CHICKEN_ALARM), cases[i].error);
    }
}

static void test_a_device_that_takes_nothing_is_given_up(void **state) {
    (void)state;
    configure_moody("f", "");
    assert_int_equal(play("moody", CHICKEN_ALARM), -ETIMEDOUT);
}

/* ---- stopping ---- */

static bool count_down(void *context) {
    unsigned *left = context;
    return (*left)-- > 0;
}

static void test_it_stops_when_it_is_told(void **state) {
    (void)state;
    unsigned left = 10;
    const struct alsa alsa = {.device = "good", .volume = 1, .go_on = count_down, .context = &left};
    alsa_configure(ALSA_GOOD, alsa_directory);
    assert_int_equal(play_with(&alsa, CHICKEN_ALARM), -ECANCELED);
    struct recording recording = alsa_read(alsa_captured(0));
    assert_int_equal(recording.frames, 10 * CHUNK);
    free(recording.samples);
}

static void test_it_stops_while_the_device_takes_nothing(void **state) {
    (void)state;
    unsigned left = 40;
    const struct alsa alsa = {
        .device = "moody", .volume = 1, .go_on = count_down, .context = &left};
    configure_moody("f", "");
    assert_int_equal(play_with(&alsa, CHICKEN_ALARM), -ECANCELED);
}

static void name_device(void *context, const char *name) {
    bool *found = context;
    *found = *found || strcmp(name, "good") == 0;
}

static void test_devices_are_named(void **state) {
    (void)state;
    bool found = false;
    alsa_configure(ALSA_GOOD "pcm.good.hint { show on description \"x\" }\n"
                             "defaults.namehint.showall on\ndefaults.namehint.extended on\n",
                   alsa_directory);
    alsa_devices(name_device, &found);
    assert_true(found);
}

static int hush(void **state) {
    alsa_hush();
    return alsa_make_place(state);
}

static int forget(void **state) {
    alsa_forget();
    return alsa_remove_place(state);
}

int main(void) {
#define CLEANED(test) cmocka_unit_test_teardown(test, forget_place)
    const struct CMUnitTest tests[] = {
        CLEANED(test_three_kinds_are_heard_as_such),
        CLEANED(test_every_sample_arrives_and_then_silence),
        CLEANED(test_the_volume_is_a_factor),
        CLEANED(test_a_file_is_played_at_its_own_rate_and_channels),
        CLEANED(test_bare_hardware_is_played_through_a_plug),
        CLEANED(test_bare_hardware_without_a_plug_is_an_error),
        CLEANED(test_probing_plays_nothing),
        CLEANED(test_a_name_that_is_not_there),
        CLEANED(test_no_configuration_at_all),
        CLEANED(test_an_underrun_is_begun_again),
        CLEANED(test_a_suspended_device_is_resumed),
        CLEANED(test_a_device_that_cannot_resume_is_begun_again),
        CLEANED(test_a_device_that_fails_for_ever_is_given_up),
        CLEANED(test_a_device_that_takes_nothing_is_given_up),
        CLEANED(test_it_stops_when_it_is_told),
        CLEANED(test_it_stops_while_the_device_takes_nothing),
        CLEANED(test_devices_are_named),
    };
    return cmocka_run_group_tests(tests, hush, forget);
}
