#ifndef CURFEW_CORE_STORE_SPEC_H
#define CURFEW_CORE_STORE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/tls_spec.h"

/* Where a fleet's store is, and how one gets there: made by config, obeyed by runtime. Immutable while it is used. */

/* One of `fleet.store`: a host and its port, or the path of a unix socket. */
struct store_place {
    const char *host; /* name or IP literal, without brackets; NULL: a unix socket */
    uint16_t port;
    const char *path; /* if host is NULL */
};

#define STORE_PLACES_MAX 16u

struct store_spec {
    const struct store_place *places; /* tried in turn: Sentinels if `sentinel` is set, else stores */
    uint32_t place_count;             /* 1 to STORE_PLACES_MAX */
    const char *sentinel;             /* the master's name among Sentinels; NULL: there are none */
    uint32_t database;                /* 0 unless the url ends in "/N" */
    const char *user;                 /* of the ACL; NULL: the default one */
    const char *password_file;        /* read at each connection; NULL: there is none */
    bool has_tls;                     /* rediss:// */
    struct tls_spec tls;              /* server_name NULL: the certificate has to name the place's host */
    int64_t timeout_ns;               /* for one answer of the store */
};

#endif
