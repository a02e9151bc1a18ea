#ifndef CURFEW_CONFIG_ADDRESS_H
#define CURFEW_CONFIG_ADDRESS_H

#include <stdbool.h>

#include "config/snapshot.h"

/*
 * Reads where to listen: "127.0.0.1:8080", "localhost:8080" or "8080" (the same), "[::1]:8080" or "unix:/run/x.sock".
 * *out points into `text`. NULL, or what is wrong with it: a static text.
 */
const char *address_parse(const char *text, struct address *out) __attribute__((warn_unused_result));

/* An IP address alone, without port and brackets: only family and ip are set. */
bool address_parse_ip(struct span text, struct address *out) __attribute__((warn_unused_result));

/* Can nobody on another machine reach it? */
bool address_is_local(const struct address *address);

/* The same place, port 0 of an address being one as well? */
bool address_is_equal(const struct address *a, const struct address *b);

/* The same place? Never with port 0. */
bool address_is_same(const struct address *a, const struct address *b);

/*
 * Would the second of two listeners fail? 0.0.0.0 and another IPv4 address share a port no more than equal ones do, and
 * [::] likewise; [::] beside 0.0.0.0 is well, for sockets of IPv6 are for IPv6 alone. Never with port 0.
 */
bool address_overlaps(const struct address *a, const struct address *b);

#endif
