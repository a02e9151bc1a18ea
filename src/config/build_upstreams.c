#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"

#define NAME_MAX_LEN 64

bool build_is_name(struct span name)
{
    bool is_good = name.len != 0 && name.len <= NAME_MAX_LEN;

    for (size_t i = 0; i < name.len && is_good; i++) {
        char c = name.ptr[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

        is_good = is_letter || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    }
    return is_good;
}

void build_check_name(struct build *b, const struct yaml_node *named)
{
    if (!build_is_name(named->key))
        report_key(b->errors, named, "a name is 1 to 64 letters, digits, \"_\", \".\" or \"-\"");
}

enum status build_text(struct build *b, const struct option_value *value, const char **out)
{
    *out = NULL;
    if (!value->node)
        return ST_OK;
    *out = arena_text(b->arena, value->node->text);
    return *out ? ST_OK : ST_NOMEM;
}

enum status build_read_file(struct build *b, const struct yaml_node *node, char **out, size_t *len)
{
    const char *why = NULL;

    *out = b->files->read(b->files->arg, node->text.ptr, len, &why);
    if (!*out && !why)
        return ST_NOMEM;
    if (!*out)
        report_value(b->errors, node, "%s: %s", quote_text(node->text).text, why);
    return ST_OK;
}

static enum status build_url(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_URL].node;
    const char *why;

    /* So that what is not an url does not make tls keys wrong as well. */
    u->url = (struct url){.is_https = true, .host = SPAN_LIT(""), .base_path = SPAN_LIT("")};
    if (node) {
        struct url url;

        why = url_parse(node->text, &url);
        if (why)
            report_value(b->errors, node, "%s", why);
        else
            u->url = url;
    }
    u->out->origin.host = arena_text(b->arena, u->url.host);
    u->out->origin.port = u->url.port;
    u->out->origin.host_is_ip = u->url.host_is_ip;
    u->out->origin.ip = u->url.ip;
    u->out->origin.ip.port = u->url.port;
    u->out->origin.ip.text = u->out->origin.host;
    return u->out->origin.host ? ST_OK : ST_NOMEM;
}

static void build_keepalive(const struct option_values *values, struct keepalive_config *out)
{
    out->max_idle = (uint32_t)values->of[OPT_KEEPALIVE_MAX_IDLE].number;
    out->idle_timeout_ns = values->of[OPT_KEEPALIVE_IDLE_TIMEOUT].number;
    out->max_age_ns = values->of[OPT_KEEPALIVE_MAX_AGE].number;
}

static enum status build_http2(struct build *b, struct build_upstream *u)
{
    const struct option_values *values = &u->values;
    struct http2_config *out = &u->out->http2;

    out->use = (enum http2_use)values->of[OPT_HTTP2_USE].number;
    out->streams = (uint32_t)values->of[OPT_HTTP2_STREAMS].number;
    out->streams_at = values->of[OPT_HTTP2_STREAMS].place;
    out->probe_after_at = values->of[OPT_HTTP2_PROBE_AFTER].place;
    out->probe_after_ns = values->of[OPT_HTTP2_PROBE_AFTER].number;
    out->probe_timeout_ns = values->of[OPT_HTTP2_PROBE_TIMEOUT].number;
    out->max_calls = (uint32_t)values->of[OPT_HTTP2_MAX_CALLS].number;
    out->window = (uint32_t)values->of[OPT_HTTP2_WINDOW].number;
    out->warned = arena_calloc(b->arena, 1, sizeof(*out->warned));
    return out->warned != NULL ? ST_OK : ST_NOMEM;
}

static void build_dns(const struct option_values *values, struct name_policy *out)
{
    out->refresh_percent = (uint32_t)values->of[OPT_DNS_REFRESH].number;
    out->stale_ns = values->of[OPT_DNS_STALE].number;
    out->stale_negative_ns = values->of[OPT_DNS_STALE_NEGATIVE].number;
    out->negative_ns = values->of[OPT_DNS_NEGATIVE].number;
}

enum status build_sum_up(struct build *b, struct build_upstream *u)
{
    struct upstream_config *upstream = u->out;
    int64_t longest_ns = route_longest_ns(&upstream->default_route);

    (void)b;
    upstream->has_retries = retries_are_on(&upstream->default_route.retries);
    for (uint32_t i = 0; i < upstream->route_count; i++) {
        int64_t route_ns = route_longest_ns(&upstream->routes[i]);

        upstream->has_retries |= retries_are_on(&upstream->routes[i].retries);
        longest_ns = route_ns > longest_ns ? route_ns : longest_ns;
    }
    upstream->origin.longest_ns = longest_ns;
    return ST_OK;
}

/* One kind of listener, or both. */
static void require(struct build *b, const struct build_upstream *u)
{
    const struct option_value *of = u->values.of;

    if (u->node->kind != YAML_MAP)
        return;
    if (!of[OPT_UPSTREAM_LISTEN].is_written && !of[OPT_UPSTREAM_LISTEN_TLS].is_written)
        report_missing(b->errors, u->node, "listen");
    schema_require(&u->values, SECTION_UPSTREAM, u->node, b->errors);
}

