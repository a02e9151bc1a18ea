#ifndef CURFEW_CORE_PROXY_SPEC_H
#define CURFEW_CORE_PROXY_SPEC_H

#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* How a proxy on the way is asked for a tunnel: made by config, obeyed by runtime. Its bytes outlive whoever obeys. */
struct proxy_spec {
    struct span ask;     /* "CONNECT host:port HTTP/1.1\r\n…\r\n\r\n" (RFC 9110 9.3.6); empty: for none */
    uint64_t answer_max; /* bytes of the answer's head */
    const struct proxy_spec *next; /* what it is asked for if it refuses that; NULL: nothing */
};

/* Its bytes, beside those of the place, twice, and of the authorization. */
#define PROXY_ASK_ROOM 96u

/* `place` is "host:port", with the port always (RFC 9112 3.2.3); no authorization: empty. */
void proxy_spec_put_ask(struct text *out, struct span place, struct span authorization);

#endif
