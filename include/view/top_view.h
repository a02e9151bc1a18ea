#ifndef CURFEW_VIEW_TOP_VIEW_H
#define CURFEW_VIEW_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/phase.h"
#include "view/metrics_page.h"
#include "view/call_list.h"
#include "view/durations.h"
#include "view/screen.h"

/*
 * What `curfew top` shows: a line that says of whom, two lines for each upstream (what has happened, and its pool with
 * what is going on now), the pools that belong to no upstream alone, and the calls in flight; at last the keys.
 */
enum top_order { TOP_BY_TROUBLE, TOP_BY_NAME, TOP_BY_RATE, TOP_BY_ERRORS, TOP_ORDER_COUNT };

#define TOP_NO_PHASE PHASE_COUNT

/* What the person at the keyboard has chosen. */
struct top_choice {
    enum top_order order;
    bool calls_by_left;               /* in place of the oldest first */
    char upstream[METRICS_PAGE_NAME]; /* whose calls are listed; "" for all */
    enum phase phase;                 /* likewise; TOP_NO_PHASE for all */
    char selected[METRICS_PAGE_NAME]; /* id of a call; "" for none */
    bool confirms;                    /* is to say whether the selected call is to be cut */
};

struct top_state {
    const char *where;
    const struct metrics_page *board;   /* the latest; NULL: there was none yet */
    const struct metrics_page *earlier; /* what it is compared with; NULL: everything since the start */
    const struct durations *times, *earlier_times; /* likewise: how long calls took */
    const struct call_list *calls;
    const char *lost; /* why there is no answer any more; NULL: there is */
    int64_t lost_for_ms;
    const char *message; /* of the last thing that was done; NULL: none */
    double unix_time;    /* now */
    struct top_choice choice;
    bool has_keys; /* somebody is at a keyboard: the last line names the keys */
};

/* Fills the screen, whatever its size. False: no memory. */
bool top_view_draw(const struct top_state *state, struct screen *screen) __attribute__((warn_unused_result));

/* How many calls the screen has room for: more need not be asked for. */
uint32_t top_view_room(const struct top_state *state, int height);

/* Something that a key asks the program to do. */
enum top_act { TOP_NOTHING, TOP_REDRAW, TOP_ASK_ANEW, TOP_CUT, TOP_QUIT };

/* Keys that are not characters. */
enum top_key { TOP_KEY_UP = 256, TOP_KEY_DOWN, TOP_KEY_HOME, TOP_KEY_ESCAPE = 27 };

/* What a key changes in state->choice, and what is to be done then. */
enum top_act top_view_key(struct top_state *state, int key);

#endif
