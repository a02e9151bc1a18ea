#ifndef CURFEW_TESTS_SIM_EVENTS_H
#define CURFEW_TESTS_SIM_EVENTS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"

/*
 * What is going to happen in a simulated world: events by instant, and those of one instant in an order that is
 * drawn by lot. A binary heap of its own: the timers under test are not their own judge.
 */
struct happening;
typedef void (*event_fn)(struct happening *event);

struct happening {
    int64_t at_ns;
    uint64_t lot;
    size_t place; /* in the heap, from 1; 0: not planned */
    event_fn fn;
};

struct events {
    struct happening **heap; /* heap[0] is not used */
    size_t count, cap;
};

static inline int event_is_before(const struct happening *a, const struct happening *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->lot < b->lot;
}

static inline void events_settle(struct events *events, size_t place, struct happening *event)
{
    while (place > 1 && event_is_before(event, events->heap[place / 2])) {
        events->heap[place] = events->heap[place / 2];
        events->heap[place]->place = place;
        place /= 2;
    }
    for (size_t child; (child = 2 * place) <= events->count; place = child) {
        if (child < events->count && event_is_before(events->heap[child + 1], events->heap[child]))
            child++;
        if (event_is_before(event, events->heap[child]))
            break;
        events->heap[place] = events->heap[child];
        events->heap[place]->place = place;
    }
    events->heap[place] = event;
    event->place = place;
}

static inline void events_cancel(struct events *events, struct happening *event)
{
    size_t place = event->place;
    struct happening *last;

    if (place == 0)
        return;
    event->place = 0;
    last = events->heap[events->count--];
    if (last != event)
        events_settle(events, place, last);
}

/* Plans it, or plans it anew. */
static inline void events_plan(struct events *events, struct happening *event, int64_t at_ns, uint64_t lot)
{
    events_cancel(events, event);
    if (events->count + 1 >= events->cap) {
        events->cap = events->cap != 0 ? 2 * events->cap : 256;
        events->heap = realloc(events->heap, events->cap * sizeof(struct happening *));
        if (events->heap == NULL) {
            fputs("no memory for the simulation\n", stderr);
            exit(2);
        }
    }
    event->at_ns = at_ns;
    event->lot = lot;
    events->count++;
    events_settle(events, events->count, event);
}

static inline int64_t events_next(const struct events *events)
{
    return events->count != 0 ? events->heap[1]->at_ns : NS_NEVER;
}

static inline void events_run_one(struct events *events)
{
    struct happening *event = events->heap[1];

    events_cancel(events, event);
    event->fn(event);
}

#endif
