#include "app/explain_forward.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "app/explain_upgrade.h"
#include "base/number.h"
#include "http/proxy_target.h"
#include "runtime/socket_address.h"

#define LABEL_FMT "%-12s"

const char *explain_find_forward(const struct snapshot *snapshot, const char *url, const char *name,
                                 struct explain_target *out)
{
    size_t len = strcspn(url, "#");
    uint32_t found = 0;

    *out = (struct explain_target){.path = {url, len}};
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        if (upstream->forward == NULL || (name && strcmp(name, upstream->name) != 0))
            continue;
        out->upstream = upstream;
        found++;
    }
    if (found > 1)
        return "there is more than one forward proxy; choose one by --upstream";
    if (found == 1)
        return NULL;
    return name ? "there is no forward proxy of this name" : "there is no forward proxy";
}

static const struct destination_config *destination_of(const struct explanation *e)
{
    const struct upstream_config *upstream = e->target.upstream;

    return &upstream->forward->destinations[e->policy.route - upstream->routes];
}

static void judge(struct explanation *e, const struct endpoint *address)
{
    struct explain_address *its = &e->addresses[e->address_count];

    if (e->address_count == EXPLAIN_ADDRESSES)
        return;
    its->ip = *address;
    its->verdict = guard_judge(&destination_of(e)->guard, address);
    e->passed += its->verdict != GUARD_DENIES;
    e->address_count++;
}

static void look_up(struct explanation *e, const struct proxy_target *target)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *answer = NULL;
    int error = getaddrinfo(target->host, NULL, &hints, &answer);

    if (error != 0) {
        e->lookup_failed = gai_strerror(error);
        return;
    }
    for (const struct addrinfo *one = answer; one; one = one->ai_next) {
        struct endpoint address = {0};

        if (!socket_address_read(one->ai_addr, &address))
            continue;
        address.port = target->port;
        judge(e, &address);
    }
    freeaddrinfo(answer);
}

void explain_forward_look(struct explanation *e)
{
    struct proxy_target target;

    if (e->refused != CAUSE_NONE || proxy_target_read(e->head, &target) != PROXY_TARGET_OK)
        return;
    if (target.is_ip)
        judge(e, &target.ip);
    else
        look_up(e, &target);
    if (e->address_count != 0 && e->passed == 0)
        e->refused = CAUSE_ADDRESS;
}

static void print_hosts(const struct destination_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->count; i++)
        printf("%s%s%.*s", i == 0 ? "" : ", ", hosts->patterns[i].is_suffix ? "*" : "",
               SPAN_FMT(hosts->patterns[i].text));
}

static void print_address(const struct explain_address *address)
{
    static const char *const verdicts[] = {
        [GUARD_PASSES] = "may be dialled",
        [GUARD_DENIES] = "is never dialled: private, special, or curfew's own",
        [GUARD_ASKS] = "may be dialled, unless it is this host: curfew listens on that port",
    };
    char block[64];
    struct text text = text_over(block, sizeof(block));

    endpoint_put(&text, &address->ip);
    printf("  %-40.*s %s\n", SPAN_FMT(text_span(&text)), verdicts[address->verdict]);
}

const struct proxy_config *explain_forward_proxy(const struct explanation *e)
{
    struct proxy_target target;

    if (e->target.upstream->forward == NULL || proxy_target_read(e->head, &target) != PROXY_TARGET_OK)
        return NULL;
    return forward_proxy_for(e->target.upstream->forward, e->head->method_id == HTTP1_CONNECT, &target);
}

static void print_way(const struct explanation *e)
{
    const struct forward_way *way = &e->target.upstream->forward->way;
    const struct proxy_config *proxy = explain_forward_proxy(e);

    if (proxy != NULL)
        explain_proxy_print("way out", proxy,
                            !way->by_name ? "by CONNECT to an address that may be dialled"
                            : e->head->method_id == HTTP1_CONNECT ? "by CONNECT to the name"
                                                                  : "which gets the whole url");
    else if (way->for_connect != NULL || way->for_plain != NULL)
        printf(LABEL_FMT "none: this one is reached directly, as the environment says\n", "way out");
}

static void print_tunnel(const struct explanation *e)
{
    const struct tunnel_config *tunnel = &destination_of(e)->tunnel;

    printf(LABEL_FMT "idle %s, lifetime %s in place of the deadline once it is open%s\n", "tunnel",
           number_duration_text(tunnel->terms.idle_ns).text,
           number_duration_text(tunnel->terms.lifetime_ns).text,
           tunnel->matches_sni ? "; it has to begin with TLS for the same destination" : "");
    if (tunnel->reclaim_ns != NS_NEVER)
        printf("            idle for %s, it is closed for others that wait for a permit\n",
               number_duration_text(tunnel->reclaim_ns).text);
    printf("            no deadline for a request inside it, nor a cap on requests\n");
}

void explain_forward_print(const struct explanation *e)
{
    static const char *const actions[] = {[DESTINATION_ALLOW] = "allowed",
                                          [DESTINATION_REPORT] = "allowed, counted and marked in the log",
                                          [DESTINATION_REFUSE] = "refused"};
    const struct upstream_config *upstream = e->target.upstream;

    if (e->policy.route == NULL || e->policy.route == &upstream->default_route)
        return;
    printf(LABEL_FMT "%s: %s (", "destination", e->policy.route->name, actions[destination_of(e)->action]);
    print_hosts(&upstream->forward->hosts[e->policy.route - upstream->routes]);
    printf(")\n");
    if (e->lookup_failed != NULL)
        printf(LABEL_FMT "none: %s\n", "addresses", e->lookup_failed);
    else if (e->address_count != 0)
        printf(LABEL_FMT "as the name is now; each is judged when it is dialled\n", "addresses");
    for (uint32_t i = 0; i < e->address_count; i++)
        print_address(&e->addresses[i]);
    print_way(e);
    if (e->head->method_id == HTTP1_CONNECT && e->refused == CAUSE_NONE)
        print_tunnel(e);
}
