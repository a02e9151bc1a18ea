#ifndef CURFEW_CORE_BLOCK_H
#define CURFEW_CORE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A host's part of a cap that a fleet of curfews shares. A store lends each host a *block* of whole permits for a time;
 * the host's pool uses it as if it were its own. The store's side is one step, `renew`, that answers one request at a
 * time (tests/sim/ledger.h).
 *
 *   book      what the store has written down of a pool: permits by host
 *   usable    permits of the block that the host may use: the size of its pool
 *   claim     what a host says in a request that it may be using
 *   aim       where usable is going; as calls end, never by taking a permit away
 *   epoch     one life of the book; the store begins a new one whenever it can not know what it has lent
 *   hint      the store says: come and ask. It carries no number, so losing one, or having it twice, changes nothing
 *   tight     somebody in the fleet waits, or did a moment ago: permits move one by one. Else it is calm
 *
 * Exact, whatever is lost, late or twice, as long as clocks keep the same rate:
 *
 *   - One request is open at a time. While it is, usable falls and never rises, so that its claim stays true.
 *   - Only the answer to the last request is taken, by its number and connection. A request that is not answered in
 *     time costs the connection.
 *   - The lease counts from when the request was sent. A call starts by the block only if it will be over, deadline and
 *     grace, before the lease is; block_size has to be asked with a clock that was read just then.
 *   - After that the *fallback* holds: nothing, a fixed share, or everything. Towards a share usable glides before the
 *     lease ends, so that all hosts have come down to theirs when the first one counts on it; a host without
 *     a lease waits for its share as long as one lasts. Only if there never was so much as a connection to the store
 *     (block_unreached) it does not: for all it knows nobody has permits.
 *
 * Time: a clock that never steps and counts suspends (CLOCK_BOOTTIME), in ns; the store's in us, known by its answers.
 * One thread at a time. No allocation, no clock, no socket: the agent performs.
 */
#define BLOCK_GRACE_NS  (50 * INT64_C(1000000)) /* for calls that are cut late */
#define BLOCK_EPOCH_MAX 64u

struct block_terms {
    uint32_t size;          /* permits that the fleet shares */
    uint32_t host_size;     /* of these, so many on this host at most */
    uint32_t weight;        /* of its share while permits are short; 1 and up */
    uint32_t fallback_size; /* once the lease does not cover a call: 0, a share of size, or all of it */
    bool glides;            /* towards the fallback's size, before the lease is over */
    int64_t longest_ns;     /* the longest deadline of a call */
    int64_t lease_ns;
    int64_t renew_ns;   /* how often the store is asked while nothing happens */
    int64_t gap_ns;     /* the least time between two requests */
    int64_t timeout_ns; /* for an answer */
};

/* How long a lease has to be, so that a store may be away for ride_out_ns and no call is lost by it. */
int64_t block_lease_ns(const struct block_terms *terms, int64_t ride_out_ns) __attribute__((pure));

enum block_answer { BLOCK_OK, BLOCK_EPOCH, BLOCK_LATE, BLOCK_OLD /* the request's number is */ };

/* What the store is asked. */
struct block_request {
    uint64_t number, connection;
    const char *epoch;    /* the block's; "": none is known */
    int64_t not_after_us; /* by the store's clock: later, what it says is not true any more */
    uint32_t claim, held, want, weight;
    uint32_t size; /* that the fleet shares, as this host is configured: the least of the living holds */
    bool yields;   /* permits are given back for others */
    /* Calls were started by the fallback since the last answer: the book knows nothing of them. */
    bool adrift;
};

/* What it answers. */
struct block_reply {
    enum block_answer answer;
    uint64_t number, connection; /* of the request */
    char epoch[BLOCK_EPOCH_MAX]; /* NUL-terminated; OK and EPOCH */
    int64_t time_us;             /* the store's; all but OLD */
    /* OK: */
    uint32_t granted, aim;
    uint32_t reserve; /* how many more than it needs a host may keep while it is tight */
    int64_t turn_ns;  /* in so long one permit goes on to another; INT64_MAX: none does */
    bool tight;
    uint32_t total_granted, hosts, waiting_hosts; /* in the whole fleet */
    int64_t learning_us; /* for so long the store does not know yet what hosts hold; 0: it does */
    uint32_t smallest;   /* size that a living host is configured with: it holds */
};

