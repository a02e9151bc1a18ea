#include "call/keepalive.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/budget.h"
#include "call/context.h"
#include "call/target.h"
#include "call/upstream.h"
#include "runtime/tcp.h"
#include "wire/h2_connection.h"

/* In one go, of those that would be used next; others are probed when their turn comes. */
#define PROBES_AT_ONCE 64
/* Suspects that a call looks at before it has a connection made. */
#define LOOKS_MAX      4
/* For a probe to be sent, which may take a second, and acknowledged. */
#define PROBE_NS       (2 * NS_PER_S)

static struct upstream *upstream_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct upstream, node);
}

static struct keepalive *keepalive_of(const struct upstream *upstream)
{
    return upstream->context->keepalive[upstream->config->index];
}

static void take_out(struct keepalive *keepalive, struct upstream *upstream)
{
    PRE(upstream->user == NULL && !list_is_empty(&upstream->node)); /* it is at rest */
    PRE((upstream->reserved_at == NULL ? keepalive->count : keepalive->reserved_count) > 0);
    list_remove(&upstream->node);
    if (upstream->reserved_at == NULL) {
        keepalive->count--;
        return;
    }
    *upstream->reserved_at = NULL;
    upstream->reserved_at = NULL;
    keepalive->reserved_count--;
}

static void drop(struct keepalive *keepalive, struct upstream *upstream)
{
    take_out(keepalive, upstream);
    upstream_close(&upstream);
}

/* When a connection that comes to rest has to go: idle for as long as we or the upstream allow, or too old. */
static int64_t end_of(const struct keepalive *keepalive, const struct upstream *upstream, int64_t now_ns)
{
    const struct keepalive_config *limits = &keepalive->config->keepalive;
    int64_t said_ns = upstream->said.idle_ns;
    int64_t idle_ns = said_ns < limits->idle_timeout_ns ? said_ns : limits->idle_timeout_ns;
    int64_t idle_end_ns = budget_end(now_ns, idle_ns);
    int64_t age_end_ns = budget_end(upstream->opened_ns, limits->max_age_ns);

    return idle_end_ns < age_end_ns ? idle_end_ns : age_end_ns;
}

static void set_expiry(struct keepalive *keepalive, int64_t due_ns)
{
    if (due_ns < keepalive->expiry.due_ns)
        timer_set(&keepalive->context->loop->timers, &keepalive->expiry, due_ns);
}

static void probe(struct keepalive *keepalive, struct upstream *upstream)
{
    int64_t now_ns = loop_clock_ns();

    PRE(upstream->proof.probed_ns == 0); /* the answer to one would be taken for the other's */
    trust_probed(&upstream->proof, now_ns);
    tcp_begin_probing(upstream->transport.fd);
    set_expiry(keepalive, now_ns + PROBE_NS);
}

/* True: it has answered its probe. */
static bool has_answered(struct upstream *upstream)
{
    if (!tcp_has_acknowledged(upstream->transport.fd, loop_clock_ns() - upstream->proof.probed_ns))
        return false;
    trust_acknowledged(&upstream->proof);
    tcp_end_probing(upstream->transport.fd);
    return true;
}

/* When it has to go, or its probe has to be answered. *is_over: it has to go now. */
static int64_t next_look(struct upstream *upstream, int64_t now_ns, bool *is_over)
{
    int64_t answer_ns = upstream->proof.probed_ns != 0 ? upstream->proof.probed_ns + PROBE_NS : NS_NEVER;

    *is_over = upstream->end_ns <= now_ns || (answer_ns <= now_ns && !has_answered(upstream));
    return answer_ns > now_ns && answer_ns < upstream->end_ns ? answer_ns : upstream->end_ns;
}

/* When the first of those that are left has to be looked at. */
static int64_t expire_list(struct keepalive *keepalive, struct list_node *list, int64_t now_ns)
{
    struct list_node *next = list->next;
    int64_t earliest_ns = NS_NEVER;

    while (next != list) {
        struct upstream *upstream = upstream_of(next);
        bool is_over;
        int64_t look_ns = next_look(upstream, now_ns, &is_over);

        next = next->next;
        if (is_over)
            drop(keepalive, upstream);
        else if (look_ns < earliest_ns)
            earliest_ns = look_ns;
    }
    return earliest_ns;
}

static void expire(struct timer *timer, int64_t now_ns)
{
    struct keepalive *keepalive = CONTAINER_OF(timer, struct keepalive, expiry);
    int64_t idle_ns = expire_list(keepalive, &keepalive->idle, now_ns);
    int64_t reserved_ns = expire_list(keepalive, &keepalive->reserved, now_ns);

    timer_set(&keepalive->context->loop->timers, timer, idle_ns < reserved_ns ? idle_ns : reserved_ns);
}

