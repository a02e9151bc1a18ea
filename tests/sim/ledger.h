#ifndef CURFEW_TESTS_SIM_LEDGER_H
#define CURFEW_TESTS_SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"

/*
 * The store's side of a fleet's cap: the book of one pool, and the one step that a host's request is (core/block.h has
 * the words). It is written for tests: the worlds of fleet.c run on it, and the script that a real store runs is held
 * against it. Like the script it does what it does at one instant, knows of the world only what a request says and what
 * the store's clock and run id are, and looks at O(log hosts) entries.
 *
 * A host is a number here, dense from 0, as its world gives them out; one that was killed comes back as another.
 */
#define LEDGER_SILENCE_US   (4 * INT64_C(1000000))
#define LEDGER_TIGHT_US     INT64_C(1000000)
#define LEDGER_TURN_US      INT64_C(100000)
#define LEDGER_HINT_US      INT64_C(50000)   /* to one with permits to spare, at most so often */
#define LEDGER_HINT_BUSY_US INT64_C(1000000) /* to one with more than the poorest */
#define LEDGER_SERVED       16               /* hosts in one step, */
#define LEDGER_EXPIRED      16               /* and entries */
#define LEDGER_SHARE_MAX    ((INT64_C(1) << 20) - 1)
#define LEDGER_SINCE_BITS   33
#define LEDGER_ASKED        4 /* hosts that are looked at, of which one is asked to give */

/* A rule each that is broken, to show that the worlds find it. */
enum ledger_mutant {
    LEDGER_SOUND,
    LEDGER_FORGETS_TO_LEARN, /* gives everything away again after a wipe */
    LEDGER_TAKES_OLD_NUMBERS,
    LEDGER_TAKES_LATE_ONES,  /* and entries forget their numbers after a second */
    LEDGER_IGNORES_RUN_ID,   /* a failover is not noticed */
    LEDGER_IGNORES_SILENCE,  /* nor that nobody asked for so long, or the clock has stepped */
    LEDGER_TAKES_GRANT_BACK, /* what a host was given while its request was on its way: exact, but costly */
    LEDGER_KEEPS_PLACES, /* whoever has had its turn waits before those that have not: exact, but unfair */
};

/* Hosts in an order: a heap of their numbers, by key. The lowest key is at the top. */
struct order {
    int64_t *keys;    /* by host */
    uint32_t *places; /* by host; 0: not in it */
    uint32_t *heap;   /* from 1 */
    uint32_t count;
};

struct entry {
    bool known;
    uint32_t granted, want, held, weight;
    uint64_t number;
    int64_t raised_us, hinted_us;
};

struct ledger {
    enum ledger_mutant mutant;
    uint32_t hosts_max;
    uint32_t cap;         /* the least that a living host is configured with, */
    int64_t cap_until_us; /* and when, at the latest, the last of them is gone */
    int64_t lease_us, margin_us;
    uint64_t run, seen_run; /* the store's run id */
    uint64_t epochs;        /* ever: their names */
    bool has_book;
    char epoch[BLOCK_EPOCH_MAX];
    int64_t now_us; /* of the last step */
    uint32_t booked, minted, alive;
    int64_t unknown_until_us; /* 0: everything is known */
    int64_t tight_until_us;
    struct entry *entries;
    struct order expiry, waiting, rich, spare;
    uint64_t steps, hints;
    void (*hint)(void *world, uint32_t host);
    void *world;
};

/* ---- orders -------------------------------------------------------------------------------------------- */

static inline bool order_is_before(const struct order *order, uint32_t a, uint32_t b)
{
    return order->keys[a] != order->keys[b] ? order->keys[a] < order->keys[b] : a < b;
}

static inline void order_put(struct order *order, uint32_t place, uint32_t host)
{
    order->heap[place] = host;
    order->places[host] = place;
}

