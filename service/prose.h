/*
 * prose.h - sentences beside a column of options, for --help
 *
 * Calling sequence
 *     fprintf(file, "%-*s", 25, "  --name NAME");
 *     prose_print(file, 25, "name of the source that observers see");
 */
#ifndef SERVICE_PROSE_H
#define SERVICE_PROSE_H

#include <stdio.h>

#define PROSE_COLUMNS 79 /* of a terminal; a word that is longer than its line stands out */

/* Writes `prose` in lines that begin at column `indent`, where the cursor stands already, and a
 * newline. Blanks between words are single ones. */
void prose_print(FILE *file, int indent, const char *prose);

#endif