bool keepalive_give_up_one(struct keepalive *keepalive)
{
    if (list_is_empty(&keepalive->idle))
        return false;
    drop(keepalive, upstream_of(keepalive->idle.prev));
    return true;
}

struct keepalive *keepalive_new(struct call_context *context)
{
    struct keepalive *keepalive = mem_zalloc(sizeof(*keepalive));

    if (keepalive == NULL || timer_init(&context->loop->timers, &keepalive->expiry, expire) != ST_OK) {
        mem_free(keepalive);
        return NULL;
    }
    list_init(&keepalive->idle);
    list_init(&keepalive->reserved);
    keepalive->context = context;
    return keepalive;
}

void keepalive_renew(struct keepalive *keepalive, const struct upstream_config *config)
{
    uint32_t workers = keepalive->context->worker_count;
    uint32_t all = config != NULL ? config->keepalive.max_idle : 0;

    while (!list_is_empty(&keepalive->idle))
        drop(keepalive, upstream_of(keepalive->idle.next));
    while (!list_is_empty(&keepalive->reserved))
        drop(keepalive, upstream_of(keepalive->reserved.next));
    POST(keepalive->count == 0 && keepalive->reserved_count == 0);
    dns_answer_release(&keepalive->answer);
    keepalive->max = all / workers + (keepalive->context->loop->index < all % workers ? 1 : 0);
    keepalive->config = config;
}

void keepalive_free(struct keepalive *keepalive)
{
    keepalive_renew(keepalive, NULL);
    timer_fini(&keepalive->context->loop->timers, &keepalive->expiry);
    mem_free(keepalive);
}

/* Is its address still one that the upstream's name has? Each connection is compared with each answer once. */
bool keepalive_has_moved(const struct keepalive *keepalive, struct upstream *upstream)
{
    if (keepalive->answer == NULL || upstream->answer_number == keepalive->answer_number)
        return false;
    if (!dns_answer_has(keepalive->answer, &upstream->peer))
        return true;
    upstream->answer_number = keepalive->answer_number;
    return false;
}

static void drop_moved(struct keepalive *keepalive, struct list_node *list)
{
    struct list_node *next = list->next;

    while (next != list) {
        struct upstream *upstream = upstream_of(next);

        next = next->next;
        if (keepalive_has_moved(keepalive, upstream))
            drop(keepalive, upstream);
    }
}

void keepalive_heed(struct keepalive *keepalive, struct dns_answer *answer)
{
    if (keepalive->answer != NULL && dns_answer_is_same(keepalive->answer, answer))
        return;
    dns_answer_release(&keepalive->answer);
    keepalive->answer = dns_answer_acquire(answer);
    if (++keepalive->answer_number == 0)
        keepalive->answer_number = 1;
    drop_moved(keepalive, &keepalive->idle);
    drop_moved(keepalive, &keepalive->reserved);
}

