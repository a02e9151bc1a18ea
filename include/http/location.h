#ifndef CURFEW_HTTP_LOCATION_H
#define CURFEW_HTTP_LOCATION_H

#include <stdbool.h>

#include "base/span.h"
#include "http/forward_rules.h"
#include "http/http1.h"

/*
 * Where a response leads (RFC 9110 10.2.2): a Location of the API's own origin would take the caller past curfew, its
 * deadline and its cap. Pure.
 */

/* Location or Content-Location (RFC 9110 8.7). */
bool location_is_told_by(const struct http1_field *field);

/*
 * Is it a URI of the API's own origin (RFC 6454 4: scheme, host and port; by the url's authority, or by the Host that
 * the API is sent), and under its base path? Then *rest is what a caller asks curfew for to get there: path, query and
 * fragment, of which the path may be empty. One that begins with "//" has the API's scheme. Any other relative
 * reference is not: it leads back to curfew by itself. Nor is one with user information, or with "." or ".." in front
 * of which the base path would be cut off: whatever can't be told for certain stays.
 */
bool location_is_own(const struct forward_rules *rules, struct span uri, struct span *rest);

#endif
