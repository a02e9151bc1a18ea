#include "admin/config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/config_retries.h"
#include "admin/respond.h"
#include "base/number.h"
#include "proxy/generation.h"

/* ---- values, as the file has them ------------------------------------------------------------------------- */

static void put_duration(struct jsonw *json, const char *key, int64_t ns)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));

    number_put_duration(&text, ns);
    jsonw_string(json, key, text_span(&text));
}

static void put_size(struct jsonw *json, const char *key, uint64_t bytes)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));

    number_put_size(&text, bytes);
    jsonw_string(json, key, text_span(&text));
}

static void put_list(struct jsonw *json, const char *key, const struct span *all, uint32_t count)
{
    jsonw_open_array(json, key);
    for (uint32_t i = 0; i < count; i++)
        jsonw_string(json, NULL, all[i]);
    jsonw_close_array(json);
}

/* ---- an upstream ------------------------------------------------------------------------------------------ */

static void put_min_rate(struct jsonw *json, const struct min_rate_terms *terms)
{
    if (terms->bytes == 0) {
        jsonw_text(json, "min_rate", "none");
        return;
    }
    jsonw_open_object(json, "min_rate");
    put_size(json, "bytes", terms->bytes);
    put_duration(json, "per", terms->per_ns);
    jsonw_close_object(json);
}

static void put_timeouts(struct jsonw *json, const struct route_config *route)
{
    jsonw_open_object(json, "timeouts");
    put_duration(json, "connect", route->connect_ns);
    put_duration(json, "first_byte", route->first_byte_ns);
    put_duration(json, "begin", route->begin_ns);
    put_duration(json, "idle", route->idle_ns);
    put_min_rate(json, &route->min_rate);
    jsonw_close_object(json);
}

static void put_streams(struct jsonw *json, const struct streams_config *streams)
{
    if (streams == NULL) {
        jsonw_null(json, "streams");
        return;
    }
    jsonw_open_object(json, "streams");
    put_list(json, "types", streams->types, streams->type_count);
    put_duration(json, "deadline", streams->deadline_ns);
    put_duration(json, "first_event", streams->first_event_ns);
    put_duration(json, "idle", streams->idle_ns);
    put_list(json, "ignore", streams->events.ignore, streams->events.ignore_count);
    jsonw_text(json, "commit", streams->commits_by_event ? "event" : "head");
    jsonw_close_object(json);
}

/* The address alone, or what else is written of a unix socket as well. */
static void put_listener(struct jsonw *json, const char *key, struct span address, bool has_mode,
                         const struct endpoint *of)
{
    char mode[8];

    if (!has_mode && !of->has_group) {
        jsonw_string(json, key, address);
        return;
    }
    jsonw_open_object(json, key);
    jsonw_string(json, "address", address);
    snprintf(mode, sizeof(mode), "%04o", of->mode);
    if (has_mode)
        jsonw_text(json, "mode", mode);
    if (of->has_group)
        jsonw_text(json, "group", of->group_name);
    jsonw_close_object(json);
}

static void put_listeners(struct jsonw *json, const char *key, const struct upstream_config *upstream,
                          bool by_tls)
{
    jsonw_open_array(json, key);
    for (uint32_t i = 0; i < upstream->listen_count; i++)
        if (upstream_listens_by_tls(upstream, &upstream->listen[i]) == by_tls)
            put_listener(json, NULL, span_of(upstream->listen[i].text), upstream->listen[i].has_mode,
                         &upstream->listen[i]);
    jsonw_close_array(json);
}

static void put_url(struct jsonw *json, const struct upstream_config *upstream)
{
    char block[UPSTREAM_ORIGIN_MAX];
    struct text origin = text_over(block, sizeof(block));

    upstream_put_origin(&origin, upstream);
    jsonw_joined(json, "url", (const struct span[]){text_span(&origin), upstream->rules.base_path}, 2);
}

