#ifndef CURFEW_RUNTIME_DNS_CACHE_H
#define CURFEW_RUNTIME_DNS_CACHE_H

#include <stdint.h>

#include "base/list.h"
#include "runtime/dns.h"

/*
 * Answers by name, until they expire; the least recently used one makes room. One thread; time is an
 * argument. Names are compared without case (RFC 4343).
 */
#define DNS_CACHE_BUCKETS 64u
#define DNS_CACHE_MAX     256u

struct dns_cache {
    struct list_node buckets[DNS_CACHE_BUCKETS];
    struct list_node by_use; /* most recently used first */
    uint32_t count;
};

void dns_cache_init(struct dns_cache *cache);
void dns_cache_fini(struct dns_cache *cache);

/* Borrowed; NULL if there is none that is still good at `now_ns`. */
struct dns_answer *dns_cache_find(struct dns_cache *cache, const char *host, int64_t now_ns);

/*
 * Keeps a reference of its own for `ttl_ns`. Without memory it keeps nothing, and the name is asked for again.
 */
void dns_cache_put(struct dns_cache *cache, const char *host, struct dns_answer *answer, int64_t now_ns,
                   int64_t ttl_ns);

/* Drops what was put before `before_ns`. */
void dns_cache_doubt(struct dns_cache *cache, const char *host, int64_t before_ns);

#endif
