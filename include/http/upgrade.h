#ifndef CURFEW_HTTP_UPGRADE_H
#define CURFEW_HTTP_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "http/http1.h"

/* Switches to another protocol (RFC 9110 7.8). Pure. */

/*
 * The first protocol of these that the request asks for: a GET over HTTP/1.1 without content, whose Upgrade lists it,
 * and whose Connection names Upgrade. One of `protocols`; NULL: it asks for none of them.
 */
const struct span *upgrade_asked(const struct http1_head *request, const struct span *protocols,
                                 uint32_t count);

/* Does this 101 switch to `protocol`, and to nothing else? */
bool upgrade_is_granted(const struct http1_head *response, struct span protocol);

#endif
