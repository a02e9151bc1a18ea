#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"

#define REDIS_PORT        6379
#define SENTINEL_PORT     26379
/* sun_path, without its terminator. */
#define UNIX_PATH_MAX_LEN 107

/* ---- the store's place ---------------------------------------------------------------------------------- */

static bool starts_with(struct span text, const char *prefix)
{
    return text.len >= strlen(prefix) && memcmp(text.ptr, prefix, strlen(prefix)) == 0;
}

static const char *parse_unix(struct span path, struct store_place *out)
{
    *out = (struct store_place){.path = path.ptr};
    if (path.len == 0 || path.ptr[0] != '/')
        return "the path of a unix socket starts with /";
    return path.len > UNIX_PATH_MAX_LEN ? "the path of a unix socket has at most 107 bytes" : NULL;
}

static bool has_port(struct span authority)
{
    size_t i = authority.len;

    while (i > 0 && authority.ptr[i - 1] >= '0' && authority.ptr[i - 1] <= '9')
        i--;
    return i > 0 && i < authority.len && authority.ptr[i - 1] == ':';
}

/* "/2" is a database of Redis; "/" is none. */
static const char *parse_database(struct span path, uint32_t *database)
{
    uint64_t n = 0;

    *database = 0;
    if (path.len == 0)
        return NULL;
    if (number_u64((struct span){path.ptr + 1, path.len - 1}, &n) != NUMBER_OK || n > 65535)
        return "what stands behind the host is the number of a database, as in redis://HOST:6379/2";
    *database = (uint32_t)n;
    return NULL;
}

/* One that is said to be http is in other things like it: host, port, brackets. */
static enum status parse_host(struct build *b, struct span text, uint16_t port, struct store_place *out,
                              uint32_t *database, const char **why)
{
    struct span authority = {text.ptr, 0};
    char block[400];
    struct url url;
    int len;

    while (authority.len < text.len && text.ptr[authority.len] != '/')
        authority.len++;
    *why = "user and password have no place here; write user: NAME and password: {file: PATH} beside store";
    if (memchr(authority.ptr, '@', authority.len) || memchr(text.ptr, '?', text.len))
        return ST_OK;
    *why = "the host is longer than 253 bytes";
    len = snprintf(block, sizeof(block), "http://%.*s", SPAN_FMT(text));
    if (len < 0 || (size_t)len >= sizeof(block))
        return ST_OK;
    *why = url_parse(span_of(block), &url);
    if (*why)
        return ST_OK;
    *out = (struct store_place){.host = arena_text(b->arena, url.host),
                                .port = has_port(authority) ? url.port : port};
    *why = parse_database(url.base_path, database);
    return out->host ? ST_OK : ST_NOMEM;
}

static enum status parse_place(struct build *b, struct span text, struct store_spec *store,
                               struct store_place *out, bool *has_tls, const char **why)
{
    uint16_t port = store->sentinel ? SENTINEL_PORT : REDIS_PORT;
    const char *copy = arena_text(b->arena, text);
    size_t scheme;

    *has_tls = starts_with(text, "rediss://");
    if (!copy)
        return ST_NOMEM;
    if (starts_with(text, "unix:")) {
        *why = parse_unix(span_of(copy + strlen("unix:")), out);
        return ST_OK;
    }
    scheme = *has_tls ? strlen("rediss://") : strlen("redis://");
    *why = "must start with redis://, rediss:// or unix:/";
    if (!*has_tls && !starts_with(text, "redis://"))
        return ST_OK;
    return parse_host(b, span_of(copy + scheme), port, out, &store->database, why);
}

static enum status build_store(struct build *b, const struct option_value *value, struct fleet_config *fleet)
{
    const struct yaml_node *list = value->node;
    struct store_spec *store = &fleet->store;
    struct store_place *places = arena_calloc(b->arena, list->count, sizeof(*places));
    struct span *urls = arena_calloc(b->arena, list->count, sizeof(*urls));