static void put_tls(struct jsonw *json, const struct tls_config *tls)
{
    if (!tls->enabled) {
        jsonw_null(json, "tls");
        return;
    }
    jsonw_open_object(json, "tls");
    jsonw_text(json, "ca_file", tls->spec.ca_file);
    jsonw_text(json, "cert_file", tls->spec.cert_file);
    jsonw_text(json, "key_file", tls->spec.key_file);
    jsonw_text(json, "server_name", tls->spec.server_name);
    jsonw_bool(json, "renegotiate", tls->spec.renegotiate);
    jsonw_text(json, "min_version", tls->spec.min_version == 0x0304 ? "1.3" : "1.2");
    jsonw_close_object(json);
}

static void put_caller_tls(struct jsonw *json, const struct caller_tls_config *tls)
{
    if (!tls->enabled) {
        jsonw_null(json, "caller_tls");
        return;
    }
    jsonw_open_object(json, "caller_tls");
    jsonw_text(json, "cert_file", tls->spec.cert_file);
    jsonw_text(json, "key_file", tls->spec.key_file);
    jsonw_text(json, "client_ca_file", tls->spec.client_ca_file);
    jsonw_open_array(json, "client_names");
    for (uint32_t i = 0; i < tls->spec.client_name_count; i++)
        jsonw_string(json, NULL, tls->spec.client_names[i]);
    jsonw_close_array(json);
    jsonw_text(json, "min_version", tls->spec.min_version == 0x0304 ? "1.3" : "1.2");
    jsonw_close_object(json);
}

static void put_http2(struct jsonw *json, const struct http2_config *http2)
{
    static const char *const uses[] = {
        [HTTP2_NEVER] = "never", [HTTP2_AUTO] = "auto", [HTTP2_ALWAYS] = "always"};

    jsonw_open_object(json, "http2");
    jsonw_text(json, "use", uses[http2->use]);
    jsonw_u64(json, "max_calls", http2->max_calls);
    put_size(json, "window", http2->window);
    jsonw_close_object(json);
}

static void put_keepalive(struct jsonw *json, const struct keepalive_config *keepalive)
{
    jsonw_open_object(json, "keepalive");
    jsonw_u64(json, "max_idle", keepalive->max_idle);
    put_duration(json, "idle_timeout", keepalive->idle_timeout_ns);
    put_duration(json, "max_age", keepalive->max_age_ns);
    jsonw_close_object(json);
}

static void put_dns(struct jsonw *json, const struct name_policy *dns)
{
    char percent[16];

    snprintf(percent, sizeof(percent), "%u%%", dns->refresh_percent);
    jsonw_open_object(json, "dns");
    jsonw_text(json, "refresh", percent);
    put_duration(json, "stale", dns->stale_ns);
    put_duration(json, "stale_negative", dns->stale_negative_ns);
    put_duration(json, "negative", dns->negative_ns);
    jsonw_close_object(json);
}

static void put_statuses(struct jsonw *json, const char *key, const struct status_set *statuses)
{
    jsonw_open_array(json, key);
    for (uint32_t code = STATUS_SET_MIN; code < STATUS_SET_END; code++)
        if (status_set_has(statuses, code))
            jsonw_u64(json, NULL, code);
    jsonw_close_array(json);
}

static void put_breaker(struct jsonw *json, const struct breaker_terms *breaker)
{
    char percent[16];

    if (breaker == NULL) {
        jsonw_null(json, "breaker");
        return;
    }
    snprintf(percent, sizeof(percent), "%u%%", breaker->ratio_percent);
    jsonw_open_object(json, "breaker");
    jsonw_u64(json, "failures", breaker->failures);
    jsonw_text(json, "ratio", percent);
    jsonw_u64(json, "volume", breaker->volume);
    put_duration(json, "window", breaker->window_ns);
    put_duration(json, "open", breaker->open_ns);
    put_duration(json, "open_max", breaker->open_max_ns);
    jsonw_u64(json, "probes", breaker->probes);
    put_duration(json, "verdict", breaker->verdict_ns);
    put_statuses(json, "statuses", &breaker->statuses);
    jsonw_close_object(json);
}