static inline void order_settle(struct order *order, uint32_t place, uint32_t host)
{
    while (place > 1 && order_is_before(order, host, order->heap[place / 2])) {
        order_put(order, place, order->heap[place / 2]);
        place /= 2;
    }
    for (uint32_t child; (child = 2 * place) <= order->count; place = child) {
        if (child < order->count && order_is_before(order, order->heap[child + 1], order->heap[child]))
            child++;
        if (!order_is_before(order, order->heap[child], host))
            break;
        order_put(order, place, order->heap[child]);
    }
    order_put(order, place, host);
}

static inline void order_set(struct order *order, uint32_t host, int64_t key)
{
    order->keys[host] = key;
    order_settle(order, order->places[host] != 0 ? order->places[host] : ++order->count, host);
}

static inline void order_drop(struct order *order, uint32_t host)
{
    uint32_t place = order->places[host], last;

    if (place == 0)
        return;
    last = order->heap[order->count--];
    order->places[host] = 0;
    if (last != host)
        order_settle(order, place, last);
}

/* The first hosts in order, LEDGER_ASKED of them at most: each is a child of one that comes before it. Returns how many. */
static inline uint32_t order_first(const struct order *order, uint32_t *hosts)
{
    uint32_t places[2 * LEDGER_ASKED + 2] = {1}, open = order->count > 0, found = 0;

    while (open > 0 && found < LEDGER_ASKED) {
        uint32_t best = 0, place;

        for (uint32_t i = 1; i < open; i++) {
            if (order_is_before(order, order->heap[places[i]], order->heap[places[best]]))
                best = i;
        }
        place = places[best];
        places[best] = places[--open];
        hosts[found++] = order->heap[place];
        for (uint32_t child = 2 * place; child <= 2 * place + 1 && child <= order->count; child++)
            places[open++] = child;
    }
    return found;
}

static inline void *ledger_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL) {
        fputs("no memory for the simulation\n", stderr);
        exit(2);
    }
    return memory;
}

static inline void order_init(struct order *order, uint32_t hosts_max)
{
    order->keys = ledger_alloc(hosts_max, sizeof(order->keys[0]));
    order->places = ledger_alloc(hosts_max, sizeof(order->places[0]));
    order->heap = ledger_alloc(hosts_max + 1, sizeof(order->heap[0]));
    order->count = 0;
}

static inline void order_fini(struct order *order)
{
    free(order->keys);
    free(order->places);
    free(order->heap);
}

static inline void order_copy(struct order *to, const struct order *from, uint32_t hosts_max)
{
    memcpy(to->keys, from->keys, hosts_max * sizeof(to->keys[0]));
    memcpy(to->places, from->places, hosts_max * sizeof(to->places[0]));
    memcpy(to->heap, from->heap, (hosts_max + 1) * sizeof(to->heap[0]));
    to->count = from->count;
}

/* ---- the book ------------------------------------------------------------------------------------------ */

static inline uint32_t ledger_free(const struct ledger *ledger)
{
    if (ledger->unknown_until_us != 0)
        return ledger->minted;
    return ledger->booked < ledger->cap ? ledger->cap - ledger->booked : 0;
}

/* The entry's permits become so many. What is given back may be given out again, also while the store is learning. */
static inline void ledger_book(struct ledger *ledger, uint32_t host, uint32_t granted)
{
    struct entry *entry = &ledger->entries[host];
    uint32_t before = entry->granted;

    ledger->booked += granted - before;
    if (ledger->unknown_until_us != 0 && granted < before)
        ledger->minted += before - granted;
    if (ledger->unknown_until_us != 0 && granted > before)
        ledger->minted -= granted - before < ledger->minted ? granted - before : ledger->minted;
    entry->granted = granted;
}

/* The poorest by weight first, and of those the one that waits longest. A key has 53 bits, as a script's numbers do. */
static inline int64_t ledger_poverty(const struct entry *entry, int64_t since_ms)
{
    int64_t share = (int64_t)entry->granted * 16 / entry->weight;

    return ((share < LEDGER_SHARE_MAX ? share : LEDGER_SHARE_MAX) << LEDGER_SINCE_BITS) + since_ms;
}

