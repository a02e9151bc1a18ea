#include "view/top_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "view/format.h"
#include "view/latency.h"
#include "view/top_line.h"

/* Rows that are there at any size: title, status, the upstreams' head; an empty one, the calls' two heads, the keys. */
#define ROWS_ABOVE    3
#define ROWS_BELOW    4
/* Calls that there is to be room for, if the screen is not too small for it. */
#define CALLS_MIN     4
#define SHARED_MAX    3
/* Columns of an upstream: its name, at least so wide, and the figures behind it. */
#define NAME_MIN      12
#define FIGURES_WIDTH 67

/* An upstream with what has happened there. */
struct line {
    const struct metrics_page_upstream *upstream;
    struct metrics_page_change change;
    struct latency latency, first_event;
    bool is_full; /* its pool, to the last permit */
};

/* ---- which upstreams, in which order ------------------------------------------------------------------------- */

static int descending(double a, double b)
{
    return (a < b) - (a > b);
}

static int by_name(const void *a, const void *b)
{
    const struct line *left = a, *right = b;

    return strcmp(left->upstream->name, right->upstream->name);
}

static int by_rate(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    int order = descending(left->change.started_rate, right->change.started_rate);

    return order != 0 ? order : by_name(a, b);
}

/* Responses that say that the API is not well, or has had enough. */
static double error_rate(const struct metrics_page_change *change)
{
    return change->server_error_rate + change->too_many_rate;
}

static int by_errors(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    int order = descending(error_rate(&left->change), error_rate(&right->change));

    return order != 0 ? order : by_rate(a, b);
}

/*
 * Where something is stuck comes first: calls that were cut, then pools that are full, then APIs that answer with
 * errors, then calls that may be stuck.
 */
static int by_trouble(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    int order = descending(left->change.stuck_rate, right->change.stuck_rate);

    if (order == 0)
        order = right->is_full - left->is_full;
    if (order == 0)
        order = descending(error_rate(&left->change), error_rate(&right->change));
    if (order == 0)
        order = descending(left->change.in_flight, right->change.in_flight);
    return order != 0 ? order : by_rate(a, b);
}

static bool is_full(const struct metrics_page_pool *pool)
{
    return pool != NULL && pool->held > 0 && top_line_is_full(pool);
}

/* Between what is compared. */
static double state_seconds(const struct top_state *state)
{
    const struct metrics_page *board = state->board, *earlier = state->earlier;

    return earlier != NULL ? (double)(board->at_ns - earlier->at_ns) * 1e-9
                           : state->unix_time - board->started_at;
}

static const struct metrics_page_pool *pool_before(const struct top_state *state,
                                                   const struct metrics_page_pool *pool)
{
    return pool != NULL && state->earlier != NULL ? metrics_page_find_pool(state->earlier, pool->name) : NULL;
}

static void compare_all(const struct top_state *state, struct line *lines)
{
    static int (*const orders[TOP_ORDER_COUNT])(const void *, const void *) = {by_trouble, by_name, by_rate,
                                                                               by_errors};
    const struct metrics_page *board = state->board, *earlier = state->earlier;
    double seconds = state_seconds(state);

    for (uint32_t i = 0; i < board->upstream_count; i++) {
        const struct metrics_page_upstream *upstream = &board->upstreams[i];
        const struct metrics_page_upstream *before =
            earlier != NULL ? metrics_page_find_upstream(earlier, upstream->name) : NULL;

        lines[i].upstream = upstream;
        lines[i].is_full = is_full(metrics_page_find_pool(board, upstream->name));
        metrics_page_compare(upstream, before, seconds, &lines[i].change);
        lines[i].latency = latency_between(state->times, state->earlier_times, upstream->name, "calls");
        lines[i].first_event =
            latency_between(state->times, state->earlier_times, upstream->name, "first_event");
    }
    if (board->upstream_count > 1)
        qsort(lines, board->upstream_count, sizeof(lines[0]), orders[state->choice.order]);
}

