#include "app/advise_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "view/advise.h"
#include "view/format.h"

/* As long as something lasted; short. */
static struct number_text period(int64_t us)
{
    struct number_text figure = {""};
    struct text t = text_over(figure.text, sizeof(figure.text) - 1);

    format_put_time(&t, us / 1000);
    return figure;
}

static struct number_text rate(double per_second)
{
    struct number_text figure = {""};
    struct text t = text_over(figure.text, sizeof(figure.text) - 1);

    format_put_rate(&t, per_second);
    TEXT_LIT(&t, "/s");
    return figure;
}

/* Below 0: not known. */
static struct number_text share(double part)
{
    struct number_text figure = {"?"};

    if (part >= 0)
        snprintf(figure.text, sizeof(figure.text), "%.3g%%", part * 100);
    return figure;
}

static struct number_text percent(uint64_t ppm)
{
    return share((double)ppm / (double)ADVISE_PPM);
}

/* ---- what is asked for ---------------------------------------------------------------------------------------- */

bool advise_wants_route(const struct advise_question *question, const struct duration_route *route)
{
    return question->upstream == NULL || strcmp(question->upstream, route->upstream) == 0;
}

bool advise_wants_pool(const struct advise_question *question, const struct duration_pool *pool)
{
    for (uint32_t i = 0; i < question->durations->route_count; i++) {
        const struct duration_route *route = &question->durations->routes[i];

        if (advise_wants_route(question, route) && strcmp(route->pool, pool->name) == 0)
            return true;
    }
    return false;
}

uint64_t advise_strictest(const struct advise_question *question)
{
    uint64_t strictest = question->rates_ppm[0];

    for (uint32_t i = 1; i < question->rate_count; i++)
        if (question->rates_ppm[i] < strictest)
            strictest = question->rates_ppm[i];
    return strictest;
}

/* ---- a route ---------------------------------------------------------------------------------------------------- */

/* What the deadline of a row is called in the configuration. */
static const char *limit_name(const struct duration_route *route)
{
    if (strcmp(route->of, "first_event") == 0)
        return "FIRST_EVENT";
    return strcmp(route->of, "idle") == 0 ? "IDLE" : "DEADLINE";
}

static const char *subject(const struct duration_route *route)
{
    if (strcmp(route->of, "first_event") == 0)
        return ", streams, first event";
    if (strcmp(route->of, "idle") == 0)
        return ", streams, longest time without an event";
    return strcmp(route->of, "streams") == 0 ? ", streams" : "";
}

static void print_percentiles(const struct duration_route *route)
{
    static const struct {
        const char *name;
        uint64_t share_ppm;
    } percentiles[] = {{"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p99.9", 999000}};

    printf("  completed in ");
    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
        int64_t us = advise_round_up(advise_percentile_us(route, percentiles[i].share_ppm));

        printf("%s %s, ", percentiles[i].name, us > 0 ? number_duration_text(us * NS_PER_US).text : "-");
    }
    printf("at most %s\n", number_duration_text(advise_round_up(route->longest_us) * NS_PER_US).text);
}

static void print_row(const char *deadline, double false_share, double cut_share, const char *what)
{
    printf("  %-12s %14s %11s  %s\n", deadline, share(false_share).text, share(cut_share).text, what);
}

static void print_deadline(const struct duration_route *route, uint64_t rate_ppm)
{
    struct advise_deadline advice = advise_deadline(route, rate_ppm);
    char what[160];
    int len = snprintf(what, sizeof(what), "for at most %s", percent(rate_ppm).text);

    if (advice.answer == ADVISE_KNOWN) {
        print_row(number_duration_text(advice.deadline_us * NS_PER_US).text, advice.false_share,
                  advice.cut_share, what);
        return;
    }
    if (advice.answer == ADVISE_TOO_FEW)
        snprintf(what + len, sizeof(what) - (size_t)len, ": too few calls; it takes %" PRIu64, advice.needed);
    else
        snprintf(what + len, sizeof(what) - (size_t)len, ": not known; more than that were cut");
    print_row("-", -1, -1, what);
}

