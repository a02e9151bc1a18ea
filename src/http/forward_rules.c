#include "http/forward_rules.h"

bool forward_rules_drop(const struct forward_rules *rules, struct span name)
{
    for (uint32_t i = 0; i < rules->dropped_count; i++)
        if (rules->dropped[i].len == name.len && span_eq_nocase(rules->dropped[i], name))
            return true;
    return false;
}
