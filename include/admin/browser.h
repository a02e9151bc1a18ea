#ifndef CURFEW_ADMIN_BROWSER_H
#define CURFEW_ADMIN_BROWSER_H

#include <stdbool.h>

#include "admin/request.h"
#include "config/snapshot.h"

/*
 * Browsers reach the admin listener on behalf of whatever page is open in them, so a page of somebody else's must not
 * read here, nor do anything: not by a request across origins, and not by a name of its own that it has let point
 * here (DNS rebinding).
 */

/* Who may have a request done for him that a browser sends. */
enum browser_use {
    BROWSER_READS,    /* our own page */
    BROWSER_ACTS,     /* our own page, opened by an address or a local name */
    BROWSER_MUST_NOT, /* no page */
};

/*
 * Why a request is not answered: *status is what it gets, and the text is for people. NULL: it is. `listens` is where
 * it came in. Requests of tools, which say neither where they come from nor a name of others, are answered.
 */
const char *browser_refusal(struct admin_request *request, const struct endpoint *listens,
                            enum browser_use use, int *status);

#endif
