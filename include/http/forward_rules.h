#ifndef CURFEW_HTTP_FORWARD_RULES_H
#define CURFEW_HTTP_FORWARD_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* How a request names its caller (http/forwarded). */
enum forward_tells { FORWARD_TELLS_NOTHING, FORWARD_TELLS_X_FORWARDED, FORWARD_TELLS_RFC7239 };

/*
 * What the configuration changes in the heads that are sent on: sets, removes, and has curfew tell of itself and of the
 * caller. Immutable, made by config.
 */
struct forward_rules {
    struct span host;      /* Host field value that the upstream is to see; empty: what the target says */
    struct span authority; /* "http://host", put before each target for a proxy; empty: there is none */
    bool whole_url; /* for a proxy: before each target, "http://" and the authority that it came with */
    struct span base_path; /* put before each target: "" or "/v2", no slash at its end */
    struct span set_lines; /* ready field lines "Name: value\r\n…" that are added */
    /*
     * Names of fields that are left out: removed ones, and those that set_lines replaces. A name of Via, Forwarded or
     * X-Forwarded-* keeps us from adding that field, too.
     */
    const struct span *dropped;
    uint32_t dropped_count;
    uint64_t dropped_lens; /* bit n clear: none of them has a length of n modulo 64 */
    enum forward_tells tells;
    bool via;               /* both directions get "Via: 1.x curfew" (RFC 9110 7.6.3) */
    bool rewrites_location; /* what leads to the API leads to curfew (http/location) */
    bool is_https;          /* the API's scheme */
    struct span origin;     /* the API's authority, as the url has it */
};

void forward_rules_set_dropped(struct forward_rules *rules, const struct span *names, uint32_t count);

bool forward_rules_drop_one_of(const struct forward_rules *rules, struct span name)
    __attribute__((pure, cold));

/* Is it the name of a field that the rules leave out? */
static inline bool forward_rules_drop(const struct forward_rules *rules, struct span name)
{
    return (rules->dropped_lens >> (name.len % 64) & 1) != 0 && forward_rules_drop_one_of(rules, name);
}

#endif