static void print_deadlines(const struct advise_question *question, const struct duration_route *route)
{
    double false_share, cut_share;

    advise_present(route, &false_share, &cut_share);
    printf("  %-12s %14s %11s\n", limit_name(route), "FALSE TIMEOUTS", "CUT IN ALL");
    print_row(number_duration_text(route->deadline_us * NS_PER_US).text, false_share, cut_share,
              route->observed ? "now, observed" : "now");
    for (uint32_t i = 0; i < question->rate_count; i++)
        print_deadline(route, question->rates_ppm[i]);
    if (advise_is_in_doubt(route, advise_strictest(question)))
        printf("  How long the %" PRIu64
               " would have taken that their callers, or an operator, gave up is not known.\n",
               route->abandoned.calls);
    if (route->cut.calls == 0)
        return;
    if (route->observed)
        printf(
            "  What was cut, at %s at the latest, had not completed by then: these are no false timeouts.\n",
            number_duration_text(route->longest_allowed_us * NS_PER_US).text);
    else
        printf(
            "  Whether what was cut would have completed, and when, is not known: observe: true finds out.\n");
}

static void print_per_try(const struct duration_route *route)
{
    int64_t us = advise_per_try_us(route);

    if (us > 0)
        printf(
            "  per_try: %s, the p99, for retries: at most 1 call in 100 is tried again for it, and two tries "
            "fit\n",
            number_duration_text(us * NS_PER_US).text);
}

static void print_route(const struct advise_question *question, const struct duration_route *route)
{
    printf("%s, route %s%s: ", route->upstream, route->route, subject(route));
    if (route->for_us == 0) {
        printf("no call has ended yet\n\n");
        return;
    }
    printf("%" PRIu64 " completed and %" PRIu64 " were cut in %s (%s); %" PRIu64 " rejected, %" PRIu64
           " abandoned, %" PRIu64 " failed\n",
           route->completed, route->cut.calls, period(route->for_us).text,
           rate((double)advise_calls(route) / ((double)route->for_us * 1e-6)).text, route->rejected.calls,
           route->abandoned.calls, route->failed.calls);
    if (route->completed != 0)
        print_percentiles(route);
    if (advise_calls(route) != 0)
        print_deadlines(question, route);
    print_per_try(route);
    printf("\n");
}

/* ---- a pool ----------------------------------------------------------------------------------------------------- */

static void print_pool(const struct advise_question *question, const struct duration_pool *pool)
{
    uint64_t rate_ppm = advise_strictest(question);
    struct advise_pool advice;

    if (!advise_pool(question->durations, pool, rate_ppm, &advice))
        return;
    printf("pool %s: %" PRIu64 " permits; %" PRIu64 " were held at most, %.3g on average (%s, %s each)\n",
           pool->name, pool->size, pool->held_peak, advice.mean_held, rate(advice.rate).text,
           number_duration_text(advise_round_up((int64_t)(advice.held_s * 1e6)) * NS_PER_US).text);
    printf("  size: %" PRIu64 ", so that at most 1 call in 1000 finds no permit free\n", advice.size);
    if (advice.with_deadlines)
        printf("  size: %" PRIu64 ", with the deadlines for at most %s (%.3g on average)\n", advice.size_then,
               percent(rate_ppm).text, advice.mean_held_then);
    if (advice.with_queue)
        printf("  queue: %" PRIu64
               " at most, by the p95: who waits behind more has no time left for its own call\n",
               advice.queue);
    if (advice.least_us > 0)
        printf("  least: %s, the p95: who has less left when its turn comes is refused; p95 follows what is "
               "measured\n",
               number_duration_text(advise_round_up(advice.least_us) * NS_PER_US).text);
    if (advice.rejected != 0)
        printf("  %" PRIu64 " calls were rejected: more are asked for than were measured.\n",
               advice.rejected);
    printf("\n");
}

void advise_print(const struct advise_question *question)
{
    const struct durations *durations = question->durations;

    for (uint32_t i = 0; i < durations->route_count; i++)
        if (advise_wants_route(question, &durations->routes[i]))
            print_route(question, &durations->routes[i]);
    for (uint32_t i = 0; i < durations->pool_count; i++)
        if (advise_wants_pool(question, &durations->pools[i]))
            print_pool(question, &durations->pools[i]);
    printf(
        "False timeouts are calls that would have completed, but later; shares are of those that completed or\n"
        "were cut, and bounds. Deadlines are at most 1/16, and rounding to three digits, above what was measured,\n"
        "never below. Sizes are for calls that come independently, at the rate of the whole time: for bursts, more.\n");
}
