#include "admin/pools.h"

#include "admin/respond.h"
#include "base/mem.h"

/* Members are named as the fields of struct pool_figures, like the metrics. */
static json_t *describe(const char *name, const struct pool_figures *figures)
{
    json_t *pool = json_pack("{s:s}", "name", name);
    bool whole = pool != NULL;

#define PUT(field)                                                                                           \
    whole = whole && json_object_set_new(pool, #field, json_integer((json_int_t)figures->field)) == 0;
#define POOL_GAUGE(field, name, help)   PUT(field)
#define POOL_COUNTER(field, name, help) PUT(field)
#include "core/metrics.def"
#undef PUT
    if (whole)
        return pool;
    json_decref(pool);
    return NULL;
}

static json_t *describe_all(const struct snapshot *snapshot, struct proxy *proxy)
{
    json_t *all = json_array();

    for (uint32_t i = 0; all && i < snapshot->pool_count; i++) {
        struct pool_figures figures = proxy_pool_figures(proxy, i);

        if (json_array_append_new(all, describe(snapshot->pools[i].name, &figures)) < 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

void pools_respond(struct evhttp_request *request, const struct snapshot *snapshot, struct proxy *proxy)
{
    /* "o" of a NULL makes the whole NULL. */
    respond_json(request, 200, json_pack("{s:o}", "pools", describe_all(snapshot, proxy)));
}

/* The figures are read once for each pool, so that what is said of one pool in several families fits together. */
enum status pools_expose(const struct snapshot *snapshot, struct proxy *proxy, struct exposition *out)
{
    struct pool_figures *figures = mem_calloc(snapshot->pool_count, sizeof(*figures));

    if (!figures)
        return ST_NOMEM;
    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        figures[i] = proxy_pool_figures(proxy, i);
#define EXPOSE(type, field, family, help)                                                                    \
    exposition_family(out, family, type, help);                                                              \
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {                                                    \
        exposition_sample(out, family, "");                                                                  \
        exposition_label(out, "pool", snapshot->pools[i].name);                                              \
        exposition_u64(out, figures[i].field);                                                               \
    }
#define POOL_GAUGE(field, name, help)   EXPOSE(EXPOSITION_GAUGE, field, name, help)
#define POOL_COUNTER(field, name, help) EXPOSE(EXPOSITION_COUNTER, field, name, help)
#include "core/metrics.def"
#undef EXPOSE
    mem_free(figures);
    return ST_OK;
}
