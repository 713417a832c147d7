#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "service/prose.h"
#include "service/spelling.h"

#define HELP_HINT "try: omni-robot --help"

#define OPTION_NAME_BYTES 32

enum kind { KIND_number, KIND_text, KIND_flag };

struct rule {
    const char *member;
    const char *argument;
    const char *prose;
    size_t offset;
    uint64_t low;
    uint64_t high;
    enum kind kind;
};

#define RULE(kind_, member_, argument_, preset_, low_, high_, prose_)                              \
    {.member = #member_,                                                                           \
     .argument = (argument_),                                                                      \
     .prose = (prose_),                                                                            \
     .offset = offsetof(struct options, member_),                                                  \
     .low = (low_),                                                                                \
     .high = (high_),                                                                              \
     .kind = KIND_##kind_},
static const struct rule rules[] = {OPTIONS(RULE)};

enum { RULES = sizeof rules / sizeof rules[0] };

#define PRESET(kind, member, argument, preset, low, high, prose) .member = (preset),
static const struct options presets = {OPTIONS(PRESET)};

static int complain(struct omni_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int complain(struct omni_problem *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* "tick_hz" → "tick-hz" */
static void option_name(char name[OPTION_NAME_BYTES], const struct rule *rule) {
    (void)snprintf(name, OPTION_NAME_BYTES, "%s", rule->member);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '_')
            *c = '-';
    }
}

/* ---- values -----------------------------------------------------------------------------------
 */

typedef int set_function(void *member, const struct rule *rule, const char *text);

static int set_number(void *member, const struct rule *rule, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    /* strtoull takes blanks and signs, and makes -1 a large number. */
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < rule->low ||
        value > rule->high)
        return -EINVAL;
    *(uint64_t *)member = value;
    return 0;
}

static int set_text(void *member, const struct rule *rule, const char *text) {
    (void)rule;
    if (text[0] == '\0')
        return -EINVAL;
    *(const char **)member = text;
    return 0;
}

static int set_flag(void *member, const struct rule *rule, const char *text) {
    (void)rule;
    (void)text;
    *(bool *)member = true;
    return 0;
}

static set_function *const setters[] = {
    [KIND_number] = set_number,
    [KIND_text] = set_text,
    [KIND_flag] = set_flag,
};

static int complain_of_value(struct omni_problem *problem, const struct rule *rule,
                             const char *text) {
    char name[OPTION_NAME_BYTES];
    option_name(name, rule);
    if (rule->kind == KIND_text)
        return complain(problem, "--%s needs a value that is not empty; " HELP_HINT, name);
    return complain(problem, "--%s %.40s: not a whole number from %llu to %llu; " HELP_HINT, name,
                    text, (unsigned long long)rule->low, (unsigned long long)rule->high);
}

static int set(struct options *options, const struct rule *rule, const char *text,
               struct omni_problem *problem) {
    void *member = (char *)options + rule->offset;
    if (setters[rule->kind](member, rule, text) < 0)
        return complain_of_value(problem, rule, text);
    return 0;
}

/* ---- the command line ---- */

/* Beyond what getopt_long() says itself. Each rule has its own: it takes an abbreviation of several
 * options that are alike for the first of them. */
#define FIRST_RULE 256

/* What getopt_long() wants, made from the rules. */
struct long_options {
    struct option option[RULES + 1];
    char name[RULES][OPTION_NAME_BYTES];
};

static void make_long_options(struct long_options *made) {
    memset(made, 0, sizeof *made);
    for (int i = 0; i < RULES; i++) {
        option_name(made->name[i], &rules[i]);
        made->option[i].name = made->name[i];
        made->option[i].has_arg = rules[i].argument != NULL ? required_argument : no_argument;
        made->option[i].val = FIRST_RULE + i;
    }
}

/* Of several that begin with it, getopt_long() takes none: they are named. */
static size_t list_beginning(char *list, size_t size, const char *word) {
    size_t found = 0;
    size_t used = 0;
    list[0] = '\0';
    for (size_t i = 0; i < RULES && used < size; i++) {
        char name[OPTION_NAME_BYTES];
        option_name(name, &rules[i]);
        if (word[0] == '\0' || strncmp(name, word, strlen(word)) != 0)
            continue;
        used += (size_t)snprintf(list + used, size - used, "%s--%s", found > 0 ? ", " : "", name);
        found++;
    }
    return found;
}

