#include "stats/recent.h"

#include "base/invariant.h"

void recent_add_route(struct recent_totals *totals, const struct route_metrics *route)
{
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++)
        totals->rejected[cause] += route->rejected[cause];
    totals->retries += metric_sum(route->tries_started, TRY_KIND_COUNT) - route->tries_started[TRY_FIRST];
    totals->saved += route->saved[0];
}

void recent_add_upstream(struct recent_totals *totals, const struct upstream_metrics *upstream)
{
    totals->budget_stops += upstream->retries_stopped[RETRY_STOP_BUDGET];
    totals->h2_callers += upstream->http2_calls[SIDE_DOWNSTREAM];
    totals->h2_apis += upstream->http2_calls[SIDE_UPSTREAM];
    totals->dns_stale += upstream->dns_answers[DNS_STALE];
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        totals->first_event.bucket[i] += upstream->first_event.bucket[i];
}

static bool have_begun_anew(const struct recent_totals *now, const struct recent_totals *last)
{
    bool anew = now->retries < last->retries || now->saved < last->saved ||
                now->budget_stops < last->budget_stops || now->dns_stale < last->dns_stale ||
                now->h2_callers < last->h2_callers || now->h2_apis < last->h2_apis;

    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++)
        anew |= now->rejected[cause] < last->rejected[cause];
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        anew |= now->first_event.bucket[i] < last->first_event.bucket[i];
    return anew;
}

void recent_begin(struct recent *recent, int64_t second, const struct recent_totals *totals)
{
    recent->last = recent->marks[0] = *totals;
    recent->newest = 0;
    recent->count = 1;
    recent->marked = second;
}

void recent_put(struct recent *recent, int64_t second, const struct recent_totals *totals)
{
    static const struct recent_totals nothing;

    if (have_begun_anew(totals, &recent->last))
        recent_begin(recent, second, &nothing);
    recent->last = *totals;
    if (second - recent->marked > RECENT_MARKS * RECENT_STEP_S)
        recent->count = 0; /* nobody looked for longer than a minute */
    if (second - recent->marked < RECENT_STEP_S)
        return;
    recent->newest = (recent->newest + 1) % RECENT_MARKS;
    recent->marks[recent->newest] = *totals;
    recent->marked = second;
    if (recent->count < RECENT_MARKS)
        recent->count++;
}

struct recent_totals recent_minute(const struct recent *recent)
{
    const struct recent_totals *since =
        &recent->marks[(recent->newest + RECENT_MARKS + 1 - recent->count) % RECENT_MARKS];
    struct recent_totals minute = recent->last;

    PRE(recent->count != 0 && recent->count <= RECENT_MARKS);
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++)
        minute.rejected[cause] -= since->rejected[cause];
    minute.retries -= since->retries;
    minute.saved -= since->saved;
    minute.budget_stops -= since->budget_stops;
    minute.h2_callers -= since->h2_callers;
    minute.h2_apis -= since->h2_apis;
    minute.dns_stale -= since->dns_stale;
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        minute.first_event.bucket[i] -= since->first_event.bucket[i];
    return minute;
}
