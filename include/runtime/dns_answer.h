#ifndef CURFEW_RUNTIME_DNS_ANSWER_H
#define CURFEW_RUNTIME_DNS_ANSWER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "core/ip.h"

union dns_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/*
 * A lookup's result, shared and immutable: in the order in which to try them (RFC 6724). At least one
 * address.
 */
struct dns_answer {
    uint32_t references; /* all on one loop's thread */
    uint32_t count;
    union dns_address addresses[]; /* port 0 */
};

/* With one reference, in order; each address once. NULL: no memory. `count` is not 0. */
struct dns_answer *dns_answer_new(const struct ip *ips, uint32_t count);

struct dns_answer *dns_answer_acquire(struct dns_answer *answer);
/* NULLs the source; of NULL: nothing. */
void dns_answer_release(struct dns_answer **answer);

/* Is it one of the answer's addresses, whatever its port? */
bool dns_answer_has(const struct dns_answer *answer, const union dns_address *address);
/* Have both the same addresses, in whatever order? */
bool dns_answer_is_same(const struct dns_answer *a, const struct dns_answer *b);

/* Of an endpoint that is an IPv4 or IPv6 address; port 0. */
union dns_address dns_address_of(const struct endpoint *ip);
struct ip dns_address_ip(const union dns_address *address);

#endif
