#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, void *(*run)(void *context), void *context) {
    sigset_t all;
    sigset_t before;
    pthread_attr_t usual;
    int error = pthread_attr_init(&usual);
    if (error != 0)
        return -error;
    (void)pthread_attr_setinheritsched(&usual, PTHREAD_EXPLICIT_SCHED);
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* its own, of a file that was truncated: omni/guard.h */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(thread, &usual, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&usual);
    return -error;
}
