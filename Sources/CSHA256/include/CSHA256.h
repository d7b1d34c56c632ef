#ifndef CSHA256_H
#define CSHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Mixes whole blocks of 64 bytes into a SHA-256 state by the processor's own instructions for it.
///
/// Returns false, with nothing done, on a processor without them.
bool sha256_mix(uint32_t state[8], const uint8_t *blocks, size_t count);

#endif
