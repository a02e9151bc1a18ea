#ifndef CURFEW_CORE_RESOLV_CONF_H
#define CURFEW_CORE_RESOLV_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * resolv.conf(5) as the C library reads it: which name servers there are, and in which domains a name is searched for.
 * `timeout` and `attempts` are left out: how long a server has is curfew's own affair, since its calls have deadlines.
 */
#define RESOLV_SERVERS_MAX  8
#define RESOLV_SERVER_BYTES 48
#define RESOLV_SEARCH_BYTES 4096

struct resolv_conf {
    char servers[RESOLV_SERVERS_MAX][RESOLV_SERVER_BYTES]; /* IP addresses; one with a zone is left out */
    uint32_t server_count;
    char search[RESOLV_SEARCH_BYTES]; /* domains, each terminated; */
    uint32_t search_len;              /* with their terminators */
    bool has_search;                  /* though it may be an empty one */
    uint32_t ndots;                   /* a name with so many dots is tried as it is before the list is */
    bool rotate, use_vc, no_aaaa, edns0, no_tld_query;
};

/* From the text of the file. */
void resolv_conf_read(struct resolv_conf *conf, struct span text);
/* Options as they stand in an `options` line, and in the environment's RES_OPTIONS. */
void resolv_conf_set_options(struct resolv_conf *conf, struct span options);
/* The domains as they stand in a `search` line, and in LOCALDOMAIN. */
void resolv_conf_set_search(struct resolv_conf *conf, struct span domains);
/* The search list of a machine of this name if no other was set: the name's domain. */
void resolv_conf_set_host(struct resolv_conf *conf, struct span hostname);

#endif
