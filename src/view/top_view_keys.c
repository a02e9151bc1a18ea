/* What the keys of `curfew top` do. */
#include <string.h>

#include "view/top_view.h"

static void copy_name(char name[METRICS_PAGE_NAME], const char *text)
{
    size_t len = strnlen(text, METRICS_PAGE_NAME - 1);

    memcpy(name, text, len);
    name[len] = '\0';
}

/* All, then one upstream after the other, by name. */
static void next_upstream(struct top_state *state)
{
    const char *next = NULL;

    for (uint32_t i = 0; state->board != NULL && i < state->board->upstream_count; i++) {
        const char *name = state->board->upstreams[i].name;

        if (strcmp(name, state->choice.upstream) > 0 && (next == NULL || strcmp(name, next) < 0))
            next = name;
    }
    copy_name(state->choice.upstream, next != NULL ? next : "");
}

static void next_phase(struct top_choice *choice)
{
    choice->phase = choice->phase == TOP_NO_PHASE ? PHASE_UPLOAD : (enum phase)(choice->phase + 1);
}

/* The place of the selected call; -1: it is not there any more. */
static int selected_place(const struct top_state *state)
{
    for (uint32_t i = 0; i < state->calls->count; i++)
        if (strcmp(state->calls->rows[i].id, state->choice.selected) == 0)
            return (int)i;
    return -1;
}

static void move_selection(struct top_state *state, int by)
{
    int place = selected_place(state) + by;
    int last = (int)state->calls->count - 1;

    if (last < 0)
        return;
    place = place < 0 ? 0 : place > last ? last : place;
    copy_name(state->choice.selected, state->calls->rows[place].id);
}

static enum top_act ask_to_cut(struct top_state *state)
{
    if (selected_place(state) < 0)
        move_selection(state, 1);
    state->choice.confirms = selected_place(state) >= 0;
    return TOP_REDRAW;
}

enum top_act top_view_key(struct top_state *state, int key)
{
    struct top_choice *choice = &state->choice;

    if (choice->confirms) {
        choice->confirms = false;
        return key == 'y' || key == 'Y' ? TOP_CUT : TOP_REDRAW;
    }
    switch (key) {
    case 'q': return TOP_QUIT;
    case 's': choice->order = (enum top_order)((choice->order + 1) % TOP_ORDER_COUNT); return TOP_REDRAW;
    case 'l': choice->calls_by_left = !choice->calls_by_left; return TOP_ASK_ANEW;
    case 'u': next_upstream(state); return TOP_ASK_ANEW;
    case 'p': next_phase(choice); return TOP_ASK_ANEW;
    case 'j':
    case TOP_KEY_DOWN: move_selection(state, 1); return TOP_REDRAW;
    case 'k':
    case TOP_KEY_UP: move_selection(state, -1); return TOP_REDRAW;
    case TOP_KEY_HOME:
    case TOP_KEY_ESCAPE: choice->selected[0] = '\0'; return TOP_REDRAW;
    case 'x': return ask_to_cut(state);
    default: return TOP_NOTHING;
    }
}
