#ifndef CURFEW_FAULTY_ATTEMPTS_H
#define CURFEW_FAULTY_ATTEMPTS_H

#include <stdint.h>

/*
 * How often each key was asked for. A table of fixed size: when it is full, keys that have not been seen yet begin
 * again with each request.
 */
#define FAULTY_KEYS_MAX 4096u

struct faulty_attempts {
    struct {
        uint64_t key, count;
    } of[FAULTY_KEYS_MAX]; /* open addressing */
    uint64_t keys;         /* seen */
    uint64_t most;         /* attempts of one key */
};

/* One more: returns which it is, from 1 on. */
uint64_t faulty_attempts_count(struct faulty_attempts *attempts, uint64_t key);

#endif
