#include "admin/config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/respond.h"
#include "base/mem.h"
#include "base/number.h"
#include "proxy/generation.h"

/* ---- values, as the file has them; a NULL is no memory, and makes all around it NULL ---------------------- */

static json_t *text_of(const struct text *text)
{
    return json_stringn(text->ptr, text->len);
}

static json_t *duration(int64_t ns)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));

    number_put_duration(&text, ns);
    return text_of(&text);
}

static json_t *size(uint64_t bytes)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));

    number_put_size(&text, bytes);
    return text_of(&text);
}

/* Takes the value over. False: no memory. */
static bool append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

static json_t *list_or_nothing(json_t *list, bool is_whole)
{
    if (is_whole)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *texts(const struct span *all, uint32_t count)
{
    json_t *list = json_array();
    bool whole = list != NULL;

    for (uint32_t i = 0; i < count && whole; i++)
        whole = append(list, json_stringn(all[i].ptr, all[i].len));
    return list_or_nothing(list, whole);
}

/* ---- an upstream ------------------------------------------------------------------------------------------ */

static json_t *describe_timeouts(const struct route_config *route)
{
    return json_pack("{s:o, s:o, s:o}", "connect", duration(route->connect_ns), "first_byte",
                     duration(route->first_byte_ns), "idle", duration(route->idle_ns));
}

/* The address alone, or what else is written of a unix socket as well. */
static json_t *describe_listener(json_t *address, bool has_mode, const struct address *of)
{
    json_t *mode = has_mode ? json_sprintf("%04o", of->mode) : NULL;
    json_t *group = of->has_group ? json_string(of->group_name) : NULL;

    if (!has_mode && !of->has_group)
        return address;
    if ((has_mode && mode == NULL) || (of->has_group && group == NULL)) {
        json_decref(address);
        json_decref(mode);
        json_decref(group);
        return NULL;
    }
    return json_pack("{s:o, s:o*, s:o*}", "address", address, "mode", mode, "group", group);
}

static json_t *describe_listeners(const struct upstream_config *upstream)
{
    json_t *list = json_array();
    bool whole = list != NULL;

    for (uint32_t i = 0; i < upstream->listen_count && whole; i++)
        whole = append(list, describe_listener(json_string(upstream->listen[i].text),
                                               upstream->listen[i].has_mode, &upstream->listen[i]));
    return list_or_nothing(list, whole);
}

/* Host and port as the url has them. */
static json_t *describe_url(const struct upstream_config *upstream)
{
    bool is_ipv6 = upstream->host_is_ip && upstream->ip.family == ADDRESS_IPV6;
    struct span path = upstream->rules.base_path;
    bool has_port = upstream->port != (upstream->tls.enabled ? 443 : 80);
    char port[8] = "";

    if (has_port)
        snprintf(port, sizeof(port), ":%u", upstream->port);
    return json_sprintf("%s://%s%s%s%s%.*s", upstream->tls.enabled ? "https" : "http", is_ipv6 ? "[" : "",
                        upstream->host, is_ipv6 ? "]" : "", port, SPAN_FMT(path));
}

static json_t *describe_tls(const struct tls_config *tls)
{
    if (!tls->enabled)
        return json_null();
    return json_pack("{s:s?, s:s?, s:s?, s:s, s:b, s:s}", "ca_file", tls->ca_file, "cert_file",
                     tls->cert_file, "key_file", tls->key_file, "server_name", tls->server_name,
                     "renegotiate", (int)tls->renegotiate, "min_version",
                     tls->min_version == 0x0304 ? "1.3" : "1.2");
}

static json_t *describe_keepalive(const struct keepalive_config *keepalive)
{
    return json_pack("{s:I, s:o, s:o}", "max_idle", (json_int_t)keepalive->max_idle, "idle_timeout",
                     duration(keepalive->idle_timeout_ns), "max_age", duration(keepalive->max_age_ns));
}

static json_t *describe_dns(const struct name_policy *dns)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "refresh", json_sprintf("%u%%", dns->refresh_percent), "stale",
                     duration(dns->stale_ns), "stale_negative", duration(dns->stale_negative_ns), "negative",
                     duration(dns->negative_ns));
}

static json_t *describe_addresses(const struct addresses_config *addresses)
{
    return json_pack("{s:o, s:o}", "stagger", duration(addresses->stagger_ns), "remember",
                     duration(addresses->remember_ns));
}

