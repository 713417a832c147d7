#include "clips.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sndfile.h>

#include "dice.h"
#include "library.h"

enum { RATE_LEAST_HZ = 8000, RATE_MOST_HZ = 192000, CHANNELS_MOST = 2, MAGIC_BYTES = 4 };

/* ---- libsndfile ---- */

#ifndef CLIPS_LIBRARY
#define CLIPS_LIBRARY "libsndfile.so.1"
#endif

/* X(name): what is used of it. */
#define LIBRARY_FUNCTIONS(X) X(sf_open_fd) X(sf_readf_float) X(sf_close) X(sf_version_string)

struct functions {
    LIBRARY_FUNCTIONS(LIBRARY_POINTER)
};

static const char *const names[] = {LIBRARY_FUNCTIONS(LIBRARY_NAME) NULL};

static void *load(struct functions *functions) {
    return library_open(CLIPS_LIBRARY, names, functions);
}

bool clips_library_version(char *version, size_t size) {
    struct functions functions;
    void *library = load(&functions);
    if (library == NULL)
        return false;
    (void)snprintf(version, size, "%s", functions.sf_version_string());
    library_close(library);
    return true;
}

/* ---- one file ---- */

struct clip_file {
    void *library; /* NULL: not loaded */
    struct functions functions;
    SNDFILE *sound;
    int descriptor;
};

/* libsndfile knows dozens of formats; only these three are let near it. */
static const struct {
    char magic[MAGIC_BYTES + 1];
    int format;
} formats[] = {
    {"RIFF", SF_FORMAT_WAV},  {"RIFF", SF_FORMAT_WAVEX}, {"RF64", SF_FORMAT_RF64},
    {"fLaC", SF_FORMAT_FLAC}, {"OggS", SF_FORMAT_OGG},
};

static bool is_known(const char *magic, int format) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (memcmp(formats[i].magic, magic, MAGIC_BYTES) == 0 &&
            (format == 0 || formats[i].format == (format & SF_FORMAT_TYPEMASK)))
            return true;
    return false;
}

static int refuse(const char **why, const char *reason) {
    *why = reason;
    return -EINVAL;
}

/* Leaves the place at which the file is read next where it was. */
static int check_file(int file, char magic[MAGIC_BYTES], const char **why) {
    struct stat facts;
    if (fstat(file, &facts) < 0 || !S_ISREG(facts.st_mode))
        return refuse(why, "it is not a regular file");
    if (facts.st_size > CLIPS_FILE_BYTES_MAX)
        return refuse(why, "it is larger than 64 MiB");
    if (pread(file, magic, MAGIC_BYTES, 0) != MAGIC_BYTES || !is_known(magic, 0))
        return refuse(why, "it is neither WAV nor FLAC nor OGG");
    return 0;
}

