#include "admin/pools.h"

#include "admin/fleet.h"
#include "admin/respond.h"
#include "base/mem.h"
#include "proxy/generation.h"

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

/* Members are named as the fields of struct pool_figures, like the metrics. */
static void put_pool(struct jsonw *json, const char *name, const struct pool_figures *figures)
{
    jsonw_open_object(json, NULL);
    jsonw_text(json, "name", name);
#define POOL_GAUGE(field, name, help)   jsonw_u64(json, #field, figures->field);
#define POOL_COUNTER(field, name, help) jsonw_u64(json, #field, figures->field);
#define RATE_GAUGE(field, name, help)                                                                        \
    if (figures->has_rate)                                                                                   \
        jsonw_real(json, #field, figures->field, 6);
#define RATE_COUNTER(field, name, help)                                                                      \
    if (figures->has_rate)                                                                                   \
        jsonw_u64(json, #field, figures->field);
#define PAUSE_GAUGE(field, name, help)                                                                       \
    if (figures->has_pause)                                                                                  \
        jsonw_real(json, #field, figures->field, 3);
#define PAUSE_COUNTER(field, name, help)                                                                     \
    if (figures->has_pause)                                                                                  \
        jsonw_u64(json, #field, figures->field);
#include "stats/metrics.def"
}

void pools_respond(struct admin_request *request, struct proxy *proxy)
{
    const char **names = pools_name_all(proxy);
    struct json_answer answer;
    struct jsonw *json = json_answer_begin(&answer);

    answer.content.is_incomplete |= names == NULL;
    jsonw_open_array(json, "pools");
    for (uint32_t i = 0; names != NULL && i < proxy->pool_count; i++) {
        struct pool_figures figures;

        if (names[i] == NULL)
            continue;
        figures = proxy_pool_figures(proxy, i);
        put_pool(json, names[i], &figures);
        fleet_put(json, proxy, i);
        jsonw_close_object(json);
    }
    jsonw_close_array(json);
    mem_free(names);
    json_answer_send(&answer, request, 500);
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
#define EXPOSE(type, field, family, help, is_of, put)                                                        \
    exposition_family(out, family, type, help);                                                              \
    for (uint32_t i = 0; i < proxy->pool_count; i++) {                                                       \
        if (!names[i] || !(is_of))                                                                           \
            continue;                                                                                        \
        exposition_sample(out, family, "");                                                                  \
        exposition_label(out, "pool", names[i]);                                                             \
        put(out, figures[i].field);                                                                          \
    }
#define POOL_GAUGE(field, name, help)   EXPOSE(EXPOSITION_GAUGE, field, name, help, true, exposition_u64)
#define POOL_COUNTER(field, name, help) EXPOSE(EXPOSITION_COUNTER, field, name, help, true, exposition_u64)
#define RATE_GAUGE(field, name, help)                                                                        \
    EXPOSE(EXPOSITION_GAUGE, field, name, help, figures[i].has_rate, exposition_number)
#define RATE_COUNTER(field, name, help)                                                                      \
    EXPOSE(EXPOSITION_COUNTER, field, name, help, figures[i].has_rate, exposition_u64)
#define PAUSE_GAUGE(field, name, help)                                                                       \
    EXPOSE(EXPOSITION_GAUGE, field, name, help, figures[i].has_pause, exposition_number)
#define PAUSE_COUNTER(field, name, help)                                                                     \
    EXPOSE(EXPOSITION_COUNTER, field, name, help, figures[i].has_pause, exposition_u64)
#include "stats/metrics.def"
#undef EXPOSE
    mem_free(figures);
    mem_free(names);
    return ST_OK;
}
