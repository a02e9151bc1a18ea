#include "core/progress.h"

#include "base/invariant.h"
#include "base/number.h"
#include "core/budget.h"

void progress_begin(struct progress *progress, bool is_stream, int64_t sent_ns)
{
    *progress = (struct progress){
        .is_stream = is_stream,
        .sent_ns = sent_ns,
        .first_ns = NS_NEVER,
        .stands_since_ns = NS_NEVER,
    };
    min_rate_begin(&progress->rate);
}

/* What the clock shows. */
static int64_t clock_ns(const struct progress *progress, int64_t now_ns)
{
    int64_t running_ns = progress->stands_since_ns != NS_NEVER ? progress->stands_since_ns : now_ns;

    return running_ns - progress->stood_ns;
}

static void note_events(struct progress *progress, uint32_t events, int64_t now_ns)
{
    int64_t at_ns = clock_ns(progress, now_ns);

    if (progress->events == 0)
        progress->first_ns = now_ns;
    else if (at_ns - progress->last_ns > progress->longest_ns)
        progress->longest_ns = at_ns - progress->last_ns;
    progress->last_ns = at_ns;
    progress->events += events;
    POST(progress->first_ns <= now_ns && progress->longest_ns >= 0);
}

void progress_note(struct progress *progress, const struct progress_terms *terms, uint64_t bytes,
                   uint32_t events, int64_t now_ns)
{
    PRE(events == 0 || progress->is_stream);
    if (bytes != 0 && terms->rate.bytes != 0)
        min_rate_add(&progress->rate, &terms->rate, bytes, clock_ns(progress, now_ns));
    if (events != 0)
        note_events(progress, events, now_ns);
}

void progress_stand(struct progress *progress, bool stands, int64_t now_ns)
{
    bool stood = progress->stands_since_ns != NS_NEVER;

    if (stands == stood)
        return;
    PRE(!stood || now_ns >= progress->stands_since_ns);
    if (stood)
        progress->stood_ns += now_ns - progress->stands_since_ns;
    progress->stands_since_ns = stands ? now_ns : NS_NEVER;
}

int64_t progress_limit(const struct progress *progress, const struct progress_terms *terms, enum cause *cause)
{
    bool runs = progress->stands_since_ns == NS_NEVER;
    int64_t limit_ns = NS_NEVER, rate_ns;

    *cause = CAUSE_NONE;
    if (progress->is_stream && progress->events == 0) {
        limit_ns = budget_end(progress->sent_ns, terms->first_event_ns);
        *cause = CAUSE_FIRST_EVENT_LIMIT;
    } else if (progress->is_stream && runs) {
        limit_ns = budget_end(progress->last_ns + progress->stood_ns, terms->idle_ns);
        *cause = CAUSE_IDLE_LIMIT;
    }
    rate_ns = terms->rate.bytes != 0 && runs ? min_rate_end_ns(&progress->rate, &terms->rate) : NS_NEVER;
    rate_ns = budget_end(progress->stood_ns, rate_ns);
    if (rate_ns < limit_ns) {
        limit_ns = rate_ns;
        *cause = CAUSE_RATE_LIMIT;
    }
    return limit_ns;
}

int64_t progress_first_event_ns(const struct progress *progress)
{
    PRE(progress->events != 0);
    return progress->first_ns - progress->sent_ns;
}

int64_t progress_longest_gap_ns(const struct progress *progress, int64_t now_ns)
{
    int64_t gap_ns = progress->events != 0 ? clock_ns(progress, now_ns) - progress->last_ns : 0;

    return gap_ns > progress->longest_ns ? gap_ns : progress->longest_ns;
}
