#ifndef CURFEW_BASE_ENDPOINT_H
#define CURFEW_BASE_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* One end of a connection, or where to listen: an IP address and port, or the path of a unix socket. */
enum endpoint_family { ENDPOINT_IPV4, ENDPOINT_IPV6, ENDPOINT_UNIX };

struct endpoint {
    enum endpoint_family family;
    uint8_t ip[16];   /* network order; the first 4 bytes for IPv4 */
    uint16_t port;    /* host order; 0: the kernel chooses */
    const char *path; /* ENDPOINT_UNIX; terminated */
    const char
        *text; /* as written in the file; of a port alone, with the host; NULL: it is not from the file */
    /* Of the file of a unix socket that is listened on: */
    bool has_mode, has_group;
    uint32_t mode; /* permissions, as chmod has them */
    uint32_t group;
    const char *group_name; /* as written; NULL: !has_group */
};

/* An IP address alone, without port and brackets: only family and ip are set. False: it is none. */
bool endpoint_parse_ip(struct span text, struct endpoint *out) __attribute__((warn_unused_result));

/* "127.0.0.1:8080", "[::1]:8080" or "unix:/run/x.sock". */
void endpoint_put(struct text *out, const struct endpoint *endpoint);
/* "127.0.0.1" or "::1"; of a unix socket nothing. */
void endpoint_put_ip(struct text *out, const struct endpoint *endpoint);

/* Can nobody on another machine reach it? */
bool endpoint_is_local(const struct endpoint *endpoint);

/* The same place, port 0 of an address being one as well? */
bool endpoint_is_equal(const struct endpoint *a, const struct endpoint *b);

/* The same place? Never with port 0. */
bool endpoint_is_same(const struct endpoint *a, const struct endpoint *b);

/*
 * Would the second of two listeners fail? 0.0.0.0 and another IPv4 address share a port no more than equal ones do, and
 * [::] likewise; [::] beside 0.0.0.0 is well, for sockets of IPv6 are for IPv6 alone. Never with port 0.
 */
bool endpoint_overlaps(const struct endpoint *a, const struct endpoint *b);

#endif
