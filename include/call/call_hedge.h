#ifndef CURFEW_CALL_CALL_HEDGE_H
#define CURFEW_CALL_CALL_HEDGE_H

#include "base/list.h"
#include "call/try.h"
#include "http/outgoing.h"

struct call_list;
struct replay;

/*
 * A hedge: a try that begins beside one that goes on, when that has been silent for `per_try`. The first of the two
 * whose response's head comes is the call's; the other one is cut in the same turn, and says nothing of the API.
 *
 * The call turns to the one of the two of whom an event tells: that is call->try then, and the other call->rival, so
 * all that moves bytes knows one try. What both would write to is the hedge's own: the request as it goes out, and the
 * content that is kept of it. So it begins only when the request is all here, and the other one has sent its content.
 * One that fails while the other goes on is written down and forgotten: whether there is one more is asked when no
 * other is left.
 *
 * The call stands in the list of its pool still, and for as long as a hedge is of another one, it stands in a list of
 * that one's hedges, for whoever counts permits. Memory is the call's, until its end.
 */
struct call_hedge {
    struct call_hedge *before; /* of the same call, which is over; NULL: none */
    struct list_node node;     /* in call_list.hedges, if it is of another pool than its call */
    struct try try;
    struct outgoing request; /* as its API gets it */
    struct replay *replay;   /* the content, as long as there are two; NULL: there is none */
};

static inline struct call_hedge *hedge_of(struct try *try)
{
    return CONTAINER_OF(try, struct call_hedge, try);
}

static inline struct call_hedge *hedge_of_node(const struct list_node *node)
{
    return CONTAINER_OF(node, struct call_hedge, node);
}

/* How many of a list hold a permit. */
uint32_t hedges_count(const struct call_list *list) __attribute__((pure));

#endif
