/*
 * thread.h - starting a thread beside the control loop
 *
 *     pthread_t thread;
 *     int error = thread_start(&thread, work, argument, priority);
 *     ... pthread_join(thread, NULL) ...
 *
 * Its stack is small, for the memory that --realtime locks is precious: work that goes a few calls
 * deep. Signals stay with the thread that starts it: the new one blocks them all.
 */
#ifndef ROBOT_THREAD_H
#define ROBOT_THREAD_H

#include <pthread.h>
#include <stddef.h>

#define THREAD_STACK_BYTES ((size_t)256 * 1024)

/* `priority`: 0 for ordinary scheduling, else that of SCHED_FIFO.
 * Returns 0 or -errno (-EPERM where the priority is not permitted). */
int thread_start(pthread_t *thread, void *(*work)(void *), void *argument, int priority);

#endif
