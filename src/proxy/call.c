#include "proxy/call.h"

#include <assert.h>

#include "base/mem.h"
#include "core/budget.h"
#include "proxy/downstream.h"
#include "proxy/keepalive.h"
#include "proxy/proxy_worker.h"
#include "proxy/upstream.h"

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    enum cause cause = call_fsm_expired(&call->fsm, now_ns);

    if (cause != CAUSE_NONE)
        call_end(call, cause, NULL);
    else
        call_set_timer(call);
}

static void permit_granted(struct mail *mail)
{
    call_granted(CONTAINER_OF(mail, struct call, ticket.granted));
}

struct call *call_begin(struct downstream *downstream, int64_t now_ns)
{
    struct proxy_worker *pw = downstream->worker;
    struct call *call = mem_zalloc(sizeof(*call));
    int64_t head_limit_ns = budget_end(now_ns, pw->snapshot->limits.request_head_timeout_ns);

    if (call == NULL || timer_init(&pw->worker.timers, &call->timer, time_is_up) != ST_OK) {
        mem_free(call);
        return NULL;
    }
    call->worker = pw;
    call->downstream = downstream;
    call->config = downstream->upstream;
    call->route = &call->config->default_route;
    call->id = pw->next_call++;
    call->minor = 1;
    call->scan.is_response = true;
    pool_ticket_init(&call->ticket, &pw->worker, permit_granted);
    call_fsm_begin(&call->fsm, now_ns, budget_end(now_ns, call->route->deadline_ns));
    call_fsm_set_limit(&call->fsm, head_limit_ns, CAUSE_HEAD_LIMIT);
    call_set_timer(call);
    list_push_back(&pw->reading, &call->node);
    return call;
}

void call_set_timer(struct call *call)
{
    timer_set(&call->worker->worker.timers, &call->timer, call_fsm_next_ns(&call->fsm));
}

/* True: the permit goes with it. */
static bool give_back_upstream(struct call *call, unsigned holds)
{
    struct upstream *upstream = call->upstream;
    struct pool *pool = call->worker->pools[call->route->pool];

    call->peer = upstream->connect != NULL ? upstream->connect->peer : upstream->peer;
    if (call->reusable)
        keepalive_put(call->worker->keepalive[call->config->index], &call->upstream,
                      worker_now(&call->worker->worker));
    else if (call->fsm.state == CALL_DELIVERING && call->fsm.sent == SENT_COMPLETE)
        upstream_close(&call->upstream);
    else if (upstream->connect != NULL || (holds & HOLD_PERMIT) == 0)
        upstream_cut(&call->upstream);
    else {
        upstream_cut_later(&call->upstream, pool, &call->ticket);
        return true;
    }
    return false;
}

/* The connection before the permit: nobody else may use the permit while the upstream still sees this call. */
static void give_back(struct call *call, unsigned holds)
{
    struct proxy_worker *pw = call->worker;
    bool has_upstream = (holds & (HOLD_CONNECT | HOLD_UPSTREAM)) != 0 && call->upstream != NULL;
    bool passed_on = has_upstream && give_back_upstream(call, holds);

    if ((holds & (HOLD_PERMIT | HOLD_QUEUE)) != 0 && !passed_on)
        pool_give_back(pw->pools[call->route->pool], &call->ticket);
    if ((holds & HOLD_TIMER) != 0)
        timer_fini(&pw->worker.timers, &call->timer);
}

void call_move(struct call *call, enum call_state to)
{
    unsigned holds;

    if (!call_fsm_move(&call->fsm, to, worker_now(&call->worker->worker), &holds)) {
        call->worker->metrics->process.broken_invariants[0]++;
        assert(call_fsm_may_move(call->fsm.state, to));
        return;
    }
    give_back(call, holds);
}

void call_phase(struct call *call, enum phase phase)
{
    call_fsm_enter_phase(&call->fsm, phase, worker_now(&call->worker->worker));
}

void call_caller_gone(struct call *call)
{
    call_end(call, CAUSE_CALLER_GONE, NULL);
}
