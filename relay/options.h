/*
 * options.h - what the user wants: one table → command line, defaults, --help
 *
 * Calling sequence
 *     struct options options;
 *     struct omni_problem problem;
 *     if (options_parse(&options, argc, argv, &problem) < 0)
 *         ... print problem.text, exit 2 ...
 *     if (options.help) { options_print_help(stdout); ... }
 *
 * Adding an option
 *   One line in OPTIONS, and its text in docs/man/omni-relay.1 (a test asks for it).
 */
#ifndef RELAY_OPTIONS_H
#define RELAY_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include <omni/schema.h>

/* X(kind, member, argument, default, prose)
 *   kind      text (const char *) or flag (bool)
 *   member    of struct options; the option's name with _ for - */
/* clang-format off */
#define OPTIONS(X)                                                                                 \
    X(text, interface, "INTERFACE", NULL,                                                          \
      "network interface of the other core; also as the only argument")                            \
    X(text, config, "FILE", NULL,                                                                  \
      "what leads to what (man omni-relay); else the predecessor's file that $UDRV_JSON_PATH names") \
    X(text, name, "NAME", "relay", "name of the source that observers see")                        \
    X(text, directory, "DIR", NULL,                                                                \
      "where the segment with the status appears; else $OMNI_DIRECTORY, else /dev/shm")            \
    X(flag, dry_run, NULL, false, "check the config, print its routes and exit")                   \
    X(flag, help, NULL, false, "show this and exit")                                               \
    X(flag, version, NULL, false, "show the version and exit")
/* clang-format on */

#define OPTIONS_TYPE_text_ const char *
#define OPTIONS_TYPE_flag_ bool

#define OPTIONS_MEMBER_(kind, member, argument, preset, prose) OPTIONS_TYPE_##kind##_ member;
struct options {
    OPTIONS(OPTIONS_MEMBER_)
    const char *legacy; /* the predecessor's file; NULL where there is a config */
};
#undef OPTIONS_MEMBER_

/* Reads the command line and the environment. Texts point into argv or the environment.
 * Returns 0; -EINVAL with one line for the user in `problem`, *options untouched. Not for two
 * threads at a time (getopt_long). */
int options_parse(struct options *options, int argc, char **argv, struct omni_problem *problem);

/* Writes what --help shows. */
void options_print_help(FILE *file);

#endif
