#include "core/block.h"

#include <string.h>

#include "base/invariant.h"
#include "core/backoff.h"

#define NS_A_S           INT64_C(1000000000)
#define NS_A_MS          INT64_C(1000000)
#define NS_A_US          INT64_C(1000)
/* The rates of two clocks differ by less, so that a lease is over here before it is there. */
#define DRIFT(length_ns) ((length_ns) / 1000)
/* How long a request may be on its way before what it says is taken for old. */
#define REQUEST_LIFE_US  (2 * INT64_C(1000000))
#define PEAK_NS          NS_A_S
#define LOST_IN_A_ROW    4
/*
 * A store that nobody asks for four seconds can not know whether it was away for its hosts, and learns anew, for a
 * whole lease. So somebody asks within three: a host that wants nothing and has left does, else the first call after a
 * quiet time would find nothing lent; and one that is to ask seldom does where there are few.
 */
#define QUIET_NS         (3 * NS_A_S)
#define FEW_HOSTS        100u
/* Waits after requests without an answer double up to: */
#define RETRY_NS         (50 * NS_A_MS)
#define RETRY_MAX_NS     NS_A_S

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* What a call that starts now may need, at most. */
static int64_t cover_ns(const struct block *block)
{
    int64_t call_ns = block->terms.longest_ns + BLOCK_GRACE_NS;

    return call_ns + DRIFT(call_ns) + DRIFT(block->terms.lease_ns);
}

static bool has_lease(const struct block *block, int64_t now_ns)
{
    return block->until_ns != INT64_MIN && now_ns < block->until_ns - DRIFT(block->terms.lease_ns);
}

bool block_covers(const struct block *block, int64_t now_ns)
{
    return block->until_ns != INT64_MIN && now_ns <= block->until_ns - cover_ns(block);
}

/*
 * How far apart the leases of two hosts may be: both renew each renew_ns, a tenth sooner or later, and either may lose
 * a few requests.
 */
static int64_t apart_ns(const struct block_terms *terms)
{
    return terms->renew_ns + terms->renew_ns / 10 + LOST_IN_A_ROW * terms->timeout_ns;
}

/* Who glides from here on has come down when another host's lease is over. */
static int64_t glide_ns(const struct block *block)
{
    return block->until_ns - 2 * cover_ns(block) - apart_ns(&block->terms);
}

int64_t block_lease_ns(const struct block_terms *terms, int64_t ride_out_ns)
{
    int64_t call_ns = terms->longest_ns + BLOCK_GRACE_NS;

    return terms->glides ? 2 * call_ns + apart_ns(terms) + ride_out_ns : call_ns + ride_out_ns;
}

static uint32_t aim(const struct block *block, int64_t now_ns)
{
    if (block->terms.glides && block->until_ns != INT64_MIN && now_ns >= glide_ns(block))
        return min_u32(block->aim, block->terms.fallback_size);
    return block->aim;
}

static uint32_t fallback_size(const struct block *block, int64_t now_ns)
{
    return block->until_ns != INT64_MIN || now_ns >= block->fallback_ns ? block->terms.fallback_size : 0;
}

uint32_t block_size(const struct block *block, int64_t now_ns)
{
    uint32_t fallback = fallback_size(block, now_ns);

    if (!block_covers(block, now_ns))
        return block->open ? min_u32(block->usable, fallback) : fallback;
    return block->terms.glides && now_ns >= glide_ns(block)
               ? min_u32(block->usable, max_u32(block->held, block->terms.fallback_size))
               : block->usable;
}

uint32_t block_aim(const struct block *block, int64_t now_ns)
{
    uint32_t size = block_size(block, now_ns);

    return block_covers(block, now_ns) ? min_u32(size, aim(block, now_ns)) : size;
}

int64_t block_size_ends_ns(const struct block *block, int64_t now_ns)
{
    if (block->until_ns == INT64_MIN)
        return block->fallback_ns > now_ns ? block->fallback_ns : INT64_MAX;
    if (block->terms.glides && glide_ns(block) > now_ns)
        return glide_ns(block);
    return block_covers(block, now_ns) ? block->until_ns - cover_ns(block) + 1 : INT64_MAX;
}

