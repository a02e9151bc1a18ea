/*
 * The hand-over of permits between threads, explored exhaustively for small pools.
 *
 * Under test is the real code: core/permit, runtime/pool, and the mailbox. What is simulated is who runs when: a state
 * is what all threads share and what each has still to do; a step is one thread's way from one point at which
 * another may come in between to the next. From each state every step that is possible is taken, until no new state
 * turns up. Callers come back for ever, so nothing bounds how long a story may be.
 *
 *   caller    asks; leaves the queue (by its deadline, its caller or the queue's time limit); gives its permit back;
 *             is told by the API to pause, or answered well after a pause; is cut, and its permit stays with a ghost,
 *             which gives it back some time, while the caller may have come again
 *   operator  makes the pool larger or smaller, and its queue, and tells those who have a permit by it
 *   worker    rings another one's bell, which happens after the unlock; looks into its mailbox once it was rung or
 *             expects mail, and delivers one mail of its batch; the pool's home does what its timer is set to
 *   time      passes, by one
 *
 * Who is next, and whether one may start, is a parameter (enum order): the first that came; the next key's; the first
 * that is not too late; the first, in its slot; the first, when the pause is over. Only what is left of a time is part
 * of a state, not the time itself.
 *
 * What changes under the pool's lock is one step: that it does is asserted (is_locked). Linked with --wrap at the seams
 * between pool, permit, mailbox and worker, which is where the oracle listens, and where the broken variants are
 * broken.
 *
 * The oracle is a queue of its own, written down once more, naively: who waits, in which order, and who has a
 * permit. In every state it is compared with the books of the pool, and then all is played to its end from there:
 * whoever was granted a permit must hear of it with nobody's help, and whoever waits must get one when holders
 * give theirs back. That is what a lost wake-up, a leak, and a double grant would break.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/permit.h"
#include "runtime/mailbox.h"
#include "runtime/pool.h"
#include "runtime/loop.h"

#define WORKERS  3
#define CALLERS  4
#define KEY      112
#define NOBODY   0xff
#define GHOST    0xfd
#define WAKE     0xfe    /* the mail that wakes the pool's home: no caller's */
#define OPERATOR WORKERS /* who resizes: no worker */
#define HOME     0
#define KEYS     2 /* of callers, where the queue is shared */
#define PATIENCE 2 /* so long ahead may a slot lie */
#define PAUSE    2
#define PERIOD   1

/* Who is next, and when may one start? */
enum order { ARRIVAL, SHARES, LEAST, RATE, PAUSED, ORDERS };

/* Ways in which the hand-over could be wrong. Each must be found out. */
enum variant {
    SOUND,
    NEWS_IS_LOST,          /* a permit is granted, its new holder never told */
    RING_IS_LOST,          /* mail is put, the bell is not rung */
    OWN_MAIL_UNEXPECTED,   /* a worker that grants to its own caller does not look into its mailbox */
    GRANT_NOT_CALLED_BACK, /* the mail to one who leaves stays on its way */
    NEWS_AFTER_UNLOCK,     /* the mail is put after the unlock, when its owner may have left */
    NO_HAND_OVER,          /* a permit that is given back goes to nobody, though some wait */
    LEAVER_KEEPS_PERMIT,   /* one who leaves before he heard of his grant does not give it back */
    LAST_COMES_FIRST,      /* the queue is a stack */
    LEAVER_STAYS_IN_QUEUE,
    ONE_TOO_MANY,           /* a permit is granted though all are held */
    GROWTH_IS_FOR_ONE,      /* only the first waiter has a permit of a pool that grows */
    SHRINKING_IS_FORGOTTEN, /* a pool stays as large as it was */
    ONE_KEY_STAYS_IN_TURN,  /* a shared queue serves one key until it has no waiters */
    NEWCOMER_TAKES_A_PLACE, /* a full shared queue takes one more, and nobody makes room */
    REFUSAL_IS_LOST,        /* one is put out of the queue and never told */
    LATE_ONE_STARTS,        /* one starts though too little time is left */
    LATE_ONE_TAKES_PERMIT,  /* one who is too late is refused, and the permit goes to nobody */
    SLOTS_ARE_FREE,         /* starts are not counted by the rate */
    SLOT_ON_ARRIVAL,        /* who waits takes a slot as well as who starts */
    HOME_IS_NOT_WOKEN,      /* nobody looks when the slot has come */
    TIMER_IS_NOT_SET,       /* the home looks when it is woken, and not again */
    PAUSE_IS_SHORTENED,     /* a second answer shortens a pause */
    PAUSE_LETS_ALL_IN,      /* all start when a pause ends */
    GHOST_KEEPS_PERMIT,     /* a ghost ends and its permit does not come back */
    LEAVER_KEEPS_TURN,      /* the first after a pause ends without an answer, and none follows it */
    IMPATIENT_ONE_WAITS,    /* one stays in the queue though the pause ends too late for it */
    VARIANTS
};

enum stand { IDLE, WAITS, HOLDS }; /* what a caller knows */
enum place { OUT, QUEUED, HAS };   /* where the oracle has it */

struct caller {
    struct pool_ticket ticket, ghost;
    bool haunts; /* its ghost has a permit */
    enum stand stand;
    enum place place;
};

struct bounds {
    uint32_t size, queue;
};

/* `other` bounds are what the pool is resized to, back and forth; 0: it is not. */
struct sizes {
    uint32_t workers, callers;
    struct bounds bounds, other;
    enum order order;
};

/* All that a step can change; lists in it point to its own address, so it is saved and put back as bytes. */
struct world {
    struct pool pool;
    uint32_t held_by[WORKERS];
    struct caller callers[CALLERS];
    struct mailbox mailboxes[WORKERS]; /* the workers', while the state is saved */
    bool expects[WORKERS];             /* likewise */
    bool rung[WORKERS];
    uint8_t ring_owed[WORKERS]; /* whom this worker has to ring: a bit each */
    uint8_t news_owed[WORKERS]; /* the caller that it has to tell (NEWS_AFTER_UNLOCK); NOBODY */
    uint8_t queue[CALLERS];     /* the oracle's */
    uint8_t queue_len, held;
    uint8_t size, queue_size; /* as asked for */
    bool locked;
    /* What of the shares is in use, while the state is saved: */
    struct list_node buckets[KEYS];
    uint32_t lengths[KEYS];
    uint64_t filled;
    uint32_t shares_turn;
    int64_t now;
    /* The oracle's, of a shared queue, the rate, and the pause: */
    uint8_t turn, put_out; /* whose turn it is; who has made room, and is not told yet; NOBODY */
    int64_t next_slot;
    int64_t paused_until;
    uint8_t bound, open; /* after a pause; bound 0: no pause */
    bool impatient;      /* a pause has begun whose end some can't wait for, who are not told yet */
    bool is_of_round[CALLERS];
    int64_t start_by[CALLERS], wait_until[CALLERS];
};

