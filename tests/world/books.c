/* The world's own books, and how curfew's are compared with them. */
#include <stdlib.h>
#include <string.h>

#include "call/call.h"
#include "call/call_tunnel.h"
#include "call/ghost.h"
#include "call/retries.h"
#include "call/upstream.h"
#include "call/try_inspect.h"
#include "world.h"

enum permit_answer __real_pool_acquire(struct pool *pool, struct pool_ticket *ticket);
enum permit_answer __wrap_pool_acquire(struct pool *pool, struct pool_ticket *ticket);
void __wrap_call_log(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                     const char *detail, struct span odd);

/* ---- calls and pools ----------------------------------------------------------------------------------- */

static struct world_note *note_of(struct world *world, const struct call *call)
{
    uint64_t number = (call->id & 0xffffffff) * WORKERS + (call->id >> 32);

    if (number >= world->note_cap) {
        uint64_t cap = 2 * number + 64;

        world->notes = realloc(world->notes, cap * sizeof(*world->notes));
        CHECK(world, world->notes != NULL);
        memset(world->notes + world->note_cap, 0, (cap - world->note_cap) * sizeof(*world->notes));
        world->note_cap = cap;
    }
    return &world->notes[number];
}

/* Of a pool. */
struct tally {
    uint32_t holders, waiters, in_work;
};

/* Whose permit a try has, or asks for. */
static uint32_t pool_of(const struct call *call, const struct try *try)
{
    return try->plan.route != NULL ? try->plan.route->pool : call->route->pool;
}

static void check_queue(struct world *world, struct call *call, struct world_note *note)
{
    struct world_pool *pool = &world->pools[pool_of(call, call->try)];

    if (!note->waits || call->try->ticket.permit.state == PERMIT_WAITING)
        return;
    note->waits = false;
    if (call->try->ticket.permit.state == PERMIT_HELD && note->place > pool->last_granted)
        pool->last_granted = note->place;
}

/* Who comes into a queue has the last place in it. */
enum permit_answer __wrap_pool_acquire(struct pool *pool, struct pool_ticket *ticket)
{
    enum permit_answer answer = __real_pool_acquire(pool, ticket);
    const struct try *try = CONTAINER_OF(ticket, struct try, ticket);
    struct world_note *note = note_of(the_world, try->user);

    note->waits = answer == PERMIT_QUEUED;
    if (note->waits)
        note->place = ++the_world->queued;
    return answer;
}

static struct world_pool *pool_at(const struct try *try)
{
    return CONTAINER_OF(try->plan.pool, struct world_pool, pool);
}

static void check_try(struct world *world, const struct try *try, struct tally *tally)
{
    CHECK(world, try_has_permit(try) == (try->ticket.permit.state == PERMIT_HELD));
    tally->holders += try_has_permit(try);
    tally->waiters += try->ticket.permit.state == PERMIT_WAITING;
    CHECK(world, try->ticket.permit.state != PERMIT_WAITING ||
                     starts_may_wait(pool_at(try), try->ticket.permit.wait_until_ns));
    tally->in_work += try->upstream != NULL;
}

/* A call in flight: what it holds, and that nothing but time goes on with its time. */
static void check_call(struct world *world, struct call *call, struct tally tallies[POOLS])
{
    struct world_note *note = note_of(world, call);
    int64_t phases_ns = 0;

    CHECK(world, !call_is_over(call) && call_is_sound(call));
    check_try(world, call->try, &tallies[pool_of(call, call->try)]);
    world->under_way[call->config->index] += call->try->has_no_verdict;
    if (call->rival != NULL) {
        CHECK(world, call->fsm.state == CALL_TRYING && try_has_permit(call->try) && !call->answering);
        check_try(world, call->rival, &tallies[pool_of(call, call->rival)]);
        world->under_way[call->config->index] += call->rival->has_no_verdict;
    }
    CHECK(world, call_fsm_next_ns(&call->fsm) >= world->now_ns || note->seen_ns == 0 ||
                     note->seen_ns == world->now_ns);
    if (call->fsm.state == CALL_TUNNEL)
        CHECK(world, *call_fsm_policy_deadline(&call->fsm) ==
                         call->fsm.begun_ns + world->apis[call->config->index].tunnel_life_ns);
    else if (call->counted && note->counted)
        CHECK(world, note->deadline_ns == call->fsm.deadline_ns && note->policy_ns == call->fsm.policy_ns);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        phases_ns += call_fsm_phase_ns(&call->fsm, phase, world->now_ns);
    CHECK(world, phases_ns == world->now_ns - call->fsm.begun_ns);
    if (note->seen_ns == 0)
        note->seen_ns = world->now_ns;
    note->counted = call->counted;
    note->deadline_ns = call->fsm.deadline_ns;
    note->policy_ns = call->fsm.policy_ns;
    check_queue(world, call, note);
}

