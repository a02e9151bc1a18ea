#include "call/circuit_watch.h"

#include "call/call.h"
#include "call/context.h"
#include "runtime/circuit.h"

/* Does it wait for a permit, with a pass that is none any more? */
static bool waits_in_vain(const struct try *try, struct circuit *circuit)
{
    return try->fsm.state == TRY_QUEUED && try->plan.circuit == circuit && try->pass.generation != 0 &&
           try->pass.generation != circuit_generation(circuit);
}

/* A call that is refused leaves the list, and its caller's next one may come: it is behind the cursor's end. */
static void refuse_waiters(struct call_list *calls, struct circuit *circuit, const struct circuit_news *news)
{
    struct call_cursor cursor;
    struct call *call;

    call_cursor_start(&cursor, calls);
    while ((call = call_cursor_next(&cursor)) != NULL)
        if (waits_in_vain(call->try, circuit))
            call_refuse_waiting(call, call->try, news);
}

void circuit_watch_opened(struct call_context *context, struct circuit *circuit)
{
    struct circuit_news news = circuit_look(circuit, loop_now(context->loop));

    for (uint32_t i = 0; news.state != BREAKER_CLOSED && i < context->calls.pool_count; i++)
        refuse_waiters(&context->calls.by_pool[i], circuit, &news);
}

struct probes {
    const struct call_context *context;
    const struct circuit *circuit;
};

static bool is_probe(const struct try *try, const struct circuit *circuit)
{
    return try->plan.circuit == circuit && circuit_is_live_probe_locked(circuit, &try->pass);
}

static uint32_t count_probes(void *arg)
{
    const struct probes *probes = arg;
    const struct call_context *context = probes->context;
    bool may_have = circuit_may_have_probes_locked(probes->circuit);
    uint32_t count = 0;

    for (uint32_t i = 0; may_have && i < context->calls.pool_count; i++) {
        CALL_LIST_FOREACH(call, &context->calls.by_pool[i]) {
            count += is_probe(call->try, probes->circuit);
            count += call->rival != NULL && is_probe(call->rival, probes->circuit);
        }
    }
    return count;
}

bool circuit_watch_audit(struct call_context *context, struct circuit *circuit)
{
    struct probes probes = {context, circuit};

    return circuit_audit(circuit, context->loop, count_probes, &probes);
}
