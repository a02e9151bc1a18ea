#include "call/ghost.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/context.h"
#include "call/late.h"
#include "core/budget.h"

struct watch;

struct ghost {
    struct list_node node; /* in call_list.ghosts of its pool */
    struct timer over;
    struct pool_ticket ticket;
    struct watch *watch; /* NULL: nobody wants to know what becomes of the call */
    struct pool *pool;
    struct call_terms *terms;
    struct call_context *context;
};

/* What a ghost whose API is listened to has besides. */
struct watch {
    struct late late;
    struct ghost *ghost;
};

static struct ghost *ghost_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct ghost, node);
}

static void end(struct ghost *ghost)
{
    PRE(ghost->ticket.permit.state == PERMIT_HELD && ghost->terms->users > 0);
    if (ghost->watch != NULL)
        late_end(&ghost->watch->late);
    mem_free(ghost->watch);
    list_remove(&ghost->node);
    timer_fini(&ghost->context->loop->timers, &ghost->over);
    pool_give_back_ghost(ghost->pool, &ghost->ticket);
    ghost->terms->users--;
    mem_free(ghost);
}

static void is_over(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    end(CONTAINER_OF(timer, struct ghost, over));
}

/* By these causes the API itself has ended the exchange: nothing of it is left there. */
static bool has_api_ended(enum cause cause)
{
    return cause == CAUSE_TERMINATED || cause == CAUSE_INCOMPLETE || cause == CAUSE_TLS_PROTOCOL;
}

static bool is_due(const struct try *try, enum cause cause)
{
    return try_fsm_is_exchanging(&try->fsm) && try->plan.route->linger_ns > 0 &&
           try->ticket.permit.state == PERMIT_HELD && try->fsm.sent != SENT_NONE && cause != CAUSE_NONE &&
           !has_api_ended(cause);
}

/* NULL: no memory. */
static struct ghost *make(const struct try *try)
{
    struct call_context *context = try->context;
    struct ghost *ghost = mem_zalloc(sizeof(*ghost));

    if (ghost == NULL || timer_init(&context->loop->timers, &ghost->over, is_over) != ST_OK) {
        mem_free(ghost);
        return NULL;
    }
    ghost->context = context;
    ghost->terms = try->plan.terms;
    ghost->terms->users++;
    ghost->pool = try->plan.pool;
    pool_ticket_init(&ghost->ticket, context->loop, NULL);
    list_push_back(&context->calls.by_pool[try->plan.route->pool].ghosts, &ghost->node);
    return ghost;
}

/* Where the API has ended the exchange, there is no more to wait for. */
static void nothing_comes(struct late *late, bool api_has_ended)
{
    struct ghost *ghost = CONTAINER_OF(late, struct watch, late)->ghost;

    if (api_has_ended)
        end(ghost);
}

/* Without memory for it nothing will be known, as if the API said nothing. */
static void watch(struct ghost *ghost, const struct call *call, struct try *try)
{
    struct watch *made = mem_zalloc(sizeof(*made));

    if (made == NULL) {
        call->context->metrics->routes[call->route->index].late[LATE_CLASS_NONE]++;
        return;
    }
    made->ghost = ghost;
    made->late.over = nothing_comes;
    ghost->watch = made;
    late_begin(&made->late, call, try);
}

void ghost_follow(struct call *call, struct try *try, enum cause cause)
{
    struct ghost *ghost;

    if (!is_due(try, cause))
        return;
    ghost = make(try);
    if (ghost == NULL) {
        call->context->metrics->process.ghosts_missed[0]++;
        return;
    }
    try->lingers = true;
    pool_pass_on_to_ghost(ghost->pool, &try->ticket, &ghost->ticket);
    timer_set(&call->context->loop->timers, &ghost->over,
              budget_end(loop_now(call->context->loop), try->plan.route->linger_ns));
    if (call->ends && call->tunnel == NULL && try->plan.config->late && late_can_begin(try))
        watch(ghost, call, try);
}

uint32_t ghosts_count(const struct call_list *list)
{
    uint32_t count = 0;

    LIST_FOREACH(node, &list->ghosts)
        count++;
    return count;
}

void ghosts_end(struct call_context *context)
{
    for (uint32_t i = 0; i < context->calls.pool_count; i++) {
        struct list_node *ghosts = &context->calls.by_pool[i].ghosts;

        while (!list_is_empty(ghosts))
            end(ghost_of(ghosts->next));
    }
}
