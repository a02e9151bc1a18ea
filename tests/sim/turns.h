#ifndef CURFEW_TESTS_SIM_TURNS_H
#define CURFEW_TESTS_SIM_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/turn.h"

/*
 * The store's side of a fleet's rate and pause, one pool's (core/turn.h has the words): the step that a host's request
 * is. It is written for tests: the worlds of rates.c run on it, and the script that a real store runs is held against it.
 * A host is a number here, below TURNS_HOSTS.
 */
#define TURNS_HOSTS      1000u
#define TURNS_NOBODY     UINT32_MAX
#define TURNS_LEARN_US   INT64_C(2500000)
#define TURNS_SILENCE_US INT64_C(4000000)
#define TURNS_QUIET_US   INT64_C(1000000)
#define TURNS_DOUBT_US   INT64_C(1500000)
#define TURNS_AHEAD_US   INT64_C(50000)
#define TURNS_WANTS_US   INT64_C(1000000)
#define TURNS_KEPT_US    INT64_C(500000)
#define TURNS_EXPIRED    16
#define TURNS_FAR        (INT64_C(1) << 52)

/* A rule each that is broken, to show that the worlds find it. */
enum turns_mutant {
    TURNS_SOUND,
    TURNS_BEGINS_FULL,      /* a store without memory lends a burst at once */
    TURNS_IGNORES_RUN_ID,   /* a failover is not noticed */
    TURNS_IGNORES_SILENCE,  /* nor that nobody asked for so long */
    TURNS_IGNORES_ADRIFT,   /* nor that hosts had their parts meanwhile */
    TURNS_TAKES_ALL_BACK,   /* also what the bucket has made up for since */
    TURNS_LENDS_BEYOND,     /* slots at their wish, however late */
    TURNS_LETS_ALL_GO_FIRST /* after a pause */
};

struct turns {
    enum turns_mutant mutant;
    uint64_t run, seen_run; /* 0: never */
    int64_t stepped_us, quiet_us, tat_us, period_us, period_until_us, burst, burst_until_us, learn_until_us;
    int64_t low_us, low_before_us, low_since_us;
    uint64_t round;
    int64_t pause_until_us, probe_until_us;
    uint32_t prober;
    bool returned;
    int64_t forget_us[TURNS_HOSTS]; /* that a host wants slots; 0: it does not */
    uint32_t wanting;
    uint64_t steps, told; /* told: that all are to ask */
};

static inline int64_t turns_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t turns_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline void turns_init(struct turns *turns)
{
    *turns = (struct turns){.low_us = TURNS_FAR, .low_before_us = TURNS_FAR, .prober = TURNS_NOBODY};
}

static inline int64_t turns_slack(const struct turns *turns)
{
    return (turns->burst - 1) * turns->period_us;
}

static inline void turns_note_rate(struct turns *turns, const struct turn_request *request, int64_t now_us)
{
    if (request->period_us >= turns->period_us || now_us >= turns->period_until_us) {
        turns->period_us = request->period_us;
        turns->period_until_us = now_us + request->life_us;
    }
    if (request->burst <= turns->burst || now_us >= turns->burst_until_us) {
        turns->burst = request->burst;
        turns->burst_until_us = now_us + request->life_us;
    }
}

static inline void turns_learn(struct turns *turns, int64_t now_us)
{
    turns->learn_until_us = now_us + TURNS_LEARN_US;
    turns->tat_us = turns->learn_until_us + turns_slack(turns);
    if (turns->mutant == TURNS_BEGINS_FULL)
        turns->learn_until_us = turns->tat_us = now_us;
}

static inline void turns_charge(struct turns *turns, const struct turn_request *request, int64_t now_us)
{
    int64_t silence_us = now_us > turns->stepped_us ? now_us - turns->stepped_us : turns->stepped_us - now_us;
    bool adrift = request->adrift && turns->mutant != TURNS_IGNORES_ADRIFT;
    bool is_other =
        turns->seen_run != turns->run && (turns->seen_run == 0 || turns->mutant != TURNS_IGNORES_RUN_ID);

    if (silence_us > TURNS_QUIET_US)
        turns->quiet_us = now_us;
    if (is_other || (silence_us > TURNS_SILENCE_US && turns->mutant != TURNS_IGNORES_SILENCE)) {
        turns->low_us = turns->low_before_us = 0;
        turns_learn(turns, now_us);
    } else if (now_us < turns->learn_until_us) {
        return;
    } else if (adrift && now_us - turns->quiet_us < TURNS_DOUBT_US) {
        turns_learn(turns, now_us);
    } else {
        if (adrift)
            turns->tat_us = turns_most(turns->tat_us, now_us + turns_slack(turns));
        if (request->spent > 0)
            turns->tat_us = turns_most(turns->tat_us, now_us) + request->spent * turns->period_us;
        turns->tat_us =
            turns_least(turns->tat_us, now_us + turns_slack(turns) + turns->period_us + request->deadline_us);
    }
}

static inline void turns_take_back(struct turns *turns, const struct turn_request *request, int64_t now_us)
{
    int64_t by;

    if (request->back == 0 || now_us < turns->learn_until_us || now_us < request->taken_us ||
        now_us - request->taken_us > TURNS_KEPT_US)
        return;
    by = turns_least(request->back * turns->period_us, turns_most(0, turns->tat_us - now_us));
    if (turns->mutant != TURNS_TAKES_ALL_BACK)
        by = turns_least(by, turns_least(turns->low_us, turns->low_before_us));
    turns->tat_us -= by;
    turns->low_us -= by;
    turns->low_before_us -= by;
}

