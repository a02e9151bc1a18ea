/* A carrier's life: being made, serving, dead. What its connection says comes by here. */
#include "base/invariant.h"
#include "base/mem.h"
#include "call/context.h"
#include "call/keepalive.h"
#include "call/multiplex.h"
#include "core/budget.h"
#include "runtime/loop.h"
#include "wire/h2_connection.h"
#include "wire/h2_exchange.h"

/* The first call of all is not held up by others: these wait for the API's SETTINGS, but no longer than that. */
#define GRACE_NS (100 * NS_PER_MS)

static struct seat *seat_at(struct list_node *node)
{
    return CONTAINER_OF(node, struct seat, node);
}

static int64_t now_of(const struct carrier *carrier)
{
    return loop_now(carrier->upstream->context->loop);
}

/* ---- how many ------------------------------------------------------------------------------------------ */

/* How many streams the API allows, as far as that is known. */
static uint32_t peer_streams(const struct carrier *carrier)
{
    const struct multiplex *multiplex = carrier->multiplex;
    const struct h2_connection *h2 = carrier->upstream->h2;

    if (h2 != NULL && h2_session_knows_peer(h2->session))
        return h2_session_peer_streams(h2->session);
    if (multiplex->knows_peer && multiplex->peer_streams < SLOTS_PEER_UNTOLD)
        return multiplex->peer_streams != 0 ? multiplex->peer_streams : 1;
    return SLOTS_PEER_UNTOLD;
}

static struct slots_terms terms_of(const struct carrier *carrier)
{
    const struct http2_config *http2 = &carrier->upstream->config->http2;

    return (struct slots_terms){.streams = http2->streams, .max_calls = http2->max_calls};
}

uint32_t carrier_room(const struct carrier *carrier)
{
    struct slots_terms terms = terms_of(carrier);

    return slots_left(&carrier->slots, &terms, peer_streams(carrier));
}

/* Does it serve one call alone, because the API may yet say that it allows no more? */
static bool is_in_grace(const struct carrier *carrier)
{
    return !h2_session_knows_peer(carrier->upstream->h2->session) && !carrier->multiplex->knows_peer &&
           now_of(carrier) < carrier->grace_ns;
}

/* May the seat begin now? */
static bool may_begin(const struct carrier *carrier, const struct seat *seat)
{
    if (!upstream_is_made(carrier->upstream) || carrier->dead)
        return false;
    if (!slots_may_begin(&carrier->slots, seat->repeatable))
        return false;
    return carrier->running == 0 || (carrier->running < peer_streams(carrier) && !is_in_grace(carrier));
}

/* ---- seats --------------------------------------------------------------------------------------------- */

static void begin(struct carrier *carrier, struct seat *seat)
{
    PRE(carrier->upstream->h2 != NULL);
    seat->upstream.waits = false;
    seat->upstream.h2 = carrier->upstream->h2;
    seat->upstream.served = carrier->upstream->served;
    seat->upstream.addresses = carrier->upstream->addresses;
    seat->reads = carrier->upstream->h2->reads;
    carrier->running++;
}

/* Before a call: is it there at all? */
static void ask(struct carrier *carrier)
{
    struct h2_connection *h2 = carrier->upstream->h2;

    if (!slots_ask(&carrier->slots, now_of(carrier), h2->read_ns, carrier->multiplex->probe_after_ns))
        return;
    h2_connection_ping(h2);
    multiplex_watch(carrier->multiplex,
                    budget_end(now_of(carrier), carrier->upstream->config->http2.probe_timeout_ns));
}

