#include "core/tunnel.h"

#include "base/invariant.h"
#include "core/budget.h"

void tunnel_begin(struct tunnel *tunnel)
{
    *tunnel = (struct tunnel){.first = TUNNEL_END_NONE};
}

void tunnel_note_end(struct tunnel *tunnel, enum tunnel_end side)
{
    PRE(side == TUNNEL_END_CALLER || side == TUNNEL_END_UPSTREAM);
    if (side == TUNNEL_END_CALLER)
        tunnel->up_is_over = true;
    else
        tunnel->down_is_over = true;
    if (tunnel->first == TUNNEL_END_NONE)
        tunnel->first = side;
}

int64_t tunnel_limit(const struct tunnel *tunnel, const struct tunnel_terms *terms, int64_t moved_ns,
                     enum cause *cause)
{
    bool is_half = tunnel->up_is_over || tunnel->down_is_over;

    if (is_half && terms->idle_ns > TUNNEL_HALF_NS) {
        *cause = CAUSE_CALLER_GONE;
        return budget_end(moved_ns, TUNNEL_HALF_NS);
    }
    *cause = CAUSE_IDLE_LIMIT;
    return budget_end(moved_ns, terms->idle_ns);
}

enum tunnel_end tunnel_end_of(const struct tunnel *tunnel, enum cause cause)
{
    switch (cause) {
    case CAUSE_NONE:
    case CAUSE_CALLER_GONE: return tunnel->first != TUNNEL_END_NONE ? tunnel->first : TUNNEL_END_CALLER;
    case CAUSE_DEADLINE: return TUNNEL_END_LIFETIME;
    case CAUSE_IDLE_LIMIT: return TUNNEL_END_IDLE;
    case CAUSE_OPERATOR: return TUNNEL_END_OPERATOR;
    case CAUSE_DRAIN_OVER: return TUNNEL_END_DRAIN;
    default: return TUNNEL_END_ERROR;
    }
}

enum cause tunnel_cause_of(enum tunnel_end end, enum cause cause)
{
    static const enum cause causes[TUNNEL_END_COUNT] = {
#define TUNNEL_END(id, name, its_cause) [TUNNEL_END_##id] = (its_cause),
#include "core/tunnel_ends.def"
#undef TUNNEL_END
    };

    PRE(end < TUNNEL_END_COUNT);
    return end == TUNNEL_END_ERROR ? cause : causes[end];
}

const char *tunnel_end_name(enum tunnel_end end)
{
    static const char *const names[TUNNEL_END_COUNT] = {
#define TUNNEL_END(id, name, cause) [TUNNEL_END_##id] = (name),
#include "core/tunnel_ends.def"
#undef TUNNEL_END
    };

    return end < TUNNEL_END_COUNT ? names[end] : NULL;
}
