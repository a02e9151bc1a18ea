#include "runtime/dns_lookup.h"

#include <errno.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

/*
 * run_steps --> files: found, or the next step
 *           --> DNS: ask for a name of the search list --> both families have ended: found, the next name, or step
 *                         ^                            |
 *                         +----------------------------+
 *
 * `delay` runs while a family is pending. First: 50 ms after the other one has brought addresses, what there is may be
 * used. Then, or if there is no such name by the other one: the late family has had its time.
 */

#define ADDRESSES_MAX       (2 * DNS_REPLY_ADDRESSES)
/* RFC 8305 section 3. */
#define RESOLUTION_DELAY_NS (50 * NS_PER_MS)
/* For the family that has not come, from its question on: time enough for three packets to be lost. */
#define LATE_FAMILY_NS      (2500 * NS_PER_MS)
/* By A there is no such name: for AAAA, which will say the same, unless its server is an odd one. */
#define NO_SUCH_NS          (400 * NS_PER_MS)
#define URGE_NS             NS_PER_S
/* The hosts file's addresses are good until it changes, which is noticed. */
#define FILE_TTL_NS         (3600 * NS_PER_S)

static void channel_changed(struct dns_channel *channel);
static enum status run_steps(struct dns_lookup *lookup);

static void drop_channel(struct dns_lookup *lookup)
{
    timer_set(&lookup->ground->loop->timers, &lookup->delay, NS_NEVER);
    if (lookup->channel != NULL)
        dns_channels_give_back(lookup->ground->channels, lookup->channel);
    lookup->channel = NULL;
}

static enum status end(struct dns_lookup *lookup)
{
    PRE(!lookup->is_over);
    drop_channel(lookup);
    lookup->is_over = true;
    return ST_OK;
}

static enum status end_for_want(struct dns_lookup *lookup, const char *why)
{
    dns_answer_release(&lookup->answer);
    lookup->is_shortage = true;
    lookup->is_negative = false;
    lookup->why = why;
    return end(lookup);
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

static uint32_t add_old_ones(const struct dns_answer *old, bool of_v4, struct ip *out, uint32_t count)
{
    for (uint32_t i = 0; old != NULL && i < old->count && count < ADDRESSES_MAX; i++) {
        struct ip ip = dns_address_ip(&old->addresses[i]);

        if (ip_is_v4(&ip) == of_v4)
            out[count++] = ip;
    }
    return count;
}

static bool is_unknown(const struct dns_reply *reply)
{
    return reply->kind == REPLY_PENDING || reply->kind == REPLY_FAILED || reply->kind == REPLY_SILENT ||
           reply->kind == REPLY_SHORTAGE;
}

/* What both families have brought; of one that can't be looked up, what is known of old. False: no memory. */
static bool put_together(struct dns_lookup *lookup)
{
    struct ip ips[ADDRESSES_MAX];
    uint32_t count = 0;

    lookup->ttl_ns = NS_NEVER;
    for (int i = 0; i < FAMILIES; i++) {
        const struct dns_reply *reply = &lookup->channel->replies[i];

        if (reply->kind == REPLY_ADDRESSES) {
            PRE(reply->count <= ADDRESSES_MAX - count);
            memcpy(ips + count, reply->addresses, reply->count * sizeof(ips[0]));
            count += reply->count;
            if (reply->ttl_ns < lookup->ttl_ns)
                lookup->ttl_ns = reply->ttl_ns;
        } else if (is_unknown(reply)) {
            count = add_old_ones(lookup->old, i == FAMILY_V4, ips, count);
        }
    }
    dns_answer_release(&lookup->answer);
    lookup->answer = dns_answer_new(ips, count);
    return lookup->answer != NULL;
}

static enum status found_in_files(struct dns_lookup *lookup, const struct ip *ips, uint32_t count)
{
    PRE(lookup->answer == NULL);
    lookup->answer = dns_answer_new(ips, count);
    if (lookup->answer == NULL)
        return end_for_want(lookup, strerrordesc_np(ENOMEM));
    lookup->ttl_ns = FILE_TTL_NS;
    return end(lookup);
}

static enum status found(struct dns_lookup *lookup)
{
    return put_together(lookup) ? end(lookup) : end_for_want(lookup, strerrordesc_np(ENOMEM));
}

/* ---- DNS ----------------------------------------------------------------------------------------------- */

static void ask(struct dns_lookup *lookup)
{
    struct loop *loop = lookup->ground->loop;

    lookup->asked_ns = loop_now(loop);
    timer_set(&loop->timers, &lookup->delay, NS_NEVER);
    dns_channel_ask(lookup->channel, lookup->name, !lookup->ground->system->resolv.no_aaaa);
}

/* A family is pending: until when may it be? */
static void set_delay(struct dns_lookup *lookup, const struct dns_reply *v4, const struct dns_reply *v6)
{
    struct loop *loop = lookup->ground->loop;

    if (lookup->delay.due_ns != NS_NEVER)
        return;
    if (v4->kind == REPLY_ADDRESSES || v6->kind == REPLY_ADDRESSES)
        timer_set(&loop->timers, &lookup->delay, loop_now(loop) + RESOLUTION_DELAY_NS);
    else if (v4->kind == REPLY_NO_SUCH)
        timer_set(&loop->timers, &lookup->delay, loop_now(loop) + NO_SUCH_NS);
}

/* Of two families, neither of which has brought an address: A decides, unless AAAA knows more. */
static const struct dns_reply *decisive(const struct dns_reply *v4, const struct dns_reply *v6)
{
    if (v4->kind == REPLY_SHORTAGE || v6->kind == REPLY_SHORTAGE)
        return v4->kind == REPLY_SHORTAGE ? v4 : v6;
    return v4->kind == REPLY_NO_ADDRESS && is_unknown(v6) ? v6 : v4;
}

static enum name_outcome outcome_of(const struct dns_reply *reply)
{
    switch (reply->kind) {
    case REPLY_NO_SUCH: return NAME_NO_SUCH;
    case REPLY_NO_ADDRESS: return NAME_NO_ADDRESS;
    case REPLY_SILENT: return NAME_SILENT;
    default: return NAME_SERVFAIL;
    }
}

static const char *reason_of(enum name_outcome verdict)
{
    switch (verdict) {
    case NAME_NO_SUCH: return "there is no such name";
    case NAME_NO_ADDRESS: return "the name has no address";
    case NAME_SILENT: return "no DNS server has answered";
    default: return NULL;
    }
}

/* All names of the search list have been asked for: on to the next source, unless nsswitch.conf says otherwise. */
static enum status end_step(struct dns_lookup *lookup, unsigned said, const char *why)
{
    const struct nsswitch_step *step = &lookup->ground->system->nsswitch.steps[lookup->step++];

