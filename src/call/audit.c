#include "call/audit.h"

#include "base/invariant.h"
#include "call/call.h"
#include "call/circuit_watch.h"
#include "call/context.h"
#include "call/ghost.h"
#include "call/call_hedge.h"
#include "call/upstream.h"
#include "runtime/log_error.h"

/* Calls of one list that are looked after in one round; the others have their turn in the next ones. */
#define BATCH 256u

/* Whose holders are counted. */
struct holders {
    const struct call_context *context;
    uint32_t pool;
};

/*
 * By the tries' own state, which the pool does not know. A granted permit that is still in the mail is held too, and
 * so is one that goes with a connection that is about to be cut, or has stayed with a ghost.
 */
static uint32_t count_among(const struct call_list *calls, const struct pool *pool)
{
    uint32_t count = 0;

    CALL_LIST_FOREACH(call, calls) {
        count += call->try->plan.pool == pool && try_has_permit(call->try);
        count += call->rival != NULL && call->rival->plan.pool == pool && try_has_permit(call->rival);
    }
    return count;
}

static uint32_t count_holders(void *arg)
{
    const struct holders *holders = arg;
    const struct call_context *context = holders->context;

    return upstream_count_cuts(context, context->pools[holders->pool]) +
           ghosts_count(&context->calls.by_pool[holders->pool]) +
           hedges_count(&context->calls.by_pool[holders->pool]) +
           count_among(&context->calls.by_pool[holders->pool], context->pools[holders->pool]);
}

/* The calls whose turn it is; when the list's last one was among them, it goes on with the first. */
static uint32_t take_batch(struct call_list *calls, struct call *batch[BATCH])
{
    bool is_last_lap = !call_cursor_is_set(&calls->audit);
    uint32_t count = 0;

    if (is_last_lap)
        call_cursor_start(&calls->audit, calls);
    while (count < BATCH) {
        struct call *call = call_cursor_next(&calls->audit);

        if (call == NULL && !is_last_lap) {
            is_last_lap = true;
            call_cursor_start(&calls->audit, calls);
            continue;
        }
        if (call == NULL || (count != 0 && call == batch[0]))
            break;
        batch[count++] = call;
    }
    return count;
}

/*
 * Ends calls whose books are wrong. One that is past its deadline may only have to wait for its timer, which is run
 * after ours: it is lost if that is still so at the next look.
 */
static uint32_t end_unsound(struct call *batch[BATCH], uint32_t count, int64_t now_ns)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct call *call = batch[i];
        bool overdue = now_ns > call->fsm.deadline_ns;

        if (overdue && call->overdue)
            call_break(call, "its deadline has passed and it has not ended");
        else if (!call_is_sound(call))
            call_break(call, "it does not hold what belongs to its state");
        else
            batch[left++] = call;
        call->overdue = overdue;
    }
    return left;
}

/*
 * A reset that came with the request's last bytes raised its event then, and raises no other. And a caller that has
 * said its end before, or whose end waits behind bytes that are not read, leaves without a packet.
 */
static void look_after_callers(struct call *batch[BATCH], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (stream_is_gone(batch[i]->caller))
            call_caller_gone(batch[i]);
}

static const char *name_of_pool(const struct call_context *context, uint32_t number)
{
    const char *name = snapshot_pool_name(context->snapshot, number);

    return name != NULL ? name : "of an older configuration";
}

/* What any thread has found impossible since the last round. */
static void count_impossible(struct call_context *context)
{
    const char *what;
    uint32_t count = invariant_take(&what);

    if (count == 0)
        return;
    context->metrics->process.broken_invariants[0] += count;
    log_error("broken invariant: %s", what);
}

static void audit_circuits(struct call_context *context)
{
    for (uint32_t i = 0; i < context->metrics->route_count; i++) {
        if (context->circuits[i] == NULL || circuit_watch_audit(context, context->circuits[i]))
            continue;
        context->metrics->process.broken_invariants[0]++;
        log_error("broken invariant: a breaker's places do not agree with the probes of worker %u",
                  context->loop->index);
    }
}

void audit_round(struct call_context *context, int64_t now_ns)
{
    struct call *batch[BATCH];

    count_impossible(context);
    for (uint32_t i = 0; i < context->calls.pool_count; i++) {
        struct holders holders = {context, i};

        if (!pool_audit(context->pools[i], context->loop, count_holders, &holders))
            log_error("pool %s: its books do not agree with the calls of worker %u", name_of_pool(context, i),
                      context->loop->index);
        look_after_callers(batch, end_unsound(batch, take_batch(&context->calls.by_pool[i], batch), now_ns));
    }
    audit_circuits(context);
    /* While a head is being read, the socket reports the caller's leaving by itself. */
    (void)end_unsound(batch, take_batch(&context->calls.reading, batch), now_ns);
}
