/*
 * A call that has become a tunnel: both of its streams are bytes, and each of the two directions is relayed until its
 * source has ended it.
 *
 *   caller --up--> upstream        up is over: the caller's end, and all before it, is with the upstream
 *   caller <-down-- upstream       down is over: likewise
 *
 * Both over: the tunnel is. A write that fails does not end it by itself: what the other side said before it closed may
 * still lie in its socket. That is read, and says whether it was an end or a reset.
 */
#include "call/call_tunnel.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/context.h"
#include "call/relay.h"
#include "core/budget.h"
#include "http/upgrade.h"

/* An idle tunnel that may be closed for others is looked at so often. */
#define LOOK_NS NS_PER_S

bool call_ask_for_tunnel(struct call *call, const struct tunnel_terms *terms, const struct span *protocol)
{
    PRE(call->tunnel == NULL && call->fsm.state == CALL_READING);
    call->tunnel = mem_zalloc(sizeof(*call->tunnel));
    if (call->tunnel == NULL)
        return false;
    tunnel_begin(&call->tunnel->tunnel);
    call->tunnel->terms = terms;
    call->tunnel->protocol = protocol;
    call->tunnel->end = TUNNEL_END_NONE;
    call->tunnel->reclaim_ns = NS_NEVER;
    call->caller->asks_to_tunnel = true;
    return true;
}

enum cause call_ask_for_upgrade(struct call *call, struct http1_head *head)
{
    const struct upgrade_config *upgrade = call->route->upgrade;
    const struct span *asked = NULL;

    if (upgrade != NULL)
        asked = upgrade_asked(head, upgrade->protocols, upgrade->protocol_count);
    if (asked == NULL)
        return call->caller->wants_tunnel ? CAUSE_PROTOCOL : CAUSE_NONE;
    head->upgrade = *asked;
    return call_ask_for_tunnel(call, &upgrade->terms, asked) ? CAUSE_NONE : CAUSE_INTERNAL;
}

void call_open_tunnel(struct call *call)
{
    struct call_tunnel *tunnel = call->tunnel;

    PRE(tunnel != NULL && !tunnel->is_open && call->answering);
    if (!try_open_tunnel(call->try))
        return;
    call_follow_phase(call);
    if (!call_move(call, CALL_TUNNEL))
        return;
    tunnel->is_open = true;
    call_fsm_set_begin(&call->fsm, NS_NEVER);
    call_fsm_replace_deadline(&call->fsm, budget_end(call->fsm.begun_ns, tunnel->terms->lifetime_ns),
                              loop_now(call->context->loop));
    stream_tunnel(call->try->exchange);
    stream_tunnel(call->caller);
}

/* The caller's bytes to the upstream. */
static const struct stream_fault *pass_up(struct call *call)
{
    struct tunnel *tunnel = &call->tunnel->tunnel;

    if (tunnel->up_is_over)
        return NULL;
    if (call->tunnel->awaits_hello) {
        const struct stream_fault *fault = call_await_hello(call);

        if (fault != NULL || call->tunnel->awaits_hello)
            return fault;
    }
    switch (relay_run(call->caller, call->try->exchange, NULL, NULL)) {
    case RELAY_DONE:
        tunnel_note_end(tunnel, TUNNEL_END_CALLER);
        return stream_is_gone(call->caller) ? &call_caller_left : NULL;
    case RELAY_WAIT: break;
    case RELAY_AGAIN: stream_again(call->caller); break;
    case RELAY_SOURCE: return &call_caller_left;
    case RELAY_SINK: tunnel->up_is_over = true; break; /* why, says what comes from there */
    case RELAY_NOMEM: return &call_no_memory;
    }
    return NULL;
}

static const struct stream_fault *pass_down(struct call *call)
{
    struct tunnel *tunnel = &call->tunnel->tunnel;

    if (tunnel->down_is_over)
        return NULL;
    switch (relay_run(call->try->exchange, call->caller, NULL, NULL)) {
    case RELAY_DONE: tunnel_note_end(tunnel, TUNNEL_END_UPSTREAM); break;
    case RELAY_WAIT: break;
    case RELAY_AGAIN: stream_again(call->caller); break;
    case RELAY_SOURCE: return &call->try->exchange->fault;
    case RELAY_SINK: return &call_caller_left;
    case RELAY_NOMEM: return &call_no_memory;
    }
    return NULL;
}

