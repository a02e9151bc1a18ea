/*
 * The hand-over of permits between threads, explored exhaustively for small pools.
 *
 * Under test is the real code: core/permit, runtime/pool, and the mailbox. What is simulated is who runs when: a state
 * is what all threads share and what each has still to do; a step is one thread's way from one point at which
 * another may come in between to the next. From each state every step that is possible is taken, until no new state
 * turns up. Callers come back for ever, so nothing bounds how long a story may be.
 *
 *   caller    asks; leaves the queue (by its deadline, its caller or the queue's time limit); gives its permit back
 *   operator  makes the pool larger or smaller, and its queue, and tells those who have a permit by it
 *   worker    rings another one's bell, which happens after the unlock; looks into its mailbox once it was rung or
 *             expects mail, and delivers one mail of its batch
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
#define KEY      64
#define NOBODY   0xff
#define OPERATOR WORKERS /* who resizes: no worker */

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
    VARIANTS
};

enum stand { IDLE, WAITS, HOLDS }; /* what a caller knows */
enum place { OUT, QUEUED, HAS };   /* where the oracle has it */

struct caller {
    struct pool_ticket ticket;
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
};

/* All that a step can change; lists in it point to its own address, so it is saved and put back as bytes. */
struct world {
    struct pool pool;
    uint32_t held_by[WORKERS];
    struct caller callers[CALLERS];
    struct mailbox mailboxes[WORKERS]; /* the workers', while the state is saved */
    bool expects[WORKERS];             /* likewise */
    bool rung[WORKERS];
    uint8_t ring_owed[WORKERS]; /* whom this worker has to ring; NOBODY */
    uint8_t news_owed[WORKERS]; /* the caller that it has to tell (NEWS_AFTER_UNLOCK); NOBODY */
    uint8_t queue[CALLERS];     /* the oracle's */
    uint8_t queue_len, held;
    uint8_t size, queue_size; /* as asked for */
    bool locked;
};

static struct world world;
static struct loop workers[WORKERS], *loops[WORKERS];
static struct sizes sizes;
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

    return (uint8_t)(CONTAINER_OF(ticket, struct caller, ticket) - world.callers);
}

static uint8_t id_of_mail(const struct list_node *node)
{
    const struct mail *mail = CONTAINER_OF(node, struct mail, node);

    return id_of(&CONTAINER_OF(mail, struct pool_ticket, granted)->permit);
}

static uint32_t worker_of(uint32_t caller)
{
    return caller % sizes.workers;
}

/* ---- the oracle ---------------------------------------------------------------------------------------- */

static enum permit_answer oracle_asks(uint8_t id)
{
    struct caller *caller = &world.callers[id];

    if (world.held < world.size && world.queue_len == 0) {
        caller->place = HAS;
        world.held++;
        return PERMIT_GRANTED;
    }
    if (world.queue_len >= world.queue_size)
        return PERMIT_QUEUE_FULL;
    caller->place = QUEUED;
    world.queue[world.queue_len++] = id;
    return PERMIT_QUEUED;
}

static void leave_queue(uint8_t id)
{
    uint8_t at = 0;

    while (world.queue[at] != id)
        at++;
    world.queue_len--;
    memmove(world.queue + at, world.queue + at + 1, (size_t)(world.queue_len - at));
}

/* The first in the queue, if there is a permit for him; NOBODY. */
static uint8_t oracle_grants_next(void)
{
    uint8_t next;

    if (world.queue_len == 0 || world.held >= world.size)
        return NOBODY;
    next = world.queue[0];
    leave_queue(next);
    world.callers[next].place = HAS;
    world.held++;
    return next;
}

/* Who has the permit next; NOBODY. */
static uint8_t oracle_gives_back(uint8_t id)
{
    enum place place = world.callers[id].place;

    world.callers[id].place = OUT;
    if (place == QUEUED)
        leave_queue(id);
    if (place != HAS)
        return NOBODY;
    world.held--;
    return oracle_grants_next();
}

/* ---- the seams ----------------------------------------------------------------------------------------- */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
enum permit_answer __real_permit_acquire(struct permit_pool *pool, struct permit *permit);
struct permit *__real_permit_give_back(struct permit_pool *pool, struct permit *permit);
void __real_permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size);
struct permit *__real_permit_grant_next(struct permit_pool *pool);
bool __real_mailbox_put(struct mailbox *mailbox, struct mail *mail);
void __real_mailbox_cancel(struct mailbox *mailbox, struct mail *mail);
void __real_loop_expect_mail(struct loop *loop);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
enum permit_answer __wrap_permit_acquire(struct permit_pool *pool, struct permit *permit);
struct permit *__wrap_permit_give_back(struct permit_pool *pool, struct permit *permit);
void __wrap_permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size);
struct permit *__wrap_permit_grant_next(struct permit_pool *pool);
bool __wrap_mailbox_put(struct mailbox *mailbox, struct mail *mail);
void __wrap_mailbox_ring(struct mailbox *mailbox);
void __wrap_mailbox_cancel(struct mailbox *mailbox, struct mail *mail);
void __wrap_loop_expect_mail(struct loop *loop);

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

