/*
 * Forward proxies. One is an upstream without a url, whose routes are its destinations: so deadlines, pools, retries
 * and all that is counted are those of any call. Its options are read as its own, and then stand in for an upstream's.
 */
#include "base/number.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"

/* Options of a forward proxy that an upstream has as well. */
static const struct {
    enum option_id own, upstream;
} shared[] = {
    {OPT_FORWARD_LISTEN, OPT_UPSTREAM_LISTEN},
    {OPT_FORWARD_DEADLINE, OPT_UPSTREAM_DEADLINE},
    {OPT_FORWARD_TIMEOUTS, OPT_UPSTREAM_TIMEOUTS},
    {OPT_FORWARD_STREAMS, OPT_UPSTREAM_STREAMS},
    {OPT_FORWARD_POOL, OPT_UPSTREAM_POOL},
    {OPT_FORWARD_CALLER_DEADLINE, OPT_UPSTREAM_CALLER_DEADLINE},
    {OPT_FORWARD_RETRIES, OPT_UPSTREAM_RETRIES},
    {OPT_FORWARD_KEEPALIVE, OPT_UPSTREAM_KEEPALIVE},
    {OPT_FORWARD_PROXY, OPT_UPSTREAM_PROXY},
    {OPT_FORWARD_DNS, OPT_UPSTREAM_DNS},
    {OPT_FORWARD_ADDRESSES, OPT_UPSTREAM_ADDRESSES},
    {OPT_FORWARD_OBSERVE, OPT_UPSTREAM_OBSERVE},
    {OPT_FORWARD_OBSERVE_CEILING, OPT_UPSTREAM_OBSERVE_CEILING},
    {OPT_FORWARD_TRACE, OPT_UPSTREAM_TRACE},
    {OPT_FORWARD_SERVER_TIMING, OPT_UPSTREAM_SERVER_TIMING},
};

static const struct yaml_node *destinations_of(const struct option_values *values)
{
    return values->of[OPT_FORWARD_DESTINATIONS].node;
}

static enum status build_ports(struct build *b, const struct option_values *values,
                               struct forward_config *out)
{
    static const uint16_t usual[] = {80, 443};
    const struct yaml_node *list = values->of[OPT_FORWARD_PORTS].node;
    uint16_t *ports;
    uint64_t port;

    out->ports = usual;
    out->port_count = sizeof(usual) / sizeof(usual[0]);
    if (!list)
        return ST_OK;
    ports = arena_calloc(b->arena, list->count, sizeof(*ports));
    if (!ports)
        return ST_NOMEM;
    out->ports = ports;
    out->port_count = list->count;
    YAML_FOREACH(node, list) {
        if (number_u64(node->text, &port) != NUMBER_OK || port == 0 || port > UINT16_MAX)
            report_value(b->errors, node, "%s is no port: 1 to 65535", quote_text(node->text).text);
        else
            ports[node->index] = (uint16_t)port;
    }
    return ST_OK;
}

static struct tunnel_config take_tunnel(const struct option_values *values)
{
    const struct option_value *of = values->of;

    return (struct tunnel_config){
        .terms = {.idle_ns = of[OPT_TUNNEL_IDLE].number, .lifetime_ns = of[OPT_TUNNEL_LIFETIME].number},
        .reclaim_ns = of[OPT_TUNNEL_RECLAIM].number,
        .matches_sni = of[OPT_TUNNEL_SNI].number == 0,
    };
}

/* An address as requests name it (http/proxy_target); else the text in lower case. */
static enum status copy_host(struct build *b, struct span text, struct span *out)
{
    bool is_bracketed = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    struct span inner = is_bracketed ? (struct span){text.ptr + 1, text.len - 2} : text;
    struct endpoint ip;
    char block[64];
    struct text name = text_over(block, sizeof(block));
    char *copy;

    if (endpoint_parse_ip(inner, &ip)) {
        endpoint_put_ip(&name, &ip);
        text = text_span(&name);
    }
    copy = arena_text(b->arena, text);
    if (!copy)
        return ST_NOMEM;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i]);
    *out = (struct span){copy, text.len};
    return ST_OK;
}

