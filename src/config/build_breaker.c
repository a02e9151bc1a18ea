#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "core/verdict.h"

static void read_statuses(struct build *b, const struct option_value *value, struct status_set *out)
{
    uint64_t code;

    *out = value->node != NULL ? (struct status_set){0} : verdict_bad_statuses;
    if (value->node == NULL)
        return;
    YAML_FOREACH(node, value->node) {
        if (number_u64(node->text, &code) != NUMBER_OK || !status_set_takes(code))
            report_value(b->errors, node, "%s is not a status of an error: a number from 400 to 599",
                         quote_text(node->text).text);
        else if (status_set_has(out, (uint32_t)code))
            report_value(b->errors, node, "%s is there twice", quote_text(node->text).text);
        else
            status_set_add(out, (uint32_t)code);
    }
}

/* The longest open time follows a long one, unless somebody has written that it is shorter. */
static int64_t read_open_max(struct build *b, const struct option_value *open,
                             const struct option_value *open_max)
{
    const int64_t otherwise_ns = 2 * NS_PER_S;

    if (open_max->node == NULL)
        return open->number > otherwise_ns ? open->number : otherwise_ns;
    if (open_max->number < open->number)
        report_value(b->errors, open_max->node, "is shorter than open, %s",
                     number_duration_text(open->number).text);
    return open_max->number;
}

enum status build_breaker(struct build *b, const struct option_values *values, enum option_id id,
                          const struct breaker_terms **out)
{
    const struct option_value *of = values->of;
    struct breaker_terms *terms;

    *out = NULL;
    if (!build_is_map(b, &of[id], NULL))
        return ST_OK;
    terms = arena_calloc(b->arena, 1, sizeof(*terms));
    if (terms == NULL)
        return ST_NOMEM;
    *terms = (struct breaker_terms){
        .failures = (uint32_t)of[OPT_BREAKER_FAILURES].number,
        .ratio_percent = (uint32_t)of[OPT_BREAKER_RATIO].number,
        .volume = (uint32_t)of[OPT_BREAKER_VOLUME].number,
        .window_ns = of[OPT_BREAKER_WINDOW].number,
        .open_ns = of[OPT_BREAKER_OPEN].number,
        .open_max_ns = read_open_max(b, &of[OPT_BREAKER_OPEN], &of[OPT_BREAKER_OPEN_MAX]),
        .probes = (uint32_t)of[OPT_BREAKER_PROBES].number,
        .verdict_ns = of[OPT_BREAKER_VERDICT].number,
    };
    read_statuses(b, &of[OPT_BREAKER_STATUSES], &terms->statuses);
    *out = terms;
    return ST_OK;
}

void build_check_volume(struct build *b, const struct option_values *values, const struct route_config *route)
{
    const struct yaml_node *node = values->of[OPT_BREAKER_VOLUME].node;
    const struct breaker_terms *breaker = route->breaker;
    const struct pool_config *pool = &b->pools[route->pool];
    uint64_t most;

    if (breaker == NULL || pool->rate_per_hour == 0)
        return;
    most = (uint64_t)((double)pool->rate_per_hour * (double)breaker->window_ns / (3600.0 * NS_PER_S)) +
           pool->rate_burst;
    if (breaker->volume > most)
        report_odd(
            b->errors, node != NULL ? node : values->of[OPT_UPSTREAM_BREAKER].node,
            "ratio never says anything: the pool's rate lets %llu calls start in %s, fewer than volume, %u",
            (unsigned long long)most, number_duration_text(breaker->window_ns).text, breaker->volume);
}
