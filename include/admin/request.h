#ifndef CURFEW_ADMIN_REQUEST_H
#define CURFEW_ADMIN_REQUEST_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"
#include "core/cause.h"
#include "http/http1.h"

struct client;

/* What is looked at of a request's fields. */
enum request_field {
    REQUEST_HOST,
    REQUEST_ORIGIN,
    REQUEST_FETCH_SITE,
    REQUEST_FETCH_MODE,
    REQUEST_ACCEPT,
    REQUEST_IF_NONE_MATCH,
    REQUEST_FIELDS
};

/*
 * A request for an admin listener. Whoever it is handed to answers it by admin/respond.h, once, now or later; it then
 * goes. Its client may leave meanwhile: the answer is for nobody then.
 */
struct admin_request {
    struct client *client; /* NULL: it has left */
    enum cause refused; /* it is none that can be done: it is answered with this, and nothing else is set */
    const char *why;    /* for people; of a request that is refused */
    enum http1_method method;
    const char *path;                   /* as it came, without the query; terminated, as all texts here */
    const char *query;                  /* NULL: there is none */
    const char *fields[REQUEST_FIELDS]; /* NULL: not there; of several the first */
    struct text lines;                  /* field lines of the answer, besides those that every one has */
    char line_block[1024];
    char texts[];
};

/* NULL: no memory. `head` is not needed behind it. */
struct admin_request *request_new(struct client *client, const struct http1_head *head);

/* A field line for the answer. There is room for all that are sent. */
void request_add_line(struct admin_request *request, const char *name, const char *value);
bool request_has_line(const struct admin_request *request, const char *name);

#endif