static void put_eject(struct jsonw *json, const struct ejection_terms *eject)
{
    if (eject->failures == 0) {
        jsonw_null(json, "eject");
        return;
    }
    jsonw_open_object(json, "eject");
    jsonw_u64(json, "failures", eject->failures);
    put_duration(json, "time", eject->time_ns);
    put_duration(json, "time_max", eject->time_max_ns);
    jsonw_close_object(json);
}

static void put_addresses(struct jsonw *json, const struct origin *addresses)
{
    jsonw_open_object(json, "addresses");
    put_duration(json, "stagger", addresses->stagger_ns);
    put_duration(json, "remember", addresses->remember_ns);
    put_eject(json, &addresses->eject);
    jsonw_close_object(json);
}

static void put_caller_deadline(struct jsonw *json, const struct caller_deadline_config *config)
{
    if (config->header_count == 0) {
        jsonw_null(json, "caller_deadline");
        return;
    }
    jsonw_open_object(json, "caller_deadline");
    put_list(json, "headers", config->headers, config->header_count);
    jsonw_string(json, "forward", config->forward.len != 0 ? config->forward : SPAN_LIT("none"));
    jsonw_close_object(json);
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

static void put_fields_set(struct jsonw *json, const struct upstream_config *upstream)
{
    struct span lines = upstream->rules.set_lines;

    jsonw_open_array(json, "set");
    if (upstream->host_is_set)
        jsonw_text(json, NULL, "Host");
    while (lines.len != 0)
        jsonw_string(json, NULL, next_name(&lines));
    jsonw_close_array(json);
}

/* Of all that is not passed on, what is neither replaced nor a matter of caller_deadline. */
static void put_fields_removed(struct jsonw *json, const struct upstream_config *upstream)
{
    jsonw_open_array(json, "remove");
    for (uint32_t i = 0; i < upstream->rules.dropped_count; i++) {
        struct span name = upstream->rules.dropped[i];

        if (!is_set(upstream, name) && !is_of_caller_deadline(upstream, name) &&
            !span_eq_nocase(name, upstream->retry_tell))
            jsonw_string(json, NULL, name);
    }
    jsonw_close_array(json);
}

static void put_headers(struct jsonw *json, const struct upstream_config *upstream)
{
    static const char *const tells[] = {[FORWARD_TELLS_NOTHING] = "none",
                                        [FORWARD_TELLS_X_FORWARDED] = "x-forwarded",
                                        [FORWARD_TELLS_RFC7239] = "rfc7239"};
    const struct forward_rules *rules = &upstream->rules;

    jsonw_open_object(json, "headers");
    put_fields_set(json, upstream);
    put_fields_removed(json, upstream);
    jsonw_text(json, "forwarded", tells[rules->tells]);
    jsonw_bool(json, "via", rules->via);
    jsonw_text(json, "location", rules->rewrites_location ? "rewrite" : "keep");
    jsonw_close_object(json);
}

/* ---- all -------------------------------------------------------------------------------------------------- */

static void put_route(struct jsonw *json, const struct upstream_config *upstream,
                      const struct route_entry *entry)
{
    const struct route_config *route = &upstream->routes[entry->id];

    jsonw_open_object(json, NULL);
    jsonw_string(json, "path", entry->path);
    if (entry->method_count != 0)
        put_list(json, "methods", entry->methods, entry->method_count);
    else
        jsonw_text(json, "methods", "all");
    put_duration(json, "deadline", route->deadline_ns);
    put_timeouts(json, route);
    put_streams(json, route->streams);
    jsonw_text(json, "pool", snapshot_pool_name(upstream->snapshot, route->pool));
    put_breaker(json, route->breaker);
    config_put_retries(json, upstream, &route->retries);
    jsonw_close_object(json);
}

static void put_routes(struct jsonw *json, const struct upstream_config *upstream)
{
    jsonw_open_array(json, "routes");
    for (uint32_t i = 0; i < upstream->route_count; i++)
        put_route(json, upstream, &upstream->route_entries[i]);
    jsonw_close_array(json);
}

static void put_upstream(struct jsonw *json, const struct snapshot *snapshot,
                         const struct upstream_config *upstream)
{
    const struct route_config *own = &upstream->default_route;

    jsonw_open_object(json, upstream->name);
    put_listeners(json, "listen", upstream, false);
    put_listeners(json, "listen_tls", upstream, true);
    put_url(json, upstream);
    put_duration(json, "deadline", own->deadline_ns);
    jsonw_bool(json, "observe", upstream->observe);
    put_duration(json, "observe_ceiling", upstream->observe_ceiling_ns);
    put_timeouts(json, own);
    put_streams(json, own->streams);
    jsonw_text(json, "pool", snapshot_pool_name(snapshot, own->pool));
    put_breaker(json, own->breaker);
    put_caller_deadline(json, &upstream->caller_deadline);
    put_tls(json, &upstream->tls);
    put_caller_tls(json, &upstream->caller_tls);
    put_http2(json, &upstream->http2);
    put_keepalive(json, &upstream->keepalive);
    put_dns(json, &upstream->origin.dns);
    put_addresses(json, &upstream->origin);
    config_put_retries(json, upstream, &own->retries);
    put_headers(json, upstream);
    jsonw_bool(json, "trace", upstream->trace);
    jsonw_bool(json, "late", upstream->late);
    jsonw_bool(json, "server_timing", upstream->server_timing);
    put_routes(json, upstream);
    jsonw_close_object(json);
}

static void put_pause(struct jsonw *json, const struct pause_config *pause)
{
    if (pause->max_ns == 0) {
        jsonw_text(json, "pause", "none");
        return;
    }
    jsonw_open_object(json, "pause");
    put_statuses(json, "statuses", &pause->statuses);
    put_duration(json, "max", pause->max_ns);
    jsonw_close_object(json);
}

static void put_adapt(struct jsonw *json, const struct adapt_config *adapt)
{
    if (adapt->min == 0) {
        jsonw_text(json, "adapt", "none");
        return;
    }
    jsonw_open_object(json, "adapt");
    jsonw_u64(json, "min", adapt->min);
    put_statuses(json, "when", &adapt->when);
    jsonw_close_object(json);
}

static void put_least(struct jsonw *json, const struct pool_config *pool)
{
    if (pool->least_ns == LEAST_IS_P95)
        jsonw_text(json, "least", "p95");
    else
        put_duration(json, "least", pool->least_ns);
}

static void put_rate(struct jsonw *json, const struct pool_config *pool)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));

    if (pool->rate_per_hour == 0) {
        jsonw_text(json, "rate", "none");
        return;
    }
    number_put_rate(&text, pool->rate_per_hour);
    jsonw_open_object(json, "rate");
    jsonw_string(json, "limit", text_span(&text));
    jsonw_u64(json, "burst", pool->rate_burst);
    jsonw_close_object(json);
}