/* A route whose pool keeps no permits finds nothing out. */
static void check_late(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_LATE].node;
    uint32_t without = 0;

    for (uint32_t id = 0; id <= u->out->route_count; id++)
        without += snapshot_route(u->out, id)->linger_ns == 0;
    if (!u->out->late || without == 0)
        return;
    if (without > u->out->route_count)
        report_value(b->errors, node, "needs a pool with linger: for so long the API may still answer");
    else
        report_odd(b->errors, node, "finds nothing out where a route's pool has no linger");
}

/* Where a try may be silent for as long as it likes, none begins beside it. */
static void check_hedge(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_HEDGE].node;
    uint32_t without = 0;

    for (uint32_t id = 0; id <= u->out->route_count; id++)
        without += !snapshot_route(u->out, id)->retries.hedges;
    if (u->out->hedge && without > u->out->route_count)
        report_odd(b->errors, node,
                   "comes to nothing without retries.per_try: for so long a try is left alone");
}

void build_take_values(struct build_upstream *u)
{
    build_keepalive(&u->values, &u->out->keepalive);
    build_dns(&u->values, &u->out->origin.dns);
    u->out->origin.stagger_ns = u->values.of[OPT_ADDRESSES_STAGGER].number;
    u->out->origin.remember_ns = u->values.of[OPT_ADDRESSES_REMEMBER].number;
    u->out->observe = u->values.of[OPT_UPSTREAM_OBSERVE].number != 0;
    u->out->observe_ceiling_ns = u->values.of[OPT_UPSTREAM_OBSERVE_CEILING].number;
    u->out->trace = u->values.of[OPT_UPSTREAM_TRACE].number != 0;
    u->out->hedge = u->values.of[OPT_UPSTREAM_HEDGE].number != 0;
    u->out->late = u->values.of[OPT_UPSTREAM_LATE].number != 0;
    u->out->server_timing = u->values.of[OPT_UPSTREAM_SERVER_TIMING].number != 0;
}

/* An address in the url itself could never be called. */
static void check_guard(struct build *b, const struct build_upstream *u)
{
    const struct origin *origin = &u->out->origin;

    if (origin->host_is_ip && guard_judge(origin->guard, &origin->ip) == GUARD_DENIES)
        report_value(b->errors, u->values.of[OPT_ADDRESSES_PRIVATE].node,
                     "the url's address is a private one, or special, and would never be dialled");
}

static enum status build_guard(struct build *b, struct build_upstream *u)
{
    struct guard *guard;

    if (u->values.of[OPT_ADDRESSES_PRIVATE].number == 0)
        return ST_OK;
    guard = arena_calloc(b->arena, 1, sizeof(*guard));
    if (!guard)
        return ST_NOMEM;
    guard->own = &b->snapshot->own;
    u->out->origin.guard = guard;
    check_guard(b, u);
    return ST_OK;
}

static enum status build_upstream(struct build *b, struct build_upstream *u)
{
    static enum status (*const parts[])(struct build *, struct build_upstream *) = {
        build_http2,      build_listen,          build_url,          build_ejection,    build_tls,
        build_caller_tls, build_caller_deadline, build_retry_budget, build_rules,       build_routes,
        build_sum_up,     build_guard,           build_proxy,        build_proxy_rules,
    };
    enum status status;

    build_check_name(b, u->node);
    status = schema_read(&u->values, SECTION_UPSTREAM, u->node, b->scratch, b->errors);
    if (status == ST_OK)
        status = build_place_of_key(b, u->node, &u->out->at);
    if (status == ST_OK)
        status = build_places(b, &u->values);
    require(b, u);
    build_take_values(u);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == ST_OK; i++)
        status = parts[i](b, u);
    if (status == ST_OK)
        check_late(b, u);
    if (status == ST_OK)
        check_hedge(b, u);
    return status;
}

enum status build_upstreams(struct build *b, const struct option_values *defaults,
                            const struct yaml_node *upstreams, uint32_t more)
{
    uint32_t count = upstreams ? upstreams->count : 0;
    struct upstream_config *all = arena_calloc(b->arena, count + more, sizeof(*all));

    if (!all)
        return ST_NOMEM;
    b->upstreams = upstreams;
    b->snapshot->upstreams = all;
    b->snapshot->upstream_count = count;
    for (const struct yaml_node *node = upstreams ? upstreams->first : NULL; node; node = node->next) {
        struct build_upstream u = {.node = node, .defaults = defaults, .values = *defaults};
        enum status status;

        u.out = &all[node->index];
        u.out->index = u.out->origin.number = node->index;
        u.out->snapshot = b->snapshot;
        u.out->name = arena_text(b->arena, node->key);
        if (!u.out->name)
            return ST_NOMEM;
        status = build_upstream(b, &u);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}
