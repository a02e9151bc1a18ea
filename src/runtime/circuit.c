#include "runtime/circuit.h"

#include <errno.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/loop.h"

/*
 * What one loop has of a circuit: its good verdicts, a cache line away from any other loop's, and the mail to it. Its
 * size is a power of two, by which it is found in fewer steps.
 */
struct circuit_side {
    struct breaker_window goods;
    struct mail mail;
    bool mailed; /* under lock */
    struct circuit *circuit;
    struct loop *loop;
    char apart[104];
};
_Static_assert(sizeof(void *) != 8 || (sizeof(struct circuit_side) & (sizeof(struct circuit_side) - 1)) == 0,
               "see above");

static void deliver(struct mail *mail)
{
    struct circuit_side *side = CONTAINER_OF(mail, struct circuit_side, mail);

    pthread_mutex_lock(&side->circuit->lock);
    side->mailed = false;
    pthread_mutex_unlock(&side->circuit->lock);
    side->circuit->opened(side->circuit, side->loop);
}

/* One that opens anew after a probe has refused calls all the while: that is nothing to report. */
static void report_locked(struct circuit *circuit)
{
    bool refuses = circuit->breaker.state != BREAKER_CLOSED;

    if (refuses == circuit->refuses || circuit->home == NULL)
        return;
    circuit->refuses = refuses;
    circuit->report.openings += refuses;
    circuit->report.closings += !refuses;
    circuit->report.reason = circuit->breaker.reason;
    if (!circuit->posted)
        mailbox_post(circuit->home, &circuit->news);
    circuit->posted = true;
}

/* Whoever changes the breaker leaves the gate as the breaker is. */
static void set_gate_locked(struct circuit *circuit)
{
    const struct breaker *breaker = &circuit->breaker;
    uint32_t gate = breaker->generation << 2;

    PRE(breaker->generation <= BREAKER_GENERATIONS);
    if (breaker->state == BREAKER_CLOSED)
        gate |= CIRCUIT_CLOSED;
    if (breaker->consecutive == 0)
        gate |= CIRCUIT_CALM;
    atomic_store_explicit(&circuit->gate, gate, memory_order_relaxed);
    report_locked(circuit);
}

void circuit_report_to(struct circuit *circuit, struct mailbox *home, mail_fn news)
{
    mail_init(&circuit->news, news);
    circuit->home = home;
}

struct circuit_report circuit_take_report(struct circuit *circuit)
{
    struct circuit_report report;

    pthread_mutex_lock(&circuit->lock);
    report = circuit->report;
    circuit->report = (struct circuit_report){0};
    circuit->posted = false;
    pthread_mutex_unlock(&circuit->lock);
    return report;
}

enum status circuit_init(struct circuit *circuit, uint64_t seed, struct loop *const *workers,
                         uint32_t worker_count, circuit_opened_fn opened)
{
    *circuit = (struct circuit){.workers = workers, .worker_count = worker_count, .opened = opened};
    breaker_init(&circuit->breaker, seed);
    atomic_init(&circuit->window_ns, 1);
    circuit->sides = mem_calloc(worker_count, sizeof(struct circuit_side));
    if (circuit->sides == NULL)
        return ST_NOMEM;
    for (uint32_t i = 0; i < worker_count; i++) {
        circuit->sides[i].circuit = circuit;
        circuit->sides[i].loop = workers[i];
        mail_init(&circuit->sides[i].mail, deliver);
    }
    (void)pthread_mutex_init(&circuit->lock, NULL); /* can't fail without attributes */
    set_gate_locked(circuit);
    return ST_OK;
}

void circuit_recall(struct circuit *circuit)
{
    for (uint32_t i = 0; i < circuit->worker_count; i++) {
        PRE(loop_is_own(circuit->workers[i]));
        mailbox_cancel(&circuit->workers[i]->mailbox, &circuit->sides[i].mail);
        circuit->sides[i].mailed = false;
    }
    if (circuit->home != NULL)
        mailbox_cancel(circuit->home, &circuit->news);
    circuit->posted = false;
}

void circuit_fini(struct circuit *circuit)
{
    pthread_mutex_destroy(&circuit->lock);
    mem_free(circuit->sides);
}

void circuit_set(struct circuit *circuit, const struct breaker_terms *terms, bool anew)
{
    PRE(terms->probes >= 1 && terms->probes <= BREAKER_PROBES_MAX);
    pthread_mutex_lock(&circuit->lock);
    circuit->terms = *terms;
    atomic_store_explicit(&circuit->window_ns, terms->window_ns, memory_order_relaxed);
    if (anew)
        breaker_restart(&circuit->breaker);
    set_gate_locked(circuit);
    pthread_mutex_unlock(&circuit->lock);
}

static struct circuit_news news_locked(const struct circuit *circuit, int64_t now_ns)
{
    const struct breaker *breaker = &circuit->breaker;

    return (struct circuit_news){.state = breaker->state,
                                 .reason = breaker->reason,
                                 .left_ns = breaker_left_ns(breaker, now_ns),
                                 .has_opened = breaker->has_opened};
}

/*
 * Bells are rung under the lock: it opens once a second at most, and this is not the way of a call that goes well. A
 * loop whose mail is on its way will see this opening when that one is delivered.
 */
static void tell_loops_locked(struct circuit *circuit, const struct loop *own)
{
    PRE(pthread_mutex_trylock(&circuit->lock) == EBUSY);
    for (uint32_t i = 0; i < circuit->worker_count; i++) {
        struct circuit_side *side = &circuit->sides[i];

        if (side->mailed)
            continue;
        side->mailed = true;
        if (!mailbox_put(&side->loop->mailbox, &side->mail))
            continue;
        if (side->loop == own)
            loop_expect_mail(side->loop);
        else
            mailbox_ring(&side->loop->mailbox);
    }
}

