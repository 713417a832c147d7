/*
 * standard.h - descriptors 0, 1 and 2 are what everybody takes them for
 *
 * Purpose
 *   Who starts a program may have closed its standard input, output or error. Then the next file
 *   that is opened has that number: what is said on standard error would be written into it, be it
 *   a segment, a lock or a motor's file.
 *
 * Calling sequence
 *   First of all in main(), before anything is opened.
 */
#ifndef SERVICE_STANDARD_H
#define SERVICE_STANDARD_H

/* Opens /dev/null in the place of each of the three that is closed; leaves the others as they are.
 * Returns 0; -errno where that cannot be had: then nothing should be opened at all. */
int standard_keep(void);

#endif