void carrier_seat(struct carrier *carrier, struct seat *seat)
{
    bool is_made = upstream_is_made(carrier->upstream);

    PRE(!carrier->dead && list_is_alone(&seat->node));
    seat->upstream.carrier = carrier->upstream;
    seat->upstream.waits = true;
    carrier->seats++;
    slots_take(&carrier->slots);
    if (is_made)
        ask(carrier);
    if (is_made && list_is_empty(&carrier->waiting) && may_begin(carrier, seat)) {
        begin(carrier, seat);
        return;
    }
    list_push_back(&carrier->waiting, &seat->node);
    if (is_made)
        seat->upstream.events->phase(&seat->upstream, PHASE_CONNECT);
    else if (carrier->phase != PHASE_COUNT)
        seat->upstream.events->phase(&seat->upstream, carrier->phase);
}

void carrier_unseat(struct seat *seat)
{
    struct carrier *carrier = seat->upstream.carrier->shared;

    PRE(carrier->seats > 0);
    carrier->seats--;
    seat->upstream.carrier = NULL;
    seat->upstream.h2 = NULL;
}

/* One that waits looks for another carrier. */
static void send_elsewhere(struct carrier *carrier, struct seat *seat)
{
    list_remove(&seat->node);
    slots_give(&carrier->slots);
    carrier_unseat(seat);
    multiplex_place_anew(carrier->multiplex, seat);
}

/* Is there no place for those that wait: it takes none, or fewer than they are, now that the API has said how many? */
static bool is_overbooked(const struct carrier *carrier)
{
    return carrier->dead || carrier->slots.retired || carrier->slots.doubtful ||
           (upstream_is_made(carrier->upstream) && !is_in_grace(carrier) && carrier->slots.ping_ns == 0);
}

void carrier_admit(struct carrier *carrier)
{
    carrier->pins++;
    while (!list_is_empty(&carrier->waiting)) {
        struct seat *seat = seat_at(carrier->waiting.next);

        if (!may_begin(carrier, seat) || carrier->slots.retired)
            break;
        list_remove(&seat->node);
        begin(carrier, seat);
        seat->upstream.events->connected(&seat->upstream, CAUSE_NONE, NULL);
    }
    while (!list_is_empty(&carrier->waiting) && is_overbooked(carrier))
        send_elsewhere(carrier, seat_at(carrier->waiting.next));
    carrier->pins--;
}

/* ---- its end ------------------------------------------------------------------------------------------- */

void carrier_die(struct carrier *carrier)
{
    if (!carrier->dead) {
        carrier->dead = true;
        carrier->pins++;
        transport_reset(&carrier->upstream->transport);
        while (!list_is_empty(&carrier->leaving))
            seat_end_leaving(seat_at(carrier->leaving.next));
        carrier_admit(carrier); /* elsewhere */
        carrier->pins--;
    }
    carrier_settle(carrier); /* its last seat may have gone since, in a run */
}

static void go_to_rest(struct carrier *carrier)
{
    struct upstream *connection = carrier->upstream;

    list_remove(&carrier->node);
    if (carrier->slots.retired || connection->h2->retired ||
        carrier->slots.begun >= terms_of(carrier).max_calls)
        upstream_close(&connection);
    else
        keepalive_put(carrier->multiplex->keepalive, &connection, now_of(carrier));
}

void carrier_settle(struct carrier *carrier)
{
    struct upstream *connection = carrier->upstream;

    if (carrier->pins != 0 || carrier->running != 0 || !list_is_empty(&carrier->waiting))
        return;
    if (connection->h2 != NULL && connection->h2->in_run)
        return; /* `moved` follows */
    if (carrier->dead || connection->connect != NULL) {
        if (carrier->seats != 0)
            return;
        list_remove(&carrier->node);
        upstream_cut(&connection);
    } else if (!list_is_empty(&carrier->leaving)) {
        /* Resets that are still to be written; or streams that may not be reset, of which the last call is gone. */
        if (seat_at(carrier->leaving.next)->gone_at == UINT64_MAX)
            carrier_die(carrier);
    } else if (carrier->slots.ping_ns == 0) {
        go_to_rest(carrier);
    }
}

/* ---- what its connection says -------------------------------------------------------------------------- */

static void exchange_ready(void *owner)
{
    struct seat *seat = owner;

    seat->upstream.events->ready(&seat->upstream);
}

