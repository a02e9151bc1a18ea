#ifndef CURFEW_RUNTIME_ENTROPY_H
#define CURFEW_RUNTIME_ENTROPY_H

#include <stdbool.h>
#include <stdint.h>

/* Words that one call to the system fetches. */
#define ENTROPY_WORDS 384

/* Random words of the kernel's, which nobody can foresee: fetched many at a time, used once. Zeroed, it is empty. */
struct entropy {
    uint32_t left;
    uint64_t words[ENTROPY_WORDS];
};

/* `count` is at most ENTROPY_WORDS. False: the kernel gives none, *out is not set. One thread. */
bool entropy_take(struct entropy *entropy, uint64_t *out, uint32_t count) __attribute__((warn_unused_result));

#endif
