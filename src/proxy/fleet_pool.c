#include "proxy/fleet_pool.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "config/arena.h"
#include "config/fleet_terms.h"
#include "config/snapshot.h"
#include "proxy/fleet_keys.h"
#include "runtime/loop.h"
#include "runtime/pool_locked.h"

/* What changes in a pool meanwhile is looked at together. */
#define LOOK_GAP_NS (2 * NS_PER_MS)
/* What is no step of the store's clock, but a slow answer. */
#define STEP_US     INT64_C(500000)

/* ---- what is lent --------------------------------------------------------------------------------------- */

static enum fleet_mode find_mode(const struct fleet_pool *fp, int64_t now_ns)
{
    const struct block *block = &fp->block;

    if (!fp->lends)
        return FLEET_CALM;
    if (block_is_back(block, now_ns))
        return FLEET_FALLBACK;
    if (block->asleep)
        return FLEET_CALM;
    if (!block_covers(block, now_ns) || now_ns < fp->learning_until_ns)
        return FLEET_LEARNING;
    return block->tight ? FLEET_TIGHT : FLEET_CALM;
}

static void put_lease(const struct fleet_pool *fp, int64_t now_ns, struct pool_lease *lease)
{
    const struct block *block = &fp->block;
    int64_t ends_ns = block_size_ends_ns(block, now_ns);
    uint32_t size = block_aim(block, now_ns);

    *lease = (struct pool_lease){
        .size = fp->reserve + size,
        .until_ns = ends_ns != INT64_MAX ? ends_ns - 1 : NS_NEVER,
        .after = fp->reserve + fp->fallback_size,
        .is_void = fp->reserve + size == 0 && find_mode(fp, now_ns) >= FLEET_LEARNING,
        .listens = block->tight || size < block_size(block, now_ns),
    };
}

/* What a look at the pool is for, and what it comes to. */
struct look {
    struct fleet_pool *fp;
    const struct block_reply *reply;
    bool is_lost, is_hint;
    bool sends, cuts;
};

static uint32_t beyond(uint32_t held, uint32_t reserve)
{
    return held > reserve ? held - reserve : 0;
}

/* What the API has not heard of yet is ours, as far as it was lent. */
static uint32_t with_cuts(const struct fleet_pool *fp, uint32_t held, const struct pool_news *news)
{
    uint32_t size = block_size(&fp->block, news->now_ns), more = held + news->cuts;

    if (more > size)
        more = size;
    return more > held ? more : held;
}

/* The block knows of permits that were lent alone: those that the host owns are used first. */
static void tell(struct fleet_pool *fp, const struct pool_news *news)
{
    struct block *block = &fp->block;

    if (news->started)
        block_started(block, news->now_ns);
    if (news->peak > news->held)
        block_tell(block, beyond(news->peak, fp->reserve), news->waiting, news->now_ns);
    block_tell(block, with_cuts(fp, beyond(news->held, fp->reserve), news), news->waiting, news->now_ns);
    fp->cuts_next_ns = news->cuts_next_ns;
}

/* Without it, hosts are in step: that costs no more. */
static uint32_t draw(void)
{
    uint32_t random;

    return getrandom(&random, sizeof(random), GRND_NONBLOCK) == sizeof(random) ? random : 0;
}

static void lend_block(struct look *look, const struct pool_news *news, struct pool_lease *lease)
{
    struct fleet_pool *fp = look->fp;
    struct block *block = &fp->block;
    enum block_step step;

    if (!fp->lends) {
        *lease = (struct pool_lease){.size = fp->reserve, .until_ns = NS_NEVER};
        return;
    }
    tell(fp, news);
    if (fp->leaves)
        block_retire(block);
    if (look->reply != NULL && !block_reply(block, look->reply, news->now_ns))
        look->is_lost = true;
    if (look->is_lost) {
        block_lost(block, news->now_ns);
        if (!fp->peers->was_up)
            block_unreached(block, news->now_ns);
    }
    if (look->is_hint)
        block_hint(block);
    while ((step = block_step(block, news->now_ns, draw(), &fp->request)) != BLOCK_WAIT) {
        look->sends |= step == BLOCK_SEND;
        look->cuts |= step == BLOCK_CONNECT;
    }
    put_lease(fp, news->now_ns, lease);
    POST(lease->after <= fp->size);
}

static void lend(void *arg, const struct pool_news *news, struct pool_lease *lease)
{
    struct look *look = arg;

    lend_block(look, news, lease);
    fleet_turn_before(&look->fp->turn, news, lease->size < news->limit ? lease->size : news->limit);
}

static void has_lent(void *arg, const struct pool_news *news)
{
    struct look *look = arg;

    fleet_turn_after(&look->fp->turn, news);
}

static void answered(struct store_command *command, enum store_fault fault, const struct store_reply *reply,
                     const char *why);

