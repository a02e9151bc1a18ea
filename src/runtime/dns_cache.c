#include "runtime/dns_cache.h"

#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/invariant.h"
#include "base/mem.h"

void dns_cache_init(struct dns_cache *cache)
{
    for (uint32_t i = 0; i < DNS_CACHE_BUCKETS; i++)
        list_init(&cache->buckets[i]);
    list_init(&cache->by_use);
    cache->count = 0;
}

static void drop(struct dns_cache *cache, struct dns_entry *entry)
{
    PRE(cache->count > 0 && !list_is_empty(&entry->in_bucket));
    list_remove(&entry->in_bucket);
    list_remove(&entry->in_use);
    dns_answer_release(&entry->answer);
    mem_free(entry);
    cache->count--;
}

static struct dns_entry *least_used(struct dns_cache *cache)
{
    return CONTAINER_OF(cache->by_use.prev, struct dns_entry, in_use);
}

void dns_cache_fini(struct dns_cache *cache)
{
    while (cache->count != 0)
        drop(cache, least_used(cache));
    POST(list_is_empty(&cache->by_use));
}

/* Names are the same in either case. */
static struct list_node *bucket_of(struct dns_cache *cache, const char *host)
{
    uint64_t hash = HASH_OF_NOTHING;

    for (; *host != '\0'; host++)
        hash = hash_byte(hash, (uint8_t)(*host >= 'A' && *host <= 'Z' ? *host + 32 : *host));
    return &cache->buckets[hash_fold(hash) % DNS_CACHE_BUCKETS];
}

struct dns_entry *dns_cache_find(struct dns_cache *cache, const char *host)
{
    LIST_FOREACH(node, bucket_of(cache, host)) {
        struct dns_entry *entry = CONTAINER_OF(node, struct dns_entry, in_bucket);

        if (strcasecmp(entry->host, host) != 0)
            continue;
        list_remove(&entry->in_use);
        list_push_front(&cache->by_use, &entry->in_use);
        return entry;
    }
    return NULL;
}

struct dns_entry *dns_cache_get(struct dns_cache *cache, const char *host)
{
    struct dns_entry *entry = dns_cache_find(cache, host);
    size_t size = strlen(host) + 1;

    if (entry != NULL)
        return entry;
    entry = mem_zalloc(sizeof(*entry) + size);
    if (entry == NULL)
        return NULL;
    if (cache->count == DNS_CACHE_MAX)
        drop(cache, least_used(cache));
    memcpy(entry->host, host, size);
    list_push_front(bucket_of(cache, host), &entry->in_bucket);
    list_push_front(&cache->by_use, &entry->in_use);
    cache->count++;
    POST(cache->count <= DNS_CACHE_MAX);
    return entry;
}

void dns_entry_set(struct dns_entry *entry, struct dns_answer *answer)
{
    if (answer != NULL)
        (void)dns_answer_acquire(answer);
    dns_answer_release(&entry->answer);
    entry->answer = answer;
}