    POST(lookup->step <= lookup->ground->system->nsswitch.count);
    drop_channel(lookup);
    lookup->is_negative = said == NAME_NOT_FOUND;
    lookup->why = why;
    return step->returns & said ? end(lookup) : run_steps(lookup);
}

static enum status end_dns(struct dns_lookup *lookup, const char *why)
{
    enum name_outcome verdict = lookup->search.verdict;
    bool is_negative = verdict == NAME_NO_SUCH || verdict == NAME_NO_ADDRESS;
    const char *reason = reason_of(verdict);

    return end_step(lookup, is_negative ? NAME_NOT_FOUND : NAME_TRY_AGAIN, reason != NULL ? reason : why);
}

/* Looks at what has come. ST_OK: the lookup is over. */
static enum status advance(struct dns_lookup *lookup)
{
    const struct dns_reply *v4 = &lookup->channel->replies[FAMILY_V4];
    const struct dns_reply *v6 = &lookup->channel->replies[FAMILY_V6];

    while (v4->kind != REPLY_PENDING && v6->kind != REPLY_PENDING) {
        const struct dns_reply *last = decisive(v4, v6);
        const char *why = last->why;

        if (v4->kind == REPLY_ADDRESSES || v6->kind == REPLY_ADDRESSES)
            return found(lookup);
        if (last->kind == REPLY_SHORTAGE)
            return end_for_want(lookup, why);
        if (!name_search_next(&lookup->search, &lookup->ground->system->resolv, outcome_of(last),
                              lookup->name))
            return end_dns(lookup, why);
        dns_channel_cancel(lookup->channel);
        ask(lookup);
    }
    set_delay(lookup, v4, v6);
    return ST_AGAIN;
}

static void channel_changed(struct dns_channel *channel)
{
    struct dns_lookup *lookup = channel->owner;

    PRE(lookup->channel == channel && !lookup->is_over);
    if (advance(lookup) == ST_OK)
        lookup->changed(lookup);
}

static void delay_is_over(struct timer *timer, int64_t now_ns)
{
    struct dns_lookup *lookup = CONTAINER_OF(timer, struct dns_lookup, delay);
    struct dns_reply *replies = lookup->channel->replies;
    bool has_addresses =
        replies[FAMILY_V4].kind == REPLY_ADDRESSES || replies[FAMILY_V6].kind == REPLY_ADDRESSES;

    if (has_addresses && now_ns < lookup->asked_ns + LATE_FAMILY_NS) {
        timer_set(&lookup->ground->loop->timers, timer, lookup->asked_ns + LATE_FAMILY_NS);
        if (put_together(lookup))
            lookup->changed(lookup);
        return;
    }
    for (int i = 0; i < FAMILIES; i++)
        if (replies[i].kind == REPLY_PENDING)
            replies[i].kind = has_addresses ? REPLY_SILENT : REPLY_NO_SUCH;
    channel_changed(lookup->channel);
}

static enum status ask_dns(struct dns_lookup *lookup)
{
    const struct resolv_conf *conf = &lookup->ground->system->resolv;