static inline void ledger_sort(struct ledger *ledger, uint32_t host)
{
    const struct entry *entry = &ledger->entries[host];

    if (entry->granted > 0)
        order_set(&ledger->rich, host, -(int64_t)entry->granted);
    else
        order_drop(&ledger->rich, host);
    if (entry->granted > entry->held)
        order_set(&ledger->spare, host, (int64_t)entry->held - entry->granted);
    else
        order_drop(&ledger->spare, host);
    if (ledger->waiting.places[host] != 0) {
        int64_t since_ms = ledger->waiting.keys[host] & ((INT64_C(1) << LEDGER_SINCE_BITS) - 1);

        order_set(&ledger->waiting, host, ledger_poverty(entry, since_ms));
    }
}

static inline void ledger_forget(struct ledger *ledger, uint32_t host)
{
    ledger_book(ledger, host, 0);
    order_drop(&ledger->expiry, host);
    order_drop(&ledger->waiting, host);
    order_drop(&ledger->rich, host);
    order_drop(&ledger->spare, host);
    ledger->entries[host] = (struct entry){0};
    ledger->alive--;
}

static inline void ledger_begin_epoch(struct ledger *ledger)
{
    while (ledger->expiry.count > 0)
        ledger_forget(ledger, ledger->expiry.heap[1]);
    ledger->has_book = true;
    ledger->seen_run = ledger->run;
    ledger->booked = ledger->minted = 0;
    ledger->cap_until_us = ledger->tight_until_us = 0;
    ledger->unknown_until_us = ledger->now_us + ledger->lease_us + ledger->margin_us;
    if (ledger->mutant == LEDGER_FORGETS_TO_LEARN)
        ledger->unknown_until_us = 0;
    snprintf(ledger->epoch, sizeof(ledger->epoch), "%llu", (unsigned long long)++ledger->epochs);
}

static inline void ledger_expire(struct ledger *ledger)
{
    if (ledger->unknown_until_us != 0 && ledger->now_us >= ledger->unknown_until_us) {
        ledger->unknown_until_us = 0;
        ledger->minted = 0;
    }
    for (int i = 0; i < LEDGER_EXPIRED && ledger->expiry.count > 0; i++) {
        uint32_t host = ledger->expiry.heap[1];

        if (ledger->expiry.keys[host] > ledger->now_us)
            return;
        ledger_forget(ledger, host);
    }
}

/* What is free goes to the poorest waiters: to `asker` as its answer, to others with a hint. */
static inline void ledger_serve(struct ledger *ledger, uint32_t asker)
{
    for (int i = 0; i < LEDGER_SERVED && ledger->waiting.count > 0 && ledger_free(ledger) > 0; i++) {
        uint32_t host = ledger->waiting.heap[1];
        struct entry *entry = &ledger->entries[host];
        uint32_t step = ledger_free(ledger) / ledger->waiting.count;

        if (step > entry->want - entry->granted)
            step = entry->want - entry->granted;
        ledger_book(ledger, host, entry->granted + (step > 0 ? step : 1));
        entry->raised_us = ledger->now_us;
        ledger_sort(ledger, host);
        if (entry->granted >= entry->want)
            order_drop(&ledger->waiting, host);
        if (host == asker)
            continue;
        ledger->hints++;
        ledger->hint(ledger->world, host);
    }
}

/* Somebody waits and nothing is free: the one with most to spare is asked to come, else the richest. */
static inline bool ledger_recall_from(struct ledger *ledger, uint32_t asker, const struct order *order,
                                      uint32_t above, int64_t gap_us)
{
    uint32_t hosts[LEDGER_ASKED], count = order_first(order, hosts);

    for (uint32_t i = 0; i < count; i++) {
        struct entry *entry = &ledger->entries[hosts[i]];

        if (hosts[i] == asker || hosts[i] == ledger->waiting.heap[1] || entry->granted <= above ||
            ledger->now_us - entry->hinted_us <= gap_us)
            continue;
        entry->hinted_us = ledger->now_us;
        ledger->hints++;
        ledger->hint(ledger->world, hosts[i]);
        return true;
    }
    return false;
}

static inline void ledger_recall(struct ledger *ledger, uint32_t asker)
{
    uint32_t least = ledger->entries[ledger->waiting.heap[1]].granted;

    if (!ledger_recall_from(ledger, asker, &ledger->spare, 0, LEDGER_HINT_US))
        (void)ledger_recall_from(ledger, asker, &ledger->rich, least, LEDGER_HINT_BUSY_US);
}

