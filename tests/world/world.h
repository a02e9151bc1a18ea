#ifndef CURFEW_TESTS_WORLD_WORLD_H
#define CURFEW_TESTS_WORLD_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "call/context.h"
#include "call/downstream.h"
#include "call/replay.h"
#include "config/numbering.h"
#include "core/cause.h"
#include "core/phase.h"
#include "core/retry_policy.h"
#include "core/retry_tokens.h"
#include "core/tunnel.h"
#include "../sim/events.h"
#include "net.h"
#include "core/verdict.h"
#include "runtime/address_book.h"
#include "runtime/circuit.h"
#include "runtime/loop.h"
#include "runtime/pool.h"

/*
 * A simulated world for the calls of curfew: the real ones, with the real rooms wire and call, pools, loops and
 * mailboxes, of several workers in one thread and on one clock that stands while anything can be done. Callers and APIs
 * that misbehave are at the other ends of net.h. What happens, when, and in which order of things of one instant, is
 * drawn by lot; the lots come from whoever makes the world.
 *
 * The world has books of its own, and compares them with curfew's after each step: what a call holds, where its time
 * went, that its deadline stays, and that it is over by then; who holds permits, in which order they were given; which
 * request has come to an API, and how often; whether a caller has got the content that belongs to its request, and all
 * of it or plainly not all.
 */
#define WORKERS   3
#define UPSTREAMS 4
#define POOLS     3

struct world;

/* How an API and its callers behave; figures in per cent of the occasions. */
struct world_api {
    uint32_t pool;
    struct circuit circuit; /* if it has one */
    bool has_circuit;
    bool speaks_h2;
    bool upgrades; /* to WebSockets, over HTTP/1.1: */
    int64_t tunnel_idle_ns, tunnel_life_ns;
    uint32_t stalls, refuses, loses, garbles, drips, answers_early, closes_idle;
    uint32_t callers_leave, callers_dawdle;
    uint32_t asks_to_wait; /* 429 or 503, mostly with how long */
    uint32_t attempts;     /* of a call, by its policy */
    uint32_t burst, share;
    struct retry_tokens tokens;
};

/* What may start at a pool with a rate, or with pauses (starts.c). */
#define WORLD_HOLDERS 16

struct world_holder {
    const struct permit *permit;
    uint32_t round; /* of the pause after which it has started; 0: of none */
};

struct world_starts {
    int64_t period_ns;        /* between two starts; 0: it has no rate */
    int64_t full_ns;          /* what a whole burst is worth, */
    int64_t left_ns, seen_ns; /* and what was left of that, and when */
    uint64_t counted;
    bool pauses, pauses_at_503;
    int64_t pause_max_ns; /* as configured at first; 0: it never pauses */
    int64_t paused_until_ns;
    uint32_t bound; /* of those who have started since then; 0: there is none */
    uint32_t round;
    uint32_t holder_count;
    struct world_holder holders[WORLD_HOLDERS];
};

struct world_pool {
    struct pool pool;
    struct world_starts starts;
    bool lingers;
    uint32_t size, queue_size; /* as last asked for */
    uint32_t allowed;          /* permits that may be held now: comes down as they come back */
    uint64_t last_granted;     /* the highest place in the queue that got one */
};

struct world_worker {
    struct world *world;
    struct loop loop;
    struct call_context context;
    struct call_terms terms;
    struct listener_worker listeners[UPSTREAMS];
    char *text;
};

/* A request: its number is its target, and tells which content belongs to it. */
struct world_request {
    uint8_t most;                    /* times that it may come to an API, */
    uint8_t arrivals;                /* and has */
    uint8_t sendings, most_sendings; /* over HTTP/2, refused ones too */
    uint32_t told_s; /* if its pool has refused it: how long its caller is to wait; 0: it has not */
    bool over;
};

/* What the world notes of a call that it has seen, by the number of its id. */
struct world_note {
    int64_t deadline_ns, policy_ns, seen_ns;
    uint64_t place; /* in the queue */
    bool counted, waits;
};

struct world {
    uint64_t (*lot)(struct world *world);
    void *lots;
    uint64_t random;
    uint64_t wanted, begun; /* requests */
    int64_t now_ns;
    bool patient; /* no deadlines, no limits, nobody stalls: only a lost wake-up can keep a call */
    bool drains;  /* ends with all calls in flight turned away */
    struct events events;
    struct happening arrival, drain, resize, audit;
    int64_t gap_ns;
    uint32_t burst;
    struct snapshot *snapshot;
    struct numbering numbering;
    struct loop *loops[WORKERS];
    struct world_worker workers[WORKERS];
    struct world_pool pools[POOLS];
    struct pool *pool_list[POOLS];
    struct world_api apis[UPSTREAMS];
    struct world_request *requests; /* by number */
    uint64_t request_cap;
    struct world_note *notes; /* by the last bits of a call's id */
    uint64_t note_cap;
    uint64_t queued;
    struct list_node callers, connections;
    uint64_t reasons[RETRY_STOP_COUNT];
    uint64_t under_way[UPSTREAMS], tries[UPSTREAMS][TRY_KIND_COUNT];
    struct replay_store replay;
    struct address_book addresses;