static bool find_nearest(char nearest[OPTION_NAME_BYTES], const char *word) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < RULES; i++) {
        char name[OPTION_NAME_BYTES];
        option_name(name, &rules[i]);
        size_t distance = spelling_distance(word, name);
        if (distance < best)
            (void)snprintf(nearest, OPTION_NAME_BYTES, "%s", name);
        best = distance < best ? distance : best;
    }
    return spelling_is_near(best, word);
}

static bool is_option(const char *word) {
    char nearest[OPTION_NAME_BYTES];
    return find_nearest(nearest, word) && strcmp(nearest, word) == 0;
}

static int complain_of_unknown(struct omni_problem *problem, const char *typed) {
    char word[2 * OPTION_NAME_BYTES];
    char nearest[OPTION_NAME_BYTES];
    char list[160];
    if (strncmp(typed, "--", 2) != 0)
        return complain(problem, "%.40s: no such option, they begin with --; " HELP_HINT, typed);
    (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(typed + 2, "="), typed + 2);
    if (is_option(word))
        return complain(problem, "%.40s: --%s takes no value; " HELP_HINT, typed, word);
    if (list_beginning(list, sizeof list, word) > 1)
        return complain(problem, "%.40s: no such option; there are %s; " HELP_HINT, typed, list);
    if (find_nearest(nearest, word))
        return complain(problem, "%.40s: no such option; did you mean --%s? " HELP_HINT, typed,
                        nearest);
    return complain(problem, "%.40s: no such option; " HELP_HINT, typed);
}

static int parse_line(struct options *options, int argc, char **argv,
                      struct omni_problem *problem) {
    struct long_options known;
    make_long_options(&known);
    int answer;
    opterr = 0;
    optind = 0; /* glibc: begin anew, whatever was parsed before */
    while ((answer = getopt_long(argc, argv, ":", known.option, NULL)) != -1) {
        if (answer == ':')
            return complain(problem, "%.60s needs a value; " HELP_HINT, argv[optind - 1]);
        if (answer < FIRST_RULE)
            return complain_of_unknown(problem, argv[optind - 1]);
        int error = set(options, &rules[answer - FIRST_RULE], optarg, problem);
        if (error < 0)
            return error;
    }
    if (optind < argc)
        return complain(problem, "%.60s: not understood, options begin with --; " HELP_HINT,
                        argv[optind]);
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct omni_problem *problem) {
    struct options parsed = presets;
    const char *directory = getenv("OMNI_DIRECTORY");
    if (directory != NULL && directory[0] != '\0')
        parsed.directory = directory;
    int error = parse_line(&parsed, argc, argv, problem);
    if (error < 0)
        return error;
    *options = parsed;
    return 0;
}

/* ---- help -------------------------------------------------------------------------------------
 */

enum { HELP_INDENT = 25 };

static void describe_preset(char text[80], const struct rule *rule) {
    const void *member = (const char *)&presets + rule->offset;
    const char *preset = rule->kind == KIND_text ? *(const char *const *)member : NULL;
    text[0] = '\0';
    if (rule->kind == KIND_number)
        (void)snprintf(text, 80, " (default %llu)", (unsigned long long)*(const uint64_t *)member);
    else if (preset != NULL && preset[0] != '\0')
        (void)snprintf(text, 80, " (default %s)", preset);
}

static void print_rule(FILE *file, const struct rule *rule) {
    char name[OPTION_NAME_BYTES];
    char left[64];
    char preset[80];
    char prose[512];
    option_name(name, rule);
    describe_preset(preset, rule);
    (void)snprintf(left, sizeof left, "  --%s %s", name,
                   rule->argument != NULL ? rule->argument : "");
    (void)snprintf(prose, sizeof prose, "%s%s", rule->prose, preset);
    (void)fprintf(file, "%-*s", HELP_INDENT, left);
    prose_print(file, HELP_INDENT, prose);
}

void options_print_help(FILE *file) {
    (void)fputs("omni-robot: a three-wheeled robot that publishes its status once per tick.\n"
                "Usage: omni-robot [OPTION...]\n\n",
                file);
    for (int i = 0; i < RULES; i++)
        print_rule(file, &rules[i]);
    (void)fputs("\nSIGINT, SIGTERM and SIGHUP stop the motors, publish a last status and end it.\n"
                "Exit status: 0 stopped; 1 the board failed, or another publisher took the\n"
                "region over, or --self-test found something missing; 2 it could not start.\n",
                file);
}
