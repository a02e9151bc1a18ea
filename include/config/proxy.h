#ifndef CURFEW_CONFIG_PROXY_H
#define CURFEW_CONFIG_PROXY_H

#include <stdbool.h>

#include "base/span.h"
#include "config/place.h"
#include "core/origin.h"
#include "core/proxy_spec.h"

/* A proxy that the way to an upstream leads through. */
struct proxy_config {
    const char *url;      /* without credentials; NULL: there is none */
    struct origin origin; /* where it is: that is dialled, and not the upstream's url */
    struct proxy_spec spec;
    struct span authorization; /* the value of Proxy-Authorization; empty: none */
    const struct place *at;
};

#endif
