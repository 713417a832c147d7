/*
 * futex.h - the two futex calls (not installed)
 *
 * On words in files mapped by several processes, so never the process-private form. A reader may
 * wait on a word that it maps read-only.
 */
#ifndef OMNI_FUTEX_H
#define OMNI_FUTEX_H

#include <stdint.h>

/* Sleeps while *word is `value`, at most `timeout_ns`. Returns 0 when woken; -EAGAIN where it is
 * another value already; -ETIMEDOUT; -EINTR. */
int omni_futex_wait(const uint32_t *word, uint32_t value, uint64_t timeout_ns);

/* Wakes everybody who sleeps on the word. */
void omni_futex_wake(const uint32_t *word);

#endif