static json_t *describe_caller_deadline(const struct caller_deadline_config *config)
{
    if (config->header_count == 0)
        return json_null();
    return json_pack("{s:o, s:s%}", "headers", texts(config->headers, config->header_count), "forward",
                     config->forward.len != 0 ? config->forward.ptr : "none",
                     config->forward.len != 0 ? config->forward.len : strlen("none"));
}

/* ---- header fields: their names --------------------------------------------------------------------------- */

/* The name of the next of these lines, "Name: value\r\n", which is taken off them. */
static struct span next_name(struct span *lines)
{
    const char *colon = memchr(lines->ptr, ':', lines->len), *end = memchr(lines->ptr, '\n', lines->len);
    struct span name = {lines->ptr, (size_t)(colon - lines->ptr)};

    lines->len -= (size_t)(end + 1 - lines->ptr);
    lines->ptr = end + 1;
    return name;
}

static bool is_set(const struct upstream_config *upstream, struct span name)
{
    struct span lines = upstream->rules.set_lines;

    while (lines.len != 0)
        if (span_eq_nocase(next_name(&lines), name))
            return true;
    return false;
}

static bool is_of_caller_deadline(const struct upstream_config *upstream, struct span name)
{
    const struct caller_deadline_config *config = &upstream->caller_deadline;

    for (uint32_t i = 0; i < config->header_count; i++)
        if (span_eq_nocase(config->headers[i], name))
            return true;
    return span_eq_nocase(config->forward, name);
}

static json_t *fields_set(const struct upstream_config *upstream)
{
    struct span lines = upstream->rules.set_lines;
    json_t *list = json_array();
    bool whole = list != NULL;

    if (whole && upstream->host_is_set)
        whole = append(list, json_string("Host"));
    while (lines.len != 0 && whole) {
        struct span name = next_name(&lines);

        whole = append(list, json_stringn(name.ptr, name.len));
    }
    return list_or_nothing(list, whole);
}

/* Of all that is not passed on, what is neither replaced nor a matter of caller_deadline. */
static json_t *fields_removed(const struct upstream_config *upstream)
{
    json_t *list = json_array();
    bool whole = list != NULL;

    for (uint32_t i = 0; i < upstream->rules.dropped_count && whole; i++) {
        struct span name = upstream->rules.dropped[i];

        if (!is_set(upstream, name) && !is_of_caller_deadline(upstream, name))
            whole = append(list, json_stringn(name.ptr, name.len));
    }
    return list_or_nothing(list, whole);
}

static json_t *describe_headers(const struct upstream_config *upstream)
{
    static const char *const tells[] = {[FORWARD_TELLS_NOTHING] = "none",
                                        [FORWARD_TELLS_X_FORWARDED] = "x-forwarded",
                                        [FORWARD_TELLS_RFC7239] = "rfc7239"};
    const struct forward_rules *rules = &upstream->rules;

    return json_pack("{s:o, s:o, s:s, s:b, s:s}", "set", fields_set(upstream), "remove",
                     fields_removed(upstream), "forwarded", tells[rules->tells], "via", (int)rules->via,
                     "location", rules->rewrites_location ? "rewrite" : "keep");
}

/* ---- all -------------------------------------------------------------------------------------------------- */

static json_t *describe_route(const struct route_entry *entry, const struct route_config *route,
                              const char **pools)
{
    json_t *methods =
        entry->method_count != 0 ? texts(entry->methods, entry->method_count) : json_string("all");

    return json_pack("{s:s%, s:o, s:o, s:o, s:s}", "path", entry->path.ptr, entry->path.len, "methods",
                     methods, "deadline", duration(route->deadline_ns), "timeouts", describe_timeouts(route),
                     "pool", pools[route->pool]);
}

static json_t *describe_routes(const struct upstream_config *upstream, const char **pools)
{
    json_t *list = json_array();
    bool whole = list != NULL;

    for (uint32_t i = 0; i < upstream->route_count && whole; i++) {
        const struct route_entry *entry = &upstream->route_entries[i];

        whole = append(list, describe_route(entry, &upstream->routes[entry->id], pools));
    }
    return list_or_nothing(list, whole);
}

static json_t *describe_upstream(const struct upstream_config *upstream, const char **pools)
{
    const struct route_config *own = &upstream->default_route;

    return json_pack(
        "{s:o, s:o, s:o, s:b, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "listen",
        describe_listeners(upstream), "url", describe_url(upstream), "deadline", duration(own->deadline_ns),
        "observe", (int)upstream->observe, "observe_ceiling", duration(upstream->observe_ceiling_ns),
        "timeouts", describe_timeouts(own), "pool", pools[own->pool], "caller_deadline",
        describe_caller_deadline(&upstream->caller_deadline), "tls", describe_tls(&upstream->tls),
        "keepalive", describe_keepalive(&upstream->keepalive), "dns", describe_dns(&upstream->dns),
        "addresses", describe_addresses(&upstream->addresses), "headers", describe_headers(upstream), "trace",
        (int)upstream->trace, "server_timing", (int)upstream->server_timing, "routes",
        describe_routes(upstream, pools));
}

