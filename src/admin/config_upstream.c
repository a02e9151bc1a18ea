#include "admin/config_upstream.h"

#include "admin/config_headers.h"
#include "admin/config_retries.h"
#include "admin/config_values.h"

static void put_min_rate(struct jsonw *json, const struct min_rate_terms *terms)
{
    if (terms->bytes == 0) {
        jsonw_text(json, "min_rate", "none");
        return;
    }
    jsonw_open_object(json, "min_rate");
    config_put_size(json, "bytes", terms->bytes);
    config_put_duration(json, "per", terms->per_ns);
    jsonw_close_object(json);
}

static void put_timeouts(struct jsonw *json, const struct route_config *route)
{
    jsonw_open_object(json, "timeouts");
    config_put_duration(json, "connect", route->connect_ns);
    config_put_duration(json, "first_byte", route->first_byte_ns);
    config_put_duration(json, "begin", route->begin_ns);
    config_put_duration(json, "idle", route->idle_ns);
    put_min_rate(json, &route->min_rate);
    jsonw_close_object(json);
}

void config_put_proxy(struct jsonw *json, const char *key, const struct proxy_config *proxy, const char *by)
{
    if (proxy == NULL || proxy->url == NULL) {
        jsonw_null(json, key);
        return;
    }
    jsonw_open_object(json, key);
    jsonw_text(json, "url", proxy->url);
    jsonw_bool(json, "authorization", proxy->authorization.len != 0);
    if (by != NULL)
        jsonw_text(json, "by", by);
    jsonw_close_object(json);
}

static void put_upgrade(struct jsonw *json, const struct upgrade_config *upgrade)
{
    if (upgrade == NULL) {
        jsonw_null(json, "upgrade");
        return;
    }
    jsonw_open_object(json, "upgrade");
    config_put_list(json, "protocols", upgrade->protocols, upgrade->protocol_count);
    config_put_duration(json, "idle", upgrade->terms.idle_ns);
    config_put_duration(json, "lifetime", upgrade->terms.lifetime_ns);
    jsonw_close_object(json);
}

static void put_streams(struct jsonw *json, const struct streams_config *streams)
{
    if (streams == NULL) {
        jsonw_null(json, "streams");
        return;
    }
    jsonw_open_object(json, "streams");
    config_put_list(json, "types", streams->types, streams->type_count);
    config_put_duration(json, "deadline", streams->deadline_ns);
    config_put_duration(json, "first_event", streams->first_event_ns);
    config_put_duration(json, "idle", streams->idle_ns);
    config_put_list(json, "ignore", streams->events.ignore, streams->events.ignore_count);
    jsonw_text(json, "commit", streams->commits_by_event ? "event" : "head");
    jsonw_close_object(json);
}

