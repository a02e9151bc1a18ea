#include "call/try.h"

#include <stdio.h>

#include "base/invariant.h"
#include "core/budget.h"
#include "call/context.h"
#include "call/keepalive.h"
#include "call/multiplex.h"
#include "call/pool_feedback.h"
#include "call/pool_wait.h"
#include "call/try_connection.h"
#include "call/upstream.h"
#include "config/snapshot.h"

static struct keepalive *keepalive_of(const struct try *try)
{
    return try->context->keepalive[try->plan.config->index];
}

/* ---- the result ---------------------------------------------------------------------------------------- */

static void report(struct try *try, const struct stream_fault *fault)
{
    const struct upstream *upstream = try->upstream;
    struct try_result result;

    if (try->exchange->sent && !try->exchange->refused)
        try_fsm_note_sent(&try->fsm, SENT_PARTIAL);
    result = (struct try_result){
        .cause = fault->cause,
        .detail = fault->detail,
        .odd = fault->odd,
        .status = try->status,
        .sent = try->fsm.sent,
        .closed = fault->closed,
        .refused = fault->refused,
        .reused = upstream != NULL && upstream->served != 0,
        .answered = try->exchange->heard,
    };

    try->events->over(try, &result);
}

void try_fail(struct try *try, const struct stream_fault *fault)
{
    PRE(try->fsm.state != TRY_OVER);
    if (fault->refused)
        try->fsm.sent = SENT_NONE; /* which the API has said */
    report(try, fault);
}

static enum try_step fail(struct try *try, enum cause cause, const char *detail)
{
    report(try, &(struct stream_fault){.cause = cause, .detail = detail});
    return TRY_FAILED;
}

/* Apart, so that the way of every try needs no room for the text. */
static __attribute__((cold, noinline)) void refuse_move(struct try *try, enum try_state to)
{
    char what[64];

    snprintf(what, sizeof(what), "it can't go on to %s", try_state_name(to));
    fail(try, CAUSE_BROKEN, what);
}

/* ---- what is given back -------------------------------------------------------------------------------- */

/* For the next call: anybody's, or this caller's, on whose connection it must come. */
static void keep_upstream(struct try *try, bool keeps_caller)
{
    int64_t now_ns = loop_now(try->context->loop);

    if (!try->upstream->is_personal) /* of a seat that is the same as to close it */
        keepalive_put(keepalive_of(try), &try->upstream, now_ns);
    else if (keeps_caller)
        keepalive_reserve(keepalive_of(try), &try->upstream, try->plan.reserved_at, now_ns);
    else
        upstream_close(&try->upstream);
}

static void note_peer(struct try *try)
{
    const struct upstream *upstream = try->upstream;

    PRE(upstream->user == try);
    try->peer = *upstream_peer(upstream);
}

