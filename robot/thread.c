#include "thread.h"

#include <sched.h>
#include <signal.h>
#include <stddef.h>

static int describe(pthread_attr_t *attributes, int priority) {
    int error = pthread_attr_setstacksize(attributes, THREAD_STACK_BYTES);
    if (error == 0)
        error = pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
    if (error == 0)
        error = pthread_attr_setschedpolicy(attributes, priority > 0 ? SCHED_FIFO : SCHED_OTHER);
    struct sched_param parameter = {.sched_priority = priority};
    if (error == 0)
        error = pthread_attr_setschedparam(attributes, &parameter);
    return error;
}

static int create_without_signals(pthread_t *thread, const pthread_attr_t *attributes,
                                  void *(*work)(void *), void *argument) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0)
        return error;
    error = pthread_create(thread, attributes, work, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int thread_start(pthread_t *thread, void *(*work)(void *), void *argument, int priority) {
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    error = describe(&attributes, priority);
    if (error == 0)
        error = create_without_signals(thread, &attributes, work, argument);
    (void)pthread_attr_destroy(&attributes);
    return -error;
}
