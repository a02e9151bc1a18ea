#include "call/try_connection.h"

#include "call/context.h"
#include "call/keepalive.h"
#include "call/multiplex.h"
#include "call/try_plan.h"
#include "core/budget.h"
#include "runtime/address_book.h"

static struct keepalive *keepalive_of(const struct call_context *context, const struct try_plan *plan)
{
    return context->keepalive[plan->config->index];
}

/* When one that is made has to be there: by then the last of its addresses has been tried. */
static int64_t race_end(const struct call_context *context, const struct try_plan *plan)
{
    int64_t now_ns = loop_now(context->loop);

    return budget_race_end(budget_end(now_ns, plan->route->connect_ns), plan->deadline_ns, plan->policy_ns,
                           now_ns);
}

static struct seat_order seat_for(struct call_context *context, const struct try_plan *plan,
                                  const struct upstream_events *events, void *user)
{
    return (struct seat_order){.context = context,
                               .terms = plan->terms,
                               .config = plan->config,
                               .events = events,
                               .user = user,
                               .shunned = plan->shunned,
                               .limit_ns = race_end(context, plan),
                               .repeatable = plan->repeatable};
}

struct upstream *try_connection_make(struct call_context *context, const struct try_plan *plan,
                                     const struct upstream_events *events, void *user)
{
    struct seat_order order;

    if (!try_plan_may_speak_h2(plan))
        return upstream_connect(context, plan->terms, plan->config, plan->target, events, user, plan->shunned,
                                plan->upgrade != NULL, race_end(context, plan));
    order = seat_for(context, plan, events, user);
    return multiplex_connect(keepalive_of(context, plan), &order);
}

/* For whom a connection is looked for. */
struct search {
    const struct call_context *context;
    const struct try_plan *plan;
};

/* Is its address left out at the moment, or does another try of the same call run there? */
static bool is_out(const void *arg, const struct upstream *upstream)
{
    const struct search *search = arg;

    return upstream == search->plan->beside ||
           (address_book_is_troubled(search->context->address_book) &&
            address_book_is_out(search->context->address_book, try_plan_origin(search->plan), &upstream->peer,
                                loop_now(search->context->loop)));
}

/* The one that is reserved for the caller; else NULL. */
static struct upstream *take_reserved(const struct call_context *context, const struct try_plan *plan)
{
    if (*plan->reserved_at == NULL)
        return NULL;
    return keepalive_take_reserved(plan->reserved_at, plan->config, plan->target, loop_now(context->loop),
                                   !plan->repeatable);
}

static struct upstream *take_idle_h1(struct call_context *context, const struct try_plan *plan)
{
    const struct search search = {context, plan};
    struct upstream *upstream = NULL;

    do {
        if (upstream != NULL)
            upstream_close(&upstream);
        upstream = keepalive_take(keepalive_of(context, plan), plan->config, plan->target,
                                  loop_now(context->loop), !plan->repeatable);
    } while (upstream != NULL && is_out(&search, upstream));
    return upstream;
}

static struct upstream *take_seat(struct call_context *context, const struct try_plan *plan,
                                  const struct upstream_events *events, void *user)
{
    const struct search search = {context, plan};
    const struct seat_order order = seat_for(context, plan, events, user);

    return multiplex_take(keepalive_of(context, plan), &order, is_out, &search);
}

struct upstream *try_connection_take(struct call_context *context, const struct try_plan *plan,
                                     const struct upstream_events *events, void *user)
{
    struct upstream *upstream;

    if (plan->fresh || try_plan_forgoes_h2(plan))
        return NULL;
    upstream = take_reserved(context, plan);
    if (upstream == NULL && address_book_is_troubled(context->address_book) &&
        address_book_wants_probe(context->address_book, try_plan_origin(plan), loop_now(context->loop)))
        return NULL;
    if (upstream == NULL && try_plan_may_speak_h2(plan))
        return take_seat(context, plan, events, user);
    if (upstream == NULL)
        upstream = take_idle_h1(context, plan);
    if (upstream == NULL)
        return NULL;
    if (plan->target != NULL)
        plan->target->address = upstream->target->address;
    upstream->events = events;
    upstream->user = user;
    return upstream;
}
