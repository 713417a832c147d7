/*
 * thread.h - a thread beside the event loop, for what may block
 */
#ifndef OBSERVER_THREAD_H
#define OBSERVER_THREAD_H

#include <pthread.h>

/* Starts a thread that gets no signal but SIGBUS (the others are the loop's), and the usual scheduler
 * (a real-time one that the observer was started with is the loop's, too). Returns 0 or -errno. */
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
