#include "config/build.h"
#include "config/proxy_env.h"
#include "config/quote.h"
#include "config/report.h"

/* What was found out of a proxy, wherever it was written. */
struct found {
    const struct yaml_node *node; /* that messages are about */
    struct url url;
    struct span credentials; /* as in an url; or: */
    struct span authorization;
};

static const char *variable(const struct build *b, const char *lower, const char *upper)
{
    const char *value = b->files->variable(b->files->arg, lower);

    if (value == NULL || value[0] == '\0')
        value = b->files->variable(b->files->arg, upper);
    return value != NULL ? value : "";
}

static struct span exceptions(const struct build *b)
{
    return span_of(variable(b, "no_proxy", "NO_PROXY"));
}

/* False: it says that there is none, or nothing that can be read, which has been reported. */
static bool find_in_environment(struct build *b, bool is_https, struct found *found)
{
    const char *name = is_https ? "HTTPS_PROXY" : "HTTP_PROXY", *why;
    struct span value =
        span_trim(span_of(is_https ? variable(b, "https_proxy", name) : variable(b, "http_proxy", name)));

    if (value.len == 0)
        return false;
    why = proxy_env_parse(value, &found->url, &found->credentials);
    if (why) /* its value may hold a password */
        report_value(b->errors, found->node, "%s of the environment: %s", name, why);
    return !why;
}

static bool find_in_url(struct build *b, const struct yaml_node *node, struct found *found)
{
    const char *why = proxy_env_parse(node->text, &found->url, &found->credentials);

    if (!why && found->credentials.len != 0)
        why = "user and password have no place here; authorization is for them";
    if (why)
        report_value(b->errors, node, "%s", why);
    return !why;
}

static bool is_environments(const struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_PROXY].node;

    return node != NULL && node->kind == YAML_TEXT && span_eq(node->text, SPAN_LIT("env"));
}

/* For an https url, or an http one. *is_there: there is one, and it can be read. */
static enum status find(struct build *b, const struct build_upstream *u, bool is_https, struct found *found,
                        bool *is_there)
{
    const struct option_value *of = u->values.of;
    const struct yaml_node *node = of[OPT_UPSTREAM_PROXY].node;

    *is_there = false;
    *found = (struct found){.node = node};
    if (!node || (node->kind == YAML_TEXT && span_eq(node->text, SPAN_LIT("none"))))
        return ST_OK;
    if (node->kind == YAML_TEXT) {
        *is_there =
            is_environments(u) ? find_in_environment(b, is_https, found) : find_in_url(b, node, found);
        return ST_OK;
    }
    if (!of[OPT_PROXY_URL].node) {
        report_missing(b->errors, node, "url");
        return ST_OK;
    }
    *is_there = find_in_url(b, of[OPT_PROXY_URL].node, found);
    return of[OPT_PROXY_AUTHORIZATION].node
               ? build_field_value(b, of[OPT_PROXY_AUTHORIZATION].node, &found->authorization)
               : ST_OK;
}

static enum status make_authorization(struct build *b, const struct found *found, struct span *out)
{
    size_t cap = found->credentials.len * 2 + 16;
    struct text text;

    *out = found->authorization;
    if (found->credentials.len == 0)
        return ST_OK;
    text = text_over(arena_calloc(b->arena, cap, 1), cap);
    if (!text.ptr)
        return ST_NOMEM;
    if (!proxy_env_put_basic(&text, found->credentials))
        report_value(b->errors, found->node,
                     "user and password of the proxy are too long, or a %%XX is none");
    *out = text_span(&text);
    return ST_OK;
}

static void put_host(struct text *out, const struct url *url)
{
    bool is_ipv6 = url->host_is_ip && url->ip.family == ENDPOINT_IPV6;

    text_printf(out, is_ipv6 ? "[%.*s]" : "%.*s", SPAN_FMT(url->host));
}

static enum status make_ask(struct build *b, const struct build_upstream *u, struct proxy_config *out)
{
    size_t room = u->url.host.len + 16, cap = 2 * room + out->authorization.len + PROXY_ASK_ROOM;
    struct text place = text_over(arena_calloc(b->arena, room, 1), room),
                text = text_over(arena_calloc(b->arena, cap, 1), cap);

    if (!place.ptr || !text.ptr)
        return ST_NOMEM;
    put_host(&place, &u->url);
    text_printf(&place, ":%u", u->url.port);
    proxy_spec_put_ask(&text, text_span(&place), out->authorization);
    out->spec.ask = text_span(&text);
    return ST_OK;
}

static enum status make_origin(struct build *b, const struct build_upstream *u, const struct url *url,
                               struct proxy_config *out)
{
    size_t cap = url->host.len + sizeof("http://[]:65535");
    struct text text = text_over(arena_calloc(b->arena, cap, 1), cap);

    out->origin = u->out->origin;
    out->origin.guard = NULL; /* the API's address is the proxy's to find */
    out->origin.host = arena_text(b->arena, url->host);
    if (!text.ptr || !out->origin.host)
        return ST_NOMEM;
    out->origin.port = url->port;
    out->origin.host_is_ip = url->host_is_ip;
    out->origin.ip = url->ip;
    out->origin.ip.port = url->port;
    out->origin.ip.text = out->origin.host;
    TEXT_LIT(&text, "http://");
    put_host(&text, url);
    text_printf(&text, ":%u", url->port);
    out->url = text.ptr;
    return ST_OK;
}

