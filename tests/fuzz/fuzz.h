#ifndef CURFEW_TESTS_FUZZ_FUZZ_H
#define CURFEW_TESTS_FUZZ_FUZZ_H

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/span.h"

/*
 * A target is a file with this one function, which libFuzzer (`make fuzz`) or tests/fuzz/replay.c calls with one input
 * after another. It returns 0, and ends the process when something is not as it must be.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fuzz_broken(#condition, __FILE__, __LINE__);                                                     \
    } while (0)

__attribute__((noreturn)) static inline void fuzz_broken(const char *what, const char *where, int line)
{
    fprintf(stderr, "%s:%d: broken: %s\n", where, line, what);
    abort();
}

/* ---- the input ----------------------------------------------------------------------------------------- */

/* What is left of it. Reads of more than there is give zeros, so that every input means something. */
struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t input_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static inline uint64_t input_number(struct input *input, int bytes)
{
    uint64_t n = 0;

    while (bytes-- > 0)
        n = n << 8 | input_byte(input);
    return n;
}

/* The rest, as the fuzzer made it: its block ends where the bytes end. */
static inline struct span input_rest(const struct input *input)
{
    return (struct span){(const char *)(const void *)input->at, input->left};
}

/* The next `len` bytes, or as many as there are. */
static inline struct span input_text(struct input *input, size_t len)
{
    struct span text = input_rest(input);

    if (text.len > len)
        text.len = len;
    input->at += text.len;
    input->left -= text.len;
    return text;
}

/* A row of numbers that one byte of the input stands for (xorshift). */
struct luck {
    uint32_t state;
};

static inline struct luck luck_of(uint8_t seed)
{
    return (struct luck){seed * UINT32_C(0x9e3779b1) + 1};
}

static inline uint32_t luck_below(struct luck *luck, uint32_t bound)
{
    luck->state ^= luck->state << 13;
    luck->state ^= luck->state >> 17;
    luck->state ^= luck->state << 5;
    return luck->state % bound;
}

/* ---- bytes that arrive in pieces ----------------------------------------------------------------------- */

/* What has not arrived yet can't be touched: under AddressSanitizer it is poisoned. */
struct arrival {
    char *block;
    size_t have, len, cap;
    bool singly;
    struct luck luck;
};

/* How pieces are cut is up to `seed`: 0 is byte by byte. */
static inline struct arrival arrival_of(struct span bytes, uint8_t seed)
{
    size_t cap = (bytes.len + 8) & ~(size_t)7;
    struct arrival arrival = {malloc(cap), 0, bytes.len, cap, seed == 0, luck_of(seed)};

    MUST(arrival.block != NULL);
    if (bytes.len != 0)
        memcpy(arrival.block, bytes.ptr, bytes.len);
    ASAN_POISON_MEMORY_REGION(arrival.block, cap);
    return arrival;
}

/* One more piece. False: there is none. */
static inline bool arrival_more(struct arrival *arrival)
{
    size_t left = arrival->len - arrival->have, piece = 1;

    if (left == 0)
        return false;
    if (!arrival->singly)
        piece += luck_below(&arrival->luck, 1u << luck_below(&arrival->luck, 9));
    if (piece > left)
        piece = left;
    ASAN_UNPOISON_MEMORY_REGION(arrival->block + arrival->have, piece);
    arrival->have += piece;
    return true;
}

static inline struct span arrival_from(const struct arrival *arrival, size_t at)
{
    return (struct span){arrival->block + at, arrival->have - at};
}

static inline void arrival_free(struct arrival *arrival)
{
    ASAN_UNPOISON_MEMORY_REGION(arrival->block, arrival->cap);
    free(arrival->block);
    arrival->block = NULL;
}

#endif
