#include "core/turn_words.h"

#include "base/invariant.h"

/* Instants that are told, in us, are within a few centuries, and do not overflow as ns. */
#define SPAN_MAX  (INT64_MAX / 2000)
#define SLOTS_MAX INT64_C(1000000000)

/* ---- the request ---------------------------------------------------------------------------------------- */

void turn_put_words(struct script_words *out, const struct turn_request *request, struct span host,
                    struct span channel)
{
    script_words_begin(out);
    script_put_text(out, host);
    script_put_number(out, request->period_us);
    script_put_number(out, request->burst);
    script_put_number(out, request->wanted);
    script_put_number(out, request->patience_us);
    script_put_number(out, request->back);
    script_put_number(out, request->taken_us);
    script_put_number(out, request->spent);
    script_put_number(out, request->adrift);
    script_put_number(out, request->pause_us);
    script_put_number(out, request->word);
    script_put_number(out, (int64_t)request->round);
    script_put_number(out, request->deadline_us);
    script_put_number(out, request->life_us);
    script_put_text(out, channel);
    POST(out->count == TURN_WORDS);
}

/* ---- the answer ----------------------------------------------------------------------------------------- */

bool turn_read_reply(const struct store_reply *from, struct turn_reply *out)
{
    int64_t granted, round, state;

    if (from->kind != STORE_LIST || from->count < 9 ||
        !store_reply_within(from, 0, 0, SCRIPT_NUMBER_MAX, &out->time_us) ||
        !store_reply_within(from, 1, 0, SLOTS_MAX, &granted) ||
        !store_reply_within(from, 2, -SPAN_MAX, SPAN_MAX, &out->due_us) ||
        !store_reply_within(from, 3, 0, SPAN_MAX, &out->beyond_us) ||
        !store_reply_within(from, 4, 0, SPAN_MAX, &out->pace_us) ||
        !store_reply_within(from, 5, 0, SPAN_MAX, &out->share_us) ||
        !store_reply_within(from, 6, 0, SCRIPT_NUMBER_MAX, &round) ||
        !store_reply_within(from, 7, 0, SPAN_MAX, &out->pause_us) ||
        !store_reply_within(from, 8, TURN_WAIT, TURN_ALL_GO, &state))
        return false;
    out->granted = (uint32_t)granted;
    out->round = (uint64_t)round;
    out->state = (enum turn_state)state;
    return true;
}
