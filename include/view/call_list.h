#ifndef CURFEW_VIEW_CALL_LIST_H
#define CURFEW_VIEW_CALL_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* What GET /calls has said. */
struct call_row {
    const char *id, *upstream, *route, *method, *phase, *sent; /* terminated; "?" for what is not known */
    int64_t age_ms, left_ms, phase_ms;
    uint64_t bytes_up, bytes_down;
    int64_t try_number; /* 0: its first try */
    bool hedged;        /* and the one before it is under way, too */
    bool comes_by_h2;   /* its caller speaks HTTP/2 */
    bool goes_by_h2;    /* the API does */
    bool probes;        /* it was let in to see whether the API is well again */
};

struct call_list {
    struct call_row *rows;
    uint32_t count;
    uint64_t matching, in_flight;
    void *json; /* holds the texts */
};

/*
 * False: this is not what GET /calls says, or there is no memory; then the list is empty. call_list_free is due in any
 * case.
 */
bool call_list_read(struct call_list *list, struct span json) __attribute__((warn_unused_result));
void call_list_free(struct call_list *list);

/* As a table. How wide the columns of names are; 0: left out. */
struct call_columns {
    int upstream, method, route;
};

struct call_columns call_list_columns(const struct call_list *list);
/*
 * The same for a screen of this width: names are shortened, and then left out, so that the id is whole, which is what a
 * call is cut by. What stands behind it may be beyond the edge.
 */
struct call_columns call_list_fit(struct call_columns columns, int width);
/* A line each, without its end: what the columns are called, and a call. */
void call_list_put_head(struct text *out, struct call_columns columns);
void call_list_put_row(struct text *out, struct call_columns columns, const struct call_row *row);

#endif