/* ---- how the rows are shared out ------------------------------------------------------------------------------ */

struct generation_switch {
    int upstreams; /* shown, two rows each */
    int shared;    /* pools that are no upstream's, one row each */
    bool has_more; /* a row says how many upstreams are not shown */
    int calls;     /* rows for calls */
    int name_width;
};

static int count_shared(const struct metrics_page *board)
{
    int count = 0;

    for (uint32_t i = 0; i < board->pool_count; i++)
        if (metrics_page_find_upstream(board, board->pools[i].name) == NULL)
            count++;
    return count < SHARED_MAX ? count : SHARED_MAX;
}

static struct generation_switch make_plan(const struct metrics_page *board, int height)
{
    int upstream_count = board != NULL ? (int)board->upstream_count : 0;
    struct generation_switch plan = {.shared = board != NULL ? count_shared(board) : 0};
    int room = height - ROWS_ABOVE - ROWS_BELOW - CALLS_MIN - plan.shared;

    plan.upstreams = upstream_count;
    if (2 * upstream_count > room) {
        plan.upstreams = room >= 3 ? (room - 1) / 2 : 1;
        if (plan.upstreams > upstream_count)
            plan.upstreams = upstream_count;
        plan.has_more = plan.upstreams < upstream_count;
    }
    plan.calls =
        height - ROWS_ABOVE - ROWS_BELOW - 2 * plan.upstreams - plan.shared - (plan.has_more ? 1 : 0);
    if (plan.calls < 0)
        plan.calls = 0;
    return plan;
}

uint32_t top_view_room(const struct top_state *state, int height)
{
    int calls = make_plan(state->board, height).calls;

    return calls > 0 ? (uint32_t)calls : 1;
}

/* As wide as the longest name, if there is room for that. */
static int find_name_width(const struct metrics_page *board, int screen_width)
{
    int width = NAME_MIN, most = screen_width - FIGURES_WIDTH;

    for (uint32_t i = 0; i < board->upstream_count; i++) {
        int len = (int)strlen(board->upstreams[i].name);

        if (len > width)
            width = len < most ? len : most;
    }
    return width > NAME_MIN ? width : NAME_MIN;
}

/* ---- drawing --------------------------------------------------------------------------------------------------- */

static int put_right(struct screen *screen, int x, int y, int width, enum style style,
                     const struct text *text)
{
    return screen_printf(screen, x, y, style, "%*.*s ", width, (int)text->len, text->ptr);
}

static int put_name(struct screen *screen, int x, int y, int width, enum style style, const char *name)
{
    char block[METRICS_PAGE_NAME];
    struct text text = text_over(block, sizeof(block));

    format_put_name(&text, name, width);
    return screen_printf(screen, x, y, style, "%.*s ", (int)text.len, text.ptr);
}

static int put_rate(struct screen *screen, int x, int y, int width, enum style style, double rate)
{
    char block[32];
    struct text text = text_over(block, sizeof(block));

    format_put_rate(&text, rate);
    return put_right(screen, x, y, width, rate > 0 ? style : STYLE_PLAIN, &text);
}

static int put_seconds(struct screen *screen, int x, int y, int width, double seconds, double most)
{
    char block[32];
    struct text text = text_over(block, sizeof(block));

    format_put_seconds(&text, seconds, most);
    return put_right(screen, x, y, width, STYLE_PLAIN, &text);
}