static void check_host(struct build *b, const struct yaml_node *node, const struct host_pattern *pattern)
{
    struct span name = pattern->text;
    struct url unused;

    if (pattern->is_suffix && name.len != 0)
        name = (struct span){name.ptr + 1, name.len - 1};
    if (memchr(node->text.ptr, ':', node->text.len) && !url_is_host(name, &unused))
        report_value(b->errors, node, "%s: a host without scheme and port is meant here",
                     quote_text(node->text).text);
    else if (name.len != 0 && !url_is_host(name, &unused))
        report_value(b->errors, node, "%s is neither a name nor an IP address", quote_text(node->text).text);
}

static enum status build_hosts(struct build *b, const struct yaml_node *list, struct destination_hosts *out)
{
    struct host_pattern *patterns = arena_calloc(b->arena, list ? list->count : 0, sizeof(*patterns));
    enum status status = patterns ? ST_OK : ST_NOMEM;

    out->patterns = patterns;
    for (const struct yaml_node *node = list ? list->first : NULL; node && status == ST_OK;
         node = node->next) {
        struct span host;

        status = copy_host(b, node->text, &host);
        if (status != ST_OK)
            break;
        if (host_pattern_read(host, &patterns[node->index]) == HOST_PATTERN_OK)
            check_host(b, node, &patterns[node->index]);
        else
            report_value(b->errors, node,
                         "%s is no host: a name, *.NAME for all below it, an IP address, or * for all",
                         quote_text(node->text).text);
        out->count++;
    }
    return status;
}

static enum status build_lifted(struct build *b, const struct yaml_node *list, struct guard *out)
{
    static const char *const why[] = {
        [IP_RANGE_NO_ADDRESS] = "is no IP address or range; write for example 10.1.0.0/16",
        [IP_RANGE_BAD_LENGTH] = "has a length that its address can't have",
        [IP_RANGE_HOST_BITS] =
            "is an address in a range, not a range: its bits behind the length are to be 0",
    };
    struct ip_range *ranges = arena_calloc(b->arena, list ? list->count : 0, sizeof(*ranges));

    out->own = &b->snapshot->own;
    out->lifted = ranges;
    if (!ranges)
        return ST_NOMEM;
    for (const struct yaml_node *node = list ? list->first : NULL; node; node = node->next) {
        enum ip_range_fault fault = ip_range_read(node->text, &ranges[out->lifted_count++]);

        if (fault != IP_RANGE_OK)
            report_value(b->errors, node, "%s %s", quote_text(node->text).text, why[fault]);
    }
    return ST_OK;
}

/* Destinations of one proxy in the making. */
struct destinations {
    struct build *b;
    struct build_upstream *u;
    struct destination_hosts *hosts;
    struct destination_config *configs;
    uint32_t count;
    const struct yaml_node *all; /* the entry that has every host; NULL: none so far */
};

static enum status name_route(struct destinations *d, const struct yaml_node *node,
                              const struct option_value *name, struct route_config *route)
{
    struct span text = name->node ? name->node->text : SPAN_LIT("other");

    if (name->node) {
        struct yaml_node named = *name->node;

        named.key = text;
        build_check_name(d->b, &named);
    }
    route->name = arena_text(d->b->arena, text);
    for (uint32_t i = 0; i < d->count && route->name; i++) {
        if (strcmp(d->u->out->routes[i].name, route->name) != 0)
            continue;
        if (name->node)
            report_value(d->b->errors, name->node, "another destination is called %s", quote_text(text).text);
        else
            report_missing(d->b->errors, node, "name");
    }
    return route->name ? ST_OK : ST_NOMEM;
}

static enum status choose_pool(struct destinations *d, const struct option_values *values,
                               const struct yaml_node *node, struct route_config *route)
{
    struct span proxy = span_of(d->u->out->name), own = span_of(route->name);
    size_t len = proxy.len + own.len + 2;
    struct text name;
    enum status status;

    if (!values->of[OPT_DESTINATION_POOL].node)
        return ST_OK;
    name = text_over(arena_calloc(d->b->arena, len, 1), len);
    if (!name.ptr)
        return ST_NOMEM;
    text_put(&name, proxy);
    TEXT_LIT(&name, "/");
    text_put(&name, own);
    status = build_pool(d->b, values, OPT_DESTINATION_POOL, node, name.ptr, &route->pool);
    build_take_pool(route, &d->b->pools[route->pool]);
    return status;
}

static void check_reach(struct destinations *d, const struct yaml_node *node,
                        const struct destination_hosts *hosts)
{
    if (d->all)
        report_odd(d->b->errors, node, "never matches: the destination on %s has every host, and comes first",
                   report_line(node, d->all).text);
    for (uint32_t i = 0; i < hosts->count; i++)
        if (hosts->patterns[i].is_suffix && hosts->patterns[i].text.len == 0)
            d->all = node;
}

