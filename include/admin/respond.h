#ifndef CURFEW_ADMIN_RESPOND_H
#define CURFEW_ADMIN_RESPOND_H

#include <event2/buffer.h>
#include <event2/http.h>
#include <jansson.h>

/*
 * The ways to answer a request. Each answers it for good: the request is not to be used afterwards. A HEAD request gets
 * the head that GET would; one whose client has left meanwhile is freed.
 */

/*
 * `content` is emptied, not freed. Nobody is to keep the answer, unless the request's output fields have a
 * Cache-Control already. 304: only the fields go.
 */
void respond(struct evhttp_request *request, int status, const char *type, struct evbuffer *content);

/* text/plain. */
void respond_text(struct evhttp_request *request, int status, const char *text);

/* Takes over the reference to `value`; NULL, which jansson gives when there is no memory, becomes a 500. */
void respond_json(struct evhttp_request *request, int status, json_t *value);

/* application/problem+json (RFC 9457). `detail` is for people. */
void respond_problem(struct evhttp_request *request, int status, const char *detail);

#endif
