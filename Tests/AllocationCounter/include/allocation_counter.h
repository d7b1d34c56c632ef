// Counts the heap allocations of each thread, for tests that show that a step makes none.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/// Allocations that the calling thread has made since it started, by whatever function and library.
uint64_t allocations_of_this_thread(void);

/// Bytes that the heap has given out and not got back.
uint64_t bytes_of_the_heap(void);

/// Whether allocations are counted: not under sanitizers, which have allocators of their own.
bool allocations_are_counted(void);

#endif
