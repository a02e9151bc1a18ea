#include "runtime/dns.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/dns_cache.h"
#include "runtime/dns_channels.h"
#include "runtime/dns_lookup.h"
#include "runtime/dns_system.h"
#include "runtime/localhost.h"
#include "runtime/loop.h"

/*
 * What is known of a name (dns_cache.h) is judged by its age when somebody asks (core/name_age.h). If that wants
 * it, there is one lookup of the name (dns_lookup.h), which all who ask meanwhile share; those who have nothing to
 * go by wait on it. When it has ended, it is taken off the list first, so that whoever asks from within a waiter's
 * function begins anew; then what it brought is noted, and its waiters are told. It may tell them earlier, and go
 * on: when one family of addresses has come and the other is late, or when they have an old answer and their
 * patience is at an end.
 *
 * One timer begins the lookups of names that are in use and whose answers grow old.
 */

/* Between the beginnings of two lookups of one name that nobody waits for. */
#define PAUSE_NS NS_PER_S

struct resolver {
    struct loop *loop;
    dns_news_fn on_news; /* NULL: nobody listens */
    void *arg;
    struct dns_answer *loopback;
    struct dns_system system;
    struct dns_channels channels;
    struct dns_ground ground;
    struct dns_cache cache;
    struct list_node lookups;
    struct timer refresh; /* when the next name that is in use is due */
};

/* ---- what is known ------------------------------------------------------------------------------------- */

