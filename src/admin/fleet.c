#include "admin/fleet.h"

#include "base/mem.h"
#include "proxy/fleet.h"
#include "stats/metric.h"

void fleet_put(struct jsonw *json, const struct proxy *proxy, uint32_t pool)
{
    struct fleet_figures figures;

    if (!fleet_figures(proxy->fleet, pool, &figures))
        return;
    jsonw_open_object(json, "fleet");
    jsonw_text(json, "name", figures.name);
    jsonw_u64(json, "size", figures.size);
    jsonw_u64(json, "granted", figures.granted);
    jsonw_u64(json, "total_granted", figures.total_granted);
    jsonw_u64(json, "hosts", figures.hosts);
    jsonw_u64(json, "waiting_hosts", figures.waiting_hosts);
    jsonw_text(json, "mode", fleet_mode_name(figures.mode));
    jsonw_u64(json, "lease_ms", (uint64_t)(figures.lease_seconds * 1000));
    jsonw_close_object(json);
}

bool fleet_is_store_away(const struct proxy *proxy)
{
    struct fleet_store_figures store;

    return fleet_store_figures(proxy->fleet, &store) && store.connected == 0;
}

static void expose_store(const struct fleet_store_figures *figures, struct exposition *out)
{
#define STORE_GAUGE(field, name, help)                                                                       \
    exposition_family(out, name, EXPOSITION_GAUGE, help);                                                    \
    exposition_sample(out, name, "");                                                                        \
    exposition_number(out, (double)figures->field);
#define STORE_HISTOGRAM(field, name, bounds, help)                                                           \
    metrics_render_histogram(name, help, metric_bounds_##bounds, figures->field, out);
#include "stats/metrics.def"
}

static void put_cells(struct exposition *out, const char *name, const char *pool, const char *label,
                      const char *(*namer)(uint32_t cell), const uint64_t *cells, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        exposition_sample(out, name, "");
        exposition_label(out, "pool", pool);
        exposition_label(out, label, namer(i));
        exposition_u64(out, cells[i]);
    }
}

static void expose_pools(const struct fleet_figures *all, uint32_t count, struct exposition *out)
{
#define EXPOSE(type, field, name, help, put)                                                                 \
    exposition_family(out, name, EXPOSITION_##type, help);                                                   \
    for (uint32_t i = 0; i < count; i++) {                                                                   \
        exposition_sample(out, name, "");                                                                    \
        exposition_label(out, "pool", all[i].pool);                                                          \
        put(out, all[i].field);                                                                              \
    }
#define FLEET_GAUGE(field, name, help)         EXPOSE(GAUGE, field, name, help, exposition_u64)
#define FLEET_COUNTER(field, name, help)       EXPOSE(COUNTER, field, name, help, exposition_u64)
#define FLEET_SECONDS(type, field, name, help) EXPOSE(type, field, name, help, exposition_number)
#define FLEET_CELLS(type, field, name, label, namer, cells, help)                                            \
    exposition_family(out, name, EXPOSITION_##type, help);                                                   \
    for (uint32_t i = 0; i < count; i++)                                                                     \
        put_cells(out, name, all[i].pool, label, namer, all[i].field, cells);
#include "stats/metrics.def"
#undef EXPOSE
}

enum status fleet_expose(const struct proxy *proxy, struct exposition *out)
{
    struct fleet_store_figures store;
    struct fleet_figures *all;
    uint32_t count = 0;

    if (!fleet_store_figures(proxy->fleet, &store))
        return ST_OK;
    all = mem_calloc(proxy->pool_count, sizeof(*all));
    if (all == NULL)
        return ST_NOMEM;
    for (uint32_t i = 0; i < proxy->pool_count; i++)
        if (fleet_figures(proxy->fleet, i, &all[count]))
            count++;
    expose_store(&store, out);
    expose_pools(all, count, out);
    mem_free(all);
    return ST_OK;
}
