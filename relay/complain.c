#include "complain.h"

#include <stdarg.h>
#include <stdio.h>

void complain_write(struct omni_problem *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
}
