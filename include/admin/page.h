#ifndef CURFEW_ADMIN_PAGE_H
#define CURFEW_ADMIN_PAGE_H

#include <stdbool.h>

#include "admin/request.h"
#include "page/assets.h"

/*
 * The page for people. Its files come from the binary; a browser keeps them and asks whether they are still the same.
 * The page may load and ask nothing but what is here, and nobody may frame it.
 */

/* Does this client want a page rather than a text (Accept, RFC 9110 12.5.1)? */
bool page_is_wanted(struct admin_request *request);

/* Answers the request with one of the files. */
void page_respond(struct admin_request *request, enum asset asset);

/* What tells this page from those of other binaries: 16 hexadecimal digits, terminated. */
#define PAGE_EDITION_LEN 16
void page_edition(char out[PAGE_EDITION_LEN + 1]);

#endif
