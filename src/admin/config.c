#include "admin/config.h"

#include <time.h>

#include "admin/config_fleet.h"
#include "admin/config_forward.h"
#include "admin/config_pools.h"
#include "admin/config_upstream.h"
#include "admin/config_values.h"
#include "admin/respond.h"
#include "proxy/generation.h"

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
    config_put_size(json, "request_head", limits->request_head_bytes);
    config_put_size(json, "response_head", limits->response_head_bytes);
    config_put_duration(json, "request_head_timeout", limits->request_head_timeout_ns);
    config_put_duration(json, "handshake_timeout", limits->handshake_timeout_ns);
    config_put_size(json, "replay", limits->replay_bytes);
    config_put_duration(json, "idle_timeout", limits->idle_timeout_ns);
    config_put_duration(json, "connection_age", limits->connection_age_ns);
    if (limits->streams != 0)
        jsonw_u64(json, "streams", limits->streams);
    else
        jsonw_text(json, "streams", "auto");
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
    config_put_listener(json, key, text_span(&address),
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
    config_put_duration(json, "drain", snapshot->drain_ns);
    config_put_duration(json, "drain_delay", snapshot->drain_delay_ns);
    jsonw_bool(json, "watch", snapshot->watch);
    config_put_fleet(json, &snapshot->fleet);
    config_put_pools(json, snapshot);
    jsonw_open_object(json, "upstreams");
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        if (snapshot->upstreams[i].forward == NULL)
            config_put_upstream(json, &snapshot->upstreams[i]);
    jsonw_close_object(json);
    jsonw_open_object(json, "forward");
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        if (snapshot->upstreams[i].forward != NULL)
            config_put_forward(json, &snapshot->upstreams[i]);
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