static void note_reads(struct carrier *carrier)
{
    struct h2_connection *h2 = carrier->upstream->h2;
    uint32_t parts = h2_session_parts(h2->session);

    if (h2_session_knows_peer(h2->session)) {
        carrier->multiplex->knows_peer = true;
        carrier->multiplex->peer_streams = h2_session_peer_streams(h2->session);
    }
    if (h2->reads == carrier->reads)
        return;
    slots_note_read(&carrier->slots, h2->written >= carrier->reset_at, parts != carrier->parts);
    carrier->reads = h2->reads;
    carrier->parts = parts;
}

static void release_leaving(struct carrier *carrier)
{
    struct list_node *next = carrier->leaving.next;

    while (next != &carrier->leaving) {
        struct seat *seat = seat_at(next);

        next = next->next;
        if (seat->gone_at <= carrier->upstream->h2->written)
            seat_end_leaving(seat);
    }
}

static void moved(void *owner)
{
    struct carrier *carrier = owner;
    struct h2_connection *h2 = carrier->upstream->h2;

    note_reads(carrier);
    if (h2->lost != ST_OK) {
        carrier_die(carrier);
        return;
    }
    carrier->slots.retired |= h2->retired;
    carrier->pins++;
    release_leaving(carrier);
    carrier_admit(carrier);
    carrier->pins--;
    carrier_settle(carrier);
}

static void went_away(void *owner, uint32_t code, bool is_too_many_pings)
{
    struct carrier *carrier = owner;
    struct multiplex *multiplex = carrier->multiplex;

    carrier->slots.retired = true;
    if (code == H2_ENHANCE_YOUR_CALM)
        calm_note(&multiplex->calm, now_of(carrier));
    if (is_too_many_pings && multiplex->probe_after_ns < NS_NEVER / 2)
        multiplex->probe_after_ns *= 2;
}

static void resets(void *owner)
{
    struct carrier *carrier = owner;

    if (!carrier->resetting)
        slots_count_reset(&carrier->slots, now_of(carrier));
}

static const struct h2_connection_user connection_user = {
    .ready = exchange_ready, .moved = moved, .went_away = went_away, .resets = resets};

int64_t carrier_look(struct carrier *carrier, int64_t now_ns)
{
    int64_t ping_end_ns = NS_NEVER, grace_ns = NS_NEVER, reset_end_ns = NS_NEVER;

    if (carrier->slots.ping_ns != 0 && !carrier->dead)
        ping_end_ns = budget_end(carrier->slots.ping_ns, carrier->upstream->config->http2.probe_timeout_ns);
    LIST_FOREACH(node, &carrier->leaving)
        if (seat_at(node)->gone_at != UINT64_MAX && seat_at(node)->left_ns + NS_PER_S < reset_end_ns)
            reset_end_ns = seat_at(node)->left_ns + NS_PER_S;
    if (ping_end_ns <= now_ns || reset_end_ns <= now_ns) {
        h2_connection_lose(carrier->upstream->h2);
        return NS_NEVER;
    }
    if (!list_is_empty(&carrier->waiting) && upstream_is_made(carrier->upstream)) {
        if (carrier->grace_ns <= now_ns)
            h2_connection_wants_turn(carrier->upstream->h2);
        else
            grace_ns = carrier->grace_ns;
    }
    if (reset_end_ns < ping_end_ns)
        ping_end_ns = reset_end_ns;
    return grace_ns < ping_end_ns ? grace_ns : ping_end_ns;
}

/* ---- being made ---------------------------------------------------------------------------------------- */

static void ready(struct upstream *upstream)
{
    h2_connection_run(upstream->h2);
}

static void phase_entered(struct upstream *upstream, enum phase phase)
{
    struct carrier *carrier = upstream->user;

    carrier->phase = phase;
    LIST_FOREACH(node, &carrier->waiting)
        seat_at(node)->upstream.events->phase(&seat_at(node)->upstream, phase);
}

