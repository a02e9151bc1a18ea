#include "admin/config_forward.h"

#include "admin/config_upstream.h"
#include "admin/config_values.h"

static void put_tunnel(struct jsonw *json, const struct tunnel_config *tunnel)
{
    jsonw_open_object(json, "tunnel");
    config_put_duration(json, "idle", tunnel->terms.idle_ns);
    config_put_duration(json, "lifetime", tunnel->terms.lifetime_ns);
    jsonw_text(json, "sni", tunnel->matches_sni ? "match" : "off");
    config_put_duration(json, "reclaim", tunnel->reclaim_ns);
    jsonw_close_object(json);
}

static void put_hosts(struct jsonw *json, const struct destination_hosts *hosts)
{
    jsonw_open_array(json, "hosts");
    for (uint32_t i = 0; i < hosts->count; i++) {
        const struct host_pattern *pattern = &hosts->patterns[i];
        struct span parts[] = {pattern->is_suffix ? SPAN_LIT("*") : SPAN_LIT(""), pattern->text};

        jsonw_joined(json, NULL, parts, 2);
    }
    jsonw_close_array(json);
}

static void put_addresses(struct jsonw *json, const struct guard *guard)
{
    jsonw_open_array(json, "addresses");
    for (uint32_t i = 0; i < guard->lifted_count; i++) {
        char block[64];
        struct text text = text_over(block, sizeof(block));

        ip_range_put(&text, &guard->lifted[i]);
        jsonw_string(json, NULL, text_span(&text));
    }
    jsonw_close_array(json);
}

static void put_destination(struct jsonw *json, const struct upstream_config *proxy, uint32_t at)
{
    static const char *const actions[] = {
        [DESTINATION_ALLOW] = "allow", [DESTINATION_REPORT] = "report", [DESTINATION_REFUSE] = "refuse"};
    const struct destination_config *destination = &proxy->forward->destinations[at];

    jsonw_open_object(json, NULL);
    jsonw_text(json, "name", proxy->routes[at].name);
    put_hosts(json, &proxy->forward->hosts[at]);
    jsonw_text(json, "action", actions[destination->action]);
    put_addresses(json, &destination->guard);
    jsonw_text(json, "pool", snapshot_pool_name(proxy->snapshot, proxy->routes[at].pool));
    put_tunnel(json, &destination->tunnel);
    jsonw_close_object(json);
}

/* Of plain requests a member of its own, where they have another one. */
static void put_way(struct jsonw *json, const struct forward_way *way)
{
    const char *by = way->by_name ? "name" : "address";

    config_put_proxy(json, "proxy", way->for_connect, by);
    if (way->for_plain != way->for_connect)
        config_put_proxy(json, "proxy_of_plain", way->for_plain, by);
}

void config_put_forward(struct jsonw *json, const struct upstream_config *proxy)
{
    const struct forward_config *forward = proxy->forward;

    jsonw_open_object(json, proxy->name);
    config_put_shared(json, proxy);
    jsonw_open_array(json, "ports");
    for (uint32_t i = 0; i < forward->port_count; i++)
        jsonw_u64(json, NULL, forward->ports[i]);
    jsonw_close_array(json);
    put_way(json, &forward->way);
    put_tunnel(json, &forward->tunnel);
    jsonw_open_array(json, "destinations");
    for (uint32_t i = 0; i < forward->count; i++)
        put_destination(json, proxy, i);
    jsonw_close_array(json);
    jsonw_close_object(json);
}
