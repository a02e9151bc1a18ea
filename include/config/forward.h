#ifndef CURFEW_CONFIG_FORWARD_H
#define CURFEW_CONFIG_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/destination.h"
#include "core/guard.h"
#include "core/tunnel.h"

/* What of a CONNECT is bounded once it is open. */
struct tunnel_config {
    struct tunnel_terms terms;
    int64_t
        reclaim_ns;   /* idle for so long while others wait for a permit; NS_NEVER: none is closed for them */
    bool matches_sni; /* the name in the ClientHello belongs to the same destination */
};

enum destination_action { DESTINATION_ALLOW, DESTINATION_REPORT, DESTINATION_REFUSE };

struct destination_config {
    struct guard guard;
    struct tunnel_config tunnel;
    enum destination_action action;
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
};

bool forward_has_port(const struct forward_config *forward, uint16_t port) __attribute__((pure));

#endif
