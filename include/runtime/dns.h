#ifndef CURFEW_RUNTIME_DNS_H
#define CURFEW_RUNTIME_DNS_H

#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "core/name_age.h"
#include "runtime/dns_answer.h"

struct loop;

/*
 * Names to addresses, on a loop, as the system is configured: hosts file, search list, name servers.
 * c-ares speaks with those. Only the first one who asks for a name waits; from then on its answer is looked up
 * anew in the background as long as it is used, and the last good one is used while DNS fails (core/name_age.h).
 * Lookups of one name under way are shared, and end by themselves, though nobody may be waiting any more. One
 * resolver a loop; all of it on the loop's thread.
 */
struct resolver;

struct dns_query;
/*
 * query->result says what `answer` is; NULL: there is none, and query->why (static text) says why not. It is the
 * resolver's: acquire to keep it.
 */
typedef void (*dns_fn)(struct dns_query *query, struct dns_answer *answer);

/* Embedded in whoever asks. */
struct dns_query {
    struct list_node node; /* on the lookup's waiters */
    dns_fn fn;
    enum dns_result result;
    const char *why;
};

/* NULL: no memory. */
struct resolver *resolver_new(struct loop *loop);
/* Queries that are still under way are forgotten: their functions will not run. */
void resolver_free(struct resolver *resolver);

/*
 * Whenever a lookup has ended, `fn` runs, on the loop's thread: with the answer, or, if there is none, with the
 * reason and whether the last good answer goes on being used. Of names that need no lookup it says nothing.
 */
struct dns_news {
    const char *host;
    struct dns_answer *answer; /* the resolver's; NULL: none */
    const char *why;
    bool is_bridged;
};
typedef void (*dns_news_fn)(void *arg, const struct dns_news *news);
void resolver_on_news(struct resolver *resolver, dns_news_fn fn, void *arg);

/* A reload: all names are looked up anew when they are asked for next; an old answer bridges DNS's failures still. */
void resolver_renew(struct resolver *resolver);

/* For tests: ask these servers ("127.0.0.1:5353,…") and not the system's, from the next lookup on. */
enum status resolver_set_servers(struct resolver *resolver, const char *servers) MUST_CHECK;

/*
 * ST_OK: *answer is there at once, with a reference for the caller, and query->result says of what kind.
 * ST_FAILED: there is none, as query->result and query->why say. ST_AGAIN: query->fn will run, from the loop,
 * unless cancelled. "localhost" and names under it are the loopback addresses (RFC 6761 6.3), whatever the hosts
 * file says.
 */
enum status dns_ask(struct resolver *resolver, const char *host, const struct name_policy *policy,
                    struct dns_query *query, dns_fn fn, struct dns_answer **answer) MUST_CHECK;

/*
 * None of the addresses of `host` could be connected to: they are looked up anew, but at most once a second. May be
 * called at any time on the loop's thread; of a name without an answer it changes nothing.
 */
void dns_doubt(struct resolver *resolver, const char *host);

/* No effect on a query that is not under way. The lookup goes on: later ones may profit. */
void dns_cancel(struct dns_query *query);
void dns_query_init(struct dns_query *query);

#endif
