#include "stats/code_counts.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

#define QUARTER_SIZE (CODE_QUARTER * sizeof(uint64_t))

void code_counts_fini(struct code_counts *counts)
{
    for (uint32_t i = 0; i < CODE_QUARTERS; i++) {
        mem_free(counts->quarters[i]);
        counts->quarters[i] = NULL;
    }
}

/* NULL: no memory. */
static uint64_t *find_quarter(struct code_counts *counts, uint32_t at)
{
    PRE(at < CODE_QUARTERS);
    if (counts->quarters[at] == NULL)
        counts->quarters[at] = mem_zalloc(QUARTER_SIZE);
    return counts->quarters[at];
}

void code_counts_count_first(struct code_counts *counts, uint32_t code)
{
    uint32_t at = code - CODE_MIN;
    uint64_t *quarter = at < CODE_END - CODE_MIN ? find_quarter(counts, at / CODE_QUARTER) : NULL;

    if (quarter != NULL)
        quarter[at % CODE_QUARTER]++;
    else
        counts->other++;
}

bool code_counts_add(struct code_counts *sum, const struct code_counts *part)
{
    bool has_memory = true;

    sum->other += part->other;
    for (uint32_t i = 0; i < CODE_QUARTERS; i++) {
        const uint64_t *more = part->quarters[i];
        uint64_t *quarter = more != NULL ? find_quarter(sum, i) : NULL;

        for (uint32_t k = 0; quarter != NULL && k < CODE_QUARTER; k++)
            quarter[k] += more[k];
        has_memory &= more == NULL || quarter != NULL;
    }
    return has_memory;
}

void code_counts_clear(struct code_counts *counts)
{
    counts->other = 0;
    for (uint32_t i = 0; i < CODE_QUARTERS; i++)
        if (counts->quarters[i] != NULL)
            memset(counts->quarters[i], 0, QUARTER_SIZE);
}

static bool is_empty(const struct code_counts *counts)
{
    bool empty = counts->other == 0;

    for (uint32_t i = 0; i < CODE_QUARTERS; i++)
        empty &= counts->quarters[i] == NULL;
    return empty;
}

void code_counts_move(struct code_counts *to, struct code_counts *from)
{
    PRE(is_empty(to)); /* what it had would be lost, and its memory with it */
    *to = *from;
    *from = (struct code_counts){0};
}

uint64_t code_counts_server_errors(const struct code_counts *counts)
{
    uint64_t sum = counts->other;

    for (uint32_t code = 500; code < CODE_END; code++)
        sum += code_counts_of(counts, code);
    return sum;
}
