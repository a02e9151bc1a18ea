#include "core/turn.h"

#include "base/invariant.h"
#include "base/number.h"
#include "core/backoff.h"
#include "core/permit_lent.h"

/* The least time between two requests, */
#define GAP_NS         (2 * NS_PER_MS)
/* and between two for slots of which the store has said that they come too late, */
#define HOPELESS_NS    (100 * NS_PER_MS)
/* or for the first call after a pause, which another has. */
#define FIRST_AGAIN_NS (500 * NS_PER_MS)
/* A store that nobody asks for four seconds takes it that it was away: somebody asks within: */
#define QUIET_NS       (3 * NS_PER_S)
/* Waits after requests without an answer double up to: */
#define RETRY_NS       (50 * NS_PER_MS)
#define RETRY_MAX_NS   NS_PER_S
/* Two pauses that end within that are one. */
#define SAME_NS        NS_PER_MS

static int64_t part_of(int64_t length_ns, uint32_t random)
{
    return backoff_within(length_ns, (uint64_t)random << 32);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool has_rate(const struct turn *turn)
{
    return turn->terms.period_us > 0;
}

/* ---- the rate ------------------------------------------------------------------------------------------- */

/* As if it had been alone all the time: from its last start on, the bucket empty. */
static void go_alone(struct turn *turn, struct permit_pool *permits, int64_t now_ns)
{
    int64_t last_ns = permits->lent.last_ns;

    if (has_rate(turn))
        permit_pool_use_own(permits,
                            last_ns != 0 ? later(now_ns, last_ns + permits->rate.period_ns) : now_ns);
}

static void come_back(struct turn *turn, struct permit_pool *permits)
{
    turn->mode = TURN_LENT;
    if (!has_rate(turn) || permits->lent.is_on)
        return;
    permit_pool_use_lent(permits);
    permits->lent.pace_ns = turn->terms.period_us * NS_PER_US;
}

static void note_time(struct turn *turn, struct permit_pool *permits, int64_t now_ns)
{
    if (turn->mode == TURN_LEARNS && now_ns >= turn->share_until_ns)
        come_back(turn, permits);
    if (permits->lent.is_on)
        rate_lent_age(&permits->lent, now_ns);
}

static void take_slots(struct turn *turn, struct permit_pool *permits, const struct turn_reply *reply,
                       int64_t now_ns)
{
    struct rate_lent *lent = &permits->lent;

    if (reply->share_us > 0) {
        go_alone(turn, permits, now_ns);
        turn->mode = TURN_LEARNS;
        turn->share_until_ns = now_ns + reply->share_us * NS_PER_US;
        return;
    }
    come_back(turn, permits);
    if (reply->granted > 0) {
        rate_lent_put(lent, reply->granted, reply->due_us * NS_PER_US, turn->terms.period_us * NS_PER_US,
                      now_ns);
        lent->unused = 0; /* of a run before it */
        turn->taken_us = reply->time_us;
    }
    lent->pace_ns = reply->pace_us * NS_PER_US;
    lent->beyond_ns = now_ns + reply->beyond_us * NS_PER_US;
    if (reply->granted > 0) /* the others have their turn first */
        lent->beyond_ns =
            later(lent->beyond_ns, rate_lent_slot_ns(lent, lent->left - 1, now_ns) + lent->pace_ns);
    permit_pool_trim(permits, now_ns);
}

/* ---- the pause ------------------------------------------------------------------------------------------ */

static bool is_news(const struct turn *turn, const struct pause *pause, int64_t now_ns)
{
    return pause->round != 0 && pause->until_ns > now_ns && pause->until_ns > turn->told_until_ns + SAME_NS;
}

static void note_pause(struct turn *turn, const struct permit_pool *permits, int64_t now_ns)
{
    const struct pause *pause = &permits->pause;

    if (!turn->is_first)
        return;
    if (pause->round == 0 || pause->bound > 1) {
        turn->word = TURN_WENT_WELL;
    } else if (pause->until_ns > now_ns) {
        turn->word = TURN_SAYS_NOTHING; /* it was asked for another pause */
    } else if (pause->open == 0 && permits->queue.length == 0) {
        turn->word = TURN_IS_OVER;
    } else {
        return;
    }
    turn->is_first = false;
}

static bool wants_first(const struct turn *turn, const struct permit_pool *permits, int64_t now_ns)
{
    const struct pause *pause = &permits->pause;

    if (!turn->terms.pauses || pause->round == 0 || now_ns < pause->until_ns || now_ns < turn->first_ns)
        return false;
    return turn->is_first || (pause->waits && permits->queue.length > 0);
}

static void hold_back(struct turn *turn, struct permit_pool *permits, int64_t until_ns, int64_t now_ns)
{
    permit_pool_pause(permits, until_ns, now_ns);
    permits->pause.waits = true;
    turn->is_first = false;
    turn->told_until_ns = later(turn->told_until_ns, permits->pause.until_ns);
}

static void heed_state(struct turn *turn, struct permit_pool *permits, enum turn_state state, int64_t now_ns)
{
    struct pause *pause = &permits->pause;

    switch (state) {
    case TURN_ALL_GO:
        pause->waits = false;
        turn->is_first = false;
        break;
    case TURN_FIRST:
        if (pause->round == 0)
            turn->word = turn->word == TURN_WENT_WELL ? TURN_WENT_WELL : TURN_IS_OVER;
        else if (turn->word == TURN_SAYS_NOTHING)
            turn->is_first = true;
        pause->waits = false;
        turn->first_ns = now_ns + turn->terms.deadline_ns / 2;
        break;
    case TURN_WAIT:
        if (turn->word == TURN_SAYS_NOTHING && !pause->waits)
            hold_back(turn, permits, now_ns + SAME_NS, now_ns);
        turn->first_ns = now_ns + FIRST_AGAIN_NS;
        break;
    }
}

static void heed_pause(struct turn *turn, struct permit_pool *permits, const struct turn_reply *reply,
                       int64_t now_ns)
{
    const struct pause *pause = &permits->pause;
    int64_t until_ns = now_ns + reply->pause_us * NS_PER_US;

    if (reply->round != turn->round)
        turn->first_ns = now_ns;
    turn->round = reply->round;
    if (reply->pause_us == 0) {
        if (!is_news(turn, pause, now_ns))
            heed_state(turn, permits, reply->state, now_ns);
        return;
    }
    turn->first_ns = now_ns;
    turn->word = TURN_SAYS_NOTHING;
    if (pause->round == 0 || until_ns > pause->until_ns + SAME_NS)
        hold_back(turn, permits, until_ns, now_ns);
    turn->told_until_ns = later(turn->told_until_ns, until_ns);
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static int64_t interval_ns(const struct turn *turn)
{
    return turn->terms.pauses && turn->terms.renew_ns < QUIET_NS ? turn->terms.renew_ns : QUIET_NS;
}

/* Slots are worth a request if, as far as is known, they come in time for somebody; or are asked for seldom. */
static bool wants_slots(const struct turn *turn, const struct permit_pool *permits, uint32_t size,
                        int64_t now_ns)
{
    if (permit_pool_wants_slots(permits, size, now_ns) == 0)
        return false;
    return now_ns >= turn->sent_ns + HOPELESS_NS ||
           now_ns + permit_pool_patience_ns(permits, now_ns) >= permits->lent.beyond_ns;
}

static bool has_words(const struct turn *turn, const struct permit_pool *permits, int64_t now_ns)
{
    return turn->asks || turn->word != TURN_SAYS_NOTHING || turn->mode == TURN_AWAY ||
           (turn->terms.pauses && is_news(turn, &permits->pause, now_ns)) ||
           wants_first(turn, permits, now_ns) || permits->lent.unused > 0;
}

static bool is_due(const struct turn *turn, const struct permit_pool *permits, uint32_t size, int64_t now_ns)
{
    if (turn->open || now_ns < turn->retry_ns)
        return false;
    if (now_ns >= turn->tick_ns)
        return true;
    return now_ns >= turn->sent_ns + GAP_NS &&
           (has_words(turn, permits, now_ns) || wants_slots(turn, permits, size, now_ns));
}

/* Of the starts without a slot those count that the bucket of the host's part could have had in it. */
static uint32_t spend(struct permit_pool *permits)
{
    uint32_t owed = permits->lent.owed;
    int64_t most = permits->rate.period_ns > 0 ? permits->rate.slack_ns / permits->rate.period_ns + 1 : 0;

    permits->lent.owed = 0;
    return owed < most ? owed : (uint32_t)most;
}

static void put_rate(struct turn *turn, struct permit_pool *permits, uint32_t size, int64_t now_ns,
                     struct turn_request *request)
{
    request->period_us = turn->terms.period_us;
    request->burst = turn->terms.burst;
    request->wanted = permit_pool_wants_slots(permits, size, now_ns);
    request->patience_us = permit_pool_patience_ns(permits, now_ns) / NS_PER_US;
    request->back = permits->lent.unused;
    request->taken_us = turn->taken_us;
    request->spent = turn->spent = spend(permits);
    request->adrift = turn->adrift;
    permits->lent.unused = 0;
}

static void put_pause(struct turn *turn, const struct permit_pool *permits, int64_t now_ns,
                      struct turn_request *request)
{
    const struct pause *pause = &permits->pause;

    if (is_news(turn, pause, now_ns))
        request->pause_us = (pause->until_ns - now_ns + NS_PER_US - 1) / NS_PER_US;
    request->round = turn->round;
    request->word =
        turn->word == TURN_SAYS_NOTHING && wants_first(turn, permits, now_ns) ? TURN_WANTS_FIRST : turn->word;
    turn->sent_word = request->word;
}

bool turn_step(struct turn *turn, struct permit_pool *permits, uint32_t size, int64_t now_ns, uint32_t random,
               struct turn_request *request)
{
    int64_t spread_ns = interval_ns(turn) / 5;

    note_time(turn, permits, now_ns);
    note_pause(turn, permits, now_ns);
    if (!is_due(turn, permits, size, now_ns))
        return false;
    *request = (struct turn_request){.deadline_us = turn->terms.deadline_ns / NS_PER_US,
                                     .life_us = turn->terms.life_ns / NS_PER_US};
    if (has_rate(turn))
        put_rate(turn, permits, size, now_ns, request);
    if (turn->terms.pauses)
        put_pause(turn, permits, now_ns, request);
    if (turn->unheard_ns == INT64_MAX)
        turn->unheard_ns = now_ns;
    turn->open = true;
    turn->asks = false;
    turn->sent_ns = now_ns;
    turn->tick_ns = now_ns + interval_ns(turn) - spread_ns / 2 + part_of(spread_ns, random);
    return true;
}

int64_t turn_next_ns(const struct turn *turn, const struct permit_pool *permits, int64_t now_ns)
{
    int64_t next_ns = turn->tick_ns;

    if (turn->mode == TURN_LEARNS && turn->share_until_ns < next_ns)
        next_ns = turn->share_until_ns;
    if (turn->open)
        return turn->mode == TURN_LEARNS ? turn->share_until_ns
                                         : NS_NEVER; /* the answer, or none, comes by itself */
    if (has_words(turn, permits, now_ns))
        next_ns = turn->sent_ns + GAP_NS;
    else if (turn->terms.pauses && permits->pause.round != 0 && permits->pause.waits) {
        int64_t first_ns = later(permits->pause.until_ns, turn->first_ns);

        if (first_ns > now_ns && first_ns < next_ns)
            next_ns = first_ns;
    }
    if (wants_slots(turn, permits, permits->size, now_ns))
        next_ns = turn->sent_ns + GAP_NS;
    else if (permits->lent.is_on && permits->queue.length > 0 && turn->sent_ns + HOPELESS_NS < next_ns)
        next_ns = later(turn->sent_ns, now_ns - GAP_NS) + HOPELESS_NS;
    return later(next_ns, turn->retry_ns);
}

/* ---- answers -------------------------------------------------------------------------------------------- */

void turn_answered(struct turn *turn, struct permit_pool *permits, const struct turn_reply *reply,
                   int64_t now_ns)
{
    PRE(turn->open);
    turn->open = turn->adrift = false;
    turn->failures = 0;
    turn->retry_ns = now_ns;
    turn->spent = 0;
    turn->unheard_ns = INT64_MAX;
    if (turn->mode == TURN_AWAY)
        turn->mode = TURN_LENT;
    if (turn->terms.pauses) {
        if (turn->word == turn->sent_word) /* else it came up meanwhile */
            turn->word = TURN_SAYS_NOTHING;
        heed_pause(turn, permits, reply, now_ns);
    }
    if (has_rate(turn))
        take_slots(turn, permits, reply, now_ns);
}

/* Who has not been answered for as long as an answer may take has its part by itself. */
void turn_lost(struct turn *turn, struct permit_pool *permits, int64_t now_ns, uint32_t random)
{
    int64_t wait_ns = RETRY_NS << (turn->failures < 5 ? turn->failures : 5);

    if (!turn->open)
        return;
    if (wait_ns > RETRY_MAX_NS)
        wait_ns = RETRY_MAX_NS;
    turn->open = false;
    turn->asks = true;
    turn->failures++;
    turn->retry_ns = now_ns + wait_ns / 2 + part_of(wait_ns / 2, random);
    permits->lent.owed += turn->spent;
    turn->spent = 0;
    if (now_ns - turn->unheard_ns < turn->terms.timeout_ns - SAME_NS)
        return;
    permits->pause.waits = false;
    if (turn->mode == TURN_AWAY)
        return;
    go_alone(turn, permits, now_ns);
    turn->mode = TURN_AWAY;
    turn->adrift = true;
}

void turn_hint(struct turn *turn)
{
    turn->asks = true;
    turn->retry_ns = turn->sent_ns;
}

/* ---- life ----------------------------------------------------------------------------------------------- */

void turn_init(struct turn *turn, const struct turn_terms *terms, int64_t now_ns)
{
    *turn = (struct turn){.terms = *terms,
                          .sent_ns = now_ns - GAP_NS,
                          .tick_ns = now_ns,
                          .retry_ns = now_ns,
                          .unheard_ns = INT64_MAX,
                          .first_ns = now_ns,
                          .told_until_ns = INT64_MIN / 2};
}

void turn_set_terms(struct turn *turn, struct permit_pool *permits, const struct turn_terms *terms,
                    int64_t now_ns)
{
    turn->terms = *terms;
    turn->asks = true;
    turn->tick_ns = turn->tick_ns > now_ns ? now_ns : turn->tick_ns;
    permits->shares_pause = terms->pauses;
    if (!terms->pauses)
        permits->pause.waits = turn->is_first = false;
    if (has_rate(turn) && turn->mode == TURN_LENT)
        come_back(turn, permits);
}
