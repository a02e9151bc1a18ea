#ifndef CURFEW_RUNTIME_DNS_H
#define CURFEW_RUNTIME_DNS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "runtime/mailbox.h"

struct worker;

/*
 * Names to addresses, by c-ares on a worker's own loop (hosts file, then DNS, as the system is configured).
 * Answers are kept for their TTL; lookups of one name under way are shared; a lookup that nobody waits for
 * any more is cancelled. One resolver a worker; all of it on the worker's thread.
 */
struct resolver;

union dns_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/*
 * A lookup's result, shared and immutable: in the order in which to try them (RFC 6724). At least one
 * address.
 */
struct dns_answer {
    uint32_t references; /* all on one worker's thread */
    uint32_t count;
    union dns_address addresses[]; /* port 0 */
};

struct dns_query;
/*
 * `answer` is NULL if the name does not resolve; *why then says it (static text). It is the query's: acquire
 * to keep it.
 */
typedef void (*dns_fn)(struct dns_query *query, struct dns_answer *answer, const char *why);

/* Embedded in whoever asks. */
struct dns_query {
    struct list_node node; /* on the lookup's waiters */
    struct dns_lookup *lookup;
    dns_fn fn;
};

/* NULL: no memory. */
struct resolver *resolver_new(struct worker *worker);
/* Queries that are still under way are forgotten: their functions will not run. */
void resolver_free(struct resolver *resolver);

/* Whenever a lookup has found addresses, `fn` runs, on the worker's thread; of names that need none it says nothing. */
typedef void (*dns_found_fn)(void *arg, const char *host, const struct dns_answer *answer);
void resolver_on_found(struct resolver *resolver, dns_found_fn fn, void *arg);

/* For tests: ask these servers ("127.0.0.1:5353,…") and not the system's, from the next lookup on. */
enum status resolver_set_servers(struct resolver *resolver, const char *servers) MUST_CHECK;

/*
 * ST_OK: *answer is there at once, with a reference for the caller. ST_AGAIN: query->fn will run, from the
 * loop, unless cancelled. ST_NOMEM. "localhost" and names under it are the loopback addresses (RFC 6761 6.3),
 * whatever the hosts file says.
 */
enum status dns_ask(struct resolver *resolver, const char *host, struct dns_query *query, dns_fn fn,
                    struct dns_answer **answer) MUST_CHECK;
/*
 * None of the addresses of `host` could be connected to: they are looked up anew, but at most once a second. May be
 * called at any time on the worker's thread; of a name without an answer it changes nothing.
 */
void dns_doubt(struct resolver *resolver, const char *host);

/* No effect on a query that is not under way. The last one to leave a lookup ends it, sockets and all. */
void dns_cancel(struct dns_query *query);
void dns_query_init(struct dns_query *query);

struct dns_answer *dns_answer_acquire(struct dns_answer *answer);
/* NULLs the source; of NULL: nothing. */
void dns_answer_release(struct dns_answer **answer);

#endif
