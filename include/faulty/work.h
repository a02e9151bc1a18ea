#ifndef CURFEW_FAULTY_WORK_H
#define CURFEW_FAULTY_WORK_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/*
 * How many requests are in work, now and at most. The maximum must not show two requests at once that never were: a
 * caller that closes one connection and then sends on another may have both seen in one turn of the loop, in the wrong
 * order. So a request counts for the maximum only when a whole wait of the loop lies between reading it and counting
 * it: by then every close that came before it has been seen.
 */
struct faulty_work {
    uint64_t now;
    uint64_t most;
    uint64_t turn;
    uint64_t fresh_count;
    struct list_node fresh; /* requests that do not count for `most` yet, in the order of their turns */
    struct event settle;
};

struct faulty_work_item {
    struct list_node node; /* in faulty_work.fresh, or alone */
    uint64_t turn;
    bool counted;
};

void faulty_work_init(struct faulty_work *work, struct event_base *base);
void faulty_work_begin(struct faulty_work *work, struct faulty_work_item *item);
/* False: it was not in work. */
bool faulty_work_end(struct faulty_work *work, struct faulty_work_item *item);
/* Forgets the maximum. */
void faulty_work_reset(struct faulty_work *work);

#endif
