#include "core/proxy_spec.h"

void proxy_spec_put_ask(struct text *out, struct span place, struct span authorization)
{
    text_printf(out, "CONNECT %.*s HTTP/1.1\r\nHost: %.*s\r\n", SPAN_FMT(place), SPAN_FMT(place));
    if (authorization.len != 0)
        text_printf(out, "Proxy-Authorization: %.*s\r\n", SPAN_FMT(authorization));
    TEXT_LIT(out, "\r\n");
}
