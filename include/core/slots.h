#ifndef CURFEW_CORE_SLOTS_H
#define CURFEW_CORE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What a connection over HTTP/2 to an API may still be given, and what its silence means.
 *
 * A call takes a slot, and its stream has it until both sides have ended, or until the API can know that it was reset:
 * something was read after the RST_STREAM had been written. So a connection that is dead does not swallow call after
 * call, and a server that counts streams which it has not cleaned up yet does not find too many.
 *
 * Resets are counted, because servers end connections that have seen too many (nghttp2 and Node after 1000 and 33 a
 * second, Netty after 200 in 30 s), and all calls on them with it. A connection whose budget is used up is retired: it
 * takes no more calls, and ends with its last one. And no connection ever sees SLOTS_RESETS_MAX of them: once there was
 * one, no more calls run on it than could all be reset.
 *
 * Silence. A PING goes before a call that finds a connection silent for long, and with the reset of a call during which
 * nothing was read: never by the clock, for servers of gRPC end connections that are pinged for nothing. After one that
 * went with a reset none does so again until a response has said more than that the API is there. While the answer to
 * one that went with a reset is outstanding, the connection is doubtful, and takes no call.
 *
 * Pure; times are absolute, in nanoseconds.
 */
#define SLOTS_RESETS_MAX  150u
#define SLOTS_RESETS      100u /* the budget, */
#define SLOTS_RESETS_A_S  5u   /* which is filled up again by so many a second */
/* Of an API that has not said how many streams it allows. */
#define SLOTS_PEER_UNTOLD 100u

struct slots_terms {
    uint32_t streams;   /* at once */
    uint32_t max_calls; /* on the whole */
};

struct slots {
    uint32_t open;        /* slots that are taken by calls */
    uint32_t unconfirmed; /* that were reset, and the API may not know of it */
    uint32_t begun;       /* calls, on the whole */
    uint32_t resets;      /* likewise */
    uint32_t refused_at;  /* so many were open when the API refused one; 0: it never has */
    int64_t filled_ns;    /* when the budget was as full as can be, if it had been used evenly */
    int64_t ping_ns;      /* a PING went then, and nothing was read since; 0: none */
    bool doubtful;
    bool has_pinged; /* with a reset: not again until a response comes */
    bool retired;
};

/* Of a new connection. */
void slots_init(struct slots *slots, int64_t now_ns);

/* How many calls may begin. `peer` is what the API allows. */
uint32_t slots_left(const struct slots *slots, const struct slots_terms *terms, uint32_t peer)
    __attribute__((pure));

/* A call takes a slot. */
void slots_take(struct slots *slots);
/* One gives it back whose stream has ended on both sides, or was never begun. */
void slots_give(struct slots *slots);

/*
 * May a call that has taken its slot begin its stream? Behind a PING that is outstanding only one that may be sent
 * twice, and none while the connection is doubtful.
 */
static inline bool slots_may_begin(const struct slots *slots, bool repeatable)
{
    return !slots->doubtful && (slots->ping_ns == 0 || repeatable);
}

/* May one more stream be reset? */
static inline bool slots_may_reset(const struct slots *slots)
{
    return slots->resets + 1 < SLOTS_RESETS_MAX;
}

/* Somebody has reset a stream: of a call, which gives its slot back when the API knows; or of none. */
void slots_count_reset(struct slots *slots, int64_t now_ns);
/* That was a call's. `silent`: nothing was read since it began. True: a PING goes with the reset. */
bool slots_reset_call(struct slots *slots, int64_t now_ns, bool silent) __attribute__((warn_unused_result));

/* The API has refused a stream (REFUSED_STREAM), whose slot is still taken. */
void slots_note_refused(struct slots *slots);

/*
 * Something was read. `knows_resets`: all resets had been written by then. `is_response`: it was a part of a response.
 */
void slots_note_read(struct slots *slots, bool knows_resets, bool is_response);

/* A call comes, and nothing was read since `read_ns`. True: a PING has to go before it, from now on outstanding. */
bool slots_ask(struct slots *slots, int64_t now_ns, int64_t read_ns, int64_t probe_after_ns)
    __attribute__((warn_unused_result));

/* How long no connection is made to an API that has said ENHANCE_YOUR_CALM. Zero: it has not. */
struct calm {
    int64_t for_ns;   /* the latest time */
    int64_t until_ns; /* its end */
};

#define CALM_FIRST_NS 100000000
#define CALM_MOST_NS  5000000000

/* It has said so: for 100 ms, and for twice as long each time, up to 5 s, unless it was well for ten seconds. */
void calm_note(struct calm *calm, int64_t now_ns);

#endif
