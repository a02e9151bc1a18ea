#ifndef CURFEW_APP_TOP_FEED_H
#define CURFEW_APP_TOP_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "view/metrics_page.h"
#include "view/call_list.h"
#include "view/durations.h"
#include "view/top_view.h"

/* Turns that are kept: what is shown as a rate is that of the time between the first and the last of them. */
#define TOP_FEED_TURNS 11

/* What /metrics and /durations said at one turn. */
struct top_turn {
    struct metrics_page board;
    struct durations times; /* empty: it was not to be had */
};

/* Where `curfew top` has from what it shows: the admin listener, asked again and again; it may go, and come back. */
struct top_feed {
    const char *where; /* set it first; borrowed */
    struct top_turn turns[TOP_FEED_TURNS];
    uint32_t turn_count;
    struct call_list calls;
    char lost[256]; /* why there is no answer; "" while there is one */
    int64_t lost_since_ns;
    char message[256]; /* about the last thing that was asked for; "" for none */
    bool lacks_calls;  /* the message says why there is no list of calls */
};

void top_feed_fini(struct top_feed *feed);

/*
 * Asks for all pages; calls by what was chosen, `limit` of them at most. False: nobody answers, feed->lost says why.
 */
bool top_feed_ask(struct top_feed *feed, struct top_choice *choice, uint32_t limit);

/* Cuts the selected call; the message says what became of it. */
void top_feed_cut(struct top_feed *feed, const struct top_choice *choice);

/* What there is to show; borrowed from the feed until it is asked again. */
struct top_state top_feed_state(const struct top_feed *feed, const struct top_choice *choice);

#endif
