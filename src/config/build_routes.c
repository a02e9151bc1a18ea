#include <string.h>

#include "config/build.h"
#include "config/hint.h"
#include "config/quote.h"
#include "config/report.h"
#include "http/http1.h"
#include "core/route.h"

/* A route in the making, and those of its upstream before it. */
struct route_build {
    struct build *b;
    struct build_upstream *u;
    struct option_values values;
    const struct yaml_node **nodes; /* by id */
    struct route_entry *entries;    /* by id, until they are sorted */
    struct route_config *routes;
    uint32_t count;
};

static struct min_rate_terms make_min_rate(struct build *b, const struct option_value *of)
{
    if (!build_is_map(b, &of[OPT_TIMEOUTS_MIN_RATE], "{bytes: 1KiB, per: 10s}"))
        return (struct min_rate_terms){0};
    return (struct min_rate_terms){.bytes = (uint64_t)of[OPT_MIN_RATE_BYTES].number,
                                   .per_ns = of[OPT_MIN_RATE_PER].number};
}

static struct route_config make_policy(struct build *b, const struct upstream_config *upstream,
                                       const struct option_values *values)
{
    const struct option_value *of = values->of;
    bool has_own_deadline = of[OPT_ROUTE_DEADLINE].node != NULL;
    const struct option_value *deadline = &of[has_own_deadline ? OPT_ROUTE_DEADLINE : OPT_UPSTREAM_DEADLINE];
    bool has_own_pool = of[OPT_ROUTE_POOL].node != NULL;

    return (struct route_config){
        .index = b->snapshot->route_count++,
        .deadline_ns = deadline->number,
        .ceiling_ns = upstream->observe ? upstream->observe_ceiling_ns : NS_NEVER,
        .connect_ns = of[OPT_TIMEOUTS_CONNECT].number,
        .first_byte_ns = of[OPT_TIMEOUTS_FIRST_BYTE].number,
        .begin_ns = of[OPT_TIMEOUTS_BEGIN].number,
        .idle_ns = of[OPT_TIMEOUTS_IDLE].number,
        .min_rate = make_min_rate(b, of),
        .at =
            {
                .deadline = deadline->place,
                .observe = of[OPT_UPSTREAM_OBSERVE].place,
                .connect = of[OPT_TIMEOUTS_CONNECT].place,
                .first_byte = of[OPT_TIMEOUTS_FIRST_BYTE].place,
                .begin = of[OPT_TIMEOUTS_BEGIN].place,
                .idle = of[OPT_TIMEOUTS_IDLE].place,
                .min_rate = of[OPT_TIMEOUTS_MIN_RATE].place,
                .pool = of[has_own_pool ? OPT_ROUTE_POOL : OPT_UPSTREAM_POOL].place,
            },
    };
}

/* Braces may be in a pattern, of which there is only a warning. */
static bool is_path(struct span path)
{
    struct span rest = path;

    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] != '{' && path.ptr[i] != '}')
            continue;
        if (!url_is_path((struct span){rest.ptr, (size_t)(path.ptr + i - rest.ptr)}))
            return false;
        rest = (struct span){path.ptr + i + 1, path.len - i - 1};
    }
    return url_is_path(rest) && (rest.len == path.len || hint_pattern(path) < path.len);
}

static const char *refuse_path(struct span path)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return "must start with /";
    if (memchr(path.ptr, '?', path.len) || memchr(path.ptr, '#', path.len))
        return "query and fragment have no place here";
    return is_path(path) ? NULL : "a character in the path must be percent-encoded";
}

static void warn_of_pattern(struct build *b, const struct yaml_node *node)
{
    struct span before = {node->text.ptr, hint_pattern(node->text)};

    if (before.len == node->text.len)
        return;
    while (before.len > 1 && before.ptr[before.len - 1] == '/')
        before.len--;
    report_odd(
        b->errors, node,
        "%s never matches as a pattern: a path stands for itself and all that is below it; did you mean %s?",
        quote_text(node->text).text, quote_text(before).text);
}

static enum status copy_path(struct build *b, const struct yaml_node *node, struct span *out)
{
    struct span path = node->text;
    const char *why = refuse_path(path);

    if (why)
        report_value(b->errors, node, "%s: %s", quote_text(path).text, why);
    else
        warn_of_pattern(b, node);
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    *out = (struct span){arena_text(b->arena, path), path.len};
    return out->ptr ? ST_OK : ST_NOMEM;
}

/* Methods are case-sensitive (RFC 9110 9.1): "post" would be one that nobody sends. */
static const char *refuse_method(struct span method)
{
    char upper[16];
    struct span other = {upper, method.len};

    if (!http1_is_token(method))
        return "is not a method";
    if (http1_method_of(method) == HTTP1_CONNECT)
        return "is not supported";
    if (method.len > sizeof(upper) || http1_method_of(method) != HTTP1_METHOD_OTHER)
        return NULL;
    for (size_t i = 0; i < method.len; i++)
        upper[i] =
            method.ptr[i] >= 'a' && method.ptr[i] <= 'z' ? (char)(method.ptr[i] - 0x20) : method.ptr[i];
    return http1_method_of(other) == HTTP1_METHOD_OTHER ? NULL : "is not a method; methods are upper case";
}

