#ifndef CURFEW_CONFIG_UPGRADE_H
#define CURFEW_CONFIG_UPGRADE_H

#include <stdint.h>

#include "base/span.h"
#include "config/place.h"
#include "core/tunnel.h"

/* Switches to other protocols that a route lets through (RFC 9110 7.8). */
struct upgrade_config {
    const struct span *protocols; /* "websocket"; at least one */
    uint32_t protocol_count;
    struct tunnel_terms terms;
    const struct place *at; /* where the map stands; NULL: nowhere alone, parts of it do */
    const struct place *idle_at, *lifetime_at;
};

#endif
