#include "runtime/dns.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "runtime/dns_cache.h"
#include "runtime/dns_channel.h"
#include "runtime/worker.h"

/*
 * A name that is in the cache is answered at once. Else there is one lookup for it, which all who ask for the
 * name wait for; it has a channel of c-ares to itself, from a small stack of idle ones. When it has ended, it
 * is taken off the list first, so that whoever asks from within a waiter's function begins anew, and then its
 * waiters are told.
 *
 * Failures are not kept: the next call asks again.
 */

#define MAX_TTL_NS        (3600 * NS_PER_S)
/* An answer that is younger than this is not doubted. */
#define DOUBT_NS          NS_PER_S
/* Then a new channel is made, which reads the system's configuration again. */
#define CHANNEL_AGE_NS    (30 * NS_PER_S)
/* A channel of c-ares takes some 100 KB. */
#define MAX_IDLE_CHANNELS 4u

struct resolver {
    struct worker *worker;
    char *servers;         /* NULL: the system's */
    dns_found_fn on_found; /* NULL: nobody listens */
    void *arg;
    struct dns_answer *loopback;
    struct dns_cache cache;
    struct list_node lookups;
    struct list_node idle_channels; /* latest used first */
    uint32_t idle_channel_count;
};

struct dns_lookup {
    struct list_node node; /* on the resolver's lookups, until its waiters are told */
    struct resolver *resolver;
    struct list_node waiters;
    struct dns_channel *channel;
    struct mail failed; /* it ended when it began: its waiters are told from the loop */
    bool telling;
    char host[];
};

/* ---- answers ------------------------------------------------------------------------------------------- */

struct dns_answer *dns_answer_acquire(struct dns_answer *answer)
{
    answer->references++;
    return answer;
}

void dns_answer_release(struct dns_answer **answer)
{
    struct dns_answer *released = *answer;

    *answer = NULL;
    if (released != NULL && --released->references == 0)
        mem_free(released);
}

static struct dns_answer *new_loopback(void)
{
    struct dns_answer *answer = mem_zalloc(sizeof(*answer) + 2 * sizeof(answer->addresses[0]));

    if (answer == NULL)
        return NULL;
    answer->references = 1;
    answer->count = 2;
    answer->addresses[0].v4 = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    answer->addresses[1].v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6,
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    return answer;
}

/* "localhost", or under it, with or without a dot at the end. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t name_len = sizeof(name) - 1;
    size_t len = strlen(host);

    if (len != 0 && host[len - 1] == '.')
        len--;
    if (len < name_len || strncasecmp(host + len - name_len, name, name_len) != 0)
        return false;
    return len == name_len || host[len - name_len - 1] == '.';
}

/* ---- channels ------------------------------------------------------------------------------------------ */

static bool is_too_old(const struct resolver *resolver, const struct dns_channel *channel)
{
    return worker_now(resolver->worker) - channel->made_ns >= CHANNEL_AGE_NS;
}

static struct dns_channel *take_channel(struct resolver *resolver)
{
    struct list_node *node;

    while ((node = list_take_front(&resolver->idle_channels)) != NULL) {
        struct dns_channel *channel = CONTAINER_OF(node, struct dns_channel, node);

        resolver->idle_channel_count--;
        if (!is_too_old(resolver, channel))
            return channel;
        dns_channel_free(channel);
    }
    return dns_channel_new(resolver->worker, resolver->servers);
}

static void give_channel_back(struct resolver *resolver, struct dns_channel *channel)
{
    if (resolver->idle_channel_count == MAX_IDLE_CHANNELS || is_too_old(resolver, channel)) {
        dns_channel_free(channel);
        return;
    }
    list_push_front(&resolver->idle_channels, &channel->node);
    resolver->idle_channel_count++;
}

static void drop_idle_channels(struct resolver *resolver)
{
    struct list_node *node;

    while ((node = list_take_front(&resolver->idle_channels)) != NULL)
        dns_channel_free(CONTAINER_OF(node, struct dns_channel, node));
    resolver->idle_channel_count = 0;
}

/* ---- lookups ------------------------------------------------------------------------------------------- */

static void free_lookup(struct dns_lookup *lookup)
{
    list_remove(&lookup->node);
    worker_undefer(&lookup->failed);
    mem_free(lookup);
}

/* The answer, with its reference; NULL: *why says it. It is kept if it may be. */
static struct dns_answer *take_answer(struct dns_lookup *lookup, const char **why)
{
    struct resolver *resolver = lookup->resolver;
    struct dns_channel *channel = lookup->channel;
    struct dns_answer *answer = channel->answer;
    int64_t ttl_ns = channel->ttl_ns < MAX_TTL_NS ? channel->ttl_ns : MAX_TTL_NS;

    channel->answer = NULL;
    *why = channel->why;
    lookup->channel = NULL;
    give_channel_back(resolver, channel);
    if (answer != NULL && ttl_ns > 0)
        dns_cache_put(&resolver->cache, lookup->host, answer, worker_now(resolver->worker), ttl_ns);
    if (answer != NULL && resolver->on_found != NULL)
        resolver->on_found(resolver->arg, lookup->host, answer);
    return answer;
}

static void tell(struct dns_lookup *lookup)
{
    const char *why;
    struct dns_answer *answer = take_answer(lookup, &why);
    struct list_node *node;

    lookup->telling = true;
    list_remove(&lookup->node);
    while ((node = list_take_front(&lookup->waiters)) != NULL) {
        struct dns_query *query = CONTAINER_OF(node, struct dns_query, node);

        query->lookup = NULL;
        query->fn(query, answer, answer != NULL ? NULL : why);
    }
    dns_answer_release(&answer);
    free_lookup(lookup);
}

