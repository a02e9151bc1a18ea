#ifndef CURFEW_CONFIG_URL_H
#define CURFEW_CONFIG_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "base/span.h"

/* An upstream's url in its parts (RFC 3986, RFC 9110 4.2); the spans point into the text. */
struct url {
    bool is_https;
    struct span host; /* a name or an IP address, without brackets */
    bool host_is_ip;
    struct endpoint ip; /* family and ip, if host_is_ip */
    uint16_t port;      /* the scheme's own if none is written */
    bool has_default_port;
    struct span base_path; /* "" or "/v2": no slash at its end */
};

/* NULL, or what is wrong with it: a static text. */
const char *url_parse(struct span text, struct url *out) __attribute__((warn_unused_result));

/* Is it a host as an url may have it, without port and brackets? Sets host, host_is_ip and ip. */
bool url_is_host(struct span text, struct url *out) __attribute__((warn_unused_result));

/* Only characters that a path may have (RFC 3986 3.3), percent signs only before two hex digits. */
bool url_is_path(struct span s);

#endif