static struct world world;
static struct queue_shares shares; /* saved with the world */
static struct loop workers[WORKERS], *loops[WORKERS];
static struct sizes sizes;
static bool has_ghosts; /* of calls that are cut */
static enum variant variant;
static uint32_t acting;    /* the worker whose step it is */
static const char *broken; /* the first thing that went wrong */

static void must(bool right, const char *what)
{
    if (!right && broken == NULL)
        broken = what;
}

static uint8_t id_of(const struct permit *permit)
{
    const struct pool_ticket *ticket = CONTAINER_OF(permit, struct pool_ticket, permit);
    size_t at = (size_t)((const char *)ticket - (const char *)world.callers) % sizeof(struct caller);

    if (at == offsetof(struct caller, ghost))
        return GHOST;
    return (uint8_t)(CONTAINER_OF(ticket, struct caller, ticket) - world.callers);
}

static uint8_t id_of_mail(const struct list_node *node)
{
    const struct mail *mail = CONTAINER_OF(node, struct mail, node);

    if (mail == &world.pool.wake)
        return WAKE;
    return id_of(&CONTAINER_OF(mail, struct pool_ticket, news)->permit);
}

static uint32_t worker_of(uint32_t caller)
{
    return caller % sizes.workers;
}

/* ---- the oracle ---------------------------------------------------------------------------------------- */

static uint8_t key_of(uint8_t id)
{
    return id % KEYS;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When one that comes behind `ahead` others may start, as far as rate and pause go. */
static int64_t oracle_slot(uint32_t ahead)
{
    int64_t slot = world.bound != 0 ? later(world.now, world.paused_until) : world.now;

    return sizes.order == RATE ? later(slot, world.next_slot) + ahead * PERIOD : slot;
}

static bool oracle_lets_start(void)
{
    return (world.bound == 0 || world.open < world.bound) && oracle_slot(0) <= world.now;
}

static void oracle_starts(uint8_t id)
{
    world.callers[id].place = HAS;
    world.held++;
    world.is_of_round[id] = world.bound != 0;
    if (world.bound != 0)
        world.open++;
    if (sizes.order == RATE)
        world.next_slot = later(world.next_slot, world.now) + PERIOD;
}

static void leave_queue(uint8_t id)
{
    uint8_t at = 0;

    while (world.queue[at] != id)
        at++;
    world.queue_len--;
    memmove(world.queue + at, world.queue + at + 1, (size_t)(world.queue_len - at));
}

static uint32_t count_waiting(uint8_t key)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world.queue_len; i++)
        count += key_of(world.queue[i]) == key;
    return count;
}

/* Of two keys, the one that has more waiters, the newcomer included, gives one up: the newest. */
static bool oracle_makes_room(uint8_t id)
{
    uint8_t other = (uint8_t)(1 - key_of(id));

    if (sizes.order != SHARES || world.queue_size == 0 ||
        count_waiting(other) <= count_waiting(key_of(id)) + 1)
        return false;
    for (uint8_t at = world.queue_len; at-- > 0;)
        if (key_of(world.queue[at]) == other) {
            world.put_out = world.queue[at];
            break;
        }
    leave_queue(world.put_out);
    world.callers[world.put_out].place = OUT;
    return true;
}

static enum permit_answer oracle_waits(uint8_t id)
{
    int64_t slot = oracle_slot(world.queue_len);
    enum permit_answer held_back = world.bound != 0 ? PERMIT_PAUSED : PERMIT_RATE;

    if (slot > world.now && slot > world.wait_until[id])
        return held_back;
    if (world.queue_len >= world.queue_size && !oracle_makes_room(id))
        return world.held < world.size && sizes.order >= RATE ? held_back : PERMIT_QUEUE_FULL;
    world.callers[id].place = QUEUED;
    world.queue[world.queue_len++] = id;
    return PERMIT_QUEUED;
}

static enum permit_answer oracle_asks(uint8_t id)
{
    if (world.held >= world.size || world.queue_len != 0 || !oracle_lets_start())
        return oracle_waits(id);
    oracle_starts(id);
    return PERMIT_GRANTED;
}

/* Whose turn it is. */
static uint8_t oracle_picks(void)
{
    uint8_t at = 0;

    if (sizes.order != SHARES)
        return world.queue[0];
    if (count_waiting(world.turn) == 0)
        world.turn = (uint8_t)(1 - world.turn);
    while (key_of(world.queue[at]) != world.turn)
        at++;
    world.turn = (uint8_t)(1 - world.turn);
    return world.queue[at];
}

/* A bit for each of those that a pause is too long for. */
static uint8_t find_impatient(void)
{
    for (uint8_t at = 0; at < world.queue_len; at++)
        if (world.wait_until[world.queue[at]] < world.paused_until)
            return world.queue[at];
    return NOBODY;
}

/* Who is put out of the queue next; NOBODY. */
static uint8_t oracle_puts_out(void)
{
    uint8_t next = world.put_out;

    world.put_out = NOBODY;
    if (next == NOBODY && world.impatient) {
        next = find_impatient();
        world.impatient = next != NOBODY;
        if (next != NOBODY) {
            leave_queue(next);
            world.callers[next].place = OUT;
        }
    }
    return next;
}

/* Who has news next; NOBODY. */
static uint8_t oracle_goes_on(void)
{
    uint8_t next = oracle_puts_out();

    if (next != NOBODY || world.queue_len == 0 || world.held >= world.size || !oracle_lets_start())
        return next;
    next = oracle_picks();
    leave_queue(next);
    if (world.now > world.start_by[next])
        world.callers[next].place = OUT;
    else
        oracle_starts(next);
    return next;
}

/* Who has the permit next, or is refused it; NOBODY. */
static uint8_t oracle_gives_back(uint8_t id)
{
    enum place place = id == GHOST ? HAS : world.callers[id].place;

    if (id == GHOST) {
        world.held--;
        return oracle_goes_on();
    }
    world.callers[id].place = OUT;
    if (place == QUEUED)
        leave_queue(id);
    if (place != HAS)
        return NOBODY;
    world.held--;
    if (world.is_of_round[id])
        world.open--;
    world.is_of_round[id] = false;
    return oracle_goes_on();
}

static void oracle_is_paused(void)
{
    bool is_new = world.bound == 0 || world.now >= world.paused_until;

    if (!is_new && world.now + PAUSE <= world.paused_until)
        return;
    world.paused_until = world.now + PAUSE;
    world.bound = 1;
    world.open = 0;
    memset(world.is_of_round, 0, sizeof(world.is_of_round));
    world.impatient = true;
}