/* ---- what is wanted ------------------------------------------------------------------------------------ */

static uint32_t want(const struct block *block, int64_t now_ns)
{
    uint32_t needed = block->held + block->waiting;

    if (block->tight)
        needed += block->reserve;
    else
        needed = max_u32(needed, now_ns - block->peak_ns <= PEAK_NS ? block->peak : 0) + 1;
    if (block->asleep)
        needed = 0;
    return min_u32(needed, min_u32(block->terms.size, block->terms.host_size));
}

static void note_wanted(struct block *block, int64_t now_ns)
{
    uint32_t needed = block->held + block->waiting;

    if (needed >= block->peak || now_ns - block->peak_ns > PEAK_NS) {
        block->peak = needed;
        block->peak_ns = now_ns;
    }
    if (needed == 0)
        return;
    if (block->until_ns == INT64_MIN && block->asleep)
        block->began_ns = now_ns;
    block->wanted_ns = now_ns;
    block->asleep = false;
}

/*
 * A caller waits whom nothing that is lent is for, and of whom the store does not know yet. Those for whom something
 * has come with an answer may still wait when the block is told of it. Of many that come at once, the store has heard
 * of the first: it hears anew of each doubling, or would hold that few for all, and others keep what they have.
 */
static void ask_for_waiters(struct block *block)
{
    uint32_t needed =
        min_u32(block->held + block->waiting, min_u32(block->terms.size, block->terms.host_size));

    if (block->waiting > 0 && needed > block->usable &&
        (block->told <= block->usable || needed >= 2 * block->told))
        block->asks = true;
}

static void ask_if_idle(struct block *block)
{
    if (block->tight && block->waiting == 0 && block->usable > block->held + 2 * block->reserve)
        block->asks = true;
}

/* Permits that came back and are not ours to use again. */
static void yield_ended(struct block *block, int64_t now_ns)
{
    uint32_t to;

    if (now_ns >= block->turn_ns && block->aim >= block->usable && block->usable > 0) {
        block->aim = block->usable - 1;
        block->turn_ns = INT64_MAX;
    }
    to = max_u32(aim(block, now_ns), block->held);
    if (!block_covers(block, now_ns))
        to = max_u32(to, fallback_size(block, now_ns));
    if (to >= block->usable)
        return;
    block->usable = to;
    block->yields = true;
    block->asks = true;
}

void block_tell(struct block *block, uint32_t held, uint32_t waiting, int64_t now_ns)
{
    bool ended = held < block->held;

    if (held > block->held)
        block_started(block, now_ns);
    block->held = held;
    block->waiting = waiting;
    note_wanted(block, now_ns);
    yield_ended(block, now_ns);
    if (ended)
        ask_if_idle(block);
    ask_for_waiters(block);
}

