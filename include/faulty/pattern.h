#ifndef CURFEW_FAULTY_PATTERN_H
#define CURFEW_FAULTY_PATTERN_H

#include <stdint.h>

#include "base/span.h"

/* The pattern's period; a prime, so that a shift by any block size shows. */
#define FAULTY_PATTERN_PERIOD 61

/* The content that is generated: byte number n is "0123…ABC…abc…xy"[n % 61]. At most `max` bytes from `offset`. */
struct span faulty_pattern(uint64_t offset, uint64_t max);

#endif
