#include "core/race.h"

#include "base/invariant.h"
#include "base/number.h"

#define LEAST_STAGGER_NS (50 * NS_PER_MS)

/* ---- the order ----------------------------------------------------------------------------------------- */

/* The place of the n-th bit that is set, counted from 0; there are more than n. */
static uint8_t nth_bit(uint32_t bits, uint32_t n)
{
    PRE((uint32_t)__builtin_popcount(bits) > n);
    while (n-- > 0)
        bits &= bits - 1;
    return (uint8_t)__builtin_ctz(bits);
}

/* Appends these addresses, families alternating; returns how many there are. */
static uint32_t put_alternating(uint8_t *order, uint32_t some, uint32_t ipv6, uint32_t turn)
{
    bool begins_with_ipv6 = (ipv6 >> __builtin_ctz(some) & 1) != 0;
    uint32_t front = some & (begins_with_ipv6 ? ipv6 : ~ipv6), rest = some & ~front;
    uint32_t fronts = (uint32_t)__builtin_popcount(front), rests = (uint32_t)__builtin_popcount(rest);
    uint32_t count = 0;

    PRE(some != 0);
    for (uint32_t i = 0; i < fronts || i < rests; i++) {
        if (i < fronts)
            order[count++] = nth_bit(front, (i + turn % fronts) % fronts);
        if (i < rests)
            order[count++] = nth_bit(rest, i);
    }
    return count;
}

void race_order(uint8_t *order, uint32_t count, uint32_t ipv6, uint32_t bad, uint32_t turn)
{
    uint32_t all = UINT32_MAX >> (RACE_ADDRESSES - count);
    uint32_t good = all & ~bad;

    PRE(count >= 1 && count <= RACE_ADDRESSES);
    if (good == 0) {
        (void)put_alternating(order, all, ipv6, 0);
        return;
    }
    order += put_alternating(order, good, ipv6, turn);
    if (good != all)
        (void)put_alternating(order, all & bad, ipv6, 0);
}

/* ---- the race ------------------------------------------------------------------------------------------ */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void race_begin(struct race *race, uint32_t count, int64_t stagger_ns, int64_t now_ns, int64_t limit_ns)
{
    *race = (struct race){.stagger_ns = stagger_ns, .count = (uint8_t)count, .rest_ns = now_ns};
    if (limit_ns != NS_NEVER)
        race->stagger_ns = earlier(stagger_ns, later((limit_ns - now_ns) / 2, LEAST_STAGGER_NS));
    POST(race->stagger_ns <= stagger_ns);
}

static unsigned free_lane(const struct race *race)
{
    unsigned lane = 0;

    PRE(race->taken < RACE_LANES);
    while (race->lanes[lane].is_taken)
        lane++;
    return lane;
}

static void free_the(struct race *race, unsigned lane)
{
    PRE(lane < RACE_LANES && race->lanes[lane].is_taken); /* an attempt ends once */
    race->lanes[lane].is_taken = false;
    race->taken--;
}

/* When nobody has patience any more. */
static int64_t patience_end(const struct race *race)
{
    int64_t end_ns = race->rest_ns;

    for (unsigned i = 0; i < RACE_LANES; i++) {
        if (race->lanes[i].is_taken)
            end_ns = later(end_ns, race->lanes[i].patience_ns);
    }
    return end_ns;
}

/* Of all lanes, which are taken; places are started in their order. */
static unsigned oldest_but_first(const struct race *race)
{
    unsigned oldest = RACE_LANES;

    for (unsigned i = 0; i < RACE_LANES; i++) {
        if (race->lanes[i].place != 0 &&
            (oldest == RACE_LANES || race->lanes[i].place < race->lanes[oldest].place))
            oldest = i;
    }
    return oldest;
}

static struct race_step start(struct race *race, int64_t now_ns)
{
    unsigned lane = free_lane(race);

    race->lanes[lane] = (struct race_lane){
        .began_ns = now_ns,
        .patience_ns = now_ns + race->stagger_ns,
        .place = race->next++,
        .is_taken = true,
    };
    race->taken++;
    return (struct race_step){.verb = RACE_START, .lane = lane, .place = race->lanes[lane].place};
}

static struct race_step give_up_or_wait(struct race *race, int64_t now_ns)
{
    unsigned lane = oldest_but_first(race);
    int64_t chance_end_ns = race->lanes[lane].began_ns + RACE_CHANCE_NS;

    POST(lane < RACE_LANES); /* one lane at most has the address at place 0 */
    if (now_ns < chance_end_ns)
        return (struct race_step){.verb = RACE_WAIT, .until_ns = chance_end_ns};
    free_the(race, lane);
    return (struct race_step){.verb = RACE_GIVE_UP, .lane = lane, .place = race->lanes[lane].place};
}

struct race_step race_next(struct race *race, int64_t now_ns)
{
    bool all_started = race->next == race->count;
    int64_t end_ns;

    if (race->distrusted > 1 || (all_started && race->taken == 0))
        return (struct race_step){.verb = RACE_LOST};
    if (all_started)
        return (struct race_step){.verb = RACE_WAIT, .until_ns = NS_NEVER};
    end_ns = patience_end(race);
    if (now_ns < end_ns)
        return (struct race_step){.verb = RACE_WAIT, .until_ns = end_ns};
    return race->taken < RACE_LANES ? start(race, now_ns) : give_up_or_wait(race, now_ns);
}

void race_connected(struct race *race, unsigned lane, int64_t now_ns)
{
    int64_t took_ns = now_ns - race->lanes[lane].began_ns;

    PRE(race->lanes[lane].is_taken && took_ns >= 0);
    race->lanes[lane].patience_ns = now_ns + later(race->stagger_ns, 3 * took_ns);
}

void race_failed(struct race *race, unsigned lane)
{
    free_the(race, lane);
}

void race_distrusted(struct race *race, unsigned lane)
{
    free_the(race, lane);
    race->distrusted++;
}

void race_put_off(struct race *race, unsigned lane, int64_t now_ns)
{
    PRE(race->lanes[lane].place + 1 == race->next); /* the one that was started last */
    free_the(race, lane);
    race->next--;
    race->rest_ns = now_ns + race->stagger_ns;
    if (race->taken == 0)
        race->count = race->next;
}

const char *race_winner_name(enum race_winner winner)
{
    static const char *const names[RACE_WINNER_COUNT] = {
        [RACE_FIRST] = "first", [RACE_LATER] = "later", [RACE_NONE] = "none"};

    PRE(winner < RACE_WINNER_COUNT);
    return names[winner];
}

bool race_is_hopeless(const struct race *race, int64_t now_ns)
{
    return race->next == race->count && now_ns >= patience_end(race);
}

bool race_is_passed(const struct race *race, unsigned lane, unsigned place)
{
    return race->lanes[lane].is_taken && race->lanes[lane].place < place;
}