static struct name_verdict judge(const struct resolver *resolver, const struct dns_entry *entry,
                                 const struct name_policy *policy)
{
    static const struct name_age nothing;

    return name_judge(entry != NULL ? &entry->age : &nothing, policy, loop_now(resolver->loop));
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

/* When it is to be looked up anew in the background; NS_NEVER: while nobody uses it, it is not. */
static int64_t due_of(const struct dns_entry *entry)
{
    int64_t due_ns = name_refresh_at(&entry->age, &entry->policy);

    if (!entry->is_used || entry->answer == NULL)
        return NS_NEVER;
    return due_ns > entry->looked_ns + PAUSE_NS ? due_ns : entry->looked_ns + PAUSE_NS;
}

static void note_use(struct resolver *resolver, struct dns_entry *entry, const struct name_policy *policy)
{
    int64_t due_ns;

    entry->policy = *policy;
    entry->is_used = true;
    due_ns = due_of(entry);
    if (due_ns < resolver->refresh.due_ns)
        timer_set(&resolver->loop->timers, &resolver->refresh, due_ns);
}

static void publish(struct resolver *resolver, const struct dns_news *news)
{
    if (resolver->on_news != NULL)
        resolver->on_news(resolver->arg, news);
}

/* Of the first family alone it is taken only for want of another answer. */
static void note_answer(struct resolver *resolver, struct dns_lookup *lookup, struct dns_entry *entry)
{
    int64_t now_ns = loop_now(resolver->loop);
    bool is_same = entry->answer != NULL && dns_answer_is_same(entry->answer, lookup->answer);

    PRE(lookup->answer != NULL);
    if (!lookup->is_over && entry->answer != NULL)
        return;
    if (!name_may_be_kept(&entry->age, &lookup->policy, lookup->ttl_ns, now_ns)) {
        entry->age = (struct name_age){0};
        return;
    }
    name_answered(&entry->age, lookup->ttl_ns, is_same, now_ns);
    dns_entry_set(entry, lookup->answer);
}

/* Without memory nothing is kept, and the name is asked for again. */
static struct dns_entry *note(struct resolver *resolver, struct dns_lookup *lookup)
{
    struct dns_entry *entry = lookup->is_shortage ? dns_cache_find(&resolver->cache, lookup->host)
                                                  : dns_cache_get(&resolver->cache, lookup->host);

    if (entry == NULL || lookup->is_shortage)
        return entry;
    entry->looked_ns = lookup->began_ns;
    if (lookup->answer != NULL) {
        note_answer(resolver, lookup, entry);
    } else {
        name_failed(&entry->age, lookup->is_negative, loop_now(resolver->loop));
        entry->why = lookup->why;
    }
    if (!list_is_empty(&lookup->waiters) || entry->is_used)
        note_use(resolver, entry, &lookup->policy);
    return entry;
}

static void publish_end(struct resolver *resolver, const struct dns_lookup *lookup,
                        const struct dns_entry *entry)
{
    struct dns_news news = {.host = lookup->host, .answer = lookup->answer, .why = lookup->why};

    if (lookup->is_shortage)
        return;
    if (lookup->answer == NULL)
        news.is_bridged = entry != NULL && judge(resolver, entry, &lookup->policy).use == NAME_USE;
    publish(resolver, &news);
}

/* ---- lookups ------------------------------------------------------------------------------------------- */

/* What a lookup that is over, or part of the way, means to whoever waits for it; NULL: no answer. */
static struct dns_answer *outcome(struct resolver *resolver, const struct dns_lookup *lookup,
                                  const struct dns_entry *entry, struct dns_query *query)
{
    struct name_verdict verdict = judge(resolver, entry, &lookup->policy);

    query->result = DNS_FRESH;
    query->why = NULL;
    if (lookup->answer != NULL)
        return lookup->answer;
    if (entry != NULL && entry->answer != NULL &&
        (verdict.use == NAME_USE || (verdict.use == NAME_WAIT && verdict.patience_ns != NS_NEVER))) {
        query->result = DNS_STALE;
        return entry->answer;
    }
    query->result = lookup->is_shortage ? DNS_SHORTAGE : DNS_FAILED;
    query->why = lookup->why;
    return NULL;
}

static void tell(struct resolver *resolver, struct dns_lookup *lookup, const struct dns_entry *entry)
{
    struct dns_query first;
    struct dns_answer *answer = outcome(resolver, lookup, entry, &first);
    struct list_node told, *node;

    if (answer != NULL)
        (void)dns_answer_acquire(answer);
    list_init(&told);
    list_append_all(&told, &lookup->waiters);
    while ((node = list_take_front(&told)) != NULL) {
        struct dns_query *query = CONTAINER_OF(node, struct dns_query, node);

        query->result = first.result;
        query->why = first.why;
        query->fn(query, answer);
    }
    dns_answer_release(&answer);
}

static void end_lookup(struct resolver *resolver, struct dns_lookup *lookup)
{
    struct dns_entry *entry;

    PRE(lookup->is_over);
    list_remove(&lookup->node);
    entry = note(resolver, lookup);
    publish_end(resolver, lookup, entry);
    tell(resolver, lookup, entry);
    dns_lookup_free(lookup);
}

static void changed(struct dns_lookup *lookup)
{
    struct resolver *resolver = lookup->owner;

    if (lookup->is_over)
        end_lookup(resolver, lookup);
    else
        tell(resolver, lookup, note(resolver, lookup));
}

/* Those who wait have waited for long enough, and take the old answer. */
static void impatient(struct timer *timer, int64_t now_ns)
{
    struct dns_lookup *lookup = CONTAINER_OF(timer, struct dns_lookup, patience);
    struct resolver *resolver = lookup->owner;
    struct dns_entry *entry = dns_cache_find(&resolver->cache, lookup->host);

    (void)now_ns;
    if (entry != NULL && entry->answer != NULL)
        tell(resolver, lookup, entry);
}

static struct dns_lookup *new_lookup(struct resolver *resolver, const char *host,
                                     const struct name_policy *policy)
{
    struct dns_entry *entry = dns_cache_find(&resolver->cache, host);
    struct dns_lookup *lookup = dns_lookup_new(&resolver->ground, host, impatient);

    PRE(find_lookup(resolver, host) == NULL); /* of one name there is one lookup, which all share */
    if (lookup == NULL)
        return NULL;
    lookup->owner = resolver;
    lookup->changed = changed;
    lookup->policy = *policy;
    if (entry != NULL) {
        entry->looked_ns = loop_now(resolver->loop);
        entry->is_used = false;
        if (entry->answer != NULL)
            lookup->old = dns_answer_acquire(entry->answer);
    }
    list_push_back(&resolver->lookups, &lookup->node);
    return lookup;
}

static void look_up_in_background(struct resolver *resolver, const char *host,
                                  const struct name_policy *policy)
{
    struct dns_lookup *lookup = new_lookup(resolver, host, policy);

    if (lookup != NULL && dns_lookup_start(lookup) == ST_OK)
        end_lookup(resolver, lookup);
}

/* Lookups give back their channels, which know the servers of old: these go after that. */
static void outdate(struct resolver *resolver)
{
    LIST_FOREACH(node, &resolver->cache.by_use)
        name_outdate(&CONTAINER_OF(node, struct dns_entry, in_use)->age);
    LIST_FOREACH(node, &resolver->lookups)
        dns_lookup_restart(CONTAINER_OF(node, struct dns_lookup, node));
    dns_channels_drop(&resolver->channels);
}

/* ST_FAILED: the system's configuration has never been read, and can't be now (errno). */
static enum status look_at_system(struct resolver *resolver)
{
    bool has_changed;
    enum status status = dns_system_refresh(&resolver->system, &has_changed);

    if (has_changed)
        outdate(resolver);
    return resolver->system.is_read ? ST_OK : status;
}

static void refresh(struct timer *timer, int64_t now_ns)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, refresh);
    struct list_node *node = resolver->cache.by_use.next;
    int64_t next_ns = NS_NEVER;

    (void)look_at_system(resolver); /* what was read before is still good */
    while (node != &resolver->cache.by_use) {
        struct dns_entry *entry = CONTAINER_OF(node, struct dns_entry, in_use);
        int64_t due_ns = due_of(entry);

        node = node->next;
        if (due_ns <= now_ns && find_lookup(resolver, entry->host) == NULL)
            look_up_in_background(resolver, entry->host, &entry->policy);
        else if (due_ns > now_ns && due_ns < next_ns)
            next_ns = due_ns;
    }
    if (next_ns < resolver->refresh.due_ns)
        timer_set(&resolver->loop->timers, timer, next_ns);
}