static void check_pool(struct world *world, uint32_t number, const struct tally *tally, uint32_t cuts,
                       uint32_t ghosts)
{
    struct world_pool *pool = &world->pools[number];
    const struct permit_pool *permits = &pool->pool.permits;

    if (permits->held < pool->allowed)
        pool->allowed = permits->held > pool->size ? permits->held : pool->size;
    CHECK(world, permit_pool_is_sound(permits));
    CHECK(world, permits->size == pool->allowed && permits->held <= pool->allowed);
    CHECK(world, permits->held == tally->holders + cuts + ghosts);
    CHECK(world, permits->queue.length == tally->waiters);
    starts_check(world, pool);
    CHECK(world, permits->acquired - permits->released == permits->held);
    CHECK(world, tally->in_work + cuts + ghosts <= permits->held);
}

/* Nobody who came later has got a permit. */
static void check_order(struct world *world, uint32_t number)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        CALL_LIST_FOREACH(call, &world->workers[i].context.calls.by_pool[number])
            CHECK(world, call->try->ticket.permit.state != PERMIT_WAITING ||
                             note_of(world, call)->place > world->pools[number].last_granted);
}

/*
 * What comes on top of a call's first try is bounded by what was good; of fallbacks it is not known whether they are the
 * first. Each try that was started has ended, or is under way.
 */
static void check_tries(struct world *world, uint32_t number)
{
    const struct world_api *api = &world->apis[number];
    uint32_t route = world->snapshot->upstreams[number].default_route.index;
    uint64_t started[TRY_KIND_COUNT] = {0}, ended[VERDICT_COUNT] = {0}, under_way = world->under_way[number];

    for (uint32_t i = 0; i < WORKERS; i++) {
        const struct route_metrics *metrics = &world->workers[i].context.metrics->routes[route];

        for (enum try_kind kind = 0; kind < TRY_KIND_COUNT; kind++) {
            started[kind] += metrics->tries_started[kind];
            under_way -= metrics->tries_started[kind];
        }
        for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
            ended[verdict] += metrics->tries_ended[verdict];
            under_way += metrics->tries_ended[verdict];
        }
    }
    CHECK(world, under_way == 0);
    CHECK(world, 100 * (started[TRY_RETRY] + started[TRY_HEDGE]) <=
                     100 * (uint64_t)api->burst + api->share * ended[VERDICT_GOOD]);
    memcpy(world->tries[number], started, sizeof(started));
}

void books_check(struct world *world)
{
    struct tally tallies[POOLS] = {{0}};
    uint32_t streams[POOLS] = {0};

    people_listen(world, streams);
    memset(world->under_way, 0, sizeof(world->under_way));
    for (uint32_t number = 0; number < POOLS; number++)
        for (uint32_t i = 0; i < WORKERS; i++)
            CALL_LIST_FOREACH(call, &world->workers[i].context.calls.by_pool[number])
                check_call(world, call, tallies);
    for (uint32_t number = 0; number < POOLS; number++) {
        uint32_t cuts = 0, ghosts = 0;

        for (uint32_t i = 0; i < WORKERS; i++) {
            const struct call_context *context = &world->workers[i].context;

            ghosts += ghosts_count(&context->calls.by_pool[number]);
            cuts += upstream_count_cuts(context, &world->pools[number].pool);
        }
        check_pool(world, number, &tallies[number], cuts, ghosts);
        CHECK(world,
              streams[number] <= world->pools[number].pool.permits.held); /* no call without a permit */
        check_order(world, number);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct tally none[POOLS] = {{0}};

        CALL_LIST_FOREACH(call, &world->workers[i].context.calls.reading)
            check_call(world, call, none);
        for (uint32_t number = 0; number < POOLS; number++)
            CHECK(world, none[number].holders + none[number].waiters + none[number].in_work == 0);
        CHECK(world, world->workers[i].context.metrics->process.broken_invariants[0] == 0);
    }
    for (uint32_t number = 0; number < UPSTREAMS; number++)
        check_tries(world, number);
}

/* ---- the end of a call --------------------------------------------------------------------------------- */

/* A limit never strikes early; that it does not strike late, go_on_to sees. */
static void check_limit(struct world *world, const struct call *call, enum cause cause)
{
    const struct route_config *route = call->route;
    const struct try *try = call->try;
    int64_t now_ns = world->now_ns;

    switch (cause) {
    case CAUSE_HEAD_LIMIT:
        CHECK(world, now_ns - call->fsm.begun_ns >= world->snapshot->limits.request_head_timeout_ns);
        break;
    case CAUSE_QUEUE_LIMIT:
        CHECK(world, call_fsm_phase_ns(&call->fsm, PHASE_QUEUE, now_ns) >= route->queue_timeout_ns);
        break;
    case CAUSE_CONNECT_LIMIT: CHECK(world, now_ns - try->granted_ns >= route->connect_ns); break;
    case CAUSE_FIRST_BYTE_LIMIT: CHECK(world, now_ns - try->uploaded_ns >= route->first_byte_ns); break;
    case CAUSE_IDLE_LIMIT: CHECK(world, now_ns - try->exchange->moved_ns >= route->idle_ns); break;
    default: return;
    }
    CHECK(world, now_ns < call->fsm.deadline_ns);
}

