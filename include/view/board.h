#ifndef CURFEW_VIEW_BOARD_H
#define CURFEW_VIEW_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/phase.h"

/* What one page of /metrics says about upstreams and pools, and what has happened between two of them. */
#define BOARD_NAME   65
#define BOARD_BOUNDS 32

/* Cumulative, as Prometheus has them: values[i] observations were at most bounds[i]; the last bound is infinite. */
struct board_histogram {
    double bounds[BOARD_BOUNDS];
    double values[BOARD_BOUNDS];
    uint32_t count;
};

struct board_upstream {
    char name[BOARD_NAME];
    double started, failed, rejected, abandoned, overdue, observed;
    double completed_fine, completed_4xx; /* 2xx and 3xx; of the 4xx, some are 429 */
    double server_errors, too_many;       /* responses: 5xx or `other`; 429 */
    double stuck[PHASE_COUNT], spared[PHASE_COUNT];
    double in_flight[PHASE_COUNT];
    struct board_histogram overshoot;
};

struct board_pool {
    char name[BOARD_NAME];
    double size, held, waiting;
};

struct board {
    struct board_upstream *upstreams;
    struct board_pool *pools;
    uint32_t upstream_count, pool_count;
    char version[BOARD_NAME];
    double started_at; /* Unix time; another one is another process */
    int64_t at_ns;     /* when the page was read; the reader's to set */
};

/* False: no memory, or this is no page of a curfew. board_free is due in any case. */
bool board_read(struct board *board, struct span page) __attribute__((warn_unused_result));
void board_free(struct board *board);

/* NULL: there is none of this name. */
const struct board_upstream *board_find_upstream(const struct board *board, const char *name);
const struct board_pool *board_find_pool(const struct board *board, const char *name);

/* What has happened at an upstream between two pages. */
struct board_change {
    double started_rate, stuck_rate, failed_rate, rejected_rate; /* per second, and so is: */
    double ok_rate;                                              /* completed, with neither 5xx nor 429 */
    double server_error_rate, too_many_rate;        /* responses, whatever became of their calls */
    double stuck[PHASE_COUNT], spared[PHASE_COUNT]; /* calls */
    double overshoot_p99;                           /* seconds; NaN: nothing was observed */
    double overshoot_most;                          /* the last finite bound, where that is infinite */
    double in_flight;                               /* now */
};

/* `before` may be NULL: everything has happened since. */
void board_compare(const struct board_upstream *now, const struct board_upstream *before, double seconds,
                   struct board_change *change);

/* The quantile q of what was observed in between, interpolated within its bucket; NaN: nothing was. */
double board_quantile(const struct board_histogram *now, const struct board_histogram *before, double q);

#endif
