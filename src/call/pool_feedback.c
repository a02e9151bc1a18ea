#include "call/pool_feedback.h"

#include <time.h>

#include "base/invariant.h"
#include "base/number.h"
#include "core/verdict.h"
#include "http/retry_after.h"
#include "runtime/loop.h"

static bool is_good(uint16_t status)
{
    return verdict_of_status(status, &verdict_bad_statuses) == VERDICT_GOOD;
}

static void adapt(struct pool *pool, struct loop *loop, const struct route_config *route, uint16_t status)
{
    if (status_set_has(route->refusals, status))
        pool_note_refused(pool, loop);
    else if (is_good(status))
        pool_note_good(pool, loop);
}

/* What the API asks for is kept to as far as `max` goes. What can't be read asks for nothing. */
static void heed_retry_after(struct pool *pool, struct loop *loop, const struct pause_config *pause,
                             const struct http1_head *head)
{
    struct timespec today;
    int64_t wait_ns;

    clock_gettime(CLOCK_REALTIME, &today);
    if (retry_after_read(head, (int64_t)today.tv_sec * NS_PER_S + today.tv_nsec, &wait_ns) !=
        RETRY_AFTER_READ)
        return;
    if (wait_ns > pause->max_ns)
        wait_ns = pause->max_ns;
    pool_pause(pool, loop, loop_now(loop) + wait_ns);
}

void pool_feedback(struct pool *pool, struct loop *loop, const struct pool_ticket *ticket,
                   const struct route_config *route, const struct http1_head *head)
{
    const struct pause_config *pause;

    PRE(!http1_is_interim(head->code) && ticket->permit.state == PERMIT_HELD);
    if (route->refusals != NULL)
        adapt(pool, loop, route, head->code);
    if (route->waits == NULL || route->waits->pause.max_ns == 0)
        return;
    pause = &route->waits->pause;
    if (status_set_has(&pause->statuses, head->code))
        heed_retry_after(pool, loop, pause, head);
    else if (ticket->permit.round != 0 && is_good(head->code))
        pool_answered(pool, ticket);
}