/* A tunnel ends by its lifetime when that is over, and by its idle time when nothing has moved for so long. */
static void check_tunnel(struct world *world, const struct call *call, enum cause cause)
{
    const struct world_api *api = &world->apis[call->config->index];
    enum tunnel_end end = call->tunnel->end;
    int64_t up_ns = call->caller->moved_ns, down_ns = call->try->exchange->moved_ns;

    CHECK(world, end < TUNNEL_END_COUNT);
    world->tunnels[end]++;
    if (end == TUNNEL_END_LIFETIME)
        CHECK(world, world->now_ns == call->fsm.deadline_ns);
    if (end == TUNNEL_END_IDLE)
        CHECK(world, world->now_ns == (up_ns > down_ns ? up_ns : down_ns) + api->tunnel_idle_ns);
    CHECK(world, cause == tunnel_cause_of(end, cause));
}

static void check_instant(struct world *world, const struct call *call, enum cause cause)
{
    if (cause == CAUSE_DEADLINE)
        CHECK(world, world->now_ns >= call->fsm.deadline_ns);
    CHECK(world, world->now_ns <= call->fsm.deadline_ns || !note_of(world, call)->counted);
    if (call_was_tunnel(call))
        check_tunnel(world, call, cause);
    else if (call->retries == NULL) /* or the cause may be an earlier try's */
        check_limit(world, call, cause);
}

static uint64_t number_of(const struct call *call)
{
    return strtoull(outgoing_target(&call->request).ptr + 1, NULL, 10);
}

/* What curfew says that an API can know of it, no API knows more. */
static void check_sent(struct world *world, const struct call *call)
{
    uint64_t number;

    if (!call->counted || call->request.len == 0)
        return; /* of a head that has not come whole, the number may lack digits */
    number = number_of(call);
    CHECK(world, number < world->begun);
    if (call->fsm.sent == SENT_NONE)
        CHECK(world, world->requests[number].arrivals == 0);
}

/*
 * A call that failed in a way that its retries list, and was not tried again, has one reason for that, and others have
 * none.
 */
static void check_reason(struct world *world, const struct call *call, enum cause cause)
{
    bool has_tried = call->try->granted_ns != 0 || retries_had_one(call->retries);
    bool has_retries = call->has_retries && has_tried;
    bool is_listed = cause_outcome(cause) == OUTCOME_FAILED && retry_kind_of(cause) != RETRY_KIND_COUNT;

    is_listed |= cause == CAUSE_NONE && call->status == 503;
    if (has_retries && is_listed && call->counted)
        CHECK(world, call->retry_stop > RETRY_NOT_MEANT);
    if (!has_retries)
        CHECK(world, call->retry_stop <= RETRY_NOT_MEANT);
    world->reasons[call->retry_stop]++;
}

/* That its slot is true, starts.c has seen. Of a fallback it may be the sooner of two. */
static void note_told(struct world *world, const struct call *call, enum cause cause)
{
    int64_t left_ns = call->try->ticket.permit.slot_ns - world->now_ns;

    if ((cause != CAUSE_NO_SLOT && cause != CAUSE_PAUSED) || call->falls_back)
        return;
    CHECK(world, left_ns > 0 || call->try->ticket.permit.refused == PERMIT_RATE ||
                     call->try->ticket.permit.refused == PERMIT_PAUSED);
    world->requests[number_of(call)].told_s =
        left_ns > NS_PER_S ? (uint32_t)((left_ns + NS_PER_S - 1) / NS_PER_S) : 1;
}

/* In place of the line in the log: the call is over, and holds nothing. */
void __wrap_call_log(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                     const char *detail, struct span odd)
{
    struct world *world = the_world;
    enum outcome outcome = cause_outcome(cause);
    const struct try *try = call->try;

    (void)detail;
    (void)odd;
    CHECK(world, now_ns == world->now_ns && call_is_over(call) && call_state_holds(call->fsm.state) == 0);
    CHECK(world, !try_fsm_is_alive(&try->fsm) && try->upstream == NULL && try_is_sound(try));
    CHECK(world, try->ticket.permit.state == PERMIT_FREE && call->timer.fn == NULL);
    CHECK(world, list_is_alone(&try->ticket.news.node) && !try_fsm_is_alive(&call->first.fsm));
    CHECK(world, call->retries == NULL || !try_fsm_is_alive(&call->retries->other.fsm));
    CHECK(world, call->rival == NULL);
    CHECK(world, call->counted || outcome == OUTCOME_NOT_A_CALL || outcome == OUTCOME_REJECTED);
    check_instant(world, call, cause);
    check_sent(world, call);
    check_reason(world, call, cause);
    note_told(world, call, cause);
    world->ended++;
    world->outcomes[outcome]++;
    if (outcome == OUTCOME_STUCK)
        world->stuck[phase]++;
    world->replaced += try->reconnected;
    world->lingered += try->lingers;
    world->refused_by_breakers += cause == CAUSE_BREAKER_OPEN;
    world->retried += call->retries != NULL && call->retries->started > 1;
    world->spared += call->fsm.spared_cause != CAUSE_NONE;
}
