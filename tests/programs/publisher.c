/*
 * publisher.c - publishes made-up sources whose every value follows from the tick's number
 *
 *     publisher --name NAME [--layout a|b|hostile] [--period MICROSECONDS] [--directory DIR]
 *               [--region ADDRESS] [--ticks N] [--first-version N] [--farewell N] [--slots N]
 *               [--wall-steps] [--certain-wake] [--no-period]
 *
 * So a test knows what a page must show at tick 1,234. Layout `a` has one field of every kind, `b`
 * is another robot with the same name, `hostile` has markup wherever words may stand. Prints
 * "publishing" once the segment is there. SIGTERM closes it, with --farewell after N more ticks that
 * come all at once; after --ticks N it stays, silent. With --wall-steps its stamps are those of a
 * machine whose wall clock is set while it runs: right at first, from tick 40 on an hour behind, from
 * tick 80 on a year ahead, from tick 120 on right again, and so on.
 * With --no-period its ticks come as often, but it promises none.
 */
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <omni/publish.h>

#define MODES(LABEL) LABEL(MODE_FILLING, "filling") LABEL(MODE_DRAINING, "draining")
#define PLAIN(FIELD)                                                                               \
    FIELD(number, u64, counter, "", 0, NAN, "The tick's number")                                   \
    FIELD(number, u64, countdown, "", NAN, NAN, "2^64 - 1 less the tick's number")                 \
    FIELD(number, f64, level, "l", 0, 100, "The tick's number in tenths, modulo 100")              \
    FIELD(numbers, f32, temperature, 2, "°C", -40, 60, "Tick modulo 50, and its negative half")    \
    FIELD(number, f32, broken, "V", 0, 5, "A probe that is not connected")                         \
    FIELD(number, i16, hot, "K", 0, 300, "Always too hot")                                         \
    FIELD(numbers, u16, spectrum, 40, "dB", 0, 1000, "Tick plus index, modulo 1000")               \
    FIELD(text, motto, 32, "Who speaks")                                                           \
    FIELD(choice, mode, MODES, "Changes every 50 ticks")                                           \
    FIELD(flag, leaking, "Changes every 25 ticks")
OMNI_ENUM(plain_mode, MODES)
OMNI_STATUS(plain, PLAIN)

#define OTHER(FIELD)                                                                               \
    FIELD(number, f64, depth, "m", 0, 11000, "The tick's number, modulo 11000")                    \
    FIELD(flag, pump, "Changes every tick")
OMNI_STATUS(other, OTHER)

#define MARKUP "<img src=x onerror=\"document.title='owned'\">"
#define EVIL_MODES(LABEL)                                                                          \
    LABEL(EVIL_SCRIPT, "<script>document.title='owned'</script>") LABEL(EVIL_IMAGE, MARKUP)
#define HOSTILE(FIELD)                                                                             \
    FIELD(number, f64, constructor, "<b>m</b>", 0, 100, MARKUP)                                    \
    FIELD(number, f64, __proto__, "\"'&lt;", 0, 100, "&lt;i&gt;")                                  \
    FIELD(text, words, 64, "</dd></dl>" MARKUP)                                                    \
    FIELD(choice, evil, EVIL_MODES, "javascript:alert(1)")
OMNI_ENUM(hostile_mode, EVIL_MODES)
OMNI_STATUS(hostile, HOSTILE)

union any_status {
    struct plain plain;
    struct other other;
    struct hostile hostile;
};

static void fill_plain(union any_status *status, uint64_t tick) {
    struct plain *plain = &status->plain;
    const float degrees = (float)(tick % 50);
    plain->counter = tick;
    plain->countdown = UINT64_MAX - tick;
    plain->level = (double)(tick % 1000) / 10;
    plain->temperature[0] = degrees;
    plain->temperature[1] = -degrees / 2;
    plain->broken = NAN;
    plain->hot = 340;
    for (unsigned i = 0; i < 40; i++)
        plain->spectrum[i] = (uint16_t)((tick + i) % 1000);
    memcpy(plain->motto, "grüezi", sizeof "grüezi");
    plain->mode = tick / 50 % 2 ? MODE_DRAINING : MODE_FILLING;
    plain->leaking = tick / 25 % 2;
}

static void fill_other(union any_status *status, uint64_t tick) {
    status->other.depth = (double)(tick % 11000);
    status->other.pump = tick % 2;
}

static void fill_hostile(union any_status *status, uint64_t tick) {
    status->hostile.constructor = (double)(tick % 100);
    status->hostile.__proto__ = (double)(tick % 100);
    memcpy(status->hostile.words, MARKUP, sizeof MARKUP);
    status->hostile.evil = tick / 50 % 2 ? EVIL_SCRIPT : EVIL_IMAGE;
}

