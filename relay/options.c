#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "service/prose.h"

#define HELP_HINT "try: omni-relay --help"

#define OPTION_NAME_BYTES 16

enum kind { KIND_text, KIND_flag };

struct rule {
    const char *member;
    const char *argument;
    const char *prose;
    size_t offset;
    enum kind kind;
};

#define RULE(kind_, member_, argument_, preset_, prose_)                                           \
    {.member = #member_,                                                                           \
     .argument = (argument_),                                                                      \
     .prose = (prose_),                                                                            \
     .offset = offsetof(struct options, member_),                                                  \
     .kind = KIND_##kind_},
static const struct rule rules[] = {OPTIONS(RULE)};

enum { RULES = sizeof rules / sizeof rules[0] };

#define PRESET(kind, member, argument, preset, prose) .member = (preset),
static const struct options presets = {OPTIONS(PRESET)};

/* "dry_run" → "dry-run" */
static void option_name(char name[OPTION_NAME_BYTES], const struct rule *rule) {
    (void)snprintf(name, OPTION_NAME_BYTES, "%s", rule->member);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '_')
            *c = '-';
    }
}

/* ---- the command line ---- */

/* Beyond what getopt_long() says itself. */
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

/* The list is short enough to be told whole. */
static int complain_of_unknown(struct omni_problem *problem, const char *word) {
    char names[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < RULES && used < sizeof names; i++) {
        char name[OPTION_NAME_BYTES];
        option_name(name, &rules[i]);
        used +=
            (size_t)snprintf(names + used, sizeof names - used, "%s--%s", i > 0 ? ", " : "", name);
    }
    return complain(problem, -EINVAL, "%.40s: no such option, or not with a value; there are %s",
                    word, names);
}

static int set(struct options *options, const struct rule *rule, const char *text,
               struct omni_problem *problem) {
    char name[OPTION_NAME_BYTES];
    void *member = (char *)options + rule->offset;
    option_name(name, rule);
    if (rule->kind == KIND_flag)
        *(bool *)member = true;
    else if (text[0] == '\0')
        return complain(problem, -EINVAL, "--%s needs a value that is not empty; " HELP_HINT, name);
    else
        *(const char **)member = text;
    return 0;
}

/* The interface may stand alone, as the predecessor takes it. */
static int take_argument(struct options *options, char **arguments, int count,
                         struct omni_problem *problem) {
    if (count == 0)
        return 0;
    if (count > 1)
        return complain(problem, -EINVAL,
                        "%.60s: one interface only; a file is named with --config", arguments[1]);
    if (options->interface != NULL)
        return complain(problem, -EINVAL, "%.60s: --interface %.60s was named already; " HELP_HINT,
                        arguments[0], options->interface);
    options->interface = arguments[0];
    return 0;
}

static int parse_line(struct options *options, int argc, char **argv,
                      struct omni_problem *problem) {
    struct long_options known;
    int answer;
    int error = 0;
    make_long_options(&known);
    opterr = 0;
    optind = 0; /* glibc: begin anew, whatever was parsed before */
    while (error == 0 && (answer = getopt_long(argc, argv, ":", known.option, NULL)) != -1) {
        if (answer == ':')
            return complain(problem, -EINVAL, "%.60s needs a value; " HELP_HINT, argv[optind - 1]);
        if (answer < FIRST_RULE)
            return complain_of_unknown(problem, argv[optind - 1]);
        error = set(options, &rules[answer - FIRST_RULE], optarg, problem);
    }
    return error < 0 ? error : take_argument(options, argv + optind, argc - optind, problem);
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int check(const struct options *options, struct omni_problem *problem) {
    if (options->help || options->version)
        return 0;
    if (options->config == NULL && options->legacy == NULL)
        return complain(problem, -EINVAL,
                        "what leads to what? name a file: omni-relay --interface rpmsg4000 "
                        "--config relay.json (man omni-relay has an example), or the "
                        "predecessor's: sudo UDRV_JSON_PATH=udrv.json omni-relay rpmsg4000");
    if (options->interface == NULL && !options->dry_run)
        return complain(
            problem, -EINVAL,
            "which network interface? --interface INTERFACE; ip -br link shows which there "
            "are");
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct omni_problem *problem) {
    struct options parsed = presets;
    parsed.directory = variable("OMNI_DIRECTORY");
    int error = parse_line(&parsed, argc, argv, problem);
    if (parsed.config == NULL)
        parsed.legacy = variable("UDRV_JSON_PATH");
    if (error == 0)
        error = check(&parsed, problem);
    if (error == 0)
        *options = parsed;
    return error;
}

/* ---- help ---- */

enum { HELP_INDENT = 25 };

static void print_rule(FILE *file, const struct rule *rule) {
    char name[OPTION_NAME_BYTES];
    char left[64];
    char prose[256];
    option_name(name, rule);
    (void)snprintf(left, sizeof left, "  --%s %s", name,
                   rule->argument != NULL ? rule->argument : "");
    const void *member = (const char *)&presets + rule->offset;
    const char *preset = rule->kind == KIND_text ? *(const char *const *)member : NULL;
    bool has_preset = preset != NULL;
    (void)snprintf(prose, sizeof prose, "%s%s%s%s", rule->prose, has_preset ? " (default " : "",
                   has_preset ? preset : "", has_preset ? ")" : "");
    (void)fprintf(file, "%-*s", HELP_INDENT, left);
    prose_print(file, HELP_INDENT, prose);
}

void options_print_help(FILE *file) {
    (void)fputs("omni-relay: carries events between processor cores, as Ethernet frames on one\n"
                "side and files on the other.\n"
                "Usage: omni-relay --interface INTERFACE --config FILE [OPTION...]\n"
                "       UDRV_JSON_PATH=FILE omni-relay INTERFACE\n\n",
                file);
    for (int i = 0; i < RULES; i++)
        print_rule(file, &rules[i]);
    (void)fputs("\nSIGINT and SIGTERM end it. It needs CAP_NET_RAW to start, and gives it up.\n"
                "Exit status: 0 stopped; 1 it broke; 2 it could not start.\n",
                file);
}
