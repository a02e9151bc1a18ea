#ifndef CURFEW_VIEW_TOP_LINE_H
#define CURFEW_VIEW_TOP_LINE_H

#include "view/latency.h"
#include "view/metrics_page.h"
#include "view/screen.h"

/*
 * The line of `curfew top` below an upstream's figures: what refuses its calls, its pool, where its calls are and got
 * stuck, why they were rejected, and what retries did. What is not there takes no room. The most urgent comes first: a
 * narrow screen cuts the end off.
 */
struct top_line {
    const struct metrics_page_upstream *upstream;
    const struct metrics_page_change *change;
    const struct metrics_page_pool *pool, *pool_before; /* NULL: there is none */
    double seconds;                                     /* between the two */
    struct latency first_event;
};

void top_line_put(struct screen *screen, int y, const struct top_line *line);

/* One pool from column x on: permits, and those that wait; pause and rate. Returns the column behind it. */
int top_line_put_pool(struct screen *screen, int x, int y, const struct metrics_page_pool *pool,
                      const struct metrics_page_pool *before, double seconds);

/* Permits that are given out: the size, or fewer by what the API has refused. */
double top_line_given_out(const struct metrics_page_pool *pool);

/* Nobody else can have a permit of it. */
bool top_line_is_full(const struct metrics_page_pool *pool);

#endif