/* The connection before the permit: nobody else may use the permit while the upstream still sees this try. */
static void cut_held(struct try *try, unsigned holds)
{
    bool has_permit = (holds & (HOLD_PERMIT | HOLD_QUEUE)) != 0;

    if ((holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0 && try->upstream != NULL) {
        note_peer(try);
        if (upstream_is_made(try->upstream) && (holds & HOLD_PERMIT) != 0) {
            upstream_cut_with_permit(&try->upstream, try->plan.pool, &try->ticket);
            return;
        }
        upstream_cut(&try->upstream);
    }
    if (has_permit)
        pool_give_back(try->plan.pool, &try->ticket);
}

/*
 * False: the table does not allow it; that has been told, and the call may be over. Inlined, because every try comes by
 * here several times.
 */
static inline __attribute__((always_inline)) bool move(struct try *try, enum try_state to)
{
    unsigned holds;

    if (!try_fsm_move(&try->fsm, to, &holds)) {
        refuse_move(try, to);
        return false;
    }
    if ((holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0 && try->upstream != NULL)
        cut_held(try, holds);
    if (try_state_phase(to) != PHASE_COUNT)
        try->fsm.phase = try_state_phase(to);
    return true;
}

/* ---- the connection ------------------------------------------------------------------------------------ */

static void begin_h1(struct try *try)
{
    struct call_context *context = try->context;
    const struct try_plan *plan = &try->plan;

    try->exchange = &try->h1.stream;
    h1_exchange_begin(&try->h1, &try->upstream->transport,
                      &(struct h1_terms){.method = plan->method,
                                         .upgrade = plan->upgrade,
                                         .rules = &plan->config->rules,
                                         .head_max = (uint32_t)context->snapshot->limits.response_head_bytes,
                                         .head_cap = (uint32_t)context->text_cap});
    try->upstream->is_personal |= plan->authenticates;
}

/* False: no memory. */
static bool begin_h2(struct try *try)
{
    struct call_context *context = try->context;
    const struct try_plan *plan = &try->plan;

    if (try->h2 == NULL)
        try->h2 = h2_exchange_new(context->loop, &context->head);
    if (try->h2 == NULL)
        return false;
    PRE(try->upstream->seat != NULL);
    try->exchange = &try->h2->stream;
    h2_exchange_begin(try->h2, try->upstream->h2,
                      &(struct h2_exchange_terms){.method = plan->method,
                                                  .rules = &plan->config->rules,
                                                  .head_max = context->snapshot->limits.response_head_bytes,
                                                  .head_cap = (uint32_t)context->text_cap,
                                                  .window = plan->config->http2.window,
                                                  .owner = seat_of(try->upstream),
                                                  .at = &seat_of(try->upstream)->exchange,
                                                  .is_https = plan->config->tls.enabled});
    return true;
}

/* What of the content was sent before, and is kept, could not be sent over HTTP/1.1. */
static bool has_kept_content(const struct try *try)
{
    return try->h2 != NULL && try->h2->kept_len != 0;
}

static enum try_step begin_exchange(struct try *try)
{
    if (!move(try, TRY_SENDING))
        return TRY_FAILED;
    if (try->upstream->h2 == NULL && has_kept_content(try))
        return fail(try, CAUSE_TERMINATED,
                    "the API speaks HTTP/2 on one connection and HTTP/1.1 on the next");
    if (try->upstream->h2 == NULL)
        begin_h1(try);
    else if (!begin_h2(try))
        return fail(try, CAUSE_INTERNAL, NULL);
    return TRY_IS_THERE;
}

static void ready(struct upstream *upstream)
{
    struct try *try = upstream->user;

    PRE(try->upstream == upstream && try_fsm_is_exchanging(&try->fsm));
    try->events->ready(try);
}

static void phase_entered(struct upstream *upstream, enum phase phase)
{
    struct try *try = upstream->user;

    try->fsm.phase = phase;
    try->events->entered(try);
}

static void resolved(struct upstream *upstream, bool is_stale)
{
    struct try *try = upstream->user;

    try->dns_is_stale = is_stale;
}

static void connected(struct upstream *upstream, enum cause cause, const char *detail)
{
    struct try *try = upstream->user;

    PRE(try->upstream == upstream && try->fsm.state == TRY_CONNECTING);
    if (cause != CAUSE_NONE)
        fail(try, cause, detail);
    else if (begin_exchange(try) == TRY_IS_THERE)
        try->events->begun(try);
}

static const struct upstream_events events = {
    .ready = ready,
    .phase = phase_entered,
    .resolved = resolved,
    .connected = connected,
};

/* What it gets is mostly not there yet. `upstream`: it has that one, which it has to wait for; NULL: none. */
static enum try_step wait_for_connection(struct try *try, struct upstream *upstream)
{
    int64_t now_ns = loop_now(try->context->loop);

    if (!move(try, TRY_CONNECTING)) {
        if (upstream != NULL)
            upstream_cut(&upstream);
        return TRY_FAILED;
    }
    PRE(try->upstream == NULL); /* the one before went with the move */
    try_fsm_set_limit(&try->fsm, budget_end(now_ns, try->plan.route->connect_ns), CAUSE_CONNECT_LIMIT);
    if (upstream == NULL)
        upstream = try_connection_make(try->context, &try->plan, &events, try);
    try->upstream = upstream;
    if (try->upstream == NULL)
        return fail(try, CAUSE_INTERNAL, NULL);
    return upstream_is_made(try->upstream) ? begin_exchange(try) : TRY_WAITS;
}

enum try_step try_connect(struct try *try, int64_t now_ns)
{
    struct upstream *upstream;

    PRE(try->ticket.permit.state == PERMIT_HELD && try->upstream == NULL);
    try->granted_ns = now_ns;
    upstream = try_connection_take(try->context, &try->plan, &events, try);
    if (upstream == NULL || !upstream_is_made(upstream))
        return wait_for_connection(try, upstream);
    try->upstream = upstream;
    return begin_exchange(try);
}

enum try_step try_reconnect(struct try *try)
{
    PRE(try->fsm.state == TRY_SENDING || try->fsm.state == TRY_WAITING);
    PRE(buffer_len(&try->h1.in) == 0); /* nothing of a response has come that would be lost */
    try->reconnected = true;
    try->uploaded = false;
    if (try->plan.route->waits != NULL)
        pool_start_again(try->plan.pool);
    return wait_for_connection(try, NULL);
}

/* ---- the permit, with which it begins ------------------------------------------------------------------ */

/* What is known of how long its route's calls take from their permit on; NULL: nothing. */
static const struct start_times *times_of(const struct try *try)
{
    return try->context->metrics->start_times[try->plan.route->index];
}

static bool is_too_late(const struct try *try)
{
    return try->plan.route->waits != NULL && try->plan.policy_ns == NS_NEVER &&
           pool_wait_is_too_late(try->plan.route, times_of(try), try->plan.deadline_ns,
                                 loop_now(try->context->loop));
}

static void wait_is_over(struct mail *mail)
{
    struct try *try = CONTAINER_OF(mail, struct try, ticket.news);

    PRE(try->fsm.state == TRY_QUEUED); /* who has left the queue is not told any more */
    if (try->ticket.permit.state != PERMIT_HELD)
        fail(try, pool_wait_cause(try->ticket.permit.refused), NULL);
    else if (is_too_late(try))
        fail(try, CAUSE_TOO_LATE, NULL);
    else
        try->events->admitted(try);
}

static enum try_step join_queue(struct try *try)
{
    int64_t end_ns = budget_end(loop_now(try->context->loop), try->plan.route->queue_timeout_ns);

    if (!move(try, TRY_QUEUED))
        return TRY_FAILED;
    if (try->context->draining)
        return fail(try, CAUSE_DRAINING, NULL);
    try_fsm_set_limit(&try->fsm, end_ns, CAUSE_QUEUE_LIMIT);
    return TRY_WAITS;
}

static void prepare(struct try *try, const struct try_plan *plan)
{
    PRE(try->fsm.state == TRY_IDLE);
    try->plan = *plan;
    pool_ticket_init(&try->ticket, try->context->loop, wait_is_over);
}

enum try_step try_begin(struct try *try, const struct try_plan *plan)
{
    prepare(try, plan);
    if (plan->route->waits != NULL) {
        if (pool_acquire_at_once(plan->pool, try->context->loop, &try->ticket))
            return TRY_IS_THERE;
        if (pool_is_shared(plan->route->waits))
            try->ticket.permit.place.bucket = try->events->bucket(try);
        pool_wait_tell(&try->ticket.permit, plan->route, times_of(try), plan->deadline_ns,
                       loop_now(try->context->loop));
    }
    switch (pool_acquire(plan->pool, &try->ticket)) {
    case PERMIT_GRANTED: return TRY_IS_THERE;
    case PERMIT_QUEUED: return join_queue(try);
    case PERMIT_QUEUE_FULL:
    case PERMIT_TOO_LATE:
    case PERMIT_RATE:
    case PERMIT_PAUSED:
        try->fsm.phase = PHASE_QUEUE;
        return fail(try, pool_wait_true_cause(plan->pool, pool_wait_cause(try->ticket.permit.refused)), NULL);
    }
    return fail(try, CAUSE_BROKEN, "its pool's answer is none that a pool can give");
}

bool try_begin_at_once(struct try *try, const struct try_plan *plan)
{
    prepare(try, plan);
    return pool_acquire_at_once(plan->pool, try->context->loop, &try->ticket);
}

/* ---- the response -------------------------------------------------------------------------------------- */

static void count_status(struct try *try, uint16_t code)
{
    code_counts_count(&try->context->metrics->upstreams[try->plan.config->index].responses, code);
}

/* One that was begun, and is given up. What is behind a final head is content, or nothing that was asked for. */
static void count_unfinished_head(struct try *try)
{
    struct stream_start start;

    if (try->status == 0 && stream_read_start(try->exchange, &start))
        count_status(try, start.code);
}

enum stream_result try_head(struct try *try, struct http1_head **head)
{
    enum stream_result result = stream_head(try->exchange, head);

    PRE(try->status == 0); /* of final responses there is one */
    if (result != STREAM_OK)
        return result;
    count_status(try, (*head)->code);
    if (!http1_is_interim((*head)->code)) {
        try->status = (*head)->code;
        try->reusable = upstream_note_response(try->upstream, *head);
        if (try_plan_forgoes_h2(&try->plan))
            try->reusable = false; /* who comes next is to have the choice of HTTP/2 */
        if (pool_feedback_is_due(try->plan.pool, &try->ticket, try->plan.route, try->status))
            pool_feedback(try->plan.pool, try->context->loop, &try->ticket, try->plan.route, *head);
    }
    return STREAM_OK;
}

bool try_adopt(struct try *try)
{
    PRE(try->status != 0);
    return move(try, TRY_STREAMING);
}

bool try_open_tunnel(struct try *try)
{
    return move(try, TRY_TUNNELING);
}

void try_note_uploaded(struct try *try)
{
    PRE(!try->uploaded);
    try->uploaded = true;
    try->uploaded_ns = loop_now(try->context->loop);
    try_fsm_note_sent(&try->fsm, SENT_COMPLETE);
    if (try->fsm.state == TRY_SENDING)
        (void)move(try, TRY_WAITING); /* if it can't be, that has been told */
}

/* ---- its end ------------------------------------------------------------------------------------------- */

bool try_finish(struct try *try, bool keeps_caller)
{
    unsigned holds;

    PRE(try->fsm.state >= TRY_STREAMING && try->fsm.state <= TRY_TUNNELING && try->granted_ns != 0);
    /* Over HTTP/1.1 the rest of the request would have to follow on the connection. */
    if (!stream_let_go(try->exchange) || (!try->uploaded && try->upstream->h2 == NULL))
        try->reusable = false;
    if (!try_fsm_move(&try->fsm, TRY_OVER, &holds)) {
        refuse_move(try, TRY_OVER);
        return false;
    }
    try->released_ns = loop_now(try->context->loop);
    if (!try->uploaded && !try->reusable) { /* what it has not taken of the request, nobody sends any more */
        cut_held(try, holds);
        return true;
    }
    note_peer(try);
    if (try->reusable)
        keep_upstream(try, keeps_caller);
    else
        upstream_close(&try->upstream);
    pool_give_back(try->plan.pool, &try->ticket);
    POST(try->upstream == NULL); /* it is somebody else's now */
    return true;
}

void try_cut(struct try *try, bool is_broken)
{
    unsigned holds;

    if (try->fsm.state == TRY_OVER)
        return;
    count_unfinished_head(try);
    if (!try_fsm_move(&try->fsm, TRY_OVER, &holds) || is_broken) {
        try->fsm.state = TRY_OVER; /* whatever its state said */
        holds = try->plan.pool != NULL ? HOLD_CONNECT | HOLD_EXCHANGE | HOLD_PERMIT | HOLD_QUEUE : 0;
    }
    if (holds == 0)
        return;
    try->released_ns = loop_now(try->context->loop);
    cut_held(try, holds);
    POST(try->upstream == NULL);
}

void try_fini(struct try *try)
{
    PRE(!try_fsm_is_alive(&try->fsm) && try->upstream == NULL);
    PRE(try->ticket.permit.state == PERMIT_FREE);
    h1_exchange_fini(&try->h1);
    if (try->h2 != NULL)
        h2_exchange_free(try->h2);
    try->h2 = NULL;
    try->exchange = &try->h1.stream;
}