static void oracle_is_answered(uint8_t id)
{
    if (!world.is_of_round[id])
        return;
    world.bound *= 2;
    if (world.bound < world.size)
        return;
    world.bound = world.open = 0;
    memset(world.is_of_round, 0, sizeof(world.is_of_round));
}

/* ---- the seams ----------------------------------------------------------------------------------------- */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
enum permit_answer __real_permit_acquire(struct permit_pool *pool, struct permit *permit, int64_t now_ns);
struct permit *__real_permit_give_back(struct permit_pool *pool, struct permit *permit, int64_t now_ns);
void __real_permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size);
struct permit *__real_permit_next(struct permit_pool *pool, int64_t now_ns);
bool __real_mailbox_put(struct mailbox *mailbox, struct mail *mail);
void __real_mailbox_cancel(struct mailbox *mailbox, struct mail *mail);
void __real_loop_expect_mail(struct loop *loop);
void __real_rate_take(struct rate *rate, int64_t now_ns);
bool __real_pause_begin(struct pause *pause, int64_t until_ns, int64_t now_ns);
void __real_pause_end(struct pause *pause, uint32_t round);
struct queue_place *__real_queue_take(struct queue *queue);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
enum permit_answer __wrap_permit_acquire(struct permit_pool *pool, struct permit *permit, int64_t now_ns);
struct permit *__wrap_permit_give_back(struct permit_pool *pool, struct permit *permit, int64_t now_ns);
void __wrap_permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size);
struct permit *__wrap_permit_next(struct permit_pool *pool, int64_t now_ns);
bool __wrap_mailbox_put(struct mailbox *mailbox, struct mail *mail);
void __wrap_mailbox_ring(struct mailbox *mailbox);
void __wrap_mailbox_cancel(struct mailbox *mailbox, struct mail *mail);
void __wrap_loop_expect_mail(struct loop *loop);
void __wrap_rate_take(struct rate *rate, int64_t now_ns);
bool __wrap_pause_begin(struct pause *pause, int64_t until_ns, int64_t now_ns);
void __wrap_pause_end(struct pause *pause, uint32_t round);
struct queue_place *__wrap_queue_take(struct queue *queue);
int64_t __wrap_loop_clock_ns(void);
int64_t __wrap_rate_period_ns(uint32_t limit, int64_t per_ns);
enum status __wrap_timer_init(struct timers *timers, struct timer *timer, timer_fn fn);
void __wrap_timer_set(struct timers *timers, struct timer *timer, int64_t due_ns);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (mutex == &world.pool.lock)
        world.locked = true;
    return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (mutex == &world.pool.lock)
        world.locked = false;
    return __real_pthread_mutex_unlock(mutex);
}

static void is_locked(void)
{
    must(world.locked, "something changed outside the lock");
}

static enum permit_answer acquire_in_variant(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    bool too_many = variant == ONE_TOO_MANY && pool->held == pool->size && pool->queue.length == 0;
    bool too_long = variant == NEWCOMER_TAKES_A_PLACE && pool->queue.length >= pool->queue_size &&
                    queue_yielding(&pool->queue, permit->place.bucket) != NULL;
    enum permit_answer answer;

    pool->size += too_many;
    pool->queue_size += too_long;
    answer = __real_permit_acquire(pool, permit, now_ns);
    pool->size -= too_many;
    pool->queue_size -= too_long;
    if (answer == PERMIT_QUEUED && variant == LAST_COMES_FIRST) {
        list_remove(&permit->place.node);
        list_push_front(&pool->queue.line, &permit->place.node);
    }
    if (answer == PERMIT_QUEUED && variant == SLOT_ON_ARRIVAL)
        __real_rate_take(&pool->rate, now_ns);
    return answer;
}

enum permit_answer __wrap_permit_acquire(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    uint8_t id = id_of(permit);
    enum permit_answer answer;

    is_locked();
    must(permit->state == PERMIT_FREE && list_is_empty(&permit->place.node), "asks for a second permit");
    answer = acquire_in_variant(pool, permit, now_ns);
    must(answer == oracle_asks(id), "the wrong answer");
    return answer;
}

static struct permit *give_back_in_variant(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    uint8_t id = id_of(permit);
    bool is_told = id == GHOST || world.callers[id].stand != WAITS;
    struct list_node waiters;
    struct permit *next;
    uint32_t waiting = pool->queue.length;

    if (variant == GHOST_KEEPS_PERMIT && id == GHOST) {
        permit->state = PERMIT_FREE;
        return NULL;
    }
    if (variant == LEAVER_STAYS_IN_QUEUE && permit->state == PERMIT_WAITING)
        return NULL;
    if (variant == LEAVER_KEEPS_PERMIT && permit->state == PERMIT_HELD && !is_told) {
        permit->state = PERMIT_FREE;
        return NULL;
    }
    if (variant != NO_HAND_OVER || permit->state != PERMIT_HELD)
        return __real_permit_give_back(pool, permit, now_ns);
    list_init(&waiters);
    list_append_all(&waiters, &pool->queue.line);
    pool->queue.length = 0;
    next = __real_permit_give_back(pool, permit, now_ns);
    list_append_all(&pool->queue.line, &waiters);
    pool->queue.length = waiting;
    return next;
}

/* Has this one come too late, and been refused for it? */
static bool is_late(const struct permit *permit)
{
    return permit != NULL && permit->state == PERMIT_FREE && permit->refused == PERMIT_TOO_LATE;
}

static bool is_after_late_one;

struct permit *__wrap_permit_give_back(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    struct permit *next;
    uint8_t expected;

    is_locked();
    next = give_back_in_variant(pool, permit, now_ns);
    is_after_late_one = is_late(next);
    expected = oracle_gives_back(id_of(permit));
    must((next == NULL ? NOBODY : id_of(next)) == expected, "the permit went to the wrong one");
    return next;
}

void __wrap_permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size)
{
    bool shrinks = size < pool->size;

    is_locked();
    world.size = (uint8_t)size;
    world.queue_size = (uint8_t)queue_size;
    __real_permit_pool_resize(pool, variant == SHRINKING_IS_FORGOTTEN && shrinks ? pool->size : size,
                              queue_size);
}

static struct permit *next_in_variant(struct permit_pool *pool, int64_t now_ns)
{
    static bool is_second;
    struct permit *next = NULL;

    if (variant == LATE_ONE_STARTS)
        now_ns -= 100;
    if (variant == LATE_ONE_TAKES_PERMIT && is_after_late_one) {
        is_after_late_one = false;
        return NULL;
    }
    if (variant != GROWTH_IS_FOR_ONE || !is_second || acting != OPERATOR)
        next = __real_permit_next(pool, now_ns);
    is_second = next != NULL;
    is_after_late_one = is_late(next);
    return next;
}

struct permit *__wrap_permit_next(struct permit_pool *pool, int64_t now_ns)
{
    struct permit *next;