/* ---- for those who ask --------------------------------------------------------------------------------- */

void dns_query_init(struct dns_query *query)
{
    *query = (struct dns_query){0};
    list_init(&query->node);
}

static enum status fail(struct dns_query *query, enum dns_result result, const char *why)
{
    query->result = result;
    query->why = why;
    return ST_FAILED;
}

static enum status give(struct dns_query *query, enum dns_result result, struct dns_answer *answer,
                        struct dns_answer **out)
{
    query->result = result;
    *out = dns_answer_acquire(answer);
    return ST_OK;
}

/* The lookup has ended as it began. */
static enum status take_at_once(struct resolver *resolver, struct dns_lookup *lookup, struct dns_query *query,
                                struct dns_answer **out)
{
    struct dns_entry *entry;
    struct dns_answer *answer;
    enum status status = ST_FAILED;

    PRE(lookup->is_over && list_is_empty(&lookup->waiters));
    list_remove(&lookup->node);
    entry = note(resolver, lookup);
    if (entry != NULL)
        note_use(resolver, entry, &lookup->policy);
    publish_end(resolver, lookup, entry);
    answer = outcome(resolver, lookup, entry, query);
    if (answer != NULL)
        status = give(query, query->result, answer, out);
    dns_lookup_free(lookup);
    return status;
}

static enum status wait_for(struct resolver *resolver, struct dns_lookup *lookup, struct dns_query *query,
                            const struct name_verdict *verdict)
{
    int64_t until_ns = NS_NEVER;

    PRE(!lookup->is_over);
    if (verdict->patience_ns != NS_NEVER)
        until_ns = lookup->began_ns + verdict->patience_ns;
    if (until_ns < lookup->patience.due_ns)
        timer_set(&resolver->loop->timers, &lookup->patience, until_ns);
    list_push_back(&lookup->waiters, &query->node);
    dns_lookup_urge(lookup);
    return ST_AGAIN;
}

/* Is there an old answer, and has the lookup had the time that it is given before that one is used? */
static bool is_overdue(struct resolver *resolver, const struct dns_lookup *lookup,
                       const struct name_verdict *verdict)
{
    return verdict->use == NAME_WAIT && verdict->patience_ns != NS_NEVER &&
           (lookup == NULL || loop_now(resolver->loop) - lookup->began_ns >= verdict->patience_ns);
}

