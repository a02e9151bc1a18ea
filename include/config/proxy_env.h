#ifndef CURFEW_CONFIG_PROXY_ENV_H
#define CURFEW_CONFIG_PROXY_ENV_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"
#include "config/url.h"

/* HTTPS_PROXY and NO_PROXY, as programs read them. Pure: their values come in. */

/*
 * Does this list name the host of an url? Its elements: "*", every host; a name, which stands for itself and for all
 * below it, with or without a dot before it; an IP address, or a range of them ("10.0.0.0/8"). Behind a name or an
 * address there may be a port, and then only that one is meant.
 */
bool proxy_env_excepts(struct span list, const struct url *url);

/*
 * "http://user:password@proxy:3128", or less of it: without scheme it is http, without a port 80. *credentials is what
 * stands before the @, as it is written there. NULL, or what is wrong: a static text.
 */
const char *proxy_env_parse(struct span text, struct url *out, struct span *credentials)
    __attribute__((warn_unused_result));

/* "Basic …" of credentials with %XX in them (RFC 7617). False: a %XX is none. */
bool proxy_env_put_basic(struct text *out, struct span credentials) __attribute__((warn_unused_result));

#endif
