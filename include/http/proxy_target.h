#ifndef CURFEW_HTTP_PROXY_TARGET_H
#define CURFEW_HTTP_PROXY_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "base/span.h"
#include "http/http1.h"

/*
 * Where a request to a forward proxy wants to go: the absolute form "http://host:port/path" (RFC 9112 3.2.2), or of
 * CONNECT the authority form "host:port" (3.2.3). What it gives is in one spelling: a host that programs spell in
 * several ways, and each reads in its own, is how guards are passed.
 *
 *   - a name has letters, digits, "-" and "_" in labels of 1 to 63, 253 bytes in all, and no percent-encoding; letters
 *     become lower case, a dot at its end goes
 *   - a name whose last label is a number, in any notation, was meant as an IPv4 address: only the plain dotted quad is
 *     taken for one, "127.0.0.1", not "127.1", "0177.0.0.1", "0x7f000001" or "127.0.0.1."
 *   - an IPv6 address is in brackets, as RFC 5952 writes it, without a zone
 */
#define PROXY_HOST_MAX 253u

struct proxy_target {
    char host[PROXY_HOST_MAX + 1]; /* without brackets; terminated */
    uint8_t host_len;
    uint16_t port;
    bool is_ip;
    struct endpoint ip; /* if is_ip; with the port, and without text */
};

enum proxy_target_fault {
    PROXY_TARGET_OK,
    PROXY_TARGET_FORM,    /* none of the two forms */
    PROXY_TARGET_SCHEME,  /* https, which goes by CONNECT */
    PROXY_TARGET_HOST,    /* no name */
    PROXY_TARGET_ADDRESS, /* an address in a spelling that is not taken */
    PROXY_TARGET_PORT,    /* none where one is due, or none of 1 to 65535 */
};

/* Of a request whose head has been read. What is wrong is in *out as far as it was read. */
enum proxy_target_fault proxy_target_read(const struct http1_head *head, struct proxy_target *out)
    __attribute__((warn_unused_result));

/* For people, as a sentence's part: "the port is not a number from 1 to 65535". */
const char *proxy_target_fault_text(enum proxy_target_fault fault);

/* "host:port", of a request or of a command line, by which CONNECT would name it. */
enum proxy_target_fault proxy_target_read_authority(struct span authority, struct proxy_target *out)
    __attribute__((warn_unused_result));

/* The host in brackets if it has colons. */
void proxy_target_put_host(struct text *out, const struct proxy_target *target);

#endif
