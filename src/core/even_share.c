#include "core/even_share.h"

#include "base/invariant.h"

/*
 * The worker with the fewest always takes. Short connections come and go in such numbers that one has a few more than
 * another at every instant, which is no reason for any of them to wait.
 */
static bool has_its_share(uint32_t own, uint32_t all, uint32_t workers)
{
    uint32_t share = all / workers;

    return own > share + EVEN_SHARE_SLACK + share / 64;
}

bool even_share_takes(struct even_share *share, uint32_t own, uint32_t all, uint32_t workers, int64_t now_ns)
{
    PRE(workers > 0);
    if (!has_its_share(own, all, workers)) {
        share->pauses = 0;
        return true;
    }
    if (now_ns - share->resumed_ns > EVEN_SHARE_AT_ONCE_NS)
        share->pauses = 0;
    if (share->pauses < EVEN_SHARE_PAUSES) {
        share->pauses++;
        return false;
    }
    share->pauses = 0;
    return true;
}

void even_share_resume(struct even_share *share, int64_t now_ns)
{
    share->resumed_ns = now_ns;
}