    uint64_t steps, ended, outcomes[OUTCOME_COUNT], stuck[PHASE_COUNT], spared, replaced, sent_twice, retried,
        lingered, refused_by_breakers, reused, early, answers, cut_answers, grown, shrunk, streams, refused,
        given_up;
    uint64_t started_again, late_starts, slow_starts, no_slots, paused_away, put_out, pauses, longer,
        recovered, let_go, told_long;
    uint64_t tunnels[TUNNEL_END_COUNT], echoed;
    uint64_t resets, retired, pings, doubts, narrow;
    uint32_t most_streams, most_resets;
};

/* Ends the process, and says what is wrong. Who runs the world says how to make it again. */
__attribute__((noreturn)) void world_broken(const struct world *world, const char *what, const char *where,
                                            int line);
void world_say_how(const struct world *world);

#define CHECK(world, condition)                                                                              \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            world_broken(world, #condition, __FILE__, __LINE__);                                             \
    } while (0)

/* There is one world at a time. */
void world_make(struct world *world, uint64_t (*lot)(struct world *world), void *lots, uint64_t seed,
                uint64_t requests);
/* One thing happens. False: nothing ever will. */
bool world_step(struct world *world);
/* After the last step: nothing is left. Frees what the world has. */
void world_end(struct world *world);

/* The one that there is: clocks, pools and the log are asked without an argument. */
extern struct world *the_world;

/* settings.c: draws the configuration, and the APIs. */
void world_configure(struct world *world);

/* books.c: nothing is wrong after a step. */
void books_check(struct world *world);

/* starts.c: from now on a pool has this rate, 0 for none, and may be paused or not. */
void starts_set(struct world_pool *pool, uint32_t rate_per_hour, uint32_t burst, bool pauses);
void starts_check(struct world *world, const struct world_pool *pool);
/* May anybody who can't wait for longer be in the queue? */
bool starts_may_wait(const struct world_pool *pool, int64_t wait_until_ns);
/* The next that happens is at next_ns: nobody has waited in vain. */
void starts_check_next(struct world *world, const struct world_pool *pool, int64_t next_ns);

/* settings.c: a rate for a pool by lot, in starts an hour; 0: none. */
uint32_t world_draw_rate(struct world *world, uint32_t *burst);

/* Of lots. */
static inline uint32_t below(struct world *world, uint32_t bound)
{
    return (uint32_t)(world->lot(world) % bound);
}

static inline bool chance(struct world *world, uint32_t percent)
{
    return below(world, 100) < percent;
}

/* Whole milliseconds more often than not, so that many things fall into one instant. */
static inline int64_t some_time(struct world *world, uint32_t max_ms)
{
    uint32_t kind = below(world, 10);

    if (kind < 2)
        return 0;
    if (kind < 7)
        return (int64_t)below(world, max_ms + 1) * NS_PER_MS;
    return (int64_t)(world->lot(world) % ((uint64_t)max_ms * (uint64_t)NS_PER_MS + 1));
}

static inline void plan(struct world *world, struct happening *event, int64_t in_ns)
{
    events_plan(&world->events, event, world->now_ns + in_ns, world->lot(world));
}

/* What happens to a worker's loop outside of the loop's own turns is a turn by itself. */
void world_begin_turn(struct world_worker *worker);
void world_end_turn(struct world_worker *worker);

/* people.c: callers and APIs. */
void people_arrive(struct world *world);
/* The content of the response to a request: its length, and each byte of it. */
size_t content_length_of(uint64_t number);
char content_byte_of(uint64_t number, size_t at);
/* A request's head has been looked at by an API. */
void world_note_arrival(struct world *world, uint64_t number);
/* What an API says that wants to be left alone for a while. */
struct world_wait {
    const char *status, *name; /* of the field; NULL: it does not say for how long */
    char value[16];
};
struct world_wait world_draw_wait(struct world *world);
/* What curfew has written to APIs over HTTP/2 is heard. at_work: the streams that they work on, by pool. */
void people_listen(struct world *world, uint32_t at_work[POOLS]);
/* Everything that was written for callers and APIs, and that they are there for, is looked at. */
void people_end(struct world *world);
bool people_dialled(struct net_dial *dial);
void people_given_up(struct net_dial *dial);

#endif
