/* Where the caller of a forward proxy wants to go. */
#include "call/target.h"

#include <string.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/guarded.h"

struct target *target_new(const struct upstream_config *proxy, const struct proxy_target *where)
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
    mem_free(target);
}

bool target_is_same(const struct target *a, const struct target *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->origin.port == b->origin.port && strcmp(a->host, b->host) == 0;
}

static enum status judge(struct target *target, struct dns_answer *answer)
{
    target->is_stale = target->query.result == DNS_STALE;
    return guarded_answer(target->origin.guard, answer, target->origin.port, &target->answer);
}

static enum status judge_ip(const struct target *target)
{
    union dns_address address = dns_address_of(&target->origin.ip);

    return guarded_may_dial(target->origin.guard, &address, target->origin.port) ? ST_OK : ST_BAD;
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
