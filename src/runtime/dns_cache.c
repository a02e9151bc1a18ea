#include "runtime/dns_cache.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct entry {
    struct list_node in_bucket, in_use;
    struct dns_answer *answer;
    int64_t put_ns, expires_ns;
    char host[];
};

void dns_cache_init(struct dns_cache *cache)
{
    for (uint32_t i = 0; i < DNS_CACHE_BUCKETS; i++)
        list_init(&cache->buckets[i]);
    list_init(&cache->by_use);
    cache->count = 0;
}

static void drop(struct dns_cache *cache, struct entry *entry)
{
    list_remove(&entry->in_bucket);
    list_remove(&entry->in_use);
    dns_answer_release(&entry->answer);
    mem_free(entry);
    cache->count--;
}

static struct entry *least_used(struct dns_cache *cache)
{
    return CONTAINER_OF(cache->by_use.prev, struct entry, in_use);
}

void dns_cache_fini(struct dns_cache *cache)
{
    while (cache->count != 0)
        drop(cache, least_used(cache));
}

/* FNV-1a over the name in lower case. */
static struct list_node *bucket_of(struct dns_cache *cache, const char *host)
{
    uint32_t hash = 2166136261u;

    for (; *host != '\0'; host++) {
        unsigned char c = (unsigned char)*host;

        hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
    }
    return &cache->buckets[hash % DNS_CACHE_BUCKETS];
}

static struct entry *find(struct list_node *bucket, const char *host)
{
    LIST_FOREACH(node, bucket) {
        struct entry *entry = CONTAINER_OF(node, struct entry, in_bucket);

        if (strcasecmp(entry->host, host) == 0)
            return entry;
    }
    return NULL;
}

struct dns_answer *dns_cache_find(struct dns_cache *cache, const char *host, int64_t now_ns)
{
    struct entry *entry = find(bucket_of(cache, host), host);

    if (entry == NULL)
        return NULL;
    if (entry->expires_ns <= now_ns) {
        drop(cache, entry);
        return NULL;
    }
    list_remove(&entry->in_use);
    list_push_front(&cache->by_use, &entry->in_use);
    return entry->answer;
}

void dns_cache_put(struct dns_cache *cache, const char *host, struct dns_answer *answer, int64_t now_ns,
                   int64_t ttl_ns)
{
    struct list_node *bucket = bucket_of(cache, host);
    struct entry *entry = find(bucket, host);
    size_t size = strlen(host) + 1;

    if (entry != NULL)
        drop(cache, entry);
    entry = mem_alloc(sizeof(*entry) + size);
    if (entry == NULL)
        return;
    if (cache->count == DNS_CACHE_MAX)
        drop(cache, least_used(cache));
    entry->answer = dns_answer_acquire(answer);
    entry->put_ns = now_ns;
    entry->expires_ns = now_ns + ttl_ns;
    memcpy(entry->host, host, size);
    list_push_front(bucket, &entry->in_bucket);
    list_push_front(&cache->by_use, &entry->in_use);
    cache->count++;
}

void dns_cache_doubt(struct dns_cache *cache, const char *host, int64_t before_ns)
{
    struct entry *entry = find(bucket_of(cache, host), host);

    if (entry != NULL && entry->put_ns <= before_ns)
        drop(cache, entry);
}
