/*
 * problem.h - one sentence for a person, and the error number for the program (not installed)
 */
#ifndef OMNI_PROBLEM_H
#define OMNI_PROBLEM_H

#include <omni/schema.h>

/* Writes the sentence into `problem` (NULL: nowhere). */
void omni_problem_write(struct omni_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same as an expression of value `error`, for `return omni_problem(problem, -EINVAL, "…", …);`
 */
#define omni_problem(problem, error, ...) (omni_problem_write((problem), __VA_ARGS__), (error))

#endif
