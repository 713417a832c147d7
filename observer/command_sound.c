#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alsa.h"
#include "clips.h"
#include "clock.h"
#include "command.h"

static void complain(void *context, const char *sentence) {
    (void)context;
    (void)fprintf(stderr, "%s\n", sentence);
}

static void name_device(void *context, const char *name) {
    unsigned *told = context;
    if (strcmp(name, "null") != 0) /* it plays to nobody */
        (void)fprintf(stderr, "%s%s", (*told)++ == 0 ? "there are: " : ", ", name);
}

static int explain(const struct options *options, int error) {
    unsigned told = 0;
    (void)fprintf(stderr,
                  "no sound device \"%s\": %s; try another: "
                  "omni-observer sound-test --sound-device NAME\n",
                  options->sound_device, alsa_explain(error));
    alsa_devices(name_device, &told);
    (void)fputs(told > 0 ? "\n"
                         : "there is no sound device at all: no sound card, or this user may not "
                           "use it (group audio)\n",
                stderr);
    return EXIT_RUNTIME;
}

/* A folder without such files is more often a slip than a wish. */
static void say_what_is_missing(const struct options *options, const struct clips *clips) {
    if (options->sound_dir == NULL)
        return;
    for (unsigned call = 0; call < CHICKEN_COUNT; call++)
        if (clips_files(clips, (enum chicken)call) == 0)
            (void)fprintf(stderr, "no %s*.wav, .flac, .ogg or .oga in %s: synthesised instead\n",
                          chicken_word((enum chicken)call), options->sound_dir);
}

static void announce(const struct options *options, enum chicken call, const struct clip *clip) {
    double seconds = (double)clip->frames_left / clip->rate_hz;
    if (options->quiet)
        return;
    (void)printf("%-6s  %4.2f s, ", chicken_word(call), seconds);
    if (clip->name != NULL)
        (void)printf("%s: %s\n", clip->name, chicken_prose(call));
    else
        (void)printf("synthesised: %s\n", chicken_prose(call));
    (void)fflush(stdout);
}

/* Returns what the program ends with. */
static int play(const struct options *options, struct clips *clips, const struct alsa *alsa,
                enum chicken call) {
    struct clip clip;
    if (clips_take(clips, call, &clip) < 0) {
        (void)fputs("there is no memory for a sound\n", stderr);
        return EXIT_RUNTIME;
    }
    announce(options, call, &clip);
    int error = alsa_play(alsa, &clip);
    bool is_the_files = error == -EINVAL && clip.name != NULL;
    if (is_the_files)
        clips_reject(clips, call, &clip, alsa_explain(error));
    clip_close(&clip);
    if (error == 0)
        return EXIT_DONE;
    return is_the_files ? EXIT_RUNTIME : explain(options, error);
}

static int play_all(const struct options *options, struct clips *clips, const struct alsa *alsa) {
    int code = EXIT_DONE;
    for (unsigned call = 0; call < CHICKEN_COUNT && code == EXIT_DONE; call++)
        code = play(options, clips, alsa, (enum chicken)call);
    return code;
}

static int explain_directory(const struct options *options, int error) {
    if (options->sound_dir == NULL)
        (void)fputs("there is no memory for sounds\n", stderr);
    else
        (void)fprintf(stderr, "cannot read the directory %s: %s; choose another: --sound-dir DIR\n",
                      options->sound_dir, strerror(-error));
    return options->sound_dir == NULL ? EXIT_RUNTIME : EXIT_USAGE;
}

int command_sound_test(const struct options *options) {
    struct clips *clips = NULL;
    int error = clips_open(&clips, options->sound_dir, clock_now_ns(), complain, NULL);
    if (error < 0)
        return explain_directory(options, error);
    alsa_hush();
    const struct alsa alsa = {.device = options->sound_device,
                              .volume = (float)options->sound_volume / 100};
    if (!options->quiet)
        (void)printf("through \"%s\" at %u %%:\n", options->sound_device, options->sound_volume);
    say_what_is_missing(options, clips);
    error = alsa_probe(&alsa);
    int code = error < 0 ? explain(options, error) : play_all(options, clips, &alsa);
    clips_close(clips);
    alsa_forget();
    return fflush(stdout) == 0 ? code : EXIT_RUNTIME;
}
