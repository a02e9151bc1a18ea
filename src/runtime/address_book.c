#include "runtime/address_book.h"

#include <string.h>

#include "base/invariant.h"
#include "core/race.h"
#include "runtime/loop.h"

void address_book_init(struct address_book *book)
{
    (void)pthread_mutex_init(&book->lock, NULL); /* can't fail without attributes */
    address_memory_init(&book->memory);
    ejection_init(&book->ejection, (uint64_t)loop_clock_ns());
    atomic_init(&book->noted, 0);
    atomic_init(&book->troubled, 0);
    for (unsigned i = 0; i < ADDRESS_BOOK_COUNTS; i++)
        atomic_init(&book->counts[i], 0);
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

/* Likewise, of the one that somebody would rather not have. */
static uint32_t find_shunned(const struct origin *origin, const struct dns_answer *answer, uint32_t count,
                             const union dns_address *shunned)
{
    struct address_key wanted;
    uint32_t found = 0;

    if (shunned == NULL || shunned->any.sa_family == AF_UNSPEC)
        return 0;
    wanted = key_of(origin, shunned);
    for (uint32_t i = 0; i < count; i++) {
        struct address_key key = key_of(origin, &answer->addresses[i]);

        if (memcmp(key.ip, wanted.ip, sizeof(key.ip)) == 0)
            found |= UINT32_C(1) << i;
    }
    return found;
}

static bool is_troubled(const struct address_book *book, const struct origin *origin)
{
    return origin->eject.failures != 0 && address_book_is_troubled(book);
}

static void note_trouble_locked(struct address_book *book)
{
    atomic_store_explicit(&book->troubled, book->ejection.count, memory_order_relaxed);
}

/* Bit i: address i is left out. *probe is one that is to be tried first, or `count`. */
static uint32_t find_out(struct address_book *book, const struct origin *origin,
                         const struct dns_answer *answer, uint32_t count, int64_t now_ns, uint32_t *probe)
{
    struct address_key keys[RACE_ADDRESSES];
    uint32_t out;

    *probe = count;
    if (origin->eject.failures != 0 && origin->number < ADDRESS_BOOK_COUNTS)
        atomic_store_explicit(&book->counts[origin->number], count, memory_order_relaxed);
    if (!is_troubled(book, origin))
        return 0;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = key_of(origin, &answer->addresses[i]);
    pthread_mutex_lock(&book->lock);
    out = ejection_choose(&book->ejection, &origin->eject, keys, count, now_ns, probe);
    note_trouble_locked(book);
    pthread_mutex_unlock(&book->lock);
    return out;
}

/* The address with this index goes before all others. */
static void put_first(uint8_t *order, uint32_t count, uint32_t index)
{
    uint32_t at = 0;

    while (at < count && order[at] != index)
        at++;
    PRE(at < count);
    memmove(order + 1, order, at);
    order[0] = (uint8_t)index;
}

uint32_t address_book_order(struct address_book *book, const struct origin *origin,
                            const struct dns_answer *answer, const union dns_address *shunned, int64_t now_ns,
                            uint8_t *order)
{
    uint32_t count = answer->count < RACE_ADDRESSES ? answer->count : RACE_ADDRESSES;
    atomic_uint *turn = &book->turns[origin->number % ADDRESS_BOOK_TURNS];
    uint32_t ipv6 = 0, probe, bad;

    PRE(count != 0);
    if (count == 1) {
        order[0] = 0;
        return 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (answer->addresses[i].any.sa_family == AF_INET6)
            ipv6 |= UINT32_C(1) << i;
    }
    bad = find_bad(book, origin, answer, count, now_ns) |
          find_out(book, origin, answer, count, now_ns, &probe) |
          find_shunned(origin, answer, count, shunned);
    race_order(order, count, ipv6, bad, atomic_fetch_add_explicit(turn, 1, memory_order_relaxed));
    if (probe < count)
        put_first(order, count, probe);
    return count;
}

void address_book_failed(struct address_book *book, const struct origin *origin,
                         const union dns_address *address, int64_t now_ns)
{
    struct address_key key = key_of(origin, address);

    pthread_mutex_lock(&book->lock);
    address_memory_note(&book->memory, &key, now_ns);
    ejection_unreachable(&book->ejection, &origin->eject, &key, now_ns);
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

void address_book_judge(struct address_book *book, const struct origin *origin,
                        const union dns_address *address, uint32_t count, enum verdict verdict,
                        int64_t now_ns)
{
    struct address_key key;

    if (origin->eject.failures == 0 || verdict == VERDICT_NEUTRAL ||
        (verdict == VERDICT_GOOD && !is_troubled(book, origin)))
        return;
    key = key_of(origin, address);
    pthread_mutex_lock(&book->lock);
    if (verdict == VERDICT_GOOD)
        ejection_good(&book->ejection, &key);
    else
        ejection_bad(&book->ejection, &origin->eject, &key, count, now_ns);
    note_trouble_locked(book);
    pthread_mutex_unlock(&book->lock);
}

bool address_book_is_out(struct address_book *book, const struct origin *origin,
                         const union dns_address *address, int64_t now_ns)
{
    struct address_key key;
    bool is_out;

    if (!is_troubled(book, origin))
        return false;
    key = key_of(origin, address);
    pthread_mutex_lock(&book->lock);
    is_out = ejection_is_out(&book->ejection, &key, now_ns);
    pthread_mutex_unlock(&book->lock);
    return is_out;
}

bool address_book_wants_probe(struct address_book *book, const struct origin *origin, int64_t now_ns)
{
    bool wants;

    if (!is_troubled(book, origin))
        return false;
    pthread_mutex_lock(&book->lock);
    wants = ejection_wants_probe(&book->ejection, origin->number, now_ns);
    pthread_mutex_unlock(&book->lock);
    return wants;
}

struct address_states address_book_states(struct address_book *book, const struct origin *origin)
{
    struct address_states states = {{0}};
    uint32_t count = 0, not_up;

    if (origin->number < ADDRESS_BOOK_COUNTS)
        count = atomic_load_explicit(&book->counts[origin->number], memory_order_relaxed);
    pthread_mutex_lock(&book->lock);
    states.of[ADDRESS_OUT] = ejection_count(&book->ejection, origin->number, ADDRESS_OUT);
    states.of[ADDRESS_PROBING] = ejection_count(&book->ejection, origin->number, ADDRESS_PROBING);
    pthread_mutex_unlock(&book->lock);
    not_up = states.of[ADDRESS_OUT] + states.of[ADDRESS_PROBING];
    states.of[ADDRESS_UP] = count > not_up ? count - not_up : 0;
    return states;
}

enum ejection_state address_book_look(struct address_book *book, const struct origin *origin, uint32_t i,
                                      uint8_t ip[16])
{
    enum ejection_state state = ADDRESS_UP;

    pthread_mutex_lock(&book->lock);
    for (uint32_t at = 0; at < book->ejection.count && state == ADDRESS_UP; at++) {
        const struct ejection_entry *entry = &book->ejection.entries[at];

        if (entry->key.owner != origin->number || entry->state == ADDRESS_UP || i-- != 0)
            continue;
        state = entry->state;
        memcpy(ip, entry->key.ip, sizeof(entry->key.ip));
    }
    pthread_mutex_unlock(&book->lock);
    return state;
}