static enum permit_answer acquire_in_variant(struct permit_pool *pool, struct permit *permit)
{
    bool too_many = variant == ONE_TOO_MANY && pool->held == pool->size && pool->waiting == 0;
    enum permit_answer answer;

    pool->size += too_many;
    answer = __real_permit_acquire(pool, permit);
    pool->size -= too_many;
    if (answer == PERMIT_QUEUED && variant == LAST_COMES_FIRST) {
        list_remove(&permit->node);
        list_push_front(&pool->waiters, &permit->node);
    }
    return answer;
}

enum permit_answer __wrap_permit_acquire(struct permit_pool *pool, struct permit *permit)
{
    uint8_t id = id_of(permit);
    enum permit_answer answer;

    is_locked();
    must(permit->state == PERMIT_FREE && list_is_empty(&permit->node), "asks for a second permit");
    answer = acquire_in_variant(pool, permit);
    must(answer == oracle_asks(id), "the wrong answer");
    return answer;
}

static struct permit *give_back_in_variant(struct permit_pool *pool, struct permit *permit)
{
    const struct caller *caller = &world.callers[id_of(permit)];
    struct list_node waiters;
    struct permit *next;
    uint32_t waiting = pool->waiting;

    if (variant == LEAVER_STAYS_IN_QUEUE && permit->state == PERMIT_WAITING)
        return NULL;
    if (variant == LEAVER_KEEPS_PERMIT && permit->state == PERMIT_HELD && caller->stand == WAITS) {
        permit->state = PERMIT_FREE;
        return NULL;
    }
    if (variant != NO_HAND_OVER || permit->state != PERMIT_HELD)
        return __real_permit_give_back(pool, permit);
    list_init(&waiters);
    list_append_all(&waiters, &pool->waiters);
    next = __real_permit_give_back(pool, permit);
    list_append_all(&pool->waiters, &waiters);
    pool->waiting = waiting;
    return next;
}

struct permit *__wrap_permit_give_back(struct permit_pool *pool, struct permit *permit)
{
    struct permit *next;
    uint8_t expected;

    is_locked();
    next = give_back_in_variant(pool, permit);
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

struct permit *__wrap_permit_grant_next(struct permit_pool *pool)
{
    static bool is_second;
    struct permit *next = NULL;

