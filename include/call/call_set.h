#ifndef CURFEW_CALL_CALL_SET_H
#define CURFEW_CALL_CALL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct call;

/*
 * The calls of one worker, in lists: those whose head is being read, and those in flight by their pool. A walk that
 * takes more than one turn keeps its place by a cursor, while calls come and go and others walk: a cursor's markers
 * stand among the calls, and walks skip markers. Worker's thread.
 */
struct call_place {
    struct list_node node;
    struct call *call; /* NULL: a marker */
};

struct call_cursor {
    struct call_place at;  /* what is before it has been looked at */
    struct call_place end; /* what is behind it has come since the walk began */
};

struct call_list {
    struct list_node places;  /* the latest last */
    struct call_cursor audit; /* call/audit's, which looks at some calls in each round */
    struct list_node ghosts;  /* of calls that are not there any more (call/ghost) */
    struct list_node hedges;  /* of calls that are in another list (call/call_hedge) */
};

struct call_set {
    struct call_list reading;
    struct call_list *by_pool;
    uint32_t pool_count;
};

void call_set_init(struct call_set *set);
/* No calls are left, and nobody asks a cursor any more. */
void call_set_fini(struct call_set *set);

/* Empty lists for call_set_grow. Heap; NULL without memory. */
struct call_list *call_lists_new(uint32_t count) __attribute__((warn_unused_result));
/* As many pools as there are, or more. Takes the lists over; calls and cursors go to the list of their pool. */
void call_set_grow(struct call_set *set, struct call_list *lists, uint32_t count);

/* From the list in which it is, if any, to the end of this one. */
static inline void call_list_push(struct call_list *list, struct call_place *place)
{
    list_remove(&place->node);
    list_push_back(&list->places, &place->node);
}

/* The first call behind a node of the list; NULL: there is none. */
static inline struct call *call_list_next(const struct call_list *list, const struct list_node *node)
{
    for (node = node->next; node != &list->places; node = node->next) {
        const struct call_place *place = CONTAINER_OF(node, const struct call_place, node);

        if (place->call != NULL)
            return place->call;
    }
    return NULL;
}

/* The body must not take `call` off the list; a cursor allows that. */
#define CALL_LIST_FOREACH(call, list)                                                                        \
    for (struct call *call = call_list_next((list), &(list)->places); call != NULL;                          \
         call = call_list_next((list), &call->place.node))

/* A cursor that is zero, or has come to its end, stands nowhere. */
bool call_cursor_is_set(const struct call_cursor *cursor) __attribute__((pure));
/* Before the first call. It stands nowhere yet. */
void call_cursor_start(struct call_cursor *cursor, struct call_list *list);
/* The next of the calls that were there at the start and are still; NULL: none is left, and it stands nowhere. */
struct call *call_cursor_next(struct call_cursor *cursor);
/* Leaves the list, wherever it stands. */
void call_cursor_stop(struct call_cursor *cursor);

#endif
