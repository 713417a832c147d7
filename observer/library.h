/*
 * library.h - a library that is loaded when it is needed, and may be missing
 *
 * Purpose
 *   What only some observers use, and brings much along, is not linked: it is loaded by name, its
 *   functions are looked up, and a machine without it goes without. One list of these functions
 *   gives the pointers, with the types of the library's own header, and their names:
 *
 *     #define FUNCTIONS(X) X(sf_open_fd) X(sf_close)
 *     struct sndfile { FUNCTIONS(LIBRARY_POINTER) };
 *     static const char *const names[] = {FUNCTIONS(LIBRARY_NAME) NULL};
 *
 *     struct sndfile sndfile;
 *     void *library = library_open("libsndfile.so.1", names, &sndfile);
 *     if (library != NULL) ... sndfile.sf_close(sound) ...
 *     library_close(library);
 *
 * Threads: any.
 */
#ifndef OBSERVER_LIBRARY_H
#define OBSERVER_LIBRARY_H

#define LIBRARY_POINTER(name) __typeof__(name) *name;
#define LIBRARY_NAME(name)    #name,

/* Loads `file`, as the loader finds it, and what it needs; or counts one more user of it. Writes to
 * `functions`, a struct of nothing but pointers to functions, in the order of `names`, which end
 * with NULL. Returns what library_close() takes; NULL where the library is not there, or one of the
 * functions is not in it: then `functions` is untouched, and nothing stays loaded. */
void *library_open(const char *file, const char *const *names, void *functions);

/* One user less; the last one's unloads it, and its functions are gone. Not for a library that keeps
 * something for the whole process: that one is never closed. NULL is fine. */
void library_close(void *library);

#endif