static void draw_title(const struct top_state *state, struct screen *screen)
{
    const struct metrics_page *board = state->board;
    char block[16];
    struct text up = text_over(block, sizeof(block));
    double in_flight = 0, overdue = 0;
    int x;

    if (board == NULL) {
        screen_printf(screen, 0, 0, STYLE_TITLE, "curfew at %s", state->where);
        screen_style_row(screen, 0, STYLE_TITLE);
        return;
    }
    for (uint32_t i = 0; i < board->upstream_count; i++) {
        overdue += board->upstreams[i].overdue;
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            in_flight += board->upstreams[i].in_flight[phase];
    }
    format_put_time(&up, (int64_t)((state->unix_time - board->started_at) * 1000));
    screen_style_row(screen, 0, STYLE_TITLE);
    x = screen_printf(screen, 0, 0, STYLE_TITLE, "curfew %s: %.0f in flight, ", board->version, in_flight);
    if (overdue > 0)
        x = screen_printf(screen, x, 0, STYLE_ALERT, "%.0f OVERDUE, ", overdue);
    if (board->is_store_away)
        x = screen_printf(screen, x, 0, STYLE_ALERT, "fleet's store AWAY, ");
    screen_printf(screen, x, 0, STYLE_TITLE, "up %.*s, at %s", (int)up.len, up.ptr, state->where);
}

static void draw_status(const struct top_state *state, struct screen *screen)
{
    char block[16];
    struct text time = text_over(block, sizeof(block));

    if (state->choice.confirms) {
        screen_printf(screen, 0, 1, STYLE_WARN, "Cut call %s? y cuts it, any other key does not.",
                      state->choice.selected);
    } else if (state->lost != NULL) {
        format_put_time(&time, state->lost_for_ms);
        screen_printf(screen, 0, 1, STYLE_ALERT, "CONNECTION LOST %.*s ago, trying again: %s", (int)time.len,
                      time.ptr, state->lost);
    } else if (state->message != NULL) {
        screen_printf(screen, 0, 1, STYLE_WARN, "%s", state->message);
    }
}

static void draw_upstream_head(struct screen *screen, int name_width)
{
    screen_printf(screen, 0, 2, STYLE_HEAD, "%-*s %7s %4s %5s %5s %7s %6s %5s %6s %6s %6s", name_width,
                  "UPSTREAM", "CALLS/S", "OK/S", "5XX/S", "429/S", "STUCK/S", "FAIL/S", "REJ/S", "P50", "P99",
                  "LATE");
    screen_style_row(screen, 2, STYLE_HEAD);
}

static void draw_upstream(const struct top_state *state, struct screen *screen, int y, int name_width,
                          const struct line *line)
{
    const struct metrics_page_change *change = &line->change;
    const struct metrics_page_pool *pool = metrics_page_find_pool(state->board, line->upstream->name);
    bool is_stuck = change->stuck_rate > 0;
    int x = put_name(screen, 0, y, name_width, is_stuck ? STYLE_ALERT : STYLE_PLAIN, line->upstream->name);

    x = put_rate(screen, x, y, 7, STYLE_PLAIN, change->started_rate);
    x = put_rate(screen, x, y, 4, STYLE_GOOD, change->ok_rate);
    x = put_rate(screen, x, y, 5, STYLE_WARN, change->server_error_rate);
    x = put_rate(screen, x, y, 5, STYLE_WARN, change->too_many_rate);
    x = put_rate(screen, x, y, 7, STYLE_ALERT, change->stuck_rate);
    x = put_rate(screen, x, y, 6, STYLE_WARN, change->failed_rate);
    x = put_rate(screen, x, y, 5, STYLE_WARN, change->rejected_rate);
    x = put_seconds(screen, x, y, 6, line->latency.p50, 0);
    x = put_seconds(screen, x, y, 6, line->latency.p99, 0);
    put_seconds(screen, x, y, 6, change->overshoot_p99, change->overshoot_most);
    top_line_put(screen, y + 1,
                 &(struct top_line){line->upstream, change, pool, pool_before(state, pool),
                                    state_seconds(state), line->first_event});
}