/* ---- the step ------------------------------------------------------------------------------------------ */

static inline bool ledger_must_begin_anew(const struct ledger *ledger, int64_t before_us, bool adrift)
{
    bool silence = ledger->now_us - before_us > LEDGER_SILENCE_US && (ledger->alive > 0 || adrift);

    return !ledger->has_book ||
           (ledger->run != ledger->seen_run && ledger->mutant != LEDGER_IGNORES_RUN_ID) ||
           (silence && ledger->mutant != LEDGER_IGNORES_SILENCE);
}

static inline void ledger_enter(struct ledger *ledger, uint32_t host, const struct block_request *request)
{
    struct entry *entry = &ledger->entries[host];
    int64_t life_us = ledger->lease_us + ledger->margin_us;
    uint32_t keep = request->want < entry->granted ? request->want : entry->granted;

    if (!entry->known) {
        *entry = (struct entry){.known = true,
                                .weight = request->weight,
                                .raised_us = ledger->now_us,
                                .granted = request->claim,
                                .hinted_us = INT64_MIN / 2};
        ledger->booked += request->claim;
        ledger->alive++;
    } else if (request->yields || request->claim > keep || ledger->mutant == LEDGER_TAKES_GRANT_BACK)
        ledger_book(ledger, host, request->claim);
    else
        ledger_book(ledger, host, keep);
    if (request->yields && ledger->mutant != LEDGER_KEEPS_PLACES)
        order_drop(&ledger->waiting, host); /* and back to the end of the line */
    entry->number = request->number;
    entry->want = request->want;
    entry->held = request->held;
    entry->weight = request->weight;
    if (ledger->mutant == LEDGER_TAKES_LATE_ONES)
        life_us = 1000000;
    order_set(&ledger->expiry, host, ledger->now_us + life_us);
    if (entry->want <= entry->granted)
        order_drop(&ledger->waiting, host);
    else if (ledger->waiting.places[host] == 0)
        order_set(&ledger->waiting, host,
                  ledger_poverty(entry, ledger->now_us / 1000 % (INT64_C(1) << LEDGER_SINCE_BITS)));
    ledger_sort(ledger, host);
}

/* Where the host's permits should go: half way to the poorest one that waits, by their weights. */
static inline void ledger_aim_at_poorest(const struct ledger *ledger, uint32_t host,
                                         struct block_reply *reply)
{
    const struct entry *entry = &ledger->entries[host], *poorest;
    uint64_t all, weights, target;

    if (ledger->waiting.count == 0 || ledger->waiting.heap[1] == host)
        return;
    poorest = &ledger->entries[ledger->waiting.heap[1]];
    all = (uint64_t)entry->granted + poorest->granted;
    weights = (uint64_t)entry->weight + poorest->weight;
    target = (all * entry->weight + weights - 1) / weights;
    if (target < entry->granted)
        reply->aim = (uint32_t)target;
    else if ((uint64_t)entry->granted * poorest->weight > (uint64_t)poorest->granted * entry->weight) {
        int64_t turn_us = entry->raised_us + LEDGER_TURN_US - ledger->now_us;

        reply->turn_ns = turn_us > 0 ? turn_us * 1000 : 0;
    }
}

static inline void ledger_aim(const struct ledger *ledger, uint32_t host, struct block_reply *reply)
{
    const struct entry *entry = &ledger->entries[host];
    uint32_t excess = ledger->booked > ledger->cap ? ledger->booked - ledger->cap : 0;
    uint32_t most = excess < entry->granted ? entry->granted - excess : 0;

    reply->aim = entry->granted;
    reply->turn_ns = INT64_MAX;
    ledger_aim_at_poorest(ledger, host, reply);
    if (reply->aim > most)
        reply->aim = most;
}

