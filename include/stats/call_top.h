#ifndef CURFEW_STATS_CALL_TOP_H
#define CURFEW_STATS_CALL_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/cause.h"
#include "core/phase.h"

/*
 * A list of calls in flight: of those that match a filter, the `limit` that come first, and how many there are in all.
 * While it is gathered, the entries are a heap with the last one on top, so that each call costs a comparison, and
 * seldom more. Pure: whoever gathers hands in the calls.
 */
#define CALL_TOP_MAX        10000u     /* entries */
#define CALL_TOP_ANY        UINT32_MAX /* of an upstream's number */
#define CALL_TOP_ALL_PHASES ((1u << PHASE_COUNT) - 1)
/* Longer methods are shown cut. */
#define CALL_TOP_METHOD     20

/* Which come first: those with least left, or the oldest. */
enum call_top_order { CALL_TOP_BY_LEFT, CALL_TOP_BY_AGE };

struct call_top_filter {
    uint64_t id;       /* this call alone; 0: all */
    int64_t older_ns;  /* have been under way for at least this long */
    uint32_t upstream; /* number, or CALL_TOP_ANY */
    uint32_t phases;   /* a bit for each */
    uint32_t limit;    /* 1 to CALL_TOP_MAX */
    enum call_top_order order;
};

struct call_top_entry {
    uint64_t id;
    int64_t begun_ns;
    int64_t deadline_ns;
    int64_t phase_since_ns;
    uint64_t bytes_up, bytes_down;
    uint32_t upstream, route; /* numbers */
    enum phase phase : 8;
    enum sent sent : 8;
    bool observed;      /* what is left is left of the ceiling */
    bool probes;        /* its try was let in to see whether the API is well again */
    bool hedged;        /* two tries are under way */
    bool comes_by_h2;   /* its caller speaks HTTP/2 */
    bool goes_by_h2;    /* so does the API in its last exchange */
    uint8_t try_number; /* the try that is under way, or is waited for; 0: the first one */
    uint8_t method_len;
    char method[CALL_TOP_METHOD];
};

struct call_top {
    struct call_top_entry *entries;
    uint32_t count, limit;
    enum call_top_order order;
    uint64_t matching;  /* calls that match, listed or not */
    uint64_t in_flight; /* all calls that were looked at */
};

/* Room for `limit` entries, of which nothing is touched before it is used. */
enum status call_top_init(struct call_top *top, uint32_t limit, enum call_top_order order) MUST_CHECK;
void call_top_fini(struct call_top *top);

/* Does a call match that has these? */
static inline bool call_top_matches(const struct call_top_filter *filter, uint64_t id, uint32_t upstream,
                                    enum phase phase, int64_t age_ns)
{
    return (filter->id == 0 || filter->id == id) &&
           (filter->upstream == CALL_TOP_ANY || filter->upstream == upstream) &&
           (filter->phases & (1u << phase)) != 0 && age_ns >= filter->older_ns;
}

/* The instant that decides its place: the earlier, the further in front. */
static inline int64_t call_top_key(enum call_top_order order, int64_t begun_ns, int64_t deadline_ns)
{
    return order == CALL_TOP_BY_LEFT ? deadline_ns : begun_ns;
}

/* Would a call with these be listed, as things stand? Then it is worth an entry. */
static inline bool call_top_wants(const struct call_top *top, int64_t begun_ns, int64_t deadline_ns)
{
    const struct call_top_entry *last = top->entries;

    return top->count < top->limit || call_top_key(top->order, begun_ns, deadline_ns) <
                                          call_top_key(top->order, last->begun_ns, last->deadline_ns);
}

/* Lists it, in place of the last one if it is full. */
void call_top_add(struct call_top *top, const struct call_top_entry *entry);

/* Adds all that `part` has. */
void call_top_merge(struct call_top *top, const struct call_top *part);

/* In order; those that have the same place by id. The end: nothing is to be added after it. */
void call_top_sort(struct call_top *top);

#endif
