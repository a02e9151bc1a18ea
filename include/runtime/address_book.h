#ifndef CURFEW_RUNTIME_ADDRESS_BOOK_H
#define CURFEW_RUNTIME_ADDRESS_BOOK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/address_memory.h"
#include "core/origin.h"
#include "runtime/dns.h"

/*
 * What all workers together know of upstreams' addresses: which ones have failed (core/address_memory), and whose turn
 * it is to be the first. All functions: any thread. While nothing has failed, nobody takes the lock.
 */
#define ADDRESS_BOOK_TURNS 64u

struct address_book {
    pthread_mutex_t lock;
    struct address_memory memory;
    atomic_uint noted;                     /* memory.count */
    atomic_uint turns[ADDRESS_BOOK_TURNS]; /* of new connections, by the upstream's number */
};

void address_book_init(struct address_book *book);
void address_book_fini(struct address_book *book);

/*
 * The order in which to try the first RACE_ADDRESSES of the answer, as race_order says; returns how many that are. A
 * turn is taken.
 */
uint32_t address_book_order(struct address_book *book, const struct origin *origin,
                            const struct dns_answer *answer, int64_t now_ns, uint8_t *order);

/* A connection to one of several addresses has failed, or come later than another's; or it has come first. */
void address_book_failed(struct address_book *book, const struct origin *origin,
                         const union dns_address *address, int64_t now_ns);
void address_book_won(struct address_book *book, const struct origin *origin,
                      const union dns_address *address);

#endif