static enum status ask(struct resolver *resolver, const char *host, const struct name_policy *policy,
                       struct dns_query *query, struct dns_answer **answer)
{
    struct dns_entry *entry = dns_cache_find(&resolver->cache, host);
    struct name_verdict verdict = judge(resolver, entry, policy);
    struct dns_lookup *lookup = find_lookup(resolver, host);

    if (verdict.look && lookup == NULL) {
        lookup = new_lookup(resolver, host, policy);
        if (lookup != NULL && dns_lookup_start(lookup) == ST_OK)
            return take_at_once(resolver, lookup, query, answer);
    }
    if (entry != NULL)
        note_use(resolver, entry, policy);
    if (verdict.use == NAME_FAIL)
        return fail(query, DNS_FAILED, entry->why);
    if (verdict.use == NAME_USE || is_overdue(resolver, lookup, &verdict))
        return give(query, verdict.is_stale ? DNS_STALE : DNS_FRESH, entry->answer, answer);
    if (lookup == NULL)
        return fail(query, DNS_SHORTAGE, strerrordesc_np(ENOMEM));
    return wait_for(resolver, lookup, query, &verdict);
}

enum status dns_ask(struct resolver *resolver, const char *host, const struct name_policy *policy,
                    struct dns_query *query, dns_fn fn, struct dns_answer **answer)
{
    PRE(list_is_empty(&query->node)); /* a query waits for one name at a time */
    query->fn = fn;
    query->why = NULL;
    if (localhost_is(host))
        return give(query, DNS_FRESH, resolver->loopback, answer);
    if (look_at_system(resolver) != ST_OK)
        return fail(query, DNS_SHORTAGE, strerrordesc_np(errno));
    return ask(resolver, host, policy, query, answer);
}

void dns_doubt(struct resolver *resolver, const char *host)
{
    struct dns_entry *entry = dns_cache_find(&resolver->cache, host);

    if (entry != NULL && entry->answer != NULL && find_lookup(resolver, host) == NULL &&
        loop_now(resolver->loop) - entry->looked_ns >= PAUSE_NS)
        look_up_in_background(resolver, entry->host, &entry->policy);
}

void dns_cancel(struct dns_query *query)
{
    list_remove(&query->node);
}

/* ---- the resolver -------------------------------------------------------------------------------------- */

struct resolver *resolver_new(struct loop *loop)
{
    struct resolver *resolver = mem_zalloc(sizeof(*resolver));

    if (resolver == NULL)
        return NULL;
    resolver->loopback = localhost_answer_new();
    if (resolver->loopback == NULL)
        goto no_loopback;
    if (timer_init(&loop->timers, &resolver->refresh, refresh) != ST_OK)
        goto no_timer;
    resolver->loop = loop;
    dns_channels_init(&resolver->channels, loop);
    resolver->ground = (struct dns_ground){loop, &resolver->system, &resolver->channels};
    dns_cache_init(&resolver->cache);
    list_init(&resolver->lookups);
    return resolver;
no_timer:
    dns_answer_release(&resolver->loopback);
no_loopback:
    mem_free(resolver);
    return NULL;
}

void resolver_on_news(struct resolver *resolver, dns_news_fn fn, void *arg)
{
    resolver->on_news = fn;
    resolver->arg = arg;
}

void resolver_renew(struct resolver *resolver)
{
    outdate(resolver);
}

static void forget_waiters(struct dns_lookup *lookup)
{
    while (list_take_front(&lookup->waiters) != NULL)
        continue;
}

void resolver_free(struct resolver *resolver)
{
    while (!list_is_empty(&resolver->lookups)) {
        struct dns_lookup *lookup = CONTAINER_OF(resolver->lookups.next, struct dns_lookup, node);

        forget_waiters(lookup);
        dns_lookup_free(lookup);
    }
    timer_fini(&resolver->loop->timers, &resolver->refresh);
    dns_channels_fini(&resolver->channels);
    dns_cache_fini(&resolver->cache);
    dns_answer_release(&resolver->loopback);
    mem_free(resolver);
}

enum status resolver_set_servers(struct resolver *resolver, const char *servers)
{
    return dns_channels_set_servers(&resolver->channels, servers);
}
