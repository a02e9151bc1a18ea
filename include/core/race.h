#ifndef CURFEW_CORE_RACE_H
#define CURFEW_CORE_RACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The race of a name's addresses for one connection (RFC 8305, "Happy Eyeballs"): which address is tried when, and
 * which attempt is given up. It is told what has happened and says what to do next; sockets are its performer's
 * (runtime/connect).
 *
 * An *attempt* is one address being connected to, with TLS if there is any. Attempts have *lanes*, of which there are
 * RACE_LANES, and an address has a *place* in the order in which all are tried. Each attempt has *patience*: for so
 * long nobody else is started on its account.
 *
 *   - The first address is tried at once. The next one is started when no attempt is left that has patience: because
 *     the one before has failed, or because its time is over. Attempts go on without patience: an API that is far away
 *     is not dead.
 *   - While TCP connects, patience lasts for one stagger. TLS begins it anew, for a stagger or three times as long as
 *     TCP took, if that is longer: a handshake is one to two more round trips, and work.
 *   - The first attempt that is usable, its handshake done, wins.
 *   - When all lanes are taken, the oldest attempt that has had RACE_CHANCE_NS is given up for the next address, but
 *     never the one at place 0. So the fifth address has its turn though four are silent; and when all are healthy and
 *     take longer than that, the first is still there to win.
 *   - No time of an attempt depends on how many other addresses there are.
 *   - A certificate that is not trusted may be one server's; at a second address it is the name's: the race is lost.
 */

#define RACE_ADDRESSES 32u
#define RACE_LANES     4u
#define RACE_CHANCE_NS (1000 * INT64_C(1000000))

struct race_lane {
    int64_t began_ns;
    int64_t patience_ns; /* it has patience until then */
    uint8_t place;
    bool is_taken;
};

struct race {
    int64_t stagger_ns;
    int64_t rest_ns; /* nobody is started before, after a shortage of our own */
    uint8_t count;   /* of addresses */
    uint8_t next;    /* place of the address to be started next */
    uint8_t taken;   /* lanes */
    uint8_t distrusted;
    struct race_lane lanes[RACE_LANES];
};

enum race_verb {
    RACE_START,   /* the address at `place`, in `lane`, which is its from now on */
    RACE_GIVE_UP, /* the attempt in `lane`, of the address at `place`; the lane is free from now on */
    RACE_WAIT,    /* for something to happen, or until until_ns (NS_NEVER: whatever that takes) */
    RACE_LOST,    /* no address is left */
};

struct race_step {
    enum race_verb verb;
    unsigned lane;
    unsigned place;
    int64_t until_ns;
};

/* Which address has won, by its place; those given up before one had are won by none. */
enum race_winner {
    RACE_FIRST,
    RACE_LATER,
    RACE_NONE,
    RACE_WINNER_COUNT,
};

const char *race_winner_name(enum race_winner winner) __attribute__((returns_nonnull, const));

/*
 * Puts `count` addresses (1 to RACE_ADDRESSES) in the order in which to try them: order[place] is an index. What comes
 * in is the resolver's order (RFC 6724). Bit i of `ipv6` says that address i is one, of `bad` that it has failed
 * lately. Families alternate, the resolver's first choice in front (RFC 8305 section 4); bad ones go last, in the same
 * way, unless all are. Among good addresses of the family that is in front, `turn` says with which to begin, so that
 * connections are spread over them: within a family the resolver's order matters little, between families it is whether
 * IPv6 is preferred.
 */
void race_order(uint8_t *order, uint32_t count, uint32_t ipv6, uint32_t bad, uint32_t turn);

/*
 * Ready for the first step. The stagger is no more than half of what is left until `limit_ns`, or else the second
 * address would never have its turn in a shorter race; but not for that less than 50 ms.
 */
void race_begin(struct race *race, uint32_t count, int64_t stagger_ns, int64_t now_ns, int64_t limit_ns);

/* What to do now. To be asked again after each answer but RACE_WAIT and RACE_LOST, and after each event. */
struct race_step race_next(struct race *race, int64_t now_ns);

/* The attempt in this lane has TCP, and TLS begins. */
void race_connected(struct race *race, unsigned lane, int64_t now_ns);
/* It has failed. */
void race_failed(struct race *race, unsigned lane);
/* It has failed by a certificate that is not trusted. */
void race_distrusted(struct race *race, unsigned lane);
/*
 * It could not begin for a shortage of our own: descriptors, memory. Its address keeps its place, and has another try
 * after a stagger; without other attempts on their way the race is lost.
 */
void race_put_off(struct race *race, unsigned lane, int64_t now_ns);

/* All addresses have had their turn, and no attempt that is still on its way has patience. */
bool race_is_hopeless(const struct race *race, int64_t now_ns) __attribute__((pure));

/* Has the attempt in this lane lost its patience, so that the one at `place` was started, or a later one? */
bool race_is_passed(const struct race *race, unsigned lane, unsigned place) __attribute__((pure));

#endif
