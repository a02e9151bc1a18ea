#include "config/build.h"
#include "config/report.h"

/* The longest time follows a long one, unless somebody has written that it is shorter. */
static int64_t read_time_max(struct build *b, const struct option_value *time,
                             const struct option_value *time_max)
{
    if (time_max->number >= time->number)
        return time_max->number;
    if (time_max->node != NULL)
        report_value(b->errors, time_max->node, "is shorter than time, %s",
                     number_duration_text(time->number).text);
    return time->number;
}

enum status build_ejection(struct build *b, struct build_upstream *u)
{
    const struct option_value *of = u->values.of;
    const struct yaml_node *node = of[OPT_ADDRESSES_EJECT].node;

    if (!build_is_map(b, &of[OPT_ADDRESSES_EJECT], NULL))
        return ST_OK;
    if (u->url.host_is_ip && node->parent != NULL && node->parent->parent == u->node)
        report_odd(b->errors, node,
                   "never leaves anything out: the url has one address; a breaker is for that");
    u->out->origin.eject = (struct ejection_terms){
        .failures = (uint32_t)of[OPT_EJECT_FAILURES].number,
        .time_ns = of[OPT_EJECT_TIME].number,
        .time_max_ns = read_time_max(b, &of[OPT_EJECT_TIME], &of[OPT_EJECT_TIME_MAX]),
    };
    return ST_OK;
}
