#include "core/ejection.h"

#include <stddef.h>
#include <string.h>

#include "base/invariant.h"
#include "base/number.h"

const char *ejection_state_name(enum ejection_state state)
{
    static const char *const names[EJECTION_STATE_COUNT] = {
        [ADDRESS_UP] = "up", [ADDRESS_OUT] = "out", [ADDRESS_PROBING] = "probing"};

    PRE(state < EJECTION_STATE_COUNT);
    return names[state];
}

void ejection_init(struct ejection *ejection, uint64_t seed)
{
    *ejection = (struct ejection){.random = seed | 1};
}

/* NULL: it is as any other. */
static struct ejection_entry *find(struct ejection *ejection, const struct address_key *key)
{
    for (uint32_t i = 0; i < ejection->count; i++)
        if (memcmp(&ejection->entries[i].key, key, sizeof(*key)) == 0)
            return &ejection->entries[i];
    return NULL;
}

/* NULL: there is no room for more. */
static struct ejection_entry *add(struct ejection *ejection, const struct address_key *key)
{
    struct ejection_entry *entry = &ejection->entries[ejection->count];

    if (ejection->count == EJECTION_ENTRIES)
        return NULL;
    ejection->count++;
    *entry = (struct ejection_entry){.key = *key};
    return entry;
}

static void forget(struct ejection *ejection, struct ejection_entry *entry)
{
    PRE(ejection->count > 0 && entry < &ejection->entries[ejection->count]);
    *entry = ejection->entries[--ejection->count];
}

/* xorshift64: instances are to differ. */
static uint64_t draw(struct ejection *ejection)
{
    uint64_t x = ejection->random;

    PRE(x != 0);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    ejection->random = x;
    return x;
}

static int64_t time_out(struct ejection *ejection, const struct ejection_terms *terms, uint32_t times)
{
    int64_t out_ns =
        terms->time_max_ns / times >= terms->time_ns ? terms->time_ns * times : terms->time_max_ns;

    PRE(times != 0 && terms->time_ns >= NS_PER_US && terms->time_ns <= terms->time_max_ns);
    return out_ns / 1000 * (int64_t)(900 + draw(ejection) % 201);
}

static void put_out(struct ejection *ejection, const struct ejection_terms *terms,
                    struct ejection_entry *entry, int64_t now_ns)
{
    entry->state = ADDRESS_OUT;
    entry->bad = 0;
    entry->times++;
    entry->until_ns = now_ns + time_out(ejection, terms, entry->times);
}

uint32_t ejection_count(const struct ejection *ejection, uint32_t owner, enum ejection_state state)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ejection->count; i++)
        count += ejection->entries[i].key.owner == owner && ejection->entries[i].state == state;
    return count;
}

/* ---- the choice ----------------------------------------------------------------------------------------- */

static bool is_among(const struct address_key *key, const struct address_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(key, &keys[i], sizeof(*key)) == 0)
            return true;
    return false;
}

static void forget_others(struct ejection *ejection, const struct address_key *keys, uint32_t count)
{
    for (uint32_t i = ejection->count; i-- > 0;) {
        struct ejection_entry *entry = &ejection->entries[i];

        if (entry->key.owner == keys[0].owner && !is_among(&entry->key, keys, count))
            forget(ejection, entry);
    }
}

static bool is_due(const struct ejection_entry *entry, int64_t now_ns)
{
    return entry->state != ADDRESS_UP && now_ns >= entry->until_ns;
}

uint32_t ejection_choose(struct ejection *ejection, const struct ejection_terms *terms,
                         const struct address_key *keys, uint32_t count, int64_t now_ns, uint32_t *probe)
{
    uint32_t out = 0;

    PRE(count != 0 && count <= 32);
    *probe = count;
    forget_others(ejection, keys, count);
    for (uint32_t i = 0; i < count; i++) {
        struct ejection_entry *entry = find(ejection, &keys[i]);

        if (entry == NULL || entry->state == ADDRESS_UP)
            continue;
        if (is_due(entry, now_ns) && *probe == count) {
            *probe = i;
            entry->state = ADDRESS_PROBING;
            entry->until_ns = now_ns + time_out(ejection, terms, entry->times);
        } else {
            out |= UINT32_C(1) << i;
        }
    }
    return out;
}

bool ejection_is_out(const struct ejection *ejection, const struct address_key *key, int64_t now_ns)
{
    for (uint32_t i = 0; i < ejection->count; i++) {
        const struct ejection_entry *entry = &ejection->entries[i];

        if (memcmp(&entry->key, key, sizeof(*key)) == 0)
            return entry->state != ADDRESS_UP && !is_due(entry, now_ns);
    }
    return false;
}

bool ejection_wants_probe(const struct ejection *ejection, uint32_t owner, int64_t now_ns)
{
    for (uint32_t i = 0; i < ejection->count; i++)
        if (ejection->entries[i].key.owner == owner && is_due(&ejection->entries[i], now_ns))
            return true;
    return false;
}

void ejection_unreachable(struct ejection *ejection, const struct ejection_terms *terms,
                          const struct address_key *key, int64_t now_ns)
{
    struct ejection_entry *entry = find(ejection, key);

    if (entry != NULL && entry->state == ADDRESS_PROBING && terms->failures != 0)
        put_out(ejection, terms, entry, now_ns);
}

/* ---- verdicts ------------------------------------------------------------------------------------------- */

void ejection_good(struct ejection *ejection, const struct address_key *key)
{
    struct ejection_entry *entry = find(ejection, key);

    /* A good one of before, that ends while the address is out, is no probe. */
    if (entry != NULL && entry->state != ADDRESS_OUT)
        forget(ejection, entry);
}

void ejection_bad(struct ejection *ejection, const struct ejection_terms *terms,
                  const struct address_key *key, uint32_t count, int64_t now_ns)
{
    struct ejection_entry *entry = find(ejection, key);
    uint32_t out = ejection_count(ejection, key->owner, ADDRESS_OUT) +
                   ejection_count(ejection, key->owner, ADDRESS_PROBING);

    if (terms->failures == 0 || count < 2)
        return;
    if (entry == NULL)
        entry = add(ejection, key);
    if (entry == NULL || entry->state == ADDRESS_OUT)
        return;
    if (entry->state == ADDRESS_PROBING) {
        put_out(ejection, terms, entry, now_ns);
        return;
    }
    if (entry->bad < UINT32_MAX)
        entry->bad++;
    if (entry->bad >= terms->failures && out < count / 2)
        put_out(ejection, terms, entry, now_ns);
    POST(ejection_count(ejection, key->owner, ADDRESS_OUT) <= (out > count / 2 ? out : count / 2));
}