static enum status build_destination(struct destinations *d, const struct yaml_node *node)
{
    struct build *b = d->b;
    struct option_values values = d->u->values;
    struct destination_config *config = &d->configs[d->count];
    struct route_config *route = &d->u->out->routes[d->count];
    enum status status = schema_read(&values, SECTION_DESTINATION, node, b->scratch, b->errors);

    if (status != ST_OK || node->kind != YAML_MAP)
        return status;
    schema_require(&values, SECTION_DESTINATION, node, b->errors);
    *route = d->u->out->default_route;
    route->index = b->snapshot->route_count++;
    config->tunnel = take_tunnel(&values);
    config->action = (enum destination_action)values.of[OPT_DESTINATION_ACTION].number;
    if ((status = build_places(b, &values)) != ST_OK ||
        (status = name_route(d, node, &values.of[OPT_DESTINATION_NAME], route)) != ST_OK ||
        (status = build_hosts(b, values.of[OPT_DESTINATION_HOSTS].node, &d->hosts[d->count])) != ST_OK ||
        (status = build_lifted(b, values.of[OPT_DESTINATION_ADDRESSES].node, &config->guard)) != ST_OK ||
        (status = choose_pool(d, &values, node, route)) != ST_OK)
        return status;
    check_reach(d, node, &d->hosts[d->count++]);
    return ST_OK;
}

static enum status build_destinations(struct build *b, struct build_upstream *u, struct forward_config *out)
{
    const struct yaml_node *list = destinations_of(&u->values);
    uint32_t most = list ? list->count : 0;
    struct destinations d = {.b = b,
                             .u = u,
                             .hosts = arena_calloc(b->arena, most, sizeof(*d.hosts)),
                             .configs = arena_calloc(b->arena, most, sizeof(*d.configs))};
    enum status status = d.hosts && d.configs ? ST_OK : ST_NOMEM;

    u->out->routes = arena_calloc(b->arena, most, sizeof(*u->out->routes));
    if (!u->out->routes)
        return ST_NOMEM;
    for (const struct yaml_node *node = list ? list->first : NULL; node && status == ST_OK; node = node->next)
        status = build_destination(&d, node);
    out->hosts = d.hosts;
    out->destinations = d.configs;
    out->count = u->out->route_count = d.count;
    return status;
}

/* What a caller tells its proxy is not for an API. */
static enum status drop_credentials(struct build *b, struct build_upstream *u)
{
    struct forward_rules *rules = &u->out->rules;
    struct span *names = arena_calloc(b->arena, rules->dropped_count + 1, sizeof(*names));

    if (!names)
        return ST_NOMEM;
    for (uint32_t i = 0; i < rules->dropped_count; i++)
        names[i] = rules->dropped[i];
    names[rules->dropped_count] = SPAN_LIT("Proxy-Authorization");
    forward_rules_set_dropped(rules, names, rules->dropped_count + 1);
    return ST_OK;
}

/* Where a url would say it. */
static enum status build_no_url(struct build *b, struct build_upstream *u)
{
    u->url = (struct url){.host = SPAN_LIT(""), .base_path = SPAN_LIT(""), .has_default_port = true};
    u->out->origin.host = arena_text(b->arena, u->url.host);
    return u->out->origin.host ? ST_OK : ST_NOMEM;
}

static void check_forward(struct build *b, const struct build_upstream *u)
{
    const struct option_value *of = u->values.of;

    for (uint32_t i = 0; i < b->snapshot->upstream_count; i++)
        if (strcmp(b->snapshot->upstreams[i].name, u->out->name) == 0)
            report_key(b->errors, u->node, "an upstream has the same name");
    if (of[OPT_ADDRESSES_PRIVATE].node && of[OPT_ADDRESSES_PRIVATE].number == 0)
        report_value(b->errors, of[OPT_ADDRESSES_PRIVATE].node,
                     "a forward proxy always denies them; a destination's addresses lift that for it");
    if (of[OPT_RETRIES_FALLBACK].node)
        report_key(b->errors, of[OPT_RETRIES_FALLBACK].node,
                   "a request goes where its caller says, and nowhere else");
    for (uint32_t i = 0; i < u->out->listen_count; i++)
        if (!endpoint_is_local(&u->out->listen[i]))
            report_odd(b->errors, of[OPT_UPSTREAM_LISTEN].node,
                       "%s can be reached by others, and a proxy asks nobody who they are",
                       quote_text(span_of(u->out->listen[i].text)).text);
}