static void put_listeners(struct jsonw *json, const char *key, const struct upstream_config *upstream,
                          bool by_tls)
{
    jsonw_open_array(json, key);
    for (uint32_t i = 0; i < upstream->listen_count; i++)
        if (upstream_listens_by_tls(upstream, &upstream->listen[i]) == by_tls)
            config_put_listener(json, NULL, span_of(upstream->listen[i].text), upstream->listen[i].has_mode,
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
    jsonw_u64(json, "streams", http2->streams);
    jsonw_u64(json, "max_calls", http2->max_calls);
    config_put_size(json, "window", http2->window);
    config_put_duration(json, "probe_after", http2->probe_after_ns);
    config_put_duration(json, "probe_timeout", http2->probe_timeout_ns);
    jsonw_close_object(json);
}

static void put_keepalive(struct jsonw *json, const struct keepalive_config *keepalive)
{
    jsonw_open_object(json, "keepalive");
    jsonw_u64(json, "max_idle", keepalive->max_idle);
    config_put_duration(json, "idle_timeout", keepalive->idle_timeout_ns);
    config_put_duration(json, "max_age", keepalive->max_age_ns);
    jsonw_close_object(json);
}

static void put_dns(struct jsonw *json, const struct name_policy *dns)
{
    jsonw_open_object(json, "dns");
    config_put_percent(json, "refresh", dns->refresh_percent);
    config_put_duration(json, "stale", dns->stale_ns);
    config_put_duration(json, "stale_negative", dns->stale_negative_ns);
    config_put_duration(json, "negative", dns->negative_ns);
    jsonw_close_object(json);
}

static void put_breaker(struct jsonw *json, const struct breaker_terms *breaker)
{
    if (breaker == NULL) {
        jsonw_null(json, "breaker");
        return;
    }
    jsonw_open_object(json, "breaker");
    jsonw_u64(json, "failures", breaker->failures);
    config_put_percent(json, "ratio", breaker->ratio_percent);
    jsonw_u64(json, "volume", breaker->volume);
    config_put_duration(json, "window", breaker->window_ns);
    config_put_duration(json, "open", breaker->open_ns);
    config_put_duration(json, "open_max", breaker->open_max_ns);
    jsonw_u64(json, "probes", breaker->probes);
    config_put_duration(json, "verdict", breaker->verdict_ns);
    config_put_statuses(json, "statuses", &breaker->statuses);
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
    config_put_duration(json, "time", eject->time_ns);
    config_put_duration(json, "time_max", eject->time_max_ns);
    jsonw_close_object(json);
}

static void put_addresses(struct jsonw *json, const struct origin *addresses, bool denies_private)
{
    jsonw_open_object(json, "addresses");
    config_put_duration(json, "stagger", addresses->stagger_ns);
    config_put_duration(json, "remember", addresses->remember_ns);
    jsonw_text(json, "private", denies_private ? "deny" : "allow");
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
    config_put_list(json, "headers", config->headers, config->header_count);
    jsonw_string(json, "forward", config->forward.len != 0 ? config->forward : SPAN_LIT("none"));
    jsonw_close_object(json);
}

static void put_route(struct jsonw *json, const struct upstream_config *upstream,
                      const struct route_entry *entry)
{
    const struct route_config *route = &upstream->routes[entry->id];

    jsonw_open_object(json, NULL);
    jsonw_string(json, "path", entry->path);
    if (entry->method_count != 0)
        config_put_list(json, "methods", entry->methods, entry->method_count);
    else
        jsonw_text(json, "methods", "all");
    config_put_duration(json, "deadline", route->deadline_ns);
    put_timeouts(json, route);
    put_streams(json, route->streams);
    put_upgrade(json, route->upgrade);
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

void config_put_shared(struct jsonw *json, const struct upstream_config *upstream)
{
    const struct route_config *own = &upstream->default_route;

    put_listeners(json, "listen", upstream, false);
    config_put_duration(json, "deadline", own->deadline_ns);
    jsonw_bool(json, "observe", upstream->observe);
    config_put_duration(json, "observe_ceiling", upstream->observe_ceiling_ns);
    put_timeouts(json, own);
    put_streams(json, own->streams);
    jsonw_text(json, "pool", snapshot_pool_name(upstream->snapshot, own->pool));
    put_caller_deadline(json, &upstream->caller_deadline);
    put_keepalive(json, &upstream->keepalive);
    put_dns(json, &upstream->origin.dns);
    put_addresses(json, &upstream->origin, upstream->origin.guard != NULL || upstream->forward != NULL);
    config_put_retries(json, upstream, &own->retries);
    jsonw_bool(json, "trace", upstream->trace);
    jsonw_bool(json, "server_timing", upstream->server_timing);
}

void config_put_upstream(struct jsonw *json, const struct upstream_config *upstream)
{
    jsonw_open_object(json, upstream->name);
    config_put_shared(json, upstream);
    put_listeners(json, "listen_tls", upstream, true);
    put_url(json, upstream);
    config_put_proxy(json, "proxy", &upstream->proxy, NULL);
    put_upgrade(json, upstream->default_route.upgrade);
    put_breaker(json, upstream->default_route.breaker);
    config_put_tls(json, upstream->tls.enabled ? &upstream->tls.spec : NULL);
    put_caller_tls(json, &upstream->caller_tls);
    put_http2(json, &upstream->http2);
    config_put_headers(json, upstream);
    jsonw_bool(json, "hedge", upstream->hedge);
    jsonw_bool(json, "late", upstream->late);
    put_routes(json, upstream);
    jsonw_close_object(json);
}
