#ifndef CURFEW_CONFIG_FORWARD_H
#define CURFEW_CONFIG_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "config/proxy.h"
#include "core/destination.h"
#include "core/guard.h"
#include "core/tunnel.h"
#include "http/proxy_target.h"

/* What of a CONNECT is bounded once it is open. */
struct tunnel_config {
    struct tunnel_terms terms;
    /* Idle for so long while others wait for a permit; NS_NEVER: none is closed for them. */
    int64_t reclaim_ns;
    bool matches_sni; /* the name in the ClientHello belongs to the same destination */
};

enum destination_action { DESTINATION_ALLOW, DESTINATION_REPORT, DESTINATION_REFUSE };

struct destination_config {
    struct guard guard;
    struct tunnel_config tunnel;
    enum destination_action action;
};

struct forward_rules;

/* How a forward proxy's own way out leads through another proxy. */
struct forward_way {
    const struct proxy_config *for_connect, *for_plain; /* for CONNECT, and for plain requests; NULL: none */
    struct span exceptions;            /* hosts that are reached directly, as NO_PROXY has them */
    bool by_name;                      /* it is told the host's name; else an address that has been vetted */
    const struct forward_rules *rules; /* by_name: of plain requests, which go to it with the whole url */
};

/*
 * What makes a forward proxy of an upstream: its callers say where a request goes, and the first destination that has
 * the host decides. Each destination is a route of the upstream, by the same place. Immutable.
 */
struct forward_config {
    const uint16_t *ports;
    uint32_t port_count;
    struct tunnel_config tunnel; /* of destinations that say nothing else */
    const struct destination_hosts *hosts;
    const struct destination_config *destinations;
    uint32_t count; /* of both, and of the upstream's routes */
    struct forward_way way;
};

bool forward_has_port(const struct forward_config *forward, uint16_t port) __attribute__((pure));

/* The proxy that a request goes through; NULL: it goes directly. */
const struct proxy_config *forward_proxy_for(const struct forward_config *forward, bool is_connect,
                                             const struct proxy_target *target);

#endif