static void resolved(struct upstream *upstream, bool is_stale)
{
    struct carrier *carrier = upstream->user;

    LIST_FOREACH(node, &carrier->waiting)
        seat_at(node)->upstream.events->resolved(&seat_at(node)->upstream, is_stale);
}

static void fail_all(struct carrier *carrier, enum cause cause, const char *detail)
{
    carrier->dead = true;
    carrier->pins++;
    while (!list_is_empty(&carrier->waiting)) {
        struct seat *seat = seat_at(carrier->waiting.next);

        list_remove(&seat->node);
        seat->upstream.events->connected(&seat->upstream, cause, detail);
    }
    carrier->pins--;
    carrier_settle(carrier);
}

/* The connection speaks HTTP/1.1: it is this seat's alone, which is none any more. */
static void become_connection(struct carrier *carrier, struct seat *seat)
{
    struct upstream *to = &seat->upstream, *from = carrier->upstream;

    list_remove(&seat->node);
    slots_give(&carrier->slots);
    carrier_unseat(seat);
    to->seat = NULL;
    to->waits = false;
    to->context->upstream_count++;
    to->opened_ns = from->opened_ns;
    to->peer = from->peer;
    to->addresses = from->addresses;
    keep_alive_init(&to->said);
    to->events->connected(
        to, transport_move(&to->transport, &from->transport) == ST_OK ? CAUSE_NONE : CAUSE_INTERNAL, NULL);
}

static void speak_h1(struct carrier *carrier)
{
    carrier->multiplex->speaks_h1 = true;
    carrier->dead = true;
    carrier->pins++;
    if (!list_is_empty(&carrier->waiting))
        become_connection(carrier, seat_at(carrier->waiting.next));
    carrier_admit(carrier); /* the others have their own */
    carrier->pins--;
    carrier_settle(carrier);
}

static void connected(struct upstream *upstream, enum cause cause, const char *detail)
{
    struct carrier *carrier = upstream->user;

    if (cause != CAUSE_NONE) {
        fail_all(carrier, cause, detail);
        return;
    }
    if (upstream->h2 == NULL) {
        speak_h1(carrier);
        return;
    }
    upstream->h2->user = &connection_user;
    upstream->h2->owner = carrier;
    carrier->grace_ns = now_of(carrier) + GRACE_NS;
    multiplex_watch(carrier->multiplex, carrier->grace_ns);
    h2_connection_wants_turn(upstream->h2); /* its SETTINGS may be here */
    carrier->pins++;
    carrier_admit(carrier);
    carrier->pins--;
    carrier_settle(carrier);
}

static const struct upstream_events events = {
    .ready = ready, .phase = phase_entered, .resolved = resolved, .connected = connected};

void carrier_wake(struct carrier *carrier)
{
    carrier->upstream->events = &events;
    carrier->upstream->user = carrier;
    note_reads(carrier); /* what was read meanwhile answers no PING that is still to go */
    list_push_back(&carrier->multiplex->carriers, &carrier->node);
}

struct carrier *carrier_new(struct multiplex *multiplex, const struct seat *seat)
{
    const struct upstream *for_whom = &seat->upstream;
    struct carrier *carrier = mem_zalloc(sizeof(*carrier));

    if (carrier == NULL)
        return NULL;
    carrier->multiplex = multiplex;
    carrier->phase = PHASE_COUNT;
    carrier->shunned = seat->shunned;
    list_init(&carrier->waiting);
    list_init(&carrier->leaving);
    slots_init(&carrier->slots, loop_now(for_whom->context->loop));
    carrier->upstream = upstream_connect(for_whom->context, for_whom->terms, for_whom->config, NULL, &events,
                                         carrier, &carrier->shunned, false, seat->limit_ns);
    if (carrier->upstream == NULL) {
        mem_free(carrier);
        return NULL;
    }
    carrier->upstream->shared = carrier;
    list_push_back(&multiplex->carriers, &carrier->node);
    return carrier;
}
