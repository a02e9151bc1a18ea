#include "admin/pools.h"

#include "admin/respond.h"
#include "base/mem.h"
#include "proxy/generation.h"

/* Members are named as the fields of struct pool_figures, like the metrics. */
static json_t *describe(const char *name, const struct pool_figures *figures)
{
    json_t *pool = json_pack("{s:s}", "name", name);
    bool whole = pool != NULL;

#define PUT(field)                                                                                           \
    whole = whole && json_object_set_new(pool, #field, json_integer((json_int_t)figures->field)) == 0;
#define POOL_GAUGE(field, name, help)   PUT(field)
#define POOL_COUNTER(field, name, help) PUT(field)
#include "stats/metrics.def"
#undef PUT
    if (whole)
        return pool;
    json_decref(pool);
    return NULL;
}

const char **pools_name_all(const struct proxy *proxy)
{
    const char **names = mem_calloc(proxy->pool_count, sizeof(char *));

    LIST_FOREACH(node, &proxy->generations) {
        const struct snapshot *snapshot = CONTAINER_OF(node, struct generation, node)->snapshot;

        for (uint32_t i = 0; names != NULL && i < snapshot->pool_count; i++)
            names[snapshot->pools[i].index] = snapshot->pools[i].name;
    }
    return names;
}

static json_t *describe_all(struct proxy *proxy)
{
    const char **names = pools_name_all(proxy);
    json_t *all = names ? json_array() : NULL;

    for (uint32_t i = 0; all && i < proxy->pool_count; i++) {
        struct pool_figures figures;

        if (!names[i])
            continue;
        figures = proxy_pool_figures(proxy, i);
        if (json_array_append_new(all, describe(names[i], &figures)) < 0) {
            json_decref(all);
            all = NULL;
        }
    }
    mem_free(names);
    return all;
}

void pools_respond(struct evhttp_request *request, struct proxy *proxy)
{
    /* "o" of a NULL makes the whole NULL. */
    respond_json(request, 200, json_pack("{s:o}", "pools", describe_all(proxy)));
}

/* The figures are read once for each pool, so that what is said of one pool in several families fits together. */
enum status pools_expose(struct proxy *proxy, struct exposition *out)
{
    struct pool_figures *figures = mem_calloc(proxy->pool_count, sizeof(*figures));
    const char **names = pools_name_all(proxy);

    if (!figures || !names) {
        mem_free(figures);
        mem_free(names);
        return ST_NOMEM;
    }
    for (uint32_t i = 0; i < proxy->pool_count; i++)
        figures[i] = proxy_pool_figures(proxy, i);
#define EXPOSE(type, field, family, help)                                                                    \
    exposition_family(out, family, type, help);                                                              \
    for (uint32_t i = 0; i < proxy->pool_count; i++) {                                                       \
        if (!names[i])                                                                                       \
            continue;                                                                                        \
        exposition_sample(out, family, "");                                                                  \
        exposition_label(out, "pool", names[i]);                                                             \
        exposition_u64(out, figures[i].field);                                                               \
    }
#define POOL_GAUGE(field, name, help)   EXPOSE(EXPOSITION_GAUGE, field, name, help)
#define POOL_COUNTER(field, name, help) EXPOSE(EXPOSITION_COUNTER, field, name, help)
#include "stats/metrics.def"
#undef EXPOSE
    mem_free(figures);
    mem_free(names);
    return ST_OK;
}
