#ifndef CURFEW_PROXY_FLEET_TURN_H
#define CURFEW_PROXY_FLEET_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/timer.h"
#include "core/turn.h"
#include "runtime/pool_lease.h"
#include "runtime/store_command.h"

struct arena;
struct fleet_peers;
struct pool_config;
struct snapshot;

#define FLEET_TURN_KEYS 2

/*
 * When the fleet lets a pool start its calls (core/turn): the part of a pool's agent (proxy/fleet_pool) that asks the
 * store for slots of its rate, and of its pauses. A pool with neither has none of it. The main thread.
 */
struct fleet_turn {
    struct fleet_peers *peers;
    const char *name; /* the pool's, here */
    struct turn turn;
    bool is_on;
    struct span keys[FLEET_TURN_KEYS], channel; /* what all hosts hear */
    struct turn_request request;
    struct store_command command;
    struct turn_reply reply;
    bool is_answered, is_lost; /* since it was last looked at */
    bool sends;
    int64_t next_ns; /* CLOCK_MONOTONIC */
    struct timer timer;
    void (*look)(struct fleet_turn *turn); /* the agent is to look at the pool */
};

/* `key`: "FLEET/POOL". False: no memory. */
bool fleet_turn_init(struct fleet_turn *turn, struct fleet_peers *peers, struct arena *arena,
                     const char *name, const char *key, void (*look)(struct fleet_turn *turn))
    __attribute__((warn_unused_result));
void fleet_turn_fini(struct fleet_turn *turn);

/* By this configuration from now on; the agent looks next. */
void fleet_turn_set(struct fleet_turn *turn, const struct snapshot *snapshot,
                    const struct pool_config *config, int64_t longest_ns, int64_t life_ns, struct pool *pool);

/* Under the pool's lock: before whoever has news is told, and after. */
void fleet_turn_before(struct fleet_turn *turn, const struct pool_news *news, uint32_t size);
void fleet_turn_after(struct fleet_turn *turn, const struct pool_news *news);
/* And outside of it: asks the store what there is to ask, as `host`. */
void fleet_turn_go_on(struct fleet_turn *turn, const char *host);

/* The store is there, or says "come and ask"; or the connection that it was asked by has gone. */
void fleet_turn_hint(struct fleet_turn *turn);
void fleet_turn_lost(struct fleet_turn *turn);

#endif
