#ifndef CURFEW_CORE_TURN_H
#define CURFEW_CORE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/permit.h"

/*
 * A host's part of a rate, and of a pause, that a fleet of curfews shares. What may be *out* at once is lent by another
 * step (core/block); this one says when the next one may start. The store's side answers one request at a time
 * (src/proxy/fleet_turn.lua, tests/sim/turns.h). Pure: time comes in, requests go out.
 *
 *   slot      an instant at which one call may start. The store keeps one bucket for the fleet (core/rate), and lends
 *             slots to hosts whose callers wait: at once as long as the burst lasts, and then in turn, a few at a time,
 *             each to be used when it is due. They count from the answer's arrival, so never early; one that is not
 *             used in time is given back, or lost.
 *   part      limit / hosts and burst / hosts: what each host has by itself while the store is away, and for a moment
 *             after it has come back without memory, until all hosts have heard of it. It begins with nothing.
 *   first     after a pause one host has the first call; when that is answered well, all may go, each from one call on.
 *
 * The rate holds in the whole fleet, but for what a host that alone can't reach the store adds: its part.
 */
enum turn_word { TURN_SAYS_NOTHING, TURN_WANTS_FIRST, TURN_WENT_WELL, TURN_IS_OVER };
enum turn_state { TURN_WAIT, TURN_FIRST, TURN_ALL_GO };

struct turn_terms {
    int64_t period_us; /* between two slots of the fleet; 0: there is no rate */
    uint32_t burst;
    bool pauses;
    int64_t deadline_ns; /* the longest of a call */
    int64_t life_ns;     /* how long the store remembers a host, lease and margin */
    int64_t timeout_ns;  /* for an answer, */
    int64_t renew_ns;    /* and between two requests while nothing happens */
};

struct turn_request {
    int64_t period_us, burst;
    uint32_t wanted;     /* slots, for callers that wait */
    int64_t patience_us; /* how long the longest of them can wait */
    uint32_t back;       /* slots that nobody used, */
    int64_t taken_us;    /* which were lent at that time of the store's */
    uint32_t spent;      /* starts without a slot */
    bool adrift;         /* and since the last answer the host had its part by itself */
    int64_t pause_us;    /* the API asks for a pause; 0: it does not */
    enum turn_word word; /* of the first call after a pause, */
    uint64_t round;      /* which is that one */
    int64_t deadline_us, life_us;
};

struct turn_reply {
    int64_t time_us;   /* the store's; and from then on: */
    uint32_t granted;  /* slots, */
    int64_t due_us;    /* the first of them, which may be negative: at once, and so may others be; */
    int64_t beyond_us; /* the next one that is not lent; */
    int64_t pace_us;   /* and in how long a host gets one; */
    int64_t share_us;  /* for so long it has its part by itself; 0: it has not */
    uint64_t round;    /* of the pause; 0: there never was one */
    int64_t pause_us;  /* what is left of it */
    enum turn_state state;
};

enum turn_mode { TURN_LENT, TURN_LEARNS, TURN_AWAY };

struct turn {
    struct turn_terms terms;
    enum turn_mode mode;
    bool open;         /* a request is */
    bool asks;         /* another one is to be sent, */
    int64_t sent_ns;   /* the last was, */
    int64_t tick_ns;   /* the next is at the latest, */
    int64_t retry_ns;  /* and not before */
    unsigned failures; /* in a row */
    /* Since then there was no answer; INT64_MAX: it has not been asked since the last one. */
    int64_t unheard_ns;
    int64_t share_until_ns;   /* TURN_LEARNS */
    bool adrift;              /* to be said; as are: */
    uint32_t spent;           /* in the request that is open, */
    enum turn_word word;      /* until it is answered; */
    enum turn_word sent_word; /* that it says */
    int64_t taken_us;         /* when the slots that are lent were */
    uint64_t round;           /* of the store's, as last heard */
    int64_t told_until_ns;    /* the end of the pause that the store knows of */
    bool is_first;            /* this host has the first call */
    int64_t first_ns;         /* it asks for it, or says that it still has it, then */
};

void turn_init(struct turn *turn, const struct turn_terms *terms, int64_t now_ns);
/* From now on these are the terms. Others may have news. */
void turn_set_terms(struct turn *turn, struct permit_pool *permits, const struct turn_terms *terms,
                    int64_t now_ns);

/*
 * Something has happened, or time has passed; `size` permits may be out. True: the request is to be sent. Others may
 * have news. `random` spreads what hosts do in step.
 */
bool turn_step(struct turn *turn, struct permit_pool *permits, uint32_t size, int64_t now_ns, uint32_t random,
               struct turn_request *request);
/* When to do so again though nothing happens. */
int64_t turn_next_ns(const struct turn *turn, const struct permit_pool *permits, int64_t now_ns);

/* The request that is open was answered; or was not. To be followed by a step. */
void turn_answered(struct turn *turn, struct permit_pool *permits, const struct turn_reply *reply,
                   int64_t now_ns);
void turn_lost(struct turn *turn, struct permit_pool *permits, int64_t now_ns, uint32_t random);
/* The store says: come and ask; or it can be reached again. */
void turn_hint(struct turn *turn);

/* Has the host its part by itself, rather than slots that were lent? */
static inline bool turn_is_alone(const struct turn *turn)
{
    return turn->mode != TURN_LENT;
}

#endif