static const struct layout {
    const char *name;
    const struct omni_schema *(*schema)(void);
    void (*fill)(union any_status *status, uint64_t tick);
} layouts[] = {
    {"a", plain_schema, fill_plain},
    {"b", other_schema, fill_other},
    {"hostile", hostile_schema, fill_hostile},
};

struct settings {
    const char *name;
    const char *directory;
    const char *region;
    const struct layout *layout;
    uint64_t period_ns;
    uint64_t ticks;
    uint64_t farewell;
    uint32_t slots;
    uint32_t first_version;
    bool wall_steps;
    bool certain_wake;
    bool no_period;
};

static const struct layout *find_layout(const char *name) {
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (strcmp(layouts[i].name, name) == 0)
            return &layouts[i];
    fprintf(stderr, "no layout \"%s\"; there are: a, b, hostile\n", name);
    exit(2);
}

static struct settings read_settings(int count, char **words) {
    static const struct option options[] = {{"name", required_argument, NULL, 'n'},
                                            {"directory", required_argument, NULL, 'd'},
                                            {"region", required_argument, NULL, 'r'},
                                            {"layout", required_argument, NULL, 'l'},
                                            {"period", required_argument, NULL, 'p'},
                                            {"ticks", required_argument, NULL, 't'},
                                            {"first-version", required_argument, NULL, 'f'},
                                            {"farewell", required_argument, NULL, 'e'},
                                            {"slots", required_argument, NULL, 's'},
                                            {"wall-steps", no_argument, NULL, 'w'},
                                            {"certain-wake", no_argument, NULL, 'c'},
                                            {"no-period", no_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {.layout = &layouts[0], .period_ns = 10000000, .ticks = UINT64_MAX};
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        if (option == 'n')
            settings.name = optarg;
        else if (option == 'd')
            settings.directory = optarg;
        else if (option == 'r')
            settings.region = optarg;
        else if (option == 'l')
            settings.layout = find_layout(optarg);
        else if (option == 'p')
            settings.period_ns = strtoull(optarg, NULL, 10) * 1000;
        else if (option == 't')
            settings.ticks = strtoull(optarg, NULL, 10);
        else if (option == 'f')
            settings.first_version = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'e')
            settings.farewell = strtoull(optarg, NULL, 10);
        else if (option == 's')
            settings.slots = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'w')
            settings.wall_steps = true;
        else if (option == 'c')
            settings.certain_wake = true;
        else if (option == 'o')
            settings.no_period = true;
        else
            exit(2);
    }
    if (!settings.name) {
        fprintf(stderr, "which name? give --name NAME\n");
        exit(2);
    }
    return settings;
}

static struct omni_time stamp(const struct settings *settings, uint64_t tick) {
    static const int64_t seconds[] = {0, -3600, 31536000};
    struct omni_time time = omni_time_now();
    if (settings->wall_steps)
        time.wall_ns += (uint64_t)(seconds[tick / 40 % 3] * 1000000000);
    return time;
}

static void publish_tick(struct omni_publisher *publisher, const struct settings *settings) {
    uint64_t tick = omni_publisher_tick(publisher) + 1;
    union any_status status = {0};
    settings->layout->fill(&status, tick);
    omni_publish_at(publisher, &status, stamp(settings, tick));
}

/* Until SIGTERM or SIGINT, which `ends` holds. */
static void publish_ticks(struct omni_publisher *publisher, const struct settings *settings,
                          const sigset_t *ends) {
    const struct timespec period = {.tv_sec = (time_t)(settings->period_ns / 1000000000),
                                    .tv_nsec = (long)(settings->period_ns % 1000000000)};
    int signal;
    while (omni_publisher_tick(publisher) < settings->ticks) {
        publish_tick(publisher, settings);
        if (sigtimedwait(ends, NULL, &period) > 0)
            return;
    }
    sigwait(ends, &signal);
}

int main(int count, char **words) {
    const struct settings settings = read_settings(count, words);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    const struct omni_publisher_options options = {.directory = settings.directory,
                                                   .region = settings.region,
                                                   .period_ns =
                                                       settings.no_period ? 0 : settings.period_ns,
                                                   .slot_count = settings.slots,
                                                   .first_version = settings.first_version,
                                                   .certain_wake = settings.certain_wake};
    struct omni_publisher *publisher;
    struct omni_problem problem;
    if (omni_publisher_open(&publisher, settings.name, settings.layout->schema(), &options,
                            &problem) < 0) {
        fprintf(stderr, "%s\n", problem.text);
        return 2;
    }
    puts("publishing");
    fflush(stdout);
    publish_ticks(publisher, &settings, &ends);
    for (uint64_t i = 0; i < settings.farewell; i++)
        publish_tick(publisher, &settings);
    omni_publisher_close(publisher);
    return 0;
}
