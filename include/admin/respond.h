#ifndef CURFEW_ADMIN_RESPOND_H
#define CURFEW_ADMIN_RESPOND_H

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdbool.h>

#include "base/json.h"

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

/*
 * An answer in JSON, which is an object: begin it, write its members by `json`, send it. If there was no memory for it,
 * what goes is a problem with that status. It stays where it is meanwhile.
 */
struct json_answer {
    struct jsonw json;
    bool is_incomplete; /* no memory; set by the writer, too */
    struct evbuffer *content;
    struct text text;
    char block[4096];
};

struct jsonw *json_answer_begin(struct json_answer *answer);
void json_answer_send(struct json_answer *answer, struct evhttp_request *request, int without_memory);

/* As many digits as a double is sure to have: 0.087116, not 0.087115999999999999. */
#define JSON_ANSWER_DIGITS 15

/* application/problem+json (RFC 9457). `detail` is for people. */
void respond_problem(struct evhttp_request *request, int status, const char *detail);

#endif