    is_locked();
    next = next_in_variant(pool, now_ns);
    must((next == NULL ? NOBODY : id_of(next)) == oracle_goes_on(), "the wrong one has news");
    return next;
}

void __wrap_rate_take(struct rate *rate, int64_t now_ns)
{
    is_locked();
    if (variant != SLOTS_ARE_FREE)
        __real_rate_take(rate, now_ns);
}

bool __wrap_pause_begin(struct pause *pause, int64_t until_ns, int64_t now_ns)
{
    bool begins;

    is_locked();
    begins = __real_pause_begin(pause, until_ns, now_ns);
    if (variant == PAUSE_IS_SHORTENED && !begins)
        pause->until_ns = now_ns;
    if (variant == PAUSE_LETS_ALL_IN)
        pause->bound = CALLERS;
    oracle_is_paused();
    return begins && variant != IMPATIENT_ONE_WAITS;
}

void __wrap_pause_end(struct pause *pause, uint32_t round)
{
    if (variant != LEAVER_KEEPS_TURN)
        __real_pause_end(pause, round);
}

struct queue_place *__wrap_queue_take(struct queue *queue)
{
    uint32_t turn = queue->shares != NULL ? queue->shares->turn : 0;
    struct queue_place *place = __real_queue_take(queue);

    if (variant == ONE_KEY_STAYS_IN_TURN && queue->shares != NULL)
        queue->shares->turn = turn;
    return place;
}

int64_t __wrap_rate_period_ns(uint32_t limit, int64_t per_ns)
{
    (void)limit;
    (void)per_ns;
    return PERIOD;
}

int64_t __wrap_loop_clock_ns(void)
{
    return world.now;
}

enum status __wrap_timer_init(struct timers *timers, struct timer *timer, timer_fn fn)
{
    (void)timers;
    timer->fn = fn;
    timer->due_ns = NS_NEVER;
    return ST_OK;
}

static struct list_node rest_of_batch;

/* What the home does last, be it woken by mail: the rest of its batch waits. */
void __wrap_timer_set(struct timers *timers, struct timer *timer, int64_t due_ns)
{
    (void)timers;
    must(acting == HOME && !world.locked, "another one's timer is set, or under the lock");
    if (variant != TIMER_IS_NOT_SET)
        timer->due_ns = due_ns;
    list_append_all(&rest_of_batch, &workers[HOME].mailbox.batch);
}

bool __wrap_mailbox_put(struct mailbox *mailbox, struct mail *mail)
{
    bool first;

    bool is_wake = mail == &world.pool.wake;

    if (is_wake ? variant == HOME_IS_NOT_WOKEN : variant == NEWS_IS_LOST)
        return false;
    if (!is_wake && variant == REFUSAL_IS_LOST && world.callers[id_of_mail(&mail->node)].place == OUT)
        return false;
    if (!is_wake && variant == NEWS_AFTER_UNLOCK && world.locked) {
        world.news_owed[acting] = id_of_mail(&mail->node);
        return false;
    }
    if (!list_is_empty(&mail->node)) {
        must(false, "a mail that is on its way is posted again");
        return false;
    }
    first = __real_mailbox_put(mailbox, mail);
    return first && variant != RING_IS_LOST;
}

/* The thread stops short of ringing: that is a step of its own. Not so the operator's. */
void __wrap_mailbox_ring(struct mailbox *mailbox)
{
    uint8_t whom = (uint8_t)(CONTAINER_OF(mailbox, struct loop, mailbox) - workers);

    must(!world.locked, "the bell is rung under the lock");
    if (acting == OPERATOR)
        world.rung[whom] = true;
    else
        world.ring_owed[acting] |= (uint8_t)(1u << whom);
}

void __wrap_mailbox_cancel(struct mailbox *mailbox, struct mail *mail)
{
    is_locked();
    must(mailbox == &workers[acting].mailbox, "a mail is called back by one who does not own it");
    if (variant != GRANT_NOT_CALLED_BACK)
        __real_mailbox_cancel(mailbox, mail);
}

