/* The speaker and its player with real alsa-lib: devices that work, that are not there, that
 * vanish, come back, and block. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include <omni/schema.h>

#include "alsa_place.h"
#include "observer/alsa.h"
#include "observer/speaker.h"

#define SECOND UINT64_C(1000000000)

#define MODES(LABEL) LABEL(MODE_IDLE, "idle") LABEL(MODE_WANDERING, "wandering")
#define HEN(FIELD)                                                                                 \
    FIELD(choice, bot_mode, MODES, "What it does")                                                 \
    FIELD(flag, obstacle, "Something is near")
OMNI_ENUM(hen_mode, MODES)
OMNI_STATUS(hen, HEN)
#define TANK(FIELD) FIELD(flag, leaking, "Water under the tank")
OMNI_STATUS(tank, TANK)

/* ---- a source that does what the test says ---- */

struct fake {
    struct source source;
    struct omni_table table;
    struct hen hen;
};

struct scene {
    uv_loop_t loop;
    struct speaker *speaker;
    struct sources_listener listener;
    struct fake robot;
    unsigned told;
    unsigned passed[5]; /* came, went, changed, ticked, event */
};

static void told(void *context) {
    struct scene *scene = context;
    scene->told++;
}

static void pass_came(void *context, struct source *source) {
    struct scene *scene = context;
    (void)source;
    scene->passed[0]++;
}

static void pass_went(void *context, struct source *source) {
    struct scene *scene = context;
    (void)source;
    scene->passed[1]++;
}

static void pass_changed(void *context, struct source *source) {
    struct scene *scene = context;
    (void)source;
    scene->passed[2]++;
}

static void pass_ticked(void *context, struct source *source, uint64_t now_ns) {
    struct scene *scene = context;
    (void)source;
    (void)now_ns;
    scene->passed[3]++;
}

static void pass_event(void *context, struct source *source, const struct event *event) {
    struct scene *scene = context;
    (void)source;
    (void)event;
    scene->passed[4]++;
}

static struct scene *open_scene_as(const struct speaker_options *options) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(speaker_open(&scene->speaker, &scene->loop, options), 0);
    speaker_attach(scene->speaker, told, scene);
    scene->listener = speaker_listener(
        scene->speaker, (struct sources_listener){scene, pass_came, pass_went, pass_changed,
                                                  pass_ticked, pass_event});
    return scene;
}

static struct scene *open_scene_with(const char *device, bool on, double low, double high) {
    const struct speaker_options options = {
        .player = {.device = device, .volume = 1, .seed = 5}, .rules = {low, high}, .on = on};
    return open_scene_as(&options);
}

static struct scene *open_scene(const char *device) {
    return open_scene_with(device, false, 3600, 3600);
}

