#ifndef CURFEW_ADMIN_RESPOND_H
#define CURFEW_ADMIN_RESPOND_H

#include <stdbool.h>

#include "admin/content.h"
#include "admin/request.h"
#include "base/json.h"

/*
 * The ways to answer a request. Each answers it for good: the request is not to be used afterwards. A HEAD request gets
 * the head that GET would; the answer to a client that has left meanwhile goes nowhere.
 */

/*
 * `content` is taken over. Nobody is to keep the answer, unless the request's lines have a Cache-Control already. 304:
 * only the lines go.
 */
void respond(struct admin_request *request, int status, const char *type, struct content *content);

/* The same with content that stays where it is. */
void respond_fixed(struct admin_request *request, int status, const char *type, struct span content);

/* text/plain. */
void respond_text(struct admin_request *request, int status, const char *text);

/*
 * An answer in JSON, which is an object: begin it, write its members by `json`, send it. If there was no memory for it,
 * what goes is a problem with that status. It stays where it is meanwhile.
 */
struct json_answer {
    struct jsonw json;
    struct content content; /* its is_incomplete is set by the writer, too */
    struct text text;
    char block[4096];
};

struct jsonw *json_answer_begin(struct json_answer *answer);
void json_answer_send(struct json_answer *answer, struct admin_request *request, int without_memory);

/* As many digits as a double is sure to have: 0.087116, not 0.087115999999999999. */
#define JSON_ANSWER_DIGITS 15

/* application/problem+json (RFC 9457). `detail` is for people. */
void respond_problem(struct admin_request *request, int status, const char *detail);

#endif
