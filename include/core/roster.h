#ifndef CURFEW_CORE_ROSTER_H
#define CURFEW_CORE_ROSTER_H

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
#define ROSTER_MAX        10000u     /* entries */
#define ROSTER_ANY        UINT32_MAX /* of an upstream's number */
#define ROSTER_ALL_PHASES ((1u << PHASE_COUNT) - 1)
/* Longer methods are shown cut. */
#define ROSTER_METHOD     20

/* Which come first: those with least left, or the oldest. */
enum roster_order { ROSTER_BY_LEFT, ROSTER_BY_AGE };

struct roster_filter {
    uint64_t id;       /* this call alone; 0: all */
    int64_t older_ns;  /* have been under way for at least this long */
    uint32_t upstream; /* number, or ROSTER_ANY */
    uint32_t phases;   /* a bit for each */
    uint32_t limit;    /* 1 to ROSTER_MAX */
    enum roster_order order;
};

struct roster_entry {
    uint64_t id;
    int64_t begun_ns;
    int64_t deadline_ns;
    int64_t phase_since_ns;
    uint64_t bytes_up, bytes_down;
    uint32_t upstream, route; /* numbers */
    enum phase phase : 8;
    enum sent sent : 8;
    bool observed; /* what is left is left of the ceiling */
    uint8_t method_len;
    char method[ROSTER_METHOD];
};

struct roster {
    struct roster_entry *entries;
    uint32_t count, limit;
    enum roster_order order;
    uint64_t matching;  /* calls that match, listed or not */
    uint64_t in_flight; /* all calls that were looked at */
};

/* Room for `limit` entries, of which nothing is touched before it is used. */
enum status roster_init(struct roster *roster, uint32_t limit, enum roster_order order) MUST_CHECK;
void roster_fini(struct roster *roster);

/* Does a call match that has these? */
static inline bool roster_matches(const struct roster_filter *filter, uint64_t id, uint32_t upstream,
                                  enum phase phase, int64_t age_ns)
{
    return (filter->id == 0 || filter->id == id) &&
           (filter->upstream == ROSTER_ANY || filter->upstream == upstream) &&
           (filter->phases & (1u << phase)) != 0 && age_ns >= filter->older_ns;
}

/* The instant that decides its place: the earlier, the further in front. */
static inline int64_t roster_key(enum roster_order order, int64_t begun_ns, int64_t deadline_ns)
{
    return order == ROSTER_BY_LEFT ? deadline_ns : begun_ns;
}

/* Would a call with these be listed, as things stand? Then it is worth an entry. */
static inline bool roster_wants(const struct roster *roster, int64_t begun_ns, int64_t deadline_ns)
{
    const struct roster_entry *last = roster->entries;

    return roster->count < roster->limit || roster_key(roster->order, begun_ns, deadline_ns) <
                                                roster_key(roster->order, last->begun_ns, last->deadline_ns);
}

/* Lists it, in place of the last one if the roster is full. */
void roster_add(struct roster *roster, const struct roster_entry *entry);

/* Adds all that `part` has. */
void roster_merge(struct roster *roster, const struct roster *part);

/* In order; those that have the same place by id. The end: nothing is to be added after it. */
void roster_sort(struct roster *roster);

#endif