/* By a route, or a tunnel. */
static enum status sum_up(struct build *b, struct build_upstream *u)
{
    const struct forward_config *forward = u->out->forward;
    enum status status = build_sum_up(b, u);
    int64_t longest_ns = forward->tunnel.terms.lifetime_ns;

    for (uint32_t i = 0; i < forward->count; i++) {
        int64_t lifetime_ns = forward->destinations[i].tunnel.terms.lifetime_ns;

        longest_ns = lifetime_ns > longest_ns ? lifetime_ns : longest_ns;
    }
    if (u->out->origin.longest_ns < longest_ns)
        u->out->origin.longest_ns = longest_ns;
    return status;
}

static enum status build_forward(struct build *b, struct build_upstream *u)
{
    static enum status (*const parts[])(struct build *, struct build_upstream *) = {
        build_listen,       build_no_url, build_ejection, build_caller_deadline,
        build_retry_budget, build_rules,  build_routes,   drop_credentials,
    };
    struct forward_config *forward = arena_calloc(b->arena, 1, sizeof(*forward));
    enum status status = forward ? ST_OK : ST_NOMEM;

    u->out->forward = forward;
    if (status != ST_OK ||
        (status = schema_read(&u->values, SECTION_FORWARD, u->node, b->scratch, b->errors)) != ST_OK)
        return status;
    build_check_name(b, u->node);
    schema_require(&u->values, SECTION_FORWARD, u->node, b->errors);
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        u->values.of[shared[i].upstream] = u->values.of[shared[i].own];
    build_take_values(u);
    if ((status = build_place_of_key(b, u->node, &u->out->at)) != ST_OK ||
        (status = build_places(b, &u->values)) != ST_OK)
        return status;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == ST_OK; i++)
        status = parts[i](b, u);
    forward->tunnel = take_tunnel(&u->values);
    if (status != ST_OK || (status = build_ports(b, &u->values, forward)) != ST_OK ||
        (status = build_destinations(b, u, forward)) != ST_OK || (status = sum_up(b, u)) != ST_OK ||
        (status = build_forward_way(b, u, &forward->way)) != ST_OK)
        return status;
    check_forward(b, u);
    return ST_OK;
}

uint32_t build_count_forward_pools(const struct yaml_node *forwards)
{
    uint32_t count = forwards->count;

    YAML_FOREACH(forward, forwards) {
        const struct yaml_node *list = yaml_node_get(forward, SPAN_LIT("destinations"));

        count += !list ? 0 : list->kind == YAML_LIST ? list->count : 1;
    }
    return count;
}

/* Guards keep callers from all that curfew itself listens on. */
enum status build_own(struct snapshot *snapshot)
{
    const struct endpoint **own;
    uint32_t count = 2;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        count += snapshot->upstreams[i].listen_count;
    own = arena_calloc(snapshot->arena, count, sizeof(*own));
    if (!own)
        return ST_NOMEM;
    count = 0;
    if (snapshot->has_admin)
        own[count++] = &snapshot->admin;
    if (snapshot->has_metrics)
        own[count++] = &snapshot->metrics;
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        for (uint32_t j = 0; j < snapshot->upstreams[i].listen_count; j++)
            own[count++] = &snapshot->upstreams[i].listen[j];
    snapshot->own = (struct guard_own){own, count};
    return ST_OK;
}

enum status build_forwards(struct build *b, const struct option_values *builtin,
                           const struct yaml_node *forwards)
{
    struct snapshot *snapshot = b->snapshot;

    YAML_FOREACH(node, forwards) {
        struct build_upstream u = {.node = node, .defaults = builtin, .values = *builtin};
        enum status status;

        u.out = &snapshot->upstreams[snapshot->upstream_count];
        u.out->index = u.out->origin.number = snapshot->upstream_count;
        u.out->snapshot = snapshot;
        u.out->name = arena_text(b->arena, node->key);
        if (!u.out->name)
            return ST_NOMEM;
        status = build_forward(b, &u);
        if (status != ST_OK)
            return status;
        snapshot->upstream_count++;
        snapshot->forward_count++;
    }
    return ST_OK;
}
