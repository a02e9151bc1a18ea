#include "core/turn_words.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/invariant.h"

/* A script's numbers are exact up to here; */
#define NUMBER_MAX ((INT64_C(1) << 53) - 1)
/* instants that are told, in us, are within a few centuries, and do not overflow as ns. */
#define SPAN_MAX   (INT64_MAX / 2000)
#define SLOTS_MAX  INT64_C(1000000000)

/* ---- the request ---------------------------------------------------------------------------------------- */

static void put_text(struct turn_words *out, struct span text)
{
    PRE(out->count < TURN_WORDS);
    out->words[out->count++] = text;
}

static void put_number(struct turn_words *out, int64_t number)
{
    char *at = out->bytes + out->used;
    size_t room = sizeof(out->bytes) - out->used;
    int len = snprintf(at, room, "%" PRId64, number < NUMBER_MAX ? number : NUMBER_MAX);

    PRE(number >= 0 && len > 0 && (size_t)len < room);
    out->used += (uint32_t)len;
    put_text(out, (struct span){at, (size_t)len});
}

void turn_put_words(struct turn_words *out, const struct turn_request *request, struct span host,
                    struct span channel)
{
    out->count = out->used = 0;
    put_text(out, host);
    put_number(out, request->period_us);
    put_number(out, request->burst);
    put_number(out, request->wanted);
    put_number(out, request->patience_us);
    put_number(out, request->back);
    put_number(out, request->taken_us);
    put_number(out, request->spent);
    put_number(out, request->adrift);
    put_number(out, request->pause_us);
    put_number(out, request->word);
    put_number(out, (int64_t)request->round);
    put_number(out, request->deadline_us);
    put_number(out, request->life_us);
    put_text(out, channel);
    POST(out->count == TURN_WORDS);
}

/* ---- the answer ----------------------------------------------------------------------------------------- */

static bool read_within(const struct store_reply *from, uint32_t item, int64_t least, int64_t most,
                        int64_t *out)
{
    return store_reply_number(from, item, out) && *out >= least && *out <= most;
}

bool turn_read_reply(const struct store_reply *from, struct turn_reply *out)
{
    int64_t granted, round, state;

    if (from->kind != STORE_LIST || from->count < 9 || !read_within(from, 0, 0, NUMBER_MAX, &out->time_us) ||
        !read_within(from, 1, 0, SLOTS_MAX, &granted) ||
        !read_within(from, 2, -SPAN_MAX, SPAN_MAX, &out->due_us) ||
        !read_within(from, 3, 0, SPAN_MAX, &out->beyond_us) ||
        !read_within(from, 4, 0, SPAN_MAX, &out->pace_us) ||
        !read_within(from, 5, 0, SPAN_MAX, &out->share_us) || !read_within(from, 6, 0, NUMBER_MAX, &round) ||
        !read_within(from, 7, 0, SPAN_MAX, &out->pause_us) ||
        !read_within(from, 8, TURN_WAIT, TURN_ALL_GO, &state))
        return false;
    out->granted = (uint32_t)granted;
    out->round = (uint64_t)round;
    out->state = (enum turn_state)state;
    return true;
}
