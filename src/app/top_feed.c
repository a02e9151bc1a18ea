#include "app/top_feed.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/admin_client.h"
#include "base/number.h"
#include "runtime/loop.h"

/* Longer only means that it hangs, and keys are waiting. */
#define PATIENCE_S 2

static void drop_first_turns(struct top_feed *feed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        metrics_page_free(&feed->turns[i].board);
        durations_free(&feed->turns[i].times);
    }
    feed->turn_count -= count;
    memmove(&feed->turns[0], &feed->turns[count], feed->turn_count * sizeof(feed->turns[0]));
}

void top_feed_fini(struct top_feed *feed)
{
    drop_first_turns(feed, feed->turn_count);
    call_list_free(&feed->calls);
}

static bool lose(struct top_feed *feed, const char *why)
{
    if (feed->lost[0] == '\0')
        feed->lost_since_ns = loop_clock_ns();
    snprintf(feed->lost, sizeof(feed->lost), "%s", why);
    return false;
}

/* Turns of another process say nothing about what this one has done since. */
static void keep_turn(struct top_feed *feed, const struct top_turn *turn)
{
    if (feed->turn_count != 0 && feed->turns[feed->turn_count - 1].board.started_at != turn->board.started_at)
        drop_first_turns(feed, feed->turn_count);
    if (feed->turn_count == TOP_FEED_TURNS)
        drop_first_turns(feed, 1);
    feed->turns[feed->turn_count++] = *turn;
}

/* Without it, the figures of how long calls took are missing, and no more. */
static void ask_times(const struct top_feed *feed, struct durations *times)
{
    const struct admin_question question = {feed->where, "GET", "/durations", PATIENCE_S, false};
    struct admin_answer answer;
    char why[256];

    if (!admin_client_ask(&question, &answer, why, sizeof(why)) || answer.status != 200 ||
        !durations_read(times, answer.content))
        durations_free(times);
    admin_answer_free(&answer);
}

static bool ask_metrics(struct top_feed *feed)
{
    const struct admin_question question = {feed->where, "GET", "/metrics", PATIENCE_S, false};
    struct admin_answer answer;
    struct top_turn turn = {0};
    char why[256] = "this is no page of a curfew";
    bool is_there = admin_client_ask(&question, &answer, why, sizeof(why));

    if (is_there && answer.status != 200) {
        admin_answer_put_why(&answer, why, sizeof(why));
        is_there = false;
    }
    if (is_there && !metrics_page_read(&turn.board, answer.content)) {
        metrics_page_free(&turn.board);
        is_there = false;
    }
    admin_answer_free(&answer);
    if (!is_there)
        return lose(feed, why);
    turn.board.at_ns = loop_clock_ns();
    ask_times(feed, &turn.times);
    keep_turn(feed, &turn);
    return true;
}

static void put_target(char *target, size_t cap, const struct top_choice *choice, uint32_t limit)
{
    struct text text = text_over(target, cap - 1);

    text_printf(&text, "/calls?limit=%u&sort=%s", limit, choice->calls_by_left ? "left" : "age");
    if (choice->upstream[0] != '\0')
        text_printf(&text, "&upstream=%s", choice->upstream);
    if (choice->phase != TOP_NO_PHASE)
        text_printf(&text, "&phase=%s", phase_name(choice->phase));
    target[text.len] = '\0';
}

static bool ask_calls(struct top_feed *feed, struct top_choice *choice, uint32_t limit)
{
    char target[256], why[256];
    const struct admin_question question = {feed->where, "GET", target, PATIENCE_S, false};
    struct admin_answer answer;
    struct call_list calls = {0};

    put_target(target, sizeof(target), choice, limit);
    if (!admin_client_ask(&question, &answer, why, sizeof(why))) {
        admin_answer_free(&answer);
        return lose(feed, why);
    }
    if (answer.status == 200 && call_list_read(&calls, answer.content)) {
        call_list_free(&feed->calls);
        feed->calls = calls;
        if (feed->lacks_calls)
            feed->message[0] = '\0';
        feed->lacks_calls = false;
    } else {
        call_list_free(&calls);
        admin_answer_put_why(&answer, feed->message, sizeof(feed->message));
        feed->lacks_calls = true;
        /* The upstream that was chosen is gone since a reload. */
        if (answer.status == 400)
            choice->upstream[0] = '\0';
    }
    admin_answer_free(&answer);
    return true;
}

bool top_feed_ask(struct top_feed *feed, struct top_choice *choice, uint32_t limit)
{
    if (!ask_metrics(feed) || !ask_calls(feed, choice, limit))
        return false;
    feed->lost[0] = '\0';
    return true;
}

void top_feed_cut(struct top_feed *feed, const struct top_choice *choice)
{
    char target[METRICS_PAGE_NAME + 16], why[sizeof(feed->message)];
    const struct admin_question question = {feed->where, "DELETE", target, PATIENCE_S, false};
    struct admin_answer answer;

    snprintf(target, sizeof(target), "/calls/%s", choice->selected);
    feed->lacks_calls = false;
    if (!admin_client_ask(&question, &answer, why, sizeof(why)))
        snprintf(feed->message, sizeof(feed->message), "%s", why);
    else if (answer.status == 200)
        snprintf(feed->message, sizeof(feed->message), "Call %s was cut.", choice->selected);
    else
        admin_answer_put_why(&answer, feed->message, sizeof(feed->message));
    admin_answer_free(&answer);
}

static double unix_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct top_state top_feed_state(const struct top_feed *feed, const struct top_choice *choice)
{
    const struct top_turn *last = feed->turn_count > 0 ? &feed->turns[feed->turn_count - 1] : NULL;
    const struct top_turn *first = feed->turn_count > 1 ? &feed->turns[0] : NULL;
    bool is_lost = feed->lost[0] != '\0';

    return (struct top_state){
        .where = feed->where,
        .board = last != NULL ? &last->board : NULL,
        .earlier = first != NULL ? &first->board : NULL,
        .times = last != NULL ? &last->times : NULL,
        .earlier_times = first != NULL ? &first->times : NULL,
        .calls = &feed->calls,
        .lost = is_lost ? feed->lost : NULL,
        .lost_for_ms = is_lost ? (loop_clock_ns() - feed->lost_since_ns) / NS_PER_MS : 0,
        .message = feed->message[0] != '\0' ? feed->message : NULL,
        .unix_time = unix_time(),
        .choice = *choice,
    };
}