void __wrap_loop_expect_mail(struct loop *loop)
{
    must(loop == &workers[acting], "another worker's mail is expected");
    if (variant != OWN_MAIL_UNEXPECTED)
        __real_loop_expect_mail(loop);
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* The rest of a batch waits, so that others may come in between two mails. */
static void heard(struct mail *mail)
{
    struct caller *caller = &world.callers[id_of_mail(&mail->node)];
    bool is_granted = caller->ticket.permit.state == PERMIT_HELD;

    must(caller->stand == WAITS, "one who does not wait has news");
    must(caller->place == (is_granted ? HAS : OUT), "one is told of a permit that he does not have");
    caller->stand = is_granted ? HOLDS : IDLE;
    list_append_all(&rest_of_batch, &workers[acting].mailbox.batch);
}

/* As worker.c does at the end of a turn, but for one mail: newer mails join the batch only when it is done. */
static void deliver_one(uint32_t w)
{
    struct mailbox *mailbox = &workers[w].mailbox;
    struct list_node newer;

    list_init(&newer);
    list_init(&rest_of_batch);
    if (list_is_empty(&mailbox->batch)) {
        world.rung[w] = false;
        workers[w].mail_waiting = false;
    } else {
        list_append_all(&newer, &mailbox->mails);
    }
    mailbox_deliver(mailbox);
    list_append_all(&mailbox->batch, &rest_of_batch);
    list_append_all(&mailbox->mails, &newer);
}

static void ask(struct caller *caller)
{
    struct permit *permit = &caller->ticket.permit;
    uint8_t id = id_of(permit);

    world.wait_until[id] = permit->wait_until_ns = world.now + PATIENCE;
    world.start_by[id] = permit->start_by_ns = sizes.order == LEAST ? world.now + 1 : NS_NEVER;
    switch (pool_acquire(&world.pool, &caller->ticket)) {
    case PERMIT_GRANTED: caller->stand = HOLDS; break;
    case PERMIT_QUEUED: caller->stand = WAITS; break;
    default: break;
    }
}

static void move_caller(struct caller *caller)
{
    if (caller->stand == IDLE) {
        ask(caller);
        return;
    }
    pool_give_back(&world.pool, &caller->ticket);
    caller->stand = IDLE;
}

static bool owes(uint32_t w)
{
    return world.ring_owed[w] != 0 || world.news_owed[w] != NOBODY;
}

static void settle(uint32_t w)
{
    uint8_t caller = world.news_owed[w], whom = world.ring_owed[w];

    world.news_owed[w] = NOBODY;
    world.ring_owed[w] &= (uint8_t)(whom - 1);
    if (whom != 0)
        world.rung[__builtin_ctz(whom)] = true;
    if (caller != NOBODY &&
        mailbox_put(&workers[worker_of(caller)].mailbox, &world.callers[caller].ticket.news))
        world.rung[worker_of(caller)] = true;
}

static bool has_mail_to_deliver(uint32_t w)
{
    return world.rung[w] || workers[w].mail_waiting || !list_is_empty(&workers[w].mailbox.batch);
}

/* Steps are numbered: 2w and 2w + 1 are worker w's, then come five of each caller, and the others. */
#define CALLER_STEPS 5
#define RESIZE       (2 * WORKERS + CALLER_STEPS * CALLERS)
#define TIME         (RESIZE + 1)
#define TIMER        (RESIZE + 2)
#define STEPS        (RESIZE + 3)

enum caller_step { MOVES, IS_PAUSED, IS_ANSWERED, IS_CUT, GHOST_ENDS };

static uint32_t caller_of(uint32_t step)
{
    return (step - 2 * WORKERS) / CALLER_STEPS;
}

static enum caller_step caller_step_of(uint32_t step)
{
    return (enum caller_step)((step - 2 * WORKERS) % CALLER_STEPS);
}

static bool caller_can(uint32_t step)
{
    uint32_t caller = caller_of(step);

    if (caller >= sizes.callers || owes(worker_of(caller)))
        return false;
    switch (caller_step_of(step)) {
    case MOVES: return true;
    case IS_CUT: return has_ghosts && world.callers[caller].stand == HOLDS && !world.callers[caller].haunts;
    case GHOST_ENDS: return world.callers[caller].haunts;
    default: return sizes.order == PAUSED && world.callers[caller].stand == HOLDS;
    }
}

static bool can_step(uint32_t step)
{
    switch (step) {
    case RESIZE: return sizes.other.size != 0;
    case TIME: return sizes.order >= LEAST;
    case TIMER: return world.pool.timer.due_ns <= world.now && !owes(HOME);
    default: break;
    }
    if (step >= 2 * WORKERS)
        return caller_can(step);
    if (step % 2 == 0)
        return owes(step / 2);
    return has_mail_to_deliver(step / 2) && !owes(step / 2);
}

static void set_terms(struct pool *pool, struct bounds to)
{
    pool_set(pool, &(struct pool_terms){.size = to.size,
                                        .queue_size = to.queue,
                                        .timed = sizes.order >= LEAST,
                                        .rate_per_hour = sizes.order == RATE,
                                        .rate_burst = 1,
                                        .is_shared = sizes.order == SHARES,
                                        .pauses = sizes.order == PAUSED});
}

static void resize(void)
{
    bool is_other = world.size == sizes.other.size && world.queue_size == sizes.other.queue;
    struct bounds to = is_other ? sizes.bounds : sizes.other;

    acting = OPERATOR;
    set_terms(&world.pool, to);
}

static void fire_timer(void)
{
    struct timer *timer = &world.pool.timer;

    acting = HOME;
    list_init(&rest_of_batch);
    timer->due_ns = NS_NEVER;
    timer->fn(timer, world.now);
    list_append_all(&workers[HOME].mailbox.batch, &rest_of_batch);
}

static void take_caller_step(uint32_t step)
{
    struct caller *caller = &world.callers[caller_of(step)];

    switch (caller_step_of(step)) {
    case MOVES: move_caller(caller); break;
    case IS_CUT:
        pool_pass_on_to_ghost(&world.pool, &caller->ticket, &caller->ghost);
        caller->haunts = true;
        caller->stand = IDLE;
        caller->place = OUT;
        break;
    case GHOST_ENDS:
        caller->haunts = false;
        pool_give_back_ghost(&world.pool, &caller->ghost);
        break;
    case IS_PAUSED: pool_pause(&world.pool, &workers[acting], world.now + PAUSE); break;
    case IS_ANSWERED:
        oracle_is_answered((uint8_t)caller_of(step));
        pool_answered(&world.pool, &caller->ticket);
        break;
    }
}

static void take_step(uint32_t step)
{
    switch (step) {
    case RESIZE: resize(); return;
    case TIME: world.now++; return;
    case TIMER: fire_timer(); return;
    default: break;
    }
    acting = step >= 2 * WORKERS ? worker_of(caller_of(step)) : step / 2;
    if (step >= 2 * WORKERS)
        take_caller_step(step);
    else if (step % 2 == 0)
        settle(acting);
    else
        deliver_one(acting);
}

/* ---- what holds in every state ------------------------------------------------------------------------- */

static uint32_t count_holders(void *arg)
{
    const uint32_t *w = arg;
    uint32_t count = 0;

    for (uint32_t i = 0; i < sizes.callers; i++) {
        const struct caller *caller = &world.callers[i];

        if (worker_of(i) != *w)
            continue;
        count += caller->haunts;
        count += caller->stand == HOLDS || (caller->stand == WAITS && caller->place == HAS);
    }
    return count;
}

/* Somebody looks at the pool though nobody asks or gives back. */
static bool is_looked_after(void)
{
    return world.pool.timer.due_ns <= world.now || world.pool.waking;
}

/* Those of one key, or all, in the oracle's order. */
static void check_line(const struct list_node *line, uint8_t key)
{
    uint8_t at = 0;

    LIST_FOREACH(node, line) {
        while (key != NOBODY && at < world.queue_len && key_of(world.queue[at]) != key)
            at++;
        must(at < world.queue_len &&
                 id_of(CONTAINER_OF(node, struct permit, place.node)) == world.queue[at++],
             "the queue's order is wrong");
    }
}

static void check_queue(const struct queue *queue)
{
    must(queue->length == world.queue_len, "the queue's length is wrong");
    must(world.queue_len <= later(world.queue_size, world.pool.permits.queue_size), "the queue is too long");
    if (queue->shares == NULL)
        check_line(&queue->line, NOBODY);
    for (uint8_t key = 0; queue->shares != NULL && key < KEYS; key++)
        check_line(&queue->shares->buckets[key], key);
}

static uint32_t count_ghosts(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < sizes.callers; i++)
        count += world.callers[i].haunts;
    return count;
}

static void check_books(void)
{
    const struct permit_pool *permits = &world.pool.permits;

    must(permits->held == world.held && permits->held <= permits->size, "held is wrong");
    must(permits->size == (world.held > world.size ? world.held : world.size), "the size is wrong");
    must(permits->acquired - permits->released == world.held, "acquired and released are wrong");
    must(world.pool.ghosts == count_ghosts(), "the ghosts are miscounted");
    must(world.queue_len == 0 || world.held >= world.size || !oracle_lets_start() || is_looked_after(),
         "one waits beside a free permit");
    check_queue(&permits->queue);
    for (uint32_t w = 0; w < sizes.workers; w++) {
        must(world.pool.held_by[w] == count_holders(&w), "held_by is wrong");
        must(pool_audit(&world.pool, &workers[w], count_holders, &w),
             "the audit finds an error where there is none");
    }
}