/* In other programs. */
static bool means_all(struct span method)
{
    return span_eq(method, SPAN_LIT("*")) || span_eq_nocase(method, SPAN_LIT("ALL")) ||
           span_eq_nocase(method, SPAN_LIT("ANY"));
}

bool build_is_method(struct build *b, const struct yaml_node *node)
{
    const char *why = refuse_method(node->text);

    if (why)
        report_value(b->errors, node, "%s %s", quote_text(node->text).text, why);
    return !why;
}

static bool takes(const struct route_entry *entry, struct span method)
{
    for (uint32_t i = 0; i < entry->method_count; i++) {
        if (span_eq(entry->methods[i], method))
            return true;
    }
    return false;
}

static enum status copy_methods(struct build *b, const struct yaml_node *list, struct route_entry *entry)
{
    struct span *methods = arena_calloc(b->arena, list->count, sizeof(*methods));

    if (!methods)
        return ST_NOMEM;
    entry->methods = methods;
    YAML_FOREACH(node, list) {
        const char *why = refuse_method(node->text);

        if (takes(entry, node->text))
            why = "is there twice";
        if (why)
            report_value(b->errors, node, "%s %s", quote_text(node->text).text, why);
        else if (means_all(node->text))
            report_odd(b->errors, node, "%s is a method like others; a route without methods takes them all",
                       quote_text(node->text).text);
        methods[node->index] = (struct span){arena_text(b->arena, node->text), node->text.len};
        if (!methods[node->index].ptr)
            return ST_NOMEM;
        entry->method_count++;
    }
    return ST_OK;
}

/* Is there a method that both take? No methods stand for all. */
static bool overlap(const struct route_entry *a, const struct route_entry *b)
{
    for (uint32_t i = 0; i < a->method_count; i++) {
        if (takes(b, a->methods[i]))
            return true;
    }
    return a->method_count == 0 || b->method_count == 0;
}

static void check_unique(struct route_build *r, const struct route_entry *entry)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (span_eq(r->entries[i].path, entry->path) && overlap(&r->entries[i], entry)) {
            report_value(r->b->errors, r->nodes[entry->id],
                         "the route on %s has the same path and takes the same method",
                         report_line(r->nodes[entry->id], r->nodes[i]).text);
            return;
        }
    }
}

/* "GET,POST", or nothing. */
static void put_methods(struct text *out, const struct route_entry *entry)
{
    for (uint32_t i = 0; i < entry->method_count; i++) {
        if (i > 0)
            TEXT_LIT(out, ",");
        text_put(out, entry->methods[i]);
    }
}

/* Room for the path, the methods with a separator each, and a prefix with a terminator. */
static struct text label_over(struct build *b, const struct route_entry *entry, const char *prefix)
{
    size_t len = strlen(prefix) + entry->path.len + 2;

    for (uint32_t i = 0; i < entry->method_count; i++)
        len += entry->methods[i].len + 1;
    return text_over(arena_calloc(b->arena, len, 1), len);
}

/* "/v1/reports" or "POST /v1/reports". */
static const char *make_label(struct build *b, const struct route_entry *entry)
{
    struct text label = label_over(b, entry, "");

    if (!label.ptr)
        return NULL;
    put_methods(&label, entry);
    if (entry->method_count != 0)
        TEXT_LIT(&label, " ");
    text_put(&label, entry->path);
    return label.ptr;
}

/* "payments/v1/reports"; of two routes with that path the second has its methods behind it. */
static const char *make_pool_name(struct build *b, const struct upstream_config *upstream,
                                  const struct route_entry *entry)
{
    struct text name = label_over(b, entry, upstream->name);

    if (!name.ptr)
        return NULL;
    text_put(&name, span_of(upstream->name));
    text_put(&name, entry->path);
    if (build_has_pool(b, name.ptr)) {
        TEXT_LIT(&name, ":");
        put_methods(&name, entry);
    }
    return name.ptr;
}

static enum status choose_pool(struct route_build *r, const struct yaml_node *node,
                               const struct route_entry *entry, uint32_t *index)
{
    const char *own_name;

    *index = r->u->out->default_route.pool;
    if (!r->values.of[OPT_ROUTE_POOL].node)
        return ST_OK;
    own_name = make_pool_name(r->b, r->u->out, entry);
    return own_name ? build_pool(r->b, &r->values, OPT_ROUTE_POOL, node, own_name, index) : ST_NOMEM;
}

void build_take_pool(struct route_config *route, const struct pool_config *pool)
{
    route->queue_timeout_ns = pool->queue_timeout_ns;
    route->linger_ns = pool->linger_ns;
    route->refusals = pool->adapt.min != 0 ? &pool->adapt.when : NULL;
    route->waits = pool_asks_for_time(pool) ? pool : NULL;
    route->times_starts = pool->least_ns == LEAST_IS_P95 || pool->rate_per_hour != 0;
}