static void ask(struct fleet_pool *fp)
{
    struct fleet_peers *peers = fp->peers;
    struct block_sender sender = {
        .host = span_of(fp->id), .channel = fp->channels, .margin_us = fp->margin_us};
    struct script_words words;

    PRE(!store_is_under_way(&fp->command)); /* one request is open at a time */
    if (peers->store == NULL)
        return;
    block_put_words(&words, &fp->request, &fp->block.terms, &sender);
    store_run(peers->store, &fp->command, peers->renew, fp->keys, FLEET_KEYS, words.words, words.count,
              fp->block.terms.timeout_ns, answered);
}

static void note_mode(struct fleet_pool *fp, int64_t now_ns)
{
    enum fleet_mode mode = find_mode(fp, now_ns);

    if (fp->mode == FLEET_FALLBACK)
        fp->figures.fallback_seconds += (double)(now_ns - fp->looked_ns) * 1e-9;
    fp->looked_ns = now_ns;
    if (mode == fp->mode)
        return;
    fp->peers->changed(fp->peers, fp->name, fp->mode, mode, fp->reserve + block_size(&fp->block, now_ns));
    fp->mode = mode;
}

static void arm(struct fleet_pool *fp, int64_t now_ns)
{
    int64_t next_ns = fp->lends ? block_look_ns(&fp->block, now_ns) : NS_NEVER;

    if (fp->lends && fp->cuts_next_ns < next_ns)
        next_ns = fp->cuts_next_ns;
    if (fp->longest_until_ns != 0 && fp->longest_until_ns < next_ns)
        next_ns = fp->longest_until_ns;
    if (next_ns != NS_NEVER)
        next_ns = loop_clock_ns() + (next_ns > now_ns ? next_ns - now_ns : 0);
    timer_set(&fp->peers->loop->timers, &fp->timer, next_ns);
}

/* Calls that began by longer deadlines are over. */
static void use_wanted_terms(struct fleet_pool *fp, int64_t now_ns)
{
    if (fp->longest_until_ns == 0 || now_ns < fp->longest_until_ns)
        return;
    fp->longest_until_ns = 0;
    block_set_terms(&fp->block, &fp->wanted, now_ns);
}

static void look_for(struct fleet_pool *fp, struct look *look)
{
    int64_t now_ns = pool_lease_clock_ns();

    PRE(fp->is_attached && loop_is_own(fp->peers->loop));
    look->fp = fp;
    use_wanted_terms(fp, now_ns);
    pool_lend(fp->pool, lend, has_lent, look);
    if (look->cuts && fp->peers->store != NULL)
        store_cancel(fp->peers->store, &fp->command);
    if (look->sends)
        ask(fp);
    fleet_turn_go_on(&fp->turn, fp->id);
    note_mode(fp, now_ns);
    arm(fp, now_ns);
    if (fp->leaves)
        fp->peers->looked(fp->peers);
}

void fleet_pool_look(struct fleet_pool *fp)
{
    look_for(fp, &(struct look){0});
}

static void look_for_turn(struct fleet_turn *turn)
{
    fleet_pool_look(CONTAINER_OF(turn, struct fleet_pool, turn));
}

void fleet_pool_hint_turn(struct fleet_pool *fp)
{
    fleet_turn_hint(&fp->turn);
    fleet_pool_look(fp);
}

void fleet_pool_hint(struct fleet_pool *fp)
{
    fleet_turn_hint(&fp->turn);
    look_for(fp, &(struct look){.is_hint = true});
}

void fleet_pool_lost(struct fleet_pool *fp)
{
    look_for(fp, &(struct look){.is_lost = true});
}

void fleet_pool_leave(struct fleet_pool *fp)
{
    fp->leaves = true;
    fleet_pool_look(fp);
}

bool fleet_pool_has_left(const struct fleet_pool *fp)
{
    return !fp->lends || block_has_left(&fp->block);
}

/* ---- answers -------------------------------------------------------------------------------------------- */

/* A smaller size holds for a lease after the last host that asked with it, which may be this one before a reload. */
static void note_smallest(struct fleet_pool *fp, uint32_t lent)
{
    uint32_t owned = fp->size - fp->wanted.size, smallest = lent < fp->request.size ? lent + owned : 0;
    char sizes[48];

    if (smallest == fp->smallest)
        return;
    fp->smallest = smallest;
    snprintf(sizes, sizeof(sizes), "%u, not %u", smallest, fp->size);
    if (smallest != 0)
        fp->peers->told(fp->peers, FLEET_WARNS, fp->name,
                        "a smaller size holds, another host's or that of before", sizes);
    else
        fp->peers->told(fp->peers, FLEET_SAYS, fp->name, "no smaller size holds any more", "its own does");
}

