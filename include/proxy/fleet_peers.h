#ifndef CURFEW_PROXY_FLEET_PEERS_H
#define CURFEW_PROXY_FLEET_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/fleet_names.h"

struct loop;
struct store;
struct store_script;

/* Before what the store says when it does not do what it is asked. */
#define FLEET_REFUSES "the store does not renew what it lends"

/* Those whom a pool's agent (proxy/fleet_pool) needs, and tells; the fleet (proxy/fleet). */
struct fleet_peers {
    struct loop *loop;
    struct store *store; /* NULL: none is there now */
    const struct store_script *renew, *turn;
    const char *identity;
    bool was_up;               /* there was a connection once */
    double clock_step_seconds; /* of the store, when it last did */
    void (*answered)(struct fleet_peers *peers, int64_t took_ns);
    /* Something for operators: what it is, and its particulars. */
    void (*told)(struct fleet_peers *peers, enum fleet_gravity gravity, const char *pool, const char *what,
                 const char *particulars);
    void (*changed)(struct fleet_peers *peers, const char *pool, enum fleet_mode before, enum fleet_mode mode,
                    uint32_t size);
    void (*looked)(struct fleet_peers *peers);   /* something may have come to its end */
    void (*outdated)(struct fleet_peers *peers); /* our identity is */
};

#endif
