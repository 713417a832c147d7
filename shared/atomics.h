/*
 * atomics.h - the memory orders of the library, in one place (not installed)
 *
 * Purpose
 *   The slot protocol needs five moves: mark a slot unstable, copy words in, publish; check a slot,
 *   copy words out, check again. They stand here with the reason for each order, so that the .c
 *   files read as prose and a reviewer has one page to check. docs/adr/0001 tells the whole story.
 *
 * Why relaxed atomic words and not memcpy
 *   The reader copies while the writer may write: with plain accesses that is a data race, and the
 *   compiler may do anything. Relaxed atomic words make it defined; the sequence word tells whether
 *   what was copied belongs together.
 */
#ifndef OMNI_ATOMICS_H
#define OMNI_ATOMICS_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The widest word that every supported CPU loads and stores in one piece without a lock. */
typedef uintptr_t omni_word;

static_assert(sizeof(_Atomic uint32_t) == 4 && ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics");
static_assert(sizeof(_Atomic omni_word) == sizeof(omni_word) && ATOMIC_POINTER_LOCK_FREE == 2,
              "word-sized atomics");

/* Relaxed: for a word whose neighbours are ordered by something else (a fence, the sequence). */
static inline uint32_t omni_load_relaxed(const uint32_t *word) {
    return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_relaxed);
}

static inline void omni_store_relaxed(uint32_t *word, uint32_t value) {
    atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_relaxed);
}

/* Acquire: what was stored before the release of this value is visible after this load. */
static inline uint32_t omni_load_acquire(const uint32_t *word) {
    return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_acquire);
}

/* Release: everything stored before is visible to whoever acquires this value. */
static inline void omni_store_release(uint32_t *word, uint32_t value) {
    atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_release);
}

/* Exchange with both orders and a full barrier on every CPU that we run on: between "my data are
 * published" and "does anybody sleep?". See omni_publish() and docs/adr/0001. */
static inline uint32_t omni_exchange(uint32_t *word, uint32_t value) {
    return atomic_exchange_explicit((_Atomic uint32_t *)word, value, memory_order_seq_cst);
}

/* Full barrier for memory that machines share. It may be mapped write-combining or uncached (a PCI
 * BAR, physical memory): on x86 a release store does not wait for write-combining stores before it,
 * nor an acquire load for such loads; on ARM the other side may be outside of the domain for which
 * an ordinary barrier is made. So this names the CPU's strongest barrier for memory, and stands
 * wherever the protocol on one kernel has a release or an acquire. */
static inline void omni_fence_machines(void) {
    /* A signal fence is for the compiler only: the CPU gets its barrier once, from the instruction
     * before; where we know none, from the language's strongest fence. */
#if defined __x86_64__ || defined __i386__
    __asm__ volatile("mfence" ::: "memory");
    atomic_signal_fence(memory_order_seq_cst);
#elif defined __aarch64__ || (defined __ARM_ARCH && __ARM_ARCH >= 7)
    __asm__ volatile("dmb sy" ::: "memory");
    atomic_signal_fence(memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* A sleeper's half of the same bargain: my flag is up before I look at the version again. */
static inline void omni_fence_full(void) {
    atomic_thread_fence(memory_order_seq_cst);
}

/* After the slot was marked unstable, before the payload is stored: no payload word may become
 * visible before the mark. A release *store* of the mark would not do: it orders what came before
 * it, and the payload comes after. */
static inline void omni_fence_before_payload_stores(void) {
    atomic_thread_fence(memory_order_release);
}

/* After the payload was loaded, before the sequence is loaded again: no payload word may be read
 * after the second look. An acquire *load* of the second look would not do: it orders what comes
 * after it, and the payload came before. */
static inline void omni_fence_after_payload_loads(void) {
    atomic_thread_fence(memory_order_acquire);
}

/* Copies `bytes` (a multiple of 8) into shared memory that readers may be reading. */
static inline void omni_copy_in(void *shared, const void *private, size_t bytes) {
    _Atomic omni_word *to = shared;
    const char *from = private;
#pragma GCC unroll 4
    for (size_t i = 0; i < bytes / sizeof(omni_word); i++) {
        omni_word word;
        memcpy(&word, from + i * sizeof word, sizeof word);
        atomic_store_explicit(&to[i], word, memory_order_relaxed);
    }
}

/* Makes `bytes` (a multiple of 8) of shared memory zero, under the eyes of readers. */
static inline void omni_clear(void *shared, size_t bytes) {
    _Atomic omni_word *to = shared;
    for (size_t i = 0; i < bytes / sizeof(omni_word); i++)
        atomic_store_explicit(&to[i], 0, memory_order_relaxed);
}

/* A 64-bit word, in pieces of the CPU's own word where that is smaller. */
static inline void omni_store_long_relaxed(uint64_t *shared, uint64_t value) {
    omni_copy_in(shared, &value, sizeof value);
}

/* Copies `bytes` (a multiple of 8) out of shared memory that the writer may be writing. */
static inline void omni_copy_out(void *private, const void *shared, size_t bytes) {
    const _Atomic omni_word *from = shared;
    char *to = private;
    for (size_t i = 0; i < bytes / sizeof(omni_word); i++) {
        omni_word word = atomic_load_explicit(&from[i], memory_order_relaxed);
        memcpy(to + i * sizeof word, &word, sizeof word);
    }
}

#endif