static bool has_news(const struct caller *caller)
{
    return !list_is_empty(&caller->ticket.news.node);
}

static void check_callers(void)
{
    for (uint32_t i = 0; i < sizes.callers; i++) {
        const struct caller *caller = &world.callers[i];
        bool knows_nothing = caller->stand == IDLE;

        must(knows_nothing ? caller->place == OUT : caller->place != OUT || has_news(caller),
             "one who left has something, or one who waits nothing");
        must(caller->stand != HOLDS || caller->place == HAS, "a holder without a permit");
        must(!knows_nothing || !has_news(caller), "a mail on its way to one who left");
    }
}

/* Nobody asks or leaves any more: what is under way arrives. */
static void let_it_arrive(void)
{
    bool any = true;

    while (any && broken == NULL) {
        any = false;
        for (uint32_t step = 0; step < STEPS; step++) {
            bool arrives = step < 2 * WORKERS || step == TIMER;

            if (arrives && can_step(step)) {
                take_step(step);
                any = true;
            }
        }
    }
    for (uint32_t i = 0; i < sizes.callers; i++)
        must(world.callers[i].stand != WAITS || world.callers[i].place == QUEUED,
             "a wake-up is lost: one has a permit, or none any more, and never hears of it");
}

static void give_back_in_turn(void)
{
    for (uint32_t i = 0; i < sizes.callers && broken == NULL; i++) {
        if (world.callers[i].stand == HOLDS) {
            take_step(2 * WORKERS + CALLER_STEPS * i);
            let_it_arrive();
        }
        if (world.callers[i].haunts) {
            take_step(2 * WORKERS + CALLER_STEPS * i + GHOST_ENDS);
            let_it_arrive();
        }
    }
}

/* Holders give back, one after another, and time passes, until nobody is left. */
static void play_to_the_end(void)
{
    let_it_arrive();
    for (uint32_t left = 4 * CALLERS; left > 0 && broken == NULL; left--) {
        give_back_in_turn();
        if (can_step(TIME))
            take_step(TIME);
        let_it_arrive();
    }
    for (uint32_t i = 0; i < sizes.callers; i++)
        must(world.callers[i].stand == IDLE, "one who waits never gets a permit");
    must(world.pool.permits.held == 0, "a permit leaked");
}

/* ---- all states ---------------------------------------------------------------------------------------- */

struct state {
    struct world world;
    uint8_t key[KEY];
    uint32_t before; /* the state from which this one was reached first */
    uint8_t step;
};

static struct {
    struct state *states;
    uint32_t count, cap;
    uint32_t *table; /* index + 1 by hash of the key */
    uint32_t table_size;
    uint64_t steps;
} seen;

static void save(struct world *to)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        world.buckets[key] = shares.buckets[key];
        world.lengths[key] = shares.lengths[key];
    }
    world.filled = shares.filled;
    world.shares_turn = shares.turn;
    for (uint32_t w = 0; w < WORKERS; w++) {
        world.mailboxes[w] = workers[w].mailbox;
        world.expects[w] = workers[w].mail_waiting;
    }
    *to = world;
}

static void put_back(const struct world *from)
{
    world = *from;
    for (uint32_t key = 0; key < KEYS; key++) {
        shares.buckets[key] = world.buckets[key];
        shares.lengths[key] = world.lengths[key];
    }
    shares.filled = world.filled;
    shares.turn = world.shares_turn;
    for (uint32_t w = 0; w < WORKERS; w++) {
        workers[w].mailbox = world.mailboxes[w];
        workers[w].mail_waiting = world.expects[w];
    }
}

/* What is left of a time, no more than a byte. */
static uint8_t left_of(int64_t at)
{
    if (at == NS_NEVER)
        return NOBODY;
    return at <= world.now ? 0 : (uint8_t)(at - world.now);
}

/* One that is late by any time is as late as another one. */
static uint8_t left_or_late(int64_t at)
{
    return at < world.now ? 100 : left_of(at);
}

static uint8_t *put_times(uint8_t *to)
{
    for (uint32_t i = 0; i < sizes.callers; i++) {
        bool waits = world.callers[i].place == QUEUED;

        *to++ = waits ? left_or_late(world.start_by[i]) : NOBODY;
        *to++ = waits ? left_or_late(world.wait_until[i]) : NOBODY;
        *to++ = world.is_of_round[i];
    }
    *to++ = left_of(world.next_slot);
    *to++ = world.bound != 0 ? left_of(world.paused_until) : NOBODY;
    *to++ = world.bound;
    *to++ = world.open;
    *to++ = world.turn;
    *to++ = left_of(world.pool.armed_ns);
    *to++ = left_of(world.pool.timer.due_ns);
    *to++ = world.pool.waking;
    return to;
}

static uint8_t *put_mails(uint8_t *to, const struct list_node *mails)
{
    LIST_FOREACH(node, mails)
        *to++ = id_of_mail(node);
    *to++ = NOBODY;
    return to;
}

/* All in which two states can differ; not the counters, which only ever grow. */
static void write_key(uint8_t key[KEY])
{
    uint8_t *to = key;

    memset(key, 0, KEY);
    for (uint32_t i = 0; i < sizes.callers; i++) {
        const struct caller *caller = &world.callers[i];

        *to++ = (uint8_t)(caller->stand | caller->place << 2 | (unsigned)caller->ticket.permit.state << 4 |
                          (unsigned)caller->ticket.mailed << 6 | (unsigned)caller->haunts << 7);
    }
    *to++ = world.size;
    *to++ = world.queue_size;
    for (uint32_t i = 0; i < world.queue_len; i++)
        *to++ = world.queue[i];
    *to++ = NOBODY;
    if (sizes.order != ARRIVAL)
        to = put_times(to);
    for (uint32_t w = 0; w < sizes.workers; w++) {
        *to++ = NOBODY;
        to = put_mails(put_mails(to, &workers[w].mailbox.mails), &workers[w].mailbox.batch);
        *to++ = (uint8_t)(world.rung[w] + 2 * workers[w].mail_waiting);
        *to++ = world.ring_owed[w];
        *to++ = world.news_owed[w];
    }
    assert_true(to - key <= KEY);
}

static uint32_t place_of(const uint8_t key[KEY])
{
    uint64_t hash = 14695981039346656037u;

    for (uint32_t i = 0; i < KEY; i++)
        hash = (hash ^ key[i]) * 1099511628211u;
    for (uint32_t at = (uint32_t)(hash >> 20);; at++) {
        uint32_t *entry = &seen.table[at % seen.table_size];

        if (*entry == 0 || memcmp(seen.states[*entry - 1].key, key, KEY) == 0)
            return at % seen.table_size;
    }
}

