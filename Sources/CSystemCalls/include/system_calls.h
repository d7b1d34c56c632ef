// System calls that Swift cannot import: variadic ones, and those hidden behind macros.
#ifndef SYSTEM_CALLS_H
#define SYSTEM_CALLS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/// Sleeps while `*word == expected`, until woken or until `nanoseconds` have passed (negative: no limit).
/// Returns 0 when woken, otherwise the negated errno. Works between processes.
int gym_futex_wait(uint32_t *word, uint32_t expected, int64_t nanoseconds);

/// Wakes everyone who sleeps on the word, in any process.
void gym_futex_wake(uint32_t *word);

/// Reads and writes a word that another process changes, sequentially consistent.
static inline uint32_t gym_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void gym_store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }

/// A descriptor of anonymous memory of a fixed size: it can neither shrink nor grow any more.
/// Returns a negated errno on failure.
int gym_sealed_memory(const char *name, uint64_t size);

/// Whether the descriptor's size can no longer change, so that touching a mapping of it cannot fault.
int gym_is_sealed(int descriptor);

/// The next connection of a listening socket, closed on exec. Returns a descriptor or a negated errno.
int gym_accept(int socket);

/// sendmsg with an optional descriptor to pass (-1: none), without SIGPIPE. Returns bytes sent or a negated errno.
ssize_t gym_send(int socket, const struct iovec *pieces, size_t count, int descriptor);

/// recv that also takes a passed descriptor: `*descriptor` is it, or -1. Returns bytes received or a negated errno.
ssize_t gym_receive(int socket, void *buffer, size_t size, int flags, int *descriptor);

/// Whether the other end of a socket has closed, asked without waiting and whatever is still to be read.
int gym_peer_has_closed(int socket);

/// The user id of the process at the other end, or -1.
int64_t gym_peer_user(int socket);

/// Moves a thread that waits on the caller's processor to another one that it may run on, if there is any.
void gym_move_elsewhere(pthread_t thread);

/// Which processors the calling thread may run on, as a set of bits; returns -1 with errno set.
int gym_get_affinity(void *set, size_t size);

/// Has the calling thread, and processes that it starts, run on these processors only; returns -1 with errno set.
int gym_set_affinity(const void *set, size_t size);

/// Tells the processor that this is a spin loop.
static inline void gym_spin_hint(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
