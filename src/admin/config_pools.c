#include "admin/config_pools.h"

#include "admin/config_values.h"
#include "base/number.h"

static void put_pause(struct jsonw *json, const struct pause_config *pause)
{
    if (pause->max_ns == 0) {
        jsonw_text(json, "pause", "none");
        return;
    }
    jsonw_open_object(json, "pause");
    config_put_statuses(json, "statuses", &pause->statuses);
    config_put_duration(json, "max", pause->max_ns);
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
    config_put_statuses(json, "when", &adapt->when);
    jsonw_close_object(json);
}

static void put_least(struct jsonw *json, const struct pool_config *pool)
{
    if (pool->least_ns == LEAST_IS_P95)
        jsonw_text(json, "least", "p95");
    else
        config_put_duration(json, "least", pool->least_ns);
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

static void put_fleet(struct jsonw *json, const struct pool_config *pool)
{
    if (pool->fleet == NULL)
        jsonw_bool(json, "fleet", false);
    else
        jsonw_text(json, "fleet", pool->fleet);
    jsonw_u64(json, "host_size", pool->host_size);
    jsonw_u64(json, "weight", pool->weight);
    jsonw_u64(json, "reserve", pool->reserve);
}

void config_put_pools(struct jsonw *json, const struct snapshot *snapshot)
{
    jsonw_open_object(json, "pools");
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *pool = &snapshot->pools[i];

        jsonw_open_object(json, pool->name);
        jsonw_u64(json, "size", pool->size);
        jsonw_u64(json, "queue", pool->queue_size);
        config_put_duration(json, "queue_timeout", pool->queue_timeout_ns);
        config_put_duration(json, "linger", pool->linger_ns);
        put_adapt(json, &pool->adapt);
        put_least(json, pool);
        jsonw_string(json, "share_by", find_share(pool));
        put_rate(json, pool);
        put_pause(json, &pool->pause);
        put_fleet(json, pool);
        jsonw_close_object(json);
    }
    jsonw_close_object(json);
}