static inline void turns_note_low(struct turns *turns, int64_t ahead_us, int64_t now_us)
{
    if (now_us < turns->low_since_us || now_us - turns->low_since_us > TURNS_KEPT_US) {
        turns->low_before_us = turns->low_us;
        turns->low_us = TURNS_FAR;
        turns->low_since_us = now_us;
    }
    turns->low_us = turns_least(turns->low_us, ahead_us);
}

/* Those that want nothing any more are forgotten, a few in one step, the earliest first. */
static inline void turns_forget(struct turns *turns, int64_t now_us)
{
    for (int i = 0; i < TURNS_EXPIRED && turns->wanting > 0; i++) {
        uint32_t first = TURNS_NOBODY;

        for (uint32_t host = 0; host < TURNS_HOSTS; host++)
            if (turns->forget_us[host] != 0 &&
                (first == TURNS_NOBODY || turns->forget_us[host] < turns->forget_us[first]))
                first = host;
        if (turns->forget_us[first] > now_us)
            return;
        turns->forget_us[first] = 0;
        turns->wanting--;
    }
}

static inline void turns_lend(struct turns *turns, uint32_t host, const struct turn_request *request,
                              int64_t now_us, struct turn_reply *reply)
{
    int64_t tat_us = turns_most(turns->tat_us, now_us), due_us, free_now, few, count;

    turns_forget(turns, now_us);
    if (request->wanted == 0 || now_us < turns->learn_until_us)
        return;
    due_us = tat_us - turns_slack(turns) - now_us;
    reply->due_us = due_us;
    turns->wanting += turns->forget_us[host] == 0;
    turns->forget_us[host] = now_us + TURNS_WANTS_US + turns_most(0, due_us);
    free_now = due_us <= 0 ? -due_us / turns->period_us + 1 : 0;
    few = turns_most(1, TURNS_AHEAD_US / (turns->period_us * turns->wanting));
    if (due_us > request->patience_us)
        return;
    count = turns_least(request->wanted, turns_most(free_now, few));
    count = turns_least(count, (request->patience_us - due_us) / turns->period_us + 1);
    if (turns->mutant == TURNS_LENDS_BEYOND) {
        reply->granted = request->wanted;
        reply->due_us = turns_least(0, due_us);
        return;
    }
    turns_note_low(turns, tat_us - now_us, now_us);
    turns->tat_us = tat_us + count * turns->period_us;
    reply->granted = (uint32_t)count;
}

static inline void turns_note_pause(struct turns *turns, const struct turn_request *request, int64_t now_us)
{
    int64_t to_us = now_us + request->pause_us;

    if (request->pause_us == 0)
        return;
    if (now_us >= turns->pause_until_us) {
        turns->round++;
        turns->prober = TURNS_NOBODY;
        turns->probe_until_us = 0;
        turns->returned = false;
        turns->told++;
    } else if (to_us > turns->pause_until_us + 10000)
        turns->told++;
    turns->pause_until_us = turns_most(turns->pause_until_us, to_us);
}

static inline void turns_note_first(struct turns *turns, uint32_t host, const struct turn_request *request,
                                    int64_t now_us)
{
    bool is_mine = turns->prober == host;

    if (request->word == TURN_SAYS_NOTHING || turns->returned || now_us < turns->pause_until_us)
        return;
    if (request->word == TURN_WANTS_FIRST &&
        (is_mine || turns->prober == TURNS_NOBODY || now_us >= turns->probe_until_us)) {
        turns->prober = host;
        turns->probe_until_us = now_us + request->deadline_us + 1000000;
    } else if (request->round != turns->round || !is_mine) {
        return;
    } else if (request->word == TURN_WENT_WELL) {
        turns->returned = true;
        turns->told++;
    } else if (request->word == TURN_IS_OVER) {
        turns->prober = TURNS_NOBODY;
        turns->told++;
    }
}

static inline enum turn_state turns_state(const struct turns *turns, uint32_t host, int64_t now_us)
{
    if (turns->returned || turns->round == 0)
        return TURN_ALL_GO;
    if (now_us >= turns->pause_until_us && turns->mutant == TURNS_LETS_ALL_GO_FIRST)
        return TURN_FIRST;
    return now_us >= turns->pause_until_us && turns->prober == host ? TURN_FIRST : TURN_WAIT;
}

static inline void turns_step(struct turns *turns, uint32_t host, int64_t now_us,
                              const struct turn_request *request, struct turn_reply *reply)
{
    turns->steps++;
    *reply = (struct turn_reply){.time_us = now_us};
    if (request->period_us > 0) {
        turns_note_rate(turns, request, now_us);
        turns_charge(turns, request, now_us);
        turns_take_back(turns, request, now_us);
        turns_lend(turns, host, request, now_us, reply);
        reply->beyond_us = turns_most(0, turns->tat_us - turns_slack(turns) - now_us);
        reply->pace_us = turns->period_us * turns_most(1, turns->wanting);
        reply->share_us = turns_most(0, turns->learn_until_us - now_us);
    }
    turns_note_pause(turns, request, now_us);
    turns_note_first(turns, host, request, now_us);
    turns->seen_run = turns->run;
    turns->stepped_us = now_us;
    reply->round = turns->round;
    reply->pause_us = turns_most(0, turns->pause_until_us - now_us);
    reply->state = turns_state(turns, host, now_us);
}

#endif
