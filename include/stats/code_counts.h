#ifndef CURFEW_STATS_CODE_COUNTS_H
#define CURFEW_STATS_CODE_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many responses had which status code. An API uses a handful of the 500 codes, so the counters come by quarters
 * of a hundred, 25 codes each, and a quarter is allocated when its first code is seen: 168 bytes, and 200 for each
 * quarter, in place of 4000. One thread at a time.
 */
#define CODE_MIN      100u
#define CODE_END      600u
#define CODE_QUARTER  25u
#define CODE_QUARTERS ((CODE_END - CODE_MIN) / CODE_QUARTER)

/* All zero: nothing was counted. */
struct code_counts {
    uint64_t *quarters[CODE_QUARTERS]; /* NULL: none of its codes was seen */
    uint64_t other;
};

void code_counts_fini(struct code_counts *counts);

/* For code_counts_count: what is not the usual case. */
void code_counts_count_first(struct code_counts *counts, uint32_t code);

/* Counts one. A code outside 100 to 599 is `other`, and so is one for whose quarter there is no memory. */
static inline void code_counts_count(struct code_counts *counts, uint32_t code)
{
    uint32_t at = code - CODE_MIN;

    if (at < CODE_END - CODE_MIN && counts->quarters[at / CODE_QUARTER] != NULL)
        counts->quarters[at / CODE_QUARTER][at % CODE_QUARTER]++;
    else
        code_counts_count_first(counts, code);
}

/* sum += part. False: no memory; what could be added was. */
bool code_counts_add(struct code_counts *sum, const struct code_counts *part)
    __attribute__((warn_unused_result));

/* All back to zero; the memory stays. */
void code_counts_clear(struct code_counts *counts);

/* Moves all that `from` has to `to`, which must be empty. Nothing can fail. */
void code_counts_move(struct code_counts *to, struct code_counts *from);

/* How many there were of this code, 100 to 599. */
static inline uint64_t code_counts_of(const struct code_counts *counts, uint32_t code)
{
    const uint64_t *quarter = counts->quarters[(code - CODE_MIN) / CODE_QUARTER];

    return quarter != NULL ? quarter[(code - CODE_MIN) % CODE_QUARTER] : 0;
}

/* Responses that say that the API is not well: 5xx, and what is to be understood as one, `other` (RFC 9110 15). */
uint64_t code_counts_server_errors(const struct code_counts *counts) __attribute__((pure));

#endif
