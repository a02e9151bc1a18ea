#include "proxy/retry_budgets.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "core/retry_tokens.h"
#include "proxy/proxy.h"

static bool make_room(struct proxy *proxy, uint32_t count)
{
    struct retry_tokens **all;

    if (count <= proxy->retry_token_count)
        return true;
    all = mem_realloc(proxy->retry_tokens, count * sizeof(struct retry_tokens *));
    if (all == NULL)
        return false;
    proxy->retry_tokens = all;
    for (; proxy->retry_token_count < count; proxy->retry_token_count++)
        all[proxy->retry_token_count] = NULL;
    return true;
}

bool retry_budgets_prepare(struct proxy *proxy, struct snapshot *snapshot)
{
    if (!make_room(proxy, proxy->numbering.upstreams.count))
        return false;
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        struct upstream_config *upstream = &snapshot->upstreams[i];
        struct retry_tokens **place = &proxy->retry_tokens[upstream->index];

        PRE(upstream->index < proxy->retry_token_count);
        if (*place == NULL)
            *place = mem_zalloc(sizeof(**place));
        if (*place == NULL)
            return false;
        upstream->retry_tokens = *place;
    }
    return true;
}

void retry_budgets_commit(const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        if (upstream->is_new)
            retry_tokens_init(upstream->retry_tokens, upstream->retry_burst, upstream->retry_share_percent);
        else
            retry_tokens_set(upstream->retry_tokens, upstream->retry_burst, upstream->retry_share_percent);
    }
}

void retry_budgets_free(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->retry_token_count; i++)
        mem_free(proxy->retry_tokens[i]);
    mem_free(proxy->retry_tokens);
}
