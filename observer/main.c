#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "service/say.h"
#include "service/standard.h"

static int (*const commands[])(const struct options *options) = {
#define COMMANDS_RUN_(name, ...) command_##name,
    COMMANDS(COMMANDS_RUN_)};

static int run(const struct options *options) {
    if (options->help)
        options_print_help(stdout);
    else if (options->help_man)
        options_print_man(stdout);
    else if (options->version)
        (void)puts("omni-observer " OMNI_VERSION);
    else
        return commands[options->command](options);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_RUNTIME;
}

int main(int argc, char **argv) {
    struct options options;
    struct omni_problem problem;
    if (standard_keep() < 0)
        return EXIT_RUNTIME; /* there is nowhere to say it */
    if (options_parse(&options, argc, argv, environ, &problem) < 0) {
        say(SAY_ERROR, "%s", problem.text);
        return EXIT_USAGE;
    }
    int code = run(&options);
    options_free(&options);
    return code;
}