static void make_room(void)
{
    if (seen.count < seen.cap)
        return;
    seen.cap = seen.cap != 0 ? 2 * seen.cap : 1024;
    seen.table_size = 4 * seen.cap;
    seen.states = realloc(seen.states, seen.cap * sizeof(struct state));
    free(seen.table);
    seen.table = calloc(seen.table_size, sizeof(uint32_t));
    assert_non_null(seen.states);
    assert_non_null(seen.table);
    for (uint32_t i = 0; i < seen.count; i++)
        seen.table[place_of(seen.states[i].key)] = i + 1;
}

/* The world as it stands, if it is new; then all that must hold in it is checked. */
static void visit(uint32_t before, uint32_t step)
{
    uint8_t key[KEY];
    struct state *state;
    uint32_t place;

    make_room();
    write_key(key);
    place = place_of(key);
    if (seen.table[place] != 0)
        return;
    state = &seen.states[seen.count++];
    seen.table[place] = seen.count;
    memcpy(state->key, key, KEY);
    state->before = before;
    state->step = (uint8_t)step;
    save(&state->world);
    check_books();
    check_callers();
    play_to_the_end();
}

static void begin_pool(struct pool *pool)
{
    assert_int_equal(pool_init(pool, sizes.bounds.size, sizes.bounds.queue, loops, sizes.workers), ST_OK);
    free(pool->held_by);
    pool->held_by = world.held_by;
    assert_int_equal(pool_keep_time(pool), ST_OK);
    acting = OPERATOR;
    if (sizes.order == SHARES)
        assert_null(queue_share(&pool->permits.queue, &shares));
    set_terms(pool, sizes.bounds);
}

static void begin(struct sizes with)
{
    sizes = with;
    broken = NULL;
    world = (struct world){
        .size = (uint8_t)with.bounds.size, .queue_size = (uint8_t)with.bounds.queue, .put_out = NOBODY};
    for (uint32_t w = 0; w < WORKERS; w++) {
        loops[w] = &workers[w];
        workers[w] = (struct loop){.index = w};
        assert_int_equal(mailbox_init(&workers[w].mailbox), ST_OK);
        world.news_owed[w] = NOBODY;
    }
    begin_pool(&world.pool);
    for (uint32_t i = 0; i < sizes.callers; i++) {
        pool_ticket_init(&world.callers[i].ticket, &workers[worker_of(i)], heard);
        pool_ticket_init(&world.callers[i].ghost, &workers[worker_of(i)], NULL);
        world.callers[i].ticket.permit.place.bucket = key_of((uint8_t)i);
    }
}

static void end(void)
{
    for (uint32_t w = 0; w < WORKERS; w++) {
        /* The last state that was looked at may have had mails on their way, which are nobody's now. */
        list_init(&workers[w].mailbox.mails);
        list_init(&workers[w].mailbox.batch);
        mailbox_fini(&workers[w].mailbox);
    }
    pthread_mutex_destroy(&world.pool.lock);
    free(seen.states);
    free(seen.table);
    memset(&seen, 0, sizeof(seen));
}

static void print_step(uint32_t step)
{
    static const char *const of_caller[] = {"asks, leaves or gives back", "is told to pause",
                                            "is answered well", "is cut, and leaves a ghost",
                                            "has its ghost end"};

    if (step == RESIZE)
        print_message("    the pool is resized\n");
    else if (step == TIME)
        print_message("    time passes\n");
    else if (step == TIMER)
        print_message("    the home's timer fires\n");
    else if (step >= 2 * WORKERS)
        print_message("    caller %u (of worker %u) %s\n", caller_of(step), worker_of(caller_of(step)),
                      of_caller[caller_step_of(step)]);
    else
        print_message("    worker %u %s\n", step / 2, step % 2 == 0 ? "rings" : "delivers a mail");
}

/* Steps from the beginning to a state; printed if asked for. */
static uint32_t story(uint32_t to, bool print)
{
    uint32_t len = 0;

    if (to == 0)
        return 0;
    len = story(seen.states[to].before, print) + 1;
    if (print)
        print_step(seen.states[to].step);
    return len;
}

/* Explores all of it, or up to the first thing that is wrong: then `broken` says what, and the steps are returned. */
static uint32_t explore(struct sizes with, bool print)
{
    begin(with);
    visit(0, 0);
    for (uint32_t at = 0; at < seen.count && broken == NULL; at++)
        for (uint32_t step = 0; step < STEPS && broken == NULL; step++) {
            put_back(&seen.states[at].world);
            if (!can_step(step))
                continue;
            seen.steps++;
            take_step(step);
            if (broken == NULL)
                visit(at, step);
            if (broken != NULL) {
                uint32_t len = story(at, print) + 1;

                if (print)
                    print_step(step);
                return len;
            }
        }
    return 0;
}

static const struct sizes all_sizes[] = {
    {1, 3, {1, 0}, {0, 0}, ARRIVAL}, {1, 3, {1, 1}, {0, 0}, ARRIVAL}, {1, 3, {1, 2}, {0, 0}, ARRIVAL},
    {1, 4, {2, 2}, {0, 0}, ARRIVAL}, {2, 3, {1, 0}, {0, 0}, ARRIVAL}, {2, 3, {1, 1}, {0, 0}, ARRIVAL},
    {2, 3, {1, 2}, {0, 0}, ARRIVAL}, {2, 3, {2, 1}, {0, 0}, ARRIVAL}, {2, 4, {1, 1}, {0, 0}, ARRIVAL},
    {2, 4, {1, 2}, {0, 0}, ARRIVAL}, {2, 4, {1, 3}, {0, 0}, ARRIVAL}, {2, 4, {2, 0}, {0, 0}, ARRIVAL},
    {2, 4, {2, 1}, {0, 0}, ARRIVAL}, {2, 4, {2, 2}, {0, 0}, ARRIVAL}, {3, 3, {1, 2}, {0, 0}, ARRIVAL},
    {3, 3, {2, 1}, {0, 0}, ARRIVAL}, {3, 4, {1, 1}, {0, 0}, ARRIVAL}, {3, 4, {1, 2}, {0, 0}, ARRIVAL},
    {3, 4, {1, 3}, {0, 0}, ARRIVAL}, {3, 4, {2, 1}, {0, 0}, ARRIVAL}, {3, 4, {2, 2}, {0, 0}, ARRIVAL},
    {1, 4, {1, 2}, {2, 2}, ARRIVAL}, {2, 3, {1, 1}, {2, 1}, ARRIVAL}, {2, 4, {1, 2}, {2, 2}, ARRIVAL},
    {2, 4, {1, 3}, {3, 1}, ARRIVAL}, {2, 4, {2, 2}, {1, 0}, ARRIVAL}, {2, 4, {1, 3}, {2, 0}, ARRIVAL},
    {3, 4, {1, 2}, {2, 2}, ARRIVAL}, {3, 4, {1, 3}, {3, 1}, ARRIVAL}, {1, 4, {1, 2}, {0, 0}, SHARES},
    {2, 4, {1, 2}, {0, 0}, SHARES},  {2, 4, {1, 3}, {2, 1}, SHARES},  {1, 3, {1, 2}, {0, 0}, LEAST},
    {2, 3, {1, 2}, {0, 0}, LEAST},   {2, 4, {2, 2}, {0, 0}, LEAST},   {1, 3, {1, 2}, {0, 0}, RATE},
    {2, 3, {2, 2}, {0, 0}, RATE},    {2, 3, {1, 2}, {2, 1}, RATE},    {1, 3, {1, 2}, {0, 0}, PAUSED},
    {2, 3, {2, 2}, {0, 0}, PAUSED},  {2, 3, {3, 1}, {0, 0}, PAUSED},
};

