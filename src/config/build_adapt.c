#include "config/build.h"

#include "base/number.h"
#include "config/quote.h"
#include "config/report.h"

/* What the options say of themselves, where nothing is written. */
static const uint32_t default_when[] = {429, 503};

static void take_when(struct build *b, const struct yaml_node *list, struct status_set *out)
{
    uint64_t code;

    for (size_t i = 0; !list && i < sizeof(default_when) / sizeof(default_when[0]); i++)
        status_set_add(out, default_when[i]);
    if (!list)
        return;
    YAML_FOREACH(node, list) {
        if (number_u64(node->text, &code) == NUMBER_OK && status_set_takes(code))
            status_set_add(out, (uint32_t)code);
        else
            report_value(b->errors, node, "%s is no status by which an API refuses: %u to %u",
                         quote_text(node->text).text, STATUS_SET_MIN, STATUS_SET_END - 1);
    }
}

struct adapt_config build_adapt(struct build *b, const struct option_values *values)
{
    const struct option_value *of = values->of;
    const struct yaml_node *node = of[OPT_POOL_ADAPT].node;
    struct adapt_config adapt = {0};

    if (!node)
        return adapt;
    if (node->kind == YAML_TEXT) {
        if (!span_eq(node->text, SPAN_LIT("none")))
            report_value(b->errors, node, "%s is no way to adapt; write none, or {min: 5, when: [429, 503]}",
                         quote_text(node->text).text);
        return adapt;
    }
    adapt.min = (uint32_t)of[OPT_ADAPT_MIN].number;
    if (of[OPT_ADAPT_MIN].node && of[OPT_ADAPT_MIN].number > of[OPT_POOL_SIZE].number)
        report_value(b->errors, of[OPT_ADAPT_MIN].node, "is more than the pool has permits, %lld",
                     (long long)of[OPT_POOL_SIZE].number);
    take_when(b, of[OPT_ADAPT_WHEN].node, &adapt.when);
    return adapt;
}
