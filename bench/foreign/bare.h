/*
 * bare.h - a ping-pong of two futex words and nothing else: what the hand-off is measured against
 *
 * No look at the other side, no time-out, no refusal: a side that dies leaves the other asleep.
 * Nothing but the words is passed, so that the kernel's barriers are all that it needs.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct bare {
    volatile uint32_t asked;
    uint32_t unused_asked[15];
    volatile uint32_t answered;
    uint32_t unused_answered[15];
    volatile uint32_t ready; /* the answering side has come */
};

/* Maps the file, making it where it is not there; NULL where that fails. */
static inline struct bare *bare_open(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct bare)) < 0)
        return NULL;
    void *bytes =
        mmap(NULL, sizeof(struct bare), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    close(file);
    return bytes == MAP_FAILED ? NULL : bytes;
}

/* Sleeps until the word is another one than `number`, and returns it. */
static inline uint32_t bare_await(volatile uint32_t *word, uint32_t number) {
    while (*word == number)
        syscall(SYS_futex, word, FUTEX_WAIT, number, NULL, NULL, 0);
    return *word;
}

static inline void bare_say(volatile uint32_t *word, uint32_t number) {
    *word = number;
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#endif
