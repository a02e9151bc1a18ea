#include "core/roster.h"

#include <stdlib.h>

#include "base/mem.h"

enum status roster_init(struct roster *roster, uint32_t limit, enum roster_order order)
{
    *roster = (struct roster){.limit = limit, .order = order};
    roster->entries = mem_alloc(limit * sizeof(struct roster_entry));
    return roster->entries != NULL ? ST_OK : ST_NOMEM;
}

void roster_fini(struct roster *roster)
{
    mem_free(roster->entries);
    roster->entries = NULL;
}

/* The order of the list: is `a` behind `b`? */
static bool is_behind(enum roster_order order, const struct roster_entry *a, const struct roster_entry *b)
{
    int64_t key = roster_key(order, a->begun_ns, a->deadline_ns);
    int64_t other = roster_key(order, b->begun_ns, b->deadline_ns);

    return key != other ? key > other : a->id > b->id;
}

static void swap(struct roster_entry *a, struct roster_entry *b)
{
    struct roster_entry kept = *a;

    *a = *b;
    *b = kept;
}

static void sift_up(struct roster *roster)
{
    struct roster_entry *entries = roster->entries;
    uint32_t at = roster->count - 1;

    while (at != 0 && is_behind(roster->order, &entries[at], &entries[(at - 1) / 2])) {
        swap(&entries[at], &entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct roster *roster)
{
    struct roster_entry *entries = roster->entries;
    uint32_t at = 0, child;

    while ((child = 2 * at + 1) < roster->count) {
        if (child + 1 < roster->count && is_behind(roster->order, &entries[child + 1], &entries[child]))
            child++;
        if (!is_behind(roster->order, &entries[child], &entries[at]))
            return;
        swap(&entries[child], &entries[at]);
        at = child;
    }
}

void roster_add(struct roster *roster, const struct roster_entry *entry)
{
    if (roster->count < roster->limit) {
        roster->entries[roster->count++] = *entry;
        sift_up(roster);
    } else if (is_behind(roster->order, &roster->entries[0], entry)) {
        roster->entries[0] = *entry;
        sift_down(roster);
    }
}

void roster_merge(struct roster *roster, const struct roster *part)
{
    for (uint32_t i = 0; i < part->count; i++)
        roster_add(roster, &part->entries[i]);
    roster->matching += part->matching;
    roster->in_flight += part->in_flight;
}

static int compare_left(const void *a, const void *b)
{
    return is_behind(ROSTER_BY_LEFT, a, b) ? 1 : -1;
}

static int compare_age(const void *a, const void *b)
{
    return is_behind(ROSTER_BY_AGE, a, b) ? 1 : -1;
}

void roster_sort(struct roster *roster)
{
    if (roster->count > 1)
        qsort(roster->entries, roster->count, sizeof(roster->entries[0]),
              roster->order == ROSTER_BY_LEFT ? compare_left : compare_age);
}
