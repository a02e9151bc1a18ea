#include "view/top_line.h"

#include <math.h>

#include "view/format.h"

#define QUEUE_WIDTH 8
#define NARROW      100

/* The size, or fewer by what the API has refused; a curfew that says nothing of that gives all out. */
double top_line_given_out(const struct metrics_page_pool *pool)
{
    return pool->limit > 0 && pool->limit < pool->size ? pool->limit : pool->size;
}

/*
 * Of a pool that hosts share, each host has about what it needs: that all of it is held says little, unless a caller
 * waits, or no host could have more.
 */
bool top_line_is_full(const struct metrics_page_pool *pool)
{
    if (pool->held < top_line_given_out(pool))
        return false;
    return pool->fleet_size == 0 || pool->waiting > 0 || pool->held >= pool->fleet_size;
}

/* ---- pieces ---------------------------------------------------------------------------------------------------- */

/* The phases with the most calls first, so that a narrow screen shows what matters. */
static int put_phases(struct screen *screen, int x, int y, enum style style, const char *what,
                      const double cells[PHASE_COUNT])
{
    bool done[PHASE_COUNT] = {false};
    int most = screen->width < NARROW ? 2 : PHASE_COUNT;

    for (int shown = 0; shown < most; shown++) {
        int best = -1;

        for (int phase = 0; phase < PHASE_COUNT; phase++)
            if (!done[phase] && cells[phase] > 0 && (best < 0 || cells[phase] > cells[best]))
                best = phase;
        if (best < 0)
            break;
        done[best] = true;
        if (shown == 0)
            x = screen_printf(screen, x, y, STYLE_DIM, "%s ", what);
        x = screen_printf(screen, x, y, style, "%s %.0f ", phase_name((enum phase)best), cells[best]);
    }
    return x;
}

/* How many of `width` cells stand for part of whole; anything at all is one. */
static int cells_of(double part, double whole, int width)
{
    int filled;

    if (part <= 0 || whole <= 0)
        return 0;
    if (part >= whole)
        return width;
    filled = (int)(part / whole * width);
    return filled > 0 ? filled : 1;
}

/* Why calls were rejected: for want of what, by the label of the metric. */
static int put_reasons(struct screen *screen, int x, int y, const double cells[CAUSE_COUNT])
{
    bool is_first = true;

    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++) {
        if (cells[cause] <= 0)
            continue;
        if (is_first)
            x = screen_printf(screen, x, y, STYLE_DIM, "rejected ");
        is_first = false;
        x = screen_printf(screen, x, y, STYLE_WARN, "%s %.0f ", cause_reason(cause), cells[cause]);
    }
    return x;
}

/* What this host may use is the store's to say: why it is less than it was, if it is. */
static int put_mode(struct screen *screen, int x, int y, const struct metrics_page_pool *pool)
{
    if (pool->is_fallback)
        return screen_printf(screen, x, y, STYLE_ALERT, "fleet away, fallback ");
    if (pool->is_learning)
        return screen_printf(screen, x, y, STYLE_WARN, "fleet learns ");
    return x;
}

/* [######......] 6/12, or, of a pool that hosts share, the words for it: on a narrow screen without the bar. */
static int put_held(struct screen *screen, int x, int y, const struct metrics_page_pool *pool)
{
    int width = screen->width < NARROW ? 12 : 24;
    int filled = cells_of(pool->held, pool->size, width);
    bool is_shared = pool->fleet_size > 0;
    enum style style = top_line_is_full(pool)    ? STYLE_ALERT
                       : filled * 5 >= width * 4 ? STYLE_WARN
                                                 : STYLE_GOOD;

    if (!is_shared || screen->width >= NARROW) {
        x = screen_printf(screen, x, y, STYLE_PLAIN, "[");
        for (int i = 0; i < width; i++)
            x = screen_printf(screen, x, y, i < filled ? style : STYLE_DIM, "%c", i < filled ? '#' : '.');
        x = screen_printf(screen, x, y, STYLE_PLAIN, "] ");
    }
    if (!is_shared)
        return screen_printf(screen, x, y, STYLE_PLAIN, "%.0f/%.0f ", pool->held, top_line_given_out(pool));
    x = screen_printf(screen, x, y, style, "held %.0f of %.0f here, ", pool->held, top_line_given_out(pool));
    return screen_printf(screen, x, y, STYLE_PLAIN, "%.0f of %.0f in the fleet, %.0f host%s, %.0f wait%s ",
                         pool->fleet_granted, pool->fleet_size, pool->fleet_hosts,
                         pool->fleet_hosts == 1 ? "" : "s", pool->fleet_waiting,
                         pool->fleet_waiting == 1 ? "s" : "");
}

