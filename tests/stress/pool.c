/*
 * A pool under eight threads that ask, leave, pass their permits on to ghosts and give back as fast as they can.
 *
 *   pool [OPERATIONS [SEED]]      operations on the pool over all threads and rounds (1000000), seed (1)
 *
 * Three oracles, none of which reads the pool's books:
 *   - the desks: an atomic word for each permit. Whoever knows of his permit sits down at a free desk, and finds
 *     his own name there when he gets up. They know nothing of any lock.
 *   - the ledger: --wrap listens to core/permit under the pool's lock, where operations have one order, and a naive
 *     queue says what each of them has to answer: whether there is a permit, and who is next (FIFO).
 *   - the news: each permit that the ledger hands to a waiter is heard of once, or called back from one who left.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/permit.h"
#include "runtime/pool.h"
#include "runtime/loop.h"

#define THREADS         8
#define TICKETS_EACH    16
#define TICKETS         (THREADS * TICKETS_EACH)
#define OPERATIONS_TURN 50
#define MAX_SIZE        64
#define LOOKS           1000000 /* for a free desk; there is one, but others sit down and get up meanwhile */
#define TOO_LONG_S      1200

enum stand { IDLE, WAITS, HOLDS, HAUNTS };

struct clerk;

struct ticket {
    struct pool_ticket pool;
    struct pool_ticket ghost; /* has the permit while it HAUNTS; nothing is mailed to it */
    struct clerk *clerk;
    enum stand stand; /* what the owner was told */
    uint32_t id, desk;
    atomic_uint_fast64_t granted; /* by mail; the ledger's */
    uint64_t heard;
};

/* The ledger; under the pool's lock. */
struct ledger {
    atomic_flag inside;
    uint32_t size, queue_size, held, held_peak, waiting;
    uint64_t grants, given_back, first, last; /* of the line: the first that may wait, and behind the last */
    uint32_t *line;                           /* ids in order of their coming; GONE: left */
    size_t line_cap;
    bool has[TICKETS];
    uint64_t place[TICKETS]; /* in line, of those that wait; NOT_IN_LINE */
};

#define GONE        UINT32_MAX
#define NOT_IN_LINE UINT64_MAX

struct clerk {
    struct loop worker;
    pthread_t thread;
    struct ticket tickets[TICKETS_EACH];
    struct mail turn;
    uint64_t seed, operations, enough, at_once, by_mail, refused, left, slept, haunted;
    uint32_t waiting, holding;
    bool draining;
};

static pthread_barrier_t all_have_asked;
static struct pool pool;
static struct ledger ledger;
static struct clerk clerks[THREADS];
static struct loop *loops[THREADS];
static atomic_uint desks[MAX_SIZE];
static atomic_uint most_desks;
static uint32_t size;

static void must(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "stress: %s\n", what);
    _exit(1);
}

/* ---- the ledger ---------------------------------------------------------------------------------------- */

