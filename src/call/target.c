/* Where the caller of a forward proxy wants to go. */
#include "call/target.h"

#include <string.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"
#include "core/race.h"
#include "runtime/guarded.h"
#include "runtime/socket_address.h"

/* Of "[address]:port", and of "host:port". */
#define PLACE_ROOM (PROXY_HOST_MAX + 8u)

struct target *target_new(const struct upstream_config *proxy, const struct proxy_target *where,
                          bool is_connect)
{
    struct target *target = mem_zalloc(sizeof(*target));

    if (target == NULL)
        return NULL;
    target->references = 1;
    memcpy(target->host, where->host, sizeof(target->host));
    target->origin = proxy->origin;
    target->origin.host = target->host;
    target->origin.port = where->port;
    target->origin.host_is_ip = where->is_ip;
    target->origin.ip = where->ip;
    target->origin.ip.port = where->port;
    target->way = forward_proxy_for(proxy->forward, is_connect, where);
    target->by_name = target->way != NULL && proxy->forward->way.by_name && !where->is_ip;
    target->goes_whole = target->way != NULL && proxy->forward->way.by_name && !is_connect;
    dns_query_init(&target->query);
    return target;
}

struct target *target_acquire(struct target *target)
{
    if (target != NULL)
        target->references++;
    return target;
}

void target_release(struct target **target_at)
{
    struct target *target = *target_at;

    PRE(target == NULL || target->references > 0);
    *target_at = NULL;
    if (target == NULL || --target->references != 0)
        return;
    dns_cancel(&target->query);
    dns_answer_release(&target->answer);
    mem_free(target->asks);
    mem_free(target);
}

bool target_is_same(const struct target *a, const struct target *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->origin.port == b->origin.port && strcmp(a->host, b->host) == 0;
}

/* ---- what a proxy on the way is asked for --------------------------------------------------------------- */

/* Of those that the guard has let pass. */
static union dns_address address_at(const struct target *target, uint32_t at)
{
    union dns_address address =
        target->answer != NULL ? target->answer->addresses[at] : dns_address_of(&target->origin.ip);
    in_port_t port = htons(target->origin.port);

    if (address.any.sa_family == AF_INET6)
        address.v6.sin6_port = port;
    else
        address.v4.sin_port = port;
    return address;
}

static void put_place(struct text *out, const struct target *target, uint32_t at)
{
    union dns_address address = address_at(target, at);

    if (target->by_name)
        text_printf(out, "%s:%u", target->host, target->origin.port);
    else
        socket_address_put(out, &address.any);
}

static uint32_t count_asks(const struct target *target)
{
    if (target->answer == NULL || target->by_name)
        return 1;
    return target->answer->count < RACE_ADDRESSES ? target->answer->count : RACE_ADDRESSES;
}

/* It has been vetted. The texts lie behind the array. */
static enum status prepare_way(struct target *target)
{
    uint32_t count = count_asks(target);
    size_t room = 2 * PLACE_ROOM + PROXY_ASK_ROOM;
    char block[PLACE_ROOM], *texts;

    if (target->way == NULL || target->goes_whole)
        return ST_OK;
    PRE(target->asks == NULL);
    room += target->way->authorization.len;
    target->asks = mem_calloc(count, sizeof(target->asks[0]) + room);
    if (target->asks == NULL)
        return ST_NOMEM;
    texts = (char *)(target->asks + count);
    for (uint32_t i = 0; i < count; i++) {
        struct text place = text_over(block, sizeof(block)), text = text_over(texts + i * room, room);

        put_place(&place, target, i);
        proxy_spec_put_ask(&text, text_span(&place), target->way->authorization);
        POST(!place.overflow && !text.overflow);
        target->asks[i] = (struct proxy_spec){.ask = text_span(&text),
                                              .answer_max = target->way->spec.answer_max,
                                              .next = i + 1 < count ? &target->asks[i + 1] : NULL};
    }
    target_went(target, target->asks); /* until another one is known */
    return ST_OK;
}

void target_went(struct target *target, const struct proxy_spec *ask)
{
    PRE(target->asks != NULL && ask >= target->asks);
    if (!target->by_name)
        target->address = address_at(target, (uint32_t)(ask - target->asks));
}

/* ---- the guard ------------------------------------------------------------------------------------------ */

static enum status judge(struct target *target, struct dns_answer *answer)
{
    enum status status = guarded_answer(target->origin.guard, answer, target->origin.port, &target->answer);

    target->is_stale = target->query.result == DNS_STALE;
    return status == ST_OK ? prepare_way(target) : status;
}

static enum status judge_ip(struct target *target)
{
    union dns_address address = dns_address_of(&target->origin.ip);

    return guarded_may_dial(target->origin.guard, &address, target->origin.port) ? prepare_way(target)
                                                                                 : ST_BAD;
}

static enum status failure_of(const struct dns_query *query)
{
    return query->result == DNS_SHORTAGE ? ST_NOMEM : ST_FAILED;
}

static void resolved(struct dns_query *query, struct dns_answer *answer)
{
    struct target *target = CONTAINER_OF(query, struct target, query);

    target->found(target->waiter, answer != NULL ? judge(target, answer) : failure_of(query));
}

enum status target_vet(struct target *target, const struct guard *guard, struct resolver *resolver,
                       void (*found)(void *waiter, enum status status), void *waiter)
{
    struct dns_answer *answer = NULL;
    enum status status;

    PRE(target->answer == NULL);
    target->origin.guard = guard;
    target->found = found;
    target->waiter = waiter;
    if (target->origin.host_is_ip)
        return judge_ip(target);
    status = dns_ask(resolver, target->host, &target->origin.dns, &target->query, resolved, &answer);
    if (status == ST_FAILED)
        return failure_of(&target->query);
    if (status != ST_OK)
        return status;
    status = judge(target, answer);
    dns_answer_release(&answer);
    return status;
}