    if (!places || !urls)
        return ST_NOMEM;
    if (list->count > STORE_PLACES_MAX)
        report_value(b->errors, list, "are more than %u", STORE_PLACES_MAX);
    YAML_FOREACH(node, list) {
        uint32_t i = store->place_count++;
        const char *why = NULL;
        bool has_tls;

        if (parse_place(b, node->text, store, &places[i], &has_tls, &why) != ST_OK)
            return ST_NOMEM;
        /* What it is may be a password. */
        if (why)
            report_value(b->errors, node, "%s", why);
        else if (i > 0 && has_tls != store->has_tls)
            report_value(b->errors, node, "is %s TLS, and the one before it is not; all are alike",
                         has_tls ? "by" : "without");
        store->has_tls = has_tls;
        urls[i] = (struct span){arena_text(b->arena, node->text), node->text.len};
        if (!urls[i].ptr)
            return ST_NOMEM;
    }
    store->places = places;
    fleet->urls = urls;
    return ST_OK;
}

/* ---- the fleet ------------------------------------------------------------------------------------------ */

static enum status build_tls_of_store(struct build *b, const struct option_values *values,
                                      struct fleet_config *fleet)
{
    const struct option_value *of = values->of;
    const struct option_value *name = &of[OPT_TLS_SERVER_NAME];
    struct url url;

    if (!fleet->store.has_tls) {
        if (of[OPT_FLEET_TLS].node && of[OPT_FLEET_STORE].node)
            build_refuse_members(b, of[OPT_FLEET_TLS].node, "only for rediss://");
        return ST_OK;
    }
    fleet->ca_at = of[OPT_TLS_CA_FILE].place;
    fleet->cert_at = of[OPT_TLS_CERT_FILE].place;
    fleet->key_at = of[OPT_TLS_KEY_FILE].place;
    if (name->node && !url_is_host(name->node->text, &url))
        report_value(b->errors, name->node, "%s is not the name of a host",
                     quote_text(name->node->text).text);
    if (build_text(b, name, &fleet->store.tls.server_name) != ST_OK)
        return ST_NOMEM;
    return build_tls_spec(b, values, &fleet->store.tls);
}

/* It is read at each connection: here it has only to be there. */
static enum status check_password(struct build *b, const struct option_values *values,
                                  struct fleet_config *fleet)
{
    const struct option_value *file = &values->of[OPT_PASSWORD_FILE];

    fleet->password_at = file->place;
    if (values->of[OPT_FLEET_PASSWORD].node && !file->is_written)
        report_missing(b->errors, values->of[OPT_FLEET_PASSWORD].node, "file");
    if (values->of[OPT_FLEET_USER].node && !values->of[OPT_FLEET_PASSWORD].is_written)
        report_value(b->errors, values->of[OPT_FLEET_USER].node, "needs password: {file: PATH} too");
    return build_checked_file(b, file, &fleet->store.password_file);
}

static void check_numbers(struct build *b, const struct option_values *values, const struct yaml_node *node)
{
    const struct option_value *name = &values->of[OPT_FLEET_NAME], *hosts = &values->of[OPT_FLEET_HOSTS];

    if (name->node && !build_is_name(name->node->text))
        report_value(b->errors, name->node, "a name is 1 to 64 letters, digits, \"_\", \".\" or \"-\"");
    if (!hosts->is_written && values->of[OPT_FLEET_FALLBACK].number == FLEET_SHARE)
        report_key(b->errors, node,
                   "hosts is missing: with fallback: share each of so many curfews has its part of the size; "
                   "or write fallback: closed");
}

enum status build_fleet(struct build *b, const struct option_values *builtin, const struct yaml_node *node)
{
    struct fleet_config *fleet = &b->snapshot->fleet;
    struct option_values values = *builtin;
    const struct option_value *of = values.of;
    enum status status;

    if (!node)
        return ST_OK;
    if ((status = schema_read(&values, SECTION_FLEET, node, b->scratch, b->errors)) != ST_OK ||
        (status = build_places(b, &values)) != ST_OK ||
        (status = build_place_of_key(b, node, &fleet->at)) != ST_OK)
        return status;
    schema_require(&values, SECTION_FLEET, node, b->errors);
    check_numbers(b, &values, node);
    fleet->enabled = true;
    fleet->hosts = of[OPT_FLEET_HOSTS].node ? (uint32_t)of[OPT_FLEET_HOSTS].number : 0;
    fleet->fallback = (enum fleet_fallback)of[OPT_FLEET_FALLBACK].number;
    fleet->ride_out_ns = of[OPT_FLEET_RIDE_OUT].number;
    fleet->renew_ns = of[OPT_FLEET_RENEW].number;
    fleet->margin_ns = of[OPT_FLEET_MARGIN].number;
    fleet->store.timeout_ns = of[OPT_FLEET_TIMEOUT].number;
    fleet->store_at = of[OPT_FLEET_STORE].place;
    fleet->fallback_at = of[OPT_FLEET_FALLBACK].place;
    fleet->ride_out_at = of[OPT_FLEET_RIDE_OUT].place;
    if ((status = build_text(b, &of[OPT_FLEET_NAME], &fleet->name)) != ST_OK ||
        (status = build_text(b, &of[OPT_FLEET_SENTINEL], &fleet->store.sentinel)) != ST_OK ||
        (status = build_text(b, &of[OPT_FLEET_USER], &fleet->store.user)) != ST_OK ||
        (status = check_password(b, &values, fleet)) != ST_OK)
        return status;
    if (of[OPT_FLEET_STORE].node && (status = build_store(b, &of[OPT_FLEET_STORE], fleet)) != ST_OK)
        return status;
    return build_tls_of_store(b, &values, fleet);
}