static struct span find_share(const struct pool_config *pool)
{
    if (pool->shares_by_caller)
        return SPAN_LIT("caller");
    return pool->share_by.len != 0 ? pool->share_by : SPAN_LIT("none");
}

static void put_pools(struct jsonw *json, const struct snapshot *snapshot)
{
    jsonw_open_object(json, "pools");
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *pool = &snapshot->pools[i];

        jsonw_open_object(json, pool->name);
        jsonw_u64(json, "size", pool->size);
        jsonw_u64(json, "queue", pool->queue_size);
        put_duration(json, "queue_timeout", pool->queue_timeout_ns);
        put_duration(json, "linger", pool->linger_ns);
        put_adapt(json, &pool->adapt);
        put_least(json, pool);
        jsonw_string(json, "share_by", find_share(pool));
        put_rate(json, pool);
        put_pause(json, &pool->pause);
        jsonw_close_object(json);
    }
    jsonw_close_object(json);
}

static void put_log(struct jsonw *json, const struct log_config *log)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

    jsonw_open_object(json, "log");
    jsonw_text(json, "level", levels[log->level]);
    jsonw_text(json, "access",
               log->access == ACCESS_FILE     ? log->access_path
               : log->access == ACCESS_STDOUT ? "stdout"
                                              : "off");
    jsonw_close_object(json);
}

