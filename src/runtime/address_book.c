#include "runtime/address_book.h"

#include <string.h>

#include "base/invariant.h"
#include "core/race.h"

void address_book_init(struct address_book *book)
{
    (void)pthread_mutex_init(&book->lock, NULL); /* can't fail without attributes */
    address_memory_init(&book->memory);
    atomic_init(&book->noted, 0);
    for (unsigned i = 0; i < ADDRESS_BOOK_TURNS; i++)
        atomic_init(&book->turns[i], 0);
}

void address_book_fini(struct address_book *book)
{
    pthread_mutex_destroy(&book->lock);
}

static struct address_key key_of(const struct origin *origin, const union dns_address *address)
{
    struct address_key key = {.owner = origin->number, .port = origin->port};

    if (address->any.sa_family == AF_INET6) {
        memcpy(key.ip, &address->v6.sin6_addr, sizeof(key.ip));
    } else {
        key.ip[10] = key.ip[11] = 0xff;
        memcpy(key.ip + 12, &address->v4.sin_addr, 4);
    }
    return key;
}

/* Bit i: address i has failed lately. */
static uint32_t find_bad(struct address_book *book, const struct origin *origin,
                         const struct dns_answer *answer, uint32_t count, int64_t now_ns)
{
    uint32_t bad = 0;

    PRE(count <= 32); /* a bit for each */
    if (atomic_load_explicit(&book->noted, memory_order_relaxed) == 0)
        return 0;
    pthread_mutex_lock(&book->lock);
    for (uint32_t i = 0; i < count; i++) {
        struct address_key key = key_of(origin, &answer->addresses[i]);

        if (address_memory_has(&book->memory, &key, now_ns, origin->remember_ns))
            bad |= UINT32_C(1) << i;
    }
    atomic_store_explicit(&book->noted, book->memory.count, memory_order_relaxed);
    pthread_mutex_unlock(&book->lock);
    return bad;
}

uint32_t address_book_order(struct address_book *book, const struct origin *origin,
                            const struct dns_answer *answer, int64_t now_ns, uint8_t *order)
{
    uint32_t count = answer->count < RACE_ADDRESSES ? answer->count : RACE_ADDRESSES;
    atomic_uint *turn = &book->turns[origin->number % ADDRESS_BOOK_TURNS];
    uint32_t ipv6 = 0;

    PRE(count != 0);
    if (count == 1) {
        order[0] = 0;
        return 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (answer->addresses[i].any.sa_family == AF_INET6)
            ipv6 |= UINT32_C(1) << i;
    }
    race_order(order, count, ipv6, find_bad(book, origin, answer, count, now_ns),
               atomic_fetch_add_explicit(turn, 1, memory_order_relaxed));
    return count;
}

void address_book_failed(struct address_book *book, const struct origin *origin,
                         const union dns_address *address, int64_t now_ns)
{
    struct address_key key = key_of(origin, address);

    pthread_mutex_lock(&book->lock);
    address_memory_note(&book->memory, &key, now_ns);
    atomic_store_explicit(&book->noted, book->memory.count, memory_order_relaxed);
    pthread_mutex_unlock(&book->lock);
}

void address_book_won(struct address_book *book, const struct origin *origin,
                      const union dns_address *address)
{
    struct address_key key = key_of(origin, address);

    if (atomic_load_explicit(&book->noted, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&book->lock);
    address_memory_forget(&book->memory, &key);
    atomic_store_explicit(&book->noted, book->memory.count, memory_order_relaxed);
    pthread_mutex_unlock(&book->lock);
}