/* ---- a pool of it --------------------------------------------------------------------------------------- */

static bool is_of_fleet(struct build *b, const struct yaml_node *node)
{
    if (!node || span_eq(node->text, SPAN_LIT("false")) || span_eq(node->text, SPAN_LIT("none")))
        return false;
    if (!b->snapshot->fleet.enabled)
        report_value(b->errors, node,
                     "there is no fleet; write fleet: {name: NAME, store: redis://HOST:6379, "
                     "hosts: 3} at the top of the file");
    if (!build_is_name(node->text))
        report_value(b->errors, node,
                     "%s is neither false nor true nor a name: 1 to 64 letters, digits, \"_\", "
                     "\".\" or \"-\"",
                     quote_text(node->text).text);
    return true;
}

static void check_reserve(struct build *b, const struct option_value *reserve, const struct pool_config *pool)
{
    uint32_t hosts = b->snapshot->fleet.hosts;

    if (!reserve->node || pool->reserve == 0)
        return;
    if (hosts == 0)
        report_value(b->errors, reserve->node, "needs fleet.hosts: that many curfews own %u each",
                     pool->reserve);
    else if ((uint64_t)pool->reserve * hosts > pool->size)
        report_value(b->errors, reserve->node, "%u for each of %u hosts are more than the size, %u",
                     pool->reserve, hosts, pool->size);
}

/* What is written of a fleet's pool, of one that is none. Who writes fleet: false knows. */
static void note_fleet_only(const struct option_values *values, struct pool_config *out)
{
    static const struct {
        enum option_id id;
        const char *name;
    } only[] = {
        {OPT_POOL_HOST_SIZE, "host_size"}, {OPT_POOL_WEIGHT, "weight"}, {OPT_POOL_RESERVE, "reserve"}};

    for (size_t i = 0; i < sizeof(only) / sizeof(only[0]) && !out->fleet_only; i++) {
        if (!values->of[only[i].id].is_written)
            continue;
        out->fleet_only = only[i].name;
        out->fleet_only_at = values->of[only[i].id].place;
    }
}

enum status build_pool_fleet(struct build *b, const struct option_values *values, struct pool_config *out)
{
    const struct option_value *of = values->of;
    const struct yaml_node *node = of[OPT_POOL_FLEET].node;

    out->weight = (uint32_t)of[OPT_POOL_WEIGHT].number;
    out->reserve = (uint32_t)of[OPT_POOL_RESERVE].number;
    if (!node || !values->of[OPT_POOL_FLEET].is_written)
        note_fleet_only(values, out);
    if (!is_of_fleet(b, node))
        return ST_OK;
    out->fleet_at = of[OPT_POOL_FLEET].place;
    out->reserve_at = of[OPT_POOL_RESERVE].place;
    out->fleet = span_eq(node->text, SPAN_LIT("true")) ? out->name : arena_text(b->arena, node->text);
    if (of[OPT_POOL_HOST_SIZE].node)
        out->host_size = (uint32_t)of[OPT_POOL_HOST_SIZE].number;
    if (out->host_size > out->size)
        report_value(b->errors, of[OPT_POOL_HOST_SIZE].node, "is more than the fleet has permits, %u",
                     out->size);
    check_reserve(b, &of[OPT_POOL_RESERVE], out);
    if (out->rate_per_hour != 0 && b->snapshot->fleet.enabled && b->snapshot->fleet.hosts == 0)
        report_value(b->errors, node,
                     "needs fleet.hosts beside a rate: each of so many curfews has its part of it");
    return out->fleet ? ST_OK : ST_NOMEM;
}
