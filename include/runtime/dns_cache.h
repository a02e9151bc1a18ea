#ifndef CURFEW_RUNTIME_DNS_CACHE_H
#define CURFEW_RUNTIME_DNS_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/name_age.h"
#include "runtime/dns_answer.h"

/*
 * What is known of names: their last good answers, and their failures. The least recently used one makes room. One
 * thread. Names are compared without case (RFC 4343).
 */
#define DNS_CACHE_BUCKETS 64u
#define DNS_CACHE_MAX     256u

struct dns_entry {
    struct list_node in_bucket, in_use;
    struct dns_answer *answer; /* NULL: none; as age.has_answer says */
    struct name_age age;
    struct name_policy policy; /* of whoever asked last */
    int64_t looked_ns;         /* when the last lookup began */
    const char *why;           /* static text of the last failure */
    bool is_used;              /* asked for since the last lookup began */
    char host[];
};

struct dns_cache {
    struct list_node buckets[DNS_CACHE_BUCKETS];
    struct list_node by_use; /* dns_entry.in_use; most recently used first */
    uint32_t count;
};

void dns_cache_init(struct dns_cache *cache);
void dns_cache_fini(struct dns_cache *cache);

/* NULL: nothing is known of it. */
struct dns_entry *dns_cache_find(struct dns_cache *cache, const char *host);
/* Likewise, but makes one that knows nothing if need be. NULL: no memory. */
struct dns_entry *dns_cache_get(struct dns_cache *cache, const char *host);

/* The answer (with a reference of its own) from now on; NULL: none. */
void dns_entry_set(struct dns_entry *entry, struct dns_answer *answer);

#endif