struct block {
    struct block_terms terms;
    uint32_t held, waiting; /* of the pool, as last told */
    uint32_t usable, aim;
    int64_t until_ns;    /* the lease's end; INT64_MIN: there never was one, */
    int64_t fallback_ns; /* and then the fallback holds from here on; INT64_MAX: not yet */
    int64_t began_ns;
    char epoch[BLOCK_EPOCH_MAX];
    uint64_t number, connection;
    int64_t store_ahead_us; /* of our clock; */
    bool store_known;       /* if that is known */
    bool open;              /* a request is */
    bool asks;              /* another one is to be sent */
    bool yields, adrift;    /* what it is to say */
    bool tight;
    /* Nothing was wanted for a lease's time: it has left, and asks seldom until there is a call. */
    bool asleep;
    uint32_t told, reserve; /* what it last wanted */
    uint32_t hosts;         /* of the fleet, as the store last said; 0: it has not */
    uint32_t peak;          /* of what was wanted, */
    int64_t peak_ns;        /* within the last second */
    int64_t turn_ns, sent_ns, tick_ns, retry_ns, wanted_ns;
    int64_t asked_lease_ns; /* of the request */
    unsigned failures;      /* requests in a row without an answer */
};

/* Begins with nothing. `number`: its requests' numbers go on from there; the wall clock's us, so that they go up. */
void block_init(struct block *block, const struct block_terms *terms, uint64_t number, int64_t now_ns);

/* From now on these are the terms. The longest call of before must be over, or be as short as these say. */
void block_set_terms(struct block *block, const struct block_terms *terms, int64_t now_ns);

/* The pool has so many permits out, and so many callers wait. To be told after each change. */
void block_tell(struct block *block, uint32_t held, uint32_t waiting, int64_t now_ns);
/* Calls have started since it was last told, though no more may be out than then. */
void block_started(struct block *block, int64_t now_ns);

/* How many permits may be out at `now`: a call starts if fewer are. */
uint32_t block_size(const struct block *block, int64_t now_ns) __attribute__((pure));

/* Until when calls start by what was lent; INT64_MIN: nothing ever was. Does one that starts now? */
int64_t block_starts_until_ns(const struct block *block) __attribute__((pure));
bool block_covers(const struct block *block, int64_t now_ns) __attribute__((pure));
/* Is it back on its fallback? */
bool block_is_back(const struct block *block, int64_t now_ns) __attribute__((pure));

/* To how many the pool has to come down as calls end: what comes back above that is not given out again here. */
uint32_t block_aim(const struct block *block, int64_t now_ns) __attribute__((pure));

/* When, after now, block_size says something else though nothing was told; INT64_MAX: never. */
int64_t block_size_ends_ns(const struct block *block, int64_t now_ns) __attribute__((pure));

enum block_step {
    BLOCK_WAIT,    /* until block_next_ns, or until something happens */
    BLOCK_SEND,    /* the request, at once */
    BLOCK_CONNECT, /* anew: the connection of before is of no use; then ask again */
};
/* What to do now; to be asked until it says WAIT. `random` spreads what hosts do in step. */
enum block_step block_step(struct block *block, int64_t now_ns, uint32_t random,
                           struct block_request *request);
int64_t block_next_ns(const struct block *block) __attribute__((pure));
/* When to ask all of this again, though nothing happens: the earliest of these instants. */
int64_t block_look_ns(const struct block *block, int64_t now_ns) __attribute__((pure));

/* The store has answered. False: it is no answer to what is open, and was not looked at. */
bool block_reply(struct block *block, const struct block_reply *reply, int64_t now_ns);
void block_hint(struct block *block);
/* No call will come any more: what no call holds goes back. Has it left the fleet, as if it had never been there? */
void block_retire(struct block *block);
bool block_has_left(const struct block *block) __attribute__((pure));
/* The connection has gone by itself. */
void block_lost(struct block *block, int64_t now_ns);
/* There is no connection, and since the start there never was one. */
void block_unreached(struct block *block, int64_t now_ns);

#endif
