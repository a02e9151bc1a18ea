#ifndef CURFEW_CORE_ORIGIN_H
#define CURFEW_CORE_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "core/ejection.h"
#include "core/guard.h"
#include "core/name_age.h"

/* Where an upstream is, and how one gets there: made by config, obeyed by runtime. Immutable while it is used. */
struct origin {
    uint32_t number;  /* of its upstream; what is remembered of addresses goes by it */
    const char *host; /* name or IP literal of the url, without brackets; terminated */
    uint16_t port;
    bool host_is_ip;
    struct endpoint ip;        /* if host_is_ip */
    const struct guard *guard; /* which of its addresses may be dialled; NULL: all */
    struct name_policy dns;
    /* Of several addresses of one name: */
    int64_t stagger_ns;  /* the next one is tried, too, when nobody has answered for so long */
    int64_t remember_ns; /* one that has failed goes last for so long; 0: none does */
    /* At which tries go wrong one after the other; failures 0: none is left out. */
    struct ejection_terms eject;
    int64_t longest_ns; /* how long a call to it may really take, by whatever route */
};

#endif