/* Held of size, and those that wait, drawn to the same measure. */
static int put_permits(struct screen *screen, int x, int y, const struct metrics_page_pool *pool)
{
    int queue = cells_of(pool->waiting, pool->size, QUEUE_WIDTH);

    x = put_mode(screen, x, y, pool);
    x = put_held(screen, x, y, pool);
    if (top_line_given_out(pool) < pool->size)
        x = screen_printf(screen, x, y, STYLE_WARN, "of %.0f ", pool->size);
    if (pool->ghosts > 0)
        x = screen_printf(screen, x, y, STYLE_DIM, "%.0f ghost%s ", pool->ghosts,
                          pool->ghosts == 1 ? "" : "s");
    for (int i = 0; i < queue; i++)
        x = screen_printf(screen, x, y, STYLE_WARN, ">");
    if (pool->waiting > 0)
        x = screen_printf(screen, x, y, STYLE_WARN, " %.0f waiting ", pool->waiting);
    return x;
}

/* Calls are refused: before all else. */
static int put_breaker(struct screen *screen, int x, int y, const struct metrics_page_upstream *upstream)
{
    if (upstream->breakers_open > 0)
        return screen_printf(screen, x, y, STYLE_ALERT, "breaker open ");
    if (upstream->breakers_half > 0)
        return screen_printf(screen, x, y, STYLE_WARN, "breaker half open ");
    return x;
}

/* Of seconds. */
static int put_time(struct screen *screen, int x, int y, enum style style, const char *what, double seconds)
{
    char block[32];
    struct text text = text_over(block, sizeof(block));

    format_put_seconds(&text, seconds, 0);
    return screen_printf(screen, x, y, style, "%s %.*s ", what, (int)text.len, text.ptr);
}

static int put_rate(struct screen *screen, int x, int y, const char *what, double rate)
{
    char block[32];
    struct text text = text_over(block, sizeof(block));

    format_put_rate(&text, rate);
    return screen_printf(screen, x, y, STYLE_PLAIN, "%s %.*s/s ", what, (int)text.len, text.ptr);
}

int top_line_put_pool(struct screen *screen, int x, int y, const struct metrics_page_pool *pool,
                      const struct metrics_page_pool *before, double seconds)
{
    double started = before != NULL && before->rate_started <= pool->rate_started
                         ? pool->rate_started - before->rate_started
                         : pool->rate_started;

    if (pool->pause_seconds > 0)
        x = put_time(screen, x, y, STYLE_ALERT, "paused", pool->pause_seconds);
    x = put_permits(screen, x, y, pool);
    if (pool->rate_limit <= 0)
        return x;
    x = put_rate(screen, x, y, "rate", seconds > 0 ? started / seconds : 0);
    return put_rate(screen, x, y, "of", pool->rate_limit);
}

/* Retries, when there were any, and what came of them. */
static int put_retries(struct screen *screen, int x, int y, const struct metrics_page_change *change)
{
    if (change->budget_stops > 0)
        x = screen_printf(screen, x, y, STYLE_ALERT, "retry budget stopped %.0f ", change->budget_stops);
    if (change->retried_rate > 0)
        x = put_rate(screen, x, y, "retries", change->retried_rate);
    if (change->saved > 0)
        x = screen_printf(screen, x, y, STYLE_GOOD, "saved %.0f ", change->saved);
    return x;
}

/* HTTP/2, where it is spoken. */
static int put_http2(struct screen *screen, int x, int y, const struct metrics_page_change *change)
{
    if (change->h2_callers_rate > 0)
        x = put_rate(screen, x, y, "h2 callers", change->h2_callers_rate);
    if (change->h2_apis_rate > 0)
        x = put_rate(screen, x, y, "h2 API", change->h2_apis_rate);
    return x;
}

void top_line_put(struct screen *screen, int y, const struct top_line *line)
{
    const struct metrics_page_change *change = line->change;
    int x = put_breaker(screen, 2, y, line->upstream);

    if (line->pool != NULL)
        x = top_line_put_pool(screen, x, y, line->pool, line->pool_before, line->seconds);
    x = put_phases(screen, x, y, STYLE_PLAIN, "now", line->upstream->in_flight);
    x = put_phases(screen, x, y, STYLE_ALERT, "stuck", change->stuck);
    if (line->upstream->observed > 0) {
        x = screen_printf(screen, x, y, STYLE_DIM, "observed ");
        x = put_phases(screen, x, y, STYLE_WARN, "spared", change->spared);
    }
    x = put_reasons(screen, x, y, change->rejected_by);
    x = put_retries(screen, x, y, change);
    if (change->dns_stale > 0)
        x = screen_printf(screen, x, y, STYLE_WARN, "dns stale %.0f ", change->dns_stale);
    if (!isnan(line->first_event.p50)) {
        x = put_time(screen, x, y, STYLE_DIM, "first event", line->first_event.p50);
        x = put_time(screen, x, y, STYLE_DIM, "p99", line->first_event.p99);
    }
    put_http2(screen, x, y, change);
}