    name_search_init(&lookup->search, lookup->host);
    PRE(lookup->channel == NULL);
    if (!name_search_first(&lookup->search, conf, lookup->name))
        return end_step(lookup, NAME_NOT_FOUND, "the name is too long");
    lookup->channel = dns_channels_take(lookup->ground->channels, conf);
    if (lookup->channel == NULL)
        return end_for_want(lookup, strerrordesc_np(errno));
    lookup->channel->owner = lookup;
    lookup->channel->changed = channel_changed;
    ask(lookup);
    return advance(lookup);
}

/* ---- all sources --------------------------------------------------------------------------------------- */

static enum status ask_files(struct dns_lookup *lookup)
{
    struct ip ips[DNS_REPLY_ADDRESSES];
    uint32_t count;

    if (dns_system_find_host(lookup->host, ips, DNS_REPLY_ADDRESSES, &count) != ST_OK)
        return end_for_want(lookup, strerrordesc_np(errno));
    if (count != 0)
        return found_in_files(lookup, ips, count);
    return end_step(lookup, NAME_NOT_FOUND, "the name is not in the hosts file");
}

static enum status run_steps(struct dns_lookup *lookup)
{
    const struct nsswitch *nsswitch = &lookup->ground->system->nsswitch;

    if (lookup->step >= nsswitch->count)
        return end(lookup);
    return nsswitch->steps[lookup->step].source == SOURCE_FILES ? ask_files(lookup) : ask_dns(lookup);
}

enum status dns_lookup_start(struct dns_lookup *lookup)
{
    lookup->step = 0;
    lookup->is_negative = false;
    lookup->why = "no source of names is configured";
    lookup->began_ns = loop_now(lookup->ground->loop);
    return run_steps(lookup);
}

static void start_again(struct mail *mail)
{
    struct dns_lookup *lookup = CONTAINER_OF(mail, struct dns_lookup, again);

    if (dns_lookup_start(lookup) == ST_OK)
        lookup->changed(lookup);
}

void dns_lookup_restart(struct dns_lookup *lookup)
{
    drop_channel(lookup);
    dns_answer_release(&lookup->answer);
    loop_undefer(&lookup->again);
    loop_defer(lookup->ground->loop, &lookup->again);
}

void dns_lookup_urge(struct dns_lookup *lookup)
{
    int64_t now_ns = loop_now(lookup->ground->loop);

    if (lookup->channel == NULL || now_ns - lookup->asked_ns < URGE_NS)
        return;
    lookup->asked_ns = now_ns;
    dns_channel_repeat(lookup->channel, lookup->name);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

struct dns_lookup *dns_lookup_new(const struct dns_ground *ground, const char *host, timer_fn impatient)
{
    size_t size = strlen(host) + 1;
    struct dns_lookup *lookup = mem_zalloc(sizeof(*lookup) + size);
    struct timers *timers = &ground->loop->timers;

    if (lookup == NULL)
        return NULL;
    if (timer_init(timers, &lookup->patience, impatient) != ST_OK)
        goto no_patience;
    if (timer_init(timers, &lookup->delay, delay_is_over) != ST_OK)
        goto no_delay;
    lookup->ground = ground;
    memcpy(lookup->host, host, size);
    list_init(&lookup->node);
    list_init(&lookup->waiters);
    mail_init(&lookup->again, start_again);
    return lookup;
no_delay:
    timer_fini(timers, &lookup->patience);
no_patience:
    mem_free(lookup);
    return NULL;
}

void dns_lookup_free(struct dns_lookup *lookup)
{
    struct timers *timers = &lookup->ground->loop->timers;

    drop_channel(lookup);
    list_remove(&lookup->node);
    loop_undefer(&lookup->again);
    timer_fini(timers, &lookup->patience);
    timer_fini(timers, &lookup->delay);
    dns_answer_release(&lookup->answer);
    dns_answer_release(&lookup->old);
    mem_free(lookup);
}