/* False: the player's thread was left behind. */
static bool close_scene(struct scene *scene) {
    bool is_over = speaker_close(scene->speaker);
    assert_int_equal(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    omni_table_free(&scene->robot.table);
    free(scene);
    return is_over;
}

static void free_scene(struct scene *scene) {
    assert_true(close_scene(scene));
}

static void come(struct scene *scene, const struct omni_schema *schema) {
    struct fake *fake = &scene->robot;
    assert_int_equal(omni_schema_pack(&fake->table, schema, NULL), 0);
    fake->source = (struct source){
        .table = &fake->table, .reason = "silent", .payload = (unsigned char *)&fake->hen};
    scene->listener.came(scene->listener.context, &fake->source);
}

static void tick(struct scene *scene) {
    struct source *source = &scene->robot.source;
    source->stamp.version++;
    if (!source->live) {
        source->live = true;
        source->reason = "";
        scene->listener.changed(scene->listener.context, source);
    }
    scene->listener.ticked(scene->listener.context, source, uv_hrtime());
}

/* An obstacle that is there for one tick only: what a slow look sees of it is its events. */
static void meet_obstacle(struct scene *scene) {
    struct source *source = &scene->robot.source;
    struct event event = {.sequence = 1};
    scene->robot.hen.obstacle = true;
    scene->listener.event(scene->listener.context, source, &event);
    scene->robot.hen.obstacle = false;
    scene->listener.event(scene->listener.context, source, &event);
    scene->listener.ticked(scene->listener.context, source, uv_hrtime());
}

static void fall_silent(struct scene *scene) {
    struct source *source = &scene->robot.source;
    source->live = false;
    source->reason = "silent";
    scene->listener.changed(scene->listener.context, source);
}

/* Turns until the condition holds; the bound is generous, nothing depends on it. */
#define WAIT_FOR(scene, condition)                                                                 \
    do {                                                                                           \
        uint64_t until_ = uv_hrtime() + 60 * SECOND;                                               \
        while (!(condition)) {                                                                     \
            uv_run(&(scene)->loop, UV_RUN_NOWAIT);                                                 \
            if (uv_hrtime() > until_)                                                              \
                fail_msg("never happened: %s", #condition);                                        \
            usleep(500);                                                                           \
        }                                                                                          \
    } while (0)

static const char *state_of(const struct scene *scene) {
    return speaker_view(scene->speaker).state;
}

#define WAIT_FOR_STATE(scene, expected) WAIT_FOR(scene, strcmp(state_of(scene), expected) == 0)

static unsigned count_in(const char *path, bool (*counts)(const char *name)) {
    unsigned count = 0;
    DIR *opened = opendir(path);
    assert_non_null(opened);
    for (const struct dirent *entry; (entry = readdir(opened)) != NULL;)
        count += counts(entry->d_name);
    closedir(opened);
    return count;
}

static bool is_capture(const char *name) {
    return strncmp(name, "good.wav", 8) == 0;
}

static bool is_number(const char *name) {
    return name[0] >= '0' && name[0] <= '9';
}

/* Openings of the good device so far: the first is to see whether it is there. */
static unsigned captures(void) {
    return count_in(alsa_directory, is_capture);
}

static unsigned threads(void) {
    return count_in("/proc/self/task", is_number);
}

/* Number `capture` is whole once there is one more, or the thread has nothing more to do. */
static void switch_and_settle(struct scene *scene, bool on) {
    speaker_switch(scene->speaker, on);
    unsigned before = scene->told;
    WAIT_FOR(scene, scene->told > before);
}

static void count_active_timer(uv_handle_t *handle, void *context) {
    unsigned *count = context;
    *count += handle->type == UV_TIMER && uv_is_active(handle);
}

static unsigned active_timers(struct scene *scene) {
    unsigned count = 0;
    uv_walk(&scene->loop, count_active_timer, &count);
    return count;
}

/* Off, and the thread has heard it: until then the speaker keeps watch. */
static void switch_off(struct scene *scene) {
    switch_and_settle(scene, false);
    WAIT_FOR(scene, active_timers(scene) == 0);
}

/* A live robot, and a device that was found. */
static struct scene *open_yard(double low, double high) {
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene_with("good", false, low, high);
    come(scene, hen_schema());
    tick(scene);
    speaker_switch(scene->speaker, true);
    WAIT_FOR(scene, captures() == 1);
    return scene;
}

static bool is_finished(unsigned capture) {
    SF_INFO info = {.format = 0};
    SNDFILE *file = sf_open(alsa_captured(capture), SFM_READ, &info);
    if (file != NULL)
        sf_close(file);
    /* Its header is completed at the end. */
    return file != NULL && info.frames > 0;
}

static void expect_call(struct scene *scene, unsigned capture, enum chicken call) {
    WAIT_FOR(scene, captures() > capture && is_finished(capture));
    assert_string_equal(chicken_word(alsa_recognise(alsa_captured(capture), 1)),
                        chicken_word(call));
}

/* ---- the switch ---- */

static void test_it_is_off_at_first_and_costs_no_thread(void **state) {
    (void)state;
    unsigned before = threads();
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    meet_obstacle(scene);
    fall_silent(scene);
    uv_run(&scene->loop, UV_RUN_NOWAIT);
    struct speaker_view view = speaker_view(scene->speaker);
    assert_false(view.on);
    assert_string_equal(view.state, "off");
    assert_string_equal(view.reason, "");
    assert_int_equal(threads(), before);
    assert_int_equal(captures(), 0);
    assert_int_equal(scene->told, 0);
    free_scene(scene);
}

static void test_no_speaker_is_one_that_is_off(void **state) {
    (void)state;
    struct text text;
    text_open(&text, 0);
    speaker_encode(&text, NULL);
    text_append(&text, "", 1);
    assert_string_equal(text_bytes(&text), "\"on\":false,\"state\":\"off\",\"reason\":\"\"");
    text_close(&text);
    assert_true(speaker_close(NULL));
}

static void test_what_the_robot_does_is_heard(void **state) {
    (void)state;
    struct scene *scene = open_yard(3600, 3600);
    meet_obstacle(scene);
    expect_call(scene, 1, CHICKEN_SQUAWK);
    fall_silent(scene);
    expect_call(scene, 2, CHICKEN_ALARM);
    assert_string_equal(state_of(scene), "on");
    free_scene(scene);
}

static void test_it_clucks_while_it_wanders(void **state) {
    (void)state;
    struct scene *scene = open_yard(0.1, 0.3);
    scene->robot.hen.bot_mode = MODE_WANDERING;
    tick(scene);
    WAIT_FOR(scene, captures() > 4);
    for (unsigned i = 1; i < 4; i++)
        expect_call(scene, i, CHICKEN_CLUCK);
    free_scene(scene);
}

static void test_a_source_that_goes_while_live_is_an_alarm(void **state) {
    (void)state;
    struct scene *scene = open_yard(0.1, 0.1);
    scene->listener.went(scene->listener.context, &scene->robot.source);
    assert_null(scene->robot.source.speaker);
    expect_call(scene, 1, CHICKEN_ALARM);
    free_scene(scene);
}

static void test_off_is_silent_and_on_again_knows_no_old_news(void **state) {
    (void)state;
    struct scene *scene = open_yard(0.1, 0.1);
    scene->robot.hen.bot_mode = MODE_WANDERING;
    switch_off(scene);
    fall_silent(scene);
    tick(scene);
    fall_silent(scene);
    scene->robot.hen.bot_mode = MODE_IDLE;
    unsigned before = captures();
    switch_and_settle(scene, true);
    WAIT_FOR(scene, captures() == before + 1);
    tick(scene);
    meet_obstacle(scene);
    expect_call(scene, before + 1, CHICKEN_SQUAWK);
    free_scene(scene);
}

/* The first call after switching on. */
static struct recording first_call(struct scene *scene) {
    unsigned before = captures();
    switch_and_settle(scene, true);
    WAIT_FOR(scene, captures() > before + 1 && is_finished(before + 1));
    struct recording recording = alsa_read(alsa_captured(before + 1));
    switch_off(scene);
    return recording;
}

static void test_no_two_are_alike_after_off_and_on_either(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene_with("good", false, 0.1, 0.1);
    scene->robot.hen.bot_mode = MODE_WANDERING;
    come(scene, hen_schema());
    tick(scene);
    struct recording one = first_call(scene);
    struct recording other = first_call(scene);
    bool are_alike = one.frames == other.frames &&
                     memcmp(one.samples, other.samples, one.frames * sizeof(float)) == 0;
    assert_false(are_alike);
    free(one.samples);
    free(other.samples);
    free_scene(scene);
}

/* ---- the user's own files ---- */

enum { TONE_HZ = 8000, TONE = 1000 };

/* A sound without any change in it: what else is heard is not of this file. */
static void write_tone(const char *path, unsigned seconds) {
    SF_INFO info = {
        .samplerate = TONE_HZ, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    const short sample = TONE;
    for (unsigned i = 0; i < seconds * TONE_HZ; i++)
        assert_int_equal(sf_writef_short(file, &sample, 1), 1);
    assert_int_equal(sf_close(file), 0);
}

static struct scene *open_scene_of_files(const char *directory) {
    const struct speaker_options options = {
        .player = {.device = "good", .directory = directory, .volume = 1, .seed = 5},
        .rules = {3600, 3600}};
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene_as(&options);
    come(scene, hen_schema());
    tick(scene);
    speaker_switch(scene->speaker, true);
    WAIT_FOR(scene, captures() == 1);
    return scene;
}

static void test_the_users_files_are_played(void **state) {
    (void)state;
    write_tone(alsa_path("Alarm for all.WAV"), 1);
    write_tone(alsa_path("squawk.wav.old"), 1);
    struct scene *scene = open_scene_of_files(alsa_directory);
    fall_silent(scene);
    WAIT_FOR(scene, captures() > 1 && is_finished(1));
    struct recording recording = alsa_read(alsa_captured(1));
    assert_int_equal(recording.rate, TONE_HZ);
    assert_true(recording.frames >= TONE_HZ);
    free(recording.samples);
    tick(scene);
    meet_obstacle(scene);
    expect_call(scene, 2, CHICKEN_SQUAWK);
    free_scene(scene);
}

/* Switching on takes a moment: calls are rendered, the device is looked for. On one processor the
 * player's thread hears of both only after they were asked. */
static void test_what_happens_while_it_is_being_switched_on_is_heard(void **state) {
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    speaker_switch(scene->speaker, true);
    fall_silent(scene);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    expect_call(scene, 1, CHICKEN_ALARM);
    free_scene(scene);
}

/* The configuration is wrong for a moment: that is no reason to throw out what the user gave. */
static void test_the_devices_fault_is_not_the_files(void **state) {
    (void)state;
    write_tone(alsa_path("alarm.wav"), 1);
    struct scene *scene = open_scene_of_files(alsa_directory);
    alsa_configure("pcm.good { type\n");
    fall_silent(scene);
    WAIT_FOR_STATE(scene, "no-device");
    alsa_configure(ALSA_GOOD, alsa_directory);
    WAIT_FOR_STATE(scene, "on");
    unsigned before = captures();
    tick(scene);
    fall_silent(scene);
    WAIT_FOR(scene, captures() > before && is_finished(before));
    struct recording recording = alsa_read(alsa_captured(before));
    assert_int_equal(recording.rate, TONE_HZ);
    free(recording.samples);
    free_scene(scene);
}

static void test_without_its_directory_the_synthesiser_plays(void **state) {
    (void)state;
    struct scene *scene = open_scene_of_files(alsa_path("nowhere"));
    fall_silent(scene);
    expect_call(scene, 1, CHICKEN_ALARM);
    free_scene(scene);
}

static void test_other_sources_make_no_sound(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene_with("good", true, 0.1, 0.1);
    come(scene, tank_schema());
    assert_null(scene->robot.source.speaker);
    tick(scene);
    fall_silent(scene);
    scene->listener.went(scene->listener.context, &scene->robot.source);
    assert_int_equal(uv_run(&scene->loop, UV_RUN_NOWAIT) >= 0, 1);
    WAIT_FOR(scene, captures() == 1);
    switch_off(scene);
    switch_and_settle(scene, true);
    WAIT_FOR(scene, captures() == 2);
    assert_false(is_finished(0));
    assert_false(is_finished(1));
    free_scene(scene);
}

static void test_whatever_the_sources_tell_is_passed_on(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    for (unsigned on = 0; on < 2; on++) {
        struct scene *scene = open_scene_with("good", on != 0, 3600, 3600);
        come(scene, hen_schema());
        tick(scene);
        meet_obstacle(scene);
        fall_silent(scene);
        scene->listener.went(scene->listener.context, &scene->robot.source);
        const unsigned expected[] = {1, 1, 2, 2, 2};
        assert_memory_equal(scene->passed, expected, sizeof expected);
        free_scene(scene);
    }
}

static void test_a_switch_that_is_played_with_is_told_seldom(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene("good");
    for (unsigned i = 0; i < 5001; i++) {
        speaker_switch(scene->speaker, i % 2 == 0);
        uv_run(&scene->loop, UV_RUN_NOWAIT);
    }
    assert_true(speaker_view(scene->speaker).on);
    assert_true(scene->told < 2500);
    WAIT_FOR(scene, captures() > 0);
    come(scene, hen_schema());
    tick(scene);
    switch_and_settle(scene, false);
    switch_and_settle(scene, true);
    unsigned before = captures();
    /* It may still be about to look for the device: calls made before that are dropped. */
    WAIT_FOR(scene, (usleep(20000), meet_obstacle(scene), captures() > before + 1));
    free_scene(scene);
}

/* ---- devices that fail ---- */

static void test_no_device_is_told_with_a_reason(void **state) {
    (void)state;
    alsa_configure(ALSA_GOOD, alsa_directory);
    struct scene *scene = open_scene_with("absent", true, 3600, 3600);
    WAIT_FOR_STATE(scene, "no-device");
    struct speaker_view view = speaker_view(scene->speaker);
    assert_true(view.on);
    assert_non_null(strstr(view.reason, "\"absent\""));
    assert_non_null(strstr(view.reason, "none of that name"));
    speaker_switch(scene->speaker, false);
    assert_string_equal(state_of(scene), "off");
    free_scene(scene);
}

static void test_a_device_that_comes_is_found(void **state) {
    (void)state;
    alsa_configure("pcm.null { type null }\n");
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    speaker_switch(scene->speaker, true);
    WAIT_FOR_STATE(scene, "no-device");
    meet_obstacle(scene);
    alsa_configure(ALSA_GOOD, alsa_directory);
    WAIT_FOR_STATE(scene, "on");
    assert_string_equal(speaker_view(scene->speaker).reason, "");
    fall_silent(scene);
    expect_call(scene, 1, CHICKEN_ALARM);
    free_scene(scene);
}

static void test_a_device_that_vanishes_while_it_plays_comes_back(void **state) {
    (void)state;
    char type[400];
    alsa_moody_type(type, sizeof type);
    alsa_configure("%s\npcm.good { type moody moods \"...d\" }\n", type);
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    switch_and_settle(scene, true);
    WAIT_FOR(scene, (usleep(20000), meet_obstacle(scene), strcmp(state_of(scene), "on") != 0));
    assert_non_null(strstr(speaker_view(scene->speaker).reason, "not any more"));
    alsa_configure(ALSA_GOOD, alsa_directory);
    WAIT_FOR_STATE(scene, "on");
    fall_silent(scene);
    expect_call(scene, 1, CHICKEN_ALARM);
    free_scene(scene);
}

/* What is written to standard error goes to a file from now on; returns where it went before. */
static int listen_to_errors(void) {
    int before = dup(STDERR_FILENO);
    int file = open(alsa_path("said"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(before >= 0 && file >= 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    close(file);
    return before;
}

static unsigned count_said(const char *words) {
    char text[4096] = "";
    unsigned count = 0;
    FILE *file = fopen(alsa_path("said"), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static void fail_again(struct scene *scene) {
    WAIT_FOR_STATE(scene, "on");
    WAIT_FOR(scene, (usleep(20000), meet_obstacle(scene), strcmp(state_of(scene), "on") != 0));
}

/* That it can be opened says nothing. */
static void test_a_device_that_never_plays_is_complained_about_once(void **state) {
    (void)state;
    char type[400];
    alsa_moody_type(type, sizeof type);
    alsa_configure("%s\npcm.good { type moody moods \"...e\" }\n", type);
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    int before = listen_to_errors();
    switch_and_settle(scene, true);
    for (unsigned i = 0; i < 3; i++)
        fail_again(scene);
    unsigned complaints = count_said("no sound device");
    unsigned consolations = count_said("is back");
    alsa_configure(ALSA_GOOD, alsa_directory);
    WAIT_FOR_STATE(scene, "on");
    WAIT_FOR(scene, (usleep(20000), meet_obstacle(scene), captures() > 2));
    switch_and_settle(scene, false);
    unsigned consolations_later = count_said("is back");
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(complaints, 1);
    assert_int_equal(consolations, 0);
    assert_int_equal(consolations_later, 1);
    free_scene(scene);
}

/* A device whose driver does not return: the file plugin writing to a FIFO that nobody reads. */
static int open_blocking_device(void) {
    alsa_configure("pcm.null { type null }\n"
                   "pcm.good { type file slave.pcm null file \"%s/fifo\" format raw }\n",
                   alsa_directory);
    assert_int_equal(mkfifo(alsa_path("fifo"), 0600), 0);
    int fifo = open(alsa_path("fifo"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(fifo >= 0);
    assert_true(fcntl(fifo, F_SETPIPE_SZ, 4096) >= 0);
    return fifo;
}

static void read_all(int fifo) {
    char bytes[4096];
    while (read(fifo, bytes, sizeof bytes) > 0)
        continue;
}

/* The thread that was left behind comes back after all, and ends by itself. Then nobody writes to
 * the FIFO any more: alsa-lib's file plugin aborts where its reader has gone. */
static void let_go(int fifo, unsigned threads_before) {
    while (threads() > threads_before) {
        read_all(fifo);
        usleep(1000);
    }
    close(fifo);
}

static void test_a_device_that_blocks_holds_nobody_up(void **state) {
    (void)state;
    unsigned before = threads();
    int fifo = open_blocking_device();
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    switch_and_settle(scene, true);
    unsigned turns = 0;
    WAIT_FOR(scene, (turns++, fall_silent(scene), tick(scene), meet_obstacle(scene),
                     strcmp(state_of(scene), "on") != 0));
    assert_string_equal(state_of(scene), "no-device");
    assert_string_equal(speaker_view(scene->speaker).reason, "the sound device blocks");
    assert_true(turns > 100);
    assert_true(scene->passed[3] >= turns);
    /* It lets go. */
    WAIT_FOR(scene, (read_all(fifo), strcmp(state_of(scene), "on") == 0));
    switch_and_settle(scene, false);
    (void)close_scene(scene);
    let_go(fifo, before);
}

/* A robot that stops gives alarm once, and then nothing more is asked of the device. */
static void test_a_device_that_blocks_is_noticed_though_nothing_more_is_asked(void **state) {
    (void)state;
    unsigned before = threads();
    int fifo = open_blocking_device();
    struct scene *scene = open_scene("good");
    come(scene, hen_schema());
    tick(scene);
    switch_and_settle(scene, true);
    WAIT_FOR_STATE(scene, "on");
    fall_silent(scene);
    WAIT_FOR_STATE(scene, "no-device");
    assert_string_equal(speaker_view(scene->speaker).reason, "the sound device blocks");
    WAIT_FOR(scene, (read_all(fifo), strcmp(state_of(scene), "on") == 0));
    switch_and_settle(scene, false);
    (void)close_scene(scene);
    let_go(fifo, before);
}

struct loudness {
    size_t tones;
    size_t others; /* neither the file's nor silence */
};

static void listen_to(int fifo, struct loudness *loudness) {
    short samples[2048];
    ssize_t bytes;
    while ((bytes = read(fifo, samples, sizeof samples)) > 0)
        for (size_t i = 0; i < (size_t)bytes / sizeof samples[0]; i++) {
            loudness->tones += samples[i] >= TONE - 1 && samples[i] <= TONE + 1;
            loudness->others += abs(samples[i]) > 2 * TONE;
        }
}

static void test_an_alarm_does_not_wait_for_a_long_cluck(void **state) {
    (void)state;
    unsigned before = threads();
    int fifo = open_blocking_device();
    write_tone(alsa_path("cluck.wav"), 9);
    struct player player;
    struct player_report report = {.heard = 0};
    struct loudness loudness = {.tones = 0};
    const struct player_options options = {
        .device = "good", .directory = alsa_directory, .volume = 1, .seed = 1};
    assert_int_equal(player_start(&player, &options), 0);
    assert_true(player_switch(&player, true));
    while (!report.has_device) {
        (void)player_read(&player, &report);
        usleep(1000);
    }
    assert_true(player_play(&player, CHICKEN_CLUCK));
    /* It blocks in the middle of it. */
    while (loudness.tones < TONE_HZ / 4) {
        char some[512];
        if (read(fifo, some, sizeof some) > 0)
            loudness.tones += sizeof some / sizeof(short);
        usleep(1000);
    }
    assert_true(player_play(&player, CHICKEN_CLUCK));
    assert_true(player_play(&player, CHICKEN_ALARM));
    while (loudness.others == 0) {
        listen_to(fifo, &loudness);
        usleep(1000);
    }
    assert_true(loudness.tones < (size_t)8 * TONE_HZ);
    (void)player_stop(&player); /* it may be waiting for the FIFO's reader again */
    let_go(fifo, before);
}

static void test_a_player_that_is_stuck_is_left_behind(void **state) {
    (void)state;
    struct player player;
    int fifo = open_blocking_device();
    const struct player_options options = {.device = "good", .volume = 1, .seed = 1};
    unsigned before = threads();
    assert_int_equal(player_start(&player, &options), 0);
    assert_true(player_switch(&player, true));
    struct player_report report = {.heard = 0};
    while (!report.has_device) {
        (void)player_read(&player, &report);
        usleep(1000);
    }
    assert_true(player_play(&player, CHICKEN_ALARM));
    /* Once it blocks, what it does not hear is bounded. */
    unsigned asked = 0;
    while (player.unheard < PLAYER_UNHEARD_MAX) {
        assert_true(player_play(&player, CHICKEN_CLUCK));
        assert_true(++asked < 100000);
        while (player_read(&player, &report))
            continue;
        usleep(1000);
    }
    assert_false(player_play(&player, CHICKEN_CLUCK));
    assert_true(player_switch(&player, false));
    assert_false(player_switch(&player, true));
    assert_false(player_stop(&player));
    assert_int_equal(threads(), before + 1);
    assert_true(player_stop(&player));
    let_go(fifo, before);
}

static void test_a_player_that_is_off_plays_nothing_and_ends(void **state) {
    (void)state;
    struct player player;
    alsa_configure(ALSA_GOOD, alsa_directory);
    const struct player_options options = {.device = "good", .volume = 1, .seed = 1};
    assert_int_equal(player_start(&player, &options), 0);
    assert_true(player_play(&player, CHICKEN_ALARM));
    struct player_report report = {.heard = 0};
    while (player.unheard > 0) {
        (void)player_read(&player, &report);
        usleep(1000);
    }
    assert_true(player_stop(&player));
    assert_int_equal(captures(), 0);
}

static int forget_place(void **state) {
    return alsa_empty_place(state);
}

int main(void) {
#define CLEANED(test) cmocka_unit_test_teardown(test, forget_place)
    const struct CMUnitTest tests[] = {
        CLEANED(test_it_is_off_at_first_and_costs_no_thread),
        CLEANED(test_no_speaker_is_one_that_is_off),
        CLEANED(test_what_the_robot_does_is_heard),
        CLEANED(test_it_clucks_while_it_wanders),
        CLEANED(test_a_source_that_goes_while_live_is_an_alarm),
        CLEANED(test_off_is_silent_and_on_again_knows_no_old_news),
        CLEANED(test_no_two_are_alike_after_off_and_on_either),
        CLEANED(test_the_users_files_are_played),
        CLEANED(test_what_happens_while_it_is_being_switched_on_is_heard),
        CLEANED(test_the_devices_fault_is_not_the_files),
        CLEANED(test_without_its_directory_the_synthesiser_plays),
        CLEANED(test_other_sources_make_no_sound),
        CLEANED(test_whatever_the_sources_tell_is_passed_on),
        CLEANED(test_a_switch_that_is_played_with_is_told_seldom),
        CLEANED(test_no_device_is_told_with_a_reason),
        CLEANED(test_a_device_that_comes_is_found),
        CLEANED(test_a_device_that_vanishes_while_it_plays_comes_back),
        CLEANED(test_a_device_that_never_plays_is_complained_about_once),
        CLEANED(test_a_device_that_blocks_holds_nobody_up),
        CLEANED(test_a_device_that_blocks_is_noticed_though_nothing_more_is_asked),
        CLEANED(test_an_alarm_does_not_wait_for_a_long_cluck),
        CLEANED(test_a_player_that_is_off_plays_nothing_and_ends),
        CLEANED(test_a_player_that_is_stuck_is_left_behind),
    };
    return cmocka_run_group_tests(tests, alsa_make_place, alsa_remove_place);
}