/* With calls that are cut, and whose permits stay held by ghosts. */
static const struct sizes ghost_sizes[] = {
    {1, 3, {2, 2}, {0, 0}, ARRIVAL}, {2, 3, {2, 2}, {0, 0}, ARRIVAL}, {3, 3, {2, 2}, {0, 0}, ARRIVAL},
    {2, 3, {3, 1}, {1, 2}, ARRIVAL}, {2, 4, {2, 2}, {0, 0}, ARRIVAL}, {2, 3, {2, 2}, {1, 1}, SHARES},
    {2, 3, {2, 2}, {0, 0}, LEAST},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const order_names[ORDERS] = {[ARRIVAL] = "by arrival",
                                                [SHARES] = "by shares",
                                                [LEAST] = "if not too late",
                                                [RATE] = "by rate",
                                                [PAUSED] = "after a pause"};

static void print_sizes(struct sizes now)
{
    char resized[64] = "";

    if (now.other.size != 0)
        snprintf(resized, sizeof(resized), " (resized to %u, %u)", now.other.size, now.other.queue);
    print_message("%s%s: %u workers, %u callers, %u permits, a queue of %u%s: %u states, %llu steps\n",
                  order_names[now.order], has_ghosts ? ", with ghosts" : "", now.workers, now.callers,
                  now.bounds.size, now.bounds.queue, resized, seen.count, (unsigned long long)seen.steps);
}

static void explore_all(const struct sizes *all, size_t count)
{
    variant = SOUND;
    for (size_t i = 0; i < count; i++) {
        explore(all[i], true);
        if (broken != NULL)
            fail_msg("%s", broken);
        print_sizes(all[i]);
        end();
    }
}

static void no_interleaving_loses_doubles_or_leaks_a_permit(void **state)
{
    explore_all(all_sizes, COUNT(all_sizes));
}

static void nor_where_ghosts_hold_some(void **state)
{
    has_ghosts = true;
    explore_all(ghost_sizes, COUNT(ghost_sizes));
    has_ghosts = false;
}

static const char *const variant_names[VARIANTS] = {
    [NEWS_IS_LOST] = "the news is lost",
    [RING_IS_LOST] = "the bell is not rung",
    [OWN_MAIL_UNEXPECTED] = "a worker does not expect its own mail",
    [GRANT_NOT_CALLED_BACK] = "a grant is not called back",
    [NEWS_AFTER_UNLOCK] = "the winner is told after the unlock",
    [NO_HAND_OVER] = "a permit given back goes to nobody",
    [LEAVER_KEEPS_PERMIT] = "one who leaves keeps his permit",
    [LAST_COMES_FIRST] = "the last comes first",
    [LEAVER_STAYS_IN_QUEUE] = "one who leaves stays in the queue",
    [ONE_TOO_MANY] = "one permit too many",
    [GROWTH_IS_FOR_ONE] = "a pool that grows lets one in",
    [SHRINKING_IS_FORGOTTEN] = "a pool does not shrink",
    [ONE_KEY_STAYS_IN_TURN] = "one key stays in turn",
    [NEWCOMER_TAKES_A_PLACE] = "a newcomer takes a place that nobody has left",
    [REFUSAL_IS_LOST] = "a refusal is lost",
    [LATE_ONE_STARTS] = "one starts too late",
    [LATE_ONE_TAKES_PERMIT] = "one who is too late takes the permit with him",
    [SLOTS_ARE_FREE] = "slots are free",
    [SLOT_ON_ARRIVAL] = "a slot is taken on arrival too",
    [HOME_IS_NOT_WOKEN] = "the home is not woken",
    [TIMER_IS_NOT_SET] = "the timer is not set",
    [PAUSE_IS_SHORTENED] = "a pause is shortened",
    [PAUSE_LETS_ALL_IN] = "all start after a pause",
    [GHOST_KEEPS_PERMIT] = "a ghost keeps its permit",
    [LEAVER_KEEPS_TURN] = "the first after a pause keeps its turn",
    [IMPATIENT_ONE_WAITS] = "one waits for a pause that is too long",
};

/* Where the order has to be another one than that of arrival for the error to show. */
static const enum order variant_orders[VARIANTS] = {
    [ONE_KEY_STAYS_IN_TURN] = SHARES, [NEWCOMER_TAKES_A_PLACE] = SHARES, [REFUSAL_IS_LOST] = LEAST,
    [LATE_ONE_STARTS] = LEAST,        [LATE_ONE_TAKES_PERMIT] = LEAST,   [SLOTS_ARE_FREE] = RATE,
    [SLOT_ON_ARRIVAL] = RATE,         [HOME_IS_NOT_WOKEN] = RATE,        [TIMER_IS_NOT_SET] = RATE,
    [PAUSE_IS_SHORTENED] = PAUSED,    [PAUSE_LETS_ALL_IN] = PAUSED,      [LEAVER_KEEPS_TURN] = PAUSED,
    [IMPATIENT_ONE_WAITS] = PAUSED,
};

static void every_way_to_get_it_wrong_is_found(void **state)
{
    for (variant = SOUND + 1; variant < VARIANTS; variant++) {
        bool resizes = variant == GROWTH_IS_FOR_ONE || variant == SHRINKING_IS_FORGOTTEN;
        struct bounds other = {resizes ? 3 : 0, 2};
        struct bounds bounds = {variant_orders[variant] >= RATE ? 2 : 1, 2};
        uint32_t len;

        has_ghosts = variant == GHOST_KEEPS_PERMIT;
        len = explore((struct sizes){2, 4, bounds, other, variant_orders[variant]}, false);

        if (broken == NULL)
            fail_msg("not found: %s", variant_names[variant]);
        print_message("%s: found after %u steps: %s\n", variant_names[variant], len, broken);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_interleaving_loses_doubles_or_leaks_a_permit),
        cmocka_unit_test(nor_where_ghosts_hold_some),
        cmocka_unit_test(every_way_to_get_it_wrong_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