static const struct place *breaker_place(const struct option_values *values, enum option_id id)
{
    const struct place *volume = values->of[OPT_BREAKER_VOLUME].place;

    return volume != NULL ? volume : values->of[id].place;
}

static enum status choose_breaker(struct route_build *r, struct route_config *route)
{
    route->has_own_breaker = r->values.of[OPT_ROUTE_BREAKER].node != NULL;
    if (route->has_own_breaker) {
        enum status status = build_breaker(r->b, &r->values, OPT_ROUTE_BREAKER, &route->breaker);

        route->at.breaker = breaker_place(&r->values, OPT_ROUTE_BREAKER);
        if (status == ST_OK && r->values.of[OPT_BREAKER_VOLUME].node != NULL)
            build_check_volume(r->b, &r->values, route);
        return status;
    }
    route->breaker = r->u->out->default_route.breaker;
    return ST_OK;
}

static enum status build_entry(struct route_build *r, struct route_entry *entry)
{
    const struct option_value *methods = &r->values.of[OPT_ROUTE_METHODS];
    enum status status = copy_path(r->b, r->values.of[OPT_ROUTE_PATH].node, &entry->path);

    if (status == ST_OK && methods->node)
        status = copy_methods(r->b, methods->node, entry);
    if (status == ST_OK && methods->node == NULL && methods->is_written)
        return ST_OK;
    if (status == ST_OK)
        check_unique(r, entry);
    return status;
}

static enum status build_route(struct route_build *r, const struct yaml_node *node)
{
    struct route_entry entry = {.id = r->count};
    struct route_config *route = &r->routes[r->count];
    enum status status;

    r->values = r->u->values;
    status = schema_read(&r->values, SECTION_ROUTE, node, r->b->scratch, r->b->errors);
    if (status != ST_OK || node->kind != YAML_MAP)
        return status;
    schema_require(&r->values, SECTION_ROUTE, node, r->b->errors);
    if (!r->values.of[OPT_ROUTE_PATH].node)
        return ST_OK;
    r->nodes[entry.id] = node;
    if ((status = build_places(r->b, &r->values)) != ST_OK || (status = build_entry(r, &entry)) != ST_OK)
        return status;
    *route = make_policy(r->b, r->u->out, &r->values);
    route->name = make_label(r->b, &entry);
    if (!route->name)
        return ST_NOMEM;
    status = build_retries(r->b, &r->values, OPT_ROUTE_RETRIES, &r->u->values, r->u->out, &route->retries);
    if (status != ST_OK)
        return status;
    r->entries[r->count++] = entry;
    status = choose_pool(r, node, &entry, &route->pool);
    build_take_pool(route, &r->b->pools[route->pool]);
    if (status == ST_OK)
        status = build_streams(r->b, &r->values, &route->streams);
    if (status == ST_OK)
        status = build_upgrade(r->b, &r->values, r->u->out, &route->upgrade);
    return status == ST_OK ? choose_breaker(r, route) : status;
}

static enum status build_default(struct build *b, struct build_upstream *u)
{
    struct route_config *route = &u->out->default_route;
    enum status status;

    *route = make_policy(b, u->out, &u->values);
    route->name = "default";
    status = build_retries(b, &u->values, OPT_UPSTREAM_RETRIES, NULL, u->out, &route->retries);
    if (status != ST_OK)
        return status;
    status = build_pool(b, &u->values, OPT_UPSTREAM_POOL, u->node, u->out->name, &route->pool);
    build_take_pool(route, &b->pools[route->pool]);
    if (status == ST_OK)
        status = build_streams(b, &u->values, &route->streams);
    if (status == ST_OK)
        status = build_upgrade(b, &u->values, u->out, &route->upgrade);
    if (status == ST_OK)
        status = build_breaker(b, &u->values, OPT_UPSTREAM_BREAKER, &route->breaker);
    if (status == ST_OK)
        build_check_volume(b, &u->values, route);
    route->at.breaker = breaker_place(&u->values, OPT_UPSTREAM_BREAKER);
    return status;
}

enum status build_routes(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *list = u->values.of[OPT_UPSTREAM_ROUTES].node;
    size_t most = list ? list->count : 0;
    struct route_build r = {
        .b = b,
        .u = u,
        .nodes = arena_calloc(b->scratch, most, sizeof(struct yaml_node *)),
        .entries = arena_calloc(b->arena, most, sizeof(*r.entries)),
        .routes = arena_calloc(b->arena, most, sizeof(*r.routes)),
    };
    enum status status = r.nodes && r.entries && r.routes ? build_default(b, u) : ST_NOMEM;

    for (const struct yaml_node *node = list ? list->first : NULL; node && status == ST_OK; node = node->next)
        status = build_route(&r, node);
    if (status != ST_OK)
        return status;
    route_sort(r.entries, r.count);
    u->out->routes = r.routes;
    u->out->route_entries = r.entries;
    u->out->route_count = r.count;
    return ST_OK;
}
