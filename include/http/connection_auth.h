#ifndef CURFEW_HTTP_CONNECTION_AUTH_H
#define CURFEW_HTTP_CONNECTION_AUTH_H

#include <stdbool.h>

#include "http/http1.h"

/*
 * Authentication that belongs to a connection, not to a request: NTLM and Negotiate (RFC 4559, MS-NTHT), and what
 * Windows offers beside them. Once it has succeeded, the server takes all that comes on the connection for that user's,
 * credentials or not: the connection must serve nobody else. Pure.
 */

/* Do these credentials begin, or go on with, such an exchange? Authorization and Proxy-Authorization. */
bool connection_auth_in_request(const struct http1_head *request) __attribute__((pure));

/*
 * Is such an exchange offered, under way or done on this response's connection? WWW-Authenticate and
 * Proxy-Authenticate, whatever the status and however many challenges a line has; Persistent-Auth. In doubt, it is.
 */
bool connection_auth_in_response(const struct http1_head *response) __attribute__((pure));

#endif
