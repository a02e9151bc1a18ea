#include "stats/call_top.h"

#include <stdlib.h>

#include "base/invariant.h"
#include "base/mem.h"

enum status call_top_init(struct call_top *top, uint32_t limit, enum call_top_order order)
{
    PRE(limit >= 1 && limit <= CALL_TOP_MAX);
    *top = (struct call_top){.limit = limit, .order = order};
    top->entries = mem_alloc(limit * sizeof(struct call_top_entry));
    return top->entries != NULL ? ST_OK : ST_NOMEM;
}

void call_top_fini(struct call_top *top)
{
    mem_free(top->entries);
    top->entries = NULL;
}

/* The order of the list: is `a` behind `b`? */
static bool is_behind(enum call_top_order order, const struct call_top_entry *a,
                      const struct call_top_entry *b)
{
    int64_t key = call_top_key(order, a->begun_ns, a->deadline_ns);
    int64_t other = call_top_key(order, b->begun_ns, b->deadline_ns);

    return key != other ? key > other : a->id > b->id;
}

static void swap(struct call_top_entry *a, struct call_top_entry *b)
{
    struct call_top_entry kept = *a;

    *a = *b;
    *b = kept;
}

static void sift_up(struct call_top *top)
{
    struct call_top_entry *entries = top->entries;
    uint32_t at = top->count - 1;

    while (at != 0 && is_behind(top->order, &entries[at], &entries[(at - 1) / 2])) {
        swap(&entries[at], &entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct call_top *top)
{
    struct call_top_entry *entries = top->entries;
    uint32_t at = 0, child;

    while ((child = 2 * at + 1) < top->count) {
        if (child + 1 < top->count && is_behind(top->order, &entries[child + 1], &entries[child]))
            child++;
        if (!is_behind(top->order, &entries[child], &entries[at]))
            return;
        swap(&entries[child], &entries[at]);
        at = child;
    }
}

void call_top_add(struct call_top *top, const struct call_top_entry *entry)
{
    if (top->count < top->limit) {
        top->entries[top->count++] = *entry;
        sift_up(top);
    } else if (is_behind(top->order, &top->entries[0], entry)) {
        top->entries[0] = *entry;
        sift_down(top);
    }
}

void call_top_merge(struct call_top *top, const struct call_top *part)
{
    PRE(top->order == part->order); /* or the first ones of the part are not those that come first */
    for (uint32_t i = 0; i < part->count; i++)
        call_top_add(top, &part->entries[i]);
    top->matching += part->matching;
    top->in_flight += part->in_flight;
}

static int compare_left(const void *a, const void *b)
{
    return is_behind(CALL_TOP_BY_LEFT, a, b) ? 1 : -1;
}

static int compare_age(const void *a, const void *b)
{
    return is_behind(CALL_TOP_BY_AGE, a, b) ? 1 : -1;
}

void call_top_sort(struct call_top *top)
{
    if (top->count > 1)
        qsort(top->entries, top->count, sizeof(top->entries[0]),
              top->order == CALL_TOP_BY_LEFT ? compare_left : compare_age);
}