static void note_answer(struct fleet_pool *fp, const struct block_reply *reply)
{
    static const enum fleet_result results[] = {[BLOCK_OK] = FLEET_OK,
                                                [BLOCK_EPOCH] = FLEET_EPOCH,
                                                [BLOCK_LATE] = FLEET_LATE,
                                                [BLOCK_OLD] = FLEET_OLD};
    struct fleet_figures *figures = &fp->figures;

    figures->renewals[results[reply->answer]]++;
    if (reply->answer == BLOCK_EPOCH)
        figures->epochs++;
    if (reply->answer != BLOCK_OK)
        return;
    figures->total_granted = reply->total_granted;
    figures->hosts = reply->hosts;
    figures->waiting_hosts = reply->waiting_hosts;
    note_smallest(fp, reply->smallest);
    fp->learning_until_ns = pool_lease_clock_ns() + reply->learning_us * NS_PER_US;
}

/* Two answers say how far ahead of ours the store's clock is, each give or take a round trip. */
static void note_clock(struct fleet_pool *fp, const struct block_reply *reply)
{
    int64_t ahead_us = reply->time_us - pool_lease_clock_ns() / NS_PER_US;
    int64_t step_us = ahead_us - fp->block.store_ahead_us;

    if (fp->block.store_known && (step_us > STEP_US || step_us < -STEP_US))
        fp->peers->clock_step_seconds = (double)step_us * 1e-6;
}

static void answered(struct store_command *command, enum store_fault fault, const struct store_reply *reply,
                     const char *why)
{
    struct fleet_pool *fp = CONTAINER_OF(command, struct fleet_pool, command);
    struct fleet_peers *peers = fp->peers;
    struct block_reply answer;

    if (fault == STORE_FINE && block_read_reply(reply, &fp->request, &answer)) {
        peers->answered(peers, loop_refresh_now(peers->loop) - command->sent_ns);
        if (answer.answer != BLOCK_OLD)
            note_clock(fp, &answer);
        note_answer(fp, &answer);
        look_for(fp, &(struct look){.reply = &answer});
        if (fp->mode ==
            FLEET_CALM) /* the next renewal is far off, and the timeout of this one would wake us up */
            loop_rearm(peers->loop);
        if (answer.answer == BLOCK_OLD)
            peers->outdated(peers);
        return;
    }
    fp->figures.renewals[fault == STORE_LATE ? FLEET_TIMEOUT : FLEET_ERROR]++;
    if (fault == STORE_FINE)
        why = "what the script has answered is out of form";
    /* Of the place itself it is told by the store; of another node of its cluster here. */
    if (fault == STORE_FINE || fault == STORE_REFUSED || store_connection(peers->store) != 0)
        peers->told(peers, FLEET_FAILS, fp->name, FLEET_REFUSES, why);
    fleet_pool_lost(fp);
}

static void time_has_come(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    fleet_pool_look(CONTAINER_OF(timer, struct fleet_pool, timer));
}

