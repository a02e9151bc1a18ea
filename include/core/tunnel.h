#ifndef CURFEW_CORE_TUNNEL_H
#define CURFEW_CORE_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/number.h"
#include "core/cause.h"

/*
 * A tunnel: behind a 101 (RFC 9110 7.8), or a 2xx to CONNECT (9.3.6), there are bytes in both directions, which nobody
 * reads but the two ends. When it has to end, and what that means for its call: one that was closed by either side, or
 * has lived for as long as it may, has completed; one in which nothing moved is stuck. Pure: the time comes in.
 *
 * Each direction is over when its source has ended it, and that has been passed on; the other one goes on. Which side
 * did so first is what the tunnel has ended by, whatever the other one does then.
 */
enum tunnel_end {
#define TUNNEL_END(id, name, cause) TUNNEL_END_##id,
#include "core/tunnel_ends.def"
#undef TUNNEL_END
    TUNNEL_END_COUNT,
    TUNNEL_END_NONE = TUNNEL_END_COUNT
};

struct tunnel_terms {
    int64_t idle_ns;     /* without a byte in either direction */
    int64_t lifetime_ns; /* from the first byte of the request */
};

/* Once a side has ended, the other one may be silent for so long, and no longer than idle_ns. */
#define TUNNEL_HALF_NS (60 * NS_PER_S)

struct tunnel {
    enum tunnel_end first; /* which side has ended first; NONE: neither has */
    bool up_is_over, down_is_over;
};

void tunnel_begin(struct tunnel *tunnel);

/* What this side had to say has been passed on to its end: CALLER or UPSTREAM. */
void tunnel_note_end(struct tunnel *tunnel, enum tunnel_end side);

static inline bool tunnel_is_over(const struct tunnel *tunnel)
{
    return tunnel->up_is_over && tunnel->down_is_over;
}

/* When it ends if no byte moves any more after moved_ns; *cause says how, for tunnel_end_of. */
int64_t tunnel_limit(const struct tunnel *tunnel, const struct tunnel_terms *terms, int64_t moved_ns,
                     enum cause *cause);

/*
 * What it ends by, if its call is told to end by `cause`: NONE when both directions are over, CALLER_GONE when the
 * caller has reset or one side has been silent for too long after the other's end, DEADLINE for the lifetime.
 */
enum tunnel_end tunnel_end_of(const struct tunnel *tunnel, enum cause cause);

/* What its call ends by, which was told to end by `cause`. */
enum cause tunnel_cause_of(enum tunnel_end end, enum cause cause);

const char *tunnel_end_name(enum tunnel_end end);

#endif
