#ifndef CURFEW_RUNTIME_STORE_GROUND_H
#define CURFEW_RUNTIME_STORE_GROUND_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "core/store_spec.h"
#include "runtime/address_book.h"
#include "runtime/dns.h"
#include "runtime/entropy.h"
#include "runtime/loop.h"
#include "runtime/tls.h"

/* What a store's connections share. The loop's thread. */
#define STORE_TLS_NAMES 16u
#define STORE_HOST_MAX  256u

/* How TLS is spoken to hosts whose certificate has this name. */
struct store_tls {
    char name[STORE_HOST_MAX];
    struct tls_client *client; /* NULL: the place is free */
    uint32_t users;            /* connections, being made or made */
};

struct store_ground {
    struct loop *loop;
    const struct store_spec *spec;
    struct resolver *resolver;
    struct address_book book;
    struct entropy entropy;
    struct tls_trust trust; /* as read at the beginning */
    struct store_tls tls[STORE_TLS_NAMES];
};

/* ST_NOMEM; ST_BAD: `why` (terminated) says what is wrong with a file of the spec's tls. */
enum status store_ground_init(struct store_ground *ground, struct loop *loop, const struct store_spec *spec,
                              char *why, size_t why_cap) MUST_CHECK;
/* Its connections are closed by then. */
void store_ground_fini(struct store_ground *ground);

/* For a connection to this host, until it is released; NULL: there is no memory, or a file is not there any more. */
struct store_tls *store_tls_acquire(struct store_ground *ground, const char *host);
void store_tls_release(struct store_tls *tls);

/* 64 random bits; 0 if the kernel gives none. */
uint64_t store_random(struct store_ground *ground);

#endif
