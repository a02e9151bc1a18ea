#include "config/lint_retries.h"

#include <inttypes.h>

#include "config/lint_warn.h"
#include "config/report.h"

static void check_per_try(const struct route_config *route, struct config_errors *out)
{
    const struct retries_config *retries = &route->retries;
    struct number_text per_try = number_duration_text(retries->per_try_ns);
    struct number_text deadline = number_duration_text(route->deadline_ns);

    if (retries->per_try_ns == NS_NEVER)
        return;
    if (retries->per_try_ns >= route->deadline_ns)
        lint_warn(out, retries->at.per_try, "",
                  "%s can never strike: the deadline is %s%s; less than that, or none, is right",
                  per_try.text, deadline.text, lint_line(route->at.deadline).text);
    else if (retries->per_try_ns > route->deadline_ns / retries->policy.attempts)
        lint_warn(
            out, retries->at.per_try, "",
            "%u tries of %s each are longer than the deadline, %s%s: the last ones never begin; %s, or fewer "
            "attempts, is right",
            retries->policy.attempts, per_try.text, deadline.text, lint_line(route->at.deadline).text,
            number_duration_text(route->deadline_ns / retries->policy.attempts / NS_PER_MS * NS_PER_MS).text);
}

static bool lists_status(const struct retry_when *when)
{
    return (when->statuses[0] | when->statuses[1] | when->statuses[2] | when->statuses[3]) != 0;
}

static void check_repeat(const struct upstream_config *upstream, const struct retries_config *retries,
                         struct config_errors *out)
{
    bool nothing_repeats = retries->methods == 0 && retries->key.len == 0 && !retries->policy.refused;

    if (nothing_repeats && lists_status(&retries->policy.when))
        lint_warn(
            out, retries->at.when, "retries.when",
            "a status is listed, and no request may be sent again after one: repeat has neither methods nor a "
            "key, nor is refused true; one of them, or no status, is right");
    if (retries->at.key && retries->key.len != 0 && !upstream->tls.enabled)
        lint_warn(
            out, retries->at.key, "",
            "%.*s makes a payment safe to repeat only at an API that honours it, and this one is reached "
            "without TLS; https:// is right",
            SPAN_FMT(retries->key));
    if (retries->at.burst && upstream->retry_burst == 0)
        lint_warn(out, retries->at.burst, "",
                  "a bucket that holds no token has none for any retry: there will be none; 10 is usual, or "
                  "retries: none");
    else if (retries->at.share && upstream->retry_share_percent == 0)
        lint_warn(out, retries->at.share, "",
                  "with a share of 0%% no token ever comes back: after %" PRIu32
                  " retries there are none for good; "
                  "20%% is usual",
                  upstream->retry_burst);
}

static const struct upstream_config *fallback_of(const struct upstream_config *upstream)
{
    const struct retries_config *retries = &upstream->default_route.retries;

    return retries_are_on(retries) ? retries->fallback : NULL;
}

/* Do the fallbacks from `next` on lead back to the upstream? Through how many others, the first included; 0: no. */
static uint32_t circle_length(const struct upstream_config *upstream, const struct upstream_config *next,
                              uint32_t most)
{
    for (uint32_t length = 1; next != NULL && length <= most; length++) {
        next = fallback_of(next);
        if (next == upstream)
            return length;
    }
    return 0;
}

static void check_fallback(const struct snapshot *snapshot, const struct upstream_config *upstream,
                           const struct retries_config *retries, struct config_errors *out)
{
    const struct upstream_config *next = retries->fallback;
    uint32_t length;

    if (!retries->at.fallback)
        return;
    length = circle_length(upstream, next, snapshot->upstream_count);
    if (!next)
        lint_warn(
            out, retries->at.fallback, "",
            "%s can't fall back to itself: its tries all go to the same API; another upstream, or none, is right",
            upstream->name);
    else if (length == 1)
        lint_warn(
            out, retries->at.fallback, "",
            "%s and %s fall back to each other: when one of them fails, the other gets the calls of both; "
            "a third one, or one direction, is right",
            upstream->name, next->name);
    else if (length > 1)
        lint_warn(out, retries->at.fallback, "",
                  "%s falls back to %s, and through %u more the circle comes back to it: when one fails, the "
                  "next one gets the calls of both; an end, one without a fallback, is right",
                  upstream->name, next->name, length - 1);
}

/* The try that it would begin beside holds the only one. */
static void check_hedge(const struct snapshot *snapshot, const struct route_config *route,
                        struct config_errors *out)
{
    const struct retries_config *retries = &route->retries;

    if (retries->hedges && !retries->fallback && snapshot->pools[route->pool].size == 1)
        lint_warn(
            out, retries->at.per_try, "",
            "hedge never finds a permit free: the pool has one, and the first try holds it; a pool of 2 or "
            "more, or no hedge, is right");
}

static void check_retries(const struct snapshot *snapshot, const struct upstream_config *upstream,
                          const struct route_config *route, struct config_errors *out)
{
    if (!retries_are_on(&route->retries))
        return;
    check_per_try(route, out);
    check_repeat(upstream, &route->retries, out);
    check_fallback(snapshot, upstream, &route->retries, out);
    check_hedge(snapshot, route, out);
}

void lint_retries(const struct snapshot *snapshot, struct config_errors *out)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        check_retries(snapshot, upstream, &upstream->default_route, out);
        for (uint32_t r = 0; r < upstream->route_count; r++)
            check_retries(snapshot, upstream, &upstream->routes[r], out);
    }
}