/* After a change: what has become of it. */
static struct circuit_news settle_locked(struct circuit *circuit, const struct loop *own, uint32_t generation,
                                         int64_t now_ns)
{
    struct circuit_news news = news_locked(circuit, now_ns);

    news.opened = circuit->breaker.generation != generation;
    set_gate_locked(circuit);
    if (news.opened)
        tell_loops_locked(circuit, own);
    return news;
}

enum breaker_answer circuit_ask(struct circuit *circuit, const struct loop *owner, int64_t now_ns,
                                struct breaker_pass *pass, struct circuit_news *news)
{
    uint32_t gate = atomic_load_explicit(&circuit->gate, memory_order_relaxed), generation;
    enum breaker_answer answer;

    *news = (struct circuit_news){0};
    if ((gate & CIRCUIT_CLOSED) != 0) {
        *pass = (struct breaker_pass){.generation = gate >> 2};
        return BREAKER_LETS;
    }
    PRE(loop_is_own(owner) && owner->index < circuit->worker_count);
    pthread_mutex_lock(&circuit->lock);
    generation = circuit->breaker.generation;
    answer = breaker_ask(&circuit->breaker, &circuit->terms, owner->index, now_ns, pass);
    *news = settle_locked(circuit, owner, generation, now_ns);
    pthread_mutex_unlock(&circuit->lock);
    return answer;
}

static uint64_t sum_goods_locked(const struct circuit *circuit, int64_t now_ns)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < circuit->worker_count; i++)
        sum += breaker_window_sum(&circuit->sides[i].goods, circuit->terms.window_ns,
                                  circuit->breaker.generation, now_ns);
    return sum;
}

static void count_good(struct circuit *circuit, const struct loop *owner, uint32_t generation, int64_t now_ns)
{
    int64_t window_ns = atomic_load_explicit(&circuit->window_ns, memory_order_relaxed);

    breaker_window_count(&circuit->sides[owner->index].goods, window_ns, generation, now_ns);
}

/* Inlined where it is called, when the program is linked. */
inline bool circuit_count_good(struct circuit *circuit, const struct loop *owner, int64_t now_ns,
                               struct breaker_pass *pass)
{
    uint32_t gate = atomic_load_explicit(&circuit->gate, memory_order_relaxed);

    PRE(owner->index < circuit->worker_count);
    if (gate != (pass->generation << 2 | CIRCUIT_CALM | CIRCUIT_CLOSED))
        return false;
    count_good(circuit, owner, pass->generation, now_ns);
    pass->place = 0; /* which it had, if another probe has closed it */
    return true;
}

bool circuit_tell(struct circuit *circuit, const struct loop *owner, enum verdict verdict, bool asks_for_less,
                  int64_t now_ns, struct breaker_pass *pass, struct circuit_news *news)
{
    uint32_t generation;

    if (verdict == VERDICT_GOOD && circuit_count_good(circuit, owner, now_ns, pass))
        return false;
    if (verdict == VERDICT_NEUTRAL && pass->place == 0)
        return false;
    pthread_mutex_lock(&circuit->lock);
    generation = circuit->breaker.generation;
    if (verdict == VERDICT_GOOD && pass->generation == generation && circuit->breaker.state == BREAKER_CLOSED)
        count_good(circuit, owner, generation, now_ns);
    switch (verdict) {
    case VERDICT_GOOD: breaker_good(&circuit->breaker, pass); break;
    case VERDICT_BAD:
        breaker_bad(&circuit->breaker, &circuit->terms, sum_goods_locked(circuit, now_ns), now_ns, pass);
        break;
    default: breaker_neutral(&circuit->breaker, &circuit->terms, asks_for_less, now_ns, pass); break;
    }
    *news = settle_locked(circuit, owner, generation, now_ns);
    pthread_mutex_unlock(&circuit->lock);
    return news->opened;
}

bool circuit_would_let(struct circuit *circuit, int64_t now_ns)
{
    bool would_let;

    if ((atomic_load_explicit(&circuit->gate, memory_order_relaxed) & CIRCUIT_CLOSED) != 0)
        return true;
    pthread_mutex_lock(&circuit->lock);
    would_let = breaker_would_let(&circuit->breaker, &circuit->terms, now_ns);
    pthread_mutex_unlock(&circuit->lock);
    return would_let;
}

struct circuit_news circuit_look(struct circuit *circuit, int64_t now_ns)
{
    struct circuit_news news;

    pthread_mutex_lock(&circuit->lock);
    news = news_locked(circuit, now_ns);
    pthread_mutex_unlock(&circuit->lock);
    return news;
}

bool circuit_may_have_probes_locked(const struct circuit *circuit)
{
    return circuit->breaker.state == BREAKER_HALF;
}

bool circuit_is_live_probe_locked(const struct circuit *circuit, const struct breaker_pass *pass)
{
    return breaker_is_live_probe(&circuit->breaker, pass);
}

bool circuit_audit(struct circuit *circuit, const struct loop *owner, uint32_t (*count)(void *arg), void *arg)
{
    bool right;

    PRE(loop_is_own(owner) && owner->index < circuit->worker_count);
    pthread_mutex_lock(&circuit->lock);
    right = breaker_is_sound(&circuit->breaker) &&
            breaker_places_of(&circuit->breaker, owner->index) == count(arg);
    pthread_mutex_unlock(&circuit->lock);
    return right;
}