static void put_limits(struct jsonw *json, const struct limits_config *limits)
{
    jsonw_open_object(json, "limits");
    jsonw_u64(json, "connections", limits->connections);
    put_size(json, "request_head", limits->request_head_bytes);
    put_size(json, "response_head", limits->response_head_bytes);
    put_duration(json, "request_head_timeout", limits->request_head_timeout_ns);
    put_duration(json, "handshake_timeout", limits->handshake_timeout_ns);
    put_size(json, "replay", limits->replay_bytes);
    put_duration(json, "idle_timeout", limits->idle_timeout_ns);
    jsonw_close_object(json);
}

static void put_admin_listener(struct jsonw *json, const char *key, const struct admin_listener *listener)
{
    char block[160]; /* more than a path of a unix socket can have */
    struct text address = text_over(block, sizeof(block));

    if (listener == NULL) {
        jsonw_null(json, key);
        return;
    }
    admin_listener_put_address(listener, &address);
    put_listener(json, key, text_span(&address),
                 listener->address.has_mode && listener->address.mode != ADDRESS_ADMIN_MODE,
                 &listener->address);
}

static void put_config(struct jsonw *json, const struct proxy *proxy, const struct admin_listener *admin,
                       const struct admin_listener *metrics)
{
    const struct snapshot *snapshot = proxy_snapshot(proxy);

    jsonw_open_object(json, "config");
    jsonw_u64(json, "workers", proxy->worker_count);
    jsonw_open_object(json, "admin");
    put_admin_listener(json, "listen", admin);
    put_admin_listener(json, "metrics_listen", metrics);
    jsonw_bool(json, "allow_remote", snapshot->admin_allow_remote);
    jsonw_close_object(json);
    put_log(json, &snapshot->log);
    put_limits(json, &snapshot->limits);
    put_duration(json, "drain", snapshot->drain_ns);
    put_duration(json, "drain_delay", snapshot->drain_delay_ns);
    jsonw_bool(json, "watch", snapshot->watch);
    put_pools(json, snapshot);
    jsonw_open_object(json, "upstreams");
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        put_upstream(json, snapshot, &snapshot->upstreams[i]);
    jsonw_close_object(json);
    jsonw_close_object(json);
}

static void put_instant(struct jsonw *json, const char *key, const struct timespec *when)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));
    struct tm utc;

    gmtime_r(&when->tv_sec, &utc);
    text.len = strftime(block, sizeof(block), "%Y-%m-%dT%H:%M:%S", &utc);
    text_printf(&text, ".%03ldZ", when->tv_nsec / 1000000);
    jsonw_string(json, key, text_span(&text));
}

void config_respond(struct admin_request *request, const struct proxy *proxy,
                    const struct admin_listener *admin, const struct admin_listener *metrics)
{
    const struct generation *generation = proxy->generation;
    struct json_answer answer;
    struct jsonw *json = json_answer_begin(&answer);

    jsonw_u64(json, "edition", generation->number);
    put_instant(json, "in_force_since", &generation->since);
    put_config(json, proxy, admin, metrics);
    json_answer_send(&answer, request, 500);
}
