/* atomics.h - C11 atomics under names that carry their memory order.
 *
 * The name says what an access promises, so that a reader of a call need not look up a parameter:
 *   relaxed   no order; the value alone.  Each use says why that is enough.
 *   acquire   what the releasing thread wrote before its release is seen after this load
 *   release   what was written before is seen by who acquires this store
 *   seq       one order that all threads agree on; used for every read-modify-write, where it costs nothing extra on x86
 * Fences are not used: ThreadSanitizer does not model them. */
#ifndef TDM_BASE_ATOMICS_H
#define TDM_BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

#define load_relaxed(object)         atomic_load_explicit((object), memory_order_relaxed)
#define load_acquire(object)         atomic_load_explicit((object), memory_order_acquire)
#define load_seq(object)             atomic_load_explicit((object), memory_order_seq_cst)
#define store_relaxed(object, value) atomic_store_explicit((object), (value), memory_order_relaxed)
#define store_release(object, value) atomic_store_explicit((object), (value), memory_order_release)
#define store_seq(object, value)     atomic_store_explicit((object), (value), memory_order_seq_cst)
#define exchange_seq(object, value)  atomic_exchange_explicit((object), (value), memory_order_seq_cst)
#define add_seq(object, value)       atomic_fetch_add_explicit((object), (value), memory_order_seq_cst)
#define or_seq(object, value)        atomic_fetch_or_explicit((object), (value), memory_order_seq_cst)
#define and_seq(object, value)       atomic_fetch_and_explicit((object), (value), memory_order_seq_cst)
/* On failure *expected holds what was found.  Strong: it fails only if the value differs. */
#define cas_seq(object, expected, desired)                                                                                         \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_seq_cst, memory_order_seq_cst)

/* As store_seq, by a thread that makes a read-modify-write before it looks at anything that others write: on x86 the read-modify-write waits until
 * all can see what was stored, so the store itself need not. */
#if defined(__x86_64__) || defined(__i386__)
#define store_before_rmw(object, value) store_release(object, value)
#else
#define store_before_rmw(object, value) store_seq(object, value)
#endif

/* A function that is kept out of those that are called millions of times: they would have to save more registers. */
#if defined(__GNUC__)
#define TDM_APART __attribute__((noinline))
#else
#define TDM_APART
#endif

/* What is written by different cores often should be this far apart. */
#define TDM_CACHE_LINE 64

/* While looking again and again at a word that another core will change. */
static inline void tdm_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Memory that will be read soon, and that another core has written. */
static inline void tdm_prefetch_to_read(const void *memory)
{
#if defined(__GNUC__)
    __builtin_prefetch(memory, 0);
#else
    (void)memory;
#endif
}

/* Memory that will be written soon, and that another core has now. */
static inline void tdm_prefetch(const void *memory)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __asm__ volatile("prefetchw %0"
                     :
                     : "m"(*(const char *)memory)); /* the builtin may only ask for a copy; where it is not known it does nothing */
#elif defined(__GNUC__)
    __builtin_prefetch(memory, 1);
#else
    (void)memory;
#endif
}

#endif
