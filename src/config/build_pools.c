#include <string.h>

#include "base/number.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "config/suggest.h"
#include "http/http1.h"

static struct pool_config *find(const struct build *b, const char *name, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(b->pools[i].name, name) == 0)
            return &b->pools[i];
    }
    return NULL;
}

bool build_has_pool(const struct build *b, const char *name)
{
    return find(b, name, b->snapshot->pool_count) != NULL;
}

/* A map that is on, or "none": false. */
static bool is_on(struct build *b, const struct yaml_node *node, const char *hint)
{
    if (node && node->kind == YAML_TEXT && !span_eq(node->text, SPAN_LIT("none")))
        report_value(b->errors, node, "%s is no map and not none; write %s", quote_text(node->text).text,
                     hint);
    return node && node->kind == YAML_MAP;
}

static void build_rate(struct build *b, const struct option_values *values, struct pool_config *out)
{
    const struct yaml_node *node = values->of[OPT_POOL_RATE].node;
    int64_t per_hour = values->of[OPT_RATE_LIMIT].number;

    out->rate_burst = (uint32_t)values->of[OPT_RATE_BURST].number;
    if (!is_on(b, node, "rate: {limit: 100/s}"))
        return;
    if (!values->of[OPT_RATE_LIMIT].is_written)
        report_missing(b->errors, node, "limit");
    else if (per_hour != NS_NEVER)
        out->rate_per_hour = (uint32_t)per_hour;
}

static void build_pause(struct build *b, const struct option_values *values, struct pause_config *out)
{
    const struct yaml_node *node = values->of[OPT_POOL_PAUSE].node;
    const struct yaml_node *statuses = values->of[OPT_PAUSE_STATUSES].node;
    uint64_t code;

    if (!is_on(b, node, "pause: {statuses: [429]}"))
        return;
    if (!statuses || (statuses->count == 1 && span_eq(statuses->first->text, SPAN_LIT("none")))) {
        out->void_at = values->of[OPT_POOL_PAUSE].place;
        return;
    }
    out->max_ns = values->of[OPT_PAUSE_MAX].number;
    YAML_FOREACH(item, statuses) {
        if (number_u64(item->text, &code) == NUMBER_OK && status_set_takes(code))
            status_set_add(&out->statuses, (uint32_t)code);
        else
            report_value(b->errors, item, "%s is no status of an error: %u to %u",
                         quote_text(item->text).text, STATUS_SET_MIN, STATUS_SET_END - 1);
    }
}

static enum status build_share(struct build *b, const struct option_values *values, struct pool_config *out)
{
    const struct yaml_node *node = values->of[OPT_POOL_SHARE_BY].node;

    if (!node || span_eq(node->text, SPAN_LIT("none")))
        return ST_OK;
    out->shares_by_caller = span_eq(node->text, SPAN_LIT("caller"));
    if (out->shares_by_caller)
        return ST_OK;
    if (!http1_is_token(node->text))
        report_value(b->errors, node, "%s is no name of a field, nor caller", quote_text(node->text).text);
    out->share_by = (struct span){arena_text(b->arena, node->text), node->text.len};
    return out->share_by.ptr ? ST_OK : ST_NOMEM;
}

static enum status add(struct build *b, const char *name, const struct option_values *values, uint32_t *out)
{
    uint32_t index = b->snapshot->pool_count++;

    b->pools[index] = (struct pool_config){
        .name = name,
        .index = index,
        .size = (uint32_t)values->of[OPT_POOL_SIZE].number,
        .queue_size = (uint32_t)values->of[OPT_POOL_QUEUE].number,
        .queue_timeout_ns = values->of[OPT_POOL_QUEUE_TIMEOUT].number,
        .linger_ns = values->of[OPT_POOL_LINGER].number,
        .adapt = build_adapt(b, values),
        .least_ns = values->of[OPT_POOL_LEAST].number,
        .host_size = (uint32_t)values->of[OPT_POOL_SIZE].number,
        .size_at = values->of[OPT_POOL_SIZE].place,
        .queue_at = values->of[OPT_POOL_QUEUE].place,
        .queue_timeout_at = values->of[OPT_POOL_QUEUE_TIMEOUT].place,
        .least_at = values->of[OPT_POOL_LEAST].place,
    };
    build_rate(b, values, &b->pools[index]);
    build_pause(b, values, &b->pools[index].pause);
    *out = index;
    if (build_pool_fleet(b, values, &b->pools[index]) != ST_OK)
        return ST_NOMEM;
    return build_share(b, values, &b->pools[index]);
}

enum status build_pools(struct build *b, const struct option_values *builtin, const struct yaml_node *pools,
                        uint32_t own_count)
{
    b->pools = arena_calloc(b->arena, (pools ? pools->count : 0) + own_count, sizeof(*b->pools));
    if (!b->pools)
        return ST_NOMEM;
    b->snapshot->pools = b->pools;
    for (const struct yaml_node *node = pools ? pools->first : NULL; node; node = node->next) {
        struct option_values values = *builtin;
        const char *name = arena_text(b->arena, node->key);
        uint32_t index;

        if (!name)
            return ST_NOMEM;
        build_check_name(b, node);
        if (schema_read(&values, SECTION_POOL, node, b->scratch, b->errors) != ST_OK ||
            build_places(b, &values) != ST_OK)
            return ST_NOMEM;
        if (add(b, name, &values, &index) != ST_OK)
            return ST_NOMEM;
    }
    b->shared_pool_count = b->snapshot->pool_count;
    return ST_OK;
}

static void report_unknown(struct build *b, const struct yaml_node *node)
{
    struct suggestion suggestion = suggest_for(node->text);
    uint64_t size;

    if (number_u64(node->text, &size) == NUMBER_OK) {
        report_value(b->errors, node, "a text is the name of one in pools; write {size: %.20s}",
                     node->text.ptr);
        return;
    }
    for (uint32_t i = 0; i < b->shared_pool_count; i++)
        suggest_offer(&suggestion, span_of(b->pools[i].name));
    report_value(b->errors, node, "there is no %s in pools%s", quote_text(node->text).text,
                 suggest_text(&suggestion).text);
}

enum status build_pool(struct build *b, const struct option_values *values, enum option_id id,
                       const struct yaml_node *node, const char *own_name, uint32_t *index)
{
    const struct yaml_node *choice = values->of[id].node;
    const struct pool_config *shared;

    if (choice && choice->kind == YAML_TEXT) {
        shared = find(b, choice->text.ptr, b->shared_pool_count);
        if (shared)
            *index = (uint32_t)(shared - b->pools);
        else
            report_unknown(b, choice);
        return ST_OK;
    }
    if (find(b, own_name, b->shared_pool_count))
        report_key(b->errors, node, "its own pool would be named like one in pools; share that with pool: %s",
                   own_name);
    return add(b, own_name, values, index);
}