static int check_sound(const SF_INFO *info, const char magic[MAGIC_BYTES], const char **why) {
    if (!is_known(magic, info->format))
        return refuse(why, "it is neither WAV nor FLAC nor OGG");
    if (info->channels < 1 || info->channels > CHANNELS_MOST)
        return refuse(why, "it has more than two channels");
    if (info->samplerate < RATE_LEAST_HZ || info->samplerate > RATE_MOST_HZ)
        return refuse(why, "its rate is not between 8,000 and 192,000 Hz");
    if (info->frames <= 0)
        return refuse(why, "there is no sound in it");
    return 0;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static void free_file(struct clip_file *file) {
    if (file->sound != NULL)
        (void)file->functions.sf_close(file->sound);
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    library_close(file->library);
    free(file);
}

/* Looks before it opens: with some devices opening is doing. Without O_NONBLOCK a FIFO that took the
 * file's place in between would be waited for. */
static int open_regular(const char *path, const char **why) {
    struct stat facts;
    bool is_there = stat(path, &facts) == 0;
    if (is_there && !S_ISREG(facts.st_mode))
        return refuse(why, "it is not a regular file");
    int file = is_there ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
    int error = -errno;
    if (file >= 0)
        return file;
    *why = strerrordesc_np(-error);
    return error;
}

static int open_sound(struct clip_file *file, const char *path, SF_INFO *info, const char **why) {
    char magic[MAGIC_BYTES] = {0};
    if ((file->library = load(&file->functions)) == NULL)
        return refuse(why, CLIPS_LIBRARY " is not installed");
    int error = open_regular(path, why);
    if (error < 0)
        return error;
    file->descriptor = error;
    error = check_file(file->descriptor, magic, why);
    if (error < 0)
        return error;
    file->sound = file->functions.sf_open_fd(file->descriptor, SFM_READ, info, SF_FALSE);
    if (file->sound == NULL)
        return refuse(why, "it is damaged");
    return check_sound(info, magic, why);
}

int clip_open_file(struct clip *clip, const char *path, const char **why) {
    SF_INFO info = {.format = 0};
    struct clip_file *file = calloc(1, sizeof *file);
    *why = "no memory";
    if (file == NULL)
        return -ENOMEM;
    file->descriptor = -1;
    int error = open_sound(file, path, &info, why);
    if (error < 0) {
        free_file(file);
        return error;
    }
    size_t most = (size_t)CLIPS_SECONDS_MAX * (size_t)info.samplerate;
    *clip =
        (struct clip){.rate_hz = (unsigned)info.samplerate,
                      .channels = (unsigned)info.channels,
                      .frames_left = info.frames > (sf_count_t)most ? most : (size_t)info.frames,
                      .file = file};
    return 0;
}

static float tamed(float sample) {
    return isfinite(sample) ? fmaxf(-1, fminf(1, sample)) : 0;
}

static size_t read_file(const struct clip *clip, float *samples, size_t frames) {
    const struct clip_file *file = clip->file;
    sf_count_t got = file->functions.sf_readf_float(file->sound, samples, (sf_count_t)frames);
    size_t taken = got > 0 ? (size_t)got : 0;
    for (size_t i = 0; i < taken * clip->channels; i++)
        samples[i] = tamed(samples[i]);
    return taken;
}

static size_t read_samples(struct clip *clip, float *samples, size_t frames) {
    memcpy(samples, clip->samples + clip->at, frames * sizeof *samples);
    clip->at += frames;
    return frames;
}

size_t clip_read(struct clip *clip, float *samples, size_t frames) {
    size_t wanted = least(frames, clip->frames_left);
    if (wanted == 0)
        return 0;
    size_t got =
        clip->file != NULL ? read_file(clip, samples, wanted) : read_samples(clip, samples, wanted);
    clip->frames_left = got > 0 ? clip->frames_left - got : 0;
    return got;
}

void clip_close(struct clip *clip) {
    if (clip->file != NULL)
        free_file(clip->file);
    free(clip->samples);
    *clip = (struct clip){.file = NULL};
}

/* ---- a directory of them ---- */

struct shelf {
    char *names[CLIPS_FILES_MAX]; /* NULL: was found bad */
    size_t count;
    struct clip ready; /* synthesised ahead; all zero: not yet */
};

struct clips {
    char *directory; /* NULL: none */
    void *library;   /* kept, so that it is not loaded for each file anew */
    struct dice dice;
    clips_complain *complain;
    void *context;
    struct shelf shelves[CHICKEN_COUNT];
};

/* So that nobody's README, backup or picture is taken for a sound. */
static int is_sound_name(const struct dirent *entry) {
    static const char *const ends[] = {".wav", ".flac", ".ogg", ".oga"};
    const char *end = strrchr(entry->d_name, '.');
    for (size_t i = 0; end != NULL && i < sizeof ends / sizeof ends[0]; i++)
        if (strcasecmp(end, ends[i]) == 0)
            return 1;
    return 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static struct shelf *find_shelf(struct clips *clips, const char *name) {
    for (unsigned call = 0; call < CHICKEN_COUNT; call++) {
        const char *word = chicken_word((enum chicken)call);
        if (strncasecmp(name, word, strlen(word)) == 0)
            return &clips->shelves[call];
    }
    return NULL;
}

static int remember(struct clips *clips, const char *name) {
    struct shelf *shelf = find_shelf(clips, name);
    if (shelf == NULL || shelf->count == CLIPS_FILES_MAX)
        return 0;
    shelf->names[shelf->count] = strdup(name);
    if (shelf->names[shelf->count] == NULL)
        return -ENOMEM;
    shelf->count++;
    return 0;
}

/* Sorted: a directory's own order, and with it which ones are beyond CLIPS_FILES_MAX, is another one
 * on every machine. */
static int list_files(struct clips *clips) {
    struct dirent **entries = NULL;
    int count = scandir(clips->directory, &entries, is_sound_name, by_bytes);
    int error = count < 0 ? -errno : 0;
    for (int i = 0; i < count; i++) {
        if (error == 0)
            error = remember(clips, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return error;
}

int clips_open(struct clips **clips, const char *directory, uint64_t seed, clips_complain *complain,
               void *context) {
    struct functions functions;
    struct clips *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->dice = dice_from(seed);
    made->complain = complain;
    made->context = context;
    made->directory = directory != NULL ? strdup(directory) : NULL;
    int error = directory != NULL && made->directory == NULL ? -ENOMEM : 0;
    if (error == 0 && directory != NULL)
        error = list_files(made);
    if (error == 0 && directory != NULL)
        made->library = load(&functions);
    if (error < 0) {
        clips_close(made);
        return error;
    }
    *clips = made;
    return 0;
}

void clips_close(struct clips *clips) {
    if (clips == NULL)
        return;
    for (unsigned call = 0; call < CHICKEN_COUNT; call++) {
        struct shelf *shelf = &clips->shelves[call];
        for (size_t i = 0; i < shelf->count; i++)
            free(shelf->names[i]);
        clip_close(&shelf->ready);
    }
    library_close(clips->library);
    free(clips->directory);
    free(clips);
}

static size_t count_good(const struct shelf *shelf) {
    size_t good = 0;
    for (size_t i = 0; i < shelf->count; i++)
        good += shelf->names[i] != NULL;
    return good;
}

size_t clips_files(const struct clips *clips, enum chicken call) {
    return count_good(&clips->shelves[call]);
}

/* ---- the synthesiser's ---- */

static int synthesise(struct clips *clips, enum chicken call, struct clip *clip) {
    float *room = malloc(CHICKEN_FRAMES_MAX * sizeof *room);
    if (room == NULL)
        return -ENOMEM;
    size_t frames = chicken_render(room, call, dice_bits(&clips->dice));
    float *samples = malloc(frames * sizeof *samples);
    if (samples != NULL) {
        memcpy(samples, room, frames * sizeof *samples);
        *clip = (struct clip){
            .rate_hz = CHICKEN_RATE_HZ, .channels = 1, .frames_left = frames, .samples = samples};
    }
    free(room);
    return samples != NULL ? 0 : -ENOMEM;
}

void clips_prepare(struct clips *clips) {
    for (unsigned call = 0; call < CHICKEN_COUNT; call++) {
        struct shelf *shelf = &clips->shelves[call];
        if (count_good(shelf) == 0 && shelf->ready.samples == NULL)
            (void)synthesise(clips, (enum chicken)call, &shelf->ready);
    }
}

static int take_ready(struct clips *clips, enum chicken call, struct clip *clip) {
    struct shelf *shelf = &clips->shelves[call];
    int error = shelf->ready.samples == NULL ? synthesise(clips, call, &shelf->ready) : 0;
    if (error == 0) {
        *clip = shelf->ready;
        shelf->ready = (struct clip){.file = NULL};
    }
    return error;
}

/* ---- the user's ---- */

static size_t choose(struct clips *clips, const struct shelf *shelf, size_t good) {
    size_t nth = (size_t)(dice_bits(&clips->dice) % good);
    size_t at = 0;
    while (shelf->names[at] == NULL || nth-- > 0)
        at++;
    return at;
}

/* A file may be named by somebody else: no name forges a line, or speaks to a terminal. */
static void tame(char *sentence) {
    for (char *at = sentence; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
}

static void give_up(struct clips *clips, struct shelf *shelf, size_t at, const char *why) {
    char sentence[512];
    (void)snprintf(sentence, sizeof sentence, "cannot play %.200s/%.200s: %s", clips->directory,
                   shelf->names[at], why);
    tame(sentence);
    if (clips->complain != NULL)
        clips->complain(clips->context, sentence);
    free(shelf->names[at]);
    shelf->names[at] = NULL;
}

/* Of this moment, and not of the file. */
static bool is_passing(int error) {
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

static int take_file(struct clips *clips, struct shelf *shelf, size_t at, struct clip *clip) {
    char *path = NULL;
    const char *why;
    if (asprintf(&path, "%s/%s", clips->directory, shelf->names[at]) < 0)
        return -ENOMEM;
    int error = clip_open_file(clip, path, &why);
    free(path);
    if (error == 0)
        clip->name = shelf->names[at];
    else if (!is_passing(error))
        give_up(clips, shelf, at, why);
    return error;
}

int clips_take(struct clips *clips, enum chicken call, struct clip *clip) {
    struct shelf *shelf = &clips->shelves[call];
    int error = 0;
    size_t good;
    while (!is_passing(error) && (good = count_good(shelf)) > 0) {
        error = take_file(clips, shelf, choose(clips, shelf, good), clip);
        if (error == 0)
            return 0;
    }
    return take_ready(clips, call, clip);
}

void clips_reject(struct clips *clips, enum chicken call, struct clip *clip, const char *why) {
    struct shelf *shelf = &clips->shelves[call];
    for (size_t i = 0; i < shelf->count; i++)
        if (clip->name != NULL && shelf->names[i] == clip->name) {
            give_up(clips, shelf, i, why);
            clip->name = NULL;
        }
}
