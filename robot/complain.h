/*
 * complain.h - one sentence for a person, and the error number for the program
 *
 *     return complain(problem, -ENOENT, "there is no %s", path);
 */
#ifndef ROBOT_COMPLAIN_H
#define ROBOT_COMPLAIN_H

#include <omni/schema.h>

/* Writes the sentence into `problem` (NULL: nowhere). */
void complain_write(struct omni_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same as an expression of value `error`. */
#define complain(problem, error, ...) (complain_write((problem), __VA_ARGS__), (error))

#endif