    is_locked();
    if (variant != GROWTH_IS_FOR_ONE || !is_second)
        next = __real_permit_grant_next(pool);
    is_second = next != NULL;
    must((next == NULL ? NOBODY : id_of(next)) == oracle_grants_next(), "a pool that grows grants otherwise");
    return next;
}

bool __wrap_mailbox_put(struct mailbox *mailbox, struct mail *mail)
{
    bool first;

    if (variant == NEWS_IS_LOST)
        return false;
    if (variant == NEWS_AFTER_UNLOCK && world.locked) {
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

/* The thread stops short of ringing: that is a step of its own. Not so the operator, who rings under the lock. */
void __wrap_mailbox_ring(struct mailbox *mailbox)
{
    if (acting == OPERATOR) {
        world.rung[CONTAINER_OF(mailbox, struct loop, mailbox) - workers] = true;
        return;
    }
    must(!world.locked, "the bell is rung under the lock");
    must(world.ring_owed[acting] == NOBODY, "two bells to ring");
    world.ring_owed[acting] = (uint8_t)(CONTAINER_OF(mailbox, struct loop, mailbox) - workers);
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
static struct list_node rest_of_batch;

static void heard(struct mail *mail)
{
    struct caller *caller = &world.callers[id_of_mail(&mail->node)];

    must(caller->stand == WAITS, "one who does not wait is told of a permit");
    must(caller->place == HAS, "one is told of a permit that he does not have");
    caller->stand = HOLDS;
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
    switch (pool_acquire(&world.pool, &caller->ticket)) {
    case PERMIT_GRANTED: caller->stand = HOLDS; break;
    case PERMIT_QUEUED: caller->stand = WAITS; break;
    case PERMIT_QUEUE_FULL: break;
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
    return world.ring_owed[w] != NOBODY || world.news_owed[w] != NOBODY;
}

static void settle(uint32_t w)
{
    uint8_t caller = world.news_owed[w], whom = world.ring_owed[w];

    world.news_owed[w] = world.ring_owed[w] = NOBODY;
    if (whom != NOBODY)
        world.rung[whom] = true;
    if (caller != NOBODY &&
        mailbox_put(&workers[worker_of(caller)].mailbox, &world.callers[caller].ticket.granted))
        world.rung[worker_of(caller)] = true;
}

static bool has_mail_to_deliver(uint32_t w)
{
    return world.rung[w] || workers[w].mail_waiting || !list_is_empty(&workers[w].mailbox.batch);
}

/* Steps are numbered: 2w and 2w + 1 are worker w's, the others a caller's, and the last the operator's. */
#define RESIZE (2 * WORKERS + CALLERS)
#define STEPS  (RESIZE + 1)

static bool can_step(uint32_t step)
{
    if (step == RESIZE)
        return sizes.other.size != 0;
    if (step >= 2 * WORKERS)
        return step - 2 * WORKERS < sizes.callers && !owes(worker_of(step - 2 * WORKERS));
    if (step % 2 == 0)
        return owes(step / 2);
    return has_mail_to_deliver(step / 2) && !owes(step / 2);
}

static void resize(void)
{
    bool is_other = world.size == sizes.other.size && world.queue_size == sizes.other.queue;
    struct bounds to = is_other ? sizes.bounds : sizes.other;

    acting = OPERATOR;
    pool_resize(&world.pool, to.size, to.queue);
}

static void take_step(uint32_t step)
{
    if (step == RESIZE) {
        resize();
        return;
    }
    acting = step >= 2 * WORKERS ? worker_of(step - 2 * WORKERS) : step / 2;
    if (step >= 2 * WORKERS)
        move_caller(&world.callers[step - 2 * WORKERS]);
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

        if (worker_of(i) == *w &&
            (caller->stand == HOLDS || (caller->stand == WAITS && caller->place == HAS)))
            count++;
    }
    return count;
}

static void check_books(void)
{
    const struct permit_pool *permits = &world.pool.permits;
    uint8_t at = 0;

    must(permits->held == world.held && permits->held <= permits->size, "held is wrong");
    must(permits->size == (world.held > world.size ? world.held : world.size), "the size is wrong");
    must(permits->acquired - permits->released == world.held, "acquired and released are wrong");
    must(permits->waiting == world.queue_len, "the queue's length is wrong");
    must(world.queue_len == 0 || world.held >= world.size, "one waits beside a free permit");
    LIST_FOREACH(node, &permits->waiters)
        must(at < world.queue_len && id_of(CONTAINER_OF(node, struct permit, node)) == world.queue[at++],
             "the queue's order is wrong");
    for (uint32_t w = 0; w < sizes.workers; w++) {
        must(world.pool.held_by[w] == count_holders(&w), "held_by is wrong");
        must(pool_audit(&world.pool, &workers[w], count_holders, &w),
             "the audit finds an error where there is none");
    }
}

static void check_callers(void)
{
    for (uint32_t i = 0; i < sizes.callers; i++) {
        const struct caller *caller = &world.callers[i];
        bool knows_nothing = caller->stand == IDLE;

        must(knows_nothing == (caller->place == OUT), "one who left has something, or one who waits nothing");
        must(caller->stand != HOLDS || caller->place == HAS, "a holder without a permit");
        must(!knows_nothing || list_is_empty(&caller->ticket.granted.node),
             "a mail on its way to one who left");
    }
}

/* Nobody asks or leaves any more: what is under way arrives. */
static void let_it_arrive(void)
{
    bool any = true;

    while (any && broken == NULL) {
        any = false;
        for (uint32_t step = 0; step < 2 * sizes.workers; step++)
            if (can_step(step)) {
                take_step(step);
                any = true;
            }
    }
    for (uint32_t i = 0; i < sizes.callers; i++)
        must(world.callers[i].stand != WAITS || world.callers[i].place != HAS,
             "a wake-up is lost: one has a permit and never hears of it");
}

/* Holders give back, one after another, until nobody is left. */
static void play_to_the_end(void)
{
    uint32_t left = 4 * CALLERS;

    let_it_arrive();
    for (uint32_t i = 0; left > 0 && broken == NULL; i = (i + 1) % sizes.callers, left--) {
        if (world.callers[i].stand != HOLDS)
            continue;
        take_step(2 * WORKERS + i);
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
    for (uint32_t w = 0; w < WORKERS; w++) {
        world.mailboxes[w] = workers[w].mailbox;
        world.expects[w] = workers[w].mail_waiting;
    }
    *to = world;
}

static void put_back(const struct world *from)
{
    world = *from;
    for (uint32_t w = 0; w < WORKERS; w++) {
        workers[w].mailbox = world.mailboxes[w];
        workers[w].mail_waiting = world.expects[w];
    }
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

        *to++ = (uint8_t)(caller->stand | caller->place << 2 | caller->ticket.permit.state << 4 |
                          (unsigned)caller->ticket.mailed << 6);
    }
    *to++ = world.size;
    *to++ = world.queue_size;
    for (uint32_t i = 0; i < world.queue_len; i++)
        *to++ = world.queue[i];
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

static void begin(struct sizes with)
{
    sizes = with;
    broken = NULL;
    world = (struct world){.size = (uint8_t)with.bounds.size, .queue_size = (uint8_t)with.bounds.queue};
    assert_int_equal(pool_init(&world.pool, with.bounds.size, with.bounds.queue, loops, sizes.workers),
                     ST_OK);
    free(world.pool.held_by);
    world.pool.held_by = world.held_by;
    for (uint32_t w = 0; w < WORKERS; w++) {
        loops[w] = &workers[w];
        workers[w] = (struct loop){.index = w};
        assert_int_equal(mailbox_init(&workers[w].mailbox), ST_OK);
        world.ring_owed[w] = world.news_owed[w] = NOBODY;
    }
    for (uint32_t i = 0; i < sizes.callers; i++)
        pool_ticket_init(&world.callers[i].ticket, &workers[worker_of(i)], heard);
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
    if (step == RESIZE)
        print_message("    the pool is resized\n");
    else if (step >= 2 * WORKERS)
        print_message("    caller %u (of worker %u) asks, leaves or gives back\n", step - 2 * WORKERS,
                      worker_of(step - 2 * WORKERS));
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
    {1, 3, {1, 0}, {0, 0}}, {1, 3, {1, 1}, {0, 0}}, {1, 3, {1, 2}, {0, 0}}, {1, 4, {2, 2}, {0, 0}},
    {2, 3, {1, 0}, {0, 0}}, {2, 3, {1, 1}, {0, 0}}, {2, 3, {1, 2}, {0, 0}}, {2, 3, {2, 1}, {0, 0}},
    {2, 4, {1, 1}, {0, 0}}, {2, 4, {1, 2}, {0, 0}}, {2, 4, {1, 3}, {0, 0}}, {2, 4, {2, 0}, {0, 0}},
    {2, 4, {2, 1}, {0, 0}}, {2, 4, {2, 2}, {0, 0}}, {3, 3, {1, 2}, {0, 0}}, {3, 3, {2, 1}, {0, 0}},
    {3, 4, {1, 1}, {0, 0}}, {3, 4, {1, 2}, {0, 0}}, {3, 4, {1, 3}, {0, 0}}, {3, 4, {2, 1}, {0, 0}},
    {3, 4, {2, 2}, {0, 0}}, {1, 4, {1, 2}, {2, 2}}, {2, 3, {1, 1}, {2, 1}}, {2, 4, {1, 2}, {2, 2}},
    {2, 4, {1, 3}, {3, 1}}, {2, 4, {2, 2}, {1, 0}}, {2, 4, {1, 3}, {2, 0}}, {3, 4, {1, 2}, {2, 2}},
    {3, 4, {1, 3}, {3, 1}},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_sizes(struct sizes now)
{
    char resized[64] = "";

    if (now.other.size != 0)
        snprintf(resized, sizeof(resized), " (resized to %u, %u)", now.other.size, now.other.queue);
    print_message("%u workers, %u callers, %u permits, a queue of %u%s: %u states, %llu steps\n", now.workers,
                  now.callers, now.bounds.size, now.bounds.queue, resized, seen.count,
                  (unsigned long long)seen.steps);
}

static void no_interleaving_loses_doubles_or_leaks_a_permit(void **state)
{
    variant = SOUND;
    for (size_t i = 0; i < COUNT(all_sizes); i++) {
        struct sizes now = all_sizes[i];

        explore(now, true);
        if (broken != NULL)
            fail_msg("%s", broken);
        print_sizes(now);
        end();
    }
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
};

static void every_way_to_get_it_wrong_is_found(void **state)
{
    for (variant = SOUND + 1; variant < VARIANTS; variant++) {
        bool resizes = variant == GROWTH_IS_FOR_ONE || variant == SHRINKING_IS_FORGOTTEN;
        struct bounds other = {resizes ? 3 : 0, 2};
        uint32_t len = explore((struct sizes){2, 4, {1, 2}, other}, false);

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
        cmocka_unit_test(every_way_to_get_it_wrong_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