enum permit_answer __real_permit_acquire(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
struct permit *__real_permit_give_back(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
enum permit_answer __wrap_permit_acquire(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
struct permit *__wrap_permit_give_back(struct permit_pool *permits, struct permit *permit, int64_t now_ns);

static struct ticket *ticket_of(struct permit *permit)
{
    struct pool_ticket *ticket = CONTAINER_OF(permit, struct pool_ticket, permit);

    return ticket->news.fn == NULL ? CONTAINER_OF(ticket, struct ticket, ghost)
                                   : CONTAINER_OF(ticket, struct ticket, pool);
}

static void enter(void)
{
    must(!atomic_flag_test_and_set(&ledger.inside), "two threads under the lock");
}

static void leave(void)
{
    atomic_flag_clear(&ledger.inside);
}

static void grant(uint32_t id)
{
    must(!ledger.has[id], "a second permit for one ticket");
    ledger.has[id] = true;
    ledger.held++;
    ledger.grants++;
    must(ledger.held <= ledger.size, "more permits than the pool has");
    if (ledger.held > ledger.held_peak)
        ledger.held_peak = ledger.held;
}

static enum permit_answer expected_answer(uint32_t id)
{
    if (ledger.held < ledger.size && ledger.waiting == 0) {
        grant(id);
        return PERMIT_GRANTED;
    }
    if (ledger.waiting == ledger.queue_size)
        return PERMIT_QUEUE_FULL;
    must(ledger.last < ledger.line_cap, "the line is too short");
    ledger.place[id] = ledger.last;
    ledger.line[ledger.last++] = id;
    ledger.waiting++;
    return PERMIT_QUEUED;
}

static void leave_line(uint32_t id)
{
    ledger.line[ledger.place[id]] = GONE;
    ledger.place[id] = NOT_IN_LINE;
    ledger.waiting--;
}

/* Who has it next; GONE: nobody. */
static uint32_t expected_next(uint32_t id)
{
    uint32_t next;

    if (ledger.place[id] != NOT_IN_LINE)
        leave_line(id);
    if (!ledger.has[id])
        return GONE;
    ledger.has[id] = false;
    ledger.held--;
    ledger.given_back++;
    while (ledger.first < ledger.last && ledger.line[ledger.first] == GONE)
        ledger.first++;
    if (ledger.first == ledger.last)
        return GONE;
    next = ledger.line[ledger.first];
    leave_line(next);
    grant(next);
    return next;
}

enum permit_answer __wrap_permit_acquire(struct permit_pool *permits, struct permit *permit, int64_t now_ns)
{
    enum permit_answer answer;

    enter();
    answer = __real_permit_acquire(permits, permit, now_ns);
    must(answer == expected_answer(ticket_of(permit)->id), "the wrong answer to one who asks");
    leave();
    return answer;
}

struct permit *__wrap_permit_give_back(struct permit_pool *permits, struct permit *permit, int64_t now_ns)
{
    struct permit *next;
    uint32_t expected;

    enter();
    next = __real_permit_give_back(permits, permit, now_ns);
    expected = expected_next(ticket_of(permit)->id);
    must((next == NULL ? GONE : ticket_of(next)->id) == expected, "the permit went to the wrong one");
    if (next != NULL)
        atomic_fetch_add(&ticket_of(next)->granted, 1);
    leave();
    return next;
}

/* ---- the desks ----------------------------------------------------------------------------------------- */

static void count_desks(void)
{
    unsigned taken = 0, most = atomic_load(&most_desks);

    for (uint32_t i = 0; i < size; i++)
        taken += atomic_load(&desks[i]) != 0;
    while (taken > most && !atomic_compare_exchange_weak(&most_desks, &most, taken))
        ;
}

static void sit_down(struct ticket *ticket)
{
    uint32_t at = ticket->id % size;

    for (uint32_t look = 0; look < LOOKS; look++) {
        unsigned nobody = 0;

        if (atomic_compare_exchange_strong(&desks[at], &nobody, ticket->id + 1)) {
            ticket->desk = at;
            return;
        }
        at = (at + 1) % size;
    }
    must(false, "one who has a permit finds no desk free");
}

static void get_up(struct ticket *ticket)
{
    must(atomic_exchange(&desks[ticket->desk], 0) == ticket->id + 1, "another one sits at one's desk");
}

/* ---- the clerks ---------------------------------------------------------------------------------------- */

static void hold(struct ticket *ticket)
{
    sit_down(ticket);
    ticket->stand = HOLDS;
    ticket->clerk->holding++;
}

static void haunt(struct ticket *ticket)
{
    pool_pass_on_to_ghost(&pool, &ticket->pool, &ticket->ghost);
    ticket->stand = HAUNTS;
    ticket->clerk->haunted++;
}

static void return_ticket(struct ticket *ticket)
{
    struct clerk *clerk = ticket->clerk;
    bool is_ghost = ticket->stand == HAUNTS;

    clerk->operations++;
    if (ticket->stand == HOLDS || is_ghost) {
        get_up(ticket);
        clerk->holding--;
    } else {
        clerk->waiting--;
        clerk->left++;
    }
    ticket->stand = IDLE;
    if (is_ghost)
        pool_give_back_ghost(&pool, &ticket->ghost);
    else
        pool_give_back(&pool, &ticket->pool);
    must(list_is_empty(&ticket->pool.news.node), "a grant is on its way to one who left");
    ticket->heard = atomic_load(&ticket->granted); /* one that was called back is not heard of */
}

static void ask_for_permit(struct ticket *ticket)
{
    struct clerk *clerk = ticket->clerk;

    clerk->operations++;
    switch (pool_acquire(&pool, &ticket->pool)) {
    case PERMIT_GRANTED:
        clerk->at_once++;
        hold(ticket);
        break;
    case PERMIT_QUEUED:
        ticket->stand = WAITS;
        clerk->waiting++;
        break;
    default: clerk->refused++; break;
    }
}

static void stop_when_drained(struct clerk *clerk)
{
    if (clerk->draining && clerk->waiting == 0 && clerk->holding == 0)
        loop_stop(&clerk->worker);
}

static void permit_came(struct mail *mail)
{
    struct pool_ticket *ticket_of_pool = CONTAINER_OF(mail, struct pool_ticket, news);
    struct ticket *ticket = CONTAINER_OF(ticket_of_pool, struct ticket, pool);
    struct clerk *clerk = ticket->clerk;

    must(ticket->stand == WAITS, "a grant for one who does not wait");
    must(atomic_load(&ticket->granted) == ++ticket->heard, "a grant that was not made, or not heard of");
    clerk->waiting--;
    clerk->by_mail++;
    hold(ticket);
    if (clerk->draining)
        return_ticket(ticket);
    else if (list_is_empty(&clerk->turn.node))
        loop_defer(&clerk->worker, &clerk->turn);
    stop_when_drained(clerk);
}

static uint32_t random_below(struct clerk *clerk, uint32_t bound)
{
    clerk->seed = clerk->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(clerk->seed >> 33) % bound;
}

/* A ticket at random does what it can: ask, give back what it has, or leave the queue, soon or after a while. */
static void operate(struct clerk *clerk)
{
    struct ticket *ticket = &clerk->tickets[random_below(clerk, TICKETS_EACH)];

    if (ticket->stand == IDLE)
        ask_for_permit(ticket);
    else if (ticket->stand == HOLDS && random_below(clerk, 4) == 0)
        haunt(ticket);
    else if (ticket->stand != WAITS || random_below(clerk, 3) == 0)
        return_ticket(ticket);
}

/* By the tickets' own stand; a grant that is in the mail is held too. Runs under the pool's lock. */
static uint32_t count_held(void *arg)
{
    const struct clerk *clerk = arg;
    uint32_t count = 0;

    for (int i = 0; i < TICKETS_EACH; i++) {
        const struct ticket *ticket = &clerk->tickets[i];

        count += ticket->stand == HOLDS || ticket->stand == HAUNTS ||
                 (ticket->stand == WAITS && ledger.has[ticket->id]);
    }
    return count;
}

static void return_all_held(struct clerk *clerk)
{
    for (int i = 0; i < TICKETS_EACH; i++)
        if (clerk->tickets[i].stand == HOLDS || clerk->tickets[i].stand == HAUNTS)
            return_ticket(&clerk->tickets[i]);
}

/*
 * Between its turns a clerk sleeps now and then until a grant wakes it: holding nothing, so that all may sleep at
 * once. At last it leaves no queue any more, and is done when every waiter has had its permit: one wake-up that got
 * lost, and it never is.
 */
static void take_turn(struct mail *mail)
{
    struct clerk *clerk = CONTAINER_OF(mail, struct clerk, turn);

    for (int i = 0; i < OPERATIONS_TURN; i++)
        operate(clerk);
    count_desks();
    must(pool_audit(&pool, &clerk->worker, count_held, clerk), "the audit found an error");
    if (clerk->operations >= clerk->enough) {
        clerk->draining = true;
        return_all_held(clerk);
        stop_when_drained(clerk);
    } else if (clerk->waiting != 0 && random_below(clerk, 8) == 0) {
        clerk->slept++;
        return_all_held(clerk);
    } else {
        loop_defer(&clerk->worker, &clerk->turn);
    }
}

/* At first all ask for all that they can have, so that every permit is held at one instant, whoever runs first. */
static void take_first_turn(struct mail *mail)
{
    struct clerk *clerk = CONTAINER_OF(mail, struct clerk, turn);

    for (int i = 0; i < TICKETS_EACH; i++)
        ask_for_permit(&clerk->tickets[i]);
    pthread_barrier_wait(&all_have_asked);
    mail_init(&clerk->turn, take_turn);
    loop_defer(&clerk->worker, &clerk->turn);
}

static void *work(void *arg)
{
    struct clerk *clerk = arg;

    must(loop_run(&clerk->worker) == ST_OK, "a worker failed");
    return NULL;
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static void open_ledger(uint32_t queue_size, uint64_t operations)
{
    /* Each operation puts at most one into line; a turn may go over what was asked for, and draining adds a few. */
    size_t cap = (size_t)(operations + THREADS * (OPERATIONS_TURN + TICKETS_EACH) * 4);

    ledger = (struct ledger){.size = size, .queue_size = queue_size, .line_cap = cap};
    atomic_flag_clear(&ledger.inside);
    ledger.line = calloc(cap, sizeof(uint32_t));
    must(ledger.line != NULL, "no memory");
    for (uint32_t i = 0; i < TICKETS; i++)
        ledger.place[i] = NOT_IN_LINE;
}

static void open_clerk(uint32_t index, uint64_t operations, uint64_t seed)
{
    struct clerk *clerk = &clerks[index];

    *clerk = (struct clerk){.seed = seed * THREADS + index, .enough = operations / THREADS};
    must(loop_init(&clerk->worker, index) == ST_OK, "no worker");
    loops[index] = &clerk->worker;
    mail_init(&clerk->turn, take_first_turn);
    for (uint32_t i = 0; i < TICKETS_EACH; i++) {
        clerk->tickets[i].clerk = clerk;
        clerk->tickets[i].id = index * TICKETS_EACH + i;
        pool_ticket_init(&clerk->tickets[i].pool, &clerk->worker, permit_came);
        pool_ticket_init(&clerk->tickets[i].ghost, &clerk->worker, NULL);
    }
    loop_defer(&clerk->worker, &clerk->turn);
}

static void check_round(void)
{
    struct pool_figures figures = pool_figures(&pool);

    for (uint32_t i = 0; i < size; i++)
        must(atomic_load(&desks[i]) == 0, "one still sits at a desk");
    must(ledger.held == 0 && ledger.waiting == 0, "one still has a permit, or waits for one");
    must(ledger.grants == ledger.given_back, "a permit was not given back");
    must(figures.held == 0 && figures.waiting == 0 && figures.ghosts == 0, "the pool is not empty");
    must(figures.acquired == ledger.grants && figures.released == ledger.given_back,
         "the pool counts otherwise");
    must(figures.held_peak == ledger.held_peak && figures.held_peak == size,
         "all permits were held at once, and the pool says otherwise");
    must(figures.audit_errors == 0, "the audit found errors");
}

/* The number of operations. */
static uint64_t print_round(uint32_t queue_size)
{
    uint64_t operations = 0, at_once = 0, by_mail = 0, left = 0, refused = 0, slept = 0, haunted = 0;

    for (uint32_t i = 0; i < THREADS; i++) {
        operations += clerks[i].operations;
        at_once += clerks[i].at_once;
        by_mail += clerks[i].by_mail;
        left += clerks[i].left;
        refused += clerks[i].refused;
        slept += clerks[i].slept;
        haunted += clerks[i].haunted;
    }
    /* Each permit was known to one who asked, heard of by mail, or called back from one who left. */
    must(at_once + by_mail <= ledger.grants && ledger.grants - at_once - by_mail <= left,
         "permits that nobody asked for");
    printf(
        "%u permits, a queue of %u: %llu operations; %llu granted at once, %llu by mail, %llu called back, "
        "%llu left, %llu refused, %llu sleeps, %llu ghosts, at most %u seen at work\n",
        size, queue_size, (unsigned long long)operations, (unsigned long long)at_once,
        (unsigned long long)by_mail, (unsigned long long)(ledger.grants - at_once - by_mail),
        (unsigned long long)left, (unsigned long long)refused, (unsigned long long)slept,
        (unsigned long long)haunted, atomic_load(&most_desks));
    return operations;
}

static uint64_t run_round(uint32_t permits, uint32_t queue_size, uint64_t operations, uint64_t seed)
{
    uint64_t done;

    size = permits;
    atomic_store(&most_desks, 0);
    open_ledger(queue_size, operations);
    for (uint32_t i = 0; i < THREADS; i++)
        open_clerk(i, operations, seed);
    must(pthread_barrier_init(&all_have_asked, NULL, THREADS) == 0, "no barrier");
    must(pool_init(&pool, size, queue_size, loops, THREADS) == ST_OK, "no pool");
    for (uint32_t i = 0; i < THREADS; i++)
        must(pthread_create(&clerks[i].thread, NULL, work, &clerks[i]) == 0, "no thread");
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(clerks[i].thread, NULL);
    pthread_barrier_destroy(&all_have_asked);
    check_round();
    done = print_round(queue_size);
    pool_fini(&pool);
    for (uint32_t i = 0; i < THREADS; i++)
        loop_fini(&clerks[i].worker);
    free(ledger.line);
    return done;
}

int main(int argc, char **argv)
{
    static const struct {
        uint32_t size, queue_size;
    } rounds[] = {{1, TICKETS}, {5, 40}, {40, 10}, {3, 0}, {MAX_SIZE, TICKETS}};
    const size_t count = sizeof(rounds) / sizeof(rounds[0]);
    uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, done = 0;

    must(operations >= 10000, "at least 10000 operations");
    alarm(TOO_LONG_S);
    for (size_t i = 0; i < count; i++)
        done += run_round(rounds[i].size, rounds[i].queue_size, (operations + count - 1) / count, seed);
    printf("%llu operations by %d threads, seed %llu: every permit accounted for\n", (unsigned long long)done,
           THREADS, (unsigned long long)seed);
    must(done >= operations, "fewer operations than asked for");
    return 0;
}