static int64_t moved_ns(const struct call *call)
{
    int64_t up_ns = call->caller->moved_ns, down_ns = call->try->exchange->moved_ns;

    return up_ns > down_ns ? up_ns : down_ns;
}

/* The next look at whether others wait for the permit, from `from_ns` on. An observed tunnel is closed for nobody. */
static int64_t next_look(const struct call *call, int64_t from_ns)
{
    return call->fsm.policy_ns == NS_NEVER ? budget_end(from_ns, call->tunnel->reclaim_ns) : NS_NEVER;
}

static void set_limit(struct call *call, int64_t look_ns)
{
    struct call_tunnel *tunnel = call->tunnel;
    enum cause cause;
    int64_t limit_ns = tunnel_limit(&tunnel->tunnel, tunnel->terms, moved_ns(call), &cause);

    if (look_ns < limit_ns) {
        limit_ns = look_ns;
        cause = CAUSE_IDLE_LIMIT;
    }
    if (tunnel->awaits_hello && tunnel->hello_end_ns < limit_ns) {
        limit_ns = tunnel->hello_end_ns;
        cause = CAUSE_SNI;
    }
    try_fsm_set_limit(&call->try->fsm, limit_ns, cause);
    call_set_timer(call);
}

bool call_tunnel_lives(struct call *call, int64_t now_ns)
{
    struct call_tunnel *tunnel = call->tunnel;
    enum cause cause;

    if (tunnel->reclaim_ns == NS_NEVER ||
        tunnel_limit(&tunnel->tunnel, tunnel->terms, moved_ns(call), &cause) <= now_ns)
        return false;
    tunnel->is_reclaimed = pool_figures(call->try->plan.pool).waiting != 0;
    if (tunnel->is_reclaimed)
        return false;
    set_limit(call, now_ns + (tunnel->reclaim_ns < LOOK_NS ? tunnel->reclaim_ns : LOOK_NS));
    return true;
}

const struct stream_fault *call_pump_tunnel(struct call *call)
{
    static const struct stream_fault closed = {.cause = CAUSE_NONE};
    const struct stream_fault *fault = pass_up(call);

    PRE(call->fsm.state == CALL_TUNNEL);
    if (call->try->exchange->sent)
        call_fsm_note_sent(&call->fsm, SENT_PARTIAL);
    if (fault == NULL)
        fault = pass_down(call);
    if (fault == NULL && tunnel_is_over(&call->tunnel->tunnel))
        fault = &closed;
    if (fault == NULL)
        set_limit(call, next_look(call, moved_ns(call)));
    return fault;
}

/* As far as they take it: what they have said of their own is theirs. */
static void end_streams(struct call *call)
{
    static const struct stream_piece end = {.last = true};
    struct tunnel *tunnel = &call->tunnel->tunnel;
    size_t taken;

    if (!tunnel->down_is_over && !call->caller->lost)
        (void)stream_send(call->caller, &end, &taken);
    if (!tunnel->up_is_over && !call->try->exchange->lost)
        (void)stream_send(call->try->exchange, &end, &taken);
}

enum cause call_close_tunnel(struct call *call, enum cause cause)
{
    struct route_metrics *metrics = &call->context->metrics->routes[call->route->index];
    enum tunnel_end end = tunnel_end_of(&call->tunnel->tunnel, cause);
    enum cause is_cause = call->tunnel->is_reclaimed ? CAUSE_NONE : tunnel_cause_of(end, cause);

    PRE(call->fsm.state == CALL_TUNNEL && call->tunnel->end == TUNNEL_END_NONE);
    call->tunnel->end = end;
    metrics->tunnels_ended[end]++;
    if (is_cause != CAUSE_NONE || (call->caller->lost && !call->tunnel->tunnel.up_is_over))
        return is_cause;
    end_streams(call);
    call_try_over(call, CAUSE_NONE);
    if (!try_finish(call->try, false))
        IMPOSSIBLE("a tunnel whose try can't be over");
    return is_cause;
}
