#ifndef CURFEW_APP_ADMIN_CLIENT_H
#define CURFEW_APP_ADMIN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* What the commands that talk to a running curfew have in common: they ask its admin listener. */

struct admin_question {
    const char *where; /* as in admin.listen */
    const char *method;
    const char *target;
    int patience_s;           /* for the connection, and for each piece of the answer, */
    bool patience_is_for_all; /* or for all of it */
};

struct admin_answer {
    int status;
    struct span content;  /* terminated */
    char *block;          /* holds it */
    bool nobody_is_there; /* nothing listens there */
};

/*
 * Waits for the whole answer, whatever its status. False: *why (terminated) says why there is none. admin_answer_free
 * is due in any case.
 */
bool admin_client_ask(const struct admin_question *question, struct admin_answer *answer, char *why,
                      size_t why_cap) __attribute__((warn_unused_result));
void admin_answer_free(struct admin_answer *answer);

/*
 * What an answer that is no 200 says to people: the detail of a problem, or all of it. A line, terminated, without its
 * end.
 */
void admin_answer_put_why(const struct admin_answer *answer, char *why, size_t why_cap);

/*
 * The admin listener that a command was told of: --admin's argument, or what the configuration says; one of them is
 * NULL. Put into `where`, terminated. False: why not has been written to standard error.
 */
bool admin_client_find(const char *path, const char *address, char *where, size_t cap)
    __attribute__((warn_unused_result));

#endif
