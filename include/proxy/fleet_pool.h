#ifndef CURFEW_PROXY_FLEET_POOL_H
#define CURFEW_PROXY_FLEET_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/block.h"
#include "core/block_words.h"
#include "core/timer.h"
#include "proxy/fleet_peers.h"
#include "proxy/fleet_turn.h"
#include "runtime/mailbox.h"
#include "runtime/pool_lease.h"
#include "runtime/store.h"

struct pool_config;
struct snapshot;

#define FLEET_KEYS 6

/* What there is to tell of a pool's part in the fleet. */
struct fleet_figures {
    const char *pool;                             /* here, */
    const char *name;                             /* and in the fleet */
    uint32_t size, granted;                       /* of the fleet; and of these, this host's */
    uint32_t total_granted, hosts, waiting_hosts; /* of the whole fleet, as the store last said */
    uint32_t over_granted;                        /* more than size are out */
    enum fleet_mode mode;
    uint64_t modes[FLEET_MODES]; /* 1 for the one that it is in */
    double lease_seconds;        /* for so long calls may still start by what was lent */
    double fallback_seconds;
    uint64_t renewals[FLEET_RESULTS];
    uint64_t hints, epochs;
};

/*
 * The agent of one pool: it drives the pool's block (core/block), lends the pool what the store has lent it
 * (runtime/pool_lease), and asks the store. All of it on the main thread.
 */
struct fleet_pool {
    struct list_node node;
    struct fleet_peers *peers;
    struct arena *arena; /* of its texts */
    const char *key;     /* "FLEET/POOL" */
    const char *name;    /* the pool's, here, */
    const char *shared;  /* and in the fleet */
    char *id;            /* to the store */
    struct span keys[FLEET_KEYS], channels, channel;
    uint32_t number; /* of the pool */
    struct pool *pool;
    bool is_attached, leaves;
    uint32_t smallest; /* size in the fleet, of another host; 0: none is smaller */
    uint32_t size, reserve, fallback_size;
    bool lends; /* its size is not all reserved */
    struct block_terms wanted;
    int64_t longest_until_ns; /* calls of before, which may take longer, are over by then */
    int64_t cuts_next_ns; /* some that were cut are over then, for the API too; INT64_MAX: there are none */
    int64_t margin_us;
    struct block block;
    struct block_request request;
    struct fleet_turn turn;
    struct store_command command;
    struct timer timer;
    struct mail asks;
    int64_t looked_ns, learning_until_ns; /* CLOCK_BOOTTIME */
    enum fleet_mode mode;
    struct fleet_figures figures;
};

/* For the pool of this number, which it leaves alone yet. NULL: no memory. */
struct fleet_pool *fleet_pool_new(struct fleet_peers *peers, const char *fleet,
                                  const struct pool_config *config);
void fleet_pool_free(struct fleet_pool *fp);

/* The pool is leased by now: from here on this lends it what it may use. By these terms, also later again. */
void fleet_pool_attach(struct fleet_pool *fp, struct pool *pool);
void fleet_pool_set(struct fleet_pool *fp, const struct snapshot *snapshot, const struct pool_config *config);

/* Something has happened: the store is there, has gone, or has said "come and ask". */
void fleet_pool_look(struct fleet_pool *fp);
void fleet_pool_hint(struct fleet_pool *fp);
/* "Come and ask" of what all hosts have in common. */
void fleet_pool_hint_turn(struct fleet_pool *fp);
void fleet_pool_lost(struct fleet_pool *fp);
/* It gives back to the store all that no call holds, and asks for nothing more. Is that done? */
void fleet_pool_leave(struct fleet_pool *fp);
bool fleet_pool_has_left(const struct fleet_pool *fp) __attribute__((pure));
/* `host` is who we are from now on; `is_first`: alone, else with the pool's name. False: no memory, nothing changes. */
bool fleet_pool_rename(struct fleet_pool *fp, const char *host, bool is_first)
    __attribute__((warn_unused_result));

void fleet_pool_figures(const struct fleet_pool *fp, struct fleet_figures *out);

#endif
