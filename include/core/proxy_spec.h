#ifndef CURFEW_CORE_PROXY_SPEC_H
#define CURFEW_CORE_PROXY_SPEC_H

#include <stdint.h>

#include "base/span.h"

/* How a proxy on the way is asked for a tunnel: made by config, obeyed by runtime. Its bytes outlive whoever obeys. */
struct proxy_spec {
    struct span ask;     /* "CONNECT host:port HTTP/1.1\r\n…\r\n\r\n" (RFC 9110 9.3.6); empty: for none */
    uint64_t answer_max; /* bytes of the answer's head */
};

#endif