/* Returns the row behind them. */
static int draw_shared_pools(const struct top_state *state, struct screen *screen,
                             const struct generation_switch *plan, int y)
{
    const struct metrics_page *board = state->board;
    int rows = plan->shared, x;

    for (uint32_t i = 0; i < board->pool_count && rows > 0; i++) {
        if (metrics_page_find_upstream(board, board->pools[i].name) != NULL)
            continue;
        x = screen_printf(screen, 0, y, STYLE_PLAIN, "pool ");
        x = put_name(screen, x, y, plan->name_width, STYLE_PLAIN, board->pools[i].name);
        top_line_put_pool(screen, x, y, &board->pools[i], pool_before(state, &board->pools[i]),
                          state_seconds(state));
        y++;
        rows--;
    }
    return y;
}

static void draw_calls_head(const struct top_state *state, struct screen *screen, int y,
                            struct call_columns columns)
{
    const struct top_choice *choice = &state->choice;
    char block[256];
    struct text head = text_over(block, sizeof(block));

    screen_printf(screen, 0, y, STYLE_PLAIN, "Calls in flight, %s; upstream: %s, phase: %s: %llu of %llu",
                  choice->calls_by_left ? "least left first" : "oldest first",
                  choice->upstream[0] != '\0' ? choice->upstream : "all",
                  choice->phase != TOP_NO_PHASE ? phase_name(choice->phase) : "all",
                  (unsigned long long)state->calls->matching, (unsigned long long)state->calls->in_flight);
    call_list_put_head(&head, columns);
    screen_put(screen, 0, y + 1, STYLE_HEAD, text_span(&head));
    screen_style_row(screen, y + 1, STYLE_HEAD);
}

static enum style style_of_call(const struct call_row *row)
{
    int64_t budget_ms = row->age_ms + row->left_ms;

    if (row->left_ms < 0)
        return STYLE_ALERT;
    return row->left_ms * 10 < budget_ms ? STYLE_WARN : STYLE_PLAIN;
}

static void draw_calls(const struct top_state *state, struct screen *screen, int y, int rows)
{
    struct call_columns columns = call_list_fit(call_list_columns(state->calls), screen->width);

    draw_calls_head(state, screen, y, columns);
    for (uint32_t i = 0; i < state->calls->count && (int)i < rows; i++) {
        const struct call_row *row = &state->calls->rows[i];
        int at = y + 2 + (int)i;
        char block[512];
        struct text text = text_over(block, sizeof(block));

        call_list_put_row(&text, columns, row);
        screen_put(screen, 0, at, style_of_call(row), text_span(&text));
        if (strcmp(row->id, state->choice.selected) == 0)
            screen_style_row(screen, at, STYLE_SELECTED);
    }
}

static void draw_keys(struct screen *screen)
{
    screen_printf(screen, 0, screen->height - 1, STYLE_TITLE,
                  "q quit  s sort  u upstream  p phase  l left/age  up/down select  x cut");
    screen_style_row(screen, screen->height - 1, STYLE_TITLE);
}

static int draw_upstreams(const struct top_state *state, struct screen *screen,
                          const struct generation_switch *plan, const struct line *lines)
{
    int y = ROWS_ABOVE;

    draw_upstream_head(screen, plan->name_width);
    for (int i = 0; i < plan->upstreams; i++, y += 2)
        draw_upstream(state, screen, y, plan->name_width, &lines[i]);
    if (plan->has_more)
        screen_printf(screen, 0, y++, STYLE_DIM, "and %d more upstreams",
                      (int)state->board->upstream_count - plan->upstreams);
    return draw_shared_pools(state, screen, plan, y);
}

bool top_view_draw(const struct top_state *state, struct screen *screen)
{
    struct generation_switch plan = make_plan(state->board, screen->height);
    struct line *lines = NULL;

    draw_title(state, screen);
    draw_status(state, screen);
    if (state->board != NULL) {
        lines = mem_calloc(state->board->upstream_count + 1, sizeof(*lines));
        if (lines == NULL)
            return false;
        compare_all(state, lines);
        plan.name_width = find_name_width(state->board, screen->width);
        draw_calls(state, screen, draw_upstreams(state, screen, &plan, lines) + 1, plan.calls);
    }
    if (state->has_keys)
        draw_keys(screen);
    mem_free(lines);
    return true;
}