/* An idle connection has nothing to read; if it has, that is its end, or bytes that nobody asked for. */
static bool is_quiet(const struct upstream *upstream)
{
    char byte;

    if (upstream->h2 != NULL) /* a PING, or a GOAWAY */
        return h2_connection_rest(upstream->h2);
    return recv(upstream->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool is_fit(const struct keepalive *keepalive, const struct upstream *upstream, int64_t now_ns,
                   bool probe_socket)
{
    return upstream->end_ns > now_ns && !upstream->transport.peer_ended &&
           trust_of(&keepalive->doubt, &upstream->proof) != TRUST_LOST &&
           (!probe_socket || is_quiet(upstream));
}

/* False: it is suspect, and has not answered its probe, which has been sent by now. */
static bool is_trusted(struct keepalive *keepalive, struct upstream *upstream)
{
    enum trust trust = trust_of(&keepalive->doubt, &upstream->proof);

    if (trust == TRUST_ASKED && has_answered(upstream))
        trust = trust_of(&keepalive->doubt, &upstream->proof);
    if (trust == TRUST_UNASKED)
        probe(keepalive, upstream);
    return trust == TRUST_SURE;
}

struct upstream *keepalive_take(struct keepalive *keepalive, const struct upstream_config *config,
                                const struct target *target, int64_t now_ns, bool probe_socket)
{
    struct list_node *next = keepalive->idle.next;
    unsigned looks = 0;

    while (keepalive->config == config && next != &keepalive->idle && looks < LOOKS_MAX) {
        struct upstream *upstream = upstream_of(next);

        next = next->next;
        if (upstream->target != target && !target_is_same(upstream->target, target))
            continue;
        if (!is_fit(keepalive, upstream, now_ns, probe_socket)) {
            drop(keepalive, upstream);
        } else if (is_trusted(keepalive, upstream)) {
            take_out(keepalive, upstream);
            return upstream;
        } else {
            looks++;
        }
    }
    return NULL;
}

struct upstream *keepalive_take_reserved(struct upstream **reserved_at, const struct upstream_config *config,
                                         const struct target *target, int64_t now_ns, bool probe_socket)
{
    struct upstream *upstream = *reserved_at;
    struct keepalive *keepalive = keepalive_of(upstream);

    if (upstream->config == config && target_is_same(upstream->target, target) &&
        is_fit(keepalive, upstream, now_ns, probe_socket) && is_trusted(keepalive, upstream)) {
        take_out(keepalive, upstream);
        return upstream;
    }
    drop(keepalive, upstream);
    return NULL;
}

static void probe_suspects(struct keepalive *keepalive, struct list_node *list)
{
    struct list_node *node = list->next;

    for (unsigned i = 0; i < PROBES_AT_ONCE && node != list; i++, node = node->next)
        if (trust_of(&keepalive->doubt, &upstream_of(node)->proof) == TRUST_UNASKED)
            probe(keepalive, upstream_of(node));
}

void keepalive_doubt(struct keepalive *keepalive, const struct upstream *silent, int64_t sent_ns,
                     bool acknowledged)
{
    int64_t now_ns = loop_now(keepalive->context->loop);

    trust_doubt(&keepalive->doubt, &silent->proof, sent_ns, now_ns, acknowledged);
    probe_suspects(keepalive, &keepalive->idle);
    probe_suspects(keepalive, &keepalive->reserved);
}

void keepalive_end_reservation(struct upstream **reserved_at)
{
    if (*reserved_at != NULL)
        drop(keepalive_of(*reserved_at), *reserved_at);
}

/*
 * Bytes that were here before the connection came to rest raise no event any more. They belong to no request: whoever
 * took the connection next would take them for his response. Under TLS, a read also takes session tickets, which are
 * no content.
 */
static bool has_unread(struct upstream *upstream)
{
    char byte;
    size_t len;

    if (upstream->h2 != NULL)
        return !h2_connection_rest(upstream->h2);
    return upstream->transport.can_read && transport_read(&upstream->transport, &byte, 1, &len) != ST_AGAIN;
}

/* True: it came to rest clean, may be used again, and was made under the configuration in force. */
static bool can_rest(struct keepalive *keepalive, struct upstream *upstream, int64_t now_ns)
{
    if (upstream->config != keepalive->config)
        return false;
    upstream->end_ns = end_of(keepalive, upstream, now_ns);
    trust_responded(&upstream->proof, now_ns);
    return upstream->end_ns > now_ns && !keepalive_has_moved(keepalive, upstream) && !has_unread(upstream);
}

/* It has ended, or says what nobody has asked for; or that meant nothing. */
static void stirred(struct upstream *upstream)
{
    if (has_unread(upstream))
        drop(keepalive_of(upstream), upstream);
}

static const struct upstream_events idle_events = {.ready = stirred};

static void rest(struct keepalive *keepalive, struct upstream *upstream, struct list_node *list)
{
    PRE(upstream->connect == NULL && transport_is_open(&upstream->transport));
    upstream_may_be_silent(upstream);
    upstream->events = &idle_events;
    upstream->user = NULL;
    list_push_front(list, &upstream->node);
    set_expiry(keepalive, upstream->end_ns);
}

void keepalive_put(struct keepalive *keepalive, struct upstream **upstream_at, int64_t now_ns)
{
    if ((*upstream_at)->seat != NULL || keepalive->count >= keepalive->max ||
        !can_rest(keepalive, *upstream_at, now_ns)) {
        upstream_close(upstream_at);
        return;
    }
    rest(keepalive, *upstream_at, &keepalive->idle);
    keepalive->count++;
    POST(keepalive->count <= keepalive->max);
    *upstream_at = NULL;
}

void keepalive_reserve(struct keepalive *keepalive, struct upstream **upstream_at,
                       struct upstream **reserved_at, int64_t now_ns)
{
    if (*reserved_at != NULL || !can_rest(keepalive, *upstream_at, now_ns)) {
        upstream_close(upstream_at);
        return;
    }
    rest(keepalive, *upstream_at, &keepalive->reserved);
    keepalive->reserved_count++;
    *reserved_at = *upstream_at;
    (*upstream_at)->reserved_at = reserved_at;
    *upstream_at = NULL;
}