/* The pool has news; if there was some a moment ago, more of it may come. */
static void is_asked(struct mail *mail)
{
    struct fleet_pool *fp = CONTAINER_OF(mail, struct fleet_pool, asks);
    int64_t wait_ns = fp->looked_ns + LOOK_GAP_NS - pool_lease_clock_ns(), at_ns;

    if (wait_ns <= 0) {
        fleet_pool_look(fp);
        return;
    }
    at_ns = loop_clock_ns() + wait_ns;
    if (at_ns < fp->timer.due_ns)
        timer_set(&fp->peers->loop->timers, &fp->timer, at_ns);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

bool fleet_pool_rename(struct fleet_pool *fp, const char *host, bool is_first)
{
    char *id = is_first ? fleet_text_put(fp->arena, host, "", "", "")
                        : fleet_text_put(fp->arena, host, "/", fp->name, "");
    struct span channel;

    if (id == NULL || !fleet_key_put(fp->arena, fp->key, "}:hint:", id, &channel))
        return false;
    fp->id = id;
    fp->channel = channel;
    return true;
}

static bool put_texts(struct fleet_pool *fp, const char *fleet, const struct pool_config *config)
{
    static const char *const parts[FLEET_KEYS] = {"}:book",    "}:entries", "}:expiry",
                                                  "}:waiting", "}:rich",    "}:spare"};

    fp->name = arena_text(fp->arena, span_of(config->name));
    fp->key = fleet_text_put(fp->arena, fleet, "/", config->fleet, "");
    if (fp->name == NULL || fp->key == NULL)
        return false;
    fp->shared = fp->key + strlen(fleet) + 1;
    for (int i = 0; i < FLEET_KEYS; i++)
        if (!fleet_key_put(fp->arena, fp->key, parts[i], "", &fp->keys[i]))
            return false;
    return fleet_key_put(fp->arena, fp->key, "}:hint:", "", &fp->channels);
}

struct fleet_pool *fleet_pool_new(struct fleet_peers *peers, const char *fleet,
                                  const struct pool_config *config)
{
    struct fleet_pool *fp = mem_zalloc(sizeof(*fp));

    if (fp == NULL)
        return NULL;
    list_init(&fp->node);
    mail_init(&fp->asks, is_asked);
    fp->peers = peers;
    fp->number = config->index;
    fp->mode = FLEET_LEARNING;
    fp->cuts_next_ns = INT64_MAX;
    fp->arena = arena_new();
    if (fp->arena != NULL && put_texts(fp, fleet, config) &&
        timer_init(&peers->loop->timers, &fp->timer, time_has_come) == ST_OK) {
        if (fleet_turn_init(&fp->turn, peers, fp->arena, fp->name, fp->key, look_for_turn))
            return fp;
        timer_fini(&peers->loop->timers, &fp->timer);
    }
    arena_free(fp->arena);
    mem_free(fp);
    return NULL;
}

void fleet_pool_free(struct fleet_pool *fp)
{
    if (fp->is_attached)
        pool_drop_lender(fp->pool);
    if (fp->peers->store != NULL)
        store_cancel(fp->peers->store, &fp->command);
    fleet_turn_fini(&fp->turn);
    timer_fini(&fp->peers->loop->timers, &fp->timer);
    arena_free(fp->arena);
    mem_free(fp);
}

/* Numbers of requests go on above those of a process before, by the wall clock. */
static uint64_t first_number(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void fleet_pool_attach(struct fleet_pool *fp, struct pool *pool)
{
    PRE(!fp->is_attached && fp->id != NULL);
    fp->pool = pool;
    fp->is_attached = true;
    pool_set_lender(pool, &fp->peers->loop->mailbox, &fp->asks);
}

/* A call that began by a longer deadline may go on for as long as that. */
static void keep_longest(struct fleet_pool *fp, const struct snapshot *snapshot, struct block_terms *terms,
                         int64_t now_ns)
{
    int64_t before_ns = fp->block.terms.longest_ns;

    fp->longest_until_ns = 0;
    if (before_ns <= terms->longest_ns)
        return;
    fp->longest_until_ns = now_ns + before_ns + BLOCK_GRACE_NS;
    terms->longest_ns = before_ns;
    terms->lease_ns = block_lease_ns(terms, snapshot->fleet.ride_out_ns);
}

void fleet_pool_set(struct fleet_pool *fp, const struct snapshot *snapshot, const struct pool_config *config)
{
    struct block_terms terms = fleet_terms(snapshot, config);
    int64_t now_ns = pool_lease_clock_ns();
    bool did_lend = fp->lends;

    PRE(fp->is_attached && fp->number == config->index);
    fp->wanted = terms;
    fp->size = config->size;
    fp->reserve = config->reserve < config->host_size ? config->reserve : config->host_size;
    fp->fallback_size = terms.fallback_size;
    fp->margin_us = snapshot->fleet.margin_ns / NS_PER_US;
    fp->lends = terms.size > 0 && terms.host_size > 0;
    if (fp->lends && did_lend) {
        keep_longest(fp, snapshot, &terms, now_ns);
        block_set_terms(&fp->block, &terms, now_ns);
    } else if (fp->peers->store != NULL) {
        store_cancel(fp->peers->store, &fp->command);
    }
    if (fp->lends && !did_lend) {
        block_init(&fp->block, &terms, first_number(), now_ns);
        fp->looked_ns = now_ns;
    }
    fleet_turn_set(&fp->turn, snapshot, config, fp->wanted.longest_ns,
                   fp->wanted.lease_ns + snapshot->fleet.margin_ns, fp->pool);
    fleet_pool_look(fp);
}

void fleet_pool_figures(const struct fleet_pool *fp, struct fleet_figures *out)
{
    int64_t now_ns = pool_lease_clock_ns();
    int64_t until_ns = fp->lends ? block_starts_until_ns(&fp->block) : INT64_MIN;

    *out = fp->figures;
    out->pool = fp->name;
    out->name = fp->shared;
    out->size = fp->size;
    out->granted = fp->reserve + (fp->lends ? block_size(&fp->block, now_ns) : 0);
    if (fp->lends && out->total_granted > fp->wanted.size)
        out->over_granted = out->total_granted - fp->wanted.size;
    out->total_granted += fp->reserve * out->hosts;
    out->mode = fp->lends ? find_mode(fp, now_ns) : FLEET_CALM;
    out->lease_seconds = until_ns > now_ns ? (double)(until_ns - now_ns) * 1e-9 : 0;
    out->modes[out->mode] = 1;
    if (fp->mode == FLEET_FALLBACK)
        out->fallback_seconds += (double)(now_ns - fp->looked_ns) * 1e-9;
}
