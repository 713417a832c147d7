/*
 * complain.h - one sentence for a person, and the error number for the program
 *
 *     return complain(problem, -ENOENT, "there is no %s", path);
 */
#ifndef RELAY_COMPLAIN_H
#define RELAY_COMPLAIN_H

#include <omni/schema.h>

/* Writes the sentence; what is too long is cut. */
void complain_write(struct omni_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same as an expression of value `error`. */
#define complain(problem, error, ...) (complain_write((problem), __VA_ARGS__), (error))

#endif
