#ifndef CURFEW_CORE_EJECTION_H
#define CURFEW_CORE_EJECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/address_memory.h"

/*
 * Which addresses of names that have several are left out for a while, because tries at them go wrong one after the
 * other: a server that accepts connections and answers 503, beside others that are well. (One that can't be connected
 * to goes last by core/address_memory.) Pure, one thread at a time, of bounded size; time is an argument.
 *
 *     UP --- `failures` bad ones in a row ---> OUT --- its time is over, a call asks ---> PROBING
 *     ^                                         ^                                          |   |
 *     '------------------ good -----------------|------------------------------------------'   |
 *                                               '--------- bad: out for longer ----------------'
 *
 * The n-th time in a row it is out for n times `time`, at most time_max, give or take a tenth. Of n addresses never
 * more than half are out, rounded down: so never the last one, and an address alone never is (that is for a breaker). A
 * probe that has said nothing for as long as the address was out is followed by another one.
 */
#define EJECTION_ENTRIES 128u

struct ejection_terms {
    uint32_t failures; /* 0: none is ever left out */
    int64_t time_ns, time_max_ns;
};

enum ejection_state { ADDRESS_UP, ADDRESS_OUT, ADDRESS_PROBING, EJECTION_STATE_COUNT };
const char *ejection_state_name(enum ejection_state state);

/* An address that is not as any other: of which something bad is known. */
struct ejection_entry {
    struct address_key key;
    enum ejection_state state;
    uint32_t bad;     /* in a row */
    uint32_t times;   /* that it was left out, since it was well for the last time */
    int64_t until_ns; /* OUT: left out until then; PROBING: no other probe until then */
};

struct ejection {
    uint32_t count;
    uint64_t random;
    struct ejection_entry entries[EJECTION_ENTRIES];
};

void ejection_init(struct ejection *ejection, uint64_t seed);

/*
 * A call chooses among the addresses of a name, `keys`: bit i of the answer is set if address i is to go after all
 * others. *probe is the index of the one that it is to try first, to see whether it is well again, or `count`. What is
 * known of other addresses of the same owner is forgotten: the name has them no more.
 */
uint32_t ejection_choose(struct ejection *ejection, const struct ejection_terms *terms,
                         const struct address_key *keys, uint32_t count, int64_t now_ns, uint32_t *probe);

/* Is it left out now, and not to be probed? Changes nothing. */
bool ejection_is_out(const struct ejection *ejection, const struct address_key *key, int64_t now_ns)
    __attribute__((pure));
/* Is there an address of this owner that a call should probe? Changes nothing. */
bool ejection_wants_probe(const struct ejection *ejection, uint32_t owner, int64_t now_ns)
    __attribute__((pure));

/* The verdict of a try at an address, of a name that has `count` of them. */
void ejection_good(struct ejection *ejection, const struct address_key *key);
void ejection_bad(struct ejection *ejection, const struct ejection_terms *terms,
                  const struct address_key *key, uint32_t count, int64_t now_ns);

/* A connection to it could not be made: of one that is not probed, that says nothing here. */
void ejection_unreachable(struct ejection *ejection, const struct ejection_terms *terms,
                          const struct address_key *key, int64_t now_ns);

/* How many addresses of this owner are in this state, which is not UP. */
uint32_t ejection_count(const struct ejection *ejection, uint32_t owner, enum ejection_state state)
    __attribute__((pure));

#endif