static void channel_ended(struct dns_channel *channel)
{
    tell(channel->owner);
}

static void failed_at_once(struct mail *mail)
{
    tell(CONTAINER_OF(mail, struct dns_lookup, failed));
}

/* Nobody waits any more. */
static void abandon(struct dns_lookup *lookup)
{
    if (dns_channel_cancel(lookup->channel))
        give_channel_back(lookup->resolver, lookup->channel);
    else
        dns_channel_free(lookup->channel);
    free_lookup(lookup);
}

static struct dns_lookup *new_lookup(struct resolver *resolver, const char *host)
{
    size_t size = strlen(host) + 1;
    struct dns_lookup *lookup = mem_zalloc(sizeof(*lookup) + size);

    if (lookup == NULL)
        return NULL;
    lookup->resolver = resolver;
    lookup->channel = take_channel(resolver);
    if (lookup->channel == NULL) {
        mem_free(lookup);
        return NULL;
    }
    memcpy(lookup->host, host, size);
    lookup->channel->owner = lookup;
    lookup->channel->ended = channel_ended;
    list_init(&lookup->waiters);
    mail_init(&lookup->failed, failed_at_once);
    list_push_back(&resolver->lookups, &lookup->node);
    return lookup;
}

static struct dns_lookup *find_lookup(struct resolver *resolver, const char *host)
{
    LIST_FOREACH(node, &resolver->lookups) {
        struct dns_lookup *lookup = CONTAINER_OF(node, struct dns_lookup, node);

        if (strcasecmp(lookup->host, host) == 0)
            return lookup;
    }
    return NULL;
}

/* ST_OK: *answer was found without waiting, as in the hosts file, and the lookup is over. */
static enum status begin(struct dns_lookup *lookup, struct dns_answer **answer)
{
    const char *why;

    if (dns_channel_start(lookup->channel, lookup->host) == ST_AGAIN)
        return ST_AGAIN;
    if (lookup->channel->answer == NULL) {
        worker_defer(lookup->resolver->worker, &lookup->failed);
        return ST_AGAIN;
    }
    *answer = take_answer(lookup, &why);
    free_lookup(lookup);
    return ST_OK;
}

/* ---- for those who ask --------------------------------------------------------------------------------- */

void dns_query_init(struct dns_query *query)
{
    *query = (struct dns_query){0};
    list_init(&query->node);
}

static void wait_for(struct dns_lookup *lookup, struct dns_query *query, dns_fn fn)
{
    query->fn = fn;
    query->lookup = lookup;
    list_push_back(&lookup->waiters, &query->node);
}

static struct dns_answer *known(struct resolver *resolver, const char *host)
{
    if (is_localhost(host))
        return resolver->loopback;
    return dns_cache_find(&resolver->cache, host, worker_now(resolver->worker));
}

enum status dns_ask(struct resolver *resolver, const char *host, struct dns_query *query, dns_fn fn,
                    struct dns_answer **answer)
{
    struct dns_answer *kept = known(resolver, host);
    struct dns_lookup *lookup;

    if (kept != NULL) {
        *answer = dns_answer_acquire(kept);
        return ST_OK;
    }
    lookup = find_lookup(resolver, host);
    if (lookup == NULL) {
        lookup = new_lookup(resolver, host);
        if (lookup == NULL)
            return ST_NOMEM;
        if (begin(lookup, answer) == ST_OK)
            return ST_OK;
    }
    wait_for(lookup, query, fn);
    return ST_AGAIN;
}

void dns_doubt(struct resolver *resolver, const char *host)
{
    dns_cache_doubt(&resolver->cache, host, worker_now(resolver->worker) - DOUBT_NS);
}

void dns_cancel(struct dns_query *query)
{
    struct dns_lookup *lookup = query->lookup;

    if (lookup == NULL)
        return;
    query->lookup = NULL;
    list_remove(&query->node);
    if (list_is_empty(&lookup->waiters) && !lookup->telling)
        abandon(lookup);
}

/* ---- the resolver -------------------------------------------------------------------------------------- */

struct resolver *resolver_new(struct worker *worker)
{
    struct resolver *resolver = mem_zalloc(sizeof(*resolver));

    if (resolver == NULL)
        return NULL;
    resolver->loopback = new_loopback();
    if (resolver->loopback == NULL) {
        mem_free(resolver);
        return NULL;
    }
    resolver->worker = worker;
    dns_cache_init(&resolver->cache);
    list_init(&resolver->lookups);
    list_init(&resolver->idle_channels);
    return resolver;
}

void resolver_on_found(struct resolver *resolver, dns_found_fn fn, void *arg)
{
    resolver->on_found = fn;
    resolver->arg = arg;
}

static void forget_waiters(struct dns_lookup *lookup)
{
    struct list_node *node;

    while ((node = list_take_front(&lookup->waiters)) != NULL)
        CONTAINER_OF(node, struct dns_query, node)->lookup = NULL;
}

void resolver_free(struct resolver *resolver)
{
    while (!list_is_empty(&resolver->lookups)) {
        struct dns_lookup *lookup = CONTAINER_OF(resolver->lookups.next, struct dns_lookup, node);

        forget_waiters(lookup);
        abandon(lookup);
    }
    drop_idle_channels(resolver);
    dns_cache_fini(&resolver->cache);
    dns_answer_release(&resolver->loopback);
    mem_free(resolver->servers);
    mem_free(resolver);
}

enum status resolver_set_servers(struct resolver *resolver, const char *servers)
{
    char *copy = mem_dup(servers, strlen(servers));

    if (copy == NULL)
        return ST_NOMEM;
    mem_free(resolver->servers);
    resolver->servers = copy;
    drop_idle_channels(resolver);
    return ST_OK;
}
