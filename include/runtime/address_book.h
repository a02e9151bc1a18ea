#ifndef CURFEW_RUNTIME_ADDRESS_BOOK_H
#define CURFEW_RUNTIME_ADDRESS_BOOK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/address_memory.h"
#include "core/ejection.h"
#include "core/origin.h"
#include "core/verdict.h"
#include "runtime/dns.h"

/*
 * What all workers together know of upstreams' addresses: which ones have failed (core/address_memory) or are left out
 * (core/ejection), and whose turn it is to be the first. All functions: any thread. While nothing has failed, nobody
 * takes the lock.
 */
#define ADDRESS_BOOK_TURNS  64u
#define ADDRESS_BOOK_COUNTS 256u

struct address_book {
    pthread_mutex_t lock;
    struct address_memory memory;
    struct ejection ejection;
    atomic_uint noted;                       /* memory.count */
    atomic_uint troubled;                    /* ejection.count */
    atomic_uint counts[ADDRESS_BOOK_COUNTS]; /* addresses of names, by the upstream's number; 0: not known */
    atomic_uint turns[ADDRESS_BOOK_TURNS];   /* of new connections, by the upstream's number */
};

/* Is any address not as any other? If not, each one is up, and a good verdict says nothing. */
static inline bool address_book_is_troubled(const struct address_book *book)
{
    return atomic_load_explicit(&book->troubled, memory_order_relaxed) != 0;
}

void address_book_init(struct address_book *book);
void address_book_fini(struct address_book *book);

/*
 * The order in which to try the first RACE_ADDRESSES of the answer, as race_order says; returns how many that are. A
 * turn is taken. `shunned`, if it is not NULL and has a family, goes last, as one that has failed lately.
 */
uint32_t address_book_order(struct address_book *book, const struct origin *origin,
                            const struct dns_answer *answer, const union dns_address *shunned, int64_t now_ns,
                            uint8_t *order);

/* A connection to one of several addresses has failed, or come later than another's; or it has come first. */
void address_book_failed(struct address_book *book, const struct origin *origin,
                         const union dns_address *address, int64_t now_ns);
void address_book_won(struct address_book *book, const struct origin *origin,
                      const union dns_address *address);

/*
 * What a try at one of `count` addresses says of it. While nothing is in trouble, and it is not bad, nobody takes the
 * lock. The others are asked before an idle connection is used: is its address left out, and is there one that a new
 * connection should see?
 */
void address_book_judge(struct address_book *book, const struct origin *origin,
                        const union dns_address *address, uint32_t count, enum verdict verdict,
                        int64_t now_ns);
bool address_book_is_out(struct address_book *book, const struct origin *origin,
                         const union dns_address *address, int64_t now_ns);
bool address_book_wants_probe(struct address_book *book, const struct origin *origin, int64_t now_ns);

/* How many of the name's addresses are in each state, as far as connections have been made. */
struct address_states {
    uint32_t of[EJECTION_STATE_COUNT];
};
struct address_states address_book_states(struct address_book *book, const struct origin *origin);
/* The i-th address of the origin that is not up, as in struct address_key; ADDRESS_UP: there are no more. */
enum ejection_state address_book_look(struct address_book *book, const struct origin *origin, uint32_t i,
                                      uint8_t ip[16]);

#endif
