#ifndef CURFEW_CALL_TARGET_H
#define CURFEW_CALL_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "config/snapshot.h"
#include "core/origin.h"
#include "http/proxy_target.h"
#include "runtime/dns.h"

/*
 * Where the caller of a forward proxy wants to go: what an upstream's url says otherwise. A call makes one, and the
 * connections that are made for it keep it: a later call takes one of those if it goes to the same place.
 *
 * Its addresses are looked up once, by target_vet, and judged by the guard; what passes is all that is dialled, or that
 * a proxy on the way is asked for. One loop's thread; counted.
 */
struct target {
    uint32_t references;
    struct origin origin; /* its host is below, its guard the destination's */
    struct dns_query query;
    struct dns_answer *answer; /* what may be dialled; NULL: the host is an address, or is not vetted yet */
    bool is_stale;             /* DNS fails, and the answer is the last good one */
    bool by_name;              /* the way's proxy is told the host, and not an address */
    bool goes_whole;           /* to the way's proxy, as an url: it is asked for no tunnel */
    const struct proxy_config *way; /* the proxy that it is reached through; NULL: directly */
    struct proxy_spec *asks;        /* that one is asked for, in this order; NULL: for nothing */
    union dns_address address;      /* that was asked for; family 0: none, or the host */
    void (*found)(void *waiter, enum status status);
    void *waiter; /* who waits for the lookup */
    char host[PROXY_HOST_MAX + 1];
};

/* For a call of this proxy; without a guard yet. NULL: no memory. */
struct target *target_new(const struct upstream_config *proxy, const struct proxy_target *where,
                          bool is_connect) __attribute__((warn_unused_result));
struct target *target_acquire(struct target *target);
/* NULLs the source; of NULL: nothing. A lookup under way is not heard of any more. */
void target_release(struct target **target);

/* Do connections to one serve calls to the other? NULL is where a url leads. */
bool target_is_same(const struct target *a, const struct target *b) __attribute__((pure));

/* Where connections are made to that lead there. */
static inline const struct origin *target_dialled(const struct target *target)
{
    return target->way != NULL ? &target->way->origin : &target->origin;
}

/* The proxy has opened a tunnel for this one of `asks`. */
void target_went(struct target *target, const struct proxy_spec *ask);

/*
 * Looks it up, and judges. ST_OK: it may be dialled. ST_BAD: the guard denies all of its addresses. ST_FAILED: it has
 * none, as target->query says. ST_NOMEM. ST_AGAIN: `found` runs from the loop, with any of the others.
 */
enum status target_vet(struct target *target, const struct guard *guard, struct resolver *resolver,
                       void (*found)(void *waiter, enum status status), void *waiter) MUST_CHECK;

#endif
