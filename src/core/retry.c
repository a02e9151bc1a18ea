#include "core/retry.h"

#include "base/invariant.h"

#define TRIES_MAX 2

enum retry retry_decide(const struct retry_facts *facts, const struct try_result *result)
{
    bool is_stale = result->closed && result->reused && !result->answered;

    bool may_go_again = (is_stale && facts->repeatable) || (result->refused && facts->whole);

    PRE(facts->tries != 0);
    return may_go_again && facts->tries < TRIES_MAX ? RETRY_AT_ONCE : RETRY_GIVE_UP;
}