void block_started(struct block *block, int64_t now_ns)
{
    if (!block_covers(block, now_ns))
        block->adrift = true;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static int64_t part_of(int64_t length_ns, uint32_t random)
{
    return backoff_within(length_ns, (uint64_t)random << 32);
}

/* What the host may be using from now on, until there is an answer. */
static void lower(struct block *block, int64_t now_ns)
{
    uint32_t fallback = fallback_size(block, now_ns), to;

    if (!has_lease(block, now_ns) || (!block_covers(block, now_ns) && fallback > 0)) {
        block->usable = max_u32(block->held, fallback);
        return;
    }
    to = max_u32(block->held, min_u32(block->usable, aim(block, now_ns)));
    if (to < block->usable)
        block->yields = true;
    block->usable = max_u32(block->held, min_u32(to, want(block, now_ns)));
}

/* Between two requests while nothing happens. */
static int64_t interval_ns(const struct block *block)
{
    int64_t renew_ns = block->terms.renew_ns;

    if (block->asleep && renew_ns < QUIET_NS)
        return QUIET_NS;
    return renew_ns > QUIET_NS && block->hosts - 1 < FEW_HOSTS ? QUIET_NS : renew_ns;
}

static void send(struct block *block, int64_t now_ns, uint32_t random, struct block_request *request)
{
    int64_t renew_ns, spread_ns;

    block->asleep = now_ns - block->wanted_ns > block->terms.lease_ns;
    renew_ns = interval_ns(block);
    spread_ns = renew_ns / 5;
    lower(block, now_ns);
    block->told = want(block, now_ns);
    *request = (struct block_request){
        .number = ++block->number,
        .connection = block->connection,
        .epoch = block->epoch,
        .not_after_us =
            block->store_known ? now_ns / NS_A_US + block->store_ahead_us + REQUEST_LIFE_US : INT64_MAX,
        .claim = block->usable,
        .held = block->held,
        .want = block->told,
        .weight = block->terms.weight,
        .size = block->terms.size,
        .yields = block->yields,
        .adrift = block->adrift,
    };
    block->open = true;
    block->asked_lease_ns = block->terms.lease_ns;
    block->asks = block->yields = false;
    block->sent_ns = now_ns;
    block->tick_ns = now_ns + renew_ns - spread_ns / 2 + part_of(spread_ns, random);
    POST(block->usable >= block->held);
}

static bool is_due(const struct block *block, int64_t now_ns)
{
    if (now_ns < block->retry_ns)
        return false;
    if (now_ns >= block->tick_ns)
        return true;
    return block->asks && now_ns >= block->sent_ns + block->terms.gap_ns;
}

static void give_up(struct block *block, int64_t now_ns, uint32_t random)
{
    int64_t wait_ns = RETRY_NS << (block->failures < 5 ? block->failures : 5);

    if (wait_ns > RETRY_MAX_NS)
        wait_ns = RETRY_MAX_NS;
    block->open = false;
    block->connection++;
    block->failures++;
    block->asks = true;
    block->retry_ns = now_ns + wait_ns / 2 + part_of(wait_ns / 2, random);
    if (block->asleep) /* others may have been lent all until now */
        block->began_ns = now_ns;
    if (block->until_ns == INT64_MIN && block->fallback_ns == INT64_MAX)
        block->fallback_ns = block->terms.glides ? block->began_ns + block->terms.lease_ns : now_ns;
}

enum block_step block_step(struct block *block, int64_t now_ns, uint32_t random,
                           struct block_request *request)
{
    if (block->open) {
        if (now_ns < block->sent_ns + block->terms.timeout_ns)
            return BLOCK_WAIT;
        give_up(block, now_ns, random);
        return BLOCK_CONNECT;
    }
    if (!is_due(block, now_ns))
        return BLOCK_WAIT;
    send(block, now_ns, random, request);
    return BLOCK_SEND;
}

int64_t block_look_ns(const struct block *block, int64_t now_ns)
{
    int64_t next_ns = block_next_ns(block), ends_ns = block_size_ends_ns(block, now_ns);

    if (ends_ns < next_ns)
        next_ns = ends_ns;
    return block->turn_ns > now_ns && block->turn_ns < next_ns ? block->turn_ns : next_ns;
}

int64_t block_next_ns(const struct block *block)
{
    int64_t next_ns = block->tick_ns;

    if (block->open)
        return block->sent_ns + block->terms.timeout_ns;
    if (block->asks && block->sent_ns + block->terms.gap_ns < next_ns)
        next_ns = block->sent_ns + block->terms.gap_ns;
    return next_ns > block->retry_ns ? next_ns : block->retry_ns;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* It has no part in the fleet any more, and comes back as one that was just started. */
static void leave(struct block *block)
{
    block->until_ns = INT64_MIN;
    block->fallback_ns = INT64_MAX;
}

/*
 * Who has given back all while the fleet was short of permits has one again as soon as the store has some to spare: a
 * host without any would have none for as long as the store is away.
 */
static void ask_for_one(struct block *block, int64_t now_ns)
{
    if (block->usable == 0 && block->told == 0 && want(block, now_ns) > 0)
        block->asks = true;
}

static void take_grant(struct block *block, const struct block_reply *reply, int64_t now_ns)
{
    block->usable = reply->granted;
    block->aim = reply->aim;
    block->tight = reply->tight;
    block->reserve = reply->reserve;
    block->hosts = reply->hosts;
    if (block->tick_ns > block->sent_ns + 2 * interval_ns(block))
        block->tick_ns = block->sent_ns + interval_ns(block);
    block->turn_ns = reply->turn_ns < INT64_MAX - now_ns ? now_ns + reply->turn_ns : INT64_MAX;
    block->until_ns =
        block->sent_ns +
        (block->asked_lease_ns < block->terms.lease_ns ? block->asked_lease_ns : block->terms.lease_ns);
    block->adrift = false;
    if (block->asleep)
        leave(block);
    yield_ended(block, now_ns);
    ask_if_idle(block);
    ask_for_waiters(block);
    ask_for_one(block, now_ns);
}

bool block_reply(struct block *block, const struct block_reply *reply, int64_t now_ns)
{
    if (!block->open || reply->connection != block->connection || reply->number != block->number)
        return false;
    block->open = false;
    block->failures = 0;
    if (reply->answer != BLOCK_OLD) {
        block->store_known = true;
        block->store_ahead_us = reply->time_us - now_ns / NS_A_US;
    }
    if (reply->answer == BLOCK_OK || reply->answer == BLOCK_EPOCH) {
        memcpy(block->epoch, reply->epoch, sizeof(block->epoch));
        block->epoch[BLOCK_EPOCH_MAX - 1] = '\0';
    }
    if (reply->answer == BLOCK_OK)
        take_grant(block, reply, now_ns);
    else
        block->asks = true;
    return true;
}

void block_unreached(struct block *block, int64_t now_ns)
{
    if (block->until_ns == INT64_MIN && !block->store_known && now_ns < block->fallback_ns)
        block->fallback_ns = now_ns;
}

void block_retire(struct block *block)
{
    block->wanted_ns = INT64_MIN / 2;
    block->peak = 0;
    block->asks = true;
}

bool block_has_left(const struct block *block)
{
    return block->asleep && !block->open && block->until_ns == INT64_MIN;
}

void block_hint(struct block *block)
{
    block->asks = true;
}

void block_lost(struct block *block, int64_t now_ns)
{
    if (block->open)
        give_up(block, now_ns, 0);
}

/*
 * The store keeps what it lends for as long as the next request says: it must not be shorter than what the host still
 * counts on by the last one.
 */
void block_set_terms(struct block *block, const struct block_terms *terms, int64_t now_ns)
{
    PRE(terms->size > 0 && terms->host_size > 0 && terms->weight > 0);
    block->terms = *terms;
    if (block->until_ns != INT64_MIN && block->until_ns > now_ns + terms->lease_ns)
        block->until_ns = now_ns + terms->lease_ns;
    block->asks = true;
}

int64_t block_starts_until_ns(const struct block *block)
{
    return block->until_ns != INT64_MIN ? block->until_ns - cover_ns(block) : INT64_MIN;
}

bool block_is_back(const struct block *block, int64_t now_ns)
{
    return !block_covers(block, now_ns) && (block->until_ns != INT64_MIN || now_ns >= block->fallback_ns);
}

void block_init(struct block *block, const struct block_terms *terms, uint64_t number, int64_t now_ns)
{
    PRE(terms->size > 0 && terms->host_size > 0 && terms->weight > 0);
    *block = (struct block){
        .terms = *terms,
        .number = number,
        .until_ns = INT64_MIN,
        .fallback_ns = INT64_MAX,
        .began_ns = now_ns,
        .turn_ns = INT64_MAX,
        .sent_ns = now_ns - terms->gap_ns,
        .tick_ns = now_ns,
        .retry_ns = now_ns,
        .wanted_ns = now_ns,
        .peak_ns = now_ns,
        .reserve = 1,
    };
}