static enum status make(struct build *b, const struct build_upstream *u, const struct found *found,
                        struct proxy_config *out)
{
    enum status status = build_place_of_key(b, found->node, &out->at);

    out->spec.answer_max = b->snapshot->limits.response_head_bytes;
    if (status == ST_OK)
        status = make_authorization(b, found, &out->authorization);
    return status == ST_OK ? make_origin(b, u, &found->url, out) : status;
}

enum status build_proxy(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *by = u->values.of[OPT_PROXY_BY].node;
    struct proxy_config *out = &u->out->proxy;
    struct found found;
    bool is_there;
    enum status status = find(b, u, u->url.is_https, &found, &is_there);

    if (by != NULL && found.node != NULL)
        report_key(b->errors, by, "is for a forward proxy's; the way to an url is asked for by its host");
    if (status != ST_OK || !is_there || (is_environments(u) && proxy_env_excepts(exceptions(b), &u->url)))
        return status;
    status = make(b, u, &found, out);
    if (status == ST_OK && u->url.is_https)
        status = make_ask(b, u, out);
    if (!u->url.is_https && u->out->http2.use == HTTP2_ALWAYS)
        report_value(b->errors, found.node,
                     "takes requests to an http:// url by HTTP/1.1, and http2.use is always");
    return status;
}

/*
 * A proxy takes requests to an http:// url as they are, with the whole url in them (RFC 9112 3.2.2), and its
 * credentials beside it. What the caller has for a proxy was for us.
 */
enum status build_proxy_rules(struct build *b, struct build_upstream *u)
{
    const struct proxy_config *proxy = &u->out->proxy;
    struct forward_rules *rules = &u->out->rules;
    size_t cap = rules->set_lines.len + proxy->authorization.len + 32,
           prefix = rules->origin.len + sizeof("http://");
    struct text lines, whole;
    struct span *dropped;

    if (proxy->url == NULL || u->url.is_https)
        return ST_OK;
    lines = text_over(arena_calloc(b->arena, cap, 1), cap);
    whole = text_over(arena_calloc(b->arena, prefix, 1), prefix);
    dropped = arena_calloc(b->arena, rules->dropped_count + 1, sizeof(*dropped));
    if (!lines.ptr || !whole.ptr || !dropped)
        return ST_NOMEM;
    text_put(&lines, rules->set_lines);
    if (proxy->authorization.len != 0)
        text_printf(&lines, "Proxy-Authorization: %.*s\r\n", SPAN_FMT(proxy->authorization));
    TEXT_LIT(&whole, "http://");
    text_put(&whole, rules->origin);
    if (rules->dropped_count != 0)
        memcpy(dropped, rules->dropped, rules->dropped_count * sizeof(*dropped));
    dropped[rules->dropped_count] = SPAN_LIT("Proxy-Authorization");
    forward_rules_set_dropped(rules, dropped, rules->dropped_count + 1);
    rules->set_lines = text_span(&lines);
    rules->authority = text_span(&whole);
    return ST_OK;
}

/* ---- a forward proxy's ---------------------------------------------------------------------------------- */

/* *out is NULL if there is none. */
static enum status make_way(struct build *b, const struct build_upstream *u, bool is_https,
                            const struct proxy_config **out)
{
    struct proxy_config *proxy = arena_calloc(b->arena, 1, sizeof(*proxy));
    struct found found;
    bool is_there;
    enum status status = proxy ? find(b, u, is_https, &found, &is_there) : ST_NOMEM;

    *out = NULL;
    if (status != ST_OK || !is_there)
        return status;
    *out = proxy;
    return make(b, u, &found, proxy);
}

/* Of plain requests, by name: as those of the others, with the whole url and the credentials for the proxy. */
static enum status make_whole_rules(struct build *b, const struct build_upstream *u, struct forward_way *way)
{
    struct span own = u->out->rules.set_lines, authorization = way->for_plain->authorization;
    size_t cap = own.len + authorization.len + 32;
    struct forward_rules *rules = arena_calloc(b->arena, 1, sizeof(*rules));
    struct text lines = text_over(arena_calloc(b->arena, cap, 1), cap);

    if (!rules || !lines.ptr)
        return ST_NOMEM;
    text_put(&lines, own);
    if (authorization.len != 0)
        text_printf(&lines, "Proxy-Authorization: %.*s\r\n", SPAN_FMT(authorization));
    *rules = u->out->rules;
    rules->set_lines = text_span(&lines);
    rules->whole_url = true;
    way->rules = rules;
    return ST_OK;
}

enum status build_forward_way(struct build *b, const struct build_upstream *u, struct forward_way *way)
{
    enum status status = make_way(b, u, true, &way->for_connect);
    const char *copy;

    way->for_plain = way->for_connect;
    way->by_name = u->values.of[OPT_PROXY_BY].number == 1;
    if (status == ST_OK && is_environments(u)) {
        status = make_way(b, u, false, &way->for_plain);
        copy = arena_text(b->arena, exceptions(b));
        way->exceptions = copy ? span_of(copy) : SPAN_LIT("");
        if (!copy)
            return ST_NOMEM;
    }
    return status == ST_OK && way->by_name && way->for_plain ? make_whole_rules(b, u, way) : status;
}
