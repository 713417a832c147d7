/*
 * trim.h - giving back what only the start needed
 *
 * Purpose
 *   The libraries behind HTTP and WebSocket bring others along (TLS and what it needs) whose pages
 * are touched once, by the dynamic linker and by constructors, and then count as resident for ever.
 * On a small board memory is worth having: a few seconds after the start the observer tells the
 * kernel that it does not need its read-only pages; those that it does need come back from the page
 * cache, unnoticed.
 *
 * Safe because only segments that were never writable are named: nothing in them can differ from
 * the file.
 */
#ifndef OBSERVER_TRIM_H
#define OBSERVER_TRIM_H

/* Gives back the read-only pages of the program and its libraries. Cannot fail. */
void trim_read_only_pages(void);

#endif
