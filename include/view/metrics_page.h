#ifndef CURFEW_VIEW_METRICS_PAGE_H
#define CURFEW_VIEW_METRICS_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/cause.h"
#include "core/phase.h"

/* What one page of /metrics says about upstreams and pools, and what has happened between two of them. */
#define METRICS_PAGE_NAME   65
#define METRICS_PAGE_BOUNDS 32

/* Cumulative, as Prometheus has them: values[i] observations were at most bounds[i]; the last bound is infinite. */
struct metrics_page_histogram {
    double bounds[METRICS_PAGE_BOUNDS];
    double values[METRICS_PAGE_BOUNDS];
    uint32_t count;
};

struct metrics_page_upstream {
    char name[METRICS_PAGE_NAME];
    double started, failed, rejected, abandoned, overdue, observed;
    double breakers_open, breakers_half;  /* its routes' */
    double completed_fine, completed_4xx; /* 2xx and 3xx; of the 4xx, some are 429 */
    double server_errors, too_many;       /* responses: 5xx or `other`; 429 */
    double rejected_by[CAUSE_COUNT];      /* of those rejected */
    double retried, saved,
        budget_stops;           /* tries after a call's first; calls that they saved, that got none */
    double dns_stale;           /* connections by an old answer, as DNS fails */
    double h2_callers, h2_apis; /* calls that came, that went by HTTP/2 */
    double stuck[PHASE_COUNT], spared[PHASE_COUNT];
    double in_flight[PHASE_COUNT];
    struct metrics_page_histogram overshoot;
};

struct metrics_page_pool {
    char name[METRICS_PAGE_NAME];
    double size, limit, held, waiting, ghosts; /* limit: how many of the size are given out */
    double rate_limit, rate_started;           /* a second; calls so far. 0: it has no rate */
    double pause_seconds;                      /* left of a pause */
    double fleet_size,
        fleet_granted; /* over all hosts: the cap, what is lent of it; 0: it is this host's own */
    double fleet_hosts, fleet_waiting; /* hosts in the store's book; of these, those that want more */
    bool is_learning, is_fallback;     /* nothing is lent to this host, or less than it asks for */
};

struct metrics_page {
    struct metrics_page_upstream *upstreams;
    struct metrics_page_pool *pools;
    uint32_t upstream_count, pool_count;
    char version[METRICS_PAGE_NAME];
    double started_at;  /* Unix time; another one is another process */
    bool is_store_away; /* there is a fleet, and no connection to its store */
    int64_t at_ns;      /* when the page was read; the reader's to set */
};

/* False: no memory, or this is no page of a curfew. metrics_page_free is due in any case. */
bool metrics_page_read(struct metrics_page *board, struct span page) __attribute__((warn_unused_result));
void metrics_page_free(struct metrics_page *board);

/* NULL: there is none of this name. */
const struct metrics_page_upstream *metrics_page_find_upstream(const struct metrics_page *board,
                                                               const char *name);
const struct metrics_page_pool *metrics_page_find_pool(const struct metrics_page *board, const char *name);

/* What has happened at an upstream between two pages. */
struct metrics_page_change {
    double started_rate, stuck_rate, failed_rate, rejected_rate; /* per second, and so is: */
    double ok_rate;                                              /* completed, with neither 5xx nor 429 */
    double server_error_rate, too_many_rate; /* responses, whatever became of their calls */
    double retried_rate;
    double h2_callers_rate, h2_apis_rate; /* calls that have ended, by HTTP/2 on that side */
    double rejected_by[CAUSE_COUNT], saved, budget_stops, dns_stale; /* how many */
    double stuck[PHASE_COUNT], spared[PHASE_COUNT];                  /* calls */
    double overshoot_p99;                                            /* seconds; NaN: nothing was observed */
    double overshoot_most; /* the last finite bound, where that is infinite */
    double in_flight;      /* now */
};

/* `before` may be NULL: everything has happened since. */
void metrics_page_compare(const struct metrics_page_upstream *now, const struct metrics_page_upstream *before,
                          double seconds, struct metrics_page_change *change);

/* The quantile q of what was observed in between, interpolated within its bucket; NaN: nothing was. */
double metrics_page_quantile(const struct metrics_page_histogram *now,
                             const struct metrics_page_histogram *before, double q);

#endif
