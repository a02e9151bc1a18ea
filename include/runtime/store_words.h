#ifndef CURFEW_RUNTIME_STORE_WORDS_H
#define CURFEW_RUNTIME_STORE_WORDS_H

#include <stdint.h>

#include "base/span.h"

/* A copy of both lists, one behind the other, with their bytes: one block, freed by mem_free. NULL: no memory. */
struct span *store_words_copy(const struct span *words, uint32_t count, const struct span *more,
                              uint32_t more_count) __attribute__((warn_unused_result));

#endif