/* Caps differ while a new one is rolled out. */
static inline void ledger_note_cap(struct ledger *ledger, uint32_t size)
{
    if (size > ledger->cap && ledger->now_us < ledger->cap_until_us)
        return;
    ledger->cap = size;
    ledger->cap_until_us = ledger->now_us + ledger->lease_us + ledger->margin_us;
}

static inline enum block_answer ledger_judge(struct ledger *ledger, uint32_t host, int64_t time_us,
                                             const struct block_request *request)
{
    const struct entry *entry = &ledger->entries[host];
    int64_t before_us = ledger->now_us;

    if (time_us > ledger->now_us)
        ledger->now_us = time_us;
    if (ledger_must_begin_anew(ledger, before_us, request->adrift))
        ledger_begin_epoch(ledger);
    if (strcmp(request->epoch, ledger->epoch) != 0)
        return BLOCK_EPOCH;
    if (ledger->now_us > request->not_after_us && ledger->mutant != LEDGER_TAKES_LATE_ONES)
        return BLOCK_LATE;
    ledger_expire(ledger);
    if (entry->known && request->number <= entry->number && ledger->mutant != LEDGER_TAKES_OLD_NUMBERS)
        return BLOCK_OLD;
    return BLOCK_OK;
}

static inline void ledger_renew(struct ledger *ledger, uint32_t host, int64_t time_us,
                                const struct block_request *request, struct block_reply *reply)
{
    uint32_t share;

    ledger->steps++;
    *reply = (struct block_reply){.answer = ledger_judge(ledger, host, time_us, request),
                                  .number = request->number,
                                  .connection = request->connection,
                                  .time_us = ledger->now_us};
    memcpy(reply->epoch, ledger->epoch, sizeof(reply->epoch));
    if (reply->answer != BLOCK_OK)
        return;
    ledger_note_cap(ledger, request->size);
    ledger_enter(ledger, host, request);
    ledger_serve(ledger, host);
    ledger_aim(ledger, host, reply);
    if (ledger->waiting.count > 0)
        ledger->tight_until_us = ledger->now_us + LEDGER_TIGHT_US;
    if (ledger->waiting.count > 0 && ledger_free(ledger) == 0)
        ledger_recall(ledger, host);
    share = ledger_free(ledger) / ledger->alive;
    reply->granted = ledger->entries[host].granted;
    reply->tight = ledger->now_us < ledger->tight_until_us;
    reply->reserve = reply->tight ? share : 1;
    reply->total_granted = ledger->booked;
    reply->hosts = ledger->alive;
    reply->waiting_hosts = ledger->waiting.count;
    reply->smallest = ledger->cap;
    reply->learning_us = ledger->unknown_until_us != 0 ? ledger->unknown_until_us - ledger->now_us : 0;
}

static inline void ledger_init(struct ledger *ledger, uint32_t hosts_max)
{
    *ledger = (struct ledger){.hosts_max = hosts_max};
    ledger->entries = ledger_alloc(hosts_max, sizeof(ledger->entries[0]));
    order_init(&ledger->expiry, hosts_max);
    order_init(&ledger->waiting, hosts_max);
    order_init(&ledger->rich, hosts_max);
    order_init(&ledger->spare, hosts_max);
}

static inline void ledger_fini(struct ledger *ledger)
{
    free(ledger->entries);
    order_fini(&ledger->expiry);
    order_fini(&ledger->waiting);
    order_fini(&ledger->rich);
    order_fini(&ledger->spare);
}

/* What a replica has: of the same size. Run ids, counts and epochs' numbers are not part of it. */
static inline void ledger_copy(struct ledger *to, const struct ledger *from)
{
    struct ledger kept = *to;

    *to = *from;
    to->entries = kept.entries;
    to->expiry = kept.expiry;
    to->waiting = kept.waiting;
    to->rich = kept.rich;
    to->spare = kept.spare;
    memcpy(to->entries, from->entries, from->hosts_max * sizeof(from->entries[0]));
    order_copy(&to->expiry, &from->expiry, from->hosts_max);
    order_copy(&to->waiting, &from->waiting, from->hosts_max);
    order_copy(&to->rich, &from->rich, from->hosts_max);
    order_copy(&to->spare, &from->spare, from->hosts_max);
}

#endif
