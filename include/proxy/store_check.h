#ifndef CURFEW_PROXY_STORE_CHECK_H
#define CURFEW_PROXY_STORE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/store_spec.h"

/*
 * Tries whether a store will do for a fleet: connects to each of its places, and then, at the first one that takes it,
 * uses every right that the fleet needs, and reads how the store is set. Takes the time that it takes: a few round
 * trips, or the longest waits of runtime/store. It writes only to keys of its own, and leaves none.
 */
#define STORE_FINDINGS_MAX 24u

struct store_findings {
    uint32_t count;
    struct store_finding {
        bool is_error; /* the fleet would not work; else it might not do what is meant */
        char text[480];
    } list[STORE_FINDINGS_MAX];
    bool is_reached;
    char place[300], version[96]; /* "redis.internal:6379", "Redis 7.0.15, standalone" */
    int64_t round_trip_ns;        /* of one command */
};

/* ST_NOMEM: nothing was found out. Runs a loop of its own. */
enum status store_check(const struct store_spec *spec, const char *fleet,
                        struct store_findings *out) MUST_CHECK;

#endif
