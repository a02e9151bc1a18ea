#ifndef CURFEW_CORE_NAME_SEARCH_H
#define CURFEW_CORE_NAME_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/resolv_conf.h"

/*
 * Under which full names a name is asked for, one after the other, as the C library does it (resolv.conf(5), `search`
 * and `ndots`): a name with enough dots as it is, then in each domain of the list; another one in the domains first. A
 * name that ends with a dot is whole.
 *
 * A domain that has no such name, or whose server fails (SERVFAIL), is passed over. One that does not answer at all
 * ends the list: only the name as it is gets its turn then.
 */
#define NAME_BYTES 256 /* of a full name with its terminator (RFC 1035 2.3.4) */

/* What came of the name that was asked for last. */
enum name_outcome {
    NAME_NO_SUCH,    /* NXDOMAIN */
    NAME_NO_ADDRESS, /* there is such a name, without an address */
    NAME_SERVFAIL,   /* the server can't say */
    NAME_SILENT,     /* no server has answered */
};

struct name_search {
    const char *host; /* borrowed */
    uint32_t dots;
    uint32_t next; /* in the list of domains: the next one */
    bool is_whole; /* ends with a dot */
    bool is_list_over, was_searched;
    bool was_asked_as_is; /* the name itself, before the list or by a "." in it */
    bool is_first;        /* the last name was the name itself, before the list */
    bool got_no_address, got_servfail;
    bool has_verdict;
    enum name_outcome verdict; /* of the whole search, once it is over without an address */
};

void name_search_init(struct name_search *search, const char *host);

/* The first name to ask for; false: there is none (all are too long). */
bool name_search_first(struct name_search *search, const struct resolv_conf *conf, char name[NAME_BYTES]);
/* The last one has ended without an address. The next one; false: the search is over, with its verdict. */
bool name_search_next(struct name_search *search, const struct resolv_conf *conf, enum name_outcome outcome,
                      char name[NAME_BYTES]);

#endif
