#include "http/forward_rules.h"

void forward_rules_set_dropped(struct forward_rules *rules, const struct span *names, uint32_t count)
{
    rules->dropped = names;
    rules->dropped_count = count;
    rules->dropped_lens = 0;
    for (uint32_t i = 0; i < count; i++)
        rules->dropped_lens |= UINT64_C(1) << (names[i].len % 64);
}

bool forward_rules_drop_one_of(const struct forward_rules *rules, struct span name)
{
    for (uint32_t i = 0; i < rules->dropped_count; i++)
        if (rules->dropped[i].len == name.len && span_eq_nocase(rules->dropped[i], name))
            return true;
    return false;
}