static json_t *describe_upstreams(const struct snapshot *snapshot, const char **pools)
{
    json_t *all = json_object();
    bool whole = all != NULL;

    for (uint32_t i = 0; i < snapshot->upstream_count && whole; i++)
        whole = json_object_set_new(all, snapshot->upstreams[i].name,
                                    describe_upstream(&snapshot->upstreams[i], pools)) == 0;
    return list_or_nothing(all, whole);
}

static json_t *describe_pool(const struct pool_config *pool)
{
    return json_pack("{s:I, s:I, s:o}", "size", (json_int_t)pool->size, "queue", (json_int_t)pool->queue_size,
                     "queue_timeout", duration(pool->queue_timeout_ns));
}

static json_t *describe_pools(const struct snapshot *snapshot)
{
    json_t *all = json_object();
    bool whole = all != NULL;

    for (uint32_t i = 0; i < snapshot->pool_count && whole; i++)
        whole = json_object_set_new(all, snapshot->pools[i].name, describe_pool(&snapshot->pools[i])) == 0;
    return list_or_nothing(all, whole);
}

static json_t *describe_log(const struct log_config *log)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    const char *access = log->access == ACCESS_FILE     ? log->access_path
                         : log->access == ACCESS_STDOUT ? "stdout"
                                                        : "off";

    return json_pack("{s:s, s:s}", "level", levels[log->level], "access", access);
}

static json_t *describe_limits(const struct limits_config *limits)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "connections", (json_int_t)limits->connections,
                     "request_head", size(limits->request_head_bytes), "response_head",
                     size(limits->response_head_bytes), "request_head_timeout",
                     duration(limits->request_head_timeout_ns), "idle_timeout",
                     duration(limits->idle_timeout_ns));
}

static json_t *describe_admin_listener(const struct admin_listener *listener)
{
    char block[160]; /* more than a path of a unix socket can have */
    struct text address = text_over(block, sizeof(block));
    bool has_mode;

    if (listener == NULL)
        return json_null();
    has_mode = listener->address.has_mode && listener->address.mode != ADDRESS_ADMIN_MODE;
    admin_listener_put_address(listener, &address);
    return describe_listener(text_of(&address), has_mode, &listener->address);
}

static json_t *describe_config(const struct proxy *proxy, const struct admin_listener *admin,
                               const struct admin_listener *metrics, const char **names)
{
    const struct snapshot *snapshot = proxy->generation->snapshot;

    return json_pack("{s:I, s:{s:o, s:o, s:b}, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "workers",
                     (json_int_t)proxy->worker_count, "admin", "listen", describe_admin_listener(admin),
                     "metrics_listen", describe_admin_listener(metrics), "allow_remote",
                     (int)snapshot->admin_allow_remote, "log", describe_log(&snapshot->log), "limits",
                     describe_limits(&snapshot->limits), "drain", duration(snapshot->drain_ns), "drain_delay",
                     duration(snapshot->drain_delay_ns), "watch", (int)snapshot->watch, "pools",
                     describe_pools(snapshot), "upstreams", describe_upstreams(snapshot, names));
}

static json_t *instant(const struct timespec *when)
{
    char date[24] = "";
    struct tm utc;

    gmtime_r(&when->tv_sec, &utc);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    return json_sprintf("%s.%03ldZ", date, when->tv_nsec / 1000000);
}

void config_respond(struct evhttp_request *request, const struct proxy *proxy,
                    const struct admin_listener *admin, const struct admin_listener *metrics)
{
    const struct generation *generation = proxy->generation;
    const char **names = mem_calloc(proxy->pool_count, sizeof(char *));
    json_t *answer = NULL;

    for (uint32_t i = 0; names != NULL && i < generation->snapshot->pool_count; i++)
        names[generation->snapshot->pools[i].index] = generation->snapshot->pools[i].name;
    if (names != NULL)
        answer =
            json_pack("{s:I, s:o, s:o}", "edition", (json_int_t)generation->number, "in_force_since",
                      instant(&generation->since), "config", describe_config(proxy, admin, metrics, names));
    mem_free(names);
    respond_json(request, 200, answer);
}
